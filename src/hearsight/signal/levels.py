"""Levels of signals."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

LevelRule = Literal["mix", "ears"]
"""Signal whose root mean square is scaled to 0.1 for a network; see `level_gain`."""

TARGET_RMS = 0.1
_FLOOR = 1e-4  # quieter signals get the gain of this level


def rms(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch"]:
    """Root mean square over the last axis."""
    return waveform.square().mean(-1).sqrt()


def amplitude_to_db(amplitude: Tensor, floor_db: float = -120.0) -> Tensor:
    """Level of an amplitude in decibels (1 is 0 dB), at least `floor_db`, so that silence stays finite."""
    return 20 * torch.log10(amplitude.abs().clamp_min(10 ** (floor_db / 20)))


def normalize_rms(
    mono: Float[Tensor, "*batch samples"], target: float = TARGET_RMS
) -> tuple[Float[Tensor, "*batch samples"], Float[Tensor, "*batch"]]:
    """Scale a mono signal to a root mean square of `target`; return it and the gain.

    The papers scale every segment to 0.1 (2.5D Visual Sound, section 4; PseudoBinaural computes the gain from the mix
    alone, because at test time only the mono is known). A segment quieter than 1e-4 is scaled by `target / 1e-4` at
    most, so that silence stays silent instead of becoming amplified noise.
    """
    gain = target / rms(mono).clamp_min(_FLOOR)
    return mono * gain.unsqueeze(-1), gain


def level_gain(
    mono: Float[Tensor, "*batch samples"],
    rule: LevelRule = "mix",
    ears: Float[Tensor, "*batch 2 samples"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Gain of a segment for the input of a network.

    - "mix" scales the mix l + r to 0.1. It uses only data that are known at test time (PseudoBinaural, appendix C).
    - "ears" scales both ears together, sqrt(mean of (l^2 + r^2) / 2), to 0.1, as the scripts of 2.5D Visual Sound and
    Sep-Stereo do in training and in their tests. The level of l + r is then 0.14 (unrelated ears) to 0.2 (equal ears),
    and the level of the truth is used. If only the mono is known, it counts as the sound of both ears, so that the
    level of l + r is 0.2; networks trained with this rule then get unrelated ears 3 dB too loud.

    Args:
        mono: the mix l + r.
        ears: both ears, if known and allowed by the rule.

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in get_args(LevelRule):
        raise ValueError(f"the level rule is mix or ears, got {rule!r}")
    if rule == "mix":
        heard = rms(mono)
    else:
        heard = rms(mono) / 2 if ears is None else ears.square().mean((-2, -1)).sqrt()
    return TARGET_RMS / heard.clamp_min(_FLOOR)
