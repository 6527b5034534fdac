"""Activation: response of the visual network to places of the picture (PseudoBinaural, appendix C and figure 4).

With V_c(p) the last feature map of the visual network, the heat of place p is the mean over its channels c, scaled to
0 to 1 in each picture: (mean_c V_c(p) - min) / (max - min). It does not depend on the sound.
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
    """Heat of each place of a network's `feature_map`; None for a network without a map of frames.

    Args:
        encoded: the network's encoding of the frames, if it is already computed.
    """
    features = network.feature_map(frames, encoded)
    return None if features is None else scaled(features.float().mean(1))


def scaled(maps: Float[Tensor, "batch h w"]) -> Float[Tensor, "batch h w"]:
    """Scale each map to 0 to 1; a constant map becomes 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)
