"""Presentation times of pictures in containers with decoding times only (AVI), found by decoding."""

import itertools
from collections import deque
from contextlib import suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from hearsight.media.opening import demuxed, open_source

_INSPECTED = 100  # packets inspected for the depth of reordering
_MOST_HELD = 400


def lacks_presentation_times(source: InputContainer, stream: VideoStream) -> bool:
    """Whether a picture has another order of decoding than of presentation, and the file does not store the latter."""
    return "avi" in source.format.name.split(",") and bool(
        stream.codec_context.has_b_frames or stream.codec_context.codec.canonical_name in ("h264", "hevc")
    )


class PresentationOrder:
    """Assignment of presentation times to the packets of a picture.

    Each packet is decoded with its number as its time; decoders return frames in order of presentation. The k-th frame
    is presented at the decoding time of the k-th packet, and packets are decoded earlier by as many frames as the depth
    of reordering.

    Args:
        path: path of the file.
        index: index of the stream in it.

    Attributes:
        index: index of the stream.
        lost: number of (damaged) packets without a frame: their presentation time is their decoding time.
    """

    def __init__(self, path: Path, index: int) -> None:
        self.index = index
        self.lost = 0
        self._depth = _depth(path, index)
        self._decoder: av.VideoCodecContext | None = None
        self._numbers = itertools.count()
        self._waiting: deque[tuple[int, Packet]] = deque()
        self._times: deque[int] = deque()  # decoding times not yet assigned to a frame
        self._shown: dict[int, int] = {}  # presentation time by number of the packet

    def process(self, packet: Packet) -> list[Packet]:
        """Return the packets that are ready, given the next one (in decoding order)."""
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
        """Return the packets that are left."""
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
    """Largest number of frames from decoding to presentation, in the first packets of a stream."""
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
