"""How much moves at the faces of people, tick by tick."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_BLUR_PIXELS = 0.8
_CUT_GREY_LEVELS = 25.0  # mean change of a picture that is another scene
_FEWEST_PIXELS = 4  # of a side of a mouth's region
_KEPT_S = 12.0


@dataclass(frozen=True)
class Face:
    """Where the mouth of a person is.

    Attributes:
        number: the person's.
        x, y: of the mouth, parts of the picture's width and height.
        width, height: of the region around it in which it moves, likewise.
    """

    number: int
    x: float
    y: float
    width: float
    height: float


class MouthMotion:
    """Grey levels by which mouths change from tick to tick, beyond what the whole picture does."""

    def __init__(self) -> None:
        self._before: Float[np.ndarray, "rows columns"] | None = None
        self._levels: deque[tuple[float, dict[int, float]]] = deque()

    def update(self, time_s: float, grey: UInt8[np.ndarray, "rows columns"], faces: list[Face]) -> None:
        """The clip's next picture, small and grey, and the faces in it; times rise from call to call."""
        now = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _BLUR_PIXELS)
        before, self._before = self._before, np.asarray(now, np.float32)
        if before is None or before.shape != now.shape:
            return
        change = cv2.absdiff(now, before)
        if float(change.mean()) > _CUT_GREY_LEVELS:
            return
        usual = float(np.median(change))
        self._levels.append((time_s, {face.number: _level(change, face, usual) for face in faces}))
        while self._levels[0][0] < time_s - _KEPT_S:
            self._levels.popleft()

    def at(self, number: int, times_s: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"] | None:
        """The motion of a person's mouth at these times; None if its face was seen in fewer than half of the ticks
        between them."""
        first, last = (float(times_s[0]) - 0.1, float(times_s[-1]) + 0.1) if len(times_s) else (0.0, 0.0)
        inside = [(time_s, levels) for time_s, levels in self._levels if first <= time_s <= last]
        known = [(time_s, levels[number]) for time_s, levels in inside if number in levels]
        if len(known) < 2 or 2 * len(known) < len(inside):
            return None
        own_s, level = np.array(known).T
        return np.interp(times_s, own_s, level)


def _level(change: Float[np.ndarray, "rows columns"], face: Face, usual: float) -> float:
    rows, columns = change.shape
    half_width = max(face.width * columns, _FEWEST_PIXELS) / 2
    half_height = max(face.height * rows, _FEWEST_PIXELS) / 2
    left, right = (int(np.clip(round(face.x * columns + side), 0, columns)) for side in (-half_width, half_width))
    top, bottom = (int(np.clip(round(face.y * rows + side), 0, rows)) for side in (-half_height, half_height))
    region = change[top:bottom, left:right]
    return max(0.0, float(region.mean()) - usual) if region.size else 0.0
