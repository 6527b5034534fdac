"""ImageNet's normalisation of pictures, the input of every visual backbone here: (pixel - mean) / deviation."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# Normalised value for each of the 256 values of each colour: a table is several times as fast as arithmetic.
_TABLE = ((np.arange(256)[None, :, None] / 255 - MEAN) / DEVIATION).astype(np.float32)
# Its bits as integers, because OpenCV does not support bfloat16.
_TABLE_BFLOAT16 = torch.from_numpy(_TABLE).to(torch.bfloat16).view(torch.int16).numpy()


def normalize_picture(rgb: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "3 height width"]:
    """Normalise an 8-bit RGB picture for networks."""
    return normalized_pixels(rgb).permute(2, 0, 1).contiguous()


def normalized_pixels(
    rgb: UInt8[np.ndarray, "height width 3"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "height width 3"]:
    """Normalise an 8-bit RGB picture, with channels last, as float32 or rounded to bfloat16."""
    if dtype == torch.bfloat16:
        return torch.from_numpy(cv2.LUT(rgb, _TABLE_BFLOAT16)).view(torch.bfloat16)
    return torch.from_numpy(cv2.LUT(rgb, _TABLE))


def to_pixels(frames: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]:
    """Convert normalised frames back to pixels in [0, 1]."""
    mean = frames.new_tensor(MEAN)[:, None, None]
    return (frames * frames.new_tensor(DEVIATION)[:, None, None] + mean).clamp(0, 1)
