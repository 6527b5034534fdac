"""True peak by ITU-R BS.1770: the highest value, including values between samples."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import firwin
from torch import Tensor
from torch.nn import functional

_FACTOR = 4  # the standard's oversampling
_HALF_TAPS = 12  # on each side of a sample, at the original rate
CONTEXT = _HALF_TAPS  # number of samples on each side that a value depends on
_FILTER = firwin(2 * _FACTOR * _HALF_TAPS + 1, 1 / _FACTOR, window=("kaiser", 7.0)) * _FACTOR
_AT_SAMPLES = float(_FILTER[_FACTOR * _HALF_TAPS])  # the filter's value at the sample; 0 at the others


def _between(quarters: int) -> Float[np.ndarray, "taps"]:
    """Filter taps for the value `quarters` quarters after a sample, for the samples around it in order."""
    return np.pad(_FILTER, 2)[2 + quarters + 4 * np.arange(2 * _HALF_TAPS + 1)][::-1]


# half a sample before, a quarter before, a quarter after
_INTERPOLATION = torch.from_numpy(np.stack([_between(quarters) for quarters in (-2, -1, 1)])).float()[:, None]


def true_peaks(sound: Float[Tensor, "channels samples"] | Float[np.ndarray, "channels samples"]) -> np.ndarray:
    """Highest absolute value of any channel around each sample (from half a sample before to half a sample after).

    Fourfold oversampling (ITU-R BS.1770-4, annex 2) finds a sine of any phase within 0.2 dB up to 0.4 of the rate.

    Returns:
        float32 `[samples]`; the signal is silent beyond its ends.
    """
    values = torch.as_tensor(sound, dtype=torch.float32)
    if not values.shape[-1]:
        return np.zeros(0, np.float32)
    padded = functional.pad(values[:, None], (_HALF_TAPS, _HALF_TAPS + 1))
    half, *quarters = functional.conv1d(padded, _INTERPOLATION).abs().amax(0)
    peaks = torch.stack([half[:-1], half[1:], *(each[:-1] for each in quarters), _AT_SAMPLES * values.abs().amax(0)])
    return peaks.amax(0).numpy()


class TruePeakMeter:
    """Highest true peak of a signal in blocks."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self.peak = 0.0

    def process(self, block: Float[Tensor, "channels samples"] | Float[np.ndarray, "channels samples"]) -> None:
        """Add the next block to the measurement."""
        values = np.asarray(block, dtype=np.float32)
        if not values.shape[-1]:
            return
        joined = values if self._before is None else np.concatenate([self._before, values], axis=-1)
        self._before = joined[:, -2 * CONTEXT :]
        if np.abs(joined).max() * 4 > self.peak:  # values between samples are at most four times as high
            self.peak = max(self.peak, float(true_peaks(joined).max()))

    @property
    def peak_db(self) -> float:
        """True peak in decibels of full scale (dBTP); -inf for silence."""
        return 20 * math.log10(self.peak) if self.peak else -math.inf
