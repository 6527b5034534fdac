"""The walk through a clip: which windows and frames a session gets, and how its ears are put together."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.errors import MediaError
from hearsight.inference.windowing import walk
from hearsight.models.interface import Window, WindowSpec
from hearsight.vision.frames import Frame, SmallFrame
from hearsight.vision.tracks import Source

RATE = 1000


@dataclass
class Echo:
    """Gives every window back: left as it is, right negated; remembers what it was handed."""

    handed: list[Window] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    spoil: int | None = None

    def process(self, windows: list[Window]) -> torch.Tensor:
        self.calls.append(len(windows))
        ears = torch.stack([torch.stack([window.mono, -window.mono]) for window in windows])
        for index in range(len(windows)):
            if len(self.handed) + index == self.spoil:
                ears[index, 0, 3] = float("nan")
        self.handed += windows
        return ears

    def sources(self) -> list[Source]:
        return []

    def notes(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Shown:
    time_s: float
    number: int

    @property
    def rgb(self) -> np.ndarray:
        return np.full((2, 2, 3), self.number, np.uint8)


def _spec(**settings: object) -> WindowSpec:
    return WindowSpec(**{"sample_rate_hz": RATE, "window_s": 0.4, "hop_s": 0.1, "frames": "none", **settings})  # type: ignore[arg-type]


@given(
    samples=st.integers(1, 3000),
    window=st.integers(1, 700),
    hop_share=st.floats(0.05, 1.0),
    block=st.integers(1, 900),
    batch=st.integers(1, 5),
)
def test_ears_are_whole_and_right_for_any_lengths(
    samples: int, window: int, hop_share: float, block: int, batch: int
) -> None:
    mono = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    spec = _spec(window_s=window / RATE, hop_s=max(1, round(window * hop_share)) / RATE, batch=batch)
    session = Echo()
    blocks = list(walk(session, spec, RATE, mono.split(block)))
    ears = torch.cat(blocks, dim=-1)
    assert len(blocks) == len(session.calls) + 1  # one of each batch, and the rest: many short ones cost more
    assert ears.shape == (2, samples)
    assert torch.allclose(ears, torch.stack([mono, -mono]), atol=1e-5)
    assert max(session.calls) <= batch
    if samples >= window:
        assert session.handed[-1].start_s * RATE + window == pytest.approx(samples)


def test_windows_hold_the_sound_at_their_time() -> None:
    mono = torch.arange(1234).float()
    session = Echo()
    list(walk(session, _spec(), RATE, mono.split(100)))
    for window in session.handed:
        start = round(window.start_s * RATE)
        assert torch.equal(window.mono, mono[start : start + 400])


def test_an_empty_sound_gives_no_ears_and_asks_nothing() -> None:
    session = Echo()
    assert sum(part.shape[-1] for part in walk(session, _spec(), RATE, [])) == 0
    assert session.handed == []


def test_centre_frames_are_the_nearest_to_the_windows_centre() -> None:
    pictures = [Shown(0.05 + 0.1 * k, k) for k in range(12)]
    session = Echo()
    list(walk(session, _spec(frames="centre"), RATE, [torch.zeros(1500)], pictures))
    for window in session.handed:
        centre = window.start_s + 0.2
        nearest = min(abs(picture.time_s - centre) for picture in pictures)
        assert [abs(frame.time_s - centre) for frame in window.frames] == pytest.approx([nearest])


def test_all_frames_are_those_within_the_window_and_the_last_picture_stays() -> None:
    pictures = [Shown(k / 10, k) for k in range(12)]
    session = Echo()
    list(walk(session, _spec(frames="all"), RATE, [torch.zeros(2000)], pictures))
    for window in session.handed:
        first = round(window.start_s * 10)
        expected = [k for k in range(first, first + 4) if k < 12] or [11]
        assert [frame.number for frame in window.frames] == expected


def test_windows_that_are_not_finite_are_replaced_and_reported() -> None:
    mono, notes = torch.ones(1000), []  # type: ignore[var-annotated]
    ears = torch.cat(list(walk(Echo(spoil=2), _spec(hop_s=0.4), RATE, [mono], notes=notes)), dim=-1)
    assert torch.isfinite(ears).all()
    assert torch.allclose(ears[:, 800:], torch.tensor(0.5)) or torch.allclose(ears[0, :400], mono[:400])
    assert len(notes) == 1 and "finite" in notes[0]


def test_seams_between_windows_that_disagree_are_hidden() -> None:
    class Alternating(Echo):
        def process(self, windows: list[Window]) -> torch.Tensor:
            value = float(round(windows[0].start_s / 0.2) % 2)
            return torch.full((1, 2, 400), value)

    ears = torch.cat(list(walk(Alternating(), _spec(hop_s=0.2), RATE, [torch.zeros(4000)])), dim=-1)
    assert ears[0].diff().abs().max() < 0.01


@dataclass
class FrameSession(Echo):
    """Sees each frame by itself; remembers how far it had seen when it was asked for the windows."""

    frames: list[Frame | SmallFrame] = field(default_factory=list)
    seen_until: list[float] = field(default_factory=list)

    def see(self, frame: Frame | SmallFrame) -> None:
        self.frames.append(frame)

    def seen(self, windows: list[Window]) -> tuple[float, float]:
        self.seen_until.append(self.frames[-1].time_s)
        return windows[0].start_s, self.frames[-1].time_s

    def process(self, windows: list[Window], seen: tuple[float, float] | None = None) -> torch.Tensor:
        assert not any(window.frames for window in windows)
        assert seen is not None and seen[0] == windows[0].start_s  # what was seen for these windows, not for others
        return super().process(windows)


@dataclass(frozen=True)
class Small:
    time_s: float
    number: int
    grey: np.ndarray
    rgb: np.ndarray | None


def test_who_sees_frames_as_they_come_gets_each_once_and_before_its_windows() -> None:
    spec = WindowSpec(sample_rate_hz=None, window_s=0.4, hop_s=0.2, frames="all", frame_rate_hz=10, batch=2)
    grey = np.zeros((9, 16), np.uint8)
    pictures = [Small(k / 10, k, grey, np.zeros((2, 2, 3), np.uint8) if k % 4 == 0 else None) for k in range(30)]
    session = FrameSession()
    ears = torch.cat(list(walk(session, spec, RATE, [torch.ones(2000)], pictures)), -1)
    assert ears.shape == (2, 2000)
    # The sound ends at 2 s: what is shown later belongs to no window.
    assert [frame.number for frame in session.frames] == list(range(20))
    assert all(isinstance(frame, SmallFrame) for frame in session.frames)
    assert [frame.rgb is not None for frame in session.frames] == [k % 4 == 0 for k in range(20)]
    # Two windows together end at 0.6 s, the next two at 1.0 s: the last frame before each end, and none after it.
    assert session.seen_until == pytest.approx([0.5, 0.9, 1.3, 1.7, 1.9])


IMAGENET_INSTRUMENTS = WindowSpec(sample_rate_hz=None, window_s=0.4, hop_s=0.2, frames="all", frame_rate_hz=10, batch=2)


def test_the_next_windows_frames_are_seen_while_some_are_processed() -> None:
    @dataclass
    class Waits(FrameSession):
        ahead: threading.Event = field(default_factory=threading.Event)

        def see(self, frame: Frame | SmallFrame) -> None:
            super().see(frame)
            if frame.time_s > 0.65:  # the first two windows end at 0.6 s
                self.ahead.set()

        def process(self, windows: list[Window], seen: tuple[float, float] | None = None) -> torch.Tensor:
            assert self.ahead.wait(20)
            return super().process(windows, seen)

    session = Waits()
    ears = torch.cat(
        list(walk(session, IMAGENET_INSTRUMENTS, RATE, [torch.ones(2000)], [Shown(k / 10, k) for k in range(20)])), -1
    )
    assert ears.shape == (2, 2000)


@pytest.mark.parametrize("broken_at", [0, 4, 13])
def test_what_goes_wrong_with_the_pictures_is_raised_and_nobody_waits(broken_at: int) -> None:
    def pictures() -> Iterator[Shown]:
        for k in range(20):
            if k == broken_at:
                raise MediaError("damaged")
            yield Shown(k / 10, k)

    with pytest.raises(MediaError, match="damaged"):
        list(walk(FrameSession(), IMAGENET_INSTRUMENTS, RATE, [torch.ones(2000)], pictures()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seeing")]


def test_a_walk_that_is_left_early_ends_its_thread() -> None:
    going = walk(FrameSession(), IMAGENET_INSTRUMENTS, RATE, [torch.ones(5000)], (Shown(k / 10, k) for k in range(50)))
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seeing")]
