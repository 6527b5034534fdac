"""People tracked through a clip: position, instrument evidence at the hands, and motion."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.mouth_motion import Face
from hearsight.vision.people_detector import LEAST_SCORE
from hearsight.vision.pose import KEYPOINTS, People
from hearsight.vision.track_memory import Tracked, TrackMemory, carried, mean_within, step

MOST_PEOPLE = 12  # largest number of people tracked at once
_REACH = 0.05  # possible jump of a person, in fractions of the picture's width, in addition to half the box
_PLACE_S = 0.5  # averaging time of positions
_EVIDENCE_S = 4.0  # averaging time of the evidence at the hands
_RISES_S, _FADES_S = 0.5, 1.5  # duration of a full rise and fall of the presence
_HIDDEN_S = 2.0  # time for which an undetected person is kept
_WIDE, _TALL = 0.7, 0.4  # standard deviation of the weight of evidence around the hands, in fractions of the box
_LEAST_WIDE, _LEAST_TALL = 0.03, 0.1  # the same at least, in fractions of the picture
_SEEN_KEYPOINT = 0.2  # smallest score of a visible keypoint
_FARTHEST = 0.1  # smallest weight of counted evidence
_NEWS = 0.04  # motion of a person that is news, in fractions of the picture's width
_HEAD = [KEYPOINTS.index(name) for name in ("nose", "left eye", "right eye", "left ear", "right ear")]
_NOSE, _EYES = KEYPOINTS.index("nose"), [KEYPOINTS.index(name) for name in ("left eye", "right eye")]
_EARS = [KEYPOINTS.index(name) for name in ("left ear", "right ear")]
_MOUTH_BELOW = 1.25  # distance of the mouth below the eyes, relative to the distance between the eyes
_MOUTH_WIDE, _MOUTH_TALL = 1.2, 0.9  # size of the region of a mouth's motion, relative to the same distance
_WRISTS = [KEYPOINTS.index(name) for name in ("left wrist", "right wrist")]


@dataclass(frozen=True)
class PersonTrack:
    """Person at given times; positions are fractions of the picture's width and height.

    Attributes:
        number: number of the person, from 1.
        box: left, top, right, bottom. `[times, 4]`
        head: x and y. `[times, 2]`
        hands: x and y of the midpoint between the wrists. `[times, 2]`
        evidence: evidence for each of `IMAGENET_INSTRUMENTS` around the hands, smoothed. `[times, 22]`
        strength: score, rising and falling smoothly where the person appears and disappears. `[times]`
        presence: the same rise and fall from 0 to 1. `[times]`
        motion: motion within the box, as in `ObjectTrack`. `[times]`
    """

    number: int
    box: Float[np.ndarray, "times 4"]
    head: Float[np.ndarray, "times 2"]
    hands: Float[np.ndarray, "times 2"]
    evidence: Float[np.ndarray, "times seen"]
    strength: Float[np.ndarray, "times"]
    presence: Float[np.ndarray, "times"]
    motion: Float[np.ndarray, "times"]

    @property
    def x(self) -> Float[np.ndarray, "times"]:
        """x of the box's centre."""
        return np.asarray((self.box[:, 0] + self.box[:, 2]) / 2)

    @property
    def y(self) -> Float[np.ndarray, "times"]:
        """y of the box's centre."""
        return np.asarray((self.box[:, 1] + self.box[:, 3]) / 2)

    @property
    def width(self) -> Float[np.ndarray, "times"]:
        """Width of the box."""
        return np.asarray(self.box[:, 2] - self.box[:, 0])


