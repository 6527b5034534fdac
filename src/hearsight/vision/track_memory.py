"""Common base of the tracking of objects and of people: history, motion around each, cuts and camera motion."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float

from hearsight.vision.motion_energy import MotionEnergy, largest_shift

_MOST_SHIFT = 0.5  # largest plausible camera shift between two pictures, in fractions of the picture
_KEPT_S = 120.0  # duration of the history
_MOVING_S, _USUAL_S = 0.5, 10.0  # averaging times of an object's motion and of the whole picture's
_STILL_GREY_LEVELS = 0.02  # mean change of a picture without motion


Point = TypeVar("Point", bound=Any)
Item = TypeVar("Item", bound="Tracked[Any]")


def step(elapsed: float, over_s: float) -> float:
    """Weight of a new value in an average over `over_s` seconds, `elapsed` seconds after the last value."""
    return float(1 - np.exp(-elapsed / over_s)) if over_s > 0 else 1.0


class Tracked(ABC, Generic[Point]):
    """Current state and history of an object or person; `points` are dataclasses with `time_s` and `motion`.

    Attributes:
        number: number of the track, from 1.
        presence: presence from 0 to 1.
        motion: motion around it, 0 to 1: 0.5 is the average of the whole picture.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.points: deque[Point] = deque()
        self.presence = self.motion = 0.0
        self._energy: float | None = None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether it has disappeared and faded."""

    @abstractmethod
    def carry(self, camera: Float[np.ndarray, "3 3"]) -> None:
        """Move it with the camera."""

    @abstractmethod
    def lose(self) -> None:
        """Mark it as no longer seen."""

    @abstractmethod
    def energy_around(self, level: Float[np.ndarray, "rows columns"]) -> float:
        """Mean motion energy around it."""

    @abstractmethod
    def now(self, time_s: float) -> Point:
        """Current state as a point."""

    def add_energy(self, level: float, elapsed: float, usual: float) -> None:
        """Update the average of the motion around it, relative to the usual motion in the picture."""
        is_first = self._energy is None
        before = level if self._energy is None else self._energy
        self._energy = before + (level - before) * step(elapsed, _MOVING_S)
        self.motion = self._energy / (self._energy + usual)
        if is_first:  # earlier points get the first known value
            self.points = deque(replace(point, motion=self.motion) for point in self.points)

    def record(self, time_s: float) -> None:
        """Add the current state to the history."""
        if self.points and self.points[-1].time_s == time_s:
            self.points.pop()
        self.points.append(self.now(time_s))

    def end(self, time_s: float) -> None:
        """Make it present up to this time, and absent afterwards."""
        self.record(time_s)
        self.presence = 0.0
        self.lose()
        self.points.append(self.now(time_s))

    def forget(self, before_s: float) -> None:
        """Drop points that are not needed from this time on."""
        while len(self.points) > 1 and self.points[1].time_s <= before_s:
            self.points.popleft()

    def interpolated(
        self, times_s: Float[np.ndarray, "times"], row: Callable[[Point], Sequence[float]]
    ) -> Float[np.ndarray, "times columns"]:
        """Interpolate values of its points at given times."""
        points = list(self.points)
        if len(times_s):
            own_s = [point.time_s for point in points]
            first, last = bisect_left(own_s, times_s.min()), bisect_right(own_s, times_s.max())
            points = points[max(0, first - 1) : last + 1]
        own = np.array([point.time_s for point in points])
        values = np.array([row(point) for point in points], np.float64)
        return np.stack([np.interp(times_s, own, column) for column in values.T], -1)


class TrackMemory(Generic[Item]):
    """Tracks of a clip, including those that ended within the last two minutes."""

    def __init__(self) -> None:
        self._known: list[Item] = []
        self._gone: list[Item] = []
        self._begun = 0
        self._now_s = 0.0
        self._detected_s: float | None = None
        self._usual = self._measured_s = 0.0

    def move(self, time_s: float, energy: MotionEnergy) -> None:
        """Apply the motion measured since the last call; to be called before `update`."""
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
    """The camera's motion, or the identity if it is implausibly large."""
    return camera if largest_shift(camera) < _MOST_SHIFT else np.eye(3)


def carried(camera: Float[np.ndarray, "3 3"], places: Float[np.ndarray, "places 2"]) -> Float[np.ndarray, "places 2"]:
    """Positions (x, y) after a camera motion."""
    moved = np.concatenate([places, np.ones((len(places), 1))], 1) @ camera.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def mean_within(
    level: Float[np.ndarray, "rows columns"], left: float, top: float, right: float, bottom: float, least: int = 0
) -> float:
    """Mean of a part of the picture, with sides in fractions of width and height; 0 for a part without cells.

    Args:
        least: smallest number of cells of the part in each direction, as far as it is in the picture.
    """
    rows, columns = level.shape
    first, last = (int(np.clip(round(side * columns), 0, columns)) for side in (left, right))
    upper, lower = (int(np.clip(round(side * rows), 0, rows)) for side in (top, bottom))
    part = level[upper : max(lower, upper + least), first : max(last, first + least)]
    return float(part.mean()) if part.size else 0.0
