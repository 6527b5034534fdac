"""Positions of sources over time: tracks from a user, and tracks of a report."""

import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import picture_to_direction
from hearsight.errors import DataError


@dataclass
class TrackPoint:
    """Position of a source at one time.

    Attributes:
        time_s: clip time.
        x, y: position in the picture, 0 to 1.
        azimuth_deg, elevation_deg: direction of its sound.
        confidence: 0 to 1.
        width, height: size of the visible object around `x` and `y`, in fractions of the picture's size; None if
            unknown.
    """

    time_s: float
    x: float
    y: float
    azimuth_deg: float
    elevation_deg: float
    confidence: float
    width: float | None = None
    height: float | None = None


@dataclass(frozen=True)
class SeenObject:
    """Object in the picture, and its part of the sound.

    Attributes:
        label: label of the object.
        share: its share of the clip's energy, 0 to 1.
        times_s: clip times, increasing. `[times]`
        place: x and y of its centre, width and height, in fractions of the picture; NaN if the height, or both, are
            unknown. `[times, 4]`
        energy: energy of its sound from each time to the next, in squares of full scale; None if only its share is
            known. `[times]`
    """

    label: str
    share: float
    times_s: Float[np.ndarray, "times"]
    place: Float[np.ndarray, "times 4"]
    energy: Float[np.ndarray, "times"] | None = None


@dataclass
class Source:
    """Located source, as in the report; `energy_share` is its share of the clip's energy, 0 to 1."""

    label: str
    energy_share: float
    track: list[TrackPoint]

    def later(self, seconds: float) -> "Source":
        """The source with all times later by `seconds`."""
        return replace(self, track=[replace(point, time_s=point.time_s + seconds) for point in self.track])

    def as_seen(self) -> SeenObject:
        """The source as an object without a known level over time."""
        points = [(p.time_s, p.x, p.y, p.width, p.height) for p in self.track]
        rows = np.array(points, dtype=np.float64).reshape(-1, 5)  # None becomes NaN
        return SeenObject(self.label, self.energy_share, rows[:, 0], rows[:, 1:])

    def as_json(self) -> dict[str, Any]:
        """The source as in the report; unknown values of points are left out."""
        track = [{name: value for name, value in asdict(point).items() if value is not None} for point in self.track]
        return {"label": self.label, "energy_share": self.energy_share, "track": track}


