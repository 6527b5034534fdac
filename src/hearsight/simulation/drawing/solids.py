"""Solids for the ray caster: the first point at which a ray meets each solid, and the normal of the surface there.

The camera is the origin. Rays are unit vectors, so the parameter `t` of a hit is its distance from the camera in
metres. Every solid except the limb is a unit shape under an affine map (`centre`, and `axes` whose columns are the
images of the unit vectors), so that all of them share one ray transform.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Colour = tuple[float, ...]
"""Red, green and blue, 0 to 1."""

Shape = Literal["ball", "block", "can", "slab", "board"]


@dataclass(frozen=True)
class Surface:
    """Appearance of a solid.

    Attributes:
        colour: red, green and blue, 0 to 1, in full light.
        gloss: strength of the highlight, 0 (cloth) to 1 (polished brass).
        texture: picture on the shape's +z face, RGB or RGBA uint8, row 0 at +y. The alpha of a slab or board is its
            outline.
    """

    colour: Colour
    gloss: float = 0.0
    texture: NDArray[np.uint8] | None = None

    @cached_property
    def outward(self) -> NDArray[np.float32]:
        """Unit vectors (x right, y up) from the inside to the outside of the texture's outline. `[h, w, 2]`"""
        alpha = cv2.GaussianBlur(self.texture[..., 3].astype(np.float32), (0, 0), 3)  # type: ignore[index]
        slope = np.stack([-cv2.Sobel(alpha, cv2.CV_32F, 1, 0), cv2.Sobel(alpha, cv2.CV_32F, 0, 1)], axis=-1)
        return slope / (np.linalg.norm(slope, axis=-1, keepdims=True) + 1e-6)


