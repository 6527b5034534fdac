"""Interaural cues, band by band: level, time and phase differences, and coherence."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.metrics.binaural import Ears, spectrogram
from hearsight.signal import STFT

LEVEL_LIMIT_DB = 60.0
LONGEST_DELAY_S = 0.8e-3  # low-frequency sound from the side takes 0.78 ms around a head
DELAY_STEP_S = 1e-5
UNAMBIGUOUS_HZ = 600.0  # above it, two delays possible for a head can give the same phase
AUDIBLE_DB = -60.0


@dataclass(frozen=True)
class InterauralCues:
    """Cues per band and tenth of a second.

    Attributes:
        centre_hz: centre of each band. `[bands]`
        level_db: level of left over right, within +-60 dB; 0 where both are silent.
        phase_rad: phase lead of left over right, in (-pi, pi]; 0 where an ear is silent.
        time_s: lead of the left ear, from the best alignment of the band within +-0.8 ms in steps of 10 us; only below
            600 Hz, where every delay possible for a head is unambiguous, and 0 in higher bands.
        coherence: 0 (unrelated or silent) to 1 (one signal is the other, delayed and scaled).
        energy: energy of both ears.
    """

    centre_hz: Float[Tensor, "bands"]
    level_db: Float[Tensor, "*batch bands time"]
    phase_rad: Float[Tensor, "*batch bands time"]
    time_s: Float[Tensor, "*batch bands time"]
    coherence: Float[Tensor, "*batch bands time"]
    energy: Float[Tensor, "*batch bands time"]


@dataclass(frozen=True)
class InterauralBandErrors:
    """Mean absolute errors of the cues per band, weighted over time by the reference's energy.

    If the reference is silent in a band, or 60 dB below its loudest band, the band's `audible` is 0 and its errors are
    0.
    """

    centre_hz: Float[Tensor, "bands"]
    level_db: Float[Tensor, "*batch bands"]
    phase_rad: Float[Tensor, "*batch bands"]
    time_s: Float[Tensor, "*batch bands"]
    coherence: Float[Tensor, "*batch bands"]
    audible: Float[Tensor, "*batch bands"]

    def means(self) -> dict[str, Float[Tensor, "*batch"]]:
        """Mean errors over the audible bands (for the time over those below 600 Hz), 0 if there are none.

        The keys are `ild_db`, `ipd_rad`, `itd_us` (microseconds) and `coherence`.
        """
        low = self.audible * (self.centre_hz < UNAMBIGUOUS_HZ)

        def mean(values: Tensor, weight: Tensor) -> Tensor:
            return (values * weight).sum(-1) / weight.sum(-1).clamp_min(1)

        return {
            "ild_db": mean(self.level_db, self.audible),
            "ipd_rad": mean(self.phase_rad, self.audible),
            "itd_us": 1e6 * mean(self.time_s, low),
            "coherence": mean(self.coherence, self.audible),
        }


def interaural_errors(prediction: Ears, reference: Ears, sample_rate_hz: int) -> InterauralBandErrors:
    """Errors of a prediction's interaural cues, band by band.

    Identical signals, including silent ones, have errors 0. See `interaural_cues` for the bands and the windows.

    Raises:
        ValueError: the shapes differ or are not `[..., 2, samples]`.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and reference {tuple(reference.shape)} differ in shape")
    predicted, true = interaural_cues(prediction, sample_rate_hz), interaural_cues(reference, sample_rate_hz)
    energy = true.energy.sum(-1, keepdim=True)
    weight = true.energy / energy.clamp_min(torch.finfo(energy.dtype).tiny)
    loudest = energy.amax(-2, keepdim=True)
    audible = ((energy > loudest * 10 ** (AUDIBLE_DB / 10)) & (energy > 0)).to(energy)
    weight = weight * audible

    def error(difference: Tensor) -> Tensor:
        return (difference.abs() * weight).sum(-1)

    phase = torch.remainder(predicted.phase_rad - true.phase_rad + math.pi, 2 * math.pi) - math.pi
    return InterauralBandErrors(
        true.centre_hz,
        error(predicted.level_db - true.level_db),
        error(phase),
        error(predicted.time_s - true.time_s),
        error(predicted.coherence - true.coherence),
        audible.squeeze(-1),
    )


