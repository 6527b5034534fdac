"""Writer of the output: the input's packets unchanged, with two ears in place of its sound."""

import errno
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import HearsightError, MediaError
from hearsight.files import written_whole
from hearsight.media.boxes import SPHERICAL, TWO_VIEWS, add_boxes, ambisonic_box, picture_marks, spherical_boxes
from hearsight.media.completeness import missing_part
from hearsight.media.containers import MATROSKA, MOV_FAMILY, codec_for, container_for
from hearsight.media.copying import (
    CopiedPackets,
    add_encoder,
    aspect_beside_packets,
    codec_name,
    copy_into,
    first_packets,
    kept_metadata,
    lacks_presentation_times,
    lost_of_picture,
    steady_frame_s,
    takes_sound,
    why_no_picture,
    why_not,
    written_anew,
)
from hearsight.media.cover_art import attach_cover, ogg_cover
from hearsight.media.matroska import set_pixel_aspect
from hearsight.media.media_info import clip_start, probe
from hearsight.media.opening import (
    is_picture,
    open_source,
    picture_stream,
    restarts_clock,
    sound_streams,
    time_of,
)
from hearsight.media.outputs import suffixes_that_hold
from hearsight.media.peak_guard import EncodedPeak, PeakGuard, frames_of
from hearsight.media.selection import WHOLE, Selection
from hearsight.media.subtitles import SubtitleConverter, subtitle_codec
from hearsight.media.transport_stream import TransportStream, read_tables
from hearsight.signal import StreamResampler

# 1 / 90000 s, the unit of edit lists; the default of 1 ms would move the sound by half of it.
_MOVIE_TIMESCALE = 90_000
_HEARD_OVERSHOOT_DB = 0.05
_OGG_FAMILY = {"ogg", "oga", "ogv", "opus"}
_WITH_CHAPTERS = MOV_FAMILY | MATROSKA | _OGG_FAMILY | {"asf", "mp3", "nut"}
_WITHOUT_TIMES = {"avi", "dv"}  # their sound begins at 0


