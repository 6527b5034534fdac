"""Detector of instruments: evidence of each class at each place of a picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hearsight.nn.efficientnet_lite import STRIDE, EfficientNetLite0
from hearsight.vision.appearance import IMAGENET_INDICES
from hearsight.vision.frames import AnalysedPicture, Frame, lighter_on_the_right
from hearsight.vision.place_classifier import PlaceClassifier

FRAME_AREA = 448 * 800
_FEWEST = 3  # smallest number of strides of the shorter side
_OFF_CENTRE_PIXELS = 12
_MIDDLE_GREY = (127, 127, 127)


@dataclass(frozen=True)
class EvidenceMap:
    """Evidence of instruments in a picture.

    Attributes:
        evidence: evidence for each of `IMAGENET_INSTRUMENTS` around each place, 0 to 1; the sum over classes is at most
            1. `[rows, columns, 22]`
        x, y: positions of the columns and rows in the picture (0 to 1), from its left and upper edge to the opposite
            one.
    """

    evidence: Float[np.ndarray, "rows columns seen"]
    x: Float[np.ndarray, "columns"]
    y: Float[np.ndarray, "rows"]

    def mirrored(self) -> "EvidenceMap":
        """Evidence map of the mirrored picture."""
        return EvidenceMap(np.ascontiguousarray(self.evidence[:, ::-1]), np.ascontiguousarray(1 - self.x[::-1]), self.y)


class InstrumentDetector:
    """EfficientNet-Lite0's classifier at every place of a picture, after averaging features over 3 x 3 places.

    The softmax is taken over all 1000 classes of ImageNet, and only the instruments are returned: an object that
    resembles a curtain more than a cello is no cello. Pictures are scaled to about 448 x 800 pixels in all, with their
    own aspect ratio and sides of `32 n + 1`, for which the network's grid is its own mirror image.

    A position of that grid responds to a place about 12 pixels left of and above the centre of its convolutions: in
    training the padding was larger at the right and bottom, and the network has learned to compensate for that.
    Pictures are therefore shifted by 12 pixels. (Measured: objects pasted into photographs were found 12.1 +- 0.6
    pixels to the right of their position in the mirrored picture's grid, and 11.4 +- 1.4 below.)

    A mirrored clip gives exactly the mirrored evidence, although the network itself does not: every other picture is
    mirrored for the network. The first picture of a clip is mirrored if needed so that its lighter half is on the left,
    which is the same for a clip and its mirror image. Averaged over time this gives the mean over both orientations
    (with a third less evidence beside the instruments), at half its cost.

    A picture equivalent to the previous one (`AnalysedPicture`) is not analysed again.

    Args:
        network: an EfficientNet-Lite0; None for the published one.
        frame_area: pixels of the scaled picture. With 2.25 times as many, half of the instruments with a height of 12
            to 30 % of the picture are found, instead of a third.

    Attributes:
        detections: number of pictures that the network has analysed since the clip began.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(self, network: EfficientNetLite0 | None = None, frame_area: int = FRAME_AREA) -> None:
        self._classify = PlaceClassifier(network if network is not None else EfficientNetLite0.pretrained())
        self._area = frame_area
        self.forget()

    def forget(self) -> None:
        """Begin a new clip."""
        self._latest: EvidenceMap | None = None
        self._analysed = AnalysedPicture()
        self._begins_mirrored: bool | None = None
        self.detections = 0

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        """Evidence in a frame of a clip; reused if the picture has not changed."""
        if not self._analysed.shows(frame) or self._latest is None:
            self._latest = self._see(frame.rgb)
        return self._latest

    def _see(self, rgb: UInt8[np.ndarray, "height width 3"]) -> EvidenceMap:
        if self._begins_mirrored is None:
            self._begins_mirrored = lighter_on_the_right(rgb)
        mirrored = self._begins_mirrored
        if mirrored is None:  # a picture that is its own mirror image, such as a black one
            seen = self.see(rgb)
            return EvidenceMap((seen.evidence + seen.mirrored().evidence) / 2, seen.x, seen.y)
        if self.detections % 2:
            mirrored = not mirrored
        return self.see(rgb[:, ::-1]).mirrored() if mirrored else self.see(rgb)

    def see(self, rgb: UInt8[np.ndarray, "height width 3"]) -> EvidenceMap:
        """Evidence in a single picture, without mirroring and without reuse."""
        self.detections += 1
        height, width = network_size(rgb.shape[:2], self._area)
        picture = np.ascontiguousarray(rgb)
        if rgb.shape[:2] != (height, width):
            shrinks = height * width < rgb.shape[0] * rgb.shape[1]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
        edge = _OFF_CENTRE_PIXELS
        # Filled with the grey that is zero for the network, as in its convolutions' padding: stripes resemble a
        # marimba.
        picture = cv2.copyMakeBorder(picture[edge:, edge:], 0, edge, 0, edge, cv2.BORDER_CONSTANT, value=_MIDDLE_GREY)
        evidence = self._classify(picture)[..., list(IMAGENET_INDICES)]
        rows, columns = evidence.shape[:2]
        return EvidenceMap(evidence, _places(columns), _places(rows))


def network_size(size: tuple[int, int], area: int = FRAME_AREA) -> tuple[int, int]:
    """Size (height, width) of about `area` pixels with the aspect ratio of `size` and sides of `32 n + 1` pixels."""
    scale = (area / (size[0] * size[1])) ** 0.5
    rows, columns = (max(_FEWEST, round((side * scale - 1) / STRIDE)) for side in size)
    return rows * STRIDE + 1, columns * STRIDE + 1


def _places(count: int) -> Float[np.ndarray, "count"]:
    """Positions of the network's grid in the picture, 0 to 1: at the first pixel, every 32nd and the last."""
    pixels = (count - 1) * STRIDE + 1
    return (np.arange(count) * STRIDE + 0.5) / pixels
