"""Copying of streams packet by packet: support by a container, and packets with the output's times."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from hearsight.media.codecs import SoundCodec, sound_codec
from hearsight.media.containers import MATROSKA, MOV_FAMILY, Container
from hearsight.media.opening import demuxed, media_errors, packets
from hearsight.media.reordering import PresentationOrder, lacks_presentation_times

# Statistics and brands of the source's file, which would be wrong for the new one; its muxer writes its own.
_NOT_OURS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"}
_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION")
_NAMED_IN_TS = {"h264", "hevc", "vvc", "mpeg2video", "mpeg1video", "mpeg4"} | {
    *("aac", "mp3", "mp2", "ac3", "eac3", "opus", "dts"),
    *("dvb_subtitle", "dvb_teletext"),
}
_NAMED_IN_FLV = {"h264", "hevc", "av1", "vp9", "flv1", "flashsv", "flashsv2", "vp6f", "vp6a", "h263"}
# Containers that store the pixel aspect ratio of a copied picture outside its packets.
_KEEPS_ASPECT = MOV_FAMILY | MATROSKA | {"avi", "asf", "nut", "mxf"}
_KEEPS_ROTATION = MOV_FAMILY | MATROSKA
_TRIED_PACKETS = 4


def is_same_container(container: Container, source: InputContainer) -> bool:
    """Whether a target's container is the source's own, so that codec tags mean the same in both."""
    names = source.format.name.split(",")
    return container.muxer in names or (container.muxer in MOV_FAMILY and "mov" in names)


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec, or of its type if the codec is unknown."""
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return (stream.name if stream.type == "data" else None) or stream.type


def why_not(container: Container, source: InputContainer, stream: Stream) -> str | None:
    """Reason why a container cannot hold a stream, or None if it can. Tried on a file in memory."""
    same_container = is_same_container(container, source)
    name = codec_name(stream)
    if container.muxer == "mpegts" and not same_container and name not in _NAMED_IN_TS:
        return f"MPEG-TS has no place for {name}"  # FFmpeg writes it, but nothing can read it
    if stream.disposition & Disposition.attached_pic and container.muxer in ("mov", "3gp", "3g2", "f4v"):
        return "MOV has no place for cover art"  # FFmpeg takes it and loses it
    if container.muxer == "avi" and not same_container and isinstance(stream, VideoStream) and _reordered(stream):
        return f"AVI keeps no presentation times, which {name} needs"
    if container.muxer == "flv" and stream.type == "video" and name not in _NAMED_IN_FLV:
        return f"FLV has no place for {name}"
    if stream.codec_context is None and stream.type in ("video", "audio", "subtitle"):
        return f"its codec is unknown to this FFmpeg, which cannot copy it{_tag_in_words(stream)}"
    return None if _is_taken(container, same_container, stream) else f"{container.muxer} has no place for {name}"


def why_no_picture(
    container: Container, source: InputContainer, picture: VideoStream, codec: SoundCodec, first: Sequence[Packet]
) -> str | None:
    """Reason why a container cannot hold a picture beside the new sound, or None; tried with its first packets, too."""
    reason = None if container.muxer == "dv" else why_not(container, source, picture)
    if reason is not None:
        return reason
    with _Trial(container) as trial:
        try:
            copy = copy_of(picture, trial, _keeps_tag(container, is_same_container(container, source), picture))
            add_encoder(trial, codec, codec.rate_for(48_000))
            trial.start_encoding()
            for packet in first:
                again = av.Packet(bytes(packet))
                again.time_base, again.is_keyframe = packet.time_base, packet.is_keyframe
                again.pts, again.dts = packet.pts, packet.dts
                if packet.dts is not None:
                    again.pts = max(packet.dts, packet.dts if packet.pts is None else packet.pts)
                again.stream = copy
                trial.mux_one(again)
        except (ValueError, av.error.FFmpegError):
            return f"{container.muxer} has no place for {codec_name(picture)} beside {codec.encoder}"
    return None


def add_encoder(output: OutputContainer, codec: SoundCodec, sample_rate_hz: int, layout: str = "stereo") -> AudioStream:
    """Add an encoded stream with two channels, or with those of a layout, to the output.

    Raises:
        ValueError: the container does not support the codec.
    """
    stream = output.add_stream(codec.encoder, rate=sample_rate_hz)
    assert isinstance(stream, AudioStream)
    encoder = stream.codec_context
    encoder.layout = layout
    if codec.sample_format:
        encoder.format = codec.sample_format
    if codec.bit_rate:
        encoder.bit_rate = codec.bit_rate
    return stream


def takes_sound(container: Container, codec: SoundCodec) -> bool:
    """Whether FFmpeg's muxer supports the codec; tried in memory."""
    with _Trial(container) as trial:
        try:
            trial.add_stream(codec.encoder, rate=codec.rate_for(48_000))
        except ValueError:
            return False
    return True


