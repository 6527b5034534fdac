"""Pose network: people in a picture, with their boxes and joints."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

WEIGHTS = Path(__file__).parent / "data" / "movenet_multipose.onnx"
KEYPOINTS = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle",
)  # fmt: skip
MIRRORED_KEYPOINTS = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)  # index in a mirrored picture
STRIDE = 32  # the sides of the network's input are multiples of it

_PEOPLE = 6
_NEIGHBOURS = 5  # size of the neighbourhood in which a centre is the maximum, in rows and columns
_SPREAD = 0.3  # variance of a keypoint's position around its regression, relative to the shorter side of the maps
_LEAST_KEYPOINT = 0.127  # smallest score of a keypoint that counts in a person's score


@dataclass(frozen=True)
class People:
    """People in a picture, six at most; positions are fractions of the picture's width and height.

    Attributes:
        score: score from 0 to 1. `[people]`
        box: left, top, right, bottom. `[people, 4]`
        keypoints: x and y of each of `KEYPOINTS`. `[people, 17, 2]`
        keypoint_score: score from 0 to 1. `[people, 17]`
    """

    score: Float[np.ndarray, "people"]
    box: Float[np.ndarray, "people 4"]
    keypoints: Float[np.ndarray, "people 17 2"]
    keypoint_score: Float[np.ndarray, "people 17"]

    def __len__(self) -> int:
        return len(self.score)

    def chosen(self, which: "np.ndarray | list[int]") -> "People":
        """Select some of the people, by index or mask."""
        return People(self.score[which], self.box[which], self.keypoints[which], self.keypoint_score[which])

    def mirrored(self) -> "People":
        """The same people in the mirrored picture."""
        box = np.stack([1 - self.box[:, 2], self.box[:, 1], 1 - self.box[:, 0], self.box[:, 3]], -1)
        places = self.keypoints[:, MIRRORED_KEYPOINTS] * (-1, 1) + (1, 0)
        return People(self.score, box, places, self.keypoint_score[:, MIRRORED_KEYPOINTS])


class PoseNetwork:
    """MoveNet MultiPose Lightning: a MobileNetV2 with a feature pyramid and heads for centres, boxes and keypoints.

    Weights and graph are those of Google's published model (Apache-2.0; `data/README.md`), computed by ONNX Runtime on
    one core. Decoding the heads' maps follows the published graph: people are local maxima of the centre map; each
    keypoint is the largest value of its map within the person's box, weighted with a Gaussian around the position that
    the centre's regression gives.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(WEIGHTS), options, providers=["CPUExecutionProvider"])

    def __call__(self, rgb: UInt8[np.ndarray, "height width 3"]) -> People:
        """People in a picture, by decreasing centre score; always six, of which those with a low score are no people.

        Raises:
            ValueError: a side of the picture is not a multiple of 32.
        """
        if rgb.shape[0] % STRIDE or rgb.shape[1] % STRIDE:
            raise ValueError(f"sides are multiples of {STRIDE} pixels, not {rgb.shape[1]} x {rgb.shape[0]}")
        centre, size, offset, keypoint, regression, keypoint_offset = self._session.run(
            None, {"picture": np.ascontiguousarray(rgb)[None]}
        )
        return _decoded(centre[0, 0], size[0], offset[0], keypoint[0], regression[0], keypoint_offset[0])


def _decoded(
    centre: Float[np.ndarray, "rows columns"],
    size: Float[np.ndarray, "2 rows columns"],
    offset: Float[np.ndarray, "2 rows columns"],
    keypoint: Float[np.ndarray, "17 rows columns"],
    regression: Float[np.ndarray, "34 rows columns"],
    keypoint_offset: Float[np.ndarray, "34 rows columns"],
) -> People:
    """Decode the heads' maps, whose values are in cells of the maps, to people."""
    rows, columns = centre.shape
    shape = np.array([rows, columns], np.float32)
    around = cv2.dilate(centre, np.ones((_NEIGHBOURS, _NEIGHBOURS), np.uint8))
    peaks = np.where(np.abs(centre - around) < 1e-6, centre, 0).ravel()
    best = np.argsort(-peaks, kind="stable")[:_PEOPLE]
    row, column = np.divmod(best, columns)
    middle = np.stack([row, column], -1).astype(np.float32)
    half = np.maximum(size[:, row, column].T, 0) / 2
    upper = np.clip(middle + offset[:, row, column].T - half, 0, shape)
    lower = np.clip(middle + offset[:, row, column].T + half, 0, shape)
    expected = middle[:, None] + regression[:, row, column].T.reshape(len(best), 17, 2)
    down, across = _cells(rows, columns)
    variance = np.float32(_SPREAD * min(rows, columns))
    # The Gaussian is a product of one over rows and one over columns; outside the person's box it is zero.
    by_row = np.exp(-((down - expected[..., :1]) ** 2) / variance)
    by_row *= ((down >= upper[:, :1]) & (down < lower[:, :1]))[:, None]
    by_column = np.exp(-((across - expected[..., 1:]) ** 2) / variance)
    by_column *= ((across >= upper[:, 1:]) & (across < lower[:, 1:]))[:, None]
    which = np.arange(17)
    at = np.stack(
        [
            (keypoint * rows_of[:, :, None] * columns_of[:, None]).reshape(17, -1).argmax(1)
            for rows_of, columns_of in zip(by_row, by_column, strict=True)
        ]
    )
    at_row, at_column = np.divmod(at, columns)
    # As in the published graph: if two people share a keypoint, its score is the larger one.
    bells = by_row[:, which, at_row] * by_column[:, which, at_column]  # `[people, people of the position, 17]`
    scores = keypoint[which, at_row, at_column] * bells.max(0)
    moved = keypoint_offset.reshape(17, 2, rows, columns)[which, :, at_row, at_column]
    places = (np.stack([at_row, at_column], -1) + moved) / shape
    counted = scores > _LEAST_KEYPOINT
    score = peaks[best] * (scores * counted).sum(1) / np.maximum(counted.sum(1), 1)
    box = np.concatenate([upper / shape, lower / shape], -1)[:, [1, 0, 3, 2]]
    return People(score, box, places[..., ::-1].copy(), scores)


@lru_cache(maxsize=4)
def _cells(rows: int, columns: int) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "columns"]]:
    return np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
