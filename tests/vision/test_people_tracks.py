import numpy as np
import pytest

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.motion import GRID
from hearsight.vision.motion_energy import MotionEnergy
from hearsight.vision.people_tracks import PeopleTracks, evidence_around
from hearsight.vision.pose import KEYPOINTS, People

WRISTS = [KEYPOINTS.index("left wrist"), KEYPOINTS.index("right wrist")]


def people(*places: float, y: float = 0.5) -> People:
    """People a tenth of the picture wide and half as high as it, with wrists a little below the middle."""
    count = len(places)
    x = np.array(places)
    box = np.stack([x - 0.05, np.full(count, y - 0.25), x + 0.05, np.full(count, y + 0.25)], -1).reshape(count, 4)
    keypoints = np.repeat(np.stack([x, np.full(count, y - 0.2)], -1)[:, None], 17, 1).reshape(count, 17, 2)
    keypoints[:, WRISTS, 1] = y + 0.05
    return People(np.full(count, 0.6), box, keypoints, np.full((count, 17), 0.9))


def motion(camera: np.ndarray | None = None, is_cut: bool = False, level: np.ndarray | None = None) -> MotionEnergy:
    level = np.zeros(GRID, np.float32) if level is None else level
    return MotionEnergy(level, np.eye(3) if camera is None else camera, is_cut)


def followed(found: list[People], step_s: float = 0.5, camera: np.ndarray | None = None) -> PeopleTracks:
    tracks = PeopleTracks()
    for index, now in enumerate(found):
        tracks.move(index * step_s, motion(camera if index else None))
        tracks.update(index * step_s, now)
    return tracks


def test_two_people_who_stand_still_stay_two():
    tracks = followed([people(0.2, 0.7), people(0.71, 0.2), people(0.2, 0.7)])
    one, other = tracks.at(np.array([0.0, 0.5, 1.0]))
    assert (one.number, other.number) == (1, 2)
    np.testing.assert_allclose(one.x, 0.2, atol=1e-6)
    np.testing.assert_allclose(other.x, 0.7, atol=0.01)
    np.testing.assert_allclose(one.presence, 1.0)


def test_who_walks_keeps_the_number_and_lags_little():
    walk = np.arange(0.1, 0.9, 0.03)
    (track,) = followed([people(x) for x in walk]).at(np.arange(len(walk)) * 0.5)
    assert np.abs(track.x[2:] - walk[2:]).max() < 0.03


def test_who_is_hidden_for_a_second_is_the_same_person_and_does_not_fade():
    tracks = followed([people(0.4), people(0.4), people(), people(), people(0.42)])
    (track,) = tracks.at(np.arange(0, 2.1, 0.25))
    assert track.number == 1
    np.testing.assert_allclose(track.presence, 1.0)


def test_who_leaves_fades_and_who_enters_rises():
    tracks = followed([people(0.4)] * 2 + [people()] * 12 + [people(0.4)] * 3)
    first, second = tracks.at(np.arange(0, 8.5, 0.5))
    assert first.presence[:6].min() == 1 and first.presence[12:].max() == 0
    assert second.presence[:13].max() == 0 and second.presence[-1] == 1
    assert (np.diff(first.presence) <= 0).all()


def test_boxes_move_with_the_camera_between_detections():
    tracks = PeopleTracks()
    tracks.move(0.0, motion())
    tracks.update(0.0, people(0.5))
    turned = np.eye(3)
    turned[0, 2] = -0.02
    for step in range(1, 5):
        tracks.move(0.25 * step, motion(turned))
    (track,) = tracks.at(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(track.x, [0.5, 0.46, 0.42], atol=1e-6)


def test_a_cut_ends_everybody_at_once():
    tracks = followed([people(0.3), people(0.3)])
    tracks.move(1.0, motion(is_cut=True))
    tracks.update(1.0, people(0.8))
    before, after = tracks.at(np.array([0.9, 1.0, 1.1]))
    np.testing.assert_allclose(before.presence, [1, 0, 0])
    np.testing.assert_allclose(after.presence, [0, 1, 1])


def test_motion_is_that_within_the_box():
    level = np.zeros(GRID, np.float32)
    level[:, : GRID[1] // 2] = 5.0
    tracks = PeopleTracks()
    for step in range(4):
        tracks.move(0.25 * step, motion(level=level))
        tracks.update(0.25 * step, people(0.2, 0.8))
    moving, still = tracks.at(np.array([0.75]))
    assert moving.motion[0] > 0.6
    assert still.motion[0] == 0


def test_news_are_said_while_somebody_moves_and_not_while_all_stand():
    tracks = PeopleTracks()
    assert tracks.update(0.0, people(0.3))
    assert not tracks.update(0.5, people(0.3))
    assert tracks.update(1.0, people(0.38))
    assert tracks.update(1.5, people())


def test_what_is_near_the_hands_is_held_and_what_is_far_is_not():
    seen = evidence(cello=0.31, harp=0.72)
    tracks = PeopleTracks()
    tracks.update(0.0, people(0.3, 0.55), seen)
    (holding, empty) = tracks.at(np.array([0.0]))
    assert IMAGENET_INSTRUMENTS[int(np.argmax(holding.evidence[0]))] == "cello"
    assert holding.evidence[0].sum() > 0.5
    assert empty.evidence[0].sum() < 0.5


def test_evidence_between_two_people_is_the_nearer_ones():
    seen = evidence(cello=0.4)
    at, reach = np.array([[0.3, 0.5], [0.6, 0.5]]), np.full((2, 2), 0.2)
    near, far = evidence_around(seen, at, reach).sum(-1)
    assert near > 0.5 and far == pytest.approx(0, abs=1e-6)


def evidence(**places: float) -> EvidenceMap:
    """A map in which instruments are seen in the middle of the height at these parts of the width."""
    x, y = np.linspace(0, 1, 26), np.linspace(0, 1, 15)
    found = np.zeros((15, 26, len(IMAGENET_INSTRUMENTS)), np.float32)
    for name, place in places.items():
        found[7, int(np.argmin(np.abs(x - place))), IMAGENET_INSTRUMENTS.index(name)] = 0.9
    return EvidenceMap(found, x, y)


def test_a_doubtful_person_begins_nothing_and_keeps_who_was_there():
    sure, doubtful = people(0.4), people(0.4)
    doubtful = People(np.array([0.15]), doubtful.box, doubtful.keypoints, doubtful.keypoint_score)
    assert followed([doubtful] * 6).at(np.arange(3.0)) == []
    (track,) = followed([sure] + [doubtful] * 9).at(np.arange(0, 4.6, 0.5))
    np.testing.assert_allclose(track.presence, 1.0)


def test_a_mouth_is_below_the_eyes_by_their_distance_in_pixels():
    """A face in a picture twice as wide as high: eyes 0.02 of the width apart, ears 0.04."""
    face = people(0.5)
    for name, x, y in (
        ("left eye", 0.51, 0.3),
        ("right eye", 0.49, 0.3),
        ("left ear", 0.52, 0.3),
        ("right ear", 0.48, 0.3),
    ):
        face.keypoints[0, KEYPOINTS.index(name)] = (x, y)
    tracks = PeopleTracks()
    tracks.update(0.0, face, aspect=2.0)
    (mouth,) = tracks.faces()
    assert (mouth.x, mouth.y) == pytest.approx((0.5, 0.3 + 1.25 * 0.02 * 2))
    assert (mouth.width, mouth.height) == pytest.approx((1.2 * 0.02, 0.9 * 0.02 * 2))
