"""Short-time Fourier transform that all four papers share."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class STFT:
    """Centred STFT with a periodic Hann window; the defaults are those of all four papers at 16 kHz.

    2.5D Visual Sound section 4: 25 ms window, 10 ms hop, 512-point FFT, so that 0.63 s (10,080 samples) gives
    257 x 64 bins. `torch.stft` and `librosa.stft` agree on it (`tests/signal/test_stft.py`).

    Attributes:
        n_fft: FFT length in samples.
        window_samples: length of the Hann window in samples, at most `n_fft`, padded to it with zeros on both sides.
        hop_samples: distance of columns in samples.
        padding: extension before the first and after the last sample: "reflect" (the signal mirrored, as in the four
            papers' released code: librosa's former default) or "zeros" (CCStereo: librosa's present default).
    """

    n_fft: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    padding: Literal["reflect", "zeros"] = "reflect"

    def __post_init__(self) -> None:
        if not 0 < self.hop_samples <= self.window_samples <= self.n_fft:
            raise ValueError(f"need 0 < hop <= window <= n_fft, got {self}")
        if self.padding not in ("reflect", "zeros"):
            raise ValueError(f"padding is 'reflect' or 'zeros', got {self.padding!r}")

    @property
    def bins(self) -> int:
        """Number of frequency rows, `n_fft // 2 + 1`."""
        return self.n_fft // 2 + 1

    def columns(self, samples: int) -> int:
        """Number of time columns for a signal of `samples` samples."""
        return samples // self.hop_samples + 1

    def forward(self, waveform: Float[Tensor, "*batch samples"]) -> Complex[Tensor, "*batch frequency time"]:
        """Spectrogram of a waveform that is padded at both ends by half an FFT length."""
        batch = waveform.shape[:-1]
        spectrogram = torch.stft(
            waveform.reshape(-1, waveform.shape[-1]),
            self.n_fft,
            self.hop_samples,
            self.window_samples,
            self._window(waveform),
            center=True,
            pad_mode="reflect" if self.padding == "reflect" else "constant",
            return_complex=True,
        )
        return spectrogram.reshape(*batch, *spectrogram.shape[-2:])

    def inverse(
        self, spectrogram: Complex[Tensor, "*batch frequency time"], samples: int
    ) -> Float[Tensor, "*batch samples"]:
        """Waveform of `samples` samples with the spectrogram nearest to `spectrogram` in least squares."""
        batch = spectrogram.shape[:-2]
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        window = self._window(flat.real)
        waveform = torch.istft(
            flat, self.n_fft, self.hop_samples, self.window_samples, window, center=True, length=samples
        )
        return waveform.reshape(*batch, samples)

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.window_samples, periodic=True, dtype=like.dtype, device=like.device)
