"""Opening of files for reading, with an error of one line for anything that is no video or sound."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags as FormatFlags
from av.frame import Frame
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from hearsight.errors import MediaError
from hearsight.media import matroska
from hearsight.media.boxes import is_encrypted
from hearsight.media.completeness import missing_part
from hearsight.media.selection import WHOLE, Selection
from hearsight.media.transport_stream import read_tables

# FFmpeg reads these too, but they are not media files: text, which it would show as a terminal does, and lists that
# point to other files or addresses (which an untrusted file must not make it open).
_TEXT = {"tty", "ffmetadata", "srt", "ass", "webvtt", "lrc", "microdvd", "subviewer", "subviewer1", "sami", "stl"}
_LISTS = {"hls", "dash", "concat", "concatf", "sdp", "rtsp", "lavfi", "imf", "bluray"}
_PICTURES = {"image2", "image2pipe", "ico", "jpegxl_anim"}
# Limits of a break in a clock that may break, as in FFmpeg's own tools.
_BREAK_AHEAD_S, _BREAK_BACK_S = 10, Fraction(1, 10)
_ASF_HEADER = 1 << 16  # bytes that contain the encryption objects of an ASF file
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),  # Content Encryption Object
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # Extended Content Encryption Object
)
_NOT_THE_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails


@contextmanager
def open_source(path: str | os.PathLike[str], salvage: bool = False) -> Iterator[InputContainer]:
    """Context that opens a video or sound file and closes it again.

    Args:
        salvage: open truncated files, too.

    Raises:
        MediaError: missing file, folder, empty file, no permission, still image, text, playlist, truncated file,
            encrypted file, or any file in which FFmpeg finds neither sound nor picture. Errors of FFmpeg inside the
            context become a MediaError, too.
    """
    _refuse_what_has_no_path(path)
    path = Path(path)
    _refuse_what_is_no_file(path, salvage)
    with media_errors(path):
        # "file:" keeps FFmpeg from taking a colon in the name for a protocol; undecodable tags pass through unchanged.
        container = av.open(
            f"file:{path}", metadata_errors="surrogateescape", container_options={"protocol_whitelist": "file"}
        )
    try:
        with media_errors(path):
            _refuse_what_is_no_media(path, container)
            yield container
    finally:
        container.close()


def is_picture(stream: Stream) -> bool:
    """Whether a stream is moving pictures, not cover art or thumbnails; its codec need not be decodable."""
    return stream.type == "video" and not stream.disposition & _NOT_THE_PICTURE


def picture_stream(container: InputContainer, selection: Selection = WHOLE) -> VideoStream | None:
    """The stream that a player shows: no cover art, no thumbnails; the default one first, then the largest."""
    candidates = [
        stream for stream in container.streams.video if is_picture(stream) and stream.codec_context is not None
    ]
    if selection.picture is not None:
        return next((stream for stream in candidates if stream.index == selection.picture), None)
    return max(candidates, key=_picture_rank, default=None)


def sound_streams(container: InputContainer, selection: Selection = WHOLE) -> list[AudioStream]:
    """The selected sound streams; else the one that a player plays (FFmpeg's choice: default disposition, richest).

    If FFmpeg cannot decode that one, the first one that it can.
    """
    candidates = {stream.index: stream for stream in container.streams.audio if stream.codec_context is not None}
    if selection.sound:
        return [candidates[index] for index in selection.sound if index in candidates]
    best = container.streams.best("audio")
    if best is not None and best.index in candidates:
        return [candidates[best.index]]
    return list(candidates.values())[:1]


def require_sound(
    container: InputContainer, path: str | os.PathLike[str], selection: Selection = WHOLE
) -> list[AudioStream]:
    """The chosen sound streams; without any, a MediaError."""
    streams = sound_streams(container, selection)
    if not streams and container.streams.audio:
        raise MediaError(f"{path}: its sound is of a codec that cannot be decoded; convert it first", "unreadable")
    if not streams:
        raise MediaError(f"{path}: has no sound; give a video with a sound track", "no-sound")
    return streams


def require_picture(
    container: InputContainer, path: str | os.PathLike[str], selection: Selection = WHOLE
) -> VideoStream:
    """The chosen picture stream; without one, a MediaError."""
    stream = picture_stream(container, selection)
    unknown = next((stream for stream in container.streams.video if stream.codec_context is None), None)
    if stream is None and unknown is not None:
        raise MediaError(f"{path}: its picture is of a codec that cannot be decoded; convert it first", "unreadable")
    if stream is None:
        raise MediaError(f"{path}: has no picture; give a video, not a sound file", "no-picture")
    return stream


def time_of(timestamp: int | None, stream: Stream) -> Fraction | None:
    """Seconds of a timestamp in a stream's time base."""
    return None if timestamp is None or stream.time_base is None else timestamp * stream.time_base


def restarts_clock(container: InputContainer) -> bool:
    """Whether the container's clock may begin anywhere and restart midway, as in broadcast formats."""
    return bool(container.format.flags & cast(int, FormatFlags.ts_discont.value))


def demuxed(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """The streams' packets from PyAV, also of a file in which further streams appear midway.

    In formats without a header of streams (FLV, MPEG-TS) a damaged file may contain streams that were unknown when it
    was opened. PyAV then fails after the last packet of the known ones.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """The streams' packets in the file's order, on one clock that never restarts.

    Recordings of broadcasts and joined transport streams set their clock back, or far ahead, midway. All streams, not
    only the requested ones, are then shifted together so that the stream in which the break appears first continues (as
    in FFmpeg's own tools).
    """
    if not restarts_clock(container):
        yield from demuxed(container, *streams)
        return
    wanted = {stream.index for stream in streams}
    moved = Fraction(0)
    last: dict[int, tuple[Fraction, Fraction]] = {}  # time of the last packet and of its end, by stream
    for packet in demuxed(container):
        ticks_s = packet.time_base
        if packet.dts is not None and packet.stream.type in ("audio", "video"):
            at = packet.dts * ticks_s + moved
            before, end = last.get(packet.stream_index, (at, at))
            if abs(at - end) > _BREAK_AHEAD_S or at < before - _BREAK_BACK_S:
                moved += end - at
                at = end
            last[packet.stream_index] = (at, at + (packet.duration or 0) * ticks_s)
        if packet.stream.index in wanted:  # the packets that end a stream all have the `stream_index` 0
            if moved:
                ticks = round(moved / ticks_s)
                packet.pts = None if packet.pts is None else packet.pts + ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
            yield packet


def decoded(packet: Packet) -> list[Frame] | None:
    """The frames that a packet completes; None if the packet is damaged (decoders raise many errors for that)."""
    try:
        return list(packet.decode())
    except (av.error.MemoryError, av.error.ExitError):
        raise
    except av.error.FFmpegError:
        return None


@contextmanager
def media_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn FFmpeg's errors while reading `path` into a MediaError of one line."""
    try:
        yield
    except av.error.FFmpegError as error:
        what = (error.strerror or type(error).__name__).lower()
        raise MediaError(f"{path}: not a video or sound that can be read, or damaged ({what})", "unreadable") from error


def _refuse_what_has_no_path(path: str | os.PathLike[str]) -> None:
    text = os.fspath(path)
    if not text:
        raise MediaError("an empty name; name a video or sound file")
    if text == "-":
        raise MediaError("-: standard input cannot be read, since a file is read more than once; save it first")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.]+://?[^/]", text) and not os.path.exists(path):
        raise MediaError(f"{text}: is an address; download it first and name the file")


def _refuse_what_is_no_file(path: Path, salvage: bool) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"{path}: no such file", "missing") from error
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path}: cannot be opened ({getattr(error, 'strerror', None) or error})", "unreadable"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path}: is a folder; name a video or sound file", "unreadable")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(
            f"{path}: is not a regular file; it must be read more than once, so save it as a file first", "unreadable"
        )
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path}: no permission to read it", "unreadable")
    if status.st_size == 0:
        raise MediaError(f"{path}: is empty (0 bytes)", "too-little")
    part = None if salvage else missing_part(path)
    if part is not None:
        raise MediaError(f"{path}: {part}; copy or download it again, or take what is there (--salvage)", "unreadable")


