"""Activation: what the visual network responds to (PseudoBinaural, appendix C and figure 4).

With V_c(p) the last feature map of the visual network, the heat of place p is the mean over its channels c, scaled to
go from 0 to 1 in each picture: (mean_c V_c(p) - min) / (max - min). The sound has no part in it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.models.interface import AudioVisualNetwork


@torch.no_grad()
def activation_map(
    network: AudioVisualNetwork,
    frames: Float[Tensor, "batch 3 height width"],
    encoded: Tensor | tuple[Tensor, ...] | None = None,
) -> Float[Tensor, "batch h w"] | None:
    """The heat of each place of a network's `feature_map`; None for a network that makes no map of frames.

    Args:
        encoded: what the network made of the frames, if that is known.
    """
    features = network.feature_map(frames, encoded)
    return None if features is None else scaled(features.float().mean(1))


def scaled(maps: Float[Tensor, "batch h w"]) -> Float[Tensor, "batch h w"]:
    """Each map from 0 to 1; one that is the same everywhere is 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)
