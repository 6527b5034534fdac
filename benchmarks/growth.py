"""Measure the growth of memory and time with the length of a video, the number of sources, and the number of clips.

    python benchmarks/growth.py [--minutes 1 6 60] [--model NAME] [--sample-rate HZ] [--audio-codec NAME]
                                [--sources 1 2 4 6] [--clips 10 100 1000] [--listed 1000 10000 100000] [--json FILE]
                                [--plot FILE.png]

Length: 320 x 180 at 25 frames a second with stereo sound at 48 kHz, or at `--sample-rate` (a multiple of 128, so that
eight seconds are whole AAC frames); the long files repeat the packets of an eight-second clip
(`bench_binauralize.make_clip`). Sources: the default model with this number of given sources, on a minute of video.
Clips: a list of links to one second of noise, `--jobs 2`, the model mono-mono. Listed: the same with a manifest in
which all clips but one are done. Each run is a separate command. Seconds are processor time of the command and its
workers, so that other programs do not matter; memory is the highest resident memory of the largest process. Linear
growth means equal seconds per minute, or per clip, everywhere.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench_binauralize import CLIP_S, RATE, make_clip, repeat_packets

SIZE = (180, 320)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 6, 60])
    parser.add_argument("--model")
    parser.add_argument("--sample-rate", type=int, default=RATE, metavar="HZ")
    parser.add_argument("--audio-codec", metavar="NAME", help="of the outputs of long videos (default: AAC)")
    parser.add_argument("--sources", type=int, nargs="*", default=[1, 2, 4, 6])
    parser.add_argument("--clips", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--listed", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_clip(folder / "clip.mp4", SIZE, 3, sample_rate_hz=arguments.sample_rate)
        long, out = folder / "long.mp4", folder / "out.mp4"
        model = ["--model", arguments.model] if arguments.model else []
        codec = ["--audio-codec", arguments.audio_codec] if arguments.audio_codec else []
        for minutes in arguments.minutes:
            repeat_packets(folder / "clip.mp4", long, max(1, round(60 * minutes / CLIP_S)))
            show(rows, "minutes", minutes, *binauralize(long, "-o", out, *model, *codec))
        repeat_packets(folder / "clip.mp4", long, round(60 / CLIP_S))
        for count in arguments.sources:
            places = [f"{(number + 0.5) / count:.3f},0.5" for number in range(count)]
            options = [word for place in places for word in ("--source", place)]
            show(rows, "sources", count, *binauralize(long, "-o", out, *options))
        for count in arguments.clips:
            show(rows, "clips", count, *many_clips(folder / f"clips-{count}", count, 0))
        for count in arguments.listed:
            show(rows, "listed", count, *many_clips(folder / f"listed-{count}", count, count - 1))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if arguments.plot:
        plot(rows, arguments.plot)


def binauralize(*arguments: str | Path) -> tuple[float, float]:
    """Run the command and measure its processor seconds and MiB."""
    process = subprocess.Popen([sys.executable, "-m", "hearsight", "binauralize", *map(str, arguments), "--quiet"])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"hearsight binauralize: exit status {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def many_clips(folder: Path, count: int, done: int) -> tuple[float, float]:
    """Measure processor seconds and MiB of a job with a number of clips, some of which are already done."""
    out = folder / "out"
    out.mkdir(parents=True)
    names = [f"{number}.wav" for number in range(count)]
    soundfile.write(folder / names[0], np.random.default_rng(0).normal(0, 0.05, 16_000), 16_000)
    link(folder / names[0], [folder / name for name in names[1:]])
    listing, manifest = folder / "list.txt", folder / "manifest.jsonl"
    listing.write_text("\n".join(str(folder / name) for name in names), encoding="utf-8")
    options = ["--model", "mono-mono", "--jobs", "2", "--manifest", str(manifest)]
    if done:
        binauralize(folder / names[0], "-o", out, *options)
        (line,) = manifest.read_text(encoding="utf-8").splitlines()
        (first,) = out.glob("*.wav")
        link(first, [out / first.name.replace("0", Path(name).stem, 1) for name in names[1:done]])
        lines = [line.replace("/0.", f"/{Path(name).stem}.") for name in names[:done]]
        manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    used = binauralize(listing, "-o", out, *options)
    made = sum(1 for _ in out.glob("*.wav"))
    if made != count:
        raise SystemExit(f"{made} outputs of {count} clips")
    return used


def link(file: Path, names: list[Path]) -> None:
    """Give a file further names; file systems allow only some ten thousand links to one file."""
    for number, name in enumerate(names, 1):
        if number % 50_000 == 0:
            shutil.copyfile(file, name)
            file = name
        else:
            os.link(file, name)


def show(rows: list[dict[str, Any]], what: str, value: float, seconds: float, mib: float) -> None:
    units = 1 if what == "sources" else value
    if what not in [row["what"] for row in rows]:
        print(f"\n| {what} | seconds | seconds each | MiB |\n| ---: | ---: | ---: | ---: |")
    rows.append({"what": what, "value": value, "seconds": seconds, "mib": mib})
    print(f"| {value:g} | {seconds:.1f} | {seconds / units:.3g} | {mib:.0f} |", flush=True)


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 4, figsize=(14, 3), layout="constrained")
    for axis, what in zip(axes, ("minutes", "sources", "clips", "listed"), strict=True):
        chosen = [row for row in rows if row["what"] == what]
        axis.plot([row["value"] for row in chosen], [row["seconds"] for row in chosen], "o-", label="seconds")
        axis.plot([row["value"] for row in chosen], [row["mib"] for row in chosen], "s--", label="MiB")
        axis.set(xlabel=what, yscale="log", xscale="linear" if what == "sources" else "log")
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
