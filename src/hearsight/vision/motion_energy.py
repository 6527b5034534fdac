"""Amount of motion at each place of the picture, beyond the camera's own motion."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from hearsight.vision.motion import GRID, CameraMeter

_BLUR_PIXELS = 1.0
_MISALIGNED_PIXELS = 0.8  # possible error of the camera's motion
_NOISES, _LEAST_GREY_LEVELS = 3.0, 1.0
_MEDIAN_ROWS = 4  # one in this number of rows is used for the median difference
_BORDER_PIXELS = 4
_FROZEN_GREY_LEVELS = 0.1  # mean change below which a picture is frozen: a camera's noise is larger


@dataclass(frozen=True)
class MotionEnergy:
    """Change between a picture and the previous one.

    Attributes:
        level: change in grey levels beyond noise and misalignment, mean of each cell. `[rows, columns]`
        camera: the camera's motion as the homography of positions (x, y in 0 to 1) from the previous picture to this
            one. `[3, 3]`
        is_cut: whether this is a new scene; `level` is then zero and `camera` the identity.
        is_frozen: whether this is the same picture except for its encoding, so that motion is unknown.
    """

    level: Float[np.ndarray, "rows columns"]
    camera: Float[np.ndarray, "3 3"]
    is_cut: bool = False
    is_frozen: bool = False


def no_motion_energy() -> MotionEnergy:
    """Energy for an unchanged picture."""
    return MotionEnergy(np.zeros(GRID, np.float32), np.eye(3), is_frozen=True)


def largest_shift(camera: Float[np.ndarray, "3 3"]) -> float:
    """Largest shift of the picture's corners by a camera motion, in fractions of width and height; NaN if undefined."""
    corners = np.array([(0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 1.0)])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = corners @ camera.T
        return float(np.abs(moved[:, :2] / moved[:, 2:] - corners[:, :2]).max())


class MotionEnergyMeter:
    """Compares each picture with the previous one, after compensating the camera's motion.

    Hands on a distant instrument move by fractions of a pixel, which is noise for optical flow, but they change grey
    levels. The measure is the difference to the previous picture, moved by the camera's homography (`CameraMeter`) and
    scaled to this picture's mean and contrast. It is reduced by the effect of a misalignment by 0.8 pixels on the
    picture's own gradients, and by three times the median difference, which is noise in all but the busiest pictures.
    """

    def __init__(self) -> None:
        self._meter = CameraMeter()
        self._before: Float[np.ndarray, "height width"] | None = None

    def measure(self, small: UInt8[np.ndarray, "rows columns"]) -> MotionEnergy:
        """Energy since the previous picture, given small and grey (`frames.small_grey`); none for the first picture."""
        if self._before is not None and self._before.shape != small.shape:  # pictures of another size
            self._meter, self._before = CameraMeter(), None
        camera, is_cut = self._meter.measure(small)
        grey = cv2.GaussianBlur(small.astype(np.float32), (0, 0), _BLUR_PIXELS)
        before, self._before = self._before, np.asarray(grey, np.float32)
        if before is None or is_cut:
            return MotionEnergy(np.zeros(GRID, np.float32), np.eye(3), is_cut, not is_cut)
        if float(cv2.absdiff(before, grey).mean()) < _FROZEN_GREY_LEVELS:
            return no_motion_energy()
        height, width = grey.shape
        to_pixels = np.diag([width, height, 1.0])
        homography = to_pixels @ camera @ np.linalg.inv(to_pixels)
        moved = cv2.warpPerspective(before, homography, (width, height), borderValue=np.nan)
        common = ~np.isnan(moved)
        change = np.abs(grey - _relit(moved, grey, common))
        some = change[::_MEDIAN_ROWS][common[::_MEDIAN_ROWS]]
        noise = float(np.median(some)) if some.size else 0.0
        gradient = cv2.magnitude(
            cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
        )
        explained = _MISALIGNED_PIXELS * cv2.blur(gradient, (5, 5)) + _NOISES * noise + _LEAST_GREY_LEVELS
        moving = np.maximum(change - explained, 0)
        inside = np.zeros_like(common)
        inside[_BORDER_PIXELS:-_BORDER_PIXELS, _BORDER_PIXELS:-_BORDER_PIXELS] = True
        moving[~(inside & common)] = 0
        level = cv2.resize(moving, GRID[::-1], interpolation=cv2.INTER_AREA)
        return MotionEnergy(np.asarray(level, np.float32), camera)


def _relit(
    moved: Float[np.ndarray, "height width"], grey: Float[np.ndarray, "height width"], common: NDArray[np.bool_]
) -> Float[np.ndarray, "height width"]:
    """The previous picture with the mean and contrast of this one, to compensate exposure and stage lights."""
    mask = common.astype(np.uint8)
    (before_mean,), (before_spread,) = cv2.meanStdDev(np.nan_to_num(moved), mask=mask)
    (mean,), (spread,) = cv2.meanStdDev(grey, mask=mask)
    gain = float(np.clip(spread[0] / max(before_spread[0], 1e-3), 0.5, 2.0))
    return np.asarray((moved - before_mean[0]) * gain + mean[0], np.float32)
