"""Which sound codec goes into which container, and at which rates it works."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import av

from hearsight.errors import MediaError

_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AC3_RATES = (32000, 44100, 48000)


@dataclass(frozen=True)
class SoundCodec:
    """An encoder of two channels.

    Attributes:
        encoder: FFmpeg's name.
        bit_rate: bits per second; None for lossless codecs.
        sample_format: what it is fed, None for its own first choice.
        rates_hz: the rates it can encode; None for any.
    """

    encoder: str
    bit_rate: int | None = None
    sample_format: str | None = None
    rates_hz: tuple[int, ...] | None = None
    options: dict[str, str] = field(default_factory=dict)

    def rate_for(self, sample_rate_hz: int) -> int:
        """The rate itself if the codec takes it, else the next higher one that it takes, else its highest."""
        if self.rates_hz is None or sample_rate_hz in self.rates_hz:
            return sample_rate_hz
        return min((rate for rate in self.rates_hz if rate > sample_rate_hz), default=max(self.rates_hz))


SOUND_CODECS: dict[str, SoundCodec] = {
    "aac": SoundCodec("aac", 256_000, "fltp", _AAC_RATES),
    "opus": SoundCodec("libopus", 256_000, "flt", (48000,)),
    "flac": SoundCodec("flac", None, "s32"),
    "mp3": SoundCodec("libmp3lame", 320_000, "fltp", _MP3_RATES),
    "ac3": SoundCodec("ac3", 448_000, "fltp", _AC3_RATES),
    "alac": SoundCodec("alac", None, "s32p"),
    "pcm16": SoundCodec("pcm_s16le", None, "s16"),
    "pcm24": SoundCodec("pcm_s24le", None, "s32"),
}

# FFmpeg's name of the container: the codec that its players expect. AVI keeps no timestamps, so a codec without any
# delay; Matroska takes everything, so a lossless one.
_DEFAULTS = {
    "mp4": "aac",
    "mov": "aac",
    "ipod": "aac",
    "3gp": "aac",
    "mpegts": "aac",
    "flv": "aac",
    "adts": "aac",
    "mp3": "mp3",
    "matroska": "flac",
    "webm": "opus",
    "ogg": "opus",
    "opus": "opus",
    "avi": "pcm16",
    "flac": "flac",
    "wav": "pcm24",
}
# Where FFmpeg's muxer takes more than players can make sense of: AVI keeps no times, so an encoder's delay would put
# the sound beside the picture; MPEG-TS has names for few codecs.
_ONLY = {"avi": ("pcm16", "pcm24"), "mpegts": ("aac", "mp3", "ac3", "opus")}
# Suffixes of files that hold sound and no picture.
SOUND_ALONE = {".wav", ".flac", ".mp3", ".aac", ".m4a", ".mka", ".opus", ".ogg"}


def container_for(target: str | os.PathLike[str]) -> str:
    """FFmpeg's name of the container that a target's suffix stands for.

    Raises:
        MediaError: no suffix, or one that stands for no container hearsight writes.
    """
    suffix = Path(target).suffix.lower()
    name = _SUFFIXES.get(suffix)
    if name is None:
        known = ", ".join(sorted(_SUFFIXES))
        raise MediaError(f"{target}: cannot tell the format from the suffix {suffix!r}; use one of {known}")
    return name


_SUFFIXES = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".m4a": "ipod",
    ".mov": "mov",
    ".3gp": "3gp",
    ".mkv": "matroska",
    ".mka": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".flv": "flv",
    ".ogg": "ogg",
    ".opus": "opus",
    ".mp3": "mp3",
    ".aac": "adts",
    ".wav": "wav",
    ".flac": "flac",
}


def codec_for(target: str | os.PathLike[str], audio_codec: str | None = None) -> SoundCodec:
    """The codec to encode a target's sound with: the one asked for by name, else its container's usual one.

    Raises:
        MediaError: an unknown codec, one that this FFmpeg cannot encode, or one that the container cannot hold.
    """
    container = container_for(target)
    name = audio_codec or _DEFAULTS[container]
    codec = SOUND_CODECS.get(name)
    if codec is None:
        raise MediaError(f"no such audio codec: {name!r}; use one of {', '.join(SOUND_CODECS)}")
    if name not in _ONLY.get(container, (name,)):
        raise MediaError(f"{target}: {container} cannot hold {name} sound; use one of {', '.join(_ONLY[container])}")
    try:
        av.Codec(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise MediaError(
            f"this FFmpeg has no {name} encoder ({codec.encoder}); choose another --audio-codec"
        ) from error
    return codec
