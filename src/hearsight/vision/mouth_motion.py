"""Motion of people's mouths at each tick, beyond the motion of their heads."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hearsight.vision.motion import correlation

_BLUR_PIXELS = 0.8
_MEDIAN_ROWS = 4  # one in this number of rows is used for the usual change
_CUT_CORRELATION, _CUT_GREY_LEVELS = 0.75, 10.0  # a new scene: correlation below, and mean change above
_FEWEST_PIXELS = 4  # smallest side of a mouth's region
_UPPER = (-1.75, -0.7)  # edges of eyes and nose, from the mouth's centre, in heights of its region
_LEAST_UPPER_PIXELS = 8  # side of that region below which the head's own motion is not measured
_MOST_SHIFT_PIXELS = 4.0  # largest shift of a head per tick
_KEPT_S = 12.0
_LEAST_S = 0.5


@dataclass(frozen=True)
class Face:
    """Mouth of a person.

    Attributes:
        number: number of the person.
        x, y: centre of the mouth, in fractions of the picture's width and height.
        width, height: size of the region of its motion, likewise.
    """

    number: int
    x: float
    y: float
    width: float
    height: float


class MouthMotion:
    """Change of mouths in grey levels from tick to tick, beyond that of the head and the whole picture.

    A head's motion is that of eyes and nose, by phase correlation. The previous picture is moved accordingly, and the
    remaining change at eyes and nose (the head turns, the light flickers) is subtracted from the change at the mouth.
    Between detections the mouth moves with the head. Faces that were detected before a cut are not measured after it.
    """

    def __init__(self) -> None:
        self._before: Float[np.ndarray, "rows columns"] | None = None
        self._levels: deque[tuple[float, dict[int, float]]] = deque()
        self._followed: dict[int, tuple[Face, Float[np.ndarray, "2"]]] = {}  # as detected; shift in pixels since then
        self._faces: list[Face] = []  # of the previous picture
        self._past: list[Face] = []  # of the scene before the latest cut

    def update(self, time_s: float, grey: UInt8[np.ndarray, "rows columns"], faces: list[Face]) -> None:
        """Process the clip's next picture, small and grey, with its faces; times must increase from call to call."""
        if not faces and not self._levels:
            self._before = None
            return
        now = np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _BLUR_PIXELS), np.float32)
        before, self._before = self._before, now
        earlier, self._faces = self._faces, faces
        if before is None or before.shape != now.shape:
            return
        change = cv2.absdiff(now, before)
        if float(change.mean()) > _CUT_GREY_LEVELS and correlation(now, before) < _CUT_CORRELATION:
            self._followed, self._past = {}, earlier
            return
        usual = float(np.median(change[::_MEDIAN_ROWS]))
        levels = {face.number: self._level(before, now, face, usual) for face in faces if face not in self._past}
        self._levels.append((time_s, levels))
        while self._levels[0][0] < time_s - _KEPT_S:
            self._levels.popleft()

    def at(self, number: int, times_s: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"] | None:
        """Motion of a person's mouth at these times; NaN before the face was first seen and after it was last seen.

        None if it was seen in fewer than half of the ticks between, or for less than half a second.
        """
        first, last = (float(times_s[0]) - 0.1, float(times_s[-1]) + 0.1) if len(times_s) else (0.0, 0.0)
        inside = [(time_s, levels) for time_s, levels in self._levels if first <= time_s <= last]
        known = [(time_s, levels[number]) for time_s, levels in inside if number in levels]
        if len(known) < 2 or known[-1][0] - known[0][0] < _LEAST_S:
            return None
        if 2 * len(known) < sum(known[0][0] <= time_s <= known[-1][0] for time_s, _ in inside):
            return None
        own_s, level = np.array(known).T
        return np.interp(times_s, own_s, level, left=np.nan, right=np.nan)

    def _level(
        self,
        before: Float[np.ndarray, "rows columns"],
        now: Float[np.ndarray, "rows columns"],
        face: Face,
        usual: float,
    ) -> float:
        rows, columns = now.shape
        found, moved = self._followed.get(face.number, (face, np.zeros(2)))
        if found != face:  # new detection
            moved = np.zeros(2)
        at = np.array([face.x * columns, face.y * rows]) + moved
        width, height = max(face.width * columns, _FEWEST_PIXELS), max(face.height * rows, _FEWEST_PIXELS)
        mouth = _region(now.shape, at - (width / 2, height / 2), at + (width / 2, height / 2))
        upper = _region(now.shape, at + (-width * 0.7, _UPPER[0] * height), at + (width * 0.7, _UPPER[1] * height))
        shift = np.zeros(2)
        size = now[upper].shape
        if min(size) >= _LEAST_UPPER_PIXELS:
            window = cv2.createHanningWindow(size[::-1], cv2.CV_32F)
            parts = np.ascontiguousarray(before[upper]), np.ascontiguousarray(now[upper])
            head = np.array(cv2.phaseCorrelate(*parts, window)[0])
            if float(np.linalg.norm(head)) <= _MOST_SHIFT_PIXELS:
                shift = head
        self._followed[face.number] = face, moved + shift
        still = max(usual, _change(before, now, upper, shift))
        return max(0.0, _change(before, now, mouth, shift) - still)


_Region = tuple[slice, slice]


def _region(shape: tuple[int, ...], upper_left: np.ndarray, lower_right: np.ndarray) -> _Region:
    (left, top), (right, bottom) = (
        np.clip(np.rint(corner), 0, (shape[1], shape[0])).astype(int) for corner in (upper_left, lower_right)
    )
    return slice(top, bottom), slice(left, right)


def _change(
    before: Float[np.ndarray, "rows columns"],
    now: Float[np.ndarray, "rows columns"],
    region: _Region,
    shift: Float[np.ndarray, "2"],
) -> float:
    """Change in grey levels in a region, mean of the quarter of its pixels that changes most.

    The previous picture is moved by `shift` pixels.
    """
    part = now[region]
    if not part.size:
        return 0.0
    middle = ((region[1].start + region[1].stop - 1) / 2, (region[0].start + region[0].stop - 1) / 2)
    moved = cv2.getRectSubPix(before, part.shape[::-1], (middle[0] - float(shift[0]), middle[1] - float(shift[1])))
    change = cv2.absdiff(np.ascontiguousarray(part), moved).ravel()
    most = 3 * len(change) // 4
    return float(np.partition(change, most)[most:].mean())
