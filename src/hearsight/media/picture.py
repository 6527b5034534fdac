"""Reading of pictures: a stream of RGB frames at a requested rate, as a player would show them."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame as DecodedFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from hearsight.errors import MediaError
from hearsight.media.media_info import Orientation, clip_start, displayed_size, frame_time
from hearsight.media.opening import decoded, open_source, packets, require_picture, restarts_clock
from hearsight.media.selection import WHOLE, Selection
from hearsight.media.tone_mapping import tone_mapped

# Matroska rounds timestamps to 1 ms; a frame that begins this little after a tick is shown at it.
_ROUNDING_S = Fraction(1, 1000)
_SAME_S = 1e-9  # rounding error of a sum of decimal fractions
_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD_LINES = 720


@dataclass(frozen=True)
class VideoFrame:
    """A picture of a clip.

    Attributes:
        time_s: clip time (0 is the first sample of the sound): the tick, or the frame's own time without a rate.
        rgb: the picture as displayed. Read-only, and shared by all ticks at which it is shown.
        number: number of the distinct picture, from 0; frames with the same number are the same picture.
        shown_s: clip time at which a player begins to show it; may be negative if the picture begins first.
    """

    time_s: float
    rgb: UInt8[np.ndarray, "height width 3"]
    number: int
    shown_s: float


def read_frames(
    path: str | os.PathLike[str],
    rate_hz: float | None = None,
    size: tuple[int, int] | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    notes: list[str] | None = None,
    selection: Selection = WHOLE,
) -> Iterator[VideoFrame]:
    """Read the pictures of a video as displayed: rotated, deinterlaced, 8-bit RGB, in bounded memory.

    With a rate, one frame per tick `start_s + k / rate_hz`: the one shown at that time by the file's timestamps
    (variable frame rates and gaps hold the last frame; before the first frame, the first is used). Without a rate,
    every frame at its own time.

    Colours follow the stream's matrix (BT.709 if an HD stream has none, else BT.601); high dynamic range (HLG, PQ) is
    mapped to a standard screen (`tone_mapping`).

    Args:
        path: a video file.
        rate_hz: ticks per second, or None.
        size: (height, width) to which frames are stretched; None for the displayed size.
        start_s: clip time of the first tick; without a rate, frames that end before it are left out.
        end_s: clip time at which to stop (exclusive); after the picture's end, its last frame is repeated. None: stop
            at the end of the last frame.
        notes: list to which plain sentences about damage are added.
        selection: picture to read; with a selected part, times count from its beginning.

    Raises:
        MediaError: the file cannot be read, has no picture, or none of its pictures can be decoded.
    """
    if rate_hz is not None and not rate_hz > 0:
        raise ValueError("rate_hz must be positive")
    if selection.end_s is not None:
        end_s = min(selection.end_s - selection.start_s, math.inf if end_s is None else end_s)
    with open_source(path, selection.salvage) as container:
        stream = require_picture(container, path, selection)
        begin = clip_start(path, selection) + Fraction(selection.start_s)
        _seek(container, stream, begin + Fraction(start_s), selection.start_s + start_s > 0)
        shown = _shown(container, stream, path, begin, start_s, rate_hz, notes if notes is not None else [])
        display = _Display(stream, size)
        if rate_hz is None:
            yield from _all_frames(shown, display, start_s, end_s)
            return
        picture: VideoFrame | None = None
        for time_s, number, item in _ticks(shown, Fraction(rate_hz), Fraction(start_s), end_s):
            if picture is None or number != picture.number:
                picture = VideoFrame(time_s, display.show(item.frame), number, float(item.from_s))
            yield VideoFrame(time_s, picture.rgb, number, picture.shown_s)


@dataclass(frozen=True)
class SmallFrame:
    """A small grey picture of a clip, at some ticks also in colour.

    Attributes:
        time_s, number: as in `VideoFrame`.
        grey: the picture as displayed. Read-only, and shared by all ticks at which it is shown.
        rgb: the picture in colour, in another size, at some ticks.
    """

    time_s: float
    grey: UInt8[np.ndarray, "rows columns"]
    number: int
    rgb: UInt8[np.ndarray, "height width 3"] | None = None


def read_small_frames(
    path: str | os.PathLike[str],
    rate_hz: float,
    grey_size: tuple[int, int],
    rgb_size: tuple[int, int] | None,
    rgb_every: int,
    notes: list[str] | None = None,
    selection: Selection = WHOLE,
) -> Iterator[SmallFrame]:
    """Read frames as `read_frames` does at a rate, but small and grey: four times as fast if colour is seldom needed.

    Args:
        path, rate_hz, notes, selection: as in `read_frames`.
        grey_size: (height, width) to which grey frames are stretched.
        rgb_size: the same for colour frames; None for the displayed size.
        rgb_every: number of ticks from one colour frame to the next.

    Raises:
        MediaError: as `read_frames`.
    """
    end_s = None if selection.end_s is None else selection.end_s - selection.start_s
    with open_source(path, selection.salvage) as container:
        stream = require_picture(container, path, selection)
        begin = clip_start(path, selection) + Fraction(selection.start_s)
        _seek(container, stream, begin, selection.start_s > 0)
        shown = _shown(container, stream, path, begin, 0.0, rate_hz, notes if notes is not None else [])
        greys, colours = _Display(stream, grey_size, "gray"), _Display(stream, rgb_size)
        grey: np.ndarray | None = None
        rgb: np.ndarray | None = None
        latest = -1
        for tick, (time_s, number, item) in enumerate(_ticks(shown, Fraction(rate_hz), Fraction(0), end_s)):
            if grey is None or number != latest:
                grey, rgb, latest = greys.show(item.frame), None, number
            wanted = tick % rgb_every == 0
            if wanted and rgb is None:
                rgb = colours.show(item.frame)
            yield SmallFrame(time_s, grey, number, rgb if wanted else None)


@dataclass
class _Shown:
    """A decoded frame with the clip times of its appearance and, if no frame follows, of its end."""

    frame: DecodedFrame
    from_s: Fraction
    until_s: Fraction


def _ticks(
    shown: Iterator[_Shown], rate_hz: Fraction, start_s: Fraction, end_s: float | None
) -> Iterator[tuple[float, int, _Shown]]:
    """(clip time, number of the distinct picture, shown frame) of each tick."""
    current = next(shown)
    tick, number = 0, -1
    while True:
        following = next(shown, None)
        if following is not None:
            stop = following.from_s - _ROUNDING_S
        elif end_s is None:
            stop = current.until_s - _ROUNDING_S
        else:
            stop = None
        is_new = True
        while True:
            at_s = start_s + tick / rate_hz
            if end_s is not None and at_s > end_s - _SAME_S:
                return
            if stop is not None and at_s >= stop:
                break
            number += is_new
            is_new = False
            yield float(at_s), number, current
            tick += 1
        if following is None:
            return
        current = following


def _all_frames(
    shown: Iterator[_Shown], display: "_Display", start_s: float, end_s: float | None
) -> Iterator[VideoFrame]:
    number = 0
    for item in shown:
        if end_s is not None and item.from_s >= end_s:
            return
        if start_s > 0 and item.until_s <= start_s:
            continue
        time_s = float(item.from_s)
        yield VideoFrame(time_s, display.show(item.frame), number, time_s)
        number += 1


def _shown(
    container: InputContainer,
    stream: VideoStream,
    path: str | os.PathLike[str],
    begin: Fraction,
    start_s: float,
    rate_hz: float | None,
    notes: list[str],
) -> Iterator[_Shown]:
    """Frames in order of presentation, with clip times. At least one.

    With a rate, frames may be missing that no tick shows.
    """
    usual = 1 / (stream.average_rate or stream.guessed_rate or Fraction(25))
    last: Fraction | None = None
    for frame in _deinterlaced(_decoded(container, stream, begin, start_s, rate_hz, notes)):
        if frame.pts is None:
            at = last + usual if last is not None else Fraction(0)
        else:
            at = frame_time(frame) - begin
        if last is not None and at <= last:
            continue  # a damaged timestamp: a player never goes back
        lasts = frame.duration * frame.time_base if frame.duration and frame.time_base else usual
        yield _Shown(frame, at, at + lasts)
        last = at
    if last is None:
        raise MediaError(f"{path}: no picture of it can be decoded; the file is damaged", "unreadable")


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    begin: Fraction,
    start_s: float,
    rate_hz: float | None,
    notes: list[str],
) -> Iterator[DecodedFrame]:
    stream.thread_type = "AUTO"
    ticks = _TickedPackets(stream, begin, start_s, rate_hz) if rate_hz is not None else None
    damaged = 0
    for packet in packets(container, stream):
        if ticks is not None:
            stream.codec_context.skip_frame = "NONREF" if ticks.show_none_of(packet) else "DEFAULT"
        frames = cast(list[DecodedFrame] | None, decoded(packet))
        damaged += frames is None
        if ticks is not None and frames and frames[0].interlaced_frame:
            ticks = None  # a deinterlacer needs the neighbouring frames
            stream.codec_context.skip_frame = "DEFAULT"
        yield from frames or []
    if damaged:
        notes.append(f"{damaged} damaged packet(s) of the picture could not be decoded; the frame before stays")


def _seek(container: InputContainer, stream: VideoStream, at_s: Fraction, is_late: bool) -> None:
    """Seek to the key frame before a time on the container's clock, if it is late in the file."""
    if is_late and stream.time_base is not None and not restarts_clock(container):
        # A second early: some formats seek by decoding time, which precedes presentation.
        target_s = max(Fraction(0), at_s - 1)
        with suppress(av.error.FFmpegError):  # without an index, everything is decoded from the start
            container.seek(int(target_s / stream.time_base), stream=stream)


