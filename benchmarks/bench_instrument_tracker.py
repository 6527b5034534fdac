"""Measure the time to find instruments in a clip: per detection, per measurement of motion, and per second of a clip.

    python benchmarks/bench_instrument_tracker.py
    python benchmarks/bench_instrument_tracker.py --clock cpu --json tracker.json

The pictures have 448 x 800 pixels and change from frame to frame; one thread is used. The columns give milliseconds of
a detection, of the same network's features in PyTorch (plain convolutions, in the same run), of one measurement of
motion, of the search for peaks and tracks after a detection, and of a second of a clip with everything (two detections,
four measurements).
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

from hearsight.nn.efficientnet_lite import EfficientNetLite0, lite_picture
from hearsight.vision.frames import Frame, small_grey
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
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    row = measured(arguments.repeats, clock)
    for name, took_ms in row.items():
        print(f"{name.removesuffix('_ms'):<20}{took_ms:8.1f} ms")
    if arguments.json:
        about = {"clock": arguments.clock, "torch": torch.__version__, "cores": os.cpu_count(), **row}
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(about, file, indent=2)


def measured(repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Measure the milliseconds of each part on smooth noise that moves slowly."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (60, 120, 3), dtype=np.uint8), (1000, 500), interpolation=cv2.INTER_CUBIC)
    frames = [
        Frame(k / FRAME_RATE_HZ, k, np.ascontiguousarray(wide[k % 20 : k % 20 + SIZE[0], 2 * k : 2 * k + SIZE[1]]))
        for k in range(2 * repeats + 1)
    ]
    network = EfficientNetLite0.pretrained()
    detector, meter, tracks = InstrumentDetector(network), MotionEnergyMeter(), ObjectTracks()
    pictures = [lite_picture(torch.from_numpy(frame.rgb)[None]) for frame in frames[:repeats]]
    seen = detector.see(frames[0].rgb)
    tracker = InstrumentTracker(detector)
    tracker.update(frames[0])
    second = timed(lambda index: tracker.update(frames[index + 1]), 2 * repeats, clock)
    meter.measure(small_grey(frames[0].rgb))
    with torch.inference_mode():
        plain = timed(lambda index: network.features(pictures[index]), repeats, clock)
    return {
        "detection_ms": statistics.median(timed(lambda index: detector.see(frames[index].rgb), repeats, clock)),
        "in_pytorch_ms": statistics.median(plain),
        "motion_ms": statistics.median(timed(lambda i: meter.measure(small_grey(frames[i].rgb)), repeats, clock)),
        "tracks_ms": statistics.median(timed(lambda index: tracks.update(0.5 * index, seen), repeats, clock)),
        "second_ms": FRAME_RATE_HZ * statistics.mean(second),
    }


def timed(work: Callable[[int], object], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Measure the milliseconds of each call."""
    took = []
    for index in range(repeats):
        begun = clock()
        work(index)
        took.append(1000 * (clock() - begun))
    return took


if __name__ == "__main__":
    main()
