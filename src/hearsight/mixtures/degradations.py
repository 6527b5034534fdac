"""Flaws of recordings on batches of mono sound: microphones, automatic gain, noise floors, codecs' bands, clipping.

Flaws are drawn once per clip (`draw_flaws`). `record` returns the flawed mixture with its filter, gain curve and noise,
so that the same flaws can be applied to stems.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from hearsight.mixtures.codecs import CODECS, through_codec

_KNOTS = 96
"""Number of points of a microphone's magnitude curve on a logarithmic frequency axis."""

_COARSE = 2048
"""Number of evenly spaced frequencies at which filters are computed before they are interpolated to a clip's own."""


@dataclass(frozen=True)
class Ranges:
    """Distributions of the flaws. A share is the probability that a clip has the flaw at all.

    Attributes:
        high_pass_hz: corner of a microphone's high-pass (second order in power); probability `high_pass_share`.
        tilt_db: standard deviation of the spectral tilt per octave around 1 kHz.
        resonances: number of resonances and dips of a microphone and its body; `resonance_db` is their standard
            deviation.
        low_pass_hz: corner of the steep low-pass of low sample rates and codecs; probability `low_pass_share`.
        snr_db: level of the noise floor below the filtered sound; probability `noise_share`.
        noise_slope_db: fall of the floor's spectrum per octave.
        compression_share: probability of automatic gain; `compression_ratio` is its strength (1 is none).
        clip_share: probability of clipping, `clip_db` below the highest peak.
        level_db: level of the finished clip (root mean square) relative to full scale.
        codec_share: probability of a lossy codec (`draw_recording` only); `codec_bits_per_s` is its bit rate.
    """

    high_pass_share: float = 0.7
    high_pass_hz: tuple[float, float] = (50.0, 250.0)
    tilt_db: float = 1.5
    resonances: int = 5
    resonance_db: float = 4.0
    low_pass_share: float = 0.35
    low_pass_hz: tuple[float, float] = (3500.0, 7600.0)
    noise_share: float = 0.85
    snr_db: tuple[float, float] = (15.0, 50.0)
    noise_slope_db: tuple[float, float] = (-1.0, 8.0)
    compression_share: float = 0.5
    compression_ratio: tuple[float, float] = (1.2, 4.0)
    clip_share: float = 0.08
    clip_db: tuple[float, float] = (1.0, 9.0)
    level_db: tuple[float, float] = (-38.0, -14.0)
    codec_share: float = 0.25
    codec_bits_per_s: tuple[float, float] = (16_000.0, 48_000.0)


@dataclass(frozen=True)
class Flaws:
    """Flaws of each clip of a batch; see `Ranges`.

    Attributes:
        magnitude_db: magnitude of the filter at `knots_hz`. `[batch, knots]`
        low_pass_hz: corner of the low-pass; infinity for none. `[batch]`
        snr_db, noise_slope_db: level and slope of the noise floor; infinite SNR for none. `[batch]`
        ratio, release_s: ratio and release time of the automatic gain; ratio 1 for none. `[batch]`
        clip_db: level of clipping below the highest peak; 0 for none. `[batch]`
        level_db: level of the result. `[batch]`
        sample_rate_hz: sample rate of the sound.
    """

    magnitude_db: Tensor
    low_pass_hz: Tensor
    snr_db: Tensor
    noise_slope_db: Tensor
    ratio: Tensor
    release_s: Tensor
    clip_db: Tensor
    level_db: Tensor
    sample_rate_hz: float


def knots_hz(sample_rate_hz: float, device: torch.device | None = None) -> Tensor:
    """Frequencies of the points of a magnitude curve. `[knots]`"""
    return torch.logspace(math.log10(20), math.log10(sample_rate_hz / 2), _KNOTS, device=device)


