"""Conversion of text subtitles to the codec of another container."""

from fractions import Fraction
from typing import cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from hearsight.media.containers import MOV_FAMILY, Container

_TEXT = {"ass", "ssa", "subrip", "text", "webvtt", "mov_text"}
_MILLISECOND = Fraction(1, 1000)


def subtitle_codec(container: Container, codec: str) -> str | None:
    """Codec in which a container holds a text subtitle that it cannot hold unchanged; None if there is none."""
    if codec not in _TEXT:
        return None
    if container.muxer in MOV_FAMILY:
        return "mov_text"
    return {"matroska": "subrip", "webm": "webvtt"}.get(container.muxer)


class SubtitleConverter:
    """Converter of a text subtitle to another codec: words and simple marks (bold, italics) stay, positions may not.

    Args:
        stream: stream of the source.
        output: output, which gets a stream for it.
        codec: FFmpeg's name of the encoder.

    Raises:
        ValueError: no such encoder, or the container does not support it.
    """

    def __init__(self, stream: Stream, output: OutputContainer, codec: str) -> None:
        self._decoder = cast(SubtitleCodecContext, stream.codec_context)
        self.stream: Stream = output.add_stream(codec)
        self._encoder = cast(SubtitleCodecContext, self.stream.codec_context)
        self._decoder.open(strict=False)
        self._encoder.subtitle_header = self._decoder.subtitle_header or b""
        self._encoder.time_base = _MILLISECOND
        self.stream.time_base = _MILLISECOND

    def convert(self, packet: Packet) -> Packet | None:
        """Return the packet in the other codec, with the same times; None if nothing is shown."""
        if not packet.size or packet.pts is None:
            return None
        try:
            shown = self._decoder.decode2(packet)
            encoded = None if shown is None else self._encoder.encode_subtitle(shown)
        except av.error.FFmpegError:
            return None
        if encoded is None:
            return None
        ticks = packet.time_base / _MILLISECOND
        encoded.time_base = _MILLISECOND
        encoded.pts = encoded.dts = round(packet.pts * ticks)
        encoded.duration = round((packet.duration or 0) * ticks)
        encoded.stream = self.stream
        return encoded