class _TickedPackets:
    """Finder of packets whose picture no tick shows, which need not be decoded if no other picture refers to it.

    Only for H.264 with a constant frame rate: there the decoder knows the references, and the duration of a picture is
    known before the next packet. (If a picture is missing after all, its ticks may show the one before the last.)
    Streams with B pictures have many of such packets.
    """

    def __init__(self, stream: VideoStream, begin: Fraction, start_s: float, rate_hz: float) -> None:
        self._begin, self._start_s, self._rate_hz = begin, Fraction(start_s), Fraction(rate_hz)
        is_constant = stream.average_rate is not None and stream.average_rate == stream.base_rate
        is_known = is_constant and stream.codec_context.name == "h264"
        self._lasts_s = 1 / stream.average_rate if is_known and stream.average_rate else None

    def show_none_of(self, packet: Packet) -> bool:
        if self._lasts_s is None or packet.pts is None:
            return False
        at_s = packet.pts * packet.time_base - self._begin - self._start_s
        tick = max(0, math.ceil((at_s - _ROUNDING_S) * self._rate_hz))
        # The next picture is shown at ticks from `_ROUNDING_S` before it on, and begins at most that much late.
        return tick / self._rate_hz >= at_s + self._lasts_s


def _deinterlaced(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """Deinterlace frames marked as interlaced with FFmpeg's `bwdif`; others stay unchanged."""
    graph: _Deinterlacer | None = None
    for frame in frames:
        if graph is not None and not graph.fits(frame):
            yield from graph.flush()
            graph = None
        if graph is None and frame.interlaced_frame:
            graph = _Deinterlacer(frame)
        if graph is None:
            yield frame
        else:
            yield from graph.process(frame)
    if graph is not None:
        yield from graph.flush()


class _Deinterlacer:
    """Filter with one output per frame, a frame late; keeps the display matrix, which filters drop."""

    def __init__(self, like: DecodedFrame) -> None:
        self._form = (like.width, like.height, like.format.name)
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=like.time_base or Fraction(1, 1000)
        )
        filters = [source, self._graph.add("bwdif", "mode=send_frame:deint=interlaced"), self._graph.add("buffersink")]
        self._graph.link_nodes(*filters).configure()

    def fits(self, frame: DecodedFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._form

    def process(self, frame: DecodedFrame) -> list[DecodedFrame]:
        self._graph.push(frame)
        return self._pulled()

    def flush(self) -> list[DecodedFrame]:
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> list[DecodedFrame]:
        pulled: list[DecodedFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return pulled
            assert isinstance(frame, DecodedFrame)
            pulled.append(frame)


class _Display:
    """Converter of decoded frames to RGB or grey as displayed; reuses FFmpeg's scaler, which saves a third."""

    def __init__(
        self, stream: VideoStream, size: tuple[int, int] | None, form: Literal["rgb24", "gray"] = "rgb24"
    ) -> None:
        self._stream, self._size, self._form = stream, size, form
        self._scaler = VideoReformatter()
        self._orientation = Orientation()

    def show(self, frame: DecodedFrame) -> UInt8[np.ndarray, "height width *channels"]:
        turns, is_mirrored = self._orientation.of(frame)
        height, width = self._size or displayed_size(frame, self._stream, turns)
        if turns % 2:
            height, width = width, height
        shrinks = height * width < frame.height * frame.width
        converted = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=self._form,
            src_colorspace=_matrix(frame),
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
        )
        rgb: np.ndarray = tone_mapped(converted.to_ndarray(), frame.color_trc)
        if is_mirrored:
            rgb = rgb[:, ::-1]
        rgb = np.ascontiguousarray(np.rot90(rgb, turns))
        rgb.flags.writeable = False
        return rgb


def _matrix(frame: DecodedFrame) -> int | None:
    if frame.colorspace != _UNSPECIFIED:
        return None
    return int(Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601)
