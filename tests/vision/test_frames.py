"""Copies of pictures on which motion and repeated pictures are found."""

import cv2
import numpy as np
import pytest

from hearsight.vision.frames import AnalysedPicture, Frame


def picture(levels: int = 0) -> np.ndarray:
    rgb = np.random.default_rng(0).integers(50, 200, (360, 640, 3), dtype=np.uint8)
    return cv2.GaussianBlur(rgb, (0, 0), 5) + np.uint8(levels)


def test_the_grey_copy_of_a_frame_is_made_once_for_all_that_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    converted = cv2.cvtColor

    def counted(rgb: np.ndarray, code: int) -> np.ndarray:
        made.append(rgb.shape)
        return converted(rgb, code)

    monkeypatch.setattr(cv2, "cvtColor", counted)
    frame = Frame(0.0, 0, picture())
    assert not AnalysedPicture().shows(frame)
    assert not AnalysedPicture().shows(frame)
    assert frame.small_grey.shape == (180, 320)
    assert made == [frame.rgb.shape]


def test_a_picture_that_differs_by_one_grey_level_is_the_same_and_by_more_is_not() -> None:
    analysed = AnalysedPicture()
    assert not analysed.shows(Frame(0.0, 0, picture()))
    assert analysed.shows(Frame(0.5, 0, picture(9)))  # the number says that it is equal
    assert analysed.shows(Frame(1.0, 1, picture(1)))
    assert not analysed.shows(Frame(1.5, 2, picture(4)))
    assert analysed.shows(Frame(2.0, 3, picture(4)))
