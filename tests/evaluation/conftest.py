"""A small dataset in FAIR-Play's layout, and systems simple enough to know what must come out."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hearsight.datasets.fair_play_layout import write_clip, write_splits
from hearsight.media import write_wav

RATE = 16_000

SYSTEMS = '''
"""Systems for tests."""

import torch

from hearsight.errors import MediaError
from hearsight.models.interface import WindowSpec


class Panned:
    """Pans the mono by where the bright bar is in the picture; fails where asked."""

    def __init__(self, gain=1.0, fails_beyond=None):
        self.name = "panned"
        self.gain, self.fails_beyond = gain, fails_beyond
        self.spec = WindowSpec(16_000, 0.63, 0.1, "centre", 10.0, (32, 64), batch=4)

    def session(self, clip):
        return self

    def process(self, windows):
        return torch.stack([self._ears(window) for window in windows])

    def _ears(self, window):
        (frame,) = window.frames
        columns = (frame.rgb[..., 0].astype(float) - frame.rgb[..., 0].min()).clip(40).sum(0) - 40 * 32
        x = (columns * range(64)).sum() / columns.sum() / 63
        if self.fails_beyond is not None and x > self.fails_beyond:
            raise MediaError("no such place")
        difference = self.gain * (1 - 2 * x) * window.mono
        return torch.stack([(window.mono + difference) / 2, (window.mono - difference) / 2])

    def sources(self):
        return []

    def notes(self):
        return []


panned = Panned
'''


def panned_ears(seed: int, x: float, seconds: float) -> np.ndarray:
    """Noise panned by amplitude, as the system `panned` does it."""
    mono = 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)
    return np.stack([mono * (1 - x), mono * x])


def write_dataset(folder: Path, clips: int = 4, seconds: float = 0.9, swapped: bool = False) -> Path:
    """Clips with a bright bar at `x` and noise panned to it (to the other side if `swapped`), in two splits."""
    (folder / "scenes").mkdir(parents=True)
    for number in range(1, clips + 1):
        x = number / (clips + 1)
        frame = np.full((64, 128, 3), 20, np.uint8)
        frame[:, max(0, round(x * 127) - 3) : round(x * 127) + 4] = 220
        heard = 1 - x if swapped else x
        name = f"{number:06d}"
        write_clip(folder, name, [frame] * round(seconds * 10), 10, panned_ears(number, heard, seconds), RATE)
        azimuth_deg = math.degrees((0.5 - x) * 2 * math.pi / 3)
        point = {"time_s": 0.0, "x": x, "y": 0.5, "azimuth_deg": azimuth_deg, "elevation_deg": 0.0, "confidence": 1.0}
        scene = {"sources": [{"label": "bar", "track": [point]}]}
        (folder / "scenes" / f"{name}.json").write_text(json.dumps(scene))
    names = [f"{number:06d}" for number in range(1, clips + 1)]
    write_splits(folder, {"test": names[:-1], "train": names[-1:]}, 1)
    write_splits(folder, {"test": names[1:], "train": names[:1]}, 2)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Four clips of 0.9 s; not to be changed."""
    return write_dataset(tmp_path_factory.mktemp("concerts") / "concerts")


@pytest.fixture(scope="session")
def dubbed_dataset(tmp_path_factory) -> Path:
    """Two clips whose ears are others than those in the videos; not to be changed."""
    folder = write_dataset(tmp_path_factory.mktemp("dubbed") / "concerts", clips=2)
    for number in (1, 2):
        write_wav(folder / "binaural_audios" / f"{number:06d}.wav", panned_ears(100 + number, 0.3, 0.9), RATE)
    return folder


@pytest.fixture(scope="session")
def long_dataset(tmp_path_factory) -> Path:
    """Four clips of 6 s, long enough to be listened to; not to be changed."""
    return write_dataset(tmp_path_factory.mktemp("long") / "concerts", seconds=6.0)


@pytest.fixture(scope="session")
def systems_module(tmp_path_factory) -> Iterator[str]:
    """The name of a module with the systems, importable here and in workers."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "systems_for_tests.py").write_text(SYSTEMS)
    sys.path.insert(0, str(folder))
    yield "systems_for_tests"
    sys.path.remove(str(folder))
