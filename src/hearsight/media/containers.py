"""Containers for outputs: their suffixes, and the sound codecs that they hold."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from hearsight.errors import MediaError
from hearsight.media.codecs import SoundCodec, sound_codec

MOV_FAMILY = {"mp4", "mov", "3gp", "3g2", "f4v"}
MATROSKA = {"matroska", "webm"}


@dataclass(frozen=True)
class Container:
    """A container that FFmpeg can write.

    Attributes:
        muxer: FFmpeg's name.
        sound: default codec, which its players expect; a key of `SOUND_CODECS`.
        others: further supported codecs; None for all that FFmpeg's muxer accepts. Listed where the muxer accepts more
            than players support: AVI keeps no times, so an encoder's delay would shift the sound against the picture;
            MPEG-TS has names for few codecs.
        rates_hz: supported sample rates; None for those of the codec.
        is_sound_alone: files with this suffix hold sound and no picture.
        brand: brand of a file of the MP4 family; empty for the muxer's own.
    """

    muxer: str
    sound: str
    others: tuple[str, ...] | None = None
    rates_hz: tuple[int, ...] | None = None
    is_sound_alone: bool = False
    brand: str = ""


_MP4 = Container("mp4", "aac")
_MOV = Container("mov", "aac")
_MKV = Container("matroska", "flac")
_TS = Container("mpegts", "aac", ("mp3", "mp2", "ac3", "opus"))
_MPEG = Container("vob", "mp2", ("ac3", "mp3"))
_ASF = Container("asf", "wma", ("mp3", "aac", "ac3", "pcm16", "pcm24"))
_OGG = Container("ogg", "opus", ("flac",))
_AVI = Container("avi", "pcm16", ("pcm24",))

CONTAINERS: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".qt": _MOV,
    ".3gp": Container("3gp", "aac"),
    ".3g2": Container("3g2", "aac"),
    ".f4v": Container("f4v", "aac", ()),
    ".mkv": _MKV,
    ".mk3d": _MKV,
    ".webm": Container("webm", "opus"),
    ".avi": _AVI,
    ".divx": _AVI,
    ".ts": _TS,
    ".mts": _TS,
    ".m2ts": _TS,
    ".m2t": _TS,
    ".mpg": _MPEG,
    ".mpeg": _MPEG,
    ".vob": Container("vob", "ac3", ("mp2", "mp3")),
    ".flv": Container("flv", "aac", ("mp3",)),
    ".wmv": _ASF,
    ".asf": _ASF,
    ".ogv": Container("ogv", "opus", ("flac",)),
    ".mxf": Container("mxf", "pcm24", ("pcm16",), (48000,)),
    ".dv": Container("dv", "pcm16", (), (48000,)),
    ".nut": Container("nut", "pcm24"),
    # FFmpeg has its own muxer for them, too, but through it PyAV cannot add cover art.
    ".m4a": Container("mp4", "aac", ("alac",), is_sound_alone=True, brand="M4A "),
    ".m4b": Container("mp4", "aac", ("alac",), is_sound_alone=True, brand="M4B "),
    ".mka": dataclasses.replace(_MKV, is_sound_alone=True),
    ".ogg": dataclasses.replace(_OGG, is_sound_alone=True),
    ".oga": Container("oga", "opus", ("flac",), is_sound_alone=True),
    ".opus": Container("opus", "opus", (), is_sound_alone=True),
    ".mp3": Container("mp3", "mp3", (), is_sound_alone=True),
    ".aac": Container("adts", "aac", (), is_sound_alone=True),
    ".wma": dataclasses.replace(_ASF, is_sound_alone=True),
    ".wav": Container("wav", "pcm24", ("pcm16",), is_sound_alone=True),
    ".w64": Container("w64", "pcm24", ("pcm16",), is_sound_alone=True),
    ".flac": Container("flac", "flac", (), is_sound_alone=True),
    ".aiff": Container("aiff", "pcm24", ("pcm16",), is_sound_alone=True),
    ".aif": Container("aiff", "pcm24", ("pcm16",), is_sound_alone=True),
    ".caf": Container("caf", "pcm24", ("pcm16", "alac"), is_sound_alone=True),
    ".au": Container("au", "pcm24", ("pcm16",), is_sound_alone=True),
    ".wv": Container("wv", "wavpack", (), is_sound_alone=True),
    ".ac3": Container("ac3", "ac3", (), is_sound_alone=True),
    ".mp2": Container("mp2", "mp2", (), is_sound_alone=True),
}
# Output suffix by FFmpeg's name of the input's container, for inputs with another suffix or none.
_SUFFIX_OF_FORMAT = {
    "mov": ".mp4",
    "matroska": ".mkv",
    "avi": ".avi",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "asf": ".wmv",
    "flv": ".flv",
    "ogg": ".ogg",
    "mxf": ".mxf",
    "nut": ".nut",
    "dv": ".dv",
    "wav": ".wav",
    "w64": ".w64",
    "flac": ".flac",
    "mp3": ".mp3",
    "aac": ".m4a",
    "aiff": ".aiff",
    "caf": ".caf",
    "au": ".au",
    "wv": ".wv",
    "ac3": ".ac3",
}


def container_for(target: str | os.PathLike[str]) -> Container:
    """Return the container of a target, by its suffix.

    Raises:
        MediaError: no suffix, or one of no container that hearsight writes.
    """
    suffix = Path(target).suffix.lower()
    container = CONTAINERS.get(suffix)
    if container is None:
        known = ", ".join(sorted(CONTAINERS))
        raise MediaError(f"{target}: no format is known by the suffix {suffix!r}; use one of {known}", "unknown")
    return container


def codec_for(target: str | os.PathLike[str], audio_codec: str | None = None) -> SoundCodec:
    """Return the codec for a target's sound: the requested one, else its container's default.

    Raises:
        MediaError: an unknown codec, one that this FFmpeg cannot encode, or one that the container cannot hold.
    """
    container = container_for(target)
    name = audio_codec or container.sound
    codec = sound_codec(name, big_endian=container.muxer in ("aiff", "au"))
    if container.others is not None and name not in (container.sound, *container.others):
        allowed = ", ".join((container.sound, *container.others))
        raise MediaError(f"{target}: {container.muxer} cannot hold {name} sound; use one of {allowed}", "unsupported")
    return dataclasses.replace(codec, rates_hz=container.rates_hz) if container.rates_hz else codec


def suffix_of_format(names: str) -> str | None:
    """Usual suffix of a container that was read, by FFmpeg's comma-separated names; None if none is known."""
    return next((_SUFFIX_OF_FORMAT[name] for name in names.split(",") if name in _SUFFIX_OF_FORMAT), None)
