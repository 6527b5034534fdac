"""Activation maps: what the visual network responds to (PseudoBinaural, appendix C, figure 4)."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.models.interface import AudioVisualNetwork


@torch.no_grad()
def activation_map(
    network: AudioVisualNetwork,
    frames: Float[Tensor, "batch 3 height width"],
    encoded: Tensor | tuple[Tensor, ...] | None = None,
) -> Float[Tensor, "batch height width"] | None:
    """Mean of a network's `feature_map` over its channels, from 0 to 1 in each picture, stretched to its size.

    PseudoBinaural, appendix C. A map that is the same everywhere is 0. None for a network that makes no map of frames.

    Args:
        encoded: what the network made of the frames, if that is known.
    """
    features = network.feature_map(frames, encoded)
    if features is None:
        return None
    mean = features.float().mean(1)
    low, high = mean.amin((1, 2), keepdim=True), mean.amax((1, 2), keepdim=True)
    scaled = (mean - low) / (high - low).clamp_min(1e-12)
    size = (int(frames.shape[-2]), int(frames.shape[-1]))
    return torch.nn.functional.interpolate(scaled[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def overlay(
    picture: UInt8[np.ndarray, "height width 3"], heat: Float[np.ndarray, "height width"], share: float = 0.4
) -> UInt8[np.ndarray, "height width 3"]:
    """The map in colours (blue 0, red 1) over the RGB picture, with a share of 0.4 as in the paper."""
    colours = cv2.applyColorMap(np.round(255 * np.clip(heat, 0, 1)).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return np.round((1 - share) * picture + share * colours).astype(np.uint8)
