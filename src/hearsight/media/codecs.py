"""Sound codecs for outputs, and their sample rates."""

from dataclasses import dataclass

import av

from hearsight.errors import MediaError

_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MP2_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
_WMA_RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
_AC3_RATES = (32000, 44100, 48000)


@dataclass(frozen=True)
class SoundCodec:
    """An encoder of two channels.

    Attributes:
        encoder: FFmpeg's name.
        bit_rate: bits per second; None for lossless codecs.
        sample_format: sample format of its input; None for its own first choice.
        rates_hz: sample rates that it can encode; None for any.
        decodes_alone: whether PyAV can decode its packets without a container, so that its true peak can be measured.
    """

    encoder: str
    bit_rate: int | None = None
    sample_format: str | None = None
    rates_hz: tuple[int, ...] | None = None
    decodes_alone: bool = True

    def rate_for(self, sample_rate_hz: int) -> int:
        """The given rate if the codec supports it, else the next higher supported one, else the highest."""
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
    "mp2": SoundCodec("mp2", 384_000, "s16", _MP2_RATES),
    "wma": SoundCodec("wmav2", 192_000, "fltp", _WMA_RATES, decodes_alone=False),
    "wavpack": SoundCodec("wavpack", None, "s32p"),
    "pcm16": SoundCodec("pcm_s16le", None, "s16"),
    "pcm24": SoundCodec("pcm_s24le", None, "s32"),
}
_BIG_ENDIAN = {"pcm16": SoundCodec("pcm_s16be", None, "s16"), "pcm24": SoundCodec("pcm_s24be", None, "s32")}


def sound_codec(name: str, big_endian: bool = False) -> SoundCodec:
    """Return the codec with a name of `SOUND_CODECS`.

    Raises:
        MediaError: an unknown name, or one that this FFmpeg cannot encode.
    """
    codec = SOUND_CODECS.get(name)
    if codec is None:
        raise MediaError(f"no such audio codec: {name!r}; use one of {', '.join(SOUND_CODECS)}", "unknown")
    try:
        av.Codec(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise MediaError(
            f"this FFmpeg has no {name} encoder ({codec.encoder}); choose another --audio-codec", "unsupported"
        ) from error
    return _BIG_ENDIAN.get(name, codec) if big_endian else codec
