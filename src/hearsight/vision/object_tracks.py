"""Visible objects that may sound, tracked through a clip: their position, class and motion."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.motion_energy import MotionEnergy
from hearsight.vision.peaks import Peak, find_peaks
from hearsight.vision.track_memory import Tracked, TrackMemory, carried, mean_within, plausible, step

MOST_OBJECTS = 6
_EVIDENCE_S = 1.0  # averaging time of evidence at a place
_SHARES_S = 4.0  # averaging time of an object's shares
_PLACE_S = 0.7  # averaging time of an object's position
_BORN, _LOST = 0.12, 0.06  # evidence at which an object begins, and below which it is lost
_MOST_ELAPSED_S = 0.5  # largest weight of a detection in averages, however long ago the previous one was
_SURE = 0.5  # evidence below which an object is doubtful
_DOUBT_S = 12.0  # age of an object from which doubt is no news: more detections would not settle it
_NEWS_STRENGTH, _NEWS_PLACE = 0.1, 0.03  # changes of a sure object's evidence and position that are news
_RISES_S, _FADES_S = 0.7, 1.5  # duration of a full rise and fall of the strength
_REACH = 0.06  # possible jump of an object, in fractions of the picture's width, in addition to half its width
_FAVOUR = 1.3  # factor for objects that are already among the strongest
_REGION = (0.06, 0.2, 0.1)  # smallest half width, height above and height below of the region of an object's motion


@dataclass(frozen=True)
class ObjectTrack:
    """Visible object at given times.

    Attributes:
        number: number of the object, from 1.
        label: the most similar class, by ImageNet's name.
        x, y: its centre in the picture, 0 to 1; outside that range if the camera has turned away from it. `[times]`
        width: width of the part with evidence, or of a person and the held object, in fractions of the picture's width.
            `[times]`
        evidence: evidence for each of `IMAGENET_INSTRUMENTS`, smoothed; the sum is the detector's confidence that it is
            an instrument. `[times, 22]`
        strength: the same sum, but rising and falling smoothly where the object appears and disappears; 0 where it is
            absent. `[times]`
        motion: motion at and around it, beyond the camera's, from 0 to 1: 0.5 is the average of the whole picture over
            the last 10 s, 0.9 is nine times as much. It keeps its value while the picture is frozen. `[times]`
        is_person: whether it is a person, with the evidence at the hands.
        height: height in fractions of the picture's height; None if only the width is known. `[times]`
    """

    number: int
    label: str
    x: Float[np.ndarray, "times"]
    y: Float[np.ndarray, "times"]
    width: Float[np.ndarray, "times"]
    evidence: Float[np.ndarray, "times seen"]
    strength: Float[np.ndarray, "times"]
    motion: Float[np.ndarray, "times"]
    is_person: bool = False
    height: Float[np.ndarray, "times"] | None = None

    @property
    def place(self) -> Float[np.ndarray, "times 4"]:
        """x, y, width and height; the height is NaN if unknown."""
        height = np.full(len(self.y), np.nan) if self.height is None else self.height
        return np.stack([self.x, self.y, self.width, height], axis=-1)


class ObjectTracks(TrackMemory["_Known"]):
    """Tracks the objects in a clip from detection to detection.

    Evidence is averaged at each place over about a second, moved with the camera, and its peaks are matched to known
    objects by position. An object appears within 0.7 s (at once in the first picture of a clip or scene) and fades
    within 1.5 s after it was last seen; the six strongest are reported. The memory covers two minutes, so that it does
    not grow.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun_s: float | None = None
        self._weighted: Float[np.ndarray, "rows columns seen"] | None = None
        self._weight: Float[np.ndarray, "rows columns 1"] | None = None
        self._camera = np.eye(3)

    def move(self, time_s: float, energy: MotionEnergy) -> None:
        """Apply the motion measured since the last call; to be called before `update`."""
        super().move(time_s, energy)
        self._camera = np.eye(3) if energy.is_cut else plausible(energy.camera) @ self._camera
        if energy.is_cut:
            self._weighted = self._weight = None

    def update(self, time_s: float, evidence_map: EvidenceMap) -> bool:
        """Process the evidence at this time; times must increase from call to call.

        A detection counts for half a second at most. Detections may therefore be less frequent while nothing changes:
        averages still cover the same number of them.

        Returns:
            whether another detection is worthwhile soon: an object begins, rises, fades, moves, changes in strength, or
                is doubtful (evidence below 0.5) and was first seen less than 12 s ago.
        """
        elapsed = min(_MOST_ELAPSED_S, time_s - self._detected_s) if self._detected_s is not None else 0.0
        is_first = self._detected_s is None
        begins_s = -np.inf if self._begun_s is None else time_s - elapsed
        self._begun_s = time_s if self._begun_s is None else self._begun_s
        self._now_s, self._detected_s = time_s, time_s
        evidence = self._averaged(evidence_map, elapsed)
        peaks = find_peaks(EvidenceMap(evidence, evidence_map.x, evidence_map.y), _LOST)
        waiting = list(self._known)
        is_news = False
        for peak in peaks:
            known = _nearest(peak, waiting)
            if known is not None:
                waiting.remove(known)
                is_news |= known.is_changed(peak)
                known.see(peak, elapsed)
            elif peak.strength >= _BORN:
                is_news = True
                self._known.append(_Known(self._number(), peak, begins_s, time_s))
        for known in waiting:
            known.miss(elapsed)
        entry = sorted(self._known, key=lambda known: -known.strength * (_FAVOUR if known.presence > 0 else 1.0))
        for rank, known in enumerate(entry):
            known.appear(known.is_seen and rank < MOST_OBJECTS, elapsed, is_first)
            known.record(time_s)
            is_doubt = known.strength < _SURE and time_s - known.first_s < _DOUBT_S
            is_news |= known.presence > 0 and (known.presence < 1 or is_doubt or not known.is_seen)
        self._forget(time_s)
        return is_news

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """Objects present at any of these times; after the latest update they keep their state.

        At most six are present at any time, except for fading ones.
        """
        tracks = []
        for known in [*self._gone, *self._known]:
            track = known.at(np.asarray(times_s, np.float64))
            if track.strength.max(initial=0.0) > 0:
                tracks.append(track)
        return sorted(tracks, key=lambda track: track.number)

    def _averaged(self, evidence_map: EvidenceMap, elapsed: float) -> Float[np.ndarray, "rows columns seen"]:
        share = step(elapsed, _EVIDENCE_S)
        same = self._weighted is not None and self._weighted.shape == evidence_map.evidence.shape
        if not same or self._weighted is None or self._weight is None:
            self._weighted = evidence_map.evidence.astype(np.float32)
            self._weight = np.ones((*evidence_map.evidence.shape[:2], 1), np.float32)
        else:
            before = np.concatenate([self._weighted, self._weight], -1)
            before = _grid_carried(before, self._camera, evidence_map) * (1 - share)
            self._weighted = before[..., :-1] + share * evidence_map.evidence
            self._weight = before[..., -1:] + share
        self._camera = np.eye(3)
        return np.asarray(self._weighted / np.maximum(self._weight, 1e-6), np.float32)


