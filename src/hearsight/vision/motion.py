"""Motion of objects in the picture, with the camera's own motion removed."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Real, UInt8

GRID = (18, 32)  # rows and columns of the cells in which motion is averaged
_SAMPLED_EVERY = 12  # distance in pixels of the points that the camera's motion is fitted to
_INLIER_PIXELS = 0.7
_BORDER_PIXELS = 4
_STILL_PIXELS = 0.15  # per frame: the noise of the optical flow
# A cut: fewer points agree on the camera's motion, and the pictures, moved by the flow, correlate less and differ more.
_CUT_INLIERS, _CUT_CORRELATION, _CUT_GREY_LEVELS = 0.5, 0.8, 10.0
_CORRELATED_ROWS = 4  # one in this number of rows is correlated


@dataclass(frozen=True)
class Motion:
    """Motion between a picture and the previous one.

    Attributes:
        speed: speed of objects, in picture widths per second, mean of each cell. `[rows, columns]`
        velocity: the same as vectors (right, down); opposite motions within a cell cancel. `[rows, columns, 2]`
        camera: the camera's motion as the homography of positions (x, y in 0 to 1) from the previous picture to this
            one. `[3, 3]`
        is_cut: whether this is a new scene; `speed` is then zero and `camera` the identity.
    """

    speed: Float[np.ndarray, "rows columns"]
    velocity: Float[np.ndarray, "rows columns 2"]
    camera: Float[np.ndarray, "3 3"]
    is_cut: bool


def still(is_cut: bool = False) -> Motion:
    """No motion."""
    return Motion(np.zeros(GRID, np.float32), np.zeros((*GRID, 2), np.float32), np.eye(3), is_cut)


class _Flow(NamedTuple):
    """Optical flow from the previous picture, and the camera's motion as a homography of pixels."""

    vectors: Float[np.ndarray, "height width 2"]
    camera: Float[np.ndarray, "3 3"]
    is_cut: bool


class CameraMeter:
    """Measures the camera's motion from picture to picture of a stream.

    The optical flow is dense (DIS: Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016). The
    camera's motion is the homography that most of a grid of flow vectors agree on (RANSAC; exact for a turning camera).
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: UInt8[np.ndarray, "height width"] | None = None

    def measure(self, grey: UInt8[np.ndarray, "height width"]) -> tuple[Float[np.ndarray, "3 3"], bool]:
        """`camera` and `is_cut` of `Motion` since the previous picture; the identity and False for the first one."""
        flow = self.flow(grey)
        if flow is None or flow.is_cut:
            return np.eye(3), flow is not None
        return _of_positions(flow.camera, grey.shape), False

    def flow(self, grey: UInt8[np.ndarray, "height width"]) -> _Flow | None:
        """Flow since the previous picture; None for the first one."""
        before, self._before = self._before, grey
        if before is None:
            return None
        vectors = self._flow.calc(before, grey, np.zeros((*grey.shape, 2), np.float32))
        camera, inliers = _camera(vectors)
        is_cut = False
        if inliers < _CUT_INLIERS:
            landed = cv2.add(_positions(*grey.shape), vectors)
            warped = cv2.remap(grey, landed, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            is_other = correlation(warped, before) < _CUT_CORRELATION
            is_cut = is_other and float(cv2.absdiff(warped, before).mean()) > _CUT_GREY_LEVELS
        return _Flow(vectors, camera, is_cut)


class MotionMeter:
    """Measures motion from picture to picture of a stream.

    Any difference of the optical flow from the camera's motion (`CameraMeter`) beyond the flow's noise is motion of an
    object. A residue common to most of the picture is treated as camera motion that is no homography (parallax, rolling
    shutter) and removed too.
    """

    def __init__(self) -> None:
        self._camera = CameraMeter()

    def measure(self, picture: UInt8[np.ndarray, "height width channels"], interval_s: float) -> Motion:
        """Motion since the previous picture, `interval_s` seconds earlier; zero for the first picture.

        Pictures are RGB, or grey with a single channel.
        """
        grey = picture[..., 0] if picture.shape[-1] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        flow = self._camera.flow(np.ascontiguousarray(grey, np.uint8))
        if flow is None or flow.is_cut:
            return still(is_cut=flow is not None)
        height, width = grey.shape
        start = _positions(height, width)
        landed = cv2.add(start, flow.vectors)
        right, down = cv2.split(cv2.subtract(landed, cv2.perspectiveTransform(start, flow.camera)))
        pixels = cv2.magnitude(right, down)
        # Objects that leave the picture have no measurable flow.
        last = [float(np.nextafter(np.float32(side - _BORDER_PIXELS), np.float32(0))) for side in (width, height)]
        inside = cv2.inRange(landed, (_BORDER_PIXELS, _BORDER_PIXELS), tuple(last))
        moving = np.maximum(pixels - np.float32(_STILL_PIXELS), np.float32(0))
        moving[inside == 0] = 0
        cells = cv2.resize(moving, GRID[::-1], interpolation=cv2.INTER_AREA)
        share = moving / np.maximum(pixels, np.float32(1e-6))
        vectors = np.stack(
            [cv2.resize(part * share, GRID[::-1], interpolation=cv2.INTER_AREA) for part in (right, down)], -1
        )
        common = np.median(cells)
        vectors *= (np.maximum(cells - common, 0) / np.maximum(cells, 1e-6))[..., None]
        cells = np.maximum(cells - common, 0)
        scale = 1 / (width * interval_s)
        return Motion(cells * scale, vectors * scale, _of_positions(flow.camera, grey.shape), False)


def _of_positions(camera: Float[np.ndarray, "3 3"], size: tuple[int, ...]) -> Float[np.ndarray, "3 3"]:
    """Homography of positions (0 to 1) for one of pixels, in a picture of this height and width."""
    height, width = size
    return np.asarray(np.diag([1 / width, 1 / height, 1]) @ camera @ np.diag([width, height, 1]))


def correlation(one: Real[np.ndarray, "height width"], other: Real[np.ndarray, "height width"]) -> float:
    """Correlation of some rows of two pictures, which other light hardly changes; 0 if one of them is even."""
    first, second = (np.ascontiguousarray(picture[::_CORRELATED_ROWS], np.float32) for picture in (one, other))
    return float(cv2.matchTemplate(first, second, cv2.TM_CCOEFF_NORMED)[0, 0])


@functools.lru_cache(maxsize=4)
def _positions(height: int, width: int) -> Float[np.ndarray, "height width 2"]:
    """Column and row of each pixel."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)


def _camera(flow: Float[np.ndarray, "height width 2"]) -> tuple[Float[np.ndarray, "3 3"], float]:
    """Homography in pixels that most flow vectors agree on, and the share of them that do."""
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[
        _SAMPLED_EVERY // 2 : height : _SAMPLED_EVERY, _SAMPLED_EVERY // 2 : width : _SAMPLED_EVERY
    ]
    start = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    moved = flow[rows, columns].reshape(-1, 2)
    matrix, inliers = cv2.findHomography(
        start, start + moved, cv2.RANSAC, ransacReprojThreshold=_INLIER_PIXELS, maxIters=300
    )
    if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 0.1:
        return np.eye(3), 0.0
    return matrix, float(inliers.mean())
