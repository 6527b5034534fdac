"""Objects followed through a clip: they appear, stay, move with the camera and go."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.motion import GRID
from hearsight.vision.motion_energy import MotionEnergy, no_motion_energy
from hearsight.vision.object_tracks import MOST_OBJECTS, ObjectTrack, ObjectTracks

X = (np.arange(26) * 32 + 0.5) / 801
Y = (np.arange(15) * 32 + 0.5) / 449
DETECTION_INTERVAL_S, MOTION_ENERGY_S = 0.5, 0.25


def evidence_map(*tracks: tuple[str, float, float, float]) -> EvidenceMap:
    """Evidence around each object's (x, y): class, x, y, height of the peak."""
    evidence = np.zeros((len(Y), len(X), len(IMAGENET_INSTRUMENTS)), np.float32)
    for name, x, y, peak in tracks:
        away = ((X[None] - x) / (X[1] - X[0])) ** 2 + ((Y[:, None] - y) / (Y[1] - Y[0])) ** 2
        evidence[..., IMAGENET_INSTRUMENTS.index(name)] += peak * np.exp(-away / (2 * 1.3**2))
    return EvidenceMap(evidence, X, Y)


def moved_at(x: float, y: float, grey_levels: float) -> MotionEnergy:
    level = np.zeros(GRID, np.float32)
    row, column = int(y * GRID[0]), int(x * GRID[1])
    level[row - 2 : row + 1, column - 1 : column + 2] = grey_levels
    return MotionEnergy(level, np.eye(3))


def panned(dx: float) -> MotionEnergy:
    camera = np.eye(3)
    camera[0, 2] = dx
    return MotionEnergy(np.zeros(GRID, np.float32), camera)


def run(tracks: ObjectTracks, begin_s: float, end_s: float, *seen: tuple[str, float, float, float]) -> None:
    """The same picture from `begin_s` until before `end_s`."""
    for time_s in np.arange(begin_s, end_s, DETECTION_INTERVAL_S):
        tracks.move(time_s, no_motion_energy())
        tracks.update(time_s, evidence_map(*seen))


def only(tracks: list[ObjectTrack]) -> ObjectTrack:
    assert len(tracks) == 1, [(track.label, track.strength.max()) for track in tracks]
    return tracks[0]


def times(begin_s: float, end_s: float) -> NDArray[np.float64]:
    return np.arange(begin_s, end_s, 0.05)


def test_what_is_there_from_the_first_picture_is_there_at_once() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 4, ("cello", 0.7, 0.6, 0.9))
    cello = only(tracks.at(times(0, 4)))
    assert cello.label == "cello"
    np.testing.assert_allclose(cello.x, 0.7, atol=0.01)
    np.testing.assert_allclose(cello.y, 0.6, atol=0.02)
    np.testing.assert_allclose(cello.strength, 0.9, atol=0.12)
    assert np.ptp(cello.strength) < 0.01
    np.testing.assert_allclose(cello.evidence.sum(-1), cello.strength, atol=1e-5)
    assert cello.evidence[:, IMAGENET_INSTRUMENTS.index("cello")].min() > 0.95 * cello.strength.max()


def test_what_comes_and_goes_rises_and_falls_smoothly() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 5)
    run(tracks, 5, 10, ("harp", 0.3, 0.5, 1.0))
    run(tracks, 10, 20)
    harp = only(tracks.at(times(0, 20)))
    at = times(0, 20)
    assert harp.strength[at < 4.5].max() == 0
    assert harp.strength[(at > 8) & (at < 9.5)].min() > 0.9
    assert harp.strength[at > 14.5].max() == 0
    assert np.abs(np.diff(harp.strength)).max() < 0.1  # in a twentieth of a second
    np.testing.assert_allclose(harp.x, 0.3, atol=0.01)
    assert tracks.at(times(15, 20)) == []
    assert tracks.at(times(0, 4.4)) == []


def test_a_detection_counts_for_half_a_second_however_long_the_one_before_is_ago() -> None:
    entry = []
    for step_s in (0.5, 2.0):
        tracks = ObjectTracks()
        for index in range(8):
            tracks.move(step_s * index, no_motion_energy())
            tracks.update(step_s * index, evidence_map(("cello" if index < 4 else "violin", 0.7, 0.6, 0.9)))
        entry.append(only(tracks.at(np.array([7 * step_s]))))
    np.testing.assert_allclose(entry[0].evidence, entry[1].evidence, atol=1e-6)


