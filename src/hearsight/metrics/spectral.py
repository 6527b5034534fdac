"""Spectral distance at several resolutions at once, so that it does not depend on one choice of window."""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.metrics.binaural import spectrogram
from hearsight.signal import STFT

RESOLUTIONS = (STFT(256, 256, 128), STFT(1024, 1024, 512), STFT(4096, 4096, 2048))
MAGNITUDE_FLOOR = 1e-4


def multi_resolution_stft_distance(
    prediction: Float[Tensor, "*batch channels samples"],
    reference: Float[Tensor, "*batch channels samples"],
    resolutions: tuple[STFT, ...] = RESOLUTIONS,
) -> Float[Tensor, "*batch"]:
    """Spectral convergence plus mean absolute difference of log magnitudes, averaged over resolutions and channels.

    Yamamoto et al. 2020 (Parallel WaveGAN), equations 3 to 6: |T| - |P| in Frobenius norm over |T|, and mean |ln |T| -
    ln |P||. The resolutions are further apart than theirs, because ears distinguish both hundredths of a second and
    single hertz: windows of 16, 64 and 256 ms at 16 kHz, half a window apart. Magnitudes below 1e-4 count as 1e-4, so
    that silence is defined: 0 between two silences, finite between silence and sound. The log term is symmetric, the
    convergence is not. Both ends are padded with silence.

    Raises:
        ValueError: the shapes differ or there is no sample.
    """
    if prediction.shape != reference.shape or prediction.dim() < 2 or prediction.shape[-1] < 1:
        raise ValueError(f"need two [..., channels, samples] alike, got {prediction.shape} and {reference.shape}")
    distances = []
    floor = MAGNITUDE_FLOOR**2
    for stft in resolutions:
        predicted, true = (
            (bins.real.square() + bins.imag.square()).clamp_min_(floor)
            for bins in (spectrogram(signal, stft, "zeros") for signal in (prediction, reference))
        )
        logarithms = (predicted / true).log_().abs_().mean((-2, -1)) / 2
        energy = true.sum((-2, -1))
        error = predicted.sqrt_().sub_(true.sqrt_()).square_().sum((-2, -1))
        distances.append((error / energy).sqrt() + logarithms)
    return torch.stack(distances).mean(0).mean(-1)
