"""Given positions that follow people."""

import numpy as np
import torch
from pose_pictures import on_canvas

from hearsight.models.interface import ClipInfo, Window
from hearsight.models.positions import Positions
from hearsight.models.sounding_objects.following import FollowedTracks
from hearsight.models.sounding_objects.given_positions import GivenPositions
from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import PeopleDetector
from hearsight.vision.pose import People
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


class Stepping:
    """People detector of one person who is at `x` parts of the picture at each second."""

    def __init__(self, places: np.ndarray) -> None:
        self._places = places

    def forget(self) -> None:
        pass

    def detect(self, frame: Frame, in_tiles: bool = False) -> People:
        x = float(np.interp(frame.time_s, np.arange(len(self._places)), self._places))
        box = np.array([[x - 0.1, 0.2, x + 0.1, 0.9]])
        return People(np.array([0.9]), box, np.full((1, 17, 2), [x, 0.5]), np.full((1, 17), 0.9))


def test_a_single_position_at_a_person_is_heard_where_the_person_goes():
    places = np.linspace(0.2, 0.8, 9)
    positions = Positions([Track.at("source 1", 0.2, 0.5)])
    model = GivenPositions(positions, people=Stepping(places))
    assert model.spec.frames == "all" and model.spec.frame_rate_hz == 2
    session = model.session(ClipInfo(16_000, 8.0, 25.0, (360, 640)))
    sound = 0.1 * torch.randn(8 * 16_000, generator=torch.Generator().manual_seed(0))
    hop, length = round(model.spec.hop_s * 16_000), round(model.spec.window_s * 16_000)
    levels = []
    for start in range(0, len(sound) - length + 1, hop):
        begin_s = start / 16_000
        frames = [Frame(begin_s + step / 2, round(2 * begin_s) + step, np.zeros((36, 64, 3), np.uint8))
                  for step in range(round(2 * model.spec.window_s))]  # fmt: skip
        (ears,) = session.process([Window(begin_s, sound[start : start + length], frames)])
        power = ears.unfold(-1, 16_000, 16_000).square().mean(-1)
        levels.append(10 * (power[0] / power[1]).log10())
    assert levels[0][0] > 2 and levels[-1][-1] < -1
    track = session.sources()[0].track
    assert track[0].x < 0.3 and track[-1].x > 0.5
    assert any("follows" in note for note in session.notes())


def test_a_single_position_that_moves_as_the_user_says_needs_no_picture():
    track = Track("own", np.array([0.0, 4.0]), np.array([0.2, 0.9]), np.array([0.5, 0.5]), np.ones(2))
    assert GivenPositions(Positions([track])).spec.frames == "none"
