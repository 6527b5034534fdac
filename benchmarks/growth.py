"""How memory and time grow with the length of a video, the number of sources, and the number of clips.

    python benchmarks/growth.py [--minutes 1 6 60] [--sources 1 2 4 6] [--clips 10 100 1000] [--json FILE]
                                [--plot FILE.png]

Length: the default model on 320 x 180 at 25 frames a second; the long files repeat the packets of an eight-second clip
(`bench_binauralize.make_clip`). Sources: the default model with so many given ones, on a minute of it. Clips: a folder
of links to one second of noise, `--jobs 2`, the model mono-mono. Each run is a process of its own; memory is its
highest resident one (of the largest process, for clips). What is linear has the same time per minute, or clip,
everywhere.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench_binauralize import CLIP_S, binauralized, make_clip, repeat_packets

SIZE = (180, 320)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 6, 60])
    parser.add_argument("--sources", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--clips", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_clip(folder / "clip.mp4", SIZE, 3)
        long = folder / "long.mp4"
        for minutes in arguments.minutes:
            repeat_packets(folder / "clip.mp4", long, max(1, round(60 * minutes / CLIP_S)))
            show(rows, "minutes", minutes, minutes, *of_report(binauralized(long, folder, [])))
        repeat_packets(folder / "clip.mp4", long, round(60 / CLIP_S))
        for count in arguments.sources:
            places = [f"{(number + 0.5) / count:.3f},0.5" for number in range(count)]
            options = [word for place in places for word in ("--source", place)]
            show(rows, "sources", count, 1, *of_report(binauralized(long, folder, options)))
        for count in arguments.clips:
            show(rows, "clips", count, count, *many_clips(folder / f"{count}", count))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if arguments.plot:
        plot(rows, arguments.plot)


def of_report(report: dict[str, Any]) -> tuple[float, float]:
    """Seconds and MiB of a run."""
    return report["duration_s"] / report["realtime_factor"], report["peak_memory_mib"]


def many_clips(folder: Path, count: int) -> tuple[float, float]:
    """Seconds and MiB of a job of so many clips."""
    folder.mkdir()
    soundfile.write(folder / "0.wav", np.random.default_rng(0).normal(0, 0.05, 16_000), 16_000)
    for number in range(1, count):
        os.link(folder / "0.wav", folder / f"{number}.wav")
    begun = time.perf_counter()
    command = ["binauralize", str(folder), "-o", f"{folder}.out", "--model", "mono-mono", "--jobs", "2", "--quiet"]
    subprocess.run([sys.executable, "-m", "hearsight", *command], check=True)
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def show(rows: list[dict[str, Any]], what: str, value: float, units: float, seconds: float, mib: float) -> None:
    if what not in [row["what"] for row in rows]:
        print(f"\n| {what} | seconds | seconds each | MiB |\n| ---: | ---: | ---: | ---: |")
    rows.append({"what": what, "value": value, "seconds": seconds, "mib": mib})
    print(f"| {value:g} | {seconds:.1f} | {seconds / units:.3g} | {mib:.0f} |", flush=True)


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for axis, what in zip(axes, ("minutes", "sources", "clips"), strict=True):
        chosen = [row for row in rows if row["what"] == what]
        axis.plot([row["value"] for row in chosen], [row["seconds"] for row in chosen], "o-", label="seconds")
        axis.plot([row["value"] for row in chosen], [row["mib"] for row in chosen], "s--", label="MiB")
        axis.set(xlabel=what, yscale="log", xscale="linear" if what == "sources" else "log")
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
