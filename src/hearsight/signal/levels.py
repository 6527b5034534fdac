"""Levels of signals."""

import torch
from jaxtyping import Float
from torch import Tensor


def rms(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch"]:
    """Root mean square over the last axis."""
    return waveform.square().mean(-1).sqrt()


def amplitude_to_db(amplitude: Tensor, floor_db: float = -120.0) -> Tensor:
    """Level in decibels of an amplitude (1 is 0 dB), never below `floor_db`, so that silence stays finite."""
    return 20 * torch.log10(amplitude.abs().clamp_min(10 ** (floor_db / 20)))


def normalize_rms(
    mono: Float[Tensor, "*batch samples"], target: float = 0.1, floor: float = 1e-4
) -> tuple[Float[Tensor, "*batch samples"], Float[Tensor, "*batch"]]:
    """Scale a mono signal to a root mean square of `target`; returns it and the gain that was applied.

    The papers scale every segment to 0.1 (2.5D Visual Sound, section 4; PseudoBinaural computes the gain from the
    mix alone, because at test time only the mono is known). A segment quieter than `floor` is scaled by
    `target / floor` at most, so that silence stays silent instead of becoming amplified noise.
    """
    gain = target / rms(mono).clamp_min(floor)
    return mono * gain.unsqueeze(-1), gain
