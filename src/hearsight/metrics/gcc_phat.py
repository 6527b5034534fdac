"""Delay between the ears by generalised cross-correlation (GCC-PHAT), and its error: GCC MSE."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.metrics.binaural import Ears

WINDOW_S, HOP_S = 0.24, 0.1
LONGEST_DELAY_S, DELAY_STEP_S = 1.5e-3, 1e-5


def gcc_phat_delays_s(ears: Ears, sample_rate_hz: int) -> Float[Tensor, "*batch windows"]:
    """Lead of the left ear over the right in seconds, in windows of 0.24 s, 0.1 s apart.

    GCC-PHAT (Knapp and Carter 1976): the cross spectrum of the ears, with each bin at magnitude 1, is summed for each
    delay within +-1.5 ms in steps of 10 us. The result is the delay with the largest magnitude of the sum; of equal
    ones, the smallest. A window with a silent ear has delay 0. A shorter signal is one window.

    Raises:
        ValueError: the shape is not `[..., 2, samples]`.
    """
    if ears.dim() < 2 or ears.shape[-2] != 2 or ears.shape[-1] < 1:
        raise ValueError(f"need [..., 2, samples] with at least one sample, got {tuple(ears.shape)}")
    window = min(ears.shape[-1], round(WINDOW_S * sample_rate_hz))
    left, right = torch.fft.rfft(ears.unfold(-1, window, max(1, round(HOP_S * sample_rate_hz))), n=2 * window).unbind(
        -3
    )
    cross = left * right.conj()
    magnitude = cross.abs()
    heard = magnitude > 1e-9 * magnitude.amax(-1, keepdim=True).clamp_min(torch.finfo(ears.dtype).tiny)
    phase = torch.where(heard, cross / magnitude.clamp_min(torch.finfo(ears.dtype).tiny), 0.0)

    delays, cosine, sine = (table.to(ears) for table in _turns(window, sample_rate_hz))
    correlation = (phase.real @ cosine + phase.imag @ sine).abs()
    largest = correlation.amax(-1, keepdim=True)  # a sum of thousands of numbers: equal up to rounding
    return delays[(correlation >= largest * (1 - 1e-5)).int().argmax(-1)]


@lru_cache(maxsize=2)  # 18 MB each at 16 kHz, 55 at 48
def _turns(window: int, sample_rate_hz: int) -> tuple[Tensor, Tensor, Tensor]:
    """Delays to search in seconds, nearest to 0 first, and the cosines and sines by which they turn each bin, all for
    windows of this many samples. `[delays]`, `[window + 1, delays]` twice"""
    steps = round(LONGEST_DELAY_S / DELAY_STEP_S)
    ordered = sorted(range(-steps, steps + 1), key=abs)  # argmax takes the first of equals
    delays = torch.tensor(ordered, dtype=torch.float64) * DELAY_STEP_S
    turn = 2 * math.pi * torch.fft.rfftfreq(2 * window, 1 / sample_rate_hz, dtype=torch.float64)[:, None] * delays
    return delays, turn.cos(), turn.sin()


def gcc_mse(prediction: Ears, reference: Ears, sample_rate_hz: int) -> Float[Tensor, "*batch"]:
    """GCC MSE in thousandths of ms^2: the squared difference between the mean delays of two pairs of ears over a clip.

    The delays are those of `gcc_phat_delays_s`; a difference of 0.1 ms gives 10. The definition is that of the released
    evaluation of Sun et al., "Both Ears Wide Open: Towards Language-Driven Spatial Audio Generation" (ICLR 2025), whose
    GCC-PHAT is that of Chen et al. ("Sound Localization by Self-Supervised Time Delay Estimation", ECCV 2022). Windows,
    longest delay and unit are theirs; they search delays in steps of a sample (62.5 us).

    Raises:
        ValueError: the shapes differ or are not `[..., 2, samples]`.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"need two of one shape, got {tuple(prediction.shape)} and {tuple(reference.shape)}")
    predicted, true = (1e3 * gcc_phat_delays_s(ears, sample_rate_hz).mean(-1) for ears in (prediction, reference))
    return 1e3 * (predicted - true).square()
