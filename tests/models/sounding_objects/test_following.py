"""Given positions that follow people."""

import numpy as np
from pose_pictures import on_canvas

from hearsight.models.sounding_objects.following import FollowedTracks
from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import PeopleDetector
from hearsight.vision.tracks import Track


def watched(given: list[Track], places: np.ndarray) -> FollowedTracks:
    """A person who walks through these places, one every half second."""
    following = FollowedTracks(given, PeopleDetector())
    for index, x in enumerate(places):
        following.update(Frame(index / 2, index, on_canvas((256, 512), [(float(x), 0.6, 0.7, False)])))
    return following


def test_a_position_at_a_person_goes_where_the_person_goes_and_one_elsewhere_stays():
    walk = np.linspace(0.2, 0.6, 9)
    given = [Track.at("walker", 0.22, 0.5), Track.at("piano", 0.85, 0.5)]
    following = watched(given, walk)
    times = np.arange(9) / 2
    walker, piano = (track.positions(times)[0] for track in following.tracks)
    np.testing.assert_allclose(walker, walk + 0.02, atol=0.05)
    np.testing.assert_allclose(piano, 0.85)
    assert following.followed.keys() == {0}
    np.testing.assert_allclose(given[0].x, [0.22])  # the next clip begins with what was given


def test_a_moving_track_is_left_as_it_was_given():
    track = Track("own", np.array([0.0, 4.0]), np.array([0.2, 0.9]), np.array([0.5, 0.5]), np.ones(2))
    following = watched([track], np.linspace(0.2, 0.3, 4))
    np.testing.assert_allclose(following.tracks[0].x, [0.2, 0.9])
    assert not following.followed