class BinauralWriter:
    """Writer of a copy of `source` whose sound is replaced by two ears, block by block, in bounded memory.

    Picture, subtitles, other sound tracks, cover art, attachments, chapters and metadata are copied unchanged; the
    picture's packets keep every bit as long as the container stays the same. The first written sample is presented at
    the time of the source's first sample. A target with the suffix of a sound file, such as .wav, holds only the sound.

    Usage:
        with BinauralWriter(source, target, sample_rate_hz) as writer:
            for ears in blocks:  # [2, samples]
                writer.write(ears)

    When the context ends without an exception, the complete target appears; otherwise it is left unchanged.

    Args:
        source: file to copy.
        target: path of the output; the suffix selects the container. May be the source itself.
        sample_rate_hz: sample rate of the written sound. A codec without this rate (Opus: 48 kHz) gets the next one.
        audio_codec: a key of `SOUND_CODECS`; None for the container's default.
        selection: sound that the ears replace, and part of the source to copy. A part begins at the time that
            `part_start` returns.
        keep_original: also copy the sound that the ears replace, after them.
        true_peak_db: ceiling in decibels of full scale for the true peak after encoding; None for no ceiling.
        ambisonic_order: order of ambisonics (ACN, SN3D) in place of two ears, written with an SA3D box; only for MP4
            and MOV. None: two ears.

    Attributes:
        notes: plain sentences about losses.

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
        *,
        selection: Selection = WHOLE,
        keep_original: bool = False,
        true_peak_db: float | None = None,
        ambisonic_order: int | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._order = ambisonic_order
        self._channels = 2 if ambisonic_order is None else (ambisonic_order + 1) ** 2
        # Encoders do not support ambisonics; players expect four channels without a meaning in AAC.
        self._layout = {2: "stereo", 4: "4.0"}.get(self._channels, f"ambisonic {ambisonic_order}")
        self._source, self._target = Path(source), Path(target)
        self._rate = sample_rate_hz
        self._selection, self._keep_original, self._ceiling_db = selection, keep_original, true_peak_db
        self._target_container = container_for(target)
        self._container = self._target_container.muxer
        self._codec = codec_for(target, audio_codec)
        self._alone = self._target_container.is_sound_alone
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._order is not None and self._container not in ("mp4", "mov"):
            raise MediaError(f"{self._target}: ambisonics go into .mp4, .mov and .wav; name one of them", "unsupported")
        if not takes_sound(self._target_container, self._codec):
            raise MediaError(
                f"{self._target}: {self._container} cannot hold {self._codec.encoder} sound; choose another codec",
                "unsupported",
            )
        start_s = clip_start(self._source, self._selection) + Fraction(self._selection.start_s)
        with ExitStack() as stack:
            temporary = self._temporary = stack.enter_context(written_whole(self._target))
            source = stack.enter_context(open_source(self._source, self._selection.salvage))
            self._shift_s = self._shift(source, start_s)
            tables = read_tables(self._source) if restarts_clock(source) else None
            self._service: dict[str, str] = {}
            self._output = av.open(
                f"file:{temporary}",
                "w",
                format=self._container,
                metadata_errors="surrogateescape",
                container_options=self._muxer_options(source, tables),
            )
            stack.callback(self._abandon)
            self._last_dts: dict[int, int] = {}
            self._moved = self._damaged = 0
            self._converters: dict[int, SubtitleConverter] = {}
            copies = self._lay_out(source, tables)
            if not self._alone and "mov" in source.format.name:
                self._note_lost_marks()
            self._copied = self._copied_packets(source, copies, start_s)
            self._resampler = StreamResampler(self._rate, self._encoder.sample_rate, channels=self._channels)
            with self._write_errors():
                self._output.start_encoding()
            self._peaks = EncodedPeak(self._codec, self._encoder)
            self._guard = None
            if self._ceiling_db is not None:
                self._guard = PeakGuard(self._codec, self._encoder.sample_rate, self._ceiling_db)
            self._begin(start_s - self._shift_s)
            self._stack = stack.pop_all()
        return self

    def write(self, ears: Float[Tensor, "channels samples"]) -> None:
        """Append both ears, left first, or the ambisonics. Samples beyond full scale are clipped if the codec takes
        integers.

        Raises:
            ValueError: another number of channels, or not finite.
            HearsightError: the disk is full.
        """
        if ears.ndim != 2 or ears.shape[0] != self._channels:
            raise ValueError(f"ears must be [{self._channels}, samples], not {list(ears.shape)}")
        ears = ears.detach().cpu().to(torch.float32)
        if not np.isfinite(ears.numpy()).all():
            raise ValueError("ears must be finite")
        self._encode(self._guarded(self._resampler.process(ears)))

    @property
    def true_peak_db(self) -> float:
        """Highest true peak so far of the encoded sound after decoding, in decibels of full scale."""
        return self._peaks.peak_db

    def _guarded(self, ears: Tensor, last: bool = False) -> Tensor:
        return ears if self._guard is None else self._guard.process(ears, last)

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error_type is not None:
            return self._stack.__exit__(error_type, error, trace)
        with self._stack:
            self._encode(self._guarded(self._resampler.process(torch.zeros(self._channels, 0), last=True), last=True))
            self._mux(self._encoder.encode(None))
            self._peaks.process(None)
            self._mux_copied(None)
            with self._write_errors():
                self._output.close()
            self._add_boxes()
            if missing_part(self._temporary) is not None:  # FFmpeg's muxers do not check all input
                raise MediaError(
                    f"{self._target}: the input is so damaged that {self._container} cannot hold it", "unreadable"
                )
            self._note_what_was_mended()
            if self._ceiling_db is not None and self.true_peak_db > self._ceiling_db + _HEARD_OVERSHOOT_DB:
                self.notes.append(
                    f"the encoder's true peak is {self.true_peak_db:.1f} dB of full scale, above the "
                    f"{self._ceiling_db:.1f} dB that were asked for"
                )
        return None

    def _add_boxes(self) -> None:
        """Add data that PyAV cannot have FFmpeg write: the box of ambisonics, in MOV those of spherical pictures, in
        Matroska the pixel aspect ratio."""
        if self._container in MATROSKA and self._aspect is not None and self._picture_index is not None:
            if not set_pixel_aspect(self._temporary, self._picture_index, self._aspect):
                self.notes.append(f"the picture's pixel aspect ratio {self._aspect} was left out: FFmpeg left no room")
            return
        if self._container not in ("mp4", "mov") or self._alone:
            return
        boxes = {} if self._order is None else {self._sound.index: ambisonic_box(self._order)}
        if self._container == "mov" and self._picture_index is not None:
            spherical = spherical_boxes(self._source)
            boxes |= {self._picture_index: spherical} if spherical else {}
        add_boxes(self._temporary, boxes)

    def _note_what_was_mended(self) -> None:
        if self._moved:
            self.notes.append(f"{self._moved} packet(s) whose times go back stand behind the one before instead")
        if self._damaged:
            self.notes.append(f"{self._damaged} packet(s) had damaged time stamps, which were mended")
        if self._copied.broken:
            self.notes.append(f"{self._copied.broken} damaged packet(s) of the picture were left out")
        if self._copied.unordered:
            self.notes.append(f"{self._copied.unordered} picture(s) cannot be decoded and may be shown out of order")
        if self._copied.hidden and self._container not in MOV_FAMILY:
            self.notes.append(
                f"{self._copied.hidden} packet(s) that the source's edit list hides are shown: "
                f"{self._container} has no edit lists"
            )

    def _lay_out(self, source: InputContainer, tables: TransportStream | None) -> dict[int, Stream]:
        """Add the output's streams, in the source's order; return the copies by the index of the copied stream."""
        self._output.metadata.update({**kept_metadata(source.metadata), **self._service})
        replaced = sound_streams(source, self._selection)
        others = [stream for stream in source.streams if self._is_wanted(source, stream, tables)]
        self._rotation_deg = self._rotation(source)
        self._picture_index: int | None = None
        self._aspect: Fraction | None = None
        copies: dict[int, Stream] = {}

        def add(stream: Stream) -> None:
            if (copy := self._add_copy(source, stream)) is not None:
                copies[stream.index] = copy

        if not replaced or self._alone:
            self._add_sound(replaced)
        for stream in others:
            if replaced and stream.index == replaced[0].index and not self._alone:
                self._add_sound(replaced)
            if not any(stream.index == each.index for each in replaced):
                add(stream)
        for original in replaced if self._keep_original else []:
            add(original)
        self._set_dispositions(source, replaced, copies)
        self._set_chapters(source)
        return copies

    def _note_lost_marks(self) -> None:
        """Note special picture formats that are lost: FFmpeg writes these boxes in MP4 and Matroska only."""
        for mark in picture_marks(self._source):
            if mark == SPHERICAL and self._container == "mov":
                continue  # written by `_add_boxes`
            if mark == TWO_VIEWS or self._container not in ("mp4", "matroska"):
                self.notes.append(
                    f"that the picture is {mark} is lost in {self._container}: players will show it plain"
                )

    def _is_wanted(self, source: InputContainer, stream: Stream, tables: TransportStream | None) -> bool:
        """Whether a stream belongs in the output: sound files hold only covers, a program only its own streams."""
        if self._alone:
            is_cover = bool(stream.disposition & Disposition.attached_pic)
            return is_cover or (self._keep_original and stream.type == "audio")
        if self._container == "dv" and stream.type not in ("audio", "video"):
            return False
        if tables is None or len(tables.programs) < 2:
            return True
        chosen = picture_stream(source, self._selection) or next(iter(sound_streams(source, self._selection)), None)
        program = None if chosen is None else tables.program_of(chosen.id)
        return program is None or stream.id in program.pids

    def _rotation(self, source: InputContainer) -> int:
        picture = picture_stream(source, self._selection)
        if self._alone or picture is None:
            return 0
        video = probe(self._source, replace(self._selection, sound=())).video
        return video.rotation_deg if video is not None else 0

    def _add_sound(self, replaced: list[AudioStream]) -> None:
        rate = self._codec.rate_for(self._rate)
        stream = self._sound = add_encoder(self._output, self._codec, rate, self._layout)
        self._encoder = stream.codec_context
        if replaced:
            stream.metadata.update(kept_metadata(replaced[0].metadata))
            stream.disposition = replaced[0].disposition
            if self._container == "mpegts":
                stream.id = replaced[0].id
        if rate != self._rate:
            self.notes.append(f"the sound is written at {rate} Hz, as {self._codec.encoder} has no {self._rate} Hz")

    def _add_copy(self, source: InputContainer, stream: Stream) -> Stream | None:
        """Add a stream for the packets of `stream`; None, with a note, if the container cannot hold it."""
        if written_anew(source, stream):
            return None
        if stream.disposition & Disposition.attached_pic and self._container == "matroska":
            attach_cover(self._output, self._source, stream)
            return None
        if stream.disposition & Disposition.attached_pic and self._container in _OGG_FAMILY:
            self._sound.metadata.update(ogg_cover(self._source, stream))
            return None
        shown = picture_stream(source, self._selection)
        is_shown = is_picture(stream) and (shown is None or shown.index == stream.index)
        if is_shown and stream.codec_context is not None:
            with open_source(self._source, self._selection.salvage) as again:
                first = first_packets(again, again.streams[stream.index])
            reason = why_no_picture(self._target_container, source, stream, self._codec, first)  # type: ignore[arg-type]
        else:
            reason = why_not(self._target_container, source, stream)
        if reason is None:
            if is_shown:
                self.notes += lost_of_picture(self._target_container, stream, self._rotation_deg)  # type: ignore[arg-type]
            copy = copy_into(self._target_container, source, stream, self._output)
            if is_shown:
                self._picture_index = copy.index
                self._aspect = aspect_beside_packets(stream)  # type: ignore[arg-type]
            if self._container == "mpegts" and restarts_clock(source):
                copy.id = stream.id
            return copy
        if is_shown:
            raise MediaError(self._refusal(reason), "unsupported")
        codec = subtitle_codec(self._target_container, codec_name(stream)) if stream.type == "subtitle" else None
        if codec is not None:
            with suppress(ValueError, av.error.FFmpegError):
                converter = SubtitleConverter(stream, self._output, codec)
                converter.stream.metadata.update(kept_metadata(stream.metadata))
                converter.stream.disposition = stream.disposition
                self._converters[converter.stream.index] = converter
                return converter.stream
        self.notes.append(f"{stream.type} stream {stream.index} was left out: {reason}")
        return None

    def _refusal(self, reason: str) -> str:
        suffix = self._target.suffix
        others = [each for each in suffixes_that_hold(self._source, self._selection) if each != suffix.lower()]
        advice = f"choose {' or '.join(others[:2])}" if others else "convert the picture first"
        return f"{self._target}: {suffix} files cannot hold this picture ({reason}); {advice}"

    def _set_dispositions(self, source: InputContainer, replaced: list[AudioStream], copies: dict[int, Stream]) -> None:
        """Mark the ears as default, for players, if they are not the first sound or another is default."""
        sounds = [stream for stream in source.streams.audio if stream.index in copies]
        others = [copies[stream.index] for stream in sounds]
        is_first = all(self._sound.index < copy.index for copy in others)
        if not replaced or (
            is_first and not self._keep_original and not any(copy.disposition & Disposition.default for copy in others)
        ):
            return
        self._sound.disposition = replaced[0].disposition | Disposition.default
        for stream in sounds:
            copy = copies[stream.index]
            copy.disposition = copy.disposition & ~Disposition.default
            if self._keep_original and any(stream.index == each.index for each in replaced):
                copy.metadata.setdefault("title", "original")

    def _set_chapters(self, source: InputContainer) -> None:
        chapters = [
            shifted
            for chapter in source.chapters()
            if (shifted := _shifted(chapter, self._shift_s, self._selection)) is not None
        ]
        if chapters and self._container not in _WITH_CHAPTERS and not self._alone:
            self.notes.append(f"the {len(chapters)} chapters were left out: {self._container} has none")
        elif chapters:
            self._output.set_chapters(chapters)

    def _copied_packets(self, source: InputContainer, copies: dict[int, Stream], start_s: Fraction) -> CopiedPackets:
        part = None
        if self._selection.is_part:
            end_s, begin_s = self._selection.end_s, self._selection.start_s
            part = (
                start_s if begin_s else Fraction(-(10**9)),
                None if end_s is None else start_s + Fraction(end_s) - Fraction(begin_s),
            )
        picture = picture_stream(source, self._selection)
        reorder = None
        if picture is not None and picture.index in copies and self._container != "avi":
            reorder = picture.index if lacks_presentation_times(source, picture) else None
        return CopiedPackets(source, self._source, copies, self._shift_s, part, reorder, self._selection.salvage)

    def _begin(self, start_s: Fraction) -> None:
        """Set the sample of the output's clock at which the sound begins."""
        rate = self._encoder.sample_rate
        self._correction: int | None = None
        self._position = 0 if self._alone or self._container in _WITHOUT_TIMES else round(start_s * rate)
        self._began = self._position
        if self._container in _WITHOUT_TIMES and not self._alone:  # preceded by silence
            self._encode(torch.zeros(self._channels, round(start_s * rate)))

    def _encode(self, ears: Float[Tensor, "channels samples"]) -> None:
        self._peaks.feed(ears)
        for frame in frames_of(ears.numpy(), self._encoder.sample_rate, self._position, self._layout):
            self._position += frame.samples
            self._mux(self._encoder.encode(frame))

    def _mux(self, encoded: list[Packet]) -> None:
        """Pass encoded sound to the muxer, after the copied packets that come before it."""
        for packet in encoded:
            self._peaks.process(packet)
            packet.stream = self._sound
            assert packet.dts is not None and packet.pts is not None
            if self._correction is None:
                self._correction = self._rounding(packet.pts)
            packet.pts += self._correction
            packet.dts += self._correction
            self._mux_copied(packet.dts * packet.time_base)
            self._mux_one(packet)

    def _mux_copied(self, until_s: Fraction | None) -> None:
        """Pass the copied packets up to a time to the muxer (None: all that are left)."""
        for packet in self._copied.until(until_s):
            converter = self._converters.get(packet.stream.index)
            converted = packet if converter is None else converter.convert(packet)
            if converted is not None:
                self._mux_one(self._in_order(converted))

    def _rounding(self, first_pts: int) -> int:
        """Shift of the encoded sound in samples that keeps Matroska's rounding to 1 ms from moving it.

        FFmpeg's muxer rounds a packet's time and the encoder's delay separately, and adds them. Shifted by less than 1
        ms, the first packet is at a whole millisecond before its delay is added, so that the sum is correct.
        """
        delay = self._began - first_pts
        if self._container not in MATROSKA or not delay:
            return 0
        rate = self._encoder.sample_rate
        wanted_ms = round(Fraction(self._began * 1000, rate))
        delay_ms = int(Fraction(delay * 1000, rate) + Fraction(1, 2))
        return round(Fraction((wanted_ms - delay_ms) * rate, 1000)) - first_pts

    def _in_order(self, packet: Packet) -> Packet:
        """Return the packet with a decoding time after that of the one before, as muxers require (few files violate
        this)."""
        unit = packet.stream.time_base
        index = packet.stream.index
        if packet.dts is None and packet.pts is None and packet.time_base and unit and index in self._last_dts:
            # Packed pictures and damaged streams: directly after the one before.
            packet.time_base, packet.dts = (
                unit,
                self._last_dts[index] + max(1, round((packet.duration or 0) * packet.time_base / unit)),
            )
            self._damaged += 1
        if packet.dts is None or unit is None:
            return packet
        if packet.pts is None:
            packet.pts = packet.dts
        if packet.pts < packet.dts:
            packet.pts = packet.dts
            self._damaged += 1
        dts = round(packet.dts * packet.time_base / unit)
        step = 0 if self._container in MATROSKA else 1
        least = self._last_dts.get(index, dts - step) + step
        if dts < least:
            pts = None if packet.pts is None else round(packet.pts * packet.time_base / unit)
            packet.time_base, packet.dts, packet.pts = unit, least, None if pts is None else max(pts, least)
            self._moved += 1
        self._last_dts[index] = max(dts, least)
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
                raise HearsightError(f"{self._target}: the disk is full; nothing was written", "unwritable") from error
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                raise HearsightError(
                    f"{self._target}: larger than this file system or account allows", "unwritable"
                ) from error
            what = (error.strerror or type(error).__name__).lower()
            raise MediaError(
                f"{self._target}: cannot be written as {self._container} ({what})", "unsupported"
            ) from error

    def _abandon(self) -> None:
        """Close an output that will be discarded, or is closed already."""
        with suppress(av.error.FFmpegError):
            self._output.close()

    def _shift(self, source: InputContainer, start_s: Fraction) -> Fraction:
        """Time to subtract from all times."""
        if self._container in _WITHOUT_TIMES and not self._alone:
            return _avi_shift(source, start_s, self._selection)
        if self._selection.start_s:
            return start_s  # a part begins at 0
        if not restarts_clock(source) or source.start_time is None:
            return Fraction(0)
        return Fraction(source.start_time, 1_000_000)  # broadcast formats begin at any time, files at 0

    def _muxer_options(self, source: InputContainer, tables: TransportStream | None) -> dict[str, str]:
        if self._container in MOV_FAMILY:
            # The index goes first, so that the file plays while it loads; metadata with keys that only this storage
            # can hold (phones write com.apple.quicktime.location and others) select it. Boxes of Dolby Vision and
            # spherical video are outside the standard of MP4 and MOV proper.
            own_keys = any("." in key for key in source.metadata)
            flags = "+faststart+use_metadata_tags" if own_keys else "+faststart"
            options = {"movflags": flags, "movie_timescale": str(_MOVIE_TIMESCALE), "strict": "unofficial"}
            return options | ({"brand": self._target_container.brand} if self._target_container.brand else {})
        if self._container in ("mpegts", "vob"):
            return {"max_delay": "700000"} | (self._program_options(source, tables) if tables is not None else {})
        if self._container == "wav":
            return {"rf64": "auto"}
        return {}

    def _program_options(self, source: InputContainer, tables: TransportStream) -> dict[str, str]:
        """The program's number, name and table, and the packet size, as in the source."""
        if self._container != "mpegts":
            return {}
        options = {"mpegts_m2ts_mode": str(int(tables.packet_bytes == 192))}
        chosen = picture_stream(source, self._selection) or next(iter(sound_streams(source, self._selection)), None)
        program = None if chosen is None else tables.program_of(chosen.id)
        if program is None:
            return options
        options["mpegts_service_id"] = str(program.number)
        options["mpegts_transport_stream_id"] = str(tables.stream_id)
        if 0x20 <= program.table_pid <= 0x1FF0:
            options["mpegts_pmt_start_pid"] = str(program.table_pid)
        if tables.network_id is not None:
            options["mpegts_original_network_id"] = str(max(1, tables.network_id))
        for key, value in (("service_name", program.name), ("service_provider", program.provider)):
            if value:
                self._service[key] = value
        if len(tables.programs) > 1:
            others = ", ".join(str(each.number) for each in tables.programs if each is not program)
            self.notes.append(f"of the programs in this file {program.number} is kept; left out: {others}")
        return options


def _avi_shift(source: InputContainer, start_s: Fraction, selection: Selection) -> Fraction:
    """Time to subtract from all times, so that nothing begins before 0 and the picture stays on AVI's frame grid."""
    picture = picture_stream(source, selection)
    picture_s = None if picture is None else time_of(picture.start_time, picture)
    if picture is None or picture_s is None or selection.start_s:
        return start_s
    frame_s = steady_frame_s(picture) or picture.time_base or Fraction(1, 1000)
    return picture_s - math.ceil(max(picture_s - start_s, Fraction(0)) / frame_s) * frame_s


def _shifted(chapter: Any, shift_s: Fraction, selection: Selection) -> Any:
    """A chapter with the output's times; None if it is outside the selected part."""
    if not chapter["time_base"] or not (shift_s or selection.is_part):
        return chapter
    ticks = round(shift_s / chapter["time_base"])
    start, end = chapter["start"] - ticks, chapter["end"] - ticks
    if selection.is_part:
        longest = None if selection.end_s is None else (selection.end_s - selection.start_s) / chapter["time_base"]
        end = end if longest is None else min(end, round(longest))
        start = max(start, 0)
        if end <= start:
            return None
    return {**chapter, "start": start, "end": end}
