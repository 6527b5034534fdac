"""The output: the input's packets untouched, and two ears in the place of its sound."""

import errno
import io
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import HearsightError, MediaError
from hearsight.files import written_whole
from hearsight.media.codecs import SOUND_ALONE, codec_for, container_for
from hearsight.media.media_info import clip_start
from hearsight.media.opening import (
    media_errors,
    open_source,
    packets,
    picture_stream,
    restarts_clock,
    sound_stream,
    time_of,
)
from hearsight.signal import StreamResampler

# Statistics and brands of the source's file, which would be wrong of the new one; its muxer writes its own.
_NOT_OURS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"}
_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION")
_MOV_FAMILY = {"mp4", "mov", "ipod", "3gp"}
# 1 / 90000 s: edit lists are written in this unit, and the default of 1 ms would move the sound by half of it.
_MOVIE_TIMESCALE = 90_000
_ENCODE_SAMPLES = 4096
_WITHOUT_CHAPTERS = {"mpegts", "flv", "avi", "wav", "flac", "adts"}
_NAMED_IN_TS = {"h264", "hevc", "vvc", "mpeg2video", "mpeg1video"} | {"aac", "mp3", "mp2", "ac3", "eac3", "opus", "dts"}


class BinauralWriter:
    """Writes a copy of `source` in which the sound is replaced by two ears, block by block, in bounded memory.

    Picture, subtitles, other sound tracks, cover art, attachments, chapters and metadata are copied untouched; the
    picture's packets keep every bit as long as the container's kind stays the same. The first sample that is written is
    presented when the source's first sample was. A target named .wav or .flac holds the sound alone.

    Usage:
        with BinauralWriter(source, target, sample_rate_hz) as writer:
            for ears in blocks:  # [2, samples]
                writer.write(ears)

    The target appears when the context ends without an exception, whole; else it is left as it was.

    Args:
        source: the file that is copied.
        target: where to; the suffix tells the container. May be the source itself.
        sample_rate_hz: of what is written. A codec that has no such rate (Opus: 48 kHz) gets the next one.
        audio_codec: "aac", "opus", "flac", "mp3", "ac3", "alac", "pcm16" or "pcm24"; None for the container's usual:
            AAC at 256 kb/s in MP4, MOV and MPEG-TS, Opus in WebM and Ogg, FLAC in Matroska, 16-bit PCM in AVI.

    Attributes:
        notes: plain sentences about what could not be kept.

    Raises:
        MediaError: the source cannot be read, or the container cannot hold its picture or the codec.
        HearsightError: the target's folder cannot be written, or the disk is full.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        sample_rate_hz: int,
        audio_codec: str | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._source, self._target = Path(source), Path(target)
        self._rate = sample_rate_hz
        self._container = container_for(target)
        self._codec = codec_for(target, audio_codec)
        self._alone = self._target.suffix.lower() in SOUND_ALONE
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        start_s = clip_start(self._source)
        with ExitStack() as stack:
            temporary = stack.enter_context(written_whole(self._target))
            source = stack.enter_context(open_source(self._source))
            self._shift_s = _avi_shift(source, start_s) if self._container == "avi" else _clock_start(source)
            self._output = av.open(
                f"file:{temporary}",
                "w",
                format=self._container,
                metadata_errors="surrogateescape",
                container_options=_muxer_options(self._container, source),
            )
            stack.callback(self._abandon)
            self._last_dts: dict[int, int] = {}
            self._moved = 0
            copies = self._lay_out(source)
            self._copied = _Copied(source, self._source, copies, self._shift_s)
            self._resampler = StreamResampler(self._rate, self._encoder.sample_rate, channels=2)
            with self._write_errors():
                self._output.start_encoding()
            self._begin(start_s - self._shift_s)
            self._stack = stack.pop_all()
        return self

    def write(self, ears: Float[Tensor, "2 samples"]) -> None:
        """Append both ears, left first. What exceeds full scale is clipped where the codec takes integers.

        Raises:
            ValueError: not two channels, or not finite.
            HearsightError: the disk is full.
        """
        if ears.ndim != 2 or ears.shape[0] != 2:
            raise ValueError(f"ears must be [2, samples], not {list(ears.shape)}")
        ears = ears.detach().cpu().to(torch.float32)
        if not np.isfinite(ears.numpy()).all():
            raise ValueError("ears must be finite")
        self._encode(self._resampler.process(ears))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            self._encode(self._resampler.process(torch.zeros(2, 0), last=True))
            self._mux(self._encoder.encode(None))
            for packet in self._copied.until(None):
                self._mux_one(self._in_order(packet))
            with self._write_errors():
                self._output.close()
            if self._moved:
                self.notes.append(f"{self._moved} packet(s) whose times go back stand behind the one before instead")
            if self._copied.hidden and self._container not in _MOV_FAMILY:
                self.notes.append(
                    f"{self._copied.hidden} packet(s) that the source's edit list hides are shown: "
                    f"{self._container} has no edit lists"
                )
        return None

    def _lay_out(self, source: InputContainer) -> dict[int, Stream]:
        """Give the output its streams, in the source's order; the copies by the index of what they copy."""
        self._output.metadata.update(_kept(source.metadata))
        sound = sound_stream(source)
        copies: dict[int, Stream] = {}
        if sound is None or self._alone:
            self._add_sound(sound)
        for stream in [] if self._alone else source.streams:
            if sound is not None and stream.index == sound.index:
                self._add_sound(sound)
            elif (copy := self._add_copy(source, stream)) is not None:
                copies[stream.index] = copy
        chapters = source.chapters()
        if chapters and self._container in _WITHOUT_CHAPTERS and not self._alone:
            self.notes.append(f"the {len(chapters)} chapters were left out: {self._container} has none")
        elif chapters:
            self._output.set_chapters([_shifted(chapter, self._shift_s) for chapter in chapters])
        return copies

    def _add_sound(self, replaced: AudioStream | None) -> None:
        rate = self._codec.rate_for(self._rate)
        try:
            stream = self._output.add_stream(self._codec.encoder, rate=rate, options=dict(self._codec.options))
        except ValueError as error:
            raise MediaError(
                f"{self._target}: {self._container} cannot hold {self._codec.encoder} sound; choose another audio codec"
            ) from error
        assert isinstance(stream, AudioStream)
        self._sound = stream
        self._encoder = stream.codec_context
        self._encoder.layout = "stereo"
        if self._codec.sample_format:
            self._encoder.format = self._codec.sample_format
        if self._codec.bit_rate:
            self._encoder.bit_rate = self._codec.bit_rate
        if replaced is not None:
            stream.metadata.update(_kept(replaced.metadata))
            stream.disposition = replaced.disposition
            if self._container == "mpegts":
                stream.id = replaced.id
        if rate != self._rate:
            self.notes.append(f"the sound is written at {rate} Hz, as {self._codec.encoder} has no {self._rate} Hz")

    def _add_copy(self, source: InputContainer, stream: Stream) -> Stream | None:
        """A stream of the output that takes `stream`'s packets; None, with a note, if the container has no place."""
        if _written_anew(source, stream):
            return None
        if self._container == "matroska" and stream.disposition & Disposition.attached_pic:
            _attach_cover(self._output, self._source, stream)
            return None
        is_picture = (shown := picture_stream(source)) is not None and shown.index == stream.index
        same_kind = self._container in source.format.name.split(",") or (
            self._container in _MOV_FAMILY and "mov" in source.format.name
        )
        reason = _why_not(self._container, same_kind, stream)
        if reason is None:
            return _copy_of(stream, self._output, same_kind)
        if is_picture:
            raise MediaError(
                f"{self._target}: {Path(self._target).suffix} files cannot hold this picture ({reason}); "
                f"choose the source's own suffix ({self._source.suffix}) or .mkv"
            )
        self.notes.append(f"{stream.type} stream {stream.index} was left out: {reason}")
        return None

    def _begin(self, start_s: Fraction) -> None:
        """Set at which sample of the output's clock the sound begins."""
        rate = self._encoder.sample_rate
        self._correction: int | None = None
        self._position = 0 if self._alone or self._container == "avi" else round(start_s * rate)
        self._began = self._position
        if self._container == "avi":  # sound begins at 0 there; silence stands before it
            self._encode(torch.zeros(2, round(start_s * rate)))

    def _encode(self, ears: Float[Tensor, "2 samples"]) -> None:
        samples = ears.numpy()
        for begin in range(0, samples.shape[1], _ENCODE_SAMPLES):
            part = np.ascontiguousarray(samples[:, begin : begin + _ENCODE_SAMPLES])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate = self._encoder.sample_rate
            frame.time_base = Fraction(1, self._encoder.sample_rate)
            frame.pts = self._position
            self._position += part.shape[1]
            self._mux(self._encoder.encode(frame))

    def _mux(self, encoded: list[Packet]) -> None:
        """Hand encoded sound to the muxer, after the copied packets that come before it."""
        for packet in encoded:
            packet.stream = self._sound
            assert packet.dts is not None and packet.pts is not None
            if self._correction is None:
                self._correction = self._rounding(packet.pts)
            packet.pts += self._correction
            packet.dts += self._correction
            for copied in self._copied.until(packet.dts * packet.time_base):
                self._mux_one(self._in_order(copied))
            self._mux_one(packet)

    def _rounding(self, first_pts: int) -> int:
        """By how many samples to move the encoded sound so that Matroska's rounding to 1 ms does not move it.

        FFmpeg's muxer rounds a packet's time and the encoder's delay, each, and adds them. Moved by less than 1 ms, the
        first packet stands at a whole millisecond before its delay is added, so that the sum is where it should be.
        """
        delay = self._began - first_pts
        if self._container not in ("matroska", "webm") or not delay:
            return 0
        rate = self._encoder.sample_rate
        wanted_ms = round(Fraction(self._began * 1000, rate))
        delay_ms = int(Fraction(delay * 1000, rate) + Fraction(1, 2))
        return round(Fraction((wanted_ms - delay_ms) * rate, 1000)) - first_pts

    def _in_order(self, packet: Packet) -> Packet:
        """The packet with its decoding time behind that of the one before, as muxers insist (few files break this)."""
        unit = packet.stream.time_base
        if packet.dts is None or unit is None:
            return packet
        dts = round(packet.dts * packet.time_base / unit)
        step = 0 if self._container in ("matroska", "webm") else 1
        least = self._last_dts.get(packet.stream_index, dts - step) + step
        if dts < least:
            pts = None if packet.pts is None else round(packet.pts * packet.time_base / unit)
            packet.time_base, packet.dts, packet.pts = unit, least, None if pts is None else max(pts, least)
            self._moved += 1
        self._last_dts[packet.stream_index] = max(dts, least)
        return packet

    def _mux_one(self, packet: Packet) -> None:
        with self._write_errors():
            self._output.mux_one(packet)

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HearsightError(f"{self._target}: the disk is full; nothing was written") from error
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                raise HearsightError(f"{self._target}: larger than this file system or account allows") from error
            what = (error.strerror or type(error).__name__).lower()
            raise MediaError(f"{self._target}: cannot be written as {self._container} ({what})") from error

    def _abandon(self) -> None:
        """Close what will be thrown away, or is closed already."""
        with suppress(av.error.FFmpegError):
            self._output.close()