@dataclass
class Track:
    """Positions of a source, interpolated between points and constant before and after them.

    Attributes:
        label: label in the report.
        times_s: clip times, increasing. `[points]`
        x, y: positions in the picture. `[points]`
        confidence: 0 to 1; scales the direction towards the middle. `[points]`
        gain_db: gain of the source's sound; -inf to leave it out.
    """

    label: str
    times_s: Float[np.ndarray, "points"]
    x: Float[np.ndarray, "points"]
    y: Float[np.ndarray, "points"]
    confidence: Float[np.ndarray, "points"]
    gain_db: float = 0.0

    @classmethod
    def at(cls, label: str, x: float, y: float) -> "Track":
        """A source with a fixed position.

        Raises:
            DataError: the position is not in the picture.
        """
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise DataError(
                f"a source at {x:g},{y:g} is not in the picture: both must be from 0 to 1 (left, top first)"
            )
        return cls(label, np.zeros(1), np.array([x]), np.array([y]), np.ones(1))

    def later(self, by_s: float) -> "Track":
        """The track with all times later by `by_s` seconds (earlier if negative)."""
        return replace(self, times_s=self.times_s + by_s)

    def positions(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and confidence at any times."""
        return (
            np.interp(times_s, self.times_s, self.x),
            np.interp(times_s, self.times_s, self.y),
            np.interp(times_s, self.times_s, self.confidence),
        )

    def directions(self, times_s: np.ndarray, field_of_view: float) -> tuple[Tensor, Tensor]:
        """Azimuth and elevation of the source's sound in radians: the direction of its position times the
        confidence."""
        x, y, confidence = (torch.from_numpy(values).float() for values in self.positions(times_s))
        azimuth, elevation = picture_to_direction(x, y, field_of_view)
        return azimuth * confidence, elevation * confidence

    def points(self, times_s: np.ndarray, field_of_view: float) -> list[TrackPoint]:
        """Points of the track at given times, as in the report."""
        azimuth, elevation = self.directions(times_s, field_of_view)
        return [
            TrackPoint(float(t), float(x), float(y), math.degrees(a), math.degrees(e), float(c))
            for t, x, y, c, a, e in zip(
                times_s, *self.positions(times_s), azimuth.tolist(), elevation.tolist(), strict=True
            )
        ]


def read_tracks(file: str | os.PathLike[str], input: str | os.PathLike[str] | None = None) -> list[Track]:
    """Read tracks from a report of `binauralize`, or any JSON with its `sources`.

    The file gives `label`, `track`, `gain_db` (-60 to 20, default 0) and `muted` of each source, and `time_s`, `x` and
    `y` of each point. A report's directions and confidence are ignored: given positions are exact, while detected ones
    move towards the middle by their confidence. A bare list of sources is accepted too.

    Args:
        file: the JSON file.
        input: input whose report is read from a list of reports; a single report is valid for any input.

    Raises:
        DataError: the file is missing or not such a JSON, or has no report for the input; the message names the source
            and the point.
    """
    file = Path(file)
    value = _report_in(file, input)
    sources = value.get("sources") if isinstance(value, dict) else value
    if not isinstance(sources, list) or not sources:
        raise DataError(
            f'{file}: holds no tracks; it must have "sources", a list as in the report of binauralize', "missing"
        )
    return [_track(source, index, file) for index, source in enumerate(sources, 1)]


def read_untouched(
    file: str | os.PathLike[str], input: str | os.PathLike[str] | None = None
) -> list[tuple[float, float]]:
    """Read the intervals, (from, to) in seconds, that a file of tracks leaves unchanged: its list "untouched".

    Raises:
        DataError: as in `read_tracks`, or an interval is invalid.
    """
    value = _report_in(Path(file), input)
    stretches = value.get("untouched", []) if isinstance(value, dict) else []
    try:
        found = [(float(begin), float(end)) for begin, end in stretches]
    except (TypeError, ValueError):
        raise DataError(f'{file}: "untouched" must be a list of [from, to] in seconds') from None
    if not all(math.isfinite(begin) and math.isfinite(end) and begin < end for begin, end in found):
        raise DataError(f'{file}: each stretch in "untouched" must begin before it ends')
    return found


def read_rest_gain_db(file: str | os.PathLike[str], input: str | os.PathLike[str] | None = None) -> float:
    """Read the gain in decibels of sound that belongs to no source: `gain_db` and `muted` of "rest" in a file of
    tracks.

    Raises:
        DataError: as in `read_tracks`, or the gain is invalid.
    """
    value = _report_in(Path(file), input)
    rest = value.get("rest") if isinstance(value, dict) else None
    return _gain_db(rest, "the rest", Path(file)) if isinstance(rest, dict) else 0.0


def _gain_db(source: dict[str, Any], name: str, file: Path) -> float:
    gain_db, muted = source.get("gain_db", 0.0), source.get("muted", False)
    if isinstance(gain_db, bool) or not isinstance(gain_db, int | float) or not -60 <= gain_db <= 20:
        raise DataError(f'{file}: "gain_db" of {name} must be a number from -60 to 20 decibels')
    if not isinstance(muted, bool):
        raise DataError(f'{file}: "muted" of {name} must be true or false')
    return -math.inf if muted else float(gain_db)


def _report_in(file: Path, input: str | os.PathLike[str] | None) -> Any:
    """The JSON in a file; from a list of reports, the one of the input."""
    try:
        value = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})", "unreadable") from error
    except ValueError as error:
        raise DataError(f"{file}: is not JSON ({error})", "unreadable") from error
    if (
        not isinstance(value, list)
        or not all(isinstance(each, dict) and "input" in each for each in value)
        or not value
    ):
        return value
    names = [str(each["input"]) for each in value]
    wanted = None if input is None else os.fspath(input)
    for same in (os.path.abspath, os.path.basename):
        for name, each in zip(names, value, strict=True):
            if wanted is not None and same(name) == same(wanted):
                return each
    raise DataError(f"{file}: has no report of {wanted}; it has {', '.join(names[:5])}", "unknown")


def _track(source: Any, index: int, file: Path) -> Track:
    points = source.get("track") if isinstance(source, dict) else None
    if not isinstance(points, list) or not points:
        raise DataError(f'{file}: source {index} has no "track", a list of points with time_s, x and y')
    rows = []
    for number, point in enumerate(points, 1):
        try:
            row = [float(point[name]) for name in ("time_s", "x", "y")]
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{file}: source {index}, point {number}: time_s, x and y must be numbers") from None
        if not all(math.isfinite(number) for number in row):
            raise DataError(f"{file}: source {index}, point {number}: time_s, x and y must be finite")
        if not (-1 <= row[1] <= 2 and -1 <= row[2] <= 2):
            raise DataError(f"{file}: source {index}, point {number}: x and y are parts of the picture (0 to 1)")
        rows.append(row)
    times_s, x, y = np.asarray(sorted(rows, key=lambda row: row[0])).T
    label = source.get("label")
    name = label if isinstance(label, str) and label else f"source {index}"
    return Track(name, times_s, x, y, np.ones(len(rows)), _gain_db(source, f"source {index}", file))
