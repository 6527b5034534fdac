"""Split of the sound among sources by the correlation of its components with their motion."""

from collections import deque

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from hearsight.models.positions.search import fluctuation, shuffled
from hearsight.signal import STFT
from hearsight.signal.nmf import factorize

COMPONENTS_PER_SOURCE = 6
MOST_COMPONENTS = 24

_FFT_S = 0.043
_SHUFFLES = 40
_CHANCE, _HALF = 1.5, 2.0  # deviations that count for nothing; deviations above these that give half to the source
USABLE = 3.0  # least deviations of the best component at which motion distinguishes sources


class MotionSplitter:
    """Splitter of windows of a mono sound into one stem per source and a rest.

    Each window's spectrogram is factorised (`signal.nmf`), starting from the spectra of the window before, so that
    components keep their meaning. A component is attributed to a source by the correlation of its attacks with the
    changes of the source's motion over the last seconds: with z standard deviations above the correlation with shuffled
    motion, e = (z - 1.5)^2 for z > 1.5, and its share in source s is e_s / (4 + sum of all e). The remainder of the
    component goes to the rest. A stem is the mixture's spectrogram times the source's part of the components
    (Wiener-like masks), so that stems and rest add up to the mixture.

    Args:
        sample_rate_hz: sample rate of the sound.
        tick_rate_hz: rate of the motion.
        history_ticks: number of past ticks that the correlations span.
        sources: number of sources, which sets that of components.
    """

    def __init__(self, sample_rate_hz: int, tick_rate_hz: float, history_ticks: int, sources: int) -> None:
        n_fft = 1 << max(6, round(np.log2(_FFT_S * sample_rate_hz)))
        self._stft = STFT(n_fft, n_fft, n_fft // 4)
        self._rate, self._tick_rate = sample_rate_hz, tick_rate_hz
        self._components = min(MOST_COMPONENTS, COMPONENTS_PER_SOURCE * max(2, sources))
        self._spectra: np.ndarray | None = None
        self._attacks: deque[np.ndarray] = deque(maxlen=history_ticks)
        self._next_tick = 0

    def split(
        self, mono: Float[Tensor, "samples"], start_s: float, activity: Float[np.ndarray, "sources ticks"], ticks: range
    ) -> tuple[Float[Tensor, "parts samples"], float]:
        """Return the stems in the order of `activity`, then the rest; and the best deviation found.

        Args:
            start_s: start of the window; windows come in order.
            activity: changes of each source's motion at the ticks numbered `ticks`.
        """
        samples = mono.shape[-1]
        if samples < 2 * self._stft.n_fft or not bool((mono != 0).any()):
            return torch.cat([torch.zeros(len(activity), samples), mono[None]]), 0.0
        spectrogram = self._stft.forward(mono)
        magnitudes = spectrogram.abs().numpy()
        first = self._spectra is None
        spectra, activations = factorize(magnitudes, self._components, 40 if first else 15, self._spectra)
        self._spectra = spectra
        self._remember(activations, start_s)
        shares, best = self._shares(activity, ticks)
        model = np.maximum(spectra @ activations, 1e-12)
        stems = []
        for share in shares:
            mask = torch.from_numpy(((spectra * share.astype(np.float32)) @ activations) / model)
            stems.append(self._stft.inverse(spectrogram * mask, samples))
        rest = mono - torch.stack(stems).sum(0)
        return torch.stack([*stems, rest]), best

    def _remember(self, activations: np.ndarray, start_s: float) -> None:
        """Add the attacks of each component at the ticks that no earlier window held."""
        columns = np.arange(activations.shape[1]) * self._stft.hop_samples / self._rate + start_s
        loud = np.sqrt(gaussian_filter1d(activations, 1.0, axis=1))
        rises = np.maximum(np.diff(loud, axis=1, prepend=loud[:, :1]), 0)
        last_tick = int(np.floor(columns[-1] * self._tick_rate))
        for tick in range(self._next_tick, last_tick):
            inside = (columns >= tick / self._tick_rate) & (columns < (tick + 1) / self._tick_rate)
            self._attacks.append(rises[:, inside].sum(1) if inside.any() else np.zeros(len(rises)))
        self._next_tick = max(self._next_tick, last_tick)

    def _shares(self, activity: np.ndarray, ticks: range) -> tuple[Float[np.ndarray, "sources components"], float]:
        mine = range(self._next_tick - len(self._attacks), self._next_tick)
        begin, end = max(mine.start, ticks.start), min(mine.stop, ticks.stop)
        nothing = np.zeros((len(activity), self._components))
        if end - begin < 3 * self._tick_rate:
            return nothing, 0.0
        attacks = np.asarray(self._attacks)[begin - mine.start : end - mine.start]
        attacks = fluctuation(attacks, self._tick_rate)
        motion = fluctuation(activity[:, begin - ticks.start : end - ticks.start].T, self._tick_rate)
        attacks /= attacks.std(0) + 1e-9
        spread = motion.std(0)
        motion = np.where(spread > 1e-4 * max(1e-9, float(spread.max())), motion / (spread + 1e-12), 0)
        if not motion.any():
            return nothing, 0.0
        generator = np.random.default_rng(0)
        by_chance = np.stack([attacks.T @ shuffled(motion, self._tick_rate, generator) for _ in range(_SHUFFLES)])
        deviations = (attacks.T @ motion - by_chance.mean(0)) / (by_chance.std(0) + 1e-9)
        evidence = np.maximum(deviations - _CHANCE, 0).T ** 2
        return evidence / (_HALF**2 + evidence.sum(0)), float(deviations.max())