@dataclass(frozen=True)
class _Point:
    time_s: float
    x: float
    y: float
    width: float
    height: float
    strength: float
    motion: float
    evidence: Float[np.ndarray, "seen"]


class _Known(Tracked[_Point]):
    """Current state of an object, and its history.

    `begins_s` is the time of the detection before the one that found it, at `first_s`; in between its strength rises.
    """

    def __init__(self, number: int, peak: Peak, begins_s: float, first_s: float) -> None:
        super().__init__(number)
        self.begins_s, self.first_s = begins_s, first_s
        self.x, self.y, self.width, self.height = peak.x, peak.y, peak.width, peak.height
        self.strength = peak.strength
        self.shares = peak.shares.copy()
        self.is_seen = True
        self._age = 0.0
        if np.isfinite(begins_s):
            self.record(begins_s)

    @property
    def is_over(self) -> bool:
        return not self.is_seen and self.presence <= 0

    def is_changed(self, peak: Peak) -> bool:
        """Whether a matching peak differs in position or strength."""
        is_elsewhere = float(np.hypot(peak.x - self.x, peak.y - self.y)) > _NEWS_PLACE
        return is_elsewhere or abs(peak.strength - self.strength) > _NEWS_STRENGTH

    def see(self, peak: Peak, elapsed: float) -> None:
        self._age += elapsed
        share = step(elapsed, _PLACE_S)
        self.x += (peak.x - self.x) * share
        self.y += (peak.y - self.y) * share
        self.width += (peak.width - self.width) * share
        self.height += (peak.height - self.height) * share
        self.strength = peak.strength
        self.shares += (peak.shares - self.shares) * step(elapsed, min(_SHARES_S, self._age))
        self.is_seen = True

    def miss(self, elapsed: float) -> None:
        self.strength *= 1 - step(elapsed, _EVIDENCE_S)
        self.is_seen = False

    def carry(self, camera: Float[np.ndarray, "3 3"]) -> None:
        self.x, self.y = (float(value) for value in carried(camera, np.array([[self.x, self.y]]))[0])

    def lose(self) -> None:
        self.is_seen = False

    def energy_around(self, level: Float[np.ndarray, "rows columns"]) -> float:
        """Mean motion in the region of a player's hands, head and arms."""
        half = max(_REGION[0], self.width / 2)
        above, below = max(_REGION[1], self.height / 2), max(_REGION[2], self.height / 2)
        return mean_within(level, self.x - half, self.y - above, self.x + half, self.y + below)

    def appear(self, rises: bool, elapsed: float, at_once: bool) -> None:
        if at_once:
            self.presence = float(rises)
        else:
            change = elapsed / _RISES_S if rises else -elapsed / _FADES_S
            self.presence = min(1.0, max(0.0, self.presence + change))

    def now(self, time_s: float) -> _Point:
        evidence = (self.shares * self.strength).astype(np.float32)
        strength = self.strength * self.presence
        return _Point(time_s, self.x, self.y, self.width, self.height, strength, self.motion, evidence)

    def at(self, times_s: Float[np.ndarray, "times"]) -> ObjectTrack:
        values = self.interpolated(times_s, lambda p: (p.x, p.y, p.width, p.height, p.strength, p.motion, *p.evidence))
        x, y, width, height, strength, motion = values[:, :6].T
        strength = np.where(times_s < self.begins_s, 0.0, strength)
        label = IMAGENET_INSTRUMENTS[int(np.argmax(self.shares))]
        return ObjectTrack(self.number, label, x, y, width, values[:, 6:], strength, motion, height=height)


