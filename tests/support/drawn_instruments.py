"""Pictures with instruments drawn for tests: cut-outs from the simulated concerts' drawings, pasted on photographs."""

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_image

from hearsight.simulation.drawing.camera import Camera
from hearsight.simulation.drawing.canvas import Canvas, Light
from hearsight.simulation.drawing.instruments import drum_kit, harp, piano
from hearsight.simulation.picture import _moved

_LIGHT = Light(np.array([[0.5, 1.0, 2.5], [0.5, -1.5, 2.5]]), np.array([0.0, 0.0, 1.0]), 1.1)


@functools.cache
def cut_out(instrument: str, height: int, turn_deg: float = 90.0) -> NDArray[np.uint8]:
    """A harp, an upright or a grand piano or a drum kit that fills so many rows; RGBA."""
    parts = {
        "harp": lambda: harp((0.55, 0.33, 0.16))[0],
        "upright": lambda: piano((0.12, 0.08, 0.06), False),
        "grand": lambda: piano((0.05, 0.05, 0.05), True),
        "drums": lambda: drum_kit((0.6, 0.1, 0.1), (0.9, 0.9, 0.88)),
    }[instrument]()
    turn = math.radians(turn_deg)
    rotation = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1.0]])
    canvas = Canvas(Camera(480, 480, "pinhole", math.radians(50)), 2)
    canvas.draw(_moved(parts, rotation, np.array([3.2, 0.0, -0.9]) - rotation @ np.array([0.6, 0, 0])), _LIGHT, 1)
    mask = canvas.owner == 1
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    where = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut = np.dstack([canvas.colour, mask.astype(np.uint8) * 255])[where]
    width = round(cut.shape[1] * height / cut.shape[0])
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@functools.cache
def photograph(name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One of scikit-learn's two photographs (`china.jpg`, `flower.jpg`), stretched to (height, width)."""
    return np.asarray(cv2.resize(load_sample_image(name), size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def pasted(scene: NDArray[np.uint8], cut: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    """A scene with a cut-out centred on (x, y) in parts of its size; what would be outside is left away."""
    height, width = cut.shape[:2]
    shift = np.array([[1, 0, x * scene.shape[1] - width / 2], [0, 1, y * scene.shape[0] - height / 2]], np.float32)
    moved = cv2.warpAffine(cut.astype(np.float32), shift, scene.shape[1::-1])
    share = moved[..., 3:] / 255
    return np.asarray(np.round(moved[..., :3] * share + scene * (1 - share)), np.uint8)
