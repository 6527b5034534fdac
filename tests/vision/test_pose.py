from pathlib import Path

import cv2
import numpy as np
import pytest
from pose_pictures import on_canvas, pose_pictures
from tiers import thinned

from hearsight.vision.pose import KEYPOINTS, PoseNetwork

ORIGINAL = np.load(Path(__file__).parent / "data" / "pose_network.npz")  # by TensorFlow


@pytest.fixture(scope="module")
def network() -> PoseNetwork:
    return PoseNetwork()


@pytest.mark.parametrize("name", thinned(pose_pictures(), 2))
def test_the_network_gives_what_the_original_graph_gives(network, name):
    found = network(pose_pictures()[name])
    keypoints = ORIGINAL[name][:, :51].reshape(6, 17, 3)
    np.testing.assert_allclose(found.keypoints, keypoints[..., 1::-1], atol=1e-3)
    np.testing.assert_allclose(found.keypoint_score, keypoints[..., 2], atol=1e-3)
    np.testing.assert_allclose(found.box, ORIGINAL[name][:, 51:55][:, [1, 0, 3, 2]], atol=1e-3)
    np.testing.assert_allclose(found.score, ORIGINAL[name][:, 55], atol=1e-3)


def test_people_are_where_they_were_put_and_nobody_in_noise(network):
    found = network(pose_pictures()["three"])
    seen = found.chosen(found.score > 0.2)
    noses = sorted(seen.keypoints[:, KEYPOINTS.index("nose"), 0])
    np.testing.assert_allclose(noses, [0.2, 0.55, 0.85], atol=0.03)
    assert network(pose_pictures()["nobody"]).score.max() < 0.1


def test_a_mirrored_picture_shows_the_mirrored_people(network):
    picture = on_canvas((256, 512), [(0.3, 0.55, 0.85, False)])
    seen = network(picture).chosen([0])
    mirrored = network(np.ascontiguousarray(picture[:, ::-1])).chosen([0]).mirrored()
    clear = seen.keypoint_score[0] > 0.4
    assert clear.sum() >= 5
    np.testing.assert_allclose(mirrored.keypoints[0][clear], seen.keypoints[0][clear], atol=0.02)
    np.testing.assert_allclose(mirrored.box, seen.box, atol=0.05)


def test_sides_that_the_network_cannot_take_are_named(network):
    picture = cv2.resize(pose_pictures()["one"], (250, 256))
    with pytest.raises(ValueError, match="250 x 256"):
        network(picture)
