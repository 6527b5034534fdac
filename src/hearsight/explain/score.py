"""Scores of a map against known boxes of the sounding objects.

Pointing game (Zhang et al., "Top-down neural attention by excitation backprop", 2018; here without their margin of 15
pixels): a map hits if its highest place is in a box. Among equally high places the share inside counts, so that a
constant map scores the boxes' share of the picture, which is chance.

Energy inside (Wang et al., "Score-CAM", 2020, section 4.3): sum of the map inside the boxes over its total sum. It is
the papers' "more compact" as a number. Negative heat counts as zero; a constant map scores the boxes' share again, and
so does one without heat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

Box = Sequence[float]  # left, top, right, bottom, in parts of the picture

_SIZE = (112, 224)  # rows and columns on which maps and boxes are compared


@dataclass(frozen=True)
class MapScore:
    """Scores of a map: `pointing` and `energy` from 0 to 1, and the boxes' share of the picture."""

    pointing: float
    energy: float
    area: float


def score_map(heat: Float[np.ndarray, "_rows _columns"], boxes: Sequence[Box]) -> MapScore:
    """Score a map of the whole picture, of any size, against the boxes of the sounding objects."""
    stretched = cv2.resize(np.asarray(heat, np.float32), _SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    positive = np.maximum(stretched, 0)
    inside = _inside(boxes)
    area = float(inside.mean())
    total = float(positive.sum(dtype=np.float64))
    # Rounding in the resize makes equally high places differ in the last bits.
    highest = stretched >= stretched.max() - 1e-6 * max(1e-30, float(np.abs(stretched).max()))
    energy = float(positive[inside].sum(dtype=np.float64)) / total if total > 0 else area
    return MapScore(float(inside[highest].mean()), energy, area)


def centre_prior() -> Float[np.ndarray, "rows columns"]:
    """Gaussian in the middle of the picture, with deviations of a quarter of its sides: a guess without analysis."""
    y, x = (np.linspace(-2, 2, side, dtype=np.float32) for side in _SIZE)
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2)


def _inside(boxes: Sequence[Box]) -> Bool[np.ndarray, "rows columns"]:
    rows, columns = ((np.arange(side) + 0.5) / side for side in _SIZE)
    mask = np.zeros(_SIZE, bool)
    for left, top, right, bottom in boxes:
        mask |= ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))[None]
    return mask