def draw_flaws(
    batch: int, sample_rate_hz: float, generator: torch.Generator | None = None, ranges: Ranges | None = None
) -> Flaws:
    """Draw flaws for a batch of clips, on the CPU."""
    r = ranges or Ranges()

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(batch, *shape, generator=generator)

    def some(share: float) -> Tensor:
        return torch.rand(batch, generator=generator) < share

    frequency = knots_hz(sample_rate_hz)
    corner = torch.exp(uniform(math.log(r.high_pass_hz[0]), math.log(r.high_pass_hz[1])))
    order = torch.where(some(0.5), 2.0, 4.0)
    falling = -10 * torch.log10(1 + (corner[:, None] / frequency) ** order[:, None])
    curve = torch.where(some(r.high_pass_share)[:, None], falling, 0.0)
    octaves = torch.log2(frequency / 1000)
    curve = curve + r.tilt_db * torch.randn(batch, 1, generator=generator).clamp(-2, 2) * octaves
    for _ in range(r.resonances):
        middle, width = uniform(-3.5, 3.0, 1), torch.exp(uniform(math.log(0.08), math.log(0.9), 1))
        height = r.resonance_db * torch.randn(batch, 1, generator=generator).clamp(-2.5, 2.5)
        curve = curve + height * torch.exp(-0.5 * ((octaves - middle) / width) ** 2)
    return Flaws(
        magnitude_db=curve.clamp(-60, 24),
        low_pass_hz=torch.where(some(r.low_pass_share), uniform(*r.low_pass_hz), math.inf),
        snr_db=torch.where(some(r.noise_share), uniform(*r.snr_db), math.inf),
        noise_slope_db=uniform(*r.noise_slope_db),
        ratio=torch.where(some(r.compression_share), uniform(*r.compression_ratio), 1.0),
        release_s=torch.exp(uniform(math.log(0.05), math.log(0.8))),
        clip_db=torch.where(some(r.clip_share), uniform(*r.clip_db), 0.0),
        level_db=uniform(*r.level_db),
        sample_rate_hz=sample_rate_hz,
    )


@dataclass(frozen=True)
class Recorded:
    """A flawed batch, and what must be applied to stems.

    Attributes:
        sound: the recording: clipped `gain * (filtered + noise)`. `[batch, samples]`
        noise: noise of the microphone, before the gain. `[batch, samples]`
        response: magnitudes of the zero-phase filter at the frequencies of a real FFT of the padded clip. `[batch,
            bins]`
        gain: automatic gain and level over time. `[batch, samples]`
    """

    sound: Tensor
    noise: Tensor
    response: Tensor
    gain: Tensor


def record(sound: Tensor, flaws: Flaws, generator: torch.Generator | None = None) -> Recorded:
    """Apply flaws to a batch.

    Args:
        sound: mono clips. `[batch, samples]`
        generator: random generator of the noise.
    """
    samples, rate = sound.shape[-1], flaws.sample_rate_hz
    length = _padded(samples, rate)
    frequency = torch.linspace(0, rate / 2, _COARSE + 1)
    response = _fine(response_at(flaws, frequency), length).to(sound)
    filtered = _filtered(sound, response)
    loudness = filtered.square().mean(-1, keepdim=True).sqrt()
    # silence stays silent: its noise floor is that of a sound at -80 dB
    loudness = loudness.clamp_min(1e-4)
    noise = _noise(flaws, frequency, length, samples, generator).to(sound) * loudness
    heard = filtered + noise
    gain = _automatic_gain(heard, flaws)
    gained = heard * gain
    level = 10 ** (flaws.level_db.to(sound) / 20)[:, None] / gained.square().mean(-1, keepdim=True).sqrt().clamp_min(
        1e-4
    )
    recorded, gain = gained * level, gain * level
    ceiling = recorded.abs().amax(-1, keepdim=True) * 10 ** (-flaws.clip_db.to(sound)[:, None] / 20)
    ceiling = ceiling.clamp(1e-6, 1.0)  # nothing exceeds full scale
    return Recorded(recorded.clamp(-ceiling, ceiling), noise, response, gain)