def _refuse_what_is_no_media(path: Path, container: InputContainer) -> None:
    names = set(container.format.name.split(","))
    if names & _TEXT:
        raise MediaError(f"{path}: is text, not a video or sound", "unreadable")
    if names & _LISTS:
        raise MediaError(f"{path}: is a playlist, not a video or sound; give the media file itself", "unreadable")
    if names & _PICTURES or any(name.endswith("_pipe") for name in names):
        raise MediaError(f"{path}: is a still image; give a video with sound", "unreadable")
    if not container.streams.audio and not container.streams.video:
        raise MediaError(f"{path}: has neither sound nor picture", "no-sound")
    if _is_encrypted(path, container):
        raise MediaError(f"{path}: is encrypted (copy-protected); hearsight cannot read it", "unreadable")


def _is_encrypted(path: Path, container: InputContainer) -> bool:
    if container.format.name.startswith("mov"):
        return is_encrypted(path)
    if container.format.name.startswith("matroska"):
        return matroska.is_encrypted(path)
    if container.format.name == "asf":
        with open(path, "rb") as file:
            header = file.read(_ASF_HEADER)
        return any(name in header for name in _ASF_ENCRYPTION)
    tables = read_tables(path) if container.format.name == "mpegts" else None
    return tables is not None and tables.is_scrambled


def _picture_rank(stream: VideoStream) -> tuple[bool, int]:
    return bool(stream.disposition & Disposition.default), stream.codec_context.width * stream.codec_context.height
