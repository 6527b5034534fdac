"""Directions around the listener and their positions in the picture.

The convention of the whole project: azimuth in radians, 0 ahead, positive to the listener's left; elevation in radians,
positive up (the papers' zenith angle is pi/2 minus it). Cartesian axes: +x ahead, +y left, +z up. Positions in a
picture: x from 0 (left edge) to 1 (right edge), y from 0 (top) to 1 (bottom).
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.arrays import numpy_friendly

ElevationLaw = Literal["cylinder", "proportional", "equirectangular"]

DEFAULT_FIELD_OF_VIEW = 2 * math.pi / 3  # 120 degrees: PseudoBinaural, section 3.2
_WIDE = 16 / 9  # aspect ratio from which a picture covers that angle

FieldOfView = float | Callable[[tuple[int, int] | None, float | None], float]
"""Horizontal angle of a picture in radians, or a function that computes it from (height, width) and the focal
length."""


@numpy_friendly
def to_cartesian(azimuth: Float[Tensor, "*batch"], elevation: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3"]:
    """Unit vectors (x ahead, y left, z up) of directions in radians."""
    horizontal = torch.cos(elevation)
    return torch.stack([horizontal * torch.cos(azimuth), horizontal * torch.sin(azimuth), torch.sin(elevation)], dim=-1)


@numpy_friendly
def from_cartesian(vector: Float[Tensor, "*batch 3"]) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Azimuth and elevation in radians of vectors of any length; the zero vector gives straight ahead."""
    x, y, z = vector.unbind(-1)
    return torch.atan2(y, x), torch.atan2(z, torch.hypot(x, y))


def picture_field_of_view(size: tuple[int, int] | None, focal_length_mm: float | None = None) -> float:
    """Assumed horizontal angle of a picture, in radians.

    With a known lens without distortion, it is the lens's angle. Otherwise it follows from the picture's shape: 120
    degrees for 16:9 and wider, as in the papers, and proportional to width over height for narrower ones: 38 degrees
    for a phone held upright, 67.5 for a square.

    Args:
        size: (height, width); None without a picture.
        focal_length_mm: focal length for a picture of 36 x 24 mm with the same diagonal angle; None if unknown.
    """
    if size is None:
        return DEFAULT_FIELD_OF_VIEW
    height, width = size
    if focal_length_mm is not None:
        return 2 * math.atan(math.hypot(36, 24) / 2 / focal_length_mm * width / math.hypot(width, height))
    return DEFAULT_FIELD_OF_VIEW * min(1.0, width / height / _WIDE)


def resolved_field_of_view(
    field_of_view: FieldOfView, size: tuple[int, int] | None, focal_length_mm: float | None = None
) -> float:
    """Angle for a picture of (height, width) and its focal length, if known."""
    return field_of_view(size, focal_length_mm) if callable(field_of_view) else field_of_view


@numpy_friendly
def picture_to_direction(
    x: Float[Tensor, "*batch"],
    y: Float[Tensor, "*batch"],
    field_of_view: float = DEFAULT_FIELD_OF_VIEW,
    elevation_law: ElevationLaw = "cylinder",
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Azimuth and elevation in radians of positions in the picture (PseudoBinaural section 3.2).

    The picture is a part of a cylinder around the listener. Azimuth falls linearly with x from +field_of_view/2 at the
    left edge to -field_of_view/2 at the right.

    Args:
        x, y: positions, 0 to 1 (values outside are extrapolated: a source may leave the picture).
        field_of_view: horizontal angle of the whole picture in radians; the paper's is 2 pi / 3.
        elevation_law: `cylinder`, the paper's text: arctan(h), with h falling linearly with y from +pi/3 at the top
            edge to -pi/3 at the bottom; `proportional`, the released code: elevation linear in y, within pi/4;
            `equirectangular`, for 360-degree pictures: linear in y, within pi/2.
    """
    azimuth = (0.5 - x) * field_of_view
    if elevation_law == "cylinder":
        return azimuth, torch.atan((0.5 - y) * (2 * math.pi / 3))
    return azimuth, (0.5 - y) * _height_of(elevation_law)


@numpy_friendly
def direction_to_picture(
    azimuth: Float[Tensor, "*batch"],
    elevation: Float[Tensor, "*batch"],
    field_of_view: float = DEFAULT_FIELD_OF_VIEW,
    elevation_law: ElevationLaw = "cylinder",
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Inverse of `picture_to_direction`."""
    x = 0.5 - azimuth / field_of_view
    if elevation_law == "cylinder":
        return x, 0.5 - torch.tan(elevation) / (2 * math.pi / 3)
    return x, 0.5 - elevation / _height_of(elevation_law)


def _height_of(elevation_law: ElevationLaw) -> float:
    """Angle from the lower to the upper edge if elevation is linear in y."""
    heights = {"proportional": math.pi / 2, "equirectangular": math.pi}
    if elevation_law not in heights:
        raise ValueError(f"unknown elevation law {elevation_law!r}; known: cylinder, {', '.join(heights)}")
    return heights[elevation_law]