def draw_recording(
    sound: Tensor,
    sample_rate_hz: float,
    rng: np.random.Generator,
    ranges: Ranges | None = None,
    n_fft: int = 1024,
) -> tuple[Tensor, Tensor, NDArray[np.float32]]:
    """Apply randomly drawn flaws to one clip.

    Args:
        sound: mono sound. `[samples]`
        n_fft: FFT size of the spectrogram whose stems the response is for.

    Returns:
        the recording `[samples]`; the noise floor on the scale of the filtered sound, before the automatic gain (which
        is the same for sound and noise, so that shares do not depend on it) `[samples]`; the filter's magnitude at the
        spectrogram's bins `[n_fft / 2 + 1]`.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    flaws = draw_flaws(1, sample_rate_hz, generator, ranges)
    recorded = record(sound[None], flaws, generator)
    finished = recorded.sound[0]
    r = ranges or Ranges()
    if rng.random() < r.codec_share:
        codec = list(CODECS)[rng.integers(len(CODECS))]
        bits_per_s = round(float(np.exp(rng.uniform(*np.log(r.codec_bits_per_s)))))
        finished = through_codec(finished, round(sample_rate_hz), codec, bits_per_s)
    bins = response_at(flaws, torch.fft.rfftfreq(n_fft, 1 / sample_rate_hz))
    return finished, recorded.noise[0], bins[0].numpy()


def _noise(flaws: Flaws, frequency: Tensor, length: int, samples: int, generator: torch.Generator | None) -> Tensor:
    """Noise floor relative to a sound with a root mean square of 1. `[batch, samples]`"""
    noisy = torch.isfinite(flaws.snr_db)
    colour = (frequency.clamp_min(30) / 1000) ** (-flaws.noise_slope_db[:, None] / 6.02)
    colour = _fine(colour * _low_pass(flaws.low_pass_hz, frequency), length)
    white = torch.view_as_complex(torch.randn(len(noisy), length // 2 + 1, 2, generator=generator))
    noise = torch.fft.irfft(white * colour, length)[..., :samples]
    noise = noise / noise.square().mean(-1, keepdim=True).sqrt()
    return noise * torch.where(noisy, 10 ** (-flaws.snr_db / 20), torch.zeros(()))[:, None]


def _padded(samples: int, rate: float) -> int:
    """Even FFT length with a fast transform and space for the decay of the filter."""
    need = samples + round(0.05 * rate)
    length = int(next_fast_len(need, real=True))
    while length % 2:
        length = int(next_fast_len(length + 1, real=True))
    return length


def _fine(coarse: Tensor, length: int) -> Tensor:
    """Interpolate a curve at _COARSE + 1 frequencies up to Nyquist to the bins of a real FFT. `[batch, bins]`"""
    return torch.nn.functional.interpolate(coarse[:, None], size=length // 2 + 1, mode="linear", align_corners=True)[
        :, 0
    ]


def _filtered(sound: Tensor, response: Tensor) -> Tensor:
    samples = sound.shape[-1]
    length = 2 * (response.shape[-1] - 1)
    return torch.fft.irfft(torch.fft.rfft(sound, length) * response, length)[..., :samples]


def response_at(flaws: Flaws, frequency: Tensor) -> Tensor:
    """Magnitude of each clip's filter. `[batch, frequencies]`"""
    place = (torch.log10(frequency.clamp_min(20)) - math.log10(20)) / (
        math.log10(flaws.sample_rate_hz / 2) - math.log10(20)
    )
    place = (place * (_KNOTS - 1)).clamp(0, _KNOTS - 1.001)
    low = place.floor().long()
    curve = torch.lerp(flaws.magnitude_db[:, low], flaws.magnitude_db[:, low + 1], place - low)
    return 10 ** (curve / 20) * _low_pass(flaws.low_pass_hz, frequency)


def _low_pass(corner: Tensor, frequency: Tensor) -> Tensor:
    """Steep edge of a codec: flat, then down to zero within a tenth of the corner frequency. `[batch, frequencies]`"""
    over = (frequency / corner[:, None] - 0.95) / 0.1
    return torch.where(torch.isinf(corner)[:, None], 1.0, 0.5 + 0.5 * torch.cos(math.pi * over.clamp(0, 1)))


def _automatic_gain(sound: Tensor, flaws: Flaws) -> Tensor:
    """Gain of a compressor that follows the level in steps of 10 ms, with slow release. `[batch, samples]`"""
    samples, hop = sound.shape[-1], round(0.01 * flaws.sample_rate_hz)
    if not bool((flaws.ratio > 1).any()):
        return torch.ones_like(sound)
    steps = -(-samples // hop)
    blocks = torch.nn.functional.pad(sound, (0, steps * hop - samples)).reshape(sound.shape[0], steps, hop)
    level = 10 * torch.log10(blocks.square().mean(-1) + 1e-10)
    fall = (8.7 * 0.01 / flaws.release_s.to(sound)).clamp_max(40.0)  # dB a step
    # peaks held and released at a constant rate, for all steps at once: a running maximum of level + fall * step
    ramp = fall[:, None] * torch.arange(steps, device=sound.device, dtype=sound.dtype)
    held = torch.cummax(level + ramp, dim=1).values - ramp
    middle = held.amax(dim=1, keepdim=True)
    # at most 30 dB up: an automatic gain does not amplify silence
    gain_db = (middle - held).clamp_max(30) * (1 - 1 / flaws.ratio.to(sound))[:, None]
    smooth = torch.nn.functional.interpolate(gain_db[:, None], size=steps * hop, mode="linear", align_corners=False)
    return 10 ** (smooth[:, 0, :samples] / 20)
