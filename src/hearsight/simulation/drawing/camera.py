"""Camera on the listener's head: the direction of each pixel, and the position of a point of the room in the
picture."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Projection = Literal["cylinder", "pinhole"]

CYLINDER_HEIGHT = 2 * math.pi / 3
"""tan(elevation) at the picture's top edge minus that at its bottom edge (PseudoBinaural, section 3.2)."""


@dataclass(frozen=True)
class Camera:
    """Mapping from directions to positions in the picture.

    `cylinder` is the papers' mapping (PseudoBinaural, section 3.2; `hearsight.acoustics.picture_to_direction` with the
    elevation law `cylinder`): azimuth in proportion to x, the tangent of the elevation in proportion to y, from
    +pi/3 at the top to -pi/3 at the bottom. Its pixels are square only in a square picture; in a picture of twice its
    height objects appear half as tall. `pinhole` is a plain perspective with square pixels.

    Axes of the head: +x ahead, +y left, +z up.

    Attributes:
        width, height: size of the picture in pixels.
        projection: `cylinder` or `pinhole`.
        field_of_view: horizontal angle of the whole picture in radians.
        tall: for a cylinder, tan(elevation) at the top edge minus that at the bottom edge; the papers' value is the
            default.
    """

    width: int
    height: int
    projection: Projection = "cylinder"
    field_of_view: float = 2 * math.pi / 3
    tall: float = CYLINDER_HEIGHT

    def rays(self, oversampling: int = 1) -> NDArray[np.float32]:
        """Unit vectors in head axes through the centres of `oversampling`^2 sub-pixels per pixel. `[3, h, w]`"""
        columns, rows = self.width * oversampling, self.height * oversampling
        x = (np.arange(columns) + 0.5) / columns
        y = (np.arange(rows) + 0.5) / rows
        return self.directions(*np.meshgrid(x, y)).astype(np.float32)

    def directions(self, x: NDArray, y: NDArray) -> NDArray:
        """Unit vectors in head axes for positions in the picture (0 to 1 from the left and from the top). `[3, ...]`"""
        if self.projection == "cylinder":
            azimuth = (0.5 - x) * self.field_of_view
            vector = np.stack([np.cos(azimuth), np.sin(azimuth), (0.5 - y) * self.tall])
        else:
            half = math.tan(self.field_of_view / 2)
            vector = np.stack([np.ones_like(x), (0.5 - x) * 2 * half, (0.5 - y) * 2 * half * self.height / self.width])
        return vector / np.linalg.norm(vector, axis=0)

    def project(self, points: NDArray) -> tuple[NDArray, NDArray]:
        """Positions in the picture (0 to 1; outside the picture beyond that) of points in head axes `[..., 3]` in
        metres.

        A pinhole cannot show points beside or behind it. Such a point is placed far outside the picture, on its side.
        """
        ahead, left, up = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        if self.projection == "cylinder":
            x = 0.5 - np.arctan2(left, ahead) / self.field_of_view
            return x, 0.5 - up / np.maximum(np.hypot(ahead, left), 1e-6) / self.tall
        half = math.tan(self.field_of_view / 2)
        ahead = np.maximum(ahead, 1e-3)
        return 0.5 - left / ahead / (2 * half), 0.5 - up / ahead * self.width / self.height / (2 * half)

    def box(self, points: NDArray) -> tuple[int, int, int, int] | None:
        """Columns and rows `(left, top, right, bottom)` that contain the hull of points `[n, 3]`; None if out of sight.

        The points should be close together compared with their distance (a cylinder bends straight lines); the box has
        a margin for that.
        """
        centre = points.mean(axis=0)
        if self.projection == "pinhole" and points[:, 0].max() <= 0.02:
            return None
        x, y = self.project(points)
        if self.projection == "cylinder":  # keep an object that crosses the seam behind the head in one piece
            middle, _ = self.project(centre)
            turn = 2 * math.pi / self.field_of_view
            x = middle + (x - middle + turn / 2) % turn - turn / 2
        margin_x, margin_y = 0.03 * np.ptp(x) + 1 / self.width, 0.06 * np.ptp(y) + 1 / self.height
        left = max(0, int((x.min() - margin_x) * self.width))
        right = min(self.width, math.ceil((x.max() + margin_x) * self.width))
        top = max(0, int((y.min() - margin_y) * self.height))
        bottom = min(self.height, math.ceil((y.max() + margin_y) * self.height))
        return (left, top, right, bottom) if left < right and top < bottom else None
