"""The picture's half of the model as one: frames in, tracked things out."""

import numpy as np
from jaxtyping import Float

from hearsight.models.concert.eye import InstrumentEye
from hearsight.models.concert.stir import StirMeter, unstirred
from hearsight.models.concert.things import Thing, Things
from hearsight.models.interface import Frame

FRAME_RATE_HZ = 4.0  # of the frames that the watcher needs
LOOK_S = 0.5
_STIR_S = 0.25
_EARLY_S = 0.01  # by which a frame may come before its time


class Watcher:
    """Looks for instruments twice a second, measures motion four times a second, and keeps the things found.

    Args:
        eye: sees instruments; None for the published weights.
        look_s: seconds between looks.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(self, eye: InstrumentEye | None = None, look_s: float = LOOK_S) -> None:
        self._eye = eye if eye is not None else InstrumentEye()
        self._eye.forget()
        self._look_s = look_s
        self._things = Things()
        self._meter = StirMeter()
        self._frame: Frame | None = None
        self._measured: Frame
        self._looked_s = -np.inf

    @property
    def seen_until_s(self) -> float:
        """Time of the latest frame."""
        return self._frame.time_s if self._frame is not None else -np.inf

    def watch(self, frame: Frame) -> None:
        """The clip's next frame; frames that were seen already, as overlapping windows hold them, are passed over."""
        if frame.time_s <= self.seen_until_s:
            return
        before, self._frame = self._frame, frame
        is_cut = False
        if before is None:
            self._meter.measure(frame.rgb, 1.0)
            self._measured = frame
        elif frame.time_s - self._measured.time_s >= _STIR_S - _EARLY_S:
            if frame.number == self._measured.number:
                stir = unstirred()
            else:
                stir = self._meter.measure(frame.rgb, frame.time_s - self._measured.time_s)
            self._measured = frame
            is_cut = stir.is_cut
            self._things.move(frame.time_s, stir)
        due = frame.time_s - self._looked_s >= self._look_s - _EARLY_S
        if is_cut or (due and frame is self._measured):
            self._looked_s = frame.time_s
            self._things.update(frame.time_s, self._eye.look(frame))

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[Thing]:
        """The things that are there at any of these times; see `Things.at`."""
        return self._things.at(times_s)
