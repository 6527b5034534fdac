import cv2
import numpy as np
import pytest
from pose_pictures import on_canvas
from tiers import thinned

from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import LEAST_SCORE, PeopleDetector
from hearsight.vision.pose import People, PoseNetwork


@pytest.fixture(scope="module")
def network() -> PoseNetwork:
    return PoseNetwork()


def frame(rgb: np.ndarray) -> Frame:
    return Frame(0.0, 0, rgb)


def sure(people: People) -> People:
    """Those who are believed without having been there before."""
    return people.chosen(people.score > LEAST_SCORE)


@pytest.mark.parametrize("size", thinned([(size,) for size in [(240, 480), (1080, 1920), (640, 360), (130, 170)]], 2))
def test_a_person_is_found_in_pictures_of_any_shape(network, size):
    people = sure(PeopleDetector(network).detect(frame(on_canvas(size, [(0.6, 0.6, 0.35, False)]))))
    assert len(people) == 1
    assert (people.box[0, 0] + people.box[0, 2]) / 2 == pytest.approx(0.6, abs=0.04)


def test_a_mirrored_clip_shows_exactly_the_mirrored_people(network):
    picture = on_canvas((250, 500), [(0.3, 0.6, 0.7, False), (0.75, 0.6, 0.5, True)])
    seen = sure(PeopleDetector(network).detect(frame(picture)))
    mirrored = sure(PeopleDetector(network).detect(frame(np.ascontiguousarray(picture[:, ::-1]))))
    assert len(seen) == 2
    np.testing.assert_allclose(mirrored.box, seen.mirrored().box, atol=1e-6)
    np.testing.assert_allclose(mirrored.keypoints, seen.mirrored().keypoints, atol=1e-6)


def test_small_people_are_found_in_tiles(network):
    picture = on_canvas((480, 960), [(0.75, 0.6, 0.08, False)])
    detector = PeopleDetector(network)
    assert len(sure(detector.detect(frame(picture)))) == 0
    (box,) = sure(detector.detect(frame(picture), in_tiles=True)).box
    np.testing.assert_allclose([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], [0.75, 0.6], atol=0.02)


class Counting:
    """Gives one large person, and counts how often it is asked."""

    asked = 0

    def __call__(self, rgb: np.ndarray) -> People:
        self.asked += 1
        box = np.array([[0.3, 0.2, 0.6, 0.9]])
        return People(np.array([0.5]), box, np.zeros((1, 17, 2)), np.zeros((1, 17)))


def test_tiles_are_not_searched_beside_large_people():
    network = Counting()
    found = PeopleDetector(network).detect(frame(np.zeros((90, 160, 3), np.uint8)), in_tiles=True)
    assert (network.asked, len(found)) == (1, 1)


def test_a_picture_that_stays_is_searched_once_and_one_that_changes_again():
    network = Counting()
    detector = PeopleDetector(network)
    picture = np.random.default_rng(0).integers(0, 250, (90, 160, 3)).astype(np.uint8)
    first = detector.detect(Frame(0.0, 0, picture))
    for time_s, number, rgb in [(1.0, 0, picture), (2.0, 1, picture + 1)]:
        again = detector.detect(Frame(time_s, number, rgb))
        np.testing.assert_array_equal(again.box, first.box)
    assert network.asked == 1
    detector.detect(Frame(3.0, 2, picture[::-1]))
    assert network.asked == 2
    detector.detect(Frame(4.0, 2, picture[::-1]), in_tiles=True)  # large people: no tiles, but it had to be asked
    assert network.asked == 3
    detector.detect(Frame(5.0, 2, picture[::-1]), in_tiles=True)
    assert network.asked == 3


def test_nobody_is_found_in_a_picture_without_people(network):
    noise = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (240, 426, 3)).astype(np.uint8), (0, 0), 4)
    assert len(sure(PeopleDetector(network).detect(frame(noise), in_tiles=True))) == 0
