"""Pictures of a clip, in colour and as small grey copies."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SMALL_AREA = 180 * 320  # pixels of the small grey copies in which motion is measured
_LEAST_SMALL_SIDE = 48  # pixels
_COMPARED = (64, 36)  # columns and rows of the copy that is compared for changes
_SAME_GREY_LEVELS = 1


@dataclass(frozen=True)
class Frame:
    """Picture of the clip, in colour, or with one grey channel if that suffices.

    `number` counts distinct pictures: two frames with the same number have equal pixels. `depth`, in metres, is only
    known in simulated sets.
    """

    time_s: float
    number: int
    rgb: UInt8[np.ndarray, "height width channels"]
    depth: Float[np.ndarray, "depth_height depth_width"] | None = None

    @cached_property
    def small_grey(self) -> UInt8[np.ndarray, "rows columns"]:
        """Grey copy of about 180 x 320 pixels, made once for all that measure on it."""
        return small_grey(self.rgb)


@dataclass(frozen=True)
class SmallFrame:
    """Small grey copy of a picture of the clip, at some times with the colour picture; `number` as in `Frame`."""

    time_s: float
    number: int
    grey: UInt8[np.ndarray, "rows columns"]
    rgb: UInt8[np.ndarray, "height width 3"] | None = None


@dataclass(frozen=True)
class PictureArea:
    """Frame size with the picture's aspect ratio, about `pixels` pixels, and sides that are multiples of 32."""

    pixels: int

    def size_of(self, displayed: tuple[int, int]) -> tuple[int, int]:
        """Frame size (height, width) in pixels for a picture that is displayed at this size."""
        scale = (self.pixels / (displayed[0] * displayed[1])) ** 0.5
        height, width = (max(1, round(side * scale / 32)) * 32 for side in displayed)
        return height, width


@dataclass(frozen=True)
class SmallCopies:
    """Small grey copies of the pictures of a clip, as `SmallFrame`s.

    Attributes:
        pixels: approximate number of pixels; not more than the picture has, but no side below 48.
        colours_every: one in this number of copies has the colour picture too.
    """

    pixels: int
    colours_every: int = 1

    def size_of(self, displayed: tuple[int, int]) -> tuple[int, int]:
        """Size (height, width) in pixels of the copy of a picture that is displayed at this size."""
        scale = min(1.0, (self.pixels / (displayed[0] * displayed[1])) ** 0.5)
        height, width = (max(_LEAST_SMALL_SIDE, round(side * scale)) for side in displayed)
        return height, width


def small_grey(rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "rows columns"]:
    """Grey copy of about 180 x 320 pixels for measuring motion."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    height, width = SmallCopies(SMALL_AREA).size_of(grey.shape[:2])
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class AnalysedPicture:
    """The picture of a clip that was analysed last, to check whether another one is equivalent."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._small: UInt8[np.ndarray, "rows columns"] | None = None

    def shows(self, frame: Frame) -> bool:
        """Whether a frame has the same `number`, or differs by at most one grey level anywhere in a small copy.

        If not, the frame becomes the analysed picture.
        """
        if self._small is not None and frame.number == self._number:
            return True
        self._number = frame.number
        small = np.asarray(cv2.resize(frame.small_grey, _COMPARED, interpolation=cv2.INTER_AREA), np.uint8)
        if self._small is not None and int(cv2.absdiff(small, self._small).max()) <= _SAME_GREY_LEVELS:
            return True
        self._small = small
        return False


def lighter_on_the_right(rgb: UInt8[np.ndarray, "height width 3"]) -> bool | None:
    """Whether the right half is lighter than the left; None for a picture that is its own mirror image.

    The sums are integers, so that a mirrored picture gives exactly the opposite.
    """
    columns = rgb.sum((0, 2), dtype=np.int64)
    half = len(columns) // 2
    left, right = int(columns[:half].sum()), int(columns[len(columns) - half :].sum())
    if left != right:
        return right > left
    difference = (rgb.astype(np.int16) - rgb[:, ::-1]).ravel()
    first = int(np.argmax(difference != 0))
    return None if difference[first] == 0 else bool(difference[first] < 0)
