"""Onset strength of a stream."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_FRAME_S, _HOP_S = 0.032, 0.010
_BANDS = 40
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 12_000.0
_FLOOR_DB = -60.0  # level of a band relative to full scale; quieter onsets are ignored


class OnsetStrength:
    """Onset strength of a mono sound in blocks, one value per tick, in bounded memory.

    Spectral flux: the rise of the level within 20 ms in each of 40 bands, evenly spaced in log frequency, summed over
    the bands and averaged over the tick (Bello et al., "A tutorial on onset detection in music signals", IEEE
    Transactions on Speech and Audio Processing, 2005, section III-B, on levels in decibels).

    Args:
        sample_rate_hz: sample rate of the sound.
        tick_rate_hz: rate of the values; tick k covers k / tick_rate_hz to (k + 1) / tick_rate_hz.
    """

    def __init__(self, sample_rate_hz: int, tick_rate_hz: float) -> None:
        self._hop = max(1, round(_HOP_S * sample_rate_hz))
        self._frame = 1 << max(3, round(np.log2(_FRAME_S * sample_rate_hz)))
        self._hop_s = self._hop / sample_rate_hz
        self._tick_rate_hz = tick_rate_hz
        self._window = torch.hann_window(self._frame)
        frequency = np.fft.rfftfreq(self._frame, 1 / sample_rate_hz)
        edges = np.geomspace(_LOWEST_HZ, max(2 * _LOWEST_HZ, min(_HIGHEST_HZ, 0.45 * sample_rate_hz)), _BANDS + 1)
        bands = np.stack([(frequency >= low) & (frequency < high) for low, high in pairwise(edges)])
        bands = bands[bands.any(1)].astype(np.float32)
        self._bands = torch.from_numpy(bands / bands.sum(1, keepdims=True))
        self._buffer = torch.zeros(self._frame // 2)  # frames are centred on their time
        self._levels: list[np.ndarray] = []
        self._fluxes: list[float] = []
        self._frames_done = 0
        self._ticks_done = 0

    def process(self, mono: Float[Tensor, "samples"], last: bool = False) -> Float[np.ndarray, "ticks"]:
        """Values of the ticks that are complete."""
        parts = [self._buffer, mono] + ([torch.zeros(self._frame)] if last else [])
        self._buffer = torch.cat(parts)
        if self._buffer.shape[-1] >= self._frame:
            frames = self._buffer.unfold(0, self._frame, self._hop)
            self._buffer = self._buffer[len(frames) * self._hop :].clone()
            spectrum = torch.fft.rfft(frames * self._window).abs() / (self._frame / 4)
            power = spectrum.square() @ self._bands.T
            levels = np.maximum(10 * np.log10(power.numpy() + 1e-12), _FLOOR_DB)
            for level in levels:
                rise = np.maximum(level - self._levels[0], 0).sum() if len(self._levels) == 2 else 0.0
                self._fluxes.append(float(rise))
                self._levels = [*self._levels[-1:], level]
        return self._ticks()

    def _ticks(self) -> np.ndarray:
        values: list[float] = []
        while True:
            end = int(np.ceil((self._ticks_done + 1) / self._tick_rate_hz / self._hop_s - 1e-9))
            if end > self._frames_done + len(self._fluxes):
                return np.asarray(values, dtype=np.float32)
            count = end - self._frames_done
            values.append(float(np.mean(self._fluxes[:count])) if count else 0.0)
            del self._fluxes[:count]
            self._frames_done, self._ticks_done = end, self._ticks_done + 1
