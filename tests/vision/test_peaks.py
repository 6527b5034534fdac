"""Peaks of evidence: one for each visible object, whatever it is taken for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.peaks import Peak, find_peaks

ROWS, COLUMNS = 15, 26
X = (np.arange(COLUMNS) * 32 + 0.5) / 801
Y = (np.arange(ROWS) * 32 + 0.5) / 449
CELL = X[1] - X[0]


def evidence_map(*members: tuple[str, float, float, float, float]) -> EvidenceMap:
    """Evidence falling off around each object's (x, y): class, x, y, height of the peak, deviation in cells."""
    evidence = np.zeros((ROWS, COLUMNS, len(IMAGENET_INSTRUMENTS)))
    for name, x, y, peak, spread in members:
        away = ((X[None] - x) / CELL) ** 2 + ((Y[:, None] - y) / (Y[1] - Y[0])) ** 2
        evidence[..., IMAGENET_INSTRUMENTS.index(name)] += peak * np.exp(-away / (2 * spread**2))
    return EvidenceMap(evidence.astype(np.float32), X, Y)


def labels(peaks: list[Peak]) -> list[str]:
    return [IMAGENET_INSTRUMENTS[int(peak.shares.argmax())] for peak in peaks]


@given(st.floats(0.15, 0.85), st.floats(0.2, 0.8), st.floats(0.2, 1))
def test_an_object_is_found_between_cells(x: float, y: float, height: float) -> None:
    (peak,) = find_peaks(evidence_map(("cello", x, y, height, 1.2)), 0.05)
    assert peak.x == pytest.approx(x, abs=0.3 * CELL)
    assert peak.y == pytest.approx(y, abs=0.3 * CELL * 801 / 449)
    assert peak.strength == pytest.approx(height, rel=0.2)
    assert peak.shares.sum() == pytest.approx(1, abs=1e-5)
    assert labels([peak]) == ["cello"]


def test_an_empty_picture_holds_nothing() -> None:
    assert find_peaks(evidence_map(), 0.05) == []
    assert find_peaks(evidence_map(("drum", 0.5, 0.5, 0.04, 2)), 0.05) == []


def test_two_of_a_class_are_two_where_evidence_falls_between_them() -> None:
    peaks = find_peaks(evidence_map(("violin", 0.3, 0.5, 0.9, 1.2), ("violin", 0.5, 0.5, 0.8, 1.2)), 0.05)
    assert [peak.x for peak in peaks] == pytest.approx([0.3, 0.5], abs=CELL / 2)
    assert labels(peaks) == ["violin", "violin"]


def test_a_ripple_on_one_object_is_not_two() -> None:
    seen = evidence_map(("upright piano", 0.45, 0.5, 0.9, 2.0), ("upright piano", 0.55, 0.5, 0.9, 2.0))
    seen.evidence[:, 13] *= 0.85
    assert len(find_peaks(seen, 0.05)) == 1


def test_one_object_taken_for_several_is_one_with_all_its_appearances() -> None:
    members = [
        ("cello", 0.4, 0.5, 0.4, 1.3),
        ("acoustic guitar", 0.41, 0.52, 0.3, 1.3),
        ("violin", 0.4, 0.48, 0.2, 1.3),
    ]
    (peak,) = find_peaks(evidence_map(*members), 0.05)
    assert peak.shares[
        [IMAGENET_INSTRUMENTS.index(name) for name in ("cello", "acoustic guitar", "violin")]
    ] == pytest.approx([4 / 9, 3 / 9, 2 / 9], abs=0.08)
    assert peak.strength == pytest.approx(0.9, abs=0.1)


def test_a_guitar_before_a_piano_is_an_object_of_its_own() -> None:
    peaks = find_peaks(
        evidence_map(("upright piano", 0.6, 0.55, 1.0, 1.5), ("acoustic guitar", 0.44, 0.5, 0.7, 1.2)), 0.05
    )
    assert labels(peaks) == ["upright piano", "acoustic guitar"]


def test_a_doubtful_patch_at_the_edge_of_an_object_belongs_to_it() -> None:
    member, doubt = ("drum", 0.4, 0.5, 0.6, 1.5), ("bassoon", 0.5, 0.5, 0.2, 1.2)
    assert len(find_peaks(evidence_map(member, doubt), 0.05)) == 1
    assert len(find_peaks(evidence_map(member, (*doubt[:1], 0.8, *doubt[2:])), 0.05)) == 2


def test_a_wide_object_is_reported_as_wide() -> None:
    seen = evidence_map()
    seen.evidence[6:9, 5:15, IMAGENET_INSTRUMENTS.index("grand piano")] = 0.9
    (peak,) = find_peaks(seen, 0.05)
    assert peak.width == pytest.approx(10 * CELL)
    assert peak.height == pytest.approx(3 * (Y[1] - Y[0]))
    assert peak.x == pytest.approx(X[5:15].mean())


def _random_evidence(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((ROWS, COLUMNS, len(IMAGENET_INSTRUMENTS))), (1.3, 1.3, 0)) * 8 - 3
    shares = np.exp(smooth)
    return np.asarray(shares / (shares.sum(-1, keepdims=True) + 3), np.float32)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_mirrored_picture_has_mirrored_peaks(seed: int) -> None:
    seen = EvidenceMap(_random_evidence(seed), X, Y)
    peaks, mirrored = find_peaks(seen, 0.05), find_peaks(seen.mirrored(), 0.05)
    assert len(peaks) == len(mirrored) > 2

    def described(peak: Peak, is_mirrored: bool) -> tuple[float, ...]:
        x = 1 - peak.x if is_mirrored else peak.x
        return tuple(np.round([peak.strength, x, peak.y, peak.width, peak.height], 5))

    assert {described(peak, False) for peak in peaks} == {described(peak, True) for peak in mirrored}
