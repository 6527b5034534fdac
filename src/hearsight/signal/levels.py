"""Levels of signals."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

LevelRule = Literal["mix", "ears"]
"""What has a root mean square of 0.1 when a network hears a segment; see `level_gain`."""

TARGET_RMS = 0.1
_FLOOR = 1e-4  # of what is quieter, the gain is that of this level


def rms(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch"]:
    """Root mean square over the last axis."""
    return waveform.square().mean(-1).sqrt()


def amplitude_to_db(amplitude: Tensor, floor_db: float = -120.0) -> Tensor:
    """Level in decibels of an amplitude (1 is 0 dB), never below `floor_db`, so that silence stays finite."""
    return 20 * torch.log10(amplitude.abs().clamp_min(10 ** (floor_db / 20)))


def normalize_rms(
    mono: Float[Tensor, "*batch samples"], target: float = TARGET_RMS
) -> tuple[Float[Tensor, "*batch samples"], Float[Tensor, "*batch"]]:
    """Scale a mono signal to a root mean square of `target`; returns it and the gain that was applied.

    The papers scale every segment to 0.1 (2.5D Visual Sound, section 4; PseudoBinaural computes the gain from the
    mix alone, because at test time only the mono is known). A segment quieter than 1e-4 is scaled by
    `target / 1e-4` at most, so that silence stays silent instead of becoming amplified noise.
    """
    gain = target / rms(mono).clamp_min(_FLOOR)
    return mono * gain.unsqueeze(-1), gain


def level_gain(
    mono: Float[Tensor, "*batch samples"],
    rule: LevelRule = "mix",
    ears: Float[Tensor, "*batch 2 samples"] | None = None,
) -> Float[Tensor, "*batch"]:
    """What a segment is multiplied by before a network hears it.

    - "mix" brings the mix l + r to 0.1. It needs nothing but what is known at test time (PseudoBinaural, appendix C).
    - "ears" brings both ears together, sqrt(mean of (l^2 + r^2) / 2), to 0.1, as the scripts of 2.5D Visual Sound and
      Sep-Stereo do in training and in their tests: l + r then lies at 0.14 (unrelated ears) to 0.2 (equal ears), and
      the level of the truth is read. Where only the mono is known it is taken as on both ears, so that l + r lies at
      0.2; networks that learned by this rule hear unrelated ears 3 dB too loud then.

    Args:
        mono: the mix l + r.
        ears: both ears, where they are known and the rule may read them.

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
