"""The half of the model that sees: where in the picture there is evidence of which instrument."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hearsight.nn.efficientnet_lite import STRIDE, EfficientNetLite0
from hearsight.vision.appearance import IMAGENET_INDICES
from hearsight.vision.frames import AnalysedPicture, Frame, lighter_on_the_right
from hearsight.vision.place_classifier import PlaceClassifier

FRAME_AREA = 448 * 800
_FEWEST = 3  # strides of the shorter side
_OFF_CENTRE_PIXELS = 12
_MIDDLE_GREY = (127, 127, 127)


@dataclass(frozen=True)
class EvidenceMap:
    """What the detector sees in a picture.

    Attributes:
        evidence: for each of `IMAGENET_INSTRUMENTS` around each place, 0 to 1, the classes' sum at most 1. `[rows,
            columns, 22]`
        x, y: where the columns and rows are in the picture (0 to 1), from its left and upper edge to the other.
    """

    evidence: Float[np.ndarray, "rows columns seen"]
    x: Float[np.ndarray, "columns"]
    y: Float[np.ndarray, "rows"]

    def mirrored(self) -> "EvidenceMap":
        """What the mirrored picture gives."""
        return EvidenceMap(np.ascontiguousarray(self.evidence[:, ::-1]), np.ascontiguousarray(1 - self.x[::-1]), self.y)


class InstrumentDetector:
    """EfficientNet-Lite0's classifier at every place of a picture, after averaging features over 3 x 3 places.

    The softmax is taken over all 1000 classes of ImageNet, of which the instruments' are given: what resembles more a
    curtain is no cello. Pictures are scaled to about 448 x 800 pixels in all, in their own shape, with sides of
    `32 n + 1`, on which the network's grid is its own mirror image.

    What a position of that grid responds to lies about 12 pixels left of and above the pixel that its convolutions are
    centred on: in training they were padded more right and below, and the network has learned to make up for that.
    Pictures are therefore moved by 12 pixels. (Measured: objects pasted into photographs were found 12.1 +- 0.6 pixels
    to the right of where they were found in the mirrored picture's grid, and 11.4 +- 1.4 below.)

    A mirrored clip gives exactly the mirrored evidence. The network itself does not: so it is shown every other picture
    mirrored, beginning with the orientation in which the clip's first picture has its lighter half on the left, which
    is the same for a clip and its mirror image. Averaged over time this gives what the mean over both orientations
    gives (a third less evidence beside the instruments), at half of its cost.

    A picture that is as good as the one before (`AnalysedPicture`) is not analysed again.

    Args:
        network: an EfficientNet-Lite0; None for the published one.
        frame_area: pixels of the scaled picture. 2.25 times as many find half of the instruments as high as 12 to 30 %
            of the picture instead of a third.

    Attributes:
        detections: how many pictures the network has seen since the clip began.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(self, network: EfficientNetLite0 | None = None, frame_area: int = FRAME_AREA) -> None:
        self._classify = PlaceClassifier(network if network is not None else EfficientNetLite0.pretrained())
        self._area = frame_area
        self.forget()

    def forget(self) -> None:
        """Begin another clip."""
        self._latest: EvidenceMap | None = None
        self._analysed = AnalysedPicture()
        self._begins_mirrored: bool | None = None
        self.detections = 0

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        """The evidence in a frame of a clip, from memory if the picture has not changed."""
        if not self._analysed.shows(frame) or self._latest is None:
            self._latest = self._see(frame.rgb)
        return self._latest

    def _see(self, rgb: UInt8[np.ndarray, "height width 3"]) -> EvidenceMap:
        if self._begins_mirrored is None:
            self._begins_mirrored = lighter_on_the_right(rgb)
        mirrored = self._begins_mirrored
        if mirrored is None:  # a picture that is its own mirror image, such as black
            seen = self.see(rgb)
            return EvidenceMap((seen.evidence + seen.mirrored().evidence) / 2, seen.x, seen.y)
        if self.detections % 2:
            mirrored = not mirrored
        return self.see(rgb[:, ::-1]).mirrored() if mirrored else self.see(rgb)

    def see(self, rgb: UInt8[np.ndarray, "height width 3"]) -> EvidenceMap:
        """The evidence in a single picture as it is, neither mirrored nor remembered."""
        self.detections += 1
        height, width = network_size(rgb.shape[:2], self._area)
        picture = np.ascontiguousarray(rgb)
        if rgb.shape[:2] != (height, width):
            shrinks = height * width < rgb.shape[0] * rgb.shape[1]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
        edge = _OFF_CENTRE_PIXELS
        # Filled with the grey that is zero to the network, as its convolutions pad: stripes would resemble a marimba.
        picture = cv2.copyMakeBorder(picture[edge:, edge:], 0, edge, 0, edge, cv2.BORDER_CONSTANT, value=_MIDDLE_GREY)
        evidence = self._classify(picture)[list(IMAGENET_INDICES)].transpose(1, 2, 0)
        rows, columns = evidence.shape[:2]
        return EvidenceMap(evidence, _places(columns), _places(rows))


def network_size(size: tuple[int, int], area: int = FRAME_AREA) -> tuple[int, int]:
    """(height, width) of about `area` pixels in the shape of `size`, with sides of `32 n + 1` pixels."""
    scale = (area / (size[0] * size[1])) ** 0.5
    rows, columns = (max(_FEWEST, round((side * scale - 1) / STRIDE)) for side in size)
    return rows * STRIDE + 1, columns * STRIDE + 1


def _places(count: int) -> Float[np.ndarray, "count"]:
    """Where the network's positions are in the picture, 0 to 1: on the first pixel, every 32nd and the last."""
    pixels = (count - 1) * STRIDE + 1
    return (np.arange(count) * STRIDE + 0.5) / pixels
