"""Processing of a sound and its pictures by a session, window by window, in memory bounded by the windows."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from hearsight.models.interface import BinauralSession, Window, WindowSpec
from hearsight.models.sessions import ConfidentSession, PartsSession, SeeingSession, StretchedSession
from hearsight.signal import KeyedOverlapAdd, OverlapAdd
from hearsight.vision.frames import Frame, SmallFrame


class ColourPicture(Protocol):
    """Interface of a picture; `media.VideoFrame` is one."""

    @property
    def time_s(self) -> float: ...
    @property
    def number(self) -> int: ...
    @property
    def rgb(self) -> UInt8[np.ndarray, "height width 3"]: ...


class SmallPicture(Protocol):
    """Interface of a small picture for a `SeeingSession`; `media.SmallFrame` is one."""

    @property
    def time_s(self) -> float: ...
    @property
    def number(self) -> int: ...
    @property
    def grey(self) -> UInt8[np.ndarray, "rows columns"]: ...
    @property
    def rgb(self) -> UInt8[np.ndarray, "height width 3"] | None: ...


Picture = ColourPicture | SmallPicture


def walk(
    session: BinauralSession,
    spec: WindowSpec,
    sample_rate_hz: int,
    mono: Iterable[Float[Tensor, "_samples"]],
    pictures: Iterable[Picture] = (),
    notes: list[str] | None = None,
) -> Iterator[Float[Tensor, "2 _samples"]]:
    """Both ears, as they are finished; together as many samples as the mono sound.

    A window begins at every hop, and the last one ends at the last sample; a sound shorter than a window is padded with
    silence and trimmed again. Overlapping windows are averaged with equal weights except in the first and last hop of
    each, over which the weight rises and falls, so that windows that disagree leave no seam.

    A window gets the frame nearest to its centre, or all of its own (its start included, its end not); before the first
    picture and after the last, that picture is used. A `SeeingSession` with `frames="all"` instead gets each frame
    once, before the first window that contains it, and windows without frames: no frame is kept. A separate thread
    passes it the frames of the next windows while it processes some.

    Windows of a `ConfidentSession` are also weighted by their confidence.

    Output that is not finite is replaced by the mono sound in both ears, half in each.

    Args:
        sample_rate_hz: sample rate of the mono sound; the spec's, unless that is None.
        mono: blocks of any length.
        pictures: pictures in the order of their times.
        notes: list to which plain sentences about replacements are added.
    """
    sound = _Counted(mono)
    joined = OverlapAdd(_weight(*_window_and_hop(spec, sample_rate_hz)))
    replaced = 0
    batches = _batches(session, spec, sample_rate_hz, sound, pictures)
    if isinstance(session, StretchedSession):
        batches = _with_ears(session, batches)
    for starts, windows, seen in batches:
        ears_of_windows = session.process(windows, *seen)
        sure = confidences(session, len(windows))
        finished = []  # one block per batch: what follows costs more for many short blocks
        for start, window, ears, confidence in zip(starts, windows, ears_of_windows, sure, strict=True):
            if not bool(torch.isfinite(ears).all()):
                replaced += 1
                ears = (window.mono / 2).expand(2, -1)
            finished.append(joined.add(ears.float().cpu(), start, confidence))
        yield torch.cat(finished, -1)
    left = sound.samples - joined.start
    yield joined.finish()[:, :left]
    _note_replaced(replaced, notes)


def walk_parts(
    session: PartsSession,
    spec: WindowSpec,
    sample_rate_hz: int,
    mono: Iterable[Float[Tensor, "_samples"]],
    pictures: Iterable[Picture] = (),
    notes: list[str] | None = None,
) -> Iterator[tuple[int, int, dict[str, Float[Tensor, "samples"]]]]:
    """Run `walk` for the parts of a sound: (first sample, count, each source's part by its key), as they are finished.

    The rest, which belongs to no source, has no part. Parts that are not finite are dropped.

    Args:
        others: as in `walk`.
    """
    sound = _Counted(mono)
    joined = KeyedOverlapAdd(_weight(*_window_and_hop(spec, sample_rate_hz)))
    replaced = 0
    for starts, windows, seen in _batches(session, spec, sample_rate_hz, sound, pictures):
        parts_of_windows = session.parts(windows, *seen)
        for start, parts, confidence in zip(starts, parts_of_windows, confidences(session, len(windows)), strict=True):
            sane = {key: part.float().cpu() for key, part in parts.items() if bool(torch.isfinite(part).all())}
            replaced += len(sane) < len(parts)
            begin, samples, finished = joined.start, start - joined.start, joined.add(sane, start, confidence)
            if samples:
                yield begin, samples, finished
    begin, samples = joined.start, sound.samples - joined.start
    if samples > 0:
        yield begin, samples, {key: part[:samples] for key, part in joined.finish().items()}
    _note_replaced(replaced, notes)


def _note_replaced(windows: int, notes: list[str] | None) -> None:
    if windows and notes is not None:
        notes.append(
            f"{windows} windows came back with values that are not finite; the sound stays in the middle there"
        )


class _Counted:
    """Blocks of a sound, with a count of the samples read."""

    def __init__(self, mono: Iterable[Tensor]) -> None:
        self._mono, self.samples = mono, 0

    def __iter__(self) -> Iterator[Tensor]:
        for block in self._mono:
            self.samples += block.shape[-1]
            yield block


def _window_and_hop(spec: WindowSpec, sample_rate_hz: int) -> tuple[int, int]:
    """Window and hop in samples."""
    return max(1, round(spec.window_s * sample_rate_hz)), max(1, round(spec.hop_s * sample_rate_hz))


# first samples of the windows of a batch, the windows, and further arguments of `process`: output of `seen`, or of
# `processed`
_Batch = tuple[list[int], list[Window], tuple[Any, ...]]


def _batches(
    session: Any, spec: WindowSpec, sample_rate_hz: int, mono: Iterable[Tensor], pictures: Iterable[Picture]
) -> Iterator[_Batch]:
    """Batches of the windows of a sound; a sound shorter than a window is padded."""
    cut = _cut(mono, *_window_and_hop(spec, sample_rate_hz))
    together = iter(lambda: list(islice(cut, spec.batch)), [])
    if spec.frames != "all" or not isinstance(session, SeeingSession):
        held = _Pictures(pictures, spec)
        for batch in together:
            starts_s = [start / sample_rate_hz for start, _ in batch]
            windows = [
                Window(start_s, samples, held.of(start_s, spec.window_s))
                for start_s, (_, samples) in zip(starts_s, batch, strict=True)
            ]
            yield [start for start, _ in batch], windows, ()
        return
    shown = _Shown(pictures, session, spec)

    def see(windows: list[Window]) -> Any:
        shown.until(windows[-1].start_s + spec.window_s)
        return session.seen(windows)

    with ThreadPoolExecutor(1, "seeing") as thread:
        latest: tuple[list[int], list[Window], Future[Any]] | None = None
        for batch in together:
            windows = [Window(start / sample_rate_hz, samples, []) for start, samples in batch]
            following = [start for start, _ in batch], windows, thread.submit(see, windows)
            if latest is not None:
                yield latest[0], latest[1], (latest[2].result(),)
            latest = following
        if latest is not None:
            yield latest[0], latest[1], (latest[2].result(),)


def _with_ears(session: StretchedSession, batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """Add the results of workers to the batches."""
    begun: deque[tuple[list[int], list[Window]]] = deque()

    def windows_alone() -> Iterator[list[Window]]:
        for starts, windows, _ in batches:
            begun.append((starts, windows))
            yield windows

    for made in session.processed(windows_alone()):
        yield *begun.popleft(), (made,)


def confidences(session: Any, count: int) -> list[float]:
    """Weights in the overlap of the `count` windows that a session has just processed."""
    return session.confidences() if isinstance(session, ConfidentSession) else [1.0] * count


def _weight(window: int, hop: int) -> Tensor:
    ramp = min(hop, window - hop)
    rising = (torch.arange(1, ramp + 1) / (ramp + 1)).float()
    weight = torch.ones(window)
    weight[:ramp] = rising
    weight[window - ramp :] = torch.minimum(weight[window - ramp :], rising.flip(0))
    return weight


def _cut(mono: Iterable[Tensor], window: int, hop: int) -> Iterator[tuple[int, Tensor]]:
    """(first sample, `[window]`) of each window; a sound shorter than a window is padded."""
    buffer, start, total = torch.zeros(0), 0, 0  # the buffer begins at `start`, where the next window may begin
    covered = 0
    last: tuple[int, Tensor] = (0, buffer)  # the latest window, whose samples complete the last one
    for block in mono:
        total += block.shape[-1]
        buffer = torch.cat([buffer, block.float()])
        while buffer.shape[-1] >= window:
            last = (start, buffer[:window].clone())
            yield last
            covered = start + window
            buffer, start = buffer[hop:].clone(), start + hop
    if not total or covered == total:
        return
    if total < window:
        yield 0, F.pad(buffer, (0, window - total))
        return
    at, samples = last
    joined = torch.cat([samples[: max(0, start - at)], buffer])
    yield total - window, joined[joined.shape[-1] - window :]


class _Pictures:
    """Pictures that the present window may need, from a stream that is read as far as needed."""

    def __init__(self, pictures: Iterable[Picture], spec: WindowSpec) -> None:
        self._stream = iter(pictures)
        self._spec = spec
        self._held: deque[Frame] = deque()
        self._ended = spec.frames == "none"

    def of(self, start_s: float, window_s: float) -> list[Frame]:
        if self._spec.frames == "none":
            return []
        if self._spec.frames == "centre":
            centre_s = start_s + window_s / 2
            self._read_to(centre_s)
            while len(self._held) > 1 and _distance(self._held[1], centre_s) <= _distance(self._held[0], centre_s):
                self._held.popleft()
            return [self._held[0]] if self._held else []
        early_s = _early_s(self._spec)
        self._read_to(start_s + window_s)
        while len(self._held) > 1 and self._held[0].time_s < start_s - early_s:
            self._held.popleft()
        inside = [frame for frame in self._held if frame.time_s < start_s + window_s - early_s]
        return inside or list(self._held)[:1]

    def _read_to(self, time_s: float) -> None:
        while not self._ended and (not self._held or self._held[-1].time_s <= time_s):
            picture = next(self._stream, None)
            if picture is None:
                self._ended = True
            else:
                assert picture.rgb is not None  # small pictures are for `SeeingSession`
                self._held.append(Frame(picture.time_s, picture.number, picture.rgb))


class _Shown:
    """Pictures passed to a session one by one; the first that is too late is held."""

    def __init__(self, pictures: Iterable[Picture], session: SeeingSession, spec: WindowSpec) -> None:
        self._stream = iter(pictures)
        self._session, self._spec = session, spec
        self._next: Picture | None = None

    def until(self, end_s: float) -> None:
        """Pass on the pictures before a time."""
        while (picture := self._next or next(self._stream, None)) is not None:
            self._next = picture
            if picture.time_s >= end_s - _early_s(self._spec):
                return
            self._next = None
            grey = getattr(picture, "grey", None)
            if grey is not None:
                self._session.see(SmallFrame(picture.time_s, picture.number, grey, picture.rgb))
            else:
                assert picture.rgb is not None
                self._session.see(Frame(picture.time_s, picture.number, picture.rgb))


def _early_s(spec: WindowSpec) -> float:
    """Tolerance for a frame that belongs to a time but comes before it, by rounding of the tick's or window's time."""
    return 0.01 / spec.frame_rate_hz


def _distance(frame: Frame, time_s: float) -> float:
    return abs(frame.time_s - time_s)