def test_news_are_reported() -> None:
    tracks = ObjectTracks()
    assert tracks.update(0.0, evidence_map(("cello", 0.7, 0.6, 0.9)))  # it begins
    assert not tracks.update(0.5, evidence_map(("cello", 0.7, 0.6, 0.9)))
    assert tracks.update(1.0, evidence_map(("cello", 0.7, 0.6, 0.9), ("harp", 0.2, 0.5, 0.9)))
    for time_s in np.arange(1.5, 4.0, 0.5):
        news = tracks.update(time_s, evidence_map(("cello", 0.7, 0.6, 0.9), ("harp", 0.2, 0.5, 0.9)))
    assert not news  # it has risen
    assert tracks.update(4.0, evidence_map(("cello", 0.7, 0.6, 0.9)))  # its evidence falls
    for time_s in np.arange(4.5, 14.0, 0.5):
        news = tracks.update(time_s, evidence_map(("cello", 0.7, 0.6, 0.9)))
    assert not news  # it is gone


def test_a_flash_of_evidence_is_weak() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 5)
    run(tracks, 5, 5.5, ("drum", 0.3, 0.5, 0.6))
    run(tracks, 5.5, 12)
    assert all(track.strength.max() < 0.25 for track in tracks.at(times(0, 12)))


def test_a_gap_of_a_detection_does_not_end_a_object() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 5, ("banjo", 0.5, 0.5, 0.8))
    run(tracks, 5, 5.5)
    run(tracks, 5.5, 10, ("banjo", 0.5, 0.5, 0.8))
    banjo = only(tracks.at(times(0, 10)))
    assert banjo.number == 1
    assert banjo.strength.min() > 0.4


def test_one_object_taken_for_this_and_that_stays_one() -> None:
    tracks = ObjectTracks()
    for index, time_s in enumerate(np.arange(0, 12, DETECTION_INTERVAL_S)):
        tracks.update(time_s, evidence_map(("cello" if index % 3 else "acoustic guitar", 0.4, 0.5, 0.8)))
    track = only(tracks.at(times(0, 12)))
    assert track.label == "cello"
    shares = track.evidence[-1] / track.evidence[-1].sum()
    assert shares[IMAGENET_INSTRUMENTS.index("cello")] == pytest.approx(2 / 3, abs=0.15)
    assert shares[IMAGENET_INSTRUMENTS.index("acoustic guitar")] == pytest.approx(1 / 3, abs=0.15)


def test_objects_move_with_the_camera_between_detections_too() -> None:
    """A pan of 6 % of the picture per second past two cellos that stand nearer to each other than it goes."""
    tracks = ObjectTracks()
    speed = 0.06
    for time_s in np.arange(0, 6, MOTION_ENERGY_S):
        if time_s > 0:
            tracks.move(time_s, panned(speed * MOTION_ENERGY_S))
        if time_s % DETECTION_INTERVAL_S == 0:
            here = [("cello", x + speed * time_s, 0.5, 0.9) for x in (0.15, 0.4)]
            tracks.update(time_s, evidence_map(*here))
    at = times(0, 5.75)
    first, second = sorted(tracks.at(at), key=lambda track: track.x[0])
    np.testing.assert_allclose(first.x, 0.15 + speed * at, atol=0.015)
    np.testing.assert_allclose(second.x, 0.4 + speed * at, atol=0.015)
    assert first.strength.min() > 0.75


def test_an_object_that_the_camera_turns_away_from_fades_outside() -> None:
    tracks = ObjectTracks()
    for time_s in np.arange(0, 14, MOTION_ENERGY_S):
        tracks.move(time_s, panned(0.1 * MOTION_ENERGY_S if time_s > 0 else 0.0))
        if time_s % DETECTION_INTERVAL_S == 0:
            tracks.update(time_s, evidence_map(("harp", 0.6 + 0.1 * time_s, 0.5, 1.0)))
    harp = only(tracks.at(times(0, 14)))
    assert harp.x.max() > 1.05
    assert np.diff(harp.x).min() > -0.01
    assert np.abs(np.diff(harp.strength)).max() < 0.1
    assert harp.strength[-1] == 0


def test_a_cut_ends_all_and_begins_anew() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 5, ("cello", 0.7, 0.5, 0.9))
    tracks.move(5.0, MotionEnergy(np.zeros(GRID, np.float32), np.eye(3), True))
    run(tracks, 5, 8, ("cello", 0.2, 0.5, 0.9))
    before, after = tracks.at(times(0, 8))
    at = times(0, 8)
    assert before.strength[at > 5.01].max() == 0
    assert before.strength[at < 4.45].min() > 0.7
    assert after.strength[at < 4.95].max() == 0
    assert after.strength[at > 5.05].min() > 0.7
    np.testing.assert_allclose(after.x[at > 5], 0.2, atol=0.01)


def test_the_six_strongest_are_reported() -> None:
    tracks = ObjectTracks()
    names = ("cello", "drum", "harp", "flute", "banjo", "cornet", "organ", "oboe")
    crowd = [(name, 0.06 + 0.125 * k, 0.5, 0.3 + 0.07 * k) for k, name in enumerate(names)]
    run(tracks, 0, 5, *crowd)
    entry = tracks.at(times(0, 5))
    assert len(entry) == MOST_OBJECTS
    assert {track.label for track in entry} == {"harp", "flute", "banjo", "cornet", "organ", "oboe"}