class _Copied:
    """The source's packets for the streams that are copied, in the file's order, up to a given time."""

    def __init__(self, source: InputContainer, path: Path, copies: dict[int, Stream], shift_s: Fraction) -> None:
        self._path, self._copies, self._shift_s = path, copies, shift_s
        chosen = [stream for stream in source.streams if stream.index in copies and stream.type != "attachment"]
        self._packets = packets(source, *chosen) if chosen else iter(())
        self._held: Packet | None = None
        self.hidden = 0  # packets that the source's edit list hides

    def until(self, time_s: Fraction | None) -> Iterator[Packet]:
        """Packets that are decoded at `time_s` or before (None: all that are left), addressed to their copies."""
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
        """The file's next packet, addressed and on the output's clock; None at its end."""
        with media_errors(self._path):
            packet = next(self._packets, None)
            while packet is not None and packet.size == 0 and packet.dts is None:  # marks the end of a stream
                packet = next(self._packets, None)
        if packet is None:
            return None
        self.hidden += packet.is_discard
        ticks = round(self._shift_s / packet.time_base)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        packet.stream = self._copies[packet.stream_index]
        return packet


def _clock_start(source: InputContainer) -> Fraction:
    """What to take off all times, in seconds: broadcast formats begin at any time, files at 0."""
    if not restarts_clock(source) or source.start_time is None:
        return Fraction(0)
    return Fraction(source.start_time, 1_000_000)


