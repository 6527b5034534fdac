"""Finding sources: simulated motion with onsets that do or do not go with it; drawn pictures for the meter."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from hearsight.models.positions.following import Follower
from hearsight.models.positions.search import FoundPath, SourceFinder
from hearsight.vision.motion import GRID, Motion, MotionMeter

RATE = 15.0


def _events(generator: np.random.Generator, seconds: float) -> np.ndarray:
    times = np.cumsum(generator.uniform(0.3, 0.9, size=int(seconds / 0.3) + 2))
    return times[times < seconds]


def _onsets(generator: np.random.Generator, events: np.ndarray, seconds: float) -> np.ndarray:
    series = generator.exponential(20, size=int(seconds * RATE))
    series[(events * RATE).astype(int)] += generator.uniform(100, 300, size=len(events))
    return series


def _strokes(generator: np.random.Generator, events: np.ndarray, seconds: float) -> np.ndarray:
    """Vertical velocity of a hand that falls to each event, 30 ms precise, and rises after it."""
    series = np.zeros(int(seconds * RATE) + 20)
    for event in events:
        at = max(2, int((event + generator.normal(0, 0.03)) * RATE))
        size = generator.uniform(0.05, 0.15)
        series[at - 2 : at] += size
        series[at : at + 2] -= size
    return gaussian_filter1d(series[: int(seconds * RATE)], 0.5) + generator.normal(0, 0.01, size=int(seconds * RATE))


def _sway(generator: np.random.Generator, seconds: float) -> np.ndarray:
    return 0.6 * gaussian_filter1d(generator.normal(size=int(seconds * RATE)), 4)


def _finder(
    generator: np.random.Generator,
    movers: list[tuple[np.ndarray, float, np.ndarray]],
    onsets: np.ndarray,
    camera: np.ndarray | None = None,
) -> SourceFinder:
    """Movers (x per tick, y, vertical velocity per tick) over the noise of the flow."""
    rows, columns = np.mgrid[0 : GRID[0], 0 : GRID[1]]
    finder = SourceFinder(RATE)
    for tick, onset in enumerate(onsets):
        velocity = generator.normal(0, 5e-4, size=(*GRID, 2))
        for x, y, series in movers:
            distance = (columns + 0.5 - x[tick] * GRID[1]) ** 2 + (rows + 0.5 - y * GRID[0]) ** 2
            velocity[..., 1] += series[tick] * np.exp(-0.5 * distance / 1.5**2)
        finder.add(_motion(velocity, camera), float(onset))
    return finder


def _motion(velocity: np.ndarray | None = None, camera: np.ndarray | None = None) -> Motion:
    velocity = (np.zeros((*GRID, 2)) if velocity is None else velocity).astype(np.float32)
    return Motion(np.linalg.norm(velocity, axis=-1), velocity, np.eye(3) if camera is None else camera, False)


def _fixed(x: float, seconds: float) -> np.ndarray:
    return np.full(int(seconds * RATE), x)


def test_the_mover_in_step_with_the_sound_is_found_among_others() -> None:
    sure = []
    for seed in range(6):
        generator, seconds = np.random.default_rng(seed), 15.0
        heard = _events(generator, seconds)
        where = generator.uniform(0.1, 0.9)
        others = [(where + 0.35) % 0.8 + 0.1, (where + 0.6) % 0.8 + 0.1]
        finder = _finder(
            generator,
            [
                (_fixed(where, seconds), 0.5, _strokes(generator, heard, seconds)),
                (_fixed(others[0], seconds), 0.5, _sway(generator, seconds)),
                (_fixed(others[1], seconds), 0.3, _strokes(generator, _events(generator, seconds), seconds)),
            ],
            _onsets(generator, heard, seconds),
        )
        best = finder.find()[0]
        assert np.median(best.x) == pytest.approx(where, abs=0.06)
        sure.append(best.confidence)
    assert min(sure) > 0 and np.median(sure) > 0.6


def test_motion_that_has_nothing_to_do_with_the_sound_is_never_confident() -> None:
    sure = []
    for seed in range(20):
        generator, seconds = np.random.default_rng(100 + seed), 15.0
        movers = [
            (
                _fixed(generator.uniform(0.1, 0.9), seconds),
                0.5,
                _strokes(generator, _events(generator, seconds), seconds),
            ),
            (_fixed(generator.uniform(0.1, 0.9), seconds), 0.5, _sway(generator, seconds)),
        ]
        found = _finder(generator, movers, _onsets(generator, _events(generator, seconds), seconds)).find()
        sure.append(found[0].confidence if np.isfinite(found[0].deviations) else 0.0)
    assert np.mean(np.array(sure) > 0) <= 0.1 and max(sure) < 0.5


def test_motion_out_of_step_is_not_reported_where_only_motion_in_step_counts() -> None:
    generator, seconds = np.random.default_rng(12), 10.0
    finder = SourceFinder(RATE, motion_alone=False)
    for motion in _finder(
        generator, [(_fixed(0.2, seconds), 0.5, _sway(generator, seconds))], _fixed(0, seconds)
    )._motions:
        finder.add(motion, 0.0)
    assert finder.find() == []


def test_two_movers_in_step_are_both_found_and_apart() -> None:
    generator, seconds = np.random.default_rng(7), 20.0
    left, right = _events(generator, seconds), _events(generator, seconds)
    found = _finder(
        generator,
        [
            (_fixed(0.2, seconds), 0.5, _strokes(generator, left, seconds)),
            (_fixed(0.8, seconds), 0.5, _strokes(generator, right, seconds)),
        ],
        _onsets(generator, np.sort(np.concatenate([left, right])), seconds),
    ).find()
    positions = sorted(float(np.median(path.x)) for path in found[:2])
    assert positions == pytest.approx([0.2, 0.8], abs=0.06)


def test_a_source_that_crosses_the_picture_is_followed() -> None:
    generator, seconds = np.random.default_rng(8), 20.0
    heard, x = _events(generator, seconds), np.linspace(0.15, 0.85, int(seconds * RATE))
    finder = _finder(
        generator, [(x, 0.5, _strokes(generator, heard, seconds) + 0.05)], _onsets(generator, heard, seconds)
    )
    best = finder.find()[0]
    assert best.confidence > 0.4
    assert np.abs(best.x - np.interp(best.times_s, np.arange(len(x)) / RATE, x)).mean() < 0.06


def test_a_source_that_the_camera_pans_over_is_followed() -> None:
    generator, seconds = np.random.default_rng(9), 12.0
    heard, x = _events(generator, seconds), np.linspace(0.1, 0.9, int(seconds * RATE))
    step = np.eye(3)
    step[0, 2] = x[1] - x[0]
    finder = _finder(
        generator, [(x, 0.5, _strokes(generator, heard, seconds))], _onsets(generator, heard, seconds), step
    )
    best = finder.find()[0]
    assert np.abs(best.x - np.interp(best.times_s, np.arange(len(x)) / RATE, x)).mean() < 0.08


def test_motion_without_sound_gives_a_quarter_of_confidence_at_most() -> None:
    generator, seconds = np.random.default_rng(10), 10.0
    finder = _finder(generator, [(_fixed(0.2, seconds), 0.5, _sway(generator, seconds))], np.zeros(int(seconds * RATE)))
    (only,) = finder.find()
    assert np.isnan(only.deviations) and 0 < only.confidence <= 0.25
    assert np.median(only.x) == pytest.approx(0.2, abs=0.05)


def test_nothing_is_found_where_nothing_moves() -> None:
    finder = SourceFinder(RATE)
    for _ in range(200):
        finder.add(_motion(), 100.0)
    assert finder.find() == []


def test_the_memory_of_the_search_is_bounded() -> None:
    finder = SourceFinder(RATE)
    for _ in range(5000):
        finder.add(_motion(), 0.0)
    assert len(finder.ticks) == 24 * 15 and finder.ticks.stop == 5000


# --- the meter ---


def _textured(generator: np.random.Generator, height: int = 180, width: int = 320) -> np.ndarray:
    noise = cv2.GaussianBlur(generator.integers(0, 255, (height + 80, width + 160, 3)).astype(np.float32), (0, 0), 2.5)
    return np.clip((noise - noise.mean()) * 6 + 120, 0, 255).astype(np.uint8)


def _measured(pictures: list[np.ndarray]) -> list[Motion]:
    meter = MotionMeter()
    return [meter.measure(picture, 1 / RATE) for picture in pictures][1:]


def test_an_object_moves_and_the_still_picture_does_not() -> None:
    generator = np.random.default_rng(0)
    world, ball = _textured(generator)[:180, :320], _textured(generator)[:40, :40]
    pictures = []
    for k in range(6):
        picture = world.copy()
        picture[70:110, 200 + 2 * k : 240 + 2 * k] = ball
        pictures.append(picture)
    speed = np.mean([motion.speed for motion in _measured(pictures)], axis=0)
    rows, columns = np.mgrid[0 : GRID[0], 0 : GRID[1]]
    assert (speed * columns).sum() / speed.sum() == pytest.approx((225 / 320) * GRID[1] - 0.5, abs=1.5)
    assert (speed * rows).sum() / speed.sum() == pytest.approx((90 / 180) * GRID[0] - 0.5, abs=1.5)
    assert speed.max() == pytest.approx(2 / 320 * RATE, rel=0.5)
    assert np.median(speed) == 0


def test_the_cameras_own_motion_is_removed_and_reported() -> None:
    world = _textured(np.random.default_rng(1))
    pictures = [np.ascontiguousarray(world[20 + k : 200 + k, 40 + 3 * k : 360 + 3 * k]) for k in range(6)]
    motions = _measured(pictures)
    for motion in motions[1:]:
        moved = cv2.perspectiveTransform(np.array([[[0.5, 0.5]]]), motion.camera)[0, 0] - 0.5
        assert moved == pytest.approx([-3 / 320, -1 / 180], abs=1e-3)
        assert motion.speed.mean() < 0.1 * 3 / 320 * RATE


def test_a_cut_is_reported_and_is_no_motion() -> None:
    first, second = _textured(np.random.default_rng(2))[:180, :320], _textured(np.random.default_rng(3))[:180, :320]
    motions = _measured([first, first, second, second])
    assert [motion.is_cut for motion in motions] == [False, True, False]
    assert all(motion.speed.max() < 0.01 for motion in motions)


# --- following ---


def _path(x: float, begin: float, end: float, confidence: float = 1.0) -> FoundPath:
    times = np.arange(begin + 0.25, end, 0.5)
    return FoundPath(times, np.full(len(times), x), np.full(len(times), 0.5), confidence, 5.0)


def test_a_source_keeps_its_name_from_search_to_search_and_a_new_one_rises_from_the_middle() -> None:
    follower = Follower()
    follower.update([_path(0.2, 0, 15)], 0.0)
    follower.update([_path(0.8, 0, 27), _path(0.22, 0, 27)], 12.0)
    first, second = follower.tracks()
    assert (first.label, second.label) == ("source 1", "source 2")
    assert first.positions(np.array([25.0]))[0] == pytest.approx(0.22)
    assert (np.diff(first.times_s) > 0).all() and first.times_s[0] < 1 < 26 < first.times_s[-1]
    assert second.times_s[0] >= 12 and second.confidence[0] < 0.2 and second.confidence[-1] == pytest.approx(1)
    assert np.abs(np.diff(second.confidence)).max() <= 0.3 * 0.5 + 1e-9


@pytest.mark.parametrize("found", [[0.8], []])
def test_a_source_that_is_found_no_more_fades_to_the_middle(found: list[float]) -> None:
    follower = Follower()
    follower.update([_path(0.2, 0, 15)], 0.0)
    follower.update([_path(x, 0, 27) for x in found], 12.0, 27.0)
    lost = follower.tracks()[0]
    assert (np.diff(lost.confidence) >= -0.15 - 1e-9).all()
    assert lost.confidence[-1] == 0 and lost.times_s[-1] < 27
    assert [track.label for track in follower.heard(20.0, 26.0)] == ["source 2"][: len(found)]
