"""The picture's half of the model as one: frames in, tracked things out."""

import cv2
import numpy as np
from jaxtyping import Float

from hearsight.models.concert.eye import InstrumentEye
from hearsight.models.concert.things import Thing, Things
from hearsight.models.interface import Frame
from hearsight.models.located.motion import MotionMeter, still

_LOOK_S = 0.5
_MOTION_AREA = 135 * 240  # pixels of the copy that motion is measured in
_EARLY_S = 0.01  # by which a frame may come before half a second is over


class Watcher:
    """Looks for instruments twice a second, measures motion between all frames, and keeps the things found.

    Args:
        eye: sees instruments; None for the published weights.
        look_s: seconds between looks.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(self, eye: InstrumentEye | None = None, look_s: float = _LOOK_S) -> None:
        self._eye = eye if eye is not None else InstrumentEye()
        self._eye.forget()
        self._look_s = look_s
        self._things = Things()
        self._meter = MotionMeter()
        self._frame: Frame | None = None
        self._looked_s = -np.inf

    @property
    def seen_until_s(self) -> float:
        """Time of the latest frame."""
        return self._frame.time_s if self._frame is not None else -np.inf

    def watch(self, frame: Frame) -> None:
        """The clip's next frame; frames that were seen already, as overlapping windows hold them, are passed over."""
        before = self._frame
        if before is not None and frame.time_s <= before.time_s:
            return
        self._frame = frame
        is_cut = False
        if before is None:
            self._meter.measure(_small(frame.rgb), 1.0)
        elif frame.number == before.number:
            self._things.move(frame.time_s, still())
        else:
            motion = self._meter.measure(_small(frame.rgb), frame.time_s - before.time_s)
            is_cut = motion.is_cut
            self._things.move(frame.time_s, motion)
        if is_cut or frame.time_s - self._looked_s >= self._look_s - _EARLY_S:
            self._looked_s = frame.time_s
            self._things.update(frame.time_s, self._eye.look(frame))

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[Thing]:
        """The things that are there at any of these times; see `Things.at`."""
        return self._things.at(times_s)


def _small(rgb: np.ndarray) -> np.ndarray:
    scale = (_MOTION_AREA / (rgb.shape[0] * rgb.shape[1])) ** 0.5
    if scale >= 1:
        return rgb
    size = tuple(max(16, round(side * scale)) for side in rgb.shape[1::-1])
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