def _avi_shift(source: InputContainer, start_s: Fraction) -> Fraction:
    """What to take off all times so that nothing begins before 0 and the picture stays on AVI's grid of frames."""
    picture = picture_stream(source)
    picture_s = None if picture is None else time_of(picture.start_time, picture)
    if picture is None or picture_s is None:
        return start_s
    frame_s = _steady_frame_s(picture) or picture.time_base or Fraction(1, 1000)
    return picture_s - math.ceil(max(picture_s - start_s, Fraction(0)) / frame_s) * frame_s


def _steady_frame_s(stream: VideoStream) -> Fraction | None:
    """How long each frame of a picture with a constant frame rate is shown."""
    rate = stream.average_rate
    return 1 / rate if rate and rate == stream.base_rate else None


def _muxer_options(container: str, source: InputContainer) -> dict[str, str]:
    if container in _MOV_FAMILY:
        # The index goes first, so that the file plays while it loads; keys that only this way of storing can hold
        # (phones write com.apple.quicktime.location and the like) select it.
        own_keys = any("." in key for key in source.metadata)
        flags = "+faststart+use_metadata_tags" if own_keys else "+faststart"
        return {"movflags": flags, "movie_timescale": str(_MOVIE_TIMESCALE)}
    if container == "mpegts":
        return {"max_delay": "700000"}
    if container == "wav":
        return {"rf64": "auto"}
    return {}


