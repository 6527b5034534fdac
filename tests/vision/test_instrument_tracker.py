"""From frames to tracked objects, with the published detector."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from drawn_instruments import cut_out, pasted, photograph
from numpy.typing import NDArray

from hearsight.nn.efficientnet_lite import EfficientNetLite0
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector
from hearsight.vision.instrument_tracker import FRAME_RATE_HZ, InstrumentTracker

SIZE = (256, 448)


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0.pretrained()


@pytest.fixture
def detector(network: EfficientNetLite0) -> InstrumentDetector:
    return InstrumentDetector(network, frame_area=SIZE[0] * SIZE[1])


def stage(x: float = 0.5) -> NDArray[np.uint8]:
    """A wide scene with a harp at 0.45 of its width, of which a camera sees a part around `x`."""
    wide = pasted(photograph("china.jpg", (SIZE[0], 900)), cut_out("harp", 230), 0.45, 0.5)
    left = round(x * 900 - SIZE[1] / 2)
    return np.ascontiguousarray(wide[:, left : left + SIZE[1]])


def update(
    watcher: InstrumentTracker, pictures: list[NDArray[np.uint8]], begin_s: float = 0.0, number: int = 0
) -> float:
    for index, picture in enumerate(pictures):
        watcher.update(Frame(begin_s + index / FRAME_RATE_HZ, number + index, picture))
    return begin_s + len(pictures) / FRAME_RATE_HZ


def test_a_harp_is_followed_through_a_pan(detector: InstrumentDetector) -> None:
    watcher = InstrumentTracker(detector)
    centres = np.linspace(0.5, 0.4, 13)
    end_s = update(watcher, [stage(centre) for centre in centres])
    at = np.arange(0, end_s - 0.2, 0.1)
    found = watcher.at(at)
    harp = max(found, key=lambda track: track.strength.mean())
    assert harp.label == "harp"
    assert harp.number == 1
    assert harp.strength.min() > 0.7
    there = np.interp(at, np.arange(len(centres)) / FRAME_RATE_HZ, (0.45 - centres) * 900 / SIZE[1] + 0.5)
    np.testing.assert_allclose(harp.x, there, atol=0.04)
    assert harp.motion.max() < 0.3  # only the camera moves
    assert all(track.strength.mean() < 0.3 for track in found if track is not harp)


def test_detects_twice_a_second_and_only_at_new_frames(detector: InstrumentDetector) -> None:
    watcher = InstrumentTracker(detector)
    pictures = [np.roll(stage(), 3 * index, 0) for index in range(9)]
    update(watcher, pictures)
    assert detector.detections == 5
    update(watcher, pictures)  # an overlapping window brings them again
    assert detector.detections == 5
    assert watcher.seen_until_s == 2.0


class Expected(InstrumentDetector):
    """Sees what it is given; remembers when it was called."""

    def __init__(
        self, strength: Callable[[float], float], place: Callable[[float], float] = lambda time_s: 0.5
    ) -> None:
        self.seen_s: list[float] = []
        self._strength, self._place = strength, place

    def forget(self) -> None:
        self.seen_s.clear()

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        self.seen_s.append(frame.time_s)
        x, y = (np.arange(26) * 32 + 0.5) / 801, (np.arange(15) * 32 + 0.5) / 449
        away = ((x[None] - self._place(frame.time_s)) / 0.05) ** 2 + ((y[:, None] - 0.5) / 0.1) ** 2
        evidence = np.zeros((len(y), len(x), len(IMAGENET_INSTRUMENTS)), np.float32)
        evidence[..., IMAGENET_INSTRUMENTS.index("harp")] = self._strength(frame.time_s) * np.exp(-away)
        return EvidenceMap(evidence, x, y)


def times_seen(detector: Expected, seconds: float, turns_at_s: float = np.inf) -> list[float]:
    """Times of the analyses a picture in which something always moves, and which once moves on, as by a camera."""
    scene = photograph("china.jpg", (SIZE[0], 900))
    watcher = InstrumentTracker(detector)
    for index in range(round(seconds * FRAME_RATE_HZ)):
        time_s = index / FRAME_RATE_HZ
        left = round(100 + 40 * np.clip((time_s - turns_at_s) * FRAME_RATE_HZ, 0, 5))
        picture = scene[:, left : left + SIZE[1]].copy()
        picture[20:40, 20:40] = 40 * (index % 5)
        watcher.update(Frame(time_s, index, picture))
    return detector.seen_s


def test_detections_are_further_apart_once_nothing_is_new() -> None:
    half_seconds = [k / 2 for k in range(9)]
    assert times_seen(Expected(lambda time_s: 0.9), 12.0) == [*half_seconds, 5.0, 7.0, 9.0, 11.0]
    assert times_seen(Expected(lambda time_s: 0.0), 12.0) == [*half_seconds, 5.0, 7.0, 9.0, 11.0]


@pytest.mark.parametrize(
    "detector",
    [
        Expected(lambda time_s: 0.3),  # doubtful
        Expected(lambda time_s: 0.9, lambda time_s: 0.2 + 0.05 * time_s),  # it walks
    ],
)
def test_what_is_doubtful_or_walks_is_detected_twice_a_second(detector: Expected) -> None:
    assert times_seen(detector, 12.0) == [k / 2 for k in range(24)]


def test_a_doubt_that_lasts_is_detected_less_often() -> None:
    assert times_seen(Expected(lambda time_s: 0.3), 20.0) == [*(k / 2 for k in range(25)), 13.0, 15.0, 17.0, 19.0]


def test_what_comes_and_goes_is_detected_more_often_again() -> None:
    times = times_seen(Expected(lambda time_s: 0.9 * (6.0 < time_s < 13.0)), 16.0)
    assert times[9:13] == [5.0, 7.0, 7.5, 8.0]  # it came between the second and the third of these
    assert 12.0 not in times and {14.5, 15.5} <= set(times)  # from 12 s on once a second


def test_what_flickers_is_detected_once_a_second_in_a_scene_that_is_known() -> None:
    times = times_seen(Expected(lambda time_s: 0.4 + 0.4 * np.sin(2 * time_s)), 20.0)
    assert [time_s for time_s in times if time_s < 12] == [k / 2 for k in range(24)]
    assert np.diff([time_s for time_s in times if time_s >= 12]).min() >= 1


def test_what_changes_is_detected_again_soon() -> None:
    times = times_seen(Expected(lambda time_s: 0.95 if time_s < 8 else 0.6), 12.0)
    assert times[9:13] == [5.0, 7.0, 9.0, 9.5]


def test_a_camera_that_turns_is_not_left_waiting() -> None:
    times = times_seen(Expected(lambda time_s: 0.0), 12.0, turns_at_s=9.0)
    assert min(time_s for time_s in times if time_s > 9.0) < 9.8
    assert times_seen(Expected(lambda time_s: 0.0), 12.0) != times


def test_a_still_picture_is_searched_once(detector: InstrumentDetector) -> None:
    watcher = InstrumentTracker(detector)
    picture = stage()
    for index in range(20):
        watcher.update(Frame(index / FRAME_RATE_HZ, 0, picture))
    assert detector.detections == 1
    (harp,) = [track for track in watcher.at(np.arange(0, 5, 0.5)) if track.strength.max() > 0.3]
    assert harp.label == "harp"
    assert np.ptp(harp.x) < 1e-6
    assert harp.motion.max() == 0


def test_a_cut_is_detected_at_once(detector: InstrumentDetector) -> None:
    watcher = InstrumentTracker(detector)
    cut_s = update(watcher, [stage()] * 7, number=0)
    empty = photograph("flower.jpg", SIZE)
    update(watcher, [empty, np.roll(empty, 1, 1)], cut_s, 50)
    at = np.arange(0, cut_s + 0.25, 0.05)
    (harp,) = [track for track in watcher.at(at) if track.label == "harp"]
    assert harp.strength[at < cut_s - 0.01].min() > 0.7
    assert harp.strength[at > cut_s + 0.01].max() == 0


def test_black_pictures_hold_nothing(detector: InstrumentDetector) -> None:
    watcher = InstrumentTracker(detector)
    update(watcher, [np.zeros((*SIZE, 3), np.uint8)] * 8)
    assert watcher.at(np.arange(0, 2, 0.5)) == []


def test_a_mirrored_clip_gives_mirrored_objects(network: EfficientNetLite0) -> None:
    found = []
    for is_mirrored in (False, True):
        watcher = InstrumentTracker(InstrumentDetector(network, frame_area=SIZE[0] * SIZE[1]))
        pictures = [stage(0.5 - 0.01 * index) for index in range(7)]
        update(watcher, [np.ascontiguousarray(cv2.flip(p, 1)) if is_mirrored else p for p in pictures])
        found.append(max(watcher.at(np.arange(0, 1.5, 0.1)), key=lambda track: track.strength.mean()))
    here, mirrored = found
    # The camera's motion is found by chance among the flow's vectors, so not to the last digit.
    np.testing.assert_allclose(here.x, 1 - mirrored.x, atol=0.003)
    np.testing.assert_allclose(here.strength, mirrored.strength, atol=0.01)
