"""True peak by ITU-R BS.1770: the highest value between the samples, too."""

import math

import numpy as np
from jaxtyping import Float
from scipy.signal import firwin, upfirdn
from torch import Tensor

_FACTOR = 4  # the standard's oversampling
_HALF_TAPS = 12  # on each side of a sample, at the original rate
CONTEXT = _HALF_TAPS  # samples on each side on which a value depends
_FILTER = firwin(2 * _FACTOR * _HALF_TAPS + 1, 1 / _FACTOR, window=("kaiser", 7.0)) * _FACTOR


def true_peaks(sound: Float[Tensor, "channels samples"] | Float[np.ndarray, "channels samples"]) -> np.ndarray:
    """The highest absolute value of any channel around each sample (from half a sample before it to half one after).

    Fourfold oversampling (ITU-R BS.1770-4, annex 2) finds a sine of any phase within 0.2 dB up to 0.4 of the rate.

    Returns:
        float64 `[samples]`; beyond the ends there is silence.
    """
    values = np.asarray(sound, dtype=np.float64)
    samples = values.shape[-1]
    if not samples:
        return np.zeros(0)
    # Fine sample 4 n + 4 * 12 stands at sample n.
    fine = np.abs(upfirdn(_FILTER, values, up=_FACTOR, axis=-1)).max(0)
    begin = _FACTOR * _HALF_TAPS - _FACTOR // 2
    around = np.stack([fine[begin + shift :][: _FACTOR * samples : _FACTOR][:samples] for shift in range(_FACTOR + 1)])
    return np.maximum(around.max(0), np.abs(values).max(0))


class TruePeakMeter:
    """The highest true peak of a sound that comes in blocks."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self.peak = 0.0

    def process(self, block: Float[Tensor, "channels samples"] | Float[np.ndarray, "channels samples"]) -> None:
        """Take the next block into account."""
        values = np.asarray(block, dtype=np.float64)
        if not values.shape[-1]:
            return
        joined = values if self._before is None else np.concatenate([self._before, values], axis=-1)
        self._before = joined[:, -2 * CONTEXT :]
        if np.abs(joined).max() * 4 > self.peak:  # between samples it is four times as high at the very most
            self.peak = max(self.peak, float(true_peaks(joined).max()))

    @property
    def peak_db(self) -> float:
        """In decibels of full scale (dBTP); -inf for silence."""
        return 20 * math.log10(self.peak) if self.peak else -math.inf
