"""Cues to the manner in which a sound is made, in the 128 mel bands: its tonality, steadiness, and onsets."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.signal.mel_bands import BANDS, HOP_SAMPLES, SAMPLE_RATE_HZ, MelBands

CUES = 3
_FINE_FFT, _FINE_HOP = 2048, 2 * HOP_SAMPLES  # 7.8 Hz, 32 ms
_AROUND_HZ, _AROUND_COLUMNS = 100.0, 9  # neighbourhoods of the flatness: between harmonics, and 0.29 s
_SHORT_FFT, _SHORT_HOP = 256, 64  # 16 ms, 4 ms
_RISE_COLUMNS = 4  # of the short spectrogram, over which an onset rises
_FLOOR = 1e-7  # of the mean power


class BandCues(nn.Module):
    """Three cues that the power of a mel band over 64 ms does not show, for each band and column of `MelBands`.

    Above some 800 Hz a band holds several harmonics, so a bowed string and a cymbal may have the same powers. The cues
    distinguish them on finer grids; the level does not change them, and an equaliser hardly does:

    - spectral flatness, the geometric over the arithmetic mean of the powers, within 100 Hz: low between harmonics;
    - flatness over 0.29 s: low where the sound comes and goes;
    - the rise of the band's level within 16 ms: high at onsets.

    The flatnesses are means of logarithms over the bins of a band, weighted by their powers, divided by 2; the rise is
    a logarithm divided by 4.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, n_fft in (("fine", _FINE_FFT), ("short", _SHORT_FFT)):
            self.register_buffer(name, MelBands(SAMPLE_RATE_HZ, n_fft).averages, persistent=False)
        self.fine: Tensor
        self.short: Tensor
        self._around = 2 * round(_AROUND_HZ / (SAMPLE_RATE_HZ / _FINE_FFT) / 2) + 1

    def forward(
        self, signals: Float[Tensor, "*batch samples"], columns: int
    ) -> Float[Tensor, "*batch cues bands columns"]:
        """Cues of signals at 16 kHz in the first columns of 16 ms; beyond its end a signal is silent."""
        flat = signals.reshape(-1, signals.shape[-1])
        flat = F.pad(flat, (0, max(0, columns * HOP_SAMPLES - flat.shape[-1])))
        power = _powers(flat, _FINE_FFT, _FINE_HOP)
        level = power.log()
        weighted = self.fine @ power

        def flatness(size: tuple[int, int]) -> Tensor:
            edges = (size[0] // 2, size[1] // 2)
            pooled = F.avg_pool2d(torch.stack([level, power], 1), size, 1, edges, count_include_pad=False)
            ratio = pooled[:, 0] - pooled[:, 1].log()
            means = (self.fine @ (power * ratio)) / weighted / 2
            return means.repeat_interleave(_FINE_HOP // HOP_SAMPLES, -1)[..., :columns]

        short = (self.short @ _powers(flat, _SHORT_FFT, _SHORT_HOP)).log()
        rise = F.pad(short[..., _RISE_COLUMNS:] - short[..., :-_RISE_COLUMNS], (_RISE_COLUMNS, 0)).clamp_min(0) / 4
        rise = F.max_pool1d(rise[..., : columns * HOP_SAMPLES // _SHORT_HOP], HOP_SAMPLES // _SHORT_HOP)
        cues = torch.stack([flatness((self._around, 1)), flatness((1, _AROUND_COLUMNS)), rise], 1)
        return cues.reshape(*signals.shape[:-1], CUES, BANDS, columns)


def _powers(signals: Float[Tensor, "signals samples"], n_fft: int, hop: int) -> Float[Tensor, "signals bins columns"]:
    """Powers relative to the mean, with a floor."""
    window = torch.hann_window(n_fft, device=signals.device)
    spectrogram = torch.stft(signals, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True)
    power = spectrogram.real.square() + spectrogram.imag.square()
    return power / power.mean((-2, -1), keepdim=True).clamp_min(1e-20) + _FLOOR
