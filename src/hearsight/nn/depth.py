"""Depth of each pixel: estimation from the picture, and conversion to a network's input for any unit.

There are two units, as in `Item.depth_unit`: "metres", and "relative" inverse depth (larger is nearer, scale and offset
unknown), the output of networks trained on several datasets.
"""

from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn.imagenet import to_pixels

DepthUnit = Literal["metres", "relative"]


class DepthEstimator:
    """Relative inverse depth of frames by a dense prediction transformer (Ranftl et al., ICCV 2021).

    It is not part of the network that uses it: it is neither trained nor saved with it.

    Args:
        weights: name on the Hugging Face Hub ("Intel/dpt-large", trained on MIX6) or folder of transformers'
            `DPTForDepthEstimation`.
        device: device of the computation.

    Raises:
        ModelError: the weights are of another type of network.
        DependencyError: the weights are not available.
    """

    def __init__(self, weights: str, device: str | torch.device = "cpu") -> None:
        from transformers import AutoConfig, DPTForDepthEstimation

        try:
            architecture = AutoConfig.from_pretrained(weights).model_type
            if architecture != "dpt":
                raise ModelError(
                    f"depth weights {weights!r} are of a {architecture!r}; a DPT for depth estimation is needed",
                    "mismatch",
                )
            self._network: Any = DPTForDepthEstimation.from_pretrained(weights)
        except (OSError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DependencyError(
                f"depth weights {weights!r} cannot be had ({reason})"
                "; give a folder of a DPT for depth estimation, or depth maps as 16-bit PNG",
                "missing",
            ) from error
        self._network.eval().requires_grad_(False).to(device)
        size: Any = self._network.config.image_size
        self._size: tuple[int, int] = (size, size) if isinstance(size, int) else (size[0], size[1])

    def __call__(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
        """Relative inverse depth of ImageNet-normalised frames.

        As published, frames are stretched to the square of the network's training, with pixels in [-1, 1], and the map
        is stretched back.
        """
        pixels = to_pixels(frames)
        square = F.interpolate(pixels, self._size, mode="bicubic", align_corners=False, antialias=True)
        with torch.no_grad(), torch.autocast(frames.device.type, enabled=False):
            self._network.to(frames.device)
            depth = self._network(square * 2 - 1).predicted_depth[:, None]
        return F.interpolate(depth, frames.shape[-2:], mode="bicubic", align_corners=False).clamp_min(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: it never changes, so copies of a network that uses it can share it."""
        return self


def depth_as_picture(
    depth: Float[Tensor, "batch 1 height width"], unit: DepthUnit
) -> Float[Tensor, "batch 3 height width"]:
    """Convert a depth map to the input of a network for pictures: inverse depth, scaled per map, in three channels.

    Metres are inverted (unknown depth counts as infinite). Then scale and offset are removed as in MiDaS, by
    subtracting the median and dividing by the mean absolute deviation, so that estimated and true depth are comparable.
    A flat map gives zeros.
    """
    if unit == "metres":
        depth = torch.where(depth > 0, 1 / depth.clamp_min(1e-3), 0.0)
    elif unit != "relative":
        raise ValueError(f"unknown unit of depth {unit!r}; known: metres, relative")
    flat = depth.flatten(1)
    centred = flat - flat.median(dim=1, keepdim=True).values
    scaled = centred / centred.abs().mean(dim=1, keepdim=True).clamp_min(1e-6)
    return scaled.view_as(depth).expand(-1, 3, -1, -1)
