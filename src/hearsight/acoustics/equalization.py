"""Levels and equalisation of HRIR sets over the whole sphere."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

LOWEST_HZ, HIGHEST_HZ = 100.0, 16_000.0  # band in which the level of a set is measured
LARGEST_BOOST_DB = 15.0  # largest boost above 1 kHz: the equaliser cannot restore what was not measured
LARGEST_BASS_BOOST_DB = 30.0  # below 1 kHz, where the level of a small loudspeaker falls steadily
BASS_FROM_HZ, BASS_TO_HZ = 250.0, 450.0  # band from which the level and the delay of the bass are taken
CROSSOVER_HZ = (120.0, 300.0)  # fully extended below, fully measured above


def diffuse_field_equalizer(
    responses: Float[Tensor, "direction 2 taps"], areas: Float[Tensor, "direction"], sample_rate_hz: float
) -> Float[Tensor, "filter_taps"]:
    """Minimum-phase filter that makes the power average over the sphere flat.

    The average is over both ears together (so level differences between the ears stay), weighted by the area of each
    direction and smoothed over thirds of an octave. The filter boosts by at most 15 dB over its mean level, 30 dB below
    1 kHz.
    """
    length = 1 << int(np.ceil(np.log2(8 * responses.shape[-1])))
    power = _diffuse_power(responses, areas, length)
    frequency = np.fft.rfftfreq(length, 1 / sample_rate_hz)
    smooth = _third_octave_smoothed(power, frequency)
    band = (frequency >= LOWEST_HZ) & (frequency <= min(HIGHEST_HZ, sample_rate_hz / 2))
    reference = np.average(smooth[band], weights=1 / frequency[band])
    limit_db = np.where(frequency < 1000, LARGEST_BASS_BOOST_DB, LARGEST_BOOST_DB)
    gain = np.minimum((reference / smooth) ** 0.5, 10 ** (limit_db / 20))
    cepstrum = np.fft.irfft(np.log(gain), length)
    fold = np.zeros(length)
    fold[0], fold[1 : length // 2], fold[length // 2] = 1, 2, 1
    filters = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)), length)
    return torch.from_numpy(filters[: length // 2]).to(responses)


def bass_extended(
    responses: Float[Tensor, "direction 2 taps"], onsets_samples: Float[Tensor, "direction 2"], sample_rate_hz: float
) -> Float[Tensor, "direction 2 taps"]:
    """Extend the bass of responses: their level and delay around 350 Hz are continued down to 0 Hz.

    Loudspeakers of HRIR measurements have little output below 100 Hz, and the responses are too short to resolve it, so
    that this part of them is mostly the loudspeaker. A head has almost no effect on such waves. Each response is
    therefore continued with its level and phase delay from 250 to 450 Hz (after Xie, "Head-related transfer function
    and virtual auditory display", section on low frequencies), with a crossover from 300 to 120 Hz. This is an
    approximation: the interaural differences below 120 Hz are extrapolated, not measured.
    """
    # In parts: the long spectra of a whole set take hundreds of megabytes.
    parts = zip(responses.split(64), onsets_samples.split(64), strict=True)
    return torch.cat([_part_extended(part, onsets, sample_rate_hz) for part, onsets in parts])


def pink_level(
    responses: Float[Tensor, "direction 2 taps"], areas: Float[Tensor, "direction"], sample_rate_hz: float
) -> float:
    """Root mean square gain per ear for pink noise (100 Hz to 16 kHz) from all directions."""
    length = 1 << int(np.ceil(np.log2(8 * responses.shape[-1])))
    frequency = np.fft.rfftfreq(length, 1 / sample_rate_hz)
    band = (frequency >= LOWEST_HZ) & (frequency <= min(HIGHEST_HZ, sample_rate_hz / 2))
    return float(np.average(_diffuse_power(responses, areas, length)[band], weights=1 / frequency[band]) ** 0.5)


def _part_extended(responses: Tensor, onsets_samples: Tensor, sample_rate_hz: float) -> Tensor:
    length = 1 << int(np.ceil(np.log2(8 * responses.shape[-1])))
    frequency = torch.fft.rfftfreq(length, 1 / sample_rate_hz, dtype=responses.dtype, device=responses.device)
    onset = onsets_samples.to(responses).unsqueeze(-1) / sample_rate_hz
    spectra = torch.fft.rfft(responses, length)
    band = (frequency >= BASS_FROM_HZ) & (frequency <= BASS_TO_HZ)
    aligned = spectra[..., band] * torch.exp(2j * torch.pi * onset * frequency[band])
    level = aligned.abs().square().mean(-1, keepdim=True).sqrt()
    late = -(aligned.angle() * frequency[band]).sum(-1, keepdim=True) / (2 * torch.pi * frequency[band].square().sum())
    extension = level * torch.exp(-2j * torch.pi * (onset + late) * frequency)
    low, high = CROSSOVER_HZ
    measured = 0.5 - 0.5 * torch.cos(torch.pi * ((frequency - low) / (high - low)).clamp(0, 1))
    extended = torch.fft.irfft(measured * spectra + (1 - measured) * extension, length)[..., : responses.shape[-1]]
    ending = torch.ones(responses.shape[-1], dtype=responses.dtype, device=responses.device)
    count = responses.shape[-1] // 8
    ending[-count:] = 0.5 + 0.5 * torch.cos(torch.pi * torch.arange(1, count + 1).to(responses) / count)
    return extended * ending


def _diffuse_power(responses: Tensor, areas: Tensor, length: int) -> np.ndarray:
    power = torch.zeros(length // 2 + 1, dtype=torch.float64)
    for chunk, area in zip(responses.double().cpu().split(64), areas.cpu().split(64), strict=True):
        power += (torch.fft.rfft(chunk, length).abs().square().mean(1) * area.unsqueeze(-1)).sum(0)
    return np.maximum(power.numpy(), 1e-12 * float(power.max()))


def _third_octave_smoothed(power: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    cumulative = np.concatenate([[0.0], np.cumsum(power)])
    step = frequency[1]
    low = np.floor(frequency * 2 ** (-1 / 6) / step).astype(int)
    high = np.minimum(np.ceil(frequency * 2 ** (1 / 6) / step).astype(int), len(power) - 1)
    return (cumulative[high + 1] - cumulative[low]) / (high + 1 - low)
