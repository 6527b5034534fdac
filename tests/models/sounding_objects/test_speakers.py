"""Who of the visible people speaks, from portraits made to talk and a voice that is given."""

import cv2
import numpy as np
import pytest
import torch
from talking_people import FRAME_RATE_HZ, talking

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import ClassifiedWindow
from hearsight.models.sounding_objects.speakers import Speakers, Voices
from hearsight.signal.mel_bands import COLUMNS, HOP_SAMPLES, SAMPLE_RATE_HZ
from hearsight.vision.frames import Frame, small_grey
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector
from hearsight.vision.mouth_motion import Face, MouthMotion
from hearsight.vision.object_tracks import ObjectTrack
from hearsight.vision.player_tracker import PlayerTracker

SECONDS = 4.0
TIMES = np.arange(COLUMNS) * (HOP_SAMPLES / SAMPLE_RATE_HZ)


class NoInstruments(InstrumentDetector):
    def __init__(self) -> None:
        pass

    def forget(self) -> None:
        pass

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        return EvidenceMap(np.zeros((8, 14, 22), np.float32), np.linspace(0, 1, 14), np.linspace(0, 1, 8))


def syllables() -> np.ndarray:
    times = np.arange(round(SECONDS * FRAME_RATE_HZ)) / FRAME_RATE_HZ
    return np.clip(np.sin(np.pi * (1.9 * times + 0.3 * np.sin(2 * times))), 0, 1)


def classified(share: float = 0.6) -> ClassifiedWindow:
    """A window of which this share sounds like a voice, with the syllables' envelope."""
    envelope = np.interp(TIMES, np.arange(len(syllables())) / FRAME_RATE_HZ, syllables())
    classes = torch.full((len(SOUND_CLASSES), 128, COLUMNS), (1 - share) / (len(SOUND_CLASSES) - 1))
    classes[SOUND_CLASSES.index("voice")] = share
    power = torch.from_numpy((envelope**2 + 1e-6).astype(np.float32)).expand(128, -1)
    return ClassifiedWindow(power, classes.log(), torch.ones(128, COLUMNS))


def shares(openings: list[np.ndarray | None], places: list[float], voice: float = 0.6) -> list[float]:
    """Of the voice, of the people from left to right."""
    still = [np.zeros_like(syllables()) if opening is None else opening for opening in openings]
    tracker, mouths = PlayerTracker(NoInstruments()), MouthMotion()
    for index, picture in enumerate(talking(list(still), places)):
        time_s = index / FRAME_RATE_HZ
        if index % 4 == 0:
            tracker.update(Frame(time_s, index, picture))
        mouths.update(time_s, small_grey(picture), tracker.faces())
    tracks = sorted(tracker.at(TIMES), key=lambda track: float(track.x.mean()))
    moving = {track.number: mouths.at(track.number, TIMES) for track in tracks}
    known = {number: motion for number, motion in moving.items() if motion is not None}
    voices = Speakers().update(classified(voice), known, tracks, TIMES)
    return voices.shares.mean(1).tolist()


@pytest.mark.parametrize("talker", [0, 1])
def test_of_two_people_the_one_whose_mouth_moves_speaks(talker: int) -> None:
    openings = [syllables() if index == talker else None for index in range(2)]
    entry = shares(openings, [0.25, 0.75])
    assert entry[talker] > 0.8
    assert entry[1 - talker] < 0.1


def test_a_narrator_is_nobody_who_is_seen() -> None:
    assert sum(shares([None, None], [0.25, 0.75])) < 0.3


def test_one_person_alone_who_talks_has_the_voice_and_one_with_a_shut_mouth_has_not() -> None:
    assert shares([syllables()], [0.4])[0] > 0.8
    assert shares([None], [0.4])[0] < 0.5


def test_who_speaks_is_remembered_while_no_voice_is_heard() -> None:
    """Nothing is learned of mouths while something else sounds."""
    entry = shares([syllables(), None], [0.25, 0.75], voice=0.01)
    assert entry == [0.0, 0.0]


def test_mouth_motion_is_that_of_the_mouth_and_is_unknown_without_a_face() -> None:
    mouths = MouthMotion()
    face = Face(7, 0.25, 0.5, 0.1, 0.1)
    rng = np.random.default_rng(0)
    for tick in range(30):
        grey = np.full((90, 160), 100, np.uint8)
        grey[41:50, 34:47] = 100 + 80 * (tick % 2)
        grey[:, 100:] = rng.integers(0, 60, (90, 60))
        mouths.update(tick / 15, grey, [face, Face(8, 0.5, 0.5, 0.1, 0.1)])
    times = np.arange(0.2, 1.8, 0.1)
    moving, still, unknown = (mouths.at(number, times) for number in (7, 8, 9))
    assert moving is not None and moving.min() > 30
    assert still is not None and still.max() < 1
    assert unknown is None


def test_a_face_detected_before_a_cut_is_not_measured_after_it() -> None:
    rng = np.random.default_rng(0)
    before, after = (cv2.GaussianBlur(rng.integers(0, 256, (90, 160)).astype(np.uint8), (0, 0), 1) for _ in range(2))
    mouths, early, late = MouthMotion(), Face(1, 0.25, 0.5, 0.1, 0.1), Face(2, 0.75, 0.5, 0.1, 0.1)
    for tick in range(60):
        grey = (before if tick < 30 else after).copy()
        for face in (early, late):
            column = round(face.x * 160)
            grey[41:50, column - 6 : column + 7] = 100 + 80 * (tick % 2)
        mouths.update(tick / 15, grey, [early if tick < 33 else late])  # detected three ticks after the cut
    times = np.arange(0.2, 3.8, 0.1)
    first, second = (mouths.at(number, times) for number in (1, 2))
    assert first is not None and second is not None
    np.testing.assert_array_equal(np.isfinite(first), times < 29 / 15)
    np.testing.assert_array_equal(np.isfinite(second), times > 33 / 15)
    assert np.nanmin(first) > 30 and np.nanmin(second) > 30


def test_the_voice_changes_sides_when_another_begins_to_talk_within_a_window() -> None:
    tracks = [person(number, x) for number, x in ((1, 0.25), (2, 0.75))]
    moves = 12.0 * (np.sin(2 * np.pi * 4 * TIMES) > 0)
    mouths = {1: moves * (TIMES < 2), 2: moves * (TIMES >= 2)}
    shares = Speakers().update(classified(), mouths, tracks, TIMES).shares
    early, late = TIMES < 1.5, TIMES > 2.5
    assert shares[0, early].min() > 0.6 and shares[1, late].min() > 0.6
    assert shares[1, early].max() < 0.1 and shares[0, late].max() < 0.1


def test_given_voices_take_the_voice_and_leave_the_rest_of_the_sound() -> None:
    heard = torch.zeros(128, COLUMNS)
    heard[:64] = 1
    shares = np.stack([np.full(COLUMNS, 0.7), np.zeros(COLUMNS)])
    parts = torch.full((3, 128, COLUMNS), 1 / 3)
    given = Voices(shares, heard).given(parts)
    np.testing.assert_allclose(given[:, :64, 0].mean(1), [0.7, 0, 0.3], atol=1e-6)
    np.testing.assert_allclose(given[:, 64:], 1 / 3, atol=1e-6)


def person(number: int, x: float) -> ObjectTrack:
    full = np.ones(COLUMNS)
    return ObjectTrack(
        number, "person", x * full, 0.5 * full, 0.2 * full, np.zeros((COLUMNS, 22), np.float32), full, full, True
    )
