"""Batched convolution by FFT, in memory bounded by the block."""

import scipy.fft
import torch
from jaxtyping import Float
from torch import Tensor

LONGEST_FFT = 1 << 17


def convolve(
    signal: Float[Tensor, "*#batch samples"], response: Float[Tensor, "*#batch taps"]
) -> Float[Tensor, "*batch full"]:
    """Full convolution over the last axis, `samples + taps - 1` long; leading axes broadcast.

    Long signals are processed in blocks (overlap-add), so that an hour of sound needs no FFT of an hour.
    """
    samples, taps = signal.shape[-1], response.shape[-1]
    full = samples + taps - 1
    if samples == 0 or taps == 0:
        raise ValueError(f"nothing to convolve: {samples} samples with {taps} taps")
    block = max(LONGEST_FFT - taps + 1, taps)
    length = fast_length(min(samples, block) + taps - 1)
    spectrum = torch.fft.rfft(response, length)
    if samples <= block:
        return torch.fft.irfft(torch.fft.rfft(signal, length) * spectrum, length)[..., :full]
    batch = torch.broadcast_shapes(signal.shape[:-1], response.shape[:-1])
    out = torch.zeros(*batch, full, dtype=torch.promote_types(signal.dtype, response.dtype), device=signal.device)
    for start in range(0, samples, block):
        part = signal[..., start : start + block]
        count = part.shape[-1] + taps - 1
        out[..., start : start + count] += torch.fft.irfft(torch.fft.rfft(part, length) * spectrum, length)[..., :count]
    return out


def fast_length(samples: int) -> int:
    """Smallest FFT length of at least `samples` that is fast (small prime factors)."""
    return int(scipy.fft.next_fast_len(samples, real=True))
