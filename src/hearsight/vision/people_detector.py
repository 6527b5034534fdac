"""Detector of people in the pictures of a clip, of any shape, including small people."""

import itertools

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hearsight.vision.frames import AnalysedPicture, Frame, lighter_on_the_right
from hearsight.vision.pose import STRIDE, People, PoseNetwork

LEAST_SCORE = 0.2  # smallest score of a person
KNOWN_SCORE = 0.12  # smallest score of a known person: scores are low for a face that fills the picture
PEOPLE_AREA = 256 * 512  # pixels of the network's input
_TILE = 0.6  # share of the picture's sides; neighbours overlap by a fifth
_SMALL = 0.3  # share of the picture's height: if people are smaller, others may be too small to be detected
_OVERLAP = 0.4  # intersection over union from which two detections are one person


class PeopleDetector:
    """`PoseNetwork` on pictures of any shape, scaled to about 512 x 256 pixels in all.

    If the detected people are small, or none is detected, four overlapping tiles are searched too, at 1.7 times the
    scale. A picture equivalent to the previous one (`AnalysedPicture`) is not analysed again.

    A mirrored clip gives exactly the mirrored people, although the network itself does not: a clip whose first picture
    has its lighter half on the right is mirrored for the network.

    Args:
        network: pose network; None for the published one.
    """

    def __init__(self, network: PoseNetwork | None = None) -> None:
        self._network = network if network is not None else PoseNetwork()
        self.forget()

    def forget(self) -> None:
        """Begin a new clip."""
        self._is_mirrored: bool | None = None
        self._analysed = AnalysedPicture()
        self._latest: People | None = None
        self._searched_in_tiles = False

    def detect(self, frame: Frame, in_tiles: bool = False) -> People:
        """People in a frame of a clip, by decreasing score. A score below 0.2 is only reliable for known people.

        Args:
            frame: frame of the clip.
            in_tiles: also search in tiles, if the detected people are small or none is detected.
        """
        is_same = self._analysed.shows(frame)
        if is_same and self._latest is not None and (self._searched_in_tiles or not in_tiles):
            return self._latest
        if self._is_mirrored is None:
            self._is_mirrored = lighter_on_the_right(frame.rgb)
        rgb = np.ascontiguousarray(frame.rgb[:, ::-1] if self._is_mirrored else frame.rgb)
        people = self._seen(rgb)
        sure = people.chosen(people.score > LEAST_SCORE)
        if in_tiles and (len(sure) == 0 or float((sure.box[:, 3] - sure.box[:, 1]).max()) < _SMALL):
            people = _distinct([people, *self._of_tiles(rgb)])
        self._latest, self._searched_in_tiles = people.mirrored() if self._is_mirrored else people, in_tiles
        return self._latest

    def _seen(self, rgb: UInt8[np.ndarray, "height width 3"]) -> People:
        height, width = _network_size(rgb.shape[:2])
        shrinks = height * width < rgb.shape[0] * rgb.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        people = self._network(np.asarray(cv2.resize(rgb, (width, height), interpolation=method), np.uint8))
        return _distinct([people.chosen(people.score > KNOWN_SCORE)])

    def _of_tiles(self, rgb: UInt8[np.ndarray, "height width 3"]) -> list[People]:
        height, width = rgb.shape[:2]
        rows, columns = round(_TILE * height), round(_TILE * width)
        found = []
        for top, left in itertools.product((0, height - rows), (0, width - columns)):
            people = self._seen(np.ascontiguousarray(rgb[top : top + rows, left : left + columns]))
            scale = np.array([columns / width, rows / height])
            shift = np.array([left / width, top / height])
            cut = (people.box[:, 0] < 0.01) & (left > 0) | (people.box[:, 2] > 0.99) & (left == 0)
            cut |= (people.box[:, 1] < 0.01) & (top > 0) | (people.box[:, 3] > 0.99) & (top == 0)
            box = people.box * np.tile(scale, 2) + np.tile(shift, 2)
            moved = People(people.score, box, people.keypoints * scale + shift, people.keypoint_score)
            found.append(moved.chosen(~cut))
        return found


def _network_size(size: tuple[int, int]) -> tuple[int, int]:
    """Size (height, width) of about 131,072 pixels with the aspect ratio of `size` and sides that are multiples of
    32."""
    scale = (PEOPLE_AREA / (size[0] * size[1])) ** 0.5
    height, width = (max(3, round(side * scale / STRIDE)) * STRIDE for side in size)
    return height, width


def _distinct(found: list[People]) -> People:
    """All detected people, without overlapping detections of lower score."""
    everyone = People(
        *(np.concatenate([getattr(people, name) for people in found]) for name in People.__dataclass_fields__)
    )
    kept: list[int] = []
    for index in np.argsort(-everyone.score, kind="stable"):
        if all(_overlap(everyone.box[index], everyone.box[other]) < _OVERLAP for other in kept):
            kept.append(int(index))
    return everyone.chosen(kept)


def _overlap(one: Float[np.ndarray, "4"], other: Float[np.ndarray, "4"]) -> float:
    """Intersection over union."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(np.maximum(box[2:] - box[:2], 0))) for box in (one, other)]
    return common / max(sum(areas) - common, 1e-9)
