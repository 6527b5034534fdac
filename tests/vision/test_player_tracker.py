"""People and instruments together, seen by stand-ins for the networks."""

import numpy as np
from test_people_tracks import evidence, people

from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector
from hearsight.vision.object_tracks import ObjectTrack
from hearsight.vision.people_detector import PeopleDetector
from hearsight.vision.player_tracker import PlayerTracker
from hearsight.vision.pose import People


class SeenInstruments(InstrumentDetector):
    def __init__(self, seen: EvidenceMap) -> None:
        self._seen_always, self.detected_s = seen, list[float]()

    def forget(self) -> None:
        pass

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        self.detected_s.append(frame.time_s)
        return self._seen_always


class SeenPeople(PeopleDetector):
    def __init__(self, seen: People) -> None:
        self._seen_always, self.detected_s = seen, list[float]()

    def forget(self) -> None:
        pass

    def detect(self, frame: Frame, in_tiles: bool = False) -> People:
        self.detected_s.append(frame.time_s)
        return self._seen_always


def tracked(instruments: EvidenceMap, detector: SeenPeople, seconds: float = 6.0) -> list[ObjectTrack]:
    picture = np.random.default_rng(0).integers(90, 110, (72, 128, 3)).astype(np.uint8)
    tracker = PlayerTracker(SeenInstruments(instruments), detector)
    for step in range(round(4 * seconds)):
        tracker.update(Frame(step / 4, step, picture))
    return tracker.at(np.arange(0, seconds, 0.5))


def test_a_held_instrument_is_the_persons_and_an_idle_one_stands_for_itself():
    tracks = tracked(evidence(cello=0.32, harp=0.8), SeenPeople(people(0.3)))
    idle, player = tracks
    assert (idle.label, idle.is_person) == ("harp", False)
    assert player.is_person and player.label == "cello"
    assert 0.3 < player.x.mean() < 0.32
    assert player.strength.min() == 1


def test_a_person_without_an_instrument_stands_at_the_person():
    (player,) = tracked(evidence(), SeenPeople(people(0.7)))
    assert player.is_person and player.label == "person"
    np.testing.assert_allclose(player.x, 0.7, atol=1e-6)
    assert player.evidence.sum() == 0


def test_people_who_stand_still_are_searched_for_once_a_second():
    detector = SeenPeople(people(0.4))
    tracked(evidence(), detector, 6.0)
    assert np.diff(detector.detected_s)[2:].min() >= 1.0
    assert detector.detected_s[0] == 0


def test_where_nobody_is_people_are_searched_for_every_two_seconds_in_the_end():
    nobody = people(0.4).chosen([])
    detector = SeenPeople(nobody)
    tracked(evidence(), detector, 24.0)
    early, late = ([s for s in detector.detected_s if (s < 12) == is_early] for is_early in (True, False))
    assert np.diff(early).max() == 1.0
    assert np.diff(late).min() == 2.0


def test_a_player_is_as_wide_as_the_person_with_what_is_held():
    (alone,) = tracked(evidence(), SeenPeople(people(0.3)))
    (player,) = tracked(evidence(cello=0.38), SeenPeople(people(0.3)))
    (instrument,) = tracked(evidence(cello=0.38), SeenPeople(people()))
    x, _, width, height = player.place[-1]
    for one in (alone, instrument):  # both lie within it, from side to side
        assert x - width / 2 <= one.x[-1] - one.width[-1] / 2 + 1e-6
        assert x + width / 2 >= one.x[-1] + one.width[-1] / 2 - 1e-6
    assert alone.width[-1] < width < alone.width[-1] + 2 * instrument.width[-1] and height == alone.place[-1, 3]
    assert np.isfinite(instrument.place[:, 2:]).all() and (instrument.place[:, 2:] > 0).all()
