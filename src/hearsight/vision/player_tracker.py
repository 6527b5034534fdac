"""Tracker of possible sources in a picture: people with their instruments, and instruments without a person nearby."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.instrument_tracker import DETECTION_INTERVAL_S, InstrumentTracker
from hearsight.vision.motion_energy import MotionEnergy
from hearsight.vision.mouth_motion import Face
from hearsight.vision.object_tracks import ObjectTrack
from hearsight.vision.people_detector import LEAST_SCORE, PeopleDetector
from hearsight.vision.people_tracks import PeopleTracks, PersonTrack

FIRST_PERSON = 1_000  # number of the first person, beyond those of instruments
_SETTLED_INTERVAL_S = 1.0
_TILES_EVERY_S = 4.0
_EMPTY_S = 12.0  # time without any person after which both intervals double
_NEAR = 0.03  # distance between a person and a held instrument, in fractions of the picture's width
_EARLY_S = 0.01


class PlayerTracker(InstrumentTracker):
    """`InstrumentTracker` with people: `at` returns people, and the instruments that are near none of them.

    People are detected twice a second while a person appears, disappears, is hidden or moves, otherwise once a second;
    small people are also searched in tiles, every 4 s. After 12 s of a scene without people, detections are every 2 s,
    and every 8 s in tiles. An instrument within reach of a person belongs to the person, whose position moves a third
    of the way to it.

    Args:
        instruments: detector of instruments; None for the published weights.
        people: detector of people; None for the published weights.
    """

    def __init__(self, instruments: InstrumentDetector | None = None, people: PeopleDetector | None = None) -> None:
        super().__init__(instruments)
        self._people_detector = people if people is not None else PeopleDetector()
        self._people_detector.forget()
        self._people = PeopleTracks()
        self._people_s = self._tiles_s = -np.inf
        self._somebody_s = 0.0  # time at which a person was last seen, or the scene began
        self._people_interval_s = DETECTION_INTERVAL_S

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """People and idle instruments present at any of these times; see `ObjectTracks.at`."""
        instruments = super().at(times_s)
        people = self._people.at(times_s)
        held: dict[int, list[ObjectTrack]] = {}
        idle = []
        for instrument in instruments:
            holder = _holder(instrument, people)
            if holder is None:
                idle.append(instrument)
            else:
                held.setdefault(holder.number, []).append(instrument)
        return idle + [_player(person, held.get(person.number, [])) for person in people]

    def faces(self) -> list[Face]:
        """Mouths visible now, with the numbers of `at`."""
        return [replace(face, number=FIRST_PERSON + face.number) for face in self._people.faces()]

    def _moved(self, frame: Frame, energy: MotionEnergy) -> None:
        super()._moved(frame, energy)
        self._people.move(frame.time_s, energy)
        if energy.is_cut:
            self._people_s = self._tiles_s = -np.inf
            self._somebody_s = frame.time_s
        if frame.time_s - self._people_s >= self._people_interval_s - _EARLY_S:
            longer = 2 if frame.time_s - self._somebody_s >= _EMPTY_S - _EARLY_S else 1
            in_tiles = frame.time_s - self._tiles_s >= longer * _TILES_EVERY_S - _EARLY_S
            self._people_s = frame.time_s
            self._tiles_s = frame.time_s if in_tiles else self._tiles_s
            found = self._people_detector.detect(frame, in_tiles)
            aspect = frame.rgb.shape[1] / frame.rgb.shape[0]
            is_news = self._people.update(frame.time_s, found, self.latest, aspect)
            self._people_interval_s = DETECTION_INTERVAL_S if is_news else longer * _SETTLED_INTERVAL_S
            if is_news or (found.score > LEAST_SCORE).any():
                self._somebody_s = frame.time_s


def _holder(instrument: ObjectTrack, people: list[PersonTrack]) -> PersonTrack | None:
    """Person that an instrument belongs to: the nearest within reach, while both are present."""
    best, found = 1.0, None
    for person in people:
        common = instrument.strength * person.presence
        if common.sum() <= 0:
            continue
        reach = (person.width + instrument.width) / 2 + _NEAR
        distance = float((np.abs(instrument.x - person.x) / reach * common).sum() / common.sum())
        if distance < best:
            best, found = distance, person
    return found


def _player(person: PersonTrack, held: list[ObjectTrack]) -> ObjectTrack:
    """A person as a track, a third of the way to the strongest held instrument, and wide enough to contain both."""
    x, half = person.x, person.width / 2
    label = "person"
    if held:
        strongest = max(held, key=lambda instrument: float(instrument.strength.mean()))
        share = np.minimum(strongest.strength / np.maximum(strongest.strength.max(), 1e-6), 1.0)
        x = x + (strongest.x - x) * share / 3
        label = strongest.label
        beside = np.abs(person.x - x) + half
        half = beside + share * np.maximum(0, np.abs(strongest.x - x) + strongest.width / 2 - beside)
    return ObjectTrack(
        FIRST_PERSON + person.number, label, x, person.y, 2 * half, person.evidence, person.presence, person.motion,
        is_person=True, height=person.box[:, 3] - person.box[:, 1],
    )  # fmt: skip