def first_packets(source: InputContainer, stream: Stream) -> list[Packet]:
    """Read the first packets of a stream, from the present position of the file."""
    found: list[Packet] = []
    for packet in demuxed(source, stream):
        if packet.size:
            found.append(packet)
        if len(found) == _TRIED_PACKETS:
            break
    return found


def copy_of(stream: Stream, output: OutputContainer, keep_tag: bool) -> Stream:
    """Add a stream to the output for the packets of another."""
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(kept_metadata(stream.metadata))
    copy.disposition = stream.disposition
    if isinstance(stream, VideoStream):
        if stream.sample_aspect_ratio:  # the container's value takes precedence over the codec's
            copy.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio  # type: ignore[attr-defined]
        if output.format.name == "avi":
            # AVI counts frames; with a finer time base it would insert empty ones.
            copy.time_base = steady_frame_s(stream) or stream.time_base
    if keep_tag and stream.codec_context is not None:
        with suppress(UnicodeDecodeError, UnicodeEncodeError):  # a non-ASCII tag; the muxer chooses one
            copy.codec_context.codec_tag = stream.codec_context.codec_tag
    return copy


def copy_into(container: Container, source: InputContainer, stream: Stream, output: OutputContainer) -> Stream:
    """Add a stream to the output for the packets of another, with the codec tag of the source where it fits."""
    return copy_of(stream, output, _keeps_tag(container, is_same_container(container, source), stream))


def lost_of_picture(container: Container, picture: VideoStream, rotation_deg: int) -> list[str]:
    """Properties of a picture that a container cannot keep, in words."""
    lost = []
    if rotation_deg and container.muxer not in _KEEPS_ROTATION:
        lost.append(
            f"the picture's rotation by {rotation_deg} degrees was left out: {container.muxer} has no place for it"
        )
    said = aspect_beside_packets(picture)
    if said is not None and container.muxer not in _KEEPS_ASPECT:
        lost.append(
            f"the picture's pixel aspect ratio {said.numerator}:{said.denominator} was left out: "
            f"{container.muxer} has no place for it"
        )
    return lost


def aspect_beside_packets(picture: VideoStream) -> Fraction | None:
    """Pixel aspect ratio that a file states outside a picture's packets; None if the packets state the same."""
    said, own = picture.sample_aspect_ratio, picture.codec_context.sample_aspect_ratio
    return said if said and (own or Fraction(1)) != said else None


def steady_frame_s(stream: VideoStream) -> Fraction | None:
    """Duration of a frame of a picture with a constant frame rate, in seconds; None for other pictures."""
    rate = stream.average_rate
    return 1 / rate if rate and rate == stream.base_rate else None


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without entries that apply to the source's file only."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _NOT_OURS and not key.upper().startswith(_STATISTICS)
    }


def written_anew(source: InputContainer, stream: Stream) -> bool:
    """Whether a MOV data track is one that the muxer makes itself: chapters or time code."""
    if stream.type != "data" or "mov" not in source.format.name:
        return False
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(source.chapters()))


def _keeps_tag(container: Container, same_container: bool, stream: Stream) -> bool:
    """Whether the codec tag of the source fits in the target; otherwise the muxer chooses one."""
    return same_container and stream.codec_context is not None and _opens(container, stream, keep_tag=True)


def _is_taken(container: Container, same_container: bool, stream: Stream) -> bool:
    return _keeps_tag(container, same_container, stream) or _opens(container, stream, keep_tag=False)


def _opens(container: Container, stream: Stream, keep_tag: bool) -> bool:
    with _Trial(container) as trial:
        try:
            if container.is_sound_alone:  # a cover alone is not a valid file
                codec = sound_codec(container.sound)
                add_encoder(trial, codec, codec.rate_for(48_000))
            copy_of(stream, trial, keep_tag)
            trial.start_encoding()
        except (ValueError, av.error.FFmpegError):
            return False
    return True


class _Trial:
    """Context with an output in memory."""

    def __init__(self, container: Container) -> None:
        self._output = av.open(io.BytesIO(), "w", format=container.muxer, container_options={"strict": "unofficial"})

    def __enter__(self) -> OutputContainer:
        return self._output

    def __exit__(self, *_: object) -> None:
        with suppress(av.error.FFmpegError, ValueError):
            self._output.close()


def _tag_in_words(stream: Stream) -> str:
    tag = getattr(stream, "codec_tag", "")
    return f" (tag {tag!r})" if tag else ""


def _reordered(stream: VideoStream) -> bool:
    return stream.codec_context.has_b_frames or stream.codec_context.codec.canonical_name in ("h264", "hevc", "vvc")


