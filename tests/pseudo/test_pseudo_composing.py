"""Laying patches on backgrounds."""

import cv2
import numpy as np
import pytest
from error_codes import coded

from hearsight.errors import DataError, MediaError
from hearsight.pseudo.composing import Backgrounds, Rectangle, blended, lay, resized

RANDOM = np.random.default_rng(3)


def smooth(height, width, low=60, high=200, detail=3.0):
    noise = cv2.GaussianBlur(RANDOM.uniform(0, 1, (height, width, 3)).astype(np.float32), (0, 0), detail)
    return (low + (high - low) * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)


PLACES = [
    Rectangle(60, 30, 80, 100),
    Rectangle(0, 0, 81, 101),
    Rectangle(399, 140, 81, 100),
    Rectangle(100, 0, 240, 240),
]


@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_outside_of_the_place_changes_nor_the_input(place, poisson):
    canvas, patch = smooth(240, 480), smooth(place.height, place.width)
    before = canvas.copy()
    laid = lay(canvas, patch, place, poisson)
    outside = np.ones((240, 480), bool)
    outside[place.top : place.top + place.height, place.left : place.left + place.width] = False
    assert np.array_equal(laid[outside], canvas[outside])
    assert np.array_equal(canvas, before)
    assert not np.array_equal(laid, canvas)


@pytest.mark.parametrize("place", PLACES)
def test_pasting_puts_the_very_pixels_there(place):
    patch = smooth(place.height, place.width)
    laid = lay(np.zeros((240, 480, 3), np.uint8), patch, place, poisson=False)
    assert np.array_equal(laid[place.top : place.top + place.height, place.left : place.left + place.width], patch)


@pytest.mark.parametrize("place", PLACES)
def test_poisson_blending_keeps_the_patchs_gradients_in_its_place(place):
    """Not one pixel beside it: the correlation is far lower there."""
    patch = smooth(place.height, place.width, 60, 190)
    laid = lay(smooth(240, 480, 115, 135), patch, place, poisson=True).astype(float)
    truth = np.diff(patch.astype(float), axis=1)[8:-8, 8:-8]

    def correlation(dy, dx):
        inside = np.diff(laid, axis=1)[place.top + 8 + dy :, place.left + 8 + dx :]
        return np.corrcoef(inside[: truth.shape[0], : truth.shape[1]].ravel(), truth.ravel())[0, 1]

    here = correlation(0, 0)
    assert here > 0.95
    assert all(correlation(dy, dx) < here - 0.02 for dy, dx in [(0, 1), (1, 0), (0, -1), (-1, 0)])


def test_poisson_blending_takes_the_level_from_around():
    """A patch with a uniform offset comes out as if it had none (Perez et al., equation 3)."""
    canvas, patch = smooth(240, 480, 100, 130), smooth(100, 120, 80, 120)
    place = Rectangle(100, 60, 120, 100)
    plain, lighter = (lay(canvas, patch + np.uint8(offset), place, poisson=True).astype(int) for offset in (0, 60))
    assert np.abs(plain - lighter).max() <= 3


@pytest.mark.parametrize("place", PLACES)
def test_blending_agrees_with_opencvs(place):
    """`seamlessClone` leaves a ring of two pixels out and rounds on its way; inside, both solve the same equation."""
    canvas, patch = smooth(240, 480, 90, 160, 30.0), smooth(place.height, place.width, 110, 150, 12.0)
    wide = cv2.copyMakeBorder(canvas, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    centre = (place.left + 2 + place.width // 2, place.top + 2 + place.height // 2)
    mask = np.full(patch.shape[:2], 255, np.uint8)
    theirs = cv2.seamlessClone(patch, wide, mask, centre, cv2.NORMAL_CLONE)[2:-2, 2:-2].astype(int)
    difference = np.abs(lay(canvas, patch, place, poisson=True) - theirs)
    assert difference.mean() < 1.5 and difference.max() <= 6


def test_a_patch_cut_from_the_canvas_blends_back_to_itself():
    canvas = smooth(120, 200, detail=15.0)
    place = Rectangle(30, 20, 61, 47)
    patch = canvas[20:67, 30:91]
    flat = np.full_like(canvas, 77)
    assert np.abs(blended(canvas, patch, place).astype(int) - patch).max() <= 6  # gradients over the edge are gone
    assert (blended(flat, np.full((47, 61, 3), 200, np.uint8), place) == 77).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7)])
def test_tiny_patches_blend_too(size):
    canvas = smooth(20, 40)
    laid = lay(canvas, np.full((*size, 3), 250, np.uint8), Rectangle(1, 2, size[1], size[0]), poisson=True)
    assert np.abs(laid.astype(int) - canvas).max() < 80


@pytest.mark.parametrize(
    "place", [Rectangle(-1, 0, 5, 5), Rectangle(36, 0, 5, 5), Rectangle(0, 16, 5, 5), Rectangle(0, 0, 0, 5)]
)
def test_a_place_outside_of_the_canvas_is_an_error(place):
    with pytest.raises(ValueError, match="canvas"):
        lay(np.zeros((20, 40, 3), np.uint8), np.zeros((5, 5, 3), np.uint8), place, poisson=False)


def test_resizing_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.ptp(resized(stripes, (16, 16))) <= 1  # plain sampling would give 0 or 200
    assert resized(stripes, (64, 64)) is not None and np.array_equal(resized(stripes, (64, 64)), stripes)


def test_backgrounds_are_cropped_without_distortion(tmp_path):
    picture = np.zeros((300, 1000, 3), np.uint8)
    picture[:, :, 0] = (np.arange(1000) // 4)[None]  # RGB: red is the column, green the row
    picture[:, :, 1] = (np.arange(300) // 2)[:, None]
    cv2.imwrite(str(tmp_path / "b.png"), picture[..., ::-1])
    backgrounds = Backgrounds(tmp_path)
    left = backgrounds.crop("b.png", (240, 480), zoom=1.0, x=0.0, y=0.0)
    right = backgrounds.crop("b.png", (240, 480), zoom=1.0, x=1.0, y=1.0)
    assert left.shape == right.shape == (240, 480, 3)
    assert left[0, 0, 0] <= 1 and abs(int(left[0, -1, 0]) - 149) <= 2  # 600 of 1000 columns
    assert abs(int(right[0, 0, 0]) - 100) <= 2 and abs(int(right[-1, -1, 1]) - 149) <= 2
    zoomed = backgrounds.crop("b.png", (240, 480), zoom=2.0, x=0.0, y=0.0)
    assert abs(int(zoomed[0, -1, 0]) - 75) <= 2


def test_backgrounds_that_cannot_be_used_are_one_clear_line(tmp_path):
    with pytest.raises(DataError, check=coded("missing")):
        Backgrounds(tmp_path / "missing")
    with pytest.raises(DataError, match=r"\.png", check=coded("missing")):
        Backgrounds(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(MediaError, check=coded("unreadable")):
        Backgrounds(tmp_path).crop("broken.jpg", (240, 480), 1.0, 0.5, 0.5)
