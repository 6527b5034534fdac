"""Encoding and decoding of sound with a lossy codec: spectral holes, smeared transients, no high frequencies."""

from functools import lru_cache

import av
import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import correlate
from torch import Tensor

CODECS = {"libmp3lame": "mp3float", "aac": "aac"}
"""FFmpeg's encoders, with their decoders."""


def through_codec(
    sound: Float[Tensor, "samples"], sample_rate_hz: int, codec: str, bits_per_s: int
) -> Float[Tensor, "samples"]:
    """Encode and decode mono sound; the result is aligned with the input.

    Args:
        sound: sound within -1 to 1; larger values may be clipped by the codec.
        sample_rate_hz: sample rate that the codec supports.
        codec: one of `CODECS`.
        bits_per_s: bit rate; MP3 uses the nearest possible one.
    """
    delay = _delay(codec, sample_rate_hz)
    return torch.from_numpy(_decoded(sound.numpy(), sample_rate_hz, codec, bits_per_s)[delay : delay + len(sound)])


def _decoded(sound: Float[np.ndarray, "samples"], rate: int, codec: str, bits_per_s: int) -> Float[np.ndarray, "more"]:
    """Output of the decoder, which is delayed and longer than the input."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "fltp"
    encoder.bit_rate = bits_per_s
    encoder.open()
    step = encoder.frame_size
    samples = np.zeros(-(-len(sound) // step) * step + _LOOKAHEAD * step, np.float32)
    samples[: len(sound)] = sound
    packets = []
    for begin in range(0, len(samples), step):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + step], "fltp", "mono")
        frame.sample_rate, frame.pts = rate, begin
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(CODECS[codec], "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = encoder.extradata
    return np.concatenate([frame.to_ndarray()[0] for packet in (*packets, None) for frame in decoder.decode(packet)])


_LOOKAHEAD = 4  # frames


@lru_cache
def _delay(codec: str, rate: int) -> int:
    """Delay of a codec in samples, measured because not every decoder reports it."""
    noise = np.random.default_rng(0).normal(0, 0.1, 8192).astype(np.float32)
    late = correlate(_decoded(noise, rate, codec, 64_000), noise, "full")
    return int(np.argmax(late)) - len(noise) + 1
