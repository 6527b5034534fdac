"""Measure the time of the page's jobs: opening a clip, moving one source or all sources, dividing the sound again.

    python benchmarks/bench_page.py [CLIP ...] [--json FILE]

Without a clip, the sample of `hearsight demo` is used in lengths of 20 s and 60 s. A second source is added by hand.
Each job runs in this process as in a worker of the page, with the libraries loaded; for a job that only renders, the
best of three runs counts. Prints seconds of the clock and of the processor, and the ratio of the clock's to the clip's
length.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hearsight.app import work
from hearsight.simulation.demo_scene import sample_scene, write_sample_scene

Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    rows: list[Result] = []
    with tempfile.TemporaryDirectory() as made:
        clips = chosen.clips
        if not clips:
            clips = [Path(made) / f"sample-{seconds}s.mp4" for seconds in (20, 60)]
            for clip, seconds in zip(clips, (20.0, 60.0), strict=True):
                write_sample_scene(sample_scene(seconds), clip)
        print(f"{'clip':24} {'job':24} {'clock s':>8} {'CPU s':>8} {'clock / clip':>13}")
        for number, clip in enumerate(clips):
            rows += measured(clip, Path(made) / str(number))
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1))


def measured(clip: Path, folder: Path) -> list[Result]:
    """Time the jobs that a visitor with one clip starts."""
    (folder / "out").mkdir(parents=True)
    common = {"folder": str(folder), "source": str(clip), "label": clip.name, "longest_s": 1e9}
    rows: list[Result] = []

    def timed(name: str, job: Callable[[Result, work.JobProgress], Result], asked: Result) -> Result:
        begins = time.perf_counter(), time.process_time()
        result = job({**common, **asked}, work.JobProgress(lambda news: None))
        spent = time.perf_counter() - begins[0], time.process_time() - begins[1]
        rows.append({"clip": clip.name, "job": name, "clock_s": spent[0], "cpu_s": spent[1]})
        return result

    opened = timed("open", work.open_clip, {})
    duration_s = opened["duration_s"]
    sources = [{**each, "gain_db": 0, "muted": False} for each in opened["sources"]]
    added = {"part": None, "label": "added", "track": [[0, 0.8, 0.5]], "gain_db": 0, "muted": False}
    scene = {"split": opened["split"], "fov_deg": opened["fov_deg"], "strength": 1.0, "away": []}
    divided = timed("divide again", work.divide, {**scene, "sources": [*sources, added]})
    scene["split"], sources = divided["split"], [{**each, "gain_db": 0, "muted": False} for each in divided["sources"]]
    for step in range(1, 4):  # each time to a place for which nothing has been rendered yet
        timed(
            "render one that moved", work.render, {**scene, "sources": [shifted(sources[0], 0.03 * step), *sources[1:]]}
        )
    for step in range(1, 4):
        timed("render all", work.render, {**scene, "strength": 1 - 0.1 * step, "sources": sources})
    best = [
        min((row for row in rows if row["job"] == name), key=lambda row: row["clock_s"])
        for name in dict.fromkeys(row["job"] for row in rows)
    ]
    for row in best:
        row |= {"duration_s": duration_s, "sources": len(sources), "clock_by_duration": row["clock_s"] / duration_s}
        print(
            f"{row['clip'][:24]:24} {row['job']:24} {row['clock_s']:8.2f} {row['cpu_s']:8.2f} "
            f"{row['clock_by_duration']:13.3f}",
            flush=True,
        )
    return best


def shifted(source: Result, by: float) -> Result:
    """Move a source and its whole path to the right by a part of the picture's width."""
    return {**source, "track": [[time_s, x + by, y] for time_s, x, y in source["track"]]}


if __name__ == "__main__":
    main()