class CopiedPackets:
    """The source's packets for the copied streams, in the file's order, up to a given time.

    Args:
        source, path: the open file and its path.
        copies: streams of the output by index of the copied stream.
        shift_s: time subtracted from all times.
        part: first and last time, on the source's clock, of the copied part; None: all. A picture begins with the first
            key frame at or after the first time.
        reorder: index of a picture whose presentation times are found by decoding; None: none.
        salvage: leave out truncated packets.
    """

    def __init__(
        self,
        source: InputContainer,
        path: Path,
        copies: dict[int, Stream],
        shift_s: Fraction,
        part: tuple[Fraction, Fraction | None] | None = None,
        reorder: int | None = None,
        salvage: bool = False,
    ) -> None:
        self._salvage = salvage
        self._path, self._copies, self._shift_s, self._part = path, copies, shift_s, part
        chosen = [stream for stream in source.streams if stream.index in copies and stream.type != "attachment"]
        if part is not None and part[0] > 0:
            picture = next((stream for stream in chosen if stream.type == "video"), None)
            seek_before(source, picture, part[0])
        self._packets = packets(source, *chosen) if chosen else iter(())
        self._order = None if reorder is None else PresentationOrder(path, reorder)
        self._begun: dict[int, Fraction] = {}
        self._ready: list[Packet] = []
        self._held: Packet | None = None
        self.hidden = 0  # packets that the source's edit list hides
        self.broken = 0  # packets left out because muxers refuse them, or would write a damaged file

    @property
    def unordered(self) -> int:
        """Number of pictures whose presentation time could not be found by decoding."""
        return 0 if self._order is None else self._order.lost

    def until(self, time_s: Fraction | None) -> Iterator[Packet]:
        """Yield packets with decoding times up to `time_s` (None: all that are left), assigned to their copies."""
        while True:
            packet, self._held = self._held or self._next(), None
            if packet is None:
                return
            stamp = packet.dts if packet.dts is not None else packet.pts
            if time_s is not None and stamp is not None and stamp * packet.time_base > time_s:
                self._held = packet
                return
            yield packet

    def _next(self) -> Packet | None:
        """Return the next packet, assigned and with the output's time; None at the end."""
        while not self._ready:
            with media_errors(self._path):
                packet = next(self._packets, None)
            if packet is None and self._order is None:
                return None
            if packet is None:
                assert self._order is not None
                self._ready, self._order = [self._addressed(each) for each in self._order.rest()], None
                if not self._ready:
                    return None
            elif (packet.size == 0 and packet.dts is None) or (self._salvage and packet.is_corrupt):
                continue  # the end of a stream, or truncated
            elif packet.stream.type == "video" and codec_name(packet.stream) == "av1" and not _has_whole_obus(packet):
                self.broken += 1
            elif self._order is not None and packet.stream.index == self._order.index:
                self._ready = [self._addressed(each) for each in self._order.process(packet)]
            elif self._is_in_part(packet):
                self._ready = [self._addressed(packet)]
        return self._ready.pop(0)

    def _is_in_part(self, packet: Packet) -> bool:
        if self._part is None:
            return True
        begin, end = self._part
        stamps = [stamp * packet.time_base for stamp in (packet.pts, packet.dts) if stamp is not None]
        if not stamps:
            return True
        index = packet.stream.index
        if index not in self._begun:
            late_enough = stamps[0] >= begin - Fraction(1, 2000)
            if not late_enough or (packet.stream.type == "video" and not packet.is_keyframe):
                return False
            self._begun[index] = stamps[0]
        # Pictures presented before the first key frame refer to missing ones; the last ones in decoding order may be
        # presented before others that are referred to.
        return stamps[0] >= self._begun[index] and (end is None or stamps[-1] < end)

    def _addressed(self, packet: Packet) -> Packet:
        self.hidden += packet.is_discard
        ticks = round(self._shift_s / packet.time_base)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        packet.stream = self._copies[packet.stream.index]
        return packet


def _has_whole_obus(packet: Packet) -> bool:
    """Whether the units of an AV1 packet fill it (AV1 specification, sections 5.3 and 4.10.5).

    FFmpeg's muxers parse them; that of MP4 adds an error code to the length that it writes.
    """
    data = bytes(packet)
    place = 0
    while place < len(data):
        header = data[place]
        place += 1 + (header >> 2 & 1)
        size = len(data) - place
        if header >> 1 & 1:
            coded = data[place : place + 8]
            used = next((number for number, byte in enumerate(coded, 1) if byte < 0x80), None)
            if used is None:
                return False
            size = sum((byte & 0x7F) << 7 * number for number, byte in enumerate(coded[:used]))
            place += used
        if header & 0x80 or not 0 <= size <= len(data) - place:
            return False
        place += size
    return True


def seek_before(source: InputContainer, picture: Stream | None, time_s: Fraction) -> None:
    """Seek to the key frame at or before a time on the source's clock, if the source has an index; else stay."""
    early_s = max(Fraction(0), time_s - 1)  # some formats seek by decoding time, which precedes presentation
    with suppress(av.error.FFmpegError):
        if picture is not None and picture.time_base:
            source.seek(int(early_s / picture.time_base), stream=picture)
        else:
            source.seek(int(early_s * 1_000_000))


__all__ = [
    "CopiedPackets",
    "add_encoder",
    "codec_name",
    "copy_into",
    "first_packets",
    "kept_metadata",
    "lacks_presentation_times",
    "lost_of_picture",
    "seek_before",
    "steady_frame_s",
    "takes_sound",
    "why_no_picture",
    "why_not",
    "written_anew",
]
