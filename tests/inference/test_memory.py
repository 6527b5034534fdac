"""Memory does not grow with the length: what is held, and the peak of a process that runs a short and a long clip."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch

from hearsight.inference.windowing import walk
from hearsight.models.interface import Window, WindowSpec
from hearsight.vision.frames import Frame

_CHILD = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from hearsight.inference import choose_model, ears_of
from hearsight.models.interface import ClipInfo
from hearsight.vision.frames import Frame
way, seconds, rate = sys.argv[1], int(sys.argv[2]), 16_000
model = choose_model("positions", sources=None if way == "searched" else [(0.2, 0.5)])
if way == "network":
    from hearsight.inference import NeuralModel
    from hearsight.models.mono2binaural import Mono2Binaural
    model = NeuralModel(Mono2Binaural.small(), hop_s=0.3, precision="float32")
size = model.spec.frame_size or (8, 8)
generator = np.random.default_rng(0)
faces = [generator.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(2)]
rate_hz = model.spec.frame_rate_hz
frames = (Frame(k / rate_hz, k, np.roll(faces[0], k, axis=1)) for k in range(int(seconds * rate_hz)))
sound = (0.1 * torch.from_numpy(generator.standard_normal((1, rate)).astype(np.float32)) for _ in range(seconds))
session = model.session(ClipInfo(rate, seconds, rate_hz, size))
samples = sum(ears.shape[-1] for ears in ears_of(session, model.spec, rate, sound, "mono", frames))
assert samples == seconds * rate
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


_SEPARATED = """
import resource, sys, tempfile
import numpy as np, soundfile, torch
torch.set_num_threads(1)
import hearsight
seconds, rate = int(sys.argv[1]), 16_000
noise = 0.1 * np.random.default_rng(0).standard_normal(rate)
with tempfile.TemporaryDirectory() as folder:
    with soundfile.SoundFile(f"{folder}/in.wav", "w", rate, 1) as file:
        for _ in range(seconds):
            file.write(noise)
    stems = hearsight.separate(f"{folder}/in.wav", f"{folder}/stems", sources=[(0.2, 0.5)])
    assert stems.samples == seconds * rate
    hearsight.render_stems(stems, f"{folder}/out.wav", gains_db={"source 1": -3})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_stems_are_made_and_rendered_in_memory_that_does_not_grow() -> None:
    peaks = []
    for seconds in ("60", "600"):
        command = [sys.executable, "-c", _SEPARATED, seconds]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] < peaks[0] + 40


def _peak_mib(way: str, seconds: int) -> float:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, way, str(seconds)], check=True, capture_output=True, text=True
    )
    return float(child.stdout)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("way", "short_s", "long_s"),
    [
        ("given", 60, 3600),
        ("searched", 60, 600),
        ("network", 30, 300),
    ],
)
def test_peak_memory_does_not_grow_with_the_length(way: str, short_s: int, long_s: int) -> None:
    short, long = _peak_mib(way, short_s), _peak_mib(way, long_s)
    assert long < short + 40


@pytest.mark.parametrize(("frames", "most"), [("all", 2 * (0.4 + 2 * 0.1) * 20), ("centre", 2 * 3 + 4)])
def test_pictures_are_held_no_longer_than_their_windows(frames: str, most: float) -> None:
    """Counted, with Python's search for cycles off: a picture that only that would free is held."""
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    held: list[int] = []

    def picture(number: int) -> Frame:
        rgb = np.zeros((9, 16, 3), np.uint8).view(_Watched)
        alive.add(rgb)
        return Frame(number / 20, number, rgb)

    class Middle:
        def process(self, windows: list[Window]) -> torch.Tensor:
            assert all(window.frames for window in windows)
            held.append(len(alive))
            return torch.stack([window.mono.expand(2, -1) / 2 for window in windows])

        def sources(self) -> list[object]:
            return []

        def notes(self) -> list[str]:
            return []

    spec = WindowSpec(
        sample_rate_hz=1000, window_s=0.4, hop_s=0.1, frames=frames, frame_rate_hz=20, frame_size=(9, 16), batch=3
    )
    gc.collect()
    gc.disable()
    try:
        pictures = (picture(number) for number in range(30 * 20))
        mono = (torch.ones(250) for _ in range(30 * 4))
        samples = sum(ears.shape[-1] for ears in walk(Middle(), spec, 1000, mono, pictures))
    finally:
        gc.enable()
    assert samples == 30_000
    assert len(held) > 90
    assert max(held) <= most


class _Watched(np.ndarray):
    """An array that can be watched by identity."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__
