"""What following objects and following people have in common: memory, the motion around each, cuts and the camera."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float

from hearsight.vision.motion_energy import MotionEnergy, largest_shift

_MOST_SHIFT = 0.5  # of the picture, by which a camera could have moved from one picture to the next
_KEPT_S = 120.0  # how long is remembered
_MOVING_S, _USUAL_S = 0.5, 10.0  # over which motion, and the whole picture's, is averaged
_STILL_GREY_LEVELS = 0.02  # mean change of a picture in which nothing moves


Point = TypeVar("Point", bound=Any)
Item = TypeVar("Item", bound="Tracked[Any]")


def step(elapsed: float, over_s: float) -> float:
    """How far an average over `over_s` seconds moves to a new value after `elapsed` seconds."""
    return float(1 - np.exp(-elapsed / over_s)) if over_s > 0 else 1.0


class Tracked(ABC, Generic[Point]):
    """One object or person as now, and before: `points` are dataclasses with `time_s` and `motion`.

    Attributes:
        number: counts from 1; stays its own.
        presence: from 0 to 1.
        motion: 0 to 1, how much moves around it: 0.5 is as much as on average in the whole picture.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.points: deque[Point] = deque()
        self.presence = self.motion = 0.0
        self._energy: float | None = None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether it is gone, and has faded."""

    @abstractmethod
    def carry(self, camera: Float[np.ndarray, "3 3"]) -> None:
        """Move along with the camera."""

    @abstractmethod
    def lose(self) -> None:
        """It is no longer seen."""

    @abstractmethod
    def energy_around(self, level: Float[np.ndarray, "rows columns"]) -> float:
        """The mean of what moves around it."""

    @abstractmethod
    def now(self, time_s: float) -> Point:
        """What it is like."""

    def add_energy(self, level: float, elapsed: float, usual: float) -> None:
        """Average what moves around it, beside what usually moves in the picture."""
        is_first = self._energy is None
        before = level if self._energy is None else self._energy
        self._energy = before + (level - before) * step(elapsed, _MOVING_S)
        self.motion = self._energy / (self._energy + usual)
        if is_first:  # what could not be known before
            self.points = deque(replace(point, motion=self.motion) for point in self.points)

    def record(self, time_s: float) -> None:
        """Remember what it is like."""
        if self.points and self.points[-1].time_s == time_s:
            self.points.pop()
        self.points.append(self.now(time_s))

    def end(self, time_s: float) -> None:
        """Be there up to this time, and not from it on."""
        self.record(time_s)
        self.presence = 0.0
        self.lose()
        self.points.append(self.now(time_s))

    def forget(self, before_s: float) -> None:
        """Keep what is needed from this time on."""
        while len(self.points) > 1 and self.points[1].time_s <= before_s:
            self.points.popleft()

    def interpolated(
        self, times_s: Float[np.ndarray, "times"], row: Callable[[Point], Sequence[float]]
    ) -> Float[np.ndarray, "times columns"]:
        """Values of its points at times."""
        points = list(self.points)
        if len(times_s):
            own_s = [point.time_s for point in points]
            first, last = bisect_left(own_s, times_s.min()), bisect_right(own_s, times_s.max())
            points = points[max(0, first - 1) : last + 1]
        own = np.array([point.time_s for point in points])
        values = np.array([row(point) for point in points], np.float64)
        return np.stack([np.interp(times_s, own, column) for column in values.T], -1)


class TrackMemory(Generic[Item]):
    """The tracks of a clip, those that are over too for two minutes."""

    def __init__(self) -> None:
        self._known: list[Item] = []
        self._gone: list[Item] = []
        self._begun = 0
        self._now_s = 0.0
        self._detected_s: float | None = None
        self._usual = self._measured_s = 0.0

    def move(self, time_s: float, energy: MotionEnergy) -> None:
        """Follow the motion that was measured since the last call; to be called before `update`."""
        if energy.is_cut:
            for known in self._known:
                known.end(time_s)
            self._gone += self._known
            self._known, self._detected_s, self._now_s = [], None, time_s
            return
        elapsed = max(0.0, time_s - self._now_s)
        self._now_s = time_s
        if not energy.is_frozen:
            self._measured_s += elapsed
            self._usual += (float(energy.level.mean()) - self._usual) * step(elapsed, min(_USUAL_S, self._measured_s))
        camera = plausible(energy.camera)
        for known in self._known:
            known.carry(camera)
            if not energy.is_frozen:
                known.add_energy(known.energy_around(energy.level), elapsed, self._usual + _STILL_GREY_LEVELS)
            known.record(time_s)

    def _number(self) -> int:
        self._begun += 1
        return self._begun

    def _forget(self, time_s: float) -> None:
        self._gone += [known for known in self._known if known.is_over]
        self._known = [known for known in self._known if not known.is_over]
        for known in [*self._gone, *self._known]:
            known.forget(time_s - _KEPT_S)
        self._gone = [known for known in self._gone if known.points[-1].time_s > time_s - _KEPT_S]


def plausible(camera: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The camera's motion, or none where it is more than a camera's can be."""
    return camera if largest_shift(camera) < _MOST_SHIFT else np.eye(3)


def carried(camera: Float[np.ndarray, "3 3"], places: Float[np.ndarray, "places 2"]) -> Float[np.ndarray, "places 2"]:
    """Places (x, y) after the camera moved."""
    moved = np.concatenate([places, np.ones((len(places), 1))], 1) @ camera.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def mean_within(
    level: Float[np.ndarray, "rows columns"], left: float, top: float, right: float, bottom: float, least: int = 0
) -> float:
    """The mean of a part of the picture, its sides in parts of width and height; 0 for a part without a cell.

    Args:
        least: cells that the part has at least in each direction, where it is in the picture.
    """
    rows, columns = level.shape
    first, last = (int(np.clip(round(side * columns), 0, columns)) for side in (left, right))
    upper, lower = (int(np.clip(round(side * rows), 0, rows)) for side in (top, bottom))
    part = level[upper : max(lower, upper + least), first : max(last, first + least)]
    return float(part.mean()) if part.size else 0.0
