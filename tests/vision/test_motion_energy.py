"""What moves in a picture, and what does not: the camera, the light, noise."""

import cv2
import numpy as np
import pytest
from drawn_instruments import photograph
from numpy.typing import NDArray

from hearsight.vision.frames import small_grey
from hearsight.vision.motion import GRID, CameraMeter, MotionMeter
from hearsight.vision.motion_energy import MotionEnergyMeter, no_motion_energy

HEIGHT, WIDTH = 180, 320


def seen_from(x: float, y: float, zoom: float = 1.0) -> NDArray[np.uint8]:
    """A part of a photograph, as a camera that turns sees it."""
    scene = photograph("china.jpg", (320, 560))
    matrix = np.array([[1 / zoom, 0, x], [0, 1 / zoom, y]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT), flags=flags), np.uint8)


def with_hand(picture: NDArray[np.uint8], x: float, y: float, shift: float) -> NDArray[np.uint8]:
    """A bright spot of a few pixels, as a hand far away is."""
    spot = picture.copy()
    cv2.circle(spot, (round(16 * (x * WIDTH + shift)), round(16 * y * HEIGHT)), 16 * 4, (240, 200, 180), -1, 8, 4)
    return spot


def test_a_small_hand_is_found_though_the_camera_turns() -> None:
    meter = MotionEnergyMeter()
    levels = []
    for step in range(6):
        picture = with_hand(seen_from(60 + 4.3 * step, 50 + 0.7 * step), 0.7, 0.6, 2.5 * (step % 2))
        energy = meter.measure(small_grey(picture))
        assert not energy.is_cut
        if step > 0:
            levels.append(energy.level)
            assert energy.camera[0, 2] == pytest.approx(-4.3 / WIDTH, abs=0.003)
            assert energy.camera[1, 2] == pytest.approx(-0.7 / HEIGHT, abs=0.003)
    level = np.mean(levels, 0)
    row, column = np.unravel_index(level.argmax(), level.shape)
    assert (column + 0.5) / GRID[1] == pytest.approx(0.7, abs=0.04)
    assert (row + 0.5) / GRID[0] == pytest.approx(0.6, abs=0.06)
    assert level.max() > 1
    around = level[row - 2 : row + 3, column - 2 : column + 3].sum()
    assert around > 0.8 * level.sum()


def test_the_camera_alone_is_measured_as_with_the_objects_and_at_less_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, whole = CameraMeter(), MotionMeter()
    pictures = [small_grey(seen_from(60 + 4.3 * step, 50)) for step in range(3)]
    pictures.append(small_grey(photograph("flower.jpg", (HEIGHT, WIDTH))))
    expected = [whole.measure(picture[..., None], 0.25) for picture in pictures]
    monkeypatch.setattr(cv2, "perspectiveTransform", None)  # the step from the camera's to the objects' motion
    for picture, motion in zip(pictures, expected, strict=True):
        camera, is_cut = alone.measure(picture)
        np.testing.assert_array_equal(camera, motion.camera)
        assert is_cut == motion.is_cut
    assert [motion.is_cut for motion in expected] == [False, False, False, True]
    assert expected[1].camera[0, 2] == pytest.approx(-4.3 / WIDTH, abs=0.003)
    energy = MotionEnergyMeter()
    assert [energy.measure(picture).is_cut for picture in pictures] == [False, False, False, True]


@pytest.mark.parametrize("change", ["turn", "zoom", "light", "noise", "nothing"])
def test_what_is_nobodys_motion_has_no_energy(change: str) -> None:
    rng = np.random.default_rng(2)
    meter = MotionEnergyMeter()
    for step in range(4):
        x, zoom = (60 + 5 * step, 1.0) if change == "turn" else (60, 1 + 0.01 * step * (change == "zoom"))
        picture = seen_from(x, 50, zoom).astype(np.float64)
        if change == "light":
            picture = (0.8 - 0.1 * step) * picture + 6 * step
        if change == "noise":
            picture += rng.normal(0, 8, picture.shape)
        energy = meter.measure(small_grey(np.clip(picture, 0, 255).astype(np.uint8)))
        assert energy.level.mean() < 0.05
        assert np.quantile(energy.level, 0.95) < 0.2


@pytest.mark.parametrize("contrast", [1.0, 0.4])
def test_another_scene_is_a_cut_and_has_no_energy(contrast: float) -> None:
    meter = MotionEnergyMeter()
    one, other = (
        (128 + contrast * (picture - 128.0)).astype(np.uint8)
        for picture in (seen_from(60, 50), photograph("flower.jpg", (HEIGHT, WIDTH)))
    )
    meter.measure(small_grey(one))
    energy = meter.measure(small_grey(other))
    assert energy.is_cut
    assert energy.level.max() == 0
    np.testing.assert_array_equal(energy.camera, np.eye(3))


@pytest.mark.parametrize(("gain", "added"), [(0.3, 0), (0.5, 100), (1.6, 0)])
def test_other_light_on_the_same_scene_is_no_cut(gain: float, added: float) -> None:
    meter = MotionEnergyMeter()
    scene = seen_from(60, 50)
    meter.measure(small_grey(scene))
    assert not meter.measure(small_grey(np.clip(gain * scene.astype(float) + added, 0, 255).astype(np.uint8))).is_cut


def test_upright_and_large_pictures_are_measured_in_the_same_grid() -> None:
    for size in ((640, 360), (720, 1280), (90, 120)):
        meter = MotionEnergyMeter()
        scene = photograph("china.jpg", size)
        meter.measure(small_grey(scene))
        changed = scene.copy()
        changed[: size[0] // 4, : size[1] // 4] = 255 - changed[: size[0] // 4, : size[1] // 4]
        level = meter.measure(small_grey(changed)).level
        assert level.shape == GRID
        assert level[:4, :8].mean() > 20 * level[6:, 10:].mean()


@pytest.mark.parametrize(
    "sizes", [[(1, 1), (1, 1)], [(16, 16), (16, 16)], [(300, 8), (300, 8)], [(90, 160), (160, 90)]]
)
def test_odd_pictures_are_measured_all_the_same(sizes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    meter = MotionEnergyMeter()
    for size in sizes:
        energy = meter.measure(small_grey(rng.integers(0, 256, (*size, 3), dtype=np.uint8)))
        assert np.isfinite(energy.level).all()
        assert np.isfinite(energy.camera).all()


def test_the_same_picture_again_is_frozen_and_a_noisy_one_is_not() -> None:
    rng = np.random.default_rng(5)
    meter = MotionEnergyMeter()
    picture = seen_from(60, 50)
    encoded = np.clip(picture + (rng.random(picture.shape) < 0.05), 0, 255).astype(np.uint8)
    noisy = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
    assert meter.measure(small_grey(picture)).is_frozen  # nothing is known yet
    assert meter.measure(small_grey(encoded)).is_frozen
    assert not meter.measure(small_grey(noisy)).is_frozen
    assert no_motion_energy().is_frozen
    assert no_motion_energy().level.max() == 0
    assert not no_motion_energy().is_cut
