"""Peaks of evidence in a picture: one for each visible object, whatever its class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap

# Classes that the network confuses: evidence is summed within a group before the search for peaks.
_CONFUSED = (
    ("grand piano", "upright piano", "organ"),
    ("cello", "violin"),
    ("acoustic guitar", "electric guitar", "banjo"),
    ("drum", "drumstick", "steel drum", "marimba"),
    ("cornet", "trombone", "French horn", "saxophone"),
    ("flute", "oboe", "bassoon"),
    ("accordion", "harmonica"),
    ("harp",),
)
_GROUPS = tuple(np.array([IMAGENET_INSTRUMENTS.index(name) for name in group]) for group in _CONFUSED)
_VALLEY = 0.6  # a peak next to a higher one counts if the evidence between them falls below this share of it
_OUTLINE = 0.5  # an object's outline is where the evidence is at least this share of its peak
_SAME_CELLS = 1.6  # peaks of different groups within this distance are one object
_DOUBTFUL = 0.35  # also if farther apart, if their outlines touch and the weaker peak is at most this strong


def likeliest_class(evidence: Float[np.ndarray, "seen"]) -> str:
    """Most likely class: the strongest class of the group of confusable classes with the most evidence."""
    group = max(_GROUPS, key=lambda group: float(evidence[group].sum()))
    return IMAGENET_INSTRUMENTS[int(group[np.argmax(evidence[group])])]


@dataclass(frozen=True)
class Peak:
    """Object in a picture.

    Attributes:
        x, y: centre of its evidence, 0 to 1.
        width, height: size of its outline, in fractions of the picture's size.
        strength: largest evidence for any instrument within its outline, 0 to 1.
        shares: shares of `IMAGENET_INSTRUMENTS` in the evidence within its outline; they sum to 1. `[22]`
    """

    x: float
    y: float
    width: float
    height: float
    strength: float
    shares: Float[np.ndarray, "seen"]


@dataclass
class _Region:
    cells: Float[np.ndarray, "cells 2"]  # rows and columns
    weights: Float[np.ndarray, "cells"]

    @property
    def peak(self) -> float:
        return float(self.weights.max())

    @property
    def centre(self) -> Float[np.ndarray, "2"]:
        return np.asarray(self.weights @ self.cells / self.weights.sum())


def find_peaks(evidence_map: EvidenceMap, least: float) -> list[Peak]:
    """Objects in a picture from the strongest to the weakest; evidence below `least` is ignored."""
    regions: list[_Region] = []
    for group in _GROUPS:
        regions += _regions(evidence_map.evidence[..., group].sum(-1), least)
    regions.sort(key=lambda region: -region.peak)
    joined: list[list[_Region]] = []
    for region in regions:
        home = next((members for members in joined if _is_same(members[0], region)), None)
        if home is None:
            joined.append([region])
        else:
            home.append(region)
    peaks = [_peak(evidence_map, members) for members in joined]
    return sorted(peaks, key=lambda peak: -peak.strength)


def _regions(values: Float[np.ndarray, "rows columns"], least: float) -> list[_Region]:
    """Regions of the peaks, flooded from the top. A lower peak merges with a higher one if they meet near its top."""
    # Plain lists with a border of cells without owner: much faster here than arrays.
    wide = values.shape[1] + 2
    height = np.pad(values, 1).ravel().tolist()
    order = sorted((cell for cell, value in enumerate(height) if value >= least), key=lambda cell: -height[cell])
    owner = [-1] * len(height)
    tops: list[float] = []
    parent: list[int] = []

    def root(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    around = (-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1)
    for cell in order:
        near = {root(owner[cell + step]) for step in around if owner[cell + step] >= 0}
        if not near:
            owner[cell] = len(tops)
            parent.append(len(tops))
            tops.append(height[cell])
            continue
        highest = max(near, key=lambda label: tops[label])
        for label in near - {highest}:
            if height[cell] > _VALLEY * tops[label]:
                parent[label] = highest
        owner[cell] = highest
    regions = []
    owners = np.array([root(label) if label >= 0 else -1 for label in owner]).reshape(-1, wide)[1:-1, 1:-1]
    for label in range(len(tops)):
        if parent[label] == label:
            inside = np.flatnonzero((owners == label) & (values >= _OUTLINE * tops[label]))
            cells = np.stack(np.unravel_index(inside, values.shape), -1).astype(np.float64)
            regions.append(_Region(cells, values.ravel()[inside].astype(np.float64)))
    return regions


def _is_same(stronger: _Region, weaker: _Region) -> bool:
    if float(np.linalg.norm(stronger.centre - weaker.centre)) <= _SAME_CELLS:
        return True
    if weaker.peak > _DOUBTFUL:
        return False
    apart = np.abs(stronger.cells[:, None] - weaker.cells[None]).max(-1)
    return bool(apart.min() <= 1)


def _peak(evidence_map: EvidenceMap, members: list[_Region]) -> Peak:
    rows = np.concatenate([region.cells[:, 0] for region in members])
    columns = np.concatenate([region.cells[:, 1] for region in members])
    weights = np.concatenate([region.weights for region in members])
    weights = weights / weights.sum()
    cell_x, cell_y = evidence_map.x[1] - evidence_map.x[0], evidence_map.y[1] - evidence_map.y[0]
    x, y = float(evidence_map.x[0] + cell_x * (weights @ columns)), float(evidence_map.y[0] + cell_y * (weights @ rows))
    evidence = evidence_map.evidence[rows.astype(int), columns.astype(int)]
    shares = weights @ evidence
    outline = members[0].cells
    height, width = outline.max(0) - outline.min(0) + 1
    return Peak(
        x,
        y,
        float(width * cell_x),
        float(height * cell_y),
        float(evidence.sum(-1).max()),
        np.asarray(shares / shares.sum(), np.float32),
    )
