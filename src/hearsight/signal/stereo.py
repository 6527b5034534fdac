"""Conversion between two ears and mix and difference (2.5D Visual Sound, equation 1)."""

import torch
from jaxtyping import Float
from torch import Tensor


def mix(ears: Float[Tensor, "*batch 2 samples"]) -> Float[Tensor, "*batch samples"]:
    """Left plus right."""
    return ears[..., 0, :] + ears[..., 1, :]


def difference(ears: Float[Tensor, "*batch 2 samples"]) -> Float[Tensor, "*batch samples"]:
    """Left minus right."""
    return ears[..., 0, :] - ears[..., 1, :]


def left_right(
    mix: Float[Tensor, "*batch samples"], difference: Float[Tensor, "*batch samples"]
) -> Float[Tensor, "*batch 2 samples"]:
    """The two ears of a mix and a difference: `(mix + difference) / 2` and `(mix - difference) / 2`."""
    return torch.stack([(mix + difference) / 2, (mix - difference) / 2], dim=-2)