def _nearest(peak: Peak, waiting: list[_Known]) -> _Known | None:
    """Known object that a peak continues: the nearest within reach, with similar classes counting as nearer."""
    best, found = 1.0, None
    for known in waiting:
        reach_x = _REACH + max(peak.width, known.width) / 2
        reach_y = 2 * _REACH + max(peak.height, known.height) / 2
        place = float(np.hypot((peak.x - known.x) / reach_x, (peak.y - known.y) / reach_y))
        likeness = float(np.minimum(peak.shares, known.shares).sum())
        distance = place * (1.2 - 0.4 * likeness)
        if distance < best:
            best, found = distance, known
    return found


def _grid_carried(
    values: Float[np.ndarray, "rows columns channels"], camera: Float[np.ndarray, "3 3"], evidence_map: EvidenceMap
) -> Float[np.ndarray, "rows columns channels"]:
    """Values on the grid after a camera motion; 0 in parts that were not visible before."""
    if np.array_equal(camera, np.eye(3)):
        return values
    rows, columns = values.shape[:2]
    places = (
        np.stack(np.broadcast_arrays(evidence_map.x[None], evidence_map.y[:, None], 1.0), -1) @ np.linalg.inv(camera).T
    )
    column = (places[..., 0] / places[..., 2] - evidence_map.x[0]) / (evidence_map.x[1] - evidence_map.x[0])
    row = (places[..., 1] / places[..., 2] - evidence_map.y[0]) / (evidence_map.y[1] - evidence_map.y[0])
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    column, row = np.clip(column + 1, 0, columns + 0.999), np.clip(row + 1, 0, rows + 0.999)
    left, top = column.astype(int), row.astype(int)
    a, b = (column - left)[..., None], (row - top)[..., None]
    upper = padded[top, left] * (1 - a) + padded[top, left + 1] * a
    lower = padded[top + 1, left] * (1 - a) + padded[top + 1, left + 1] * a
    return np.asarray(upper * (1 - b) + lower * b, np.float32)
