"""Picture with depth. Solids are drawn into it in any order; at each pixel the nearest one is visible."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.drawing.camera import Camera
from hearsight.simulation.drawing.solids import Limb, Solid


@dataclass(frozen=True)
class Light:
    """Light of the lamps as seen from the head. All points of a solid get the same light.

    Attributes:
        lamps: positions in head axes in metres. `[lamps, 3]`
        up: unit vector that points up in head axes. `[3]`
        brightness: factor of all light.
    """

    lamps: NDArray[np.float64]
    up: NDArray[np.float64]
    brightness: float

    def at(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
        """Unit vector towards the lamps, and strength of the direct light, at a point in head axes."""
        to = self.lamps - point
        square = (to * to).sum(axis=1)
        flux = (to / square[:, None] ** 1.2).sum(axis=0)
        strength = float(np.linalg.norm(flux))
        return (flux / strength).astype(np.float32), min(1.0, 1.6 * strength) * self.brightness


class Canvas:
    """Colour, depth (metres along the ray) and owner of each sub-pixel, with `oversampling`^2 sub-pixels per pixel.

    Owners are small numbers that the caller gives to objects; 0 is the room.
    """

    def __init__(self, camera: Camera, oversampling: int) -> None:
        self.camera = replace(camera, width=camera.width * oversampling, height=camera.height * oversampling)
        self.oversampling = oversampling
        self.rays = camera.rays(oversampling)
        shape = (self.camera.height, self.camera.width)
        self.colour = np.zeros((*shape, 3), np.uint8)
        self.depth = np.full(shape, np.inf, np.float32)
        self.owner = np.zeros(shape, np.uint8)
        self._touched: list[tuple[slice, slice]] = []

    def draw(self, solids: Iterable[Solid | Limb], light: Light, owner: int) -> None:
        """Draw solids whose coordinates are in head axes."""
        for solid in solids:
            self._draw(solid, light, owner)

    def restore(self, background: "Canvas") -> None:
        """Copy `background` to all regions drawn since the last `restore`."""
        for where in self._touched:
            self.colour[where] = background.colour[where]
            self.depth[where] = background.depth[where]
            self.owner[where] = background.owner[where]
        self._touched.clear()

    def view_around(self, panorama: "Canvas", to_panorama: NDArray[np.float64]) -> None:
        """Fill the canvas from a panorama drawn from the same place; `to_panorama` rotates this head's axes to its
        axes.

        Distances along rays do not change when the head only turns, so depth is copied too. Positions in the panorama
        are computed at every eighth pixel and interpolated (to a thirtieth of a pixel).
        """
        step, camera = 8, self.camera
        columns, rows = (np.arange(-1, -(-n // step) + 1) + 0.5 for n in (camera.width, camera.height))
        x, y = np.meshgrid(columns * step / camera.width, rows * step / camera.height)
        vectors = np.einsum("ij,jrc->rci", to_panorama, camera.directions(x, y))
        places = []
        sizes = (panorama.camera.width, panorama.camera.height)
        for share, size in zip(panorama.camera.project(vectors), sizes, strict=True):
            fine = cv2.resize((share * size - 0.5).astype(np.float32), (len(columns) * step, len(rows) * step))
            places.append(np.ascontiguousarray(fine[step : step + camera.height, step : step + camera.width]))
        map_x, map_y = places
        self.colour[:] = cv2.remap(panorama.colour, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.depth[:] = cv2.remap(panorama.depth, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        self.owner[:] = cv2.remap(panorama.owner, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        self._touched.clear()

    def copy(self) -> "Canvas":
        """Independent copy of the canvas."""
        twin = object.__new__(Canvas)
        twin.camera, twin.oversampling, twin.rays = self.camera, self.oversampling, self.rays
        twin.colour, twin.depth, twin.owner = self.colour.copy(), self.depth.copy(), self.owner.copy()
        twin._touched = []
        return twin

    def picture(self) -> NDArray[np.uint8]:
        """The finished picture, with sub-pixels averaged. `[height, width, 3]` RGB"""
        if self.oversampling == 1:
            return self.colour.copy()
        size = (self.camera.width // self.oversampling, self.camera.height // self.oversampling)
        return cv2.resize(self.colour, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)

    def _draw(self, solid: Solid | Limb, light: Light, owner: int) -> None:
        box = self.camera.box(solid.hull())
        if box is None:
            return
        where = (slice(box[1], box[3]), slice(box[0], box[2]))
        rays = self.rays[(slice(None), *where)].reshape(3, -1)
        t = solid.hits(rays)
        hit = np.flatnonzero(t < self.depth[where].ravel())
        if not len(hit):
            return
        rays, t = rays[:, hit], t[hit]
        normal, albedo = solid.faces(rays, t)
        rows, columns = np.divmod(hit, box[2] - box[0])
        rows += box[1]
        columns += box[0]
        self.colour[rows, columns] = _shade(solid, normal, albedo, light)
        self.depth[rows, columns] = t
        self.owner[rows, columns] = owner
        self._touched.append(where)


def _shade(solid: Solid | Limb, normal: NDArray, albedo: NDArray, light: Light) -> NDArray[np.uint8]:
    """Lambert's law with the lamps, light from above and from the walls, and a highlight by the half vector. `[n,
    3]`"""
    to_lamp, strength = light.at(solid.centre)
    lit = np.maximum(to_lamp @ normal, 0) * np.float32(0.62 * strength)
    # light that the room reflects: more from above, and a little from behind the viewer so that fronts are not flat
    to_eye = -solid.centre / (np.linalg.norm(solid.centre) + 1e-9)
    ambient = np.float32(0.36 * light.brightness) * (1 + 0.25 * (light.up.astype(np.float32) @ normal))
    fill = np.maximum(to_eye.astype(np.float32) @ normal, 0) * np.float32(0.22 * light.brightness)
    shade = albedo * (lit + ambient + fill)[:, None]
    if solid.surface.gloss:
        half = to_lamp + to_eye
        half = (half / (np.linalg.norm(half) + 1e-9)).astype(np.float32)
        shade = shade + (solid.surface.gloss * 0.8 * strength * np.maximum(half @ normal, 0) ** 28)[:, None]
    return (np.clip(shade, 0, 1) * 255).astype(np.uint8)
