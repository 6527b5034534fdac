"""Pictures of a concert: colours, depth, and the owner of each pixel, at every moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.drawing.camera import Camera
from hearsight.simulation.drawing.canvas import Canvas, Light
from hearsight.simulation.drawing.furniture import furniture
from hearsight.simulation.drawing.players import Gesture, idle_parts, moving_parts, still_parts
from hearsight.simulation.drawing.solids import Limb, Solid
from hearsight.simulation.scene import Scene, rotation_about_z
from hearsight.simulation.settings import SIMULATED_INSTRUMENTS, Settings
from hearsight.simulation.walls import Walls

Parts = list[Solid | Limb]
OVERSAMPLING = 2
BODY, INSTRUMENT, OBJECT = 1, 2, 100
"""Numbers of owners: performer p's body is 2 p + BODY, the instrument 2 p + INSTRUMENT; object i is OBJECT + i; room
0."""


@dataclass(frozen=True)
class View:
    """Camera view of a concert at one moment.

    Attributes:
        colour: the picture. `[height, width, 3]` uint8 RGB
        owner: owner of each sub-pixel (see BODY). `[height * OVERSAMPLING, width * OVERSAMPLING]`
        depth: metres along the ray through each pixel's centre, if requested. `[height, width]`
    """

    colour: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    depth: NDArray[np.float32] | None


def views(
    scene: Scene,
    settings: Settings,
    gestures: Sequence[Sequence[Gesture]],
    with_depth: Sequence[bool] | None = None,
) -> Iterator[View]:
    """Draw the frames of a clip in order; frame k shows the moment k / frame rate.

    Still objects are drawn once: on the canvas for a still camera, on a panorama for a turning camera (it only turns).
    Depth is drawn separately, with rays through the pixels' centres. A view's arrays are only valid until the next
    view.

    Args:
        gestures: gestures of each performer, one per frame.
        with_depth: for each frame, whether to draw its depth.
    """
    stage = _Stage(scene)
    times = np.arange(settings.frames) / settings.frame_rate_hz
    rotations = scene.listener.to_head(times)
    still_camera = scene.listener.motion == "still"
    fine, coarse = Canvas(settings.camera, OVERSAMPLING), Canvas(settings.camera, 1)
    level = rotation_about_z(scene.listener.yaw).T
    background: Canvas | None = None
    coarse_background: Canvas | None = None
    for index, rotation in enumerate(rotations):
        moving = [
            moving_parts(performer.instrument, performer.dress, poses[index])
            for performer, poses in zip(scene.performers, gestures, strict=True)
        ]
        if not still_camera:
            if background is None:
                around = _panorama_camera(settings.camera, level @ rotations.transpose(0, 2, 1))
                background = Canvas(around, OVERSAMPLING)
                stage.draw_still(background, level)
            fine.view_around(background, level @ rotation.T)
        elif background is None:
            stage.draw_still(fine, rotation)
            background = fine.copy()
        else:
            fine.restore(background)
        stage.draw_moving(fine, rotation, moving)
        depth = None
        if with_depth is not None and with_depth[index]:
            if coarse_background is None or not still_camera:
                stage.draw_still(coarse, rotation)
                coarse_background = coarse.copy()
            else:
                coarse.restore(coarse_background)
            stage.draw_moving(coarse, rotation, moving)
            depth = coarse.depth
        yield View(fine.picture(), fine.owner, depth)


def _panorama_camera(camera: Camera, turns: NDArray[np.float64]) -> Camera:
    """Camera of a panorama around a level head that covers a camera's views at all `turns` (to the level head's
    axes)."""
    edge = np.linspace(0, 1, 9)
    x, y = np.meshgrid(edge, edge)
    seen = np.einsum("tij,jn->tni", turns, camera.directions(x.ravel(), y.ravel()))
    widest = 2 * float(np.abs(np.arctan2(seen[..., 1], seen[..., 0])).max()) + 0.05
    tallest = 2 * float(np.abs(seen[..., 2] / np.hypot(seen[..., 0], seen[..., 1])).max()) + 0.05
    # same number of pixels per angle as in the middle of the picture
    if camera.projection == "cylinder":
        rate, rise = camera.width / camera.field_of_view, camera.height / camera.tall
    else:
        rate = rise = camera.width / (2 * np.tan(camera.field_of_view / 2))
    return Camera(round(widest * rate), round(tallest * rise), "cylinder", widest, tallest)


class _Stage:
    """All objects in the room, in room axes."""

    def __init__(self, scene: Scene) -> None:
        self.head = np.array(scene.listener.position)
        self.places = [
            (rotation_about_z(p.yaw), np.array([*p.position, 0.0])) for p in scene.performers
        ]  # fmt: skip
        self.still: list[tuple[int, Parts]] = []
        shadows = []
        for index, performer in enumerate(scene.performers):
            parts = still_parts(performer.instrument, performer.dress)
            self.still.append((2 * index + INSTRUMENT, _moved(parts, *self.places[index])))
            shadows.append((*performer.position, 0.28))
            if performer.instrument in ("piano", "drums", "harp", "cello", "upright bass"):
                ahead = {"piano": 1.3 if performer.dress.grand else 0.75, "drums": 0.65}.get(performer.instrument, 0.45)
                spot = np.array(performer.position) + ahead * self.places[index][0][:2, 0]
                shadows.append((*spot, {"piano": 0.7, "drums": 0.6}.get(performer.instrument, 0.25)))
        for index, item in enumerate(scene.objects):
            whole = (
                idle_parts(item.name, item.dress)
                if item.name in SIMULATED_INSTRUMENTS
                else furniture(item.name, item.drawing_seed)
            )
            self.still.append(
                (OBJECT + index, _moved(whole, rotation_about_z(item.yaw), np.array([*item.position, 0])))
            )
            shadows.append((*item.position, 0.28))
        self.walls = Walls(scene.room, shadows)
        self.lamps = np.array(scene.room.lamps)

    def draw_still(self, canvas: Canvas, to_head: NDArray[np.float64]) -> None:
        """Draw the room and its still objects over the whole canvas."""
        shift, light = self._seen(to_head)
        self.walls.draw(canvas, to_head, self.head)
        for owner, parts in self.still:
            canvas.draw((part.moved(to_head, shift) for part in parts), light, owner)

    def draw_moving(self, canvas: Canvas, to_head: NDArray[np.float64], moving: list[tuple[Parts, Parts]]) -> None:
        """Draw the performers and the instruments in their hands."""
        shift, light = self._seen(to_head)
        for index, (person, objects) in enumerate(moving):
            rotation, place = self.places[index]
            turned, at = to_head @ rotation, to_head @ place + shift
            for owner, parts in ((2 * index + BODY, person), (2 * index + INSTRUMENT, objects)):
                canvas.draw((part.moved(turned, at) for part in parts), light, owner)

    def _seen(self, to_head: NDArray[np.float64]) -> tuple[NDArray[np.float64], Light]:
        shift = -to_head @ self.head
        return shift, Light(self.lamps @ to_head.T + shift, to_head[:, 2], 1.0)


def _moved(parts: Parts, rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> Parts:
    return [part.moved(rotation, shift) for part in parts]
