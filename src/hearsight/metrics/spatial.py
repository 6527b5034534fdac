"""Error of predicted ears in two parts: errors that delays and gains could correct, and the rest."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.metrics.binaural import Ears

LIMIT_DB = 100.0
WINDOW_S = 2.0
LONGEST_DELAY_S = 2e-3  # largest delay in either direction that counts as spatial


@dataclass(frozen=True)
class ErrorEnergies:
    """Ratios in decibels, higher is better, each within +-100 dB.

    Attributes:
        spatial_db: energy of the reference over that of the spatial error: right timbre in the wrong place.
        residual_db: energy of the placed reference over that of the rest: noise, distortion, colour.
    """

    spatial_db: Float[Tensor, "*batch"]
    residual_db: Float[Tensor, "*batch"]


def spatial_error_energies(prediction: Ears, reference: Ears, sample_rate_hz: int) -> ErrorEnergies:
    """Energy decomposition of the error after Watcharasupat and Lerch 2024 (Quantifying Spatial Audio Quality).

    In each window of 2 s (adjacent; the last one may be shorter) every predicted channel is approximated by the
    reference's channels, each delayed by the lag (2 ms at most) of its largest cross-correlation and scaled (least
    squares). The approximation minus the reference is the spatial error, the prediction minus the approximation the
    residual. Energies are summed over channels and windows.

    Identical signals, including silence, have 100 dB in both. A silent prediction of a sounding reference has 0 dB
    spatial (the whole reference is missing) and 100 dB residual (nothing was added). Sound where the reference is
    silent is all residual: -100 dB, with 100 dB spatial.

    Args:
        sample_rate_hz: sample rate of both signals.

    Raises:
        ValueError: the shapes differ or are not `[..., 2, samples]`.
    """
    if prediction.shape != reference.shape or prediction.dim() < 2 or prediction.shape[-2] != 2:
        raise ValueError(f"need two [..., 2, samples] alike, got {tuple(prediction.shape)}, {tuple(reference.shape)}")
    batch, samples = prediction.shape[:-2], prediction.shape[-1]
    window = min(samples, round(WINDOW_S * sample_rate_hz))
    missing = -samples % window  # zeros at the end add no energy to any part
    predicted, true = (
        torch.nn.functional.pad(signal, (0, missing)).reshape(*batch, 2, -1, window).movedim(-2, -3)
        for signal in (prediction, reference)
    )
    placed = _nearest_placement(predicted, true, round(LONGEST_DELAY_S * sample_rate_hz))

    def energy(signal: Tensor) -> Tensor:
        return signal.square().sum(-1).double().sum((-2, -1))

    return ErrorEnergies(
        _ratio_db(energy(true), energy(placed - true)), _ratio_db(energy(placed), energy(predicted - placed))
    )


def _nearest_placement(predicted: Tensor, true: Tensor, longest: int) -> Tensor:
    """Best approximation of each predicted channel by delayed and scaled true channels. `[..., windows, 2, window]`"""
    window = true.shape[-1]
    longest = min(longest, window - 1)
    size = 2 * window
    spectra = torch.fft.rfft(true, n=size)
    cross = torch.fft.rfft(predicted, n=size).unsqueeze(-2) * spectra.conj().unsqueeze(-3)  # [..., predicted, true, f]
    lags = torch.fft.irfft(cross, n=size)
    near = torch.cat([lags[..., : longest + 1], lags[..., size - longest :]], dim=-1).abs()
    best = near.argmax(-1)  # lag 0 is first, so that silence is not delayed
    delay = torch.where(best <= longest, best, best - (2 * longest + 1))
    delayed = _delayed(true.unsqueeze(-3).expand(*delay.shape, window), delay)

    # Two gains per predicted channel by least squares; the pseudo-inverse ignores a channel that is silent or a copy
    # of the other one.
    gram = (delayed @ delayed.transpose(-2, -1)).double()
    right = (delayed @ predicted.unsqueeze(-1)).double()
    gains = torch.linalg.pinv(gram, rtol=1e-6, hermitian=True) @ right
    return (gains.to(delayed.dtype) * delayed).sum(-2)


def _delayed(signal: Tensor, delay: Tensor) -> Tensor:
    """Shift signals by whole samples, filling with zeros."""
    position = torch.arange(signal.shape[-1], device=signal.device) - delay.unsqueeze(-1)
    inside = (position >= 0) & (position < signal.shape[-1])
    return signal.gather(-1, position.clamp(0, signal.shape[-1] - 1)) * inside


def _ratio_db(signal: Tensor, error: Tensor) -> Tensor:
    ratio = 10 * (signal.clamp_min(1e-300).log10() - error.clamp_min(1e-300).log10())
    none_wrong = error <= signal * 10 ** (-LIMIT_DB / 10)
    return torch.where(none_wrong, LIMIT_DB, ratio.clamp(-LIMIT_DB, LIMIT_DB)).float()