def interaural_cues(ears: Ears, sample_rate_hz: int) -> InterauralCues:
    """Interaural cues in bands of one ERB from 100 Hz to 16 kHz or half the sample rate, per 0.1 s.

    Cross spectra of 40 ms Hann windows, 20 ms apart, are summed over the bins of a band and over five windows (without
    the sum over time, the coherence of a band with a single bin would always be 1). ERB scale of Glasberg and Moore
    (1990).

    Raises:
        ValueError: the shape is not `[..., 2, samples]`.
    """
    if ears.dim() < 2 or ears.shape[-2] != 2 or ears.shape[-1] < 1:
        raise ValueError(f"need [..., 2, samples] with at least one sample, got {tuple(ears.shape)}")
    window = round(0.04 * sample_rate_hz)
    stft = STFT(n_fft=2 ** math.ceil(math.log2(window)), window_samples=window, hop_samples=window // 2)
    # Not reflected at the ends: mirroring would exchange the earlier and the later ear.
    left, right = spectrogram(ears, stft, "zeros").unbind(-3)
    frequency_hz = torch.linspace(0, sample_rate_hz / 2, stft.bins, dtype=torch.float64)
    edges_hz = erb_edges_hz(100.0, min(16_000.0, sample_rate_hz / 2))
    edges = torch.searchsorted(frequency_hz, edges_hz).tolist()
    bands = [(low, high) for low, high in pairwise(edges) if high > low]

    member = torch.zeros(len(bands), stft.bins, dtype=ears.dtype, device=ears.device)
    for row, (low, high) in enumerate(bands):
        member[row, low:high] = 1
    energy_left, energy_right = (member @ _pooled(bins.real.square() + bins.imag.square()) for bins in (left, right))
    cross = _pooled(left * right.conj())
    product = torch.complex(member @ cross.real, member @ cross.imag)

    tiny = torch.finfo(ears.dtype).tiny
    floor = 10 ** (-LEVEL_LIMIT_DB / 10) * torch.maximum(energy_left, energy_right)
    sounding = (energy_left > floor) & (energy_right > floor)
    level = 10 * (energy_left.clamp_min(tiny).log10() - energy_right.clamp_min(tiny).log10())
    root = energy_left.sqrt() * energy_right.sqrt()
    coherence = product.abs() / root.clamp_min(tiny)
    centre_hz = torch.stack([frequency_hz[low:high].mean() for low, high in bands]).to(ears)
    time = torch.zeros_like(level)
    for row, (low, high) in enumerate(bands):
        if float(centre_hz[row]) < UNAMBIGUOUS_HZ:
            time[..., row, :] = _best_delay(cross[..., low:high, :], frequency_hz[low:high].to(ears))
    return InterauralCues(
        centre_hz,
        level.clamp(-LEVEL_LIMIT_DB, LEVEL_LIMIT_DB),
        torch.where(sounding, product.angle(), 0.0),
        torch.where(sounding, time, 0.0),
        torch.where(sounding, coherence, 0.0).clamp(max=1.0),
        energy_left + energy_right,
    )


def erb_edges_hz(lowest_hz: float, highest_hz: float) -> Float[Tensor, "edges"]:
    """Edges of bands one ERB wide; ERB number 21.4 log10(1 + 0.00437 f) (Glasberg and Moore 1990)."""
    first, last = (21.4 * math.log10(1 + 0.00437 * f) for f in (lowest_hz, highest_hz))
    numbers = torch.linspace(first, last, max(2, round(last - first) + 1), dtype=torch.float64)
    return (10 ** (numbers / 21.4) - 1) / 0.00437


def _pooled(power: Tensor) -> Tensor:
    """Sums of five columns each; the last sum contains the rest."""
    missing = -power.shape[-1] % 5
    padded = torch.nn.functional.pad(power, (0, missing))
    return padded.reshape(*power.shape[:-1], -1, 5).sum(-1)


def _best_delay(cross: Tensor, frequency_hz: Tensor) -> Tensor:
    """Delay with the largest cross-correlation of the band; of two equal ones, the smaller."""
    steps = round(LONGEST_DELAY_S / DELAY_STEP_S)
    ordered = sorted(range(-steps, steps + 1), key=abs)  # argmax takes the first of equals
    delays = torch.tensor(ordered, dtype=frequency_hz.dtype, device=cross.device) * DELAY_STEP_S
    turn = 2 * math.pi * frequency_hz.unsqueeze(-1) * delays  # left leads right by d: its phase is ahead by 2 pi f d
    aligned = cross.real.transpose(-2, -1) @ turn.cos() + cross.imag.transpose(-2, -1) @ turn.sin()
    return delays[aligned.argmax(-1)]
