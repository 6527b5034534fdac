"""Attention: places of the picture that the sound attends to (Beyond Mono to Binaural, section 3.4 and figure 3).

A network with attention between picture and sound has, for each place p and each position (f, t) of the sound's
features, a similarity or weight A_p(f, t). The heat of p is its mean over (f, t), scaled to 0 to 1 in each picture.
Beyond-Mono has one map for each modality and stage of the decoder (cosine similarities, equations 3 and 4), CCStereo
one of the cross-attention's weights and one of the similarities that de-normalise the decoder.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.explain.activation import scaled
from hearsight.models.interface import StereoNetwork


@torch.no_grad()
def attention_maps(
    network: StereoNetwork, mono: Float[Tensor, "batch samples"], frames: Float[Tensor, "batch 3 height width"]
) -> dict[str, Float[Tensor, "batch h w"]]:
    """Heat of each place by the attention's name; empty for a network without attention.

    Args:
        mono: windows of sound at the network's rate, at any level.
        frames: ImageNet-normalised frames.
    """
    heard = network.stft.forward(mono * network.level_gain(mono)[:, None])
    attention = network.attention(heard, network.encode_frames(frames))
    return {name: scaled(one.float().mean((3, 4))) for name, one in attention.items()}
