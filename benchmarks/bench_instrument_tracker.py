"""What it costs to see instruments in a clip: a detection, a measurement of motion, and a second of a clip.

    python benchmarks/bench_instrument_tracker.py
    python benchmarks/bench_instrument_tracker.py --clock cpu --json tracker.json

Pictures are of 448 x 800 pixels and change from frame to frame. Compared in one run: float32 and bfloat16, which only
processors with AMX or AVX-512-BF16 are faster in, on one thread and on two. Columns: milliseconds of a detection (at
most 100 on two cores), of one measurement of motion, of the search for peaks and tracks after a detection,
and of a second of a clip with everything (two detections, four measurements).
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.instrument_tracker import FRAME_RATE_HZ, InstrumentTracker
from hearsight.vision.motion_energy import MotionEnergyMeter
from hearsight.vision.object_tracks import ObjectTracks

SIZE = (448, 800)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="of each, of which the median counts (10)")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu, for one thread on a machine that others use"
    )
    parser.add_argument("--json", help="file to write the numbers to")
    arguments = parser.parse_args()
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    rows = []
    print(f"{'precision':>9} {'threads':>7} {'seen ms':>8} {'motion ms':>9} {'tracks ms':>9} {'second ms':>9}")
    for threads in (1,) if arguments.clock == "cpu" else (1, 2):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        for dtype in (torch.float32, torch.bfloat16):
            row = measured(dtype, arguments.repeats, clock)
            rows.append({"precision": str(dtype).removeprefix("torch."), "threads": threads, **row})
            print(
                f"{rows[-1]['precision']:>9} {threads:>7} {row['detection_ms']:8.1f} {row['motion_ms']:9.1f} "
                f"{row['tracks_ms']:9.1f} {row['second_ms']:9.1f}",
                flush=True,
            )
    if arguments.json:
        about = {"clock": arguments.clock, "torch": torch.__version__, "cores": os.cpu_count(), "rows": rows}
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(about, file, indent=2)


def measured(dtype: torch.dtype, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Milliseconds of each part, on smooth noise that drifts."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (60, 120, 3), dtype=np.uint8), (1000, 500), interpolation=cv2.INTER_CUBIC)
    frames = [
        Frame(k / FRAME_RATE_HZ, k, np.ascontiguousarray(wide[k % 20 : k % 20 + SIZE[0], 2 * k : 2 * k + SIZE[1]]))
        for k in range(2 * repeats + 1)
    ]
    detector, meter, tracks = InstrumentDetector(dtype=dtype), MotionEnergyMeter(), ObjectTracks()
    seen = detector.see(frames[0].rgb)
    tracker = InstrumentTracker(detector)
    tracker.update(frames[0])
    second = timed(lambda index: tracker.update(frames[index + 1]), 2 * repeats, clock)
    meter.measure(frames[0].rgb, 0.25)
    return {
        "detection_ms": statistics.median(timed(lambda index: detector.see(frames[index].rgb), repeats, clock)),
        "motion_ms": statistics.median(timed(lambda index: meter.measure(frames[index].rgb, 0.25), repeats, clock)),
        "tracks_ms": statistics.median(timed(lambda index: tracks.update(0.5 * index, seen), repeats, clock)),
        "second_ms": FRAME_RATE_HZ * statistics.mean(second),
    }


def timed(work: Callable[[int], object], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Milliseconds of each call."""
    took = []
    for index in range(repeats):
        begun = clock()
        work(index)
        took.append(1000 * (clock() - begun))
    return took


if __name__ == "__main__":
    main()