class PeopleTracks(TrackMemory["_Known"]):
    """Tracks people from detection to detection.

    Boxes are moved with the camera and matched to the detections by position, all at once (the assignment with the
    smallest distance). A person appears within half a second (at once in a scene's first picture), is kept for 2 s
    while hidden, and then fades within 1.5 s.
    """

    def update(self, time_s: float, people: People, seen: EvidenceMap | None = None, aspect: float = 16 / 9) -> bool:
        """Process the people detected at this time; times must increase from call to call.

        Args:
            time_s: time of the picture.
            people: people in the picture.
            seen: evidence of instruments in the picture, if it was analysed.
            aspect: width of the picture over its height.

        Returns:
            whether another detection is worthwhile soon: a person appears, disappears, is hidden or moves.
        """
        is_first = self._detected_s is None
        elapsed = 0.0 if self._detected_s is None else time_s - self._detected_s
        self._now_s = self._detected_s = time_s
        found = [_places(people, index, aspect) for index in range(len(people))]
        pairs = _assigned(self._known, found)
        is_news = False
        for known, index in pairs:
            is_news |= known.see(found[index], float(people.score[index]), elapsed)
        matched = {index for _, index in pairs}
        for known in self._known:
            if not any(known is other for other, _ in pairs):
                known.miss(elapsed)
                is_news = True
        for index, place in enumerate(found):
            if index not in matched and people.score[index] > LEAST_SCORE and len(self._known) < MOST_PEOPLE:
                self._known.append(_Known(self._number(), place, float(people.score[index])))
                is_news = True
        for known in self._known:
            known.appear(elapsed, is_first)
        if seen is not None:
            self._weigh_evidence(seen, elapsed)
        for known in self._known:
            is_news |= 0 < known.presence < 1
            known.record(time_s)
        self._forget(time_s)
        return is_news

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[PersonTrack]:
        """People present at any of these times; after the latest update they keep their state."""
        tracks = [known.at(np.asarray(times_s, np.float64)) for known in [*self._gone, *self._known]]
        return sorted((track for track in tracks if track.presence.max(initial=0) > 0), key=lambda track: track.number)

    def faces(self) -> list[Face]:
        """Mouths of the people whose eyes and nose are visible now."""
        return [
            Face(known.number, *known.places[4].tolist(), *known.places[5].tolist())
            for known in self._known
            if known.hidden_s == 0 and np.isfinite(known.places[5]).all()
        ]

    def _weigh_evidence(self, seen: EvidenceMap, elapsed: float) -> None:
        if not self._known:
            return
        at = np.array([known.places[3] for known in self._known])
        size = np.array([known.places[1] - known.places[0] for known in self._known])
        reach = np.maximum(size * (_WIDE, _TALL), (_LEAST_WIDE, _LEAST_TALL))
        for known, evidence in zip(self._known, evidence_around(seen, at, reach), strict=True):
            known.holds(evidence, elapsed)


def evidence_around(
    seen: EvidenceMap, at: Float[np.ndarray, "places 2"], reach: Float[np.ndarray, "places 2"]
) -> Float[np.ndarray, "places seen"]:
    """Evidence around places, weighted by itself, so that empty surroundings do not count.

    Args:
        seen: evidence of a picture.
        at: x and y of the places.
        reach: standard deviations of Gaussian weights around them; evidence counts for the place that is nearest in
            units of these.
    """
    across = (seen.x[None, None] - at[:, :1, None]) / reach[:, :1, None]
    down = (seen.y[None, :, None] - at[:, 1:, None]) / reach[:, 1:, None]
    weight = np.exp(-0.5 * (across**2 + down**2))
    weight[weight < _FARTHEST] = 0
    nearest = np.abs(across) <= np.abs(across).min(0, keepdims=True) + 1e-9
    score = weight * nearest * seen.evidence.sum(-1)[None]
    total = score.sum((1, 2))
    mean = np.einsum("trc,rck->tk", score, seen.evidence)
    return np.asarray(mean / np.maximum(total, 1e-9)[:, None])


@dataclass(frozen=True)
class _Point:
    time_s: float
    places: Float[np.ndarray, "6 2"]
    score: float
    presence: float
    motion: float
    evidence: Float[np.ndarray, "seen"]