def _why_not(container: str, same_kind: bool, stream: Stream) -> str | None:
    """Why a container cannot hold a stream, in words; None if it can. Tried out on a file in memory."""
    if stream.codec_context is not None:
        name = stream.codec_context.codec.canonical_name
    else:
        name = (stream.name if stream.type == "data" else None) or stream.type
    if container == "mpegts" and not same_kind and name not in _NAMED_IN_TS:
        return f"MPEG-TS has no place for {name}"  # FFmpeg writes it, but nothing can read it
    if stream.disposition & Disposition.attached_pic and container in ("mov", "3gp"):
        return "MOV has no place for cover art"  # FFmpeg takes it and loses it
    if container == "avi" and not same_kind and isinstance(stream, VideoStream) and _reordered(stream):
        return f"AVI keeps no presentation times, which {name} needs"
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        _copy_of(stream, trial, same_kind)
        trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return f"{container} has no place for {name}"
    finally:
        with suppress(av.error.FFmpegError):
            trial.close()
    return None


def _written_anew(source: InputContainer, stream: Stream) -> bool:
    """Whether a MOV data track is one that the muxer makes itself from what is copied: chapters and time code."""
    if stream.type != "data" or "mov" not in source.format.name:
        return False
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(source.chapters()))


def _attach_cover(output: OutputContainer, path: Path, stream: Stream) -> None:
    """Matroska keeps cover art as an attached file."""
    kind = {"mjpeg": "jpeg"}.get(name := stream.codec_context.codec.canonical_name, name)
    with open_source(path) as source:
        data = next(bytes(packet) for packet in source.demux(source.streams[stream.index]) if packet.size)
    filename = stream.metadata.get("filename", "cover." + {"jpeg": "jpg"}.get(kind, kind))
    output.add_attachment(filename, stream.metadata.get("mimetype", f"image/{kind}"), data)


def _reordered(stream: VideoStream) -> bool:
    return stream.codec_context.has_b_frames or stream.codec_context.codec.canonical_name in ("h264", "hevc", "vvc")


def _copy_of(stream: Stream, output: OutputContainer, same_kind: bool) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(_kept(stream.metadata))
    copy.disposition = stream.disposition
    if output.format.name == "avi" and isinstance(stream, VideoStream):
        # AVI counts frames; it would fill a finer unit with empty ones.
        copy.time_base = _steady_frame_s(stream) or stream.time_base
    if same_kind and stream.codec_context is not None:
        with suppress(UnicodeDecodeError, UnicodeEncodeError):  # a tag beyond ASCII; the muxer chooses one
            copy.codec_context.codec_tag = stream.codec_context.codec_tag
    return copy


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _NOT_OURS and not key.upper().startswith(_STATISTICS)
    }


def _shifted(chapter: Any, shift_s: Fraction) -> Any:
    if not shift_s or not chapter["time_base"]:
        return chapter
    ticks = round(shift_s / chapter["time_base"])
    return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}
