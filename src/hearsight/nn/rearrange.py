"""Separation as extreme stereo: the features of two pictures at the edges of an empty map (Sep-Stereo, section 3.3)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Rearrangement = Literal["paper", "released"]
Extremes = Literal["horizontal", "vertical"]


def rearrange(
    map_a: Float[Tensor, "batch channels h w"],
    map_b: Float[Tensor, "batch channels h w"],
    size: tuple[int, int],
    rearrangement: Rearrangement = "paper",
    extremes: Extremes = "horizontal",
) -> Float[Tensor, "batch channels height width"]:
    """Map of zeros with two pictures' features at opposite edges: A left (or top), B right (or bottom).

    Args:
        map_a, map_b: feature maps of the two pictures.
        size: (height, width) of the new map.
        rearrangement: "paper" max-pools each map to 1 x 1 and puts it at the middle of its edge (equation 8);
            "released" max-pools along the horizontal axis only and fills the edge, as in the authors' code.
        extremes: "vertical" uses top and bottom (supplement, table 1).
    """
    if extremes == "vertical":
        turned = rearrange(map_a.mT, map_b.mT, (size[1], size[0]), rearrangement)
        return turned.mT
    height, width = size
    if rearrangement == "paper":
        edges = [_at_middle(m.amax(dim=(-2, -1), keepdim=True), height) for m in (map_a, map_b)]
    else:
        edges = [m.amax(dim=-1, keepdim=True).expand(-1, -1, height, -1) for m in (map_a, map_b)]
    empty = edges[0].new_zeros(edges[0].shape[0], edges[0].shape[1], height, width - 2)
    return torch.cat([edges[0], empty, edges[1]], dim=-1)


def split_sides(
    visual: Float[Tensor, "batch channels h w"],
) -> tuple[Float[Tensor, "batch channels 1 1"], Float[Tensor, "batch channels 1 1"]]:
    """Left and right half of a picture as one feature each, for stereo without stereo supervision.

    The map is max-pooled to 6 x 3 (width x height), average-pooled to 2 x 1 and split (Sep-Stereo, supplement 1.1).
    """
    height, width = visual.shape[-2:]
    # Not `adaptive_max_pool2d`, which cannot be exported to ONNX.
    rows = [torch.stack([visual[..., y, x].amax((-2, -1)) for x in _bins(width, 6)], -1) for y in _bins(height, 3)]
    pooled = F.adaptive_avg_pool2d(torch.stack(rows, -2), (1, 2))
    return pooled[..., :1], pooled[..., 1:]


def _bins(size: int, count: int) -> list[slice]:
    """Input ranges of adaptive pooling along an axis, one per output."""
    return [slice(size * i // count, -(-size * (i + 1) // count)) for i in range(count)]


def _at_middle(feature: Float[Tensor, "batch channels 1 1"], height: int) -> Float[Tensor, "batch channels height 1"]:
    """A column of zeros except for row ceil(height / 2), counted from 1."""
    above = (height + 1) // 2 - 1
    return F.pad(feature, (0, 0, above, height - 1 - above))
