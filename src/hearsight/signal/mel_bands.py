"""Spectrograms in the 128 mel bands of the sound classifier, and conversion of masks of bands to bins."""

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from hearsight.signal.stft import STFT

# Settings of the spectrograms of the default model's sound classifier and of its training mixtures:
SAMPLE_RATE_HZ = 16_000
N_FFT = 1024  # FFT size of its spectrograms
HOP_SAMPLES = 256  # distance of columns: 16 ms
COLUMNS = 256  # columns of a training window
WINDOW_S = COLUMNS * HOP_SAMPLES / SAMPLE_RATE_HZ  # 4.1
BANDS = 128
LOWEST_HZ, HIGHEST_HZ = 30.0, 8_000.0


class MelBands(nn.Module):
    """Overlapping triangles on the mel scale (O'Shaughnessy) from 30 Hz to 8 kHz.

    Neighbouring triangles sum to one at every frequency between their centres, and the first and the last stay constant
    beyond theirs. Masks of bands that sum to one therefore give masks of bins that sum to one.

    Args:
        sample_rate_hz, n_fft: sample rate and FFT size of the spectrograms.
    """

    def __init__(self, sample_rate_hz: int, n_fft: int = 1024) -> None:
        super().__init__()
        frequency = torch.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1, dtype=torch.float64)
        position = (_mel(frequency) - _mel(torch.tensor(LOWEST_HZ))) / (
            _mel(torch.tensor(HIGHEST_HZ)) - _mel(torch.tensor(LOWEST_HZ))
        )
        position = (position * (BANDS - 1)).clamp(0, BANDS - 1)
        weights = (1 - (position - torch.arange(BANDS)[:, None]).abs()).clamp_min(0).float()
        self.register_buffer("weights", weights, persistent=False)  # [bands, bins]
        self.weights: Tensor
        reach = weights * (frequency <= HIGHEST_HZ).float()
        # A band narrower than a bin uses the bins beside its centre.
        self.register_buffer("averages", _averages(reach, position.float()), persistent=False)
        self.averages: Tensor

    def powers(self, spectrogram: Complex[Tensor, "*batch bins columns"]) -> Float[Tensor, "*batch bands columns"]:
        """Mean power in each band."""
        return self.averages @ (spectrogram.real.square() + spectrogram.imag.square())

    def to_bins(self, mask: Float[Tensor, "*batch bands columns"]) -> Float[Tensor, "*batch bins columns"]:
        """Convert a mask of bands to bins; the highest band's value is used up to the Nyquist frequency."""
        return self.weights.T @ mask


class BandMasks:
    """Masks of the classifier's bands and columns, for a sound with another sample rate.

    Attributes:
        stft: transform at that rate, with the same distance of columns as the classifier's.
        bands: mel bands of its spectrograms.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        hop = max(1, round(HOP_SAMPLES / SAMPLE_RATE_HZ * sample_rate_hz))
        self.stft = STFT(1 << (4 * hop - 1).bit_length(), 4 * hop, hop)
        self.bands = MelBands(sample_rate_hz, self.stft.n_fft)
        self._rate = sample_rate_hz

    def nearest(self, columns: int, of_masks: int) -> np.ndarray:
        """Index of the nearest mask column for each column of a spectrogram."""
        times = np.arange(columns) * self.stft.hop_samples / self._rate
        return np.clip(np.rint(times * SAMPLE_RATE_HZ / HOP_SAMPLES).astype(int), 0, of_masks - 1)

    def parts(
        self, mono: Float[Tensor, "samples"], masks: Float[Tensor, "parts bands columns"]
    ) -> Float[Tensor, "parts samples"]:
        """Apply each mask to a sound that is longer than a column."""
        spectrogram = self.stft.forward(mono)
        nearest = self.nearest(spectrogram.shape[-1], masks.shape[-1])
        return self.stft.inverse(spectrogram * self.bands.to_bins(masks[..., nearest]), mono.shape[-1])


def _averages(weights: Tensor, position: Tensor) -> Tensor:
    """Normalise rows to sum one; a band without bins gets those around its centre, or the highest bin."""
    rows = weights.clone()
    for band in torch.nonzero(weights.sum(1) < 0.5).flatten().tolist():
        upper = int(torch.searchsorted(position.contiguous(), torch.tensor(float(band))).clamp(1, len(position) - 1))
        span = float(position[upper] - position[upper - 1])
        share = 0.5 if span <= 0 else min(1.0, float((band - position[upper - 1]) / span))
        rows[band] = 0
        rows[band, upper], rows[band, upper - 1] = share, 1 - share
    return rows / rows.sum(1, keepdim=True)


def _mel(frequency_hz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + frequency_hz / 700)
