"""Association: places of the picture associated with the sound (Sep-Stereo, section 4.5 and figure 6).

The associative convolution gives, for each place p of the visual map, the audio features a_p(f, t) associated with it
(equation 2). The heat of p is their mean size, mean |a_p(f, t)| over all bins, scaled to 0 to 1 in each picture. The
paper says only that intense responses are filtered back to the image; the mean is hearsight's choice.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.explain.activation import scaled
from hearsight.models.interface import StereoNetwork


@torch.no_grad()
def association_map(
    network: StereoNetwork, mono: Float[Tensor, "batch samples"], frames: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, "batch h w"] | None:
    """Heat of each place; None for a network without associative convolution.

    Args:
        mono: windows of sound at the network's rate, at any level.
        frames: ImageNet-normalised frames.
    """
    heard = network.stft.forward(mono * network.level_gain(mono)[:, None])
    associated = network.association(heard, network.encode_frames(frames))
    return None if associated is None else scaled(associated.float().abs().mean((3, 4)))
