"""Pictures of a clip, in colours and as small grey copies."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

_LEAST_SMALL_SIDE = 48  # pixels


@dataclass(frozen=True)
class Frame:
    """A picture of the clip. `number` counts distinct pictures: two frames with one number have equal pixels."""

    time_s: float
    number: int
    rgb: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class SmallFrame:
    """A small grey copy of a picture of the clip, and at some times its colours; `number` as of a `Frame`."""

    time_s: float
    number: int
    grey: UInt8[np.ndarray, "rows columns"]
    rgb: UInt8[np.ndarray, "height width 3"] | None = None


def small_size(size: tuple[int, int], area: int) -> tuple[int, int]:
    """(height, width) of a copy of about `area` pixels in the same shape: not larger, but no side below 48 pixels."""
    scale = min(1.0, (area / (size[0] * size[1])) ** 0.5)
    height, width = (max(_LEAST_SMALL_SIDE, round(side * scale)) for side in size)
    return height, width