@dataclass(frozen=True)
class Solid:
    """A unit ball, block, can (cylinder along z), slab (an outline with thickness along z) or board (one without)."""

    shape: Shape
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    surface: Surface

    def moved(self, rotation: NDArray, shift: NDArray) -> "Solid":
        """The solid after `p -> rotation @ p + shift`."""
        return replace(self, centre=rotation @ self.centre + shift, axes=rotation @ self.axes)

    def hull(self) -> NDArray[np.float64]:
        """Points whose convex hull contains the solid, and some inside it. `[n, 3]`"""
        return self.centre + _CUBE @ self.axes.T

    def hits(self, rays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance along each ray `[3, n]` to the solid; infinite where the ray misses it. `[n]`"""
        direction, origin = self._local(rays)
        if self.shape == "ball":
            a = np.einsum("in,in->n", direction, direction)
            b = _along(origin, direction)
            discriminant = b * b - a * (origin @ origin - 1)
            near = -b - np.sqrt(np.maximum(discriminant, 0))
            return np.where((discriminant > 0) & (near > 0), near / a, np.inf).astype(np.float32)
        if self.shape == "board":
            return self._outline_hits(direction, origin, *_plane(direction, origin))
        near, far = self._span(direction, origin)
        if self.shape == "slab":
            return self._outline_hits(direction, origin, near, far)
        return np.where((near < far) & (near > 0), near, np.inf)

    def faces(self, rays: NDArray[np.float32], t: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        """Outward unit normals `[3, n]` and colours `[n, 3]` (0 to 1) at the hits of rays that meet the solid."""
        direction, origin = self._local(rays)
        point = origin[:, None] + t * direction
        normal = np.zeros_like(point)
        if self.shape == "ball":
            normal = point
            front = np.zeros(len(t), bool)
        elif self.shape == "block":
            axis = np.abs(point).argmax(axis=0)
            columns = np.arange(len(t))
            normal[axis, columns] = np.sign(point[axis, columns])
            front = (axis == 2) & (point[2] > 0)
        elif self.shape == "can":
            cap = np.abs(point[2]) > 0.999
            normal = np.where(cap, [[0], [0], [1]] * np.sign(point[2]), point * [[1], [1], [0]])
            front = cap & (point[2] > 0)
        else:
            front = np.abs(point[2]) > 0.99 if self.shape == "slab" else np.ones(len(t), bool)
            rows, columns = self._texels(point)
            slope = self.surface.outward[rows, columns].T
            normal = np.where(front, [[0], [0], [1]] * np.sign(point[2] + 1e-9), np.vstack([slope, 0 * slope[:1]]))
            front = front & (point[2] > -0.5)
        normal = turned(np.linalg.inv(self.axes).T, normal.astype(np.float32))
        normal /= np.linalg.norm(normal, axis=0) + 1e-9
        if self.shape in ("board", "slab"):  # visible from both sides
            normal *= np.where((normal * rays).sum(axis=0) > 0, -1, 1)
        colour = np.broadcast_to(np.array(self.surface.colour, np.float32), (len(t), 3))
        if self.surface.texture is not None and front.any():
            rows, columns = self._texels(point)
            colour = np.where(front[:, None], self.surface.texture[rows, columns, :3] / np.float32(255), colour)
        return normal, colour

    def _local(self, rays: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        inverse = np.linalg.inv(self.axes)
        return turned(inverse, rays), (-inverse @ self.centre).astype(np.float32)

    def _span(self, direction: NDArray, origin: NDArray) -> tuple[NDArray, NDArray]:
        """Entry and exit distances of each ray in the block or can; the entry is after the exit where the ray
        misses."""
        direction = np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
        first, second = (-1 - origin)[:, None] / direction, (1 - origin)[:, None] / direction
        near, far = np.minimum(first, second), np.maximum(first, second)
        if self.shape != "can":
            return near.max(axis=0), far.min(axis=0)
        x, y = direction[0], direction[1]
        a, b = x * x + y * y, x * origin[0] + y * origin[1]
        discriminant = b * b - a * (origin[0] ** 2 + origin[1] ** 2 - 1)
        root = np.sqrt(np.maximum(discriminant, 0))
        enter, leave = np.maximum((-b - root) / a, near[2]), np.minimum((-b + root) / a, far[2])
        return enter, np.where(discriminant > 0, leave, -np.inf)

    def _outline_hits(self, direction: NDArray, origin: NDArray, near: NDArray, far: NDArray) -> NDArray[np.float32]:
        """First point between `near` and `far` whose texel is not transparent, with a resolution of a thirtieth of the
        way."""
        steps = 1 if self.shape == "board" else 30
        t = np.full(direction.shape[1], np.inf, np.float32)
        open_ = np.flatnonzero((near <= far) & (near > 0))
        solid = self.surface.texture[..., 3] > 127  # type: ignore[index]
        for step in range(steps):
            if not len(open_):
                break
            at = near[open_] + (far[open_] - near[open_]) * np.float32(step / max(steps - 1, 1))
            met = solid[self._texels(origin[:, None] + at * direction[:, open_])]
            t[open_[met]] = at[met]
            open_ = open_[~met]
        return t

    def _texels(self, point: NDArray) -> tuple[NDArray, NDArray]:
        height, width = self.surface.texture.shape[:2]  # type: ignore[union-attr]
        columns = np.clip((point[0] + 1) * (width / 2), 0, width - 1).astype(np.int32)
        rows = np.clip((1 - point[1]) * (height / 2), 0, height - 1).astype(np.int32)
        return rows, columns


@dataclass(frozen=True)
class Limb:
    """Convex hull of a ball of radius `ra` at `a` and one of radius `rb` at `b`: for arms, legs, sticks, bows,
    bells."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    ra: float
    rb: float
    surface: Surface

    @property
    def centre(self) -> NDArray[np.float64]:
        return (self.a + self.b) / 2

    def moved(self, rotation: NDArray, shift: NDArray) -> "Limb":
        """The limb after `p -> rotation @ p + shift`."""
        return replace(self, a=rotation @ self.a + shift, b=rotation @ self.b + shift)

    def hull(self) -> NDArray[np.float64]:
        """Points whose convex hull contains the limb, and some inside it. `[n, 3]`"""
        ends = np.concatenate([self.a + self.ra * _CORNERS, self.b + self.rb * _CORNERS])
        return np.concatenate([ends, self.centre[None]])

    def hits(self, rays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance along each ray `[3, n]` to the limb; infinite where the ray misses it. `[n]`

        The surface between the balls is the part of their common tangent cone between the circles of contact: with `h`
        along the axis from `a` and `s = (ra - rb) / length`, its radius is `(ra - h s) / sqrt(1 - s^2)`.
        """
        t = np.minimum(_ball_hits(rays, self.a, self.ra), _ball_hits(rays, self.b, self.rb))
        axis, length, slope = self._axis()
        if slope is None:
            return t
        c2 = 1 - slope * slope
        along, start = _along(axis, rays), -float(self.a @ axis)
        # |q|^2 - h^2 = ((ra - h s)^2) / c2 with q = t d - a, h = start + t along: a quadratic in t
        gap = self.ra - start * slope
        qa = 1 - along * along - slope * slope * along * along / c2
        qb = -_along(self.a, rays) - along * start + gap * slope * along / c2
        qc = float(self.a @ self.a) - start * start - gap * gap / c2
        discriminant = qb * qb - qa * qc
        with np.errstate(divide="ignore", invalid="ignore"):
            cone = (-qb - np.sqrt(np.maximum(discriminant, 0))) / qa
            h = start + cone * along
        good = (discriminant > 0) & (cone > 0) & (h >= self.ra * slope) & (h <= length + self.rb * slope)
        return np.where(good, np.minimum(t, cone), t).astype(np.float32)

    def faces(self, rays: NDArray[np.float32], t: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        """Outward unit normals `[3, n]` and colours `[n, 3]` (0 to 1) at the hits of rays that meet the limb."""
        axis, length, _ = self._axis()
        q = t * rays - self.a[:, None].astype(np.float32)
        h = np.clip(_along(axis, q), 0, length)
        normal = q - axis[:, None].astype(np.float32) * h
        normal /= np.linalg.norm(normal, axis=0) + 1e-9
        return normal, np.broadcast_to(np.array(self.surface.colour, np.float32), (len(t), 3))

    def _axis(self) -> tuple[NDArray[np.float64], float, float | None]:
        """Axis from a to b, its length, and the cone's slope (None if one ball contains the other)."""
        between = self.b - self.a
        length = float(np.linalg.norm(between))
        if length <= abs(self.ra - self.rb) + 1e-9:
            return np.array([0.0, 0.0, 1.0]), 0.0, None
        return between / length, length, (self.ra - self.rb) / length


def frame_along(direction: ArrayLike) -> NDArray[np.float64]:
    """Rotation whose columns are x (sideways), y (upwards as far as possible) and z along `direction`. `[3, 3]`"""
    z = np.asarray(direction, dtype=np.float64)
    z = z / np.linalg.norm(z)
    up = np.array([1.0, 0.0, 0.0] if abs(z[2]) > 0.999 else [0.0, 0.0, 1.0])
    x = np.cross(up, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def turned(matrix: NDArray, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`matrix @ vectors` for vectors `[3, n]`, with the same rounding on any number of cores (unlike BLAS)."""
    m = matrix.astype(np.float32)
    x, y, z = vectors
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in m])


def _along(axis: NDArray, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    a = axis.astype(np.float32)
    return a[0] * vectors[0] + a[1] * vectors[1] + a[2] * vectors[2]


_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_CUBE = np.concatenate([_CORNERS, np.zeros((1, 3))])


def _ball_hits(rays: NDArray[np.float32], centre: NDArray, radius: float) -> NDArray[np.float32]:
    b = _along(centre, rays)
    discriminant = b * b - np.float32(centre @ centre - radius * radius)
    near = b - np.sqrt(np.maximum(discriminant, 0))
    return np.where((discriminant > 0) & (near > 0), near, np.inf).astype(np.float32)


def _plane(direction: NDArray, origin: NDArray) -> tuple[NDArray, NDArray]:
    """Intersections of rays with the unit square at z = 0, as intervals without length; empty where rays miss it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -origin[2] / direction[2]
        point = origin[:2, None] + t * direction[:2]
    inside = (np.abs(point) < 1).all(axis=0)
    return np.where(inside, t, np.inf), np.where(inside, t, -np.inf)
