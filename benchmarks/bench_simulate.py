"""Measure simulated concerts per minute, and the time of each part.

    python benchmarks/bench_simulate.py [--clips 40] [--workers 2] [--json FILE]

Makes a set of ten-second clips of 480x240 at 16 kHz in a temporary folder with this number of workers, including the
start of their processes, and checks it; then makes a few clips in this process and times their parts. Target: 20 clips
a minute on two cores.
"""

import argparse
import importlib.metadata
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from hearsight.acoustics import load_hrirs
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.simulation import Settings, check_folder, simulate
from hearsight.simulation.gestures import gestures
from hearsight.simulation.picture import views
from hearsight.simulation.scene import random_scene
from hearsight.simulation.sound import FULL_SCALE, make_sound
from hearsight.simulation.synthesizer import Synthesizer
from hearsight.simulation.write import make_clip

TARGET_PER_MINUTE = 20
LIBRARIES = ("numpy", "scipy", "torch", "opencv-python-headless", "av", "soxr", "pyfluidsynth", "pyroomacoustics")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", type=int, default=12, help="clips whose parts are timed")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = Settings(seed=arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        begun = time.perf_counter()
        simulate(folder, arguments.clips, settings, workers=arguments.workers)
        made_s = time.perf_counter() - begun
        begun = time.perf_counter()
        faults = check_folder(folder).faults
        checked_s = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        parts = timed_parts(Path(temporary), settings, arguments.parts)
    per_minute = 60 * arguments.clips / made_s
    result = {
        "clips": arguments.clips,
        "workers": arguments.workers,
        "cores": os.cpu_count(),
        "seconds": round(made_s, 2),
        "clips_per_minute": round(per_minute, 2),
        "target_clips_per_minute": TARGET_PER_MINUTE,
        "check_s": round(checked_s, 2),
        "faults": len(faults),
        "megabytes_per_clip": round(size / arguments.clips / 1e6, 2),
        "cpu_seconds_per_clip": parts,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    print(f"{arguments.clips} clips with {arguments.workers} workers: {made_s:.1f} s, {per_minute:.1f} clips a minute")
    print(f"checked in {checked_s:.1f} s: {len(faults)} faults; {result['megabytes_per_clip']} MB a clip")
    for name, seconds in parts.items():
        print(f"  {name:28s} {seconds:6.2f} s of CPU a clip")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def timed_parts(folder: Path, settings: Settings, clips: int) -> dict[str, float]:
    """Measure the mean CPU seconds per clip of sound, drawing with a still and a moving camera, encoding, and the
    whole."""
    synthesizer, hrirs = Synthesizer(), load_hrirs()
    hrirs.at_rate(settings.sample_rate_hz).interpolated(0.1, 0.1)
    spent: dict[str, list[float]] = {
        "sound": [], "drawing, still camera": [], "drawing, moving camera": [], "encoding": [], "whole clip": [],
    }  # fmt: skip
    times = np.arange(settings.frames) / settings.frame_rate_hz
    for part in ("stems", "depth", "scenes"):
        (folder / part).mkdir(exist_ok=True)
    for number in range(1, clips + 1):
        scene = random_scene(settings, number)
        begun = time.process_time()
        sound = make_sound(scene, settings, synthesizer, hrirs)
        spent["sound"].append(time.process_time() - begun)
        poses = [
            gestures(p.instrument, notes, times, 60 / sound.music.tempo_bpm, index)
            for index, (p, notes) in enumerate(zip(scene.performers, sound.music.parts, strict=True))
        ]
        begun = time.process_time()
        depth = [k % settings.frame_rate_hz == 0 for k in range(settings.frames)]
        frames = [view.colour for view in views(scene, settings, poses, depth)]
        camera = "still" if scene.listener.motion == "still" else "moving"
        spent[f"drawing, {camera} camera"].append(time.process_time() - begun)
        begun = time.process_time()
        write_clip(folder, "part", frames, settings.frame_rate_hz, sound.mix / FULL_SCALE, settings.sample_rate_hz)
        spent["encoding"].append(time.process_time() - begun)
        begun = time.process_time()
        make_clip(folder, number, settings, synthesizer, hrirs)
        spent["whole clip"].append(time.process_time() - begun)
    return {name: round(float(np.mean(seconds)), 3) for name, seconds in spent.items() if seconds}


if __name__ == "__main__":
    main()
