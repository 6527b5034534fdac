"""Presentation times of pictures in containers that keep decoding times only (AVI), found by decoding."""

import itertools
from collections import deque
from contextlib import suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from hearsight.media.opening import demuxed, open_source

_INSPECTED = 100  # packets from which the depth of reordering is found
_MOST_HELD = 400


def lacks_presentation_times(source: InputContainer, stream: VideoStream) -> bool:
    """Whether a picture is decoded in another order than it is shown, and the file does not keep the latter."""
    return "avi" in source.format.name.split(",") and bool(
        stream.codec_context.has_b_frames or stream.codec_context.codec.canonical_name in ("h264", "hevc")
    )


class PresentationOrder:
    """Gives the packets of a picture the times at which they are shown.

    Each packet is decoded with its number as its time; decoders give frames in the order in which they are shown. The
    k-th frame is shown when the k-th packet is said to be decoded, and packets are decoded as many frames earlier as
    the reordering is deep.

    Args:
        path: the file.
        index: of the stream in it.

    Attributes:
        index: of the stream.
        lost: packets that gave no frame (damaged): they are shown when they are decoded.
    """

    def __init__(self, path: Path, index: int) -> None:
        self.index = index
        self.lost = 0
        self._depth = _depth(path, index)
        self._decoder: av.VideoCodecContext | None = None
        self._numbers = itertools.count()
        self._waiting: deque[tuple[int, Packet]] = deque()
        self._times: deque[int] = deque()  # decoding times whose frames are not shown yet
        self._shown: dict[int, int] = {}  # time at which the packet of a number is shown

    def process(self, packet: Packet) -> list[Packet]:
        """The packets that are ready, given the next one (in decoding order)."""
        if packet.dts is None:
            return [packet]
        if self._decoder is None:
            self._decoder = _decoder_for(packet.stream)
        number = next(self._numbers)
        self._waiting.append((number, packet))
        self._times.append(packet.dts)
        if packet.size:
            self._decode(_numbered(packet, number))
        return self._ready(len(self._waiting) > _MOST_HELD)

    def rest(self) -> list[Packet]:
        """The packets that are left."""
        if self._decoder is not None:
            self._decode(None)
        ready = []
        while self._waiting:
            ready += self._ready(force=True)
        return ready

    def _decode(self, packet: Packet | None) -> None:
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            if frame.pts is not None and self._times:
                self._shown[frame.pts] = self._times.popleft()

    def _ready(self, force: bool = False) -> list[Packet]:
        ready = []
        while self._waiting and (force or self._waiting[0][0] in self._shown):
            number, packet = self._waiting.popleft()
            assert packet.dts is not None
            if number not in self._shown:
                self.lost += packet.size > 0
            packet.pts = self._shown.pop(number, packet.dts)
            packet.dts = min(packet.dts - self._depth * (packet.duration or 1), packet.pts)
            ready.append(packet)
            if force:
                break
        return ready


def _depth(path: Path, index: int) -> int:
    """By how many frames a packet is decoded at most before it is shown, in the first packets of a stream."""
    with open_source(path, salvage=True) as source:
        stream = source.streams[index]
        assert isinstance(stream, VideoStream)
        decoder = _decoder_for(stream)
        shown: list[int] = []
        number = 0
        for packet in demuxed(source, stream):
            if not packet.size:
                continue
            with suppress(av.error.FFmpegError):
                shown += [frame.pts for frame in decoder.decode(_numbered(packet, number)) if frame.pts is not None]
            number += 1
            if number == _INSPECTED:
                break
    return max((number - rank for rank, number in enumerate(shown)), default=0)


def _decoder_for(stream: VideoStream) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(stream.codec_context.codec.name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    if stream.codec_context.extradata:
        decoder.extradata = stream.codec_context.extradata
    decoder.width, decoder.height = stream.codec_context.width, stream.codec_context.height
    return decoder


def _numbered(packet: Packet, number: int) -> Packet:
    copy = av.Packet(bytes(packet))
    copy.pts = copy.dts = number
    return copy
