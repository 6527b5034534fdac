"""Loudness by ITU-R BS.1770: K weighting, block by block of a stream, and gated loudness of a whole signal."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.signal import sosfilt
from torch import Tensor


class KWeightedPower:
    """K-weighted power of a stream in consecutive blocks, summed over its channels (ITU-R BS.1770-4, annex 1).

    Args:
        sample_rate_hz: sample rate of the stream.
        weights: one weight per channel (the standard's are 1, and 1.41 for surround channels, 0 for the LFE).
        block_s: length of a block in seconds.
    """

    def __init__(self, sample_rate_hz: float, weights: Sequence[float], block_s: float = 0.1) -> None:
        self._sos = k_weighting(sample_rate_hz)
        self._weights = np.asarray(weights, dtype=np.float64)[:, None]
        self._block = max(1, round(block_s * sample_rate_hz))
        self._state = np.zeros((len(self._sos), len(weights), 2))
        self._rest = np.zeros(0)

    @property
    def block_samples(self) -> int:
        """Number of samples in a block."""
        return self._block

    def process(self, samples: Float[Tensor, "channels samples"], last: bool = False) -> list[float]:
        """Mean power of each complete block; with `last`, also of the incomplete one."""
        rest = self._rest
        if samples.shape[-1]:
            weighted, self._state = sosfilt(self._sos, samples.double().numpy(), axis=-1, zi=self._state)
            rest = np.concatenate([rest, (self._weights * weighted**2).sum(0)])
        whole = len(rest) // self._block * self._block
        powers = list(rest[:whole].reshape(-1, self._block).mean(1)) if whole else []
        self._rest = rest[whole:]
        if last and len(self._rest):
            powers.append(float(self._rest.mean()))
            self._rest = np.zeros(0)
        return powers


class LoudnessMeter:
    """Gated loudness of a signal in blocks (ITU-R BS.1770-4): 400 ms blocks, 75 % overlap, both gates.

    Args:
        sample_rate_hz, weights: as in `KWeightedPower`.
    """

    def __init__(self, sample_rate_hz: float, weights: Sequence[float]) -> None:
        self._power = KWeightedPower(sample_rate_hz, weights)
        self._powers: list[float] = []

    def process(self, block: Float[Tensor, "channels samples"]) -> None:
        """Add the next block to the measurement."""
        self._powers += self._power.process(block)

    @property
    def lufs(self) -> float:
        """Loudness so far in LUFS; -inf for silence and for less than 400 ms."""
        if len(self._powers) < 4:
            return -math.inf
        blocks = np.convolve(self._powers, np.full(4, 0.25), mode="valid")
        blocks = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]  # absolute gate at -70 LUFS
        if not len(blocks):
            return -math.inf
        blocks = blocks[blocks > 0.1 * blocks.mean()]  # relative gate, 10 LU below the remaining blocks
        return -0.691 + 10 * math.log10(blocks.mean())


def integrated_loudness(samples: Float[Tensor, "channels samples"], sample_rate_hz: float) -> float:
    """Gated loudness of a whole signal in LUFS (`LoudnessMeter`); every channel has weight 1 (mono, stereo)."""
    meter = LoudnessMeter(sample_rate_hz, [1.0] * samples.shape[0])
    meter.process(samples)
    return meter.lufs


def k_weighting(sample_rate_hz: float) -> np.ndarray:
    """The two biquads of the K weighting at any sample rate, as second-order sections.

    The standard gives coefficients for 48 kHz only. These are the underlying analogue prototypes (a high shelf of 4 dB
    at 1,682 Hz and a high-pass at 38 Hz), bilinearly transformed; at 48 kHz they equal the standard's numbers.
    """
    shelf_hz, shelf_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    high_hz, high_q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * min(shelf_hz / sample_rate_hz, 0.49))
    top, middle = 10 ** (shelf_db / 20), 10 ** (shelf_db / 20 * 0.4996667741545416)
    a0 = 1 + k / shelf_q + k * k
    shelf = [
        (top + middle * k / shelf_q + k * k) / a0,
        2 * (k * k - top) / a0,
        (top - middle * k / shelf_q + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / shelf_q + k * k) / a0,
    ]
    k = math.tan(math.pi * high_hz / sample_rate_hz)
    a0 = 1 + k / high_q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / high_q + k * k) / a0]
    return np.array([shelf, high_pass])