def test_who_moves_is_distinguished_from_who_does_not() -> None:
    tracks = ObjectTracks()
    seen = (("upright piano", 0.25, 0.6, 0.9), ("drum", 0.75, 0.6, 0.9))
    tracks.update(0, evidence_map(*seen))
    for time_s in np.arange(MOTION_ENERGY_S, 6, MOTION_ENERGY_S):
        tracks.move(time_s, moved_at(0.75, 0.55, 4.0))
        if time_s % DETECTION_INTERVAL_S == 0:
            tracks.update(time_s, evidence_map(*seen))
    piano, drums = tracks.at(times(0, 5.5))
    assert drums.motion.min() > 0.8  # from the start, though motion can't be known in a single picture
    assert piano.motion.max() < 0.1


def test_a_frozen_picture_says_nothing_of_motion() -> None:
    """Frozen at first and once more later: who moves in between is known throughout."""
    tracks = ObjectTracks()
    seen = (("upright piano", 0.25, 0.6, 0.9), ("drum", 0.75, 0.6, 0.9))
    for time_s in np.arange(0, 8, MOTION_ENERGY_S):
        moves = 2 < time_s < 4
        tracks.move(time_s, moved_at(0.75, 0.55, 4.0) if moves else no_motion_energy())
        if time_s % DETECTION_INTERVAL_S == 0:
            tracks.update(time_s, evidence_map(*seen))
    piano, drums = tracks.at(times(0, 7.5))
    assert drums.motion.min() > 0.8
    assert piano.motion.max() < 0.1


def test_times_after_the_latest_detection_stand_as_it_was() -> None:
    tracks = ObjectTracks()
    run(tracks, 0, 3, ("cello", 0.7, 0.6, 0.9))
    latest, later = only(tracks.at(np.array([2.5]))), only(tracks.at(np.array([9.0])))
    assert (latest.x[0], latest.strength[0]) == (later.x[0], later.strength[0])


def test_nothing_is_there_before_anything_was_seen() -> None:
    assert ObjectTracks().at(np.array([0.0, 1.0])) == []


def test_a_mirrored_clip_has_mirrored_objects() -> None:
    rng = np.random.default_rng(8)
    tracks, mirrored = ObjectTracks(), ObjectTracks()
    spots = [("cello", 0.3, 0.5, 0.9), ("drum", 0.62, 0.6, 0.5), ("banjo", 0.85, 0.4, 0.7)]
    x = 0.0
    for time_s in np.arange(0, 8, DETECTION_INTERVAL_S):
        dx = float(rng.normal(0, 0.01))
        x += dx
        tracks.move(time_s, panned(dx))
        mirrored.move(time_s, panned(-dx))
        seen = evidence_map(*((name, at + x, y, peak * rng.uniform(0.5, 1)) for name, at, y, peak in spots))
        tracks.update(time_s, seen)
        mirrored.update(time_s, seen.mirrored())
    for one, other in zip(tracks.at(times(0, 8)), mirrored.at(times(0, 8)), strict=True):
        assert one.number == other.number
        np.testing.assert_allclose(one.x, 1 - other.x, atol=1e-4)
        np.testing.assert_allclose(one.strength, other.strength, atol=1e-4)


def test_memory_does_not_grow_with_the_hours() -> None:
    """Objects that come and go for an hour: no more is remembered than two minutes hold."""
    tracks = ObjectTracks()
    rng = np.random.default_rng(1)
    held = []
    for index, time_s in enumerate(np.arange(0, 3600, 9.0)):
        tracks.move(time_s, no_motion_energy())
        tracks.update(time_s, evidence_map(("cello", float(rng.uniform(0.1, 0.9)), 0.5, 0.9)))
        if index % 40 == 39:
            held.append(sum(len(known.points) for known in [*tracks._known, *tracks._gone]))
    assert max(held) < 2 * min(held)
    assert held[-1] < 1000


def test_a_part_of_the_times_is_reported_as_in_all_of_them() -> None:
    tracks = ObjectTracks()
    rng = np.random.default_rng(4)
    for time_s in np.arange(0, 10, DETECTION_INTERVAL_S):
        tracks.update(time_s, evidence_map(("cello", float(rng.uniform(0.4, 0.5)), 0.5, float(rng.uniform(0.6, 1)))))
    whole = only(tracks.at(times(0, 12)))
    for begin, end in ((0, 1), (3.3, 3.4), (9, 12), (11, 12)):
        part = only(tracks.at(times(0, 12)[round(20 * begin) : round(20 * end)]))
        np.testing.assert_allclose(part.x, whole.x[round(20 * begin) : round(20 * end)])
        np.testing.assert_allclose(part.strength, whole.strength[round(20 * begin) : round(20 * end)])
    assert tracks.at(np.zeros(0)) == []
