"""Amplitude and phase distance of CCStereo's test script (Chen et al., ACM MM 2025, released code)."""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.metrics.binaural import PAPERS_STFT, Padding, spectrogram
from hearsight.signal import STFT

MAGNITUDE_FLOOR = 1e-6
LOUD = 0.2  # threshold of a bin's phase, relative to the mean of |Re| + |Im|

Ears = Float[Tensor, "*batch 2 samples"]
Value = Float[Tensor, "*batch"]


def amplitude_distance(
    prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> Value:
    """Mean absolute difference of the magnitudes of the bins, left plus right; magnitudes below 1e-6 count as 1e-6."""
    predicted, true = (
        spectrogram(ears, stft, padding).abs().clamp_min(MAGNITUDE_FLOOR) for ears in (prediction, reference)
    )
    return (predicted - true).abs().mean((-2, -1)).sum(-1)


def phase_distance(prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect") -> Value:
    """Mean circular difference of the phases in radians, for each ear over its loud bins, left plus right.

    A bin is loud if in both signals |Re| + |Im| is above 0.2 times that ear's mean in the reference. An ear without a
    common loud bin adds 0, where the released script gives NaN.
    """
    predicted, true = (spectrogram(ears, stft, padding) for ears in (prediction, reference))
    energies = [bins.real.abs() + bins.imag.abs() for bins in (predicted, true)]
    least = LOUD * energies[1].mean((-2, -1), keepdim=True)
    loud = (energies[0] > least) & (energies[1] > least)
    turn = (predicted.angle() - true.angle()).abs()
    circular = torch.pi - (turn - torch.pi).abs()
    counted = loud.sum((-2, -1)).clamp_min(1)
    return (circular.where(loud, 0.0).sum((-2, -1)) / counted).sum(-1)