class _Known(Tracked[_Point]):
    """Current state of a person, and its history.

    `places`: upper left and lower right of the box, head, hands, mouth, and the size of the mouth's region; the last
    two are NaN if no face is visible.
    """

    def __init__(self, number: int, places: Float[np.ndarray, "6 2"], score: float) -> None:
        super().__init__(number)
        self.places, self.score = places, score
        self.evidence: Float[np.ndarray, "seen"] = np.zeros(len(IMAGENET_INSTRUMENTS))
        self.hidden_s = self.observed_s = 0.0

    @property
    def is_over(self) -> bool:
        return self.hidden_s > 0 and self.presence <= 0

    @property
    def middle(self) -> Float[np.ndarray, "2"]:
        return np.asarray((self.places[0] + self.places[1]) / 2)

    def carry(self, camera: Float[np.ndarray, "3 3"]) -> None:
        self.places = np.concatenate([carried(camera, self.places[:5]), self.places[5:]])

    def lose(self) -> None:
        self.hidden_s = _HIDDEN_S

    def energy_around(self, level: Float[np.ndarray, "rows columns"]) -> float:
        left, top, right, bottom = (float(side) for side in self.places[:2].ravel())
        return mean_within(level, left, top, right, bottom, least=1)

    def see(self, places: Float[np.ndarray, "6 2"], score: float, elapsed: float) -> bool:
        before = self.middle
        self.places = np.concatenate(
            [self.places[:4] + (places[:4] - self.places[:4]) * step(elapsed, _PLACE_S), places[4:]]
        )
        self.score += (score - self.score) * step(elapsed, _PLACE_S)
        is_back = self.hidden_s > 0
        self.hidden_s = 0.0
        return is_back or abs(float((places[0, 0] + places[1, 0]) / 2 - before[0])) > _NEWS

    def miss(self, elapsed: float) -> None:
        self.hidden_s += elapsed

    def appear(self, elapsed: float, at_once: bool) -> None:
        if at_once:
            self.presence = 1.0
        elif self.hidden_s == 0:
            self.presence = min(1.0, self.presence + elapsed / _RISES_S)
        elif self.hidden_s > _HIDDEN_S:
            self.presence = max(0.0, self.presence - elapsed / _FADES_S)

    def holds(self, evidence: Float[np.ndarray, "seen"], elapsed: float) -> None:
        if self.hidden_s > 0:
            return
        self.observed_s += elapsed
        share = step(elapsed, min(_EVIDENCE_S, self.observed_s))
        self.evidence = self.evidence + (evidence - self.evidence) * share

    def now(self, time_s: float) -> _Point:
        return _Point(time_s, self.places, self.score, self.presence, self.motion, self.evidence)

    def at(self, times_s: Float[np.ndarray, "times"]) -> PersonTrack:
        entry = self.interpolated(
            times_s, lambda p: (*p.places[:4].ravel(), p.score, p.presence, p.motion, *p.evidence)
        )
        presence = np.where(times_s < self.points[0].time_s - 1e-6, 0.0, entry[:, 9])
        return PersonTrack(
            self.number, entry[:, :4], entry[:, 4:6], entry[:, 6:8], entry[:, 11:], entry[:, 8] * presence, presence,
            entry[:, 10],
        )  # fmt: skip


def _places(people: People, index: int, aspect: float) -> Float[np.ndarray, "6 2"]:
    """Places of a person as in `_Known`, in a picture `aspect` times as wide as high.

    Without a visible face the head is near the box's upper end; without a visible wrist the hands are at the box's
    centre.
    """
    box, points, scores = people.box[index], people.keypoints[index], people.keypoint_score[index]
    middle, head = (box[:2] + box[2:]) / 2, np.array([(box[0] + box[2]) / 2, 0.85 * box[1] + 0.15 * box[3]])
    faces = [number for number in _HEAD if scores[number] > _SEEN_KEYPOINT]
    wrists = [number for number in _WRISTS if scores[number] > _SEEN_KEYPOINT]
    mouth = size = np.full(2, np.nan)
    if scores[[_NOSE, *_EYES]].min() > _SEEN_KEYPOINT:
        apart = abs(np.diff(points[_EYES][:, 0])[0])
        if scores[_EARS].min() > _SEEN_KEYPOINT:
            apart = (apart + abs(np.diff(points[_EARS][:, 0])[0]) / 2) / 2
        mouth = points[_EYES].mean(0) + (0, _MOUTH_BELOW * apart * aspect)
        size = np.array([_MOUTH_WIDE * apart, _MOUTH_TALL * apart * aspect])
    return np.stack(
        [
            box[:2],
            box[2:],
            points[faces].mean(0) if faces else head,
            points[wrists].mean(0) if wrists else middle,
            mouth,
            size,
        ]
    ).astype(np.float64)


def _assigned(known: "list[_Known]", found: list[Float[np.ndarray, "6 2"]]) -> "list[tuple[_Known, int]]":
    """Match known people to detections: pairs within reach, with the smallest total distance."""
    if not known or not found:
        return []
    distance = np.empty((len(known), len(found)))
    for row, one in enumerate(known):
        for column, places in enumerate(found):
            width = max(float((places[1] - places[0])[0]), float((one.places[1] - one.places[0])[0]))
            height = max(float((places[1] - places[0])[1]), float((one.places[1] - one.places[0])[1]))
            apart = (places[0] + places[1]) / 2 - one.middle
            distance[row, column] = np.hypot(apart[0] / (_REACH + width / 2), apart[1] / (_REACH + height / 2))
    rows, columns = linear_sum_assignment(np.minimum(distance, 1e3))
    return [(known[row], int(column)) for row, column in zip(rows, columns, strict=True) if distance[row, column] < 1]
