"""What the detector sees in pictures, and that a mirrored clip is seen mirrored."""

import cv2
import numpy as np
import pytest
from drawn_instruments import cut_out, pasted, photograph
from hypothesis import given
from hypothesis import strategies as st
from tiers import thinned

from hearsight.nn.efficientnet_lite import EfficientNetLite0
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector, network_size

SMALL = 130 * 200


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0.pretrained()


@pytest.fixture
def detector(network: EfficientNetLite0) -> InstrumentDetector:
    return InstrumentDetector(network)


@pytest.mark.parametrize("name", thinned(["flower.jpg", "china.jpg"]))
def test_a_harp_is_seen_where_it_is(detector: InstrumentDetector, name: str) -> None:
    """Seen as it is and mirrored, so that a shift of the network's grid would show."""
    for x in (0.25, 0.75):
        picture = pasted(photograph(name, (448, 800)), cut_out("harp", 240), x, 0.55)
        for evidence_map in (detector.see(picture), detector.see(picture[:, ::-1]).mirrored()):
            evidence = evidence_map.evidence[..., IMAGENET_INSTRUMENTS.index("harp")]
            assert evidence.max() > 0.8
            weights = np.where(evidence > 0.5 * evidence.max(), evidence, 0)
            weights /= weights.sum()
            assert weights.sum(0) @ evidence_map.x == pytest.approx(x, abs=0.03)
            assert weights.sum(1) @ evidence_map.y == pytest.approx(0.55, abs=0.12)


def test_a_photograph_without_instruments_gives_little_evidence(detector: InstrumentDetector) -> None:
    for name in ("flower.jpg", "china.jpg"):
        assert detector.see(photograph(name, (427, 640))).evidence.sum(-1).max() < 0.3


def test_evidence_is_a_part_of_probability(detector: InstrumentDetector) -> None:
    evidence_map = detector.see(pasted(photograph("china.jpg", (256, 448)), cut_out("harp", 160), 0.5, 0.5))
    assert evidence_map.evidence.shape == (len(evidence_map.y), len(evidence_map.x), len(IMAGENET_INSTRUMENTS))
    assert evidence_map.evidence.min() >= 0
    assert evidence_map.evidence.sum(-1).max() <= 1 + 1e-6


def test_a_mirrored_clip_is_seen_mirrored_exactly(network: EfficientNetLite0) -> None:
    """Over several detections, since every other one is taken mirrored."""
    detector, mirrored_eye = (
        InstrumentDetector(network, frame_area=SMALL),
        InstrumentDetector(network, frame_area=SMALL),
    )
    scene = photograph("china.jpg", (150, 230))
    for number in range(4):
        picture = pasted(scene, cut_out("harp", 90), 0.3 + 0.03 * number, 0.5)
        seen = detector.evidence_map(Frame(0.5 * number, number, picture))
        mirrored = mirrored_eye.evidence_map(Frame(0.5 * number, number, np.ascontiguousarray(picture[:, ::-1])))
        np.testing.assert_array_equal(mirrored.evidence, seen.evidence[:, ::-1])
        np.testing.assert_allclose(mirrored.x, 1 - seen.x[::-1], atol=1e-12)
        assert np.abs(seen.evidence - seen.evidence[:, ::-1]).max() > 0.001
    assert detector.detections == 4


def test_halves_of_equal_light_are_distinguished_too(network: EfficientNetLite0) -> None:
    rng = np.random.default_rng(3)
    left = rng.integers(0, 256, (150, 115, 3), dtype=np.uint8)
    picture = np.concatenate([left, np.flipud(left)[:, ::-1]], 1)
    detector, mirrored_eye = (
        InstrumentDetector(network, frame_area=SMALL),
        InstrumentDetector(network, frame_area=SMALL),
    )
    seen = detector.evidence_map(Frame(0, 0, picture))
    mirrored = mirrored_eye.evidence_map(Frame(0, 0, np.ascontiguousarray(picture[:, ::-1])))
    np.testing.assert_array_equal(mirrored.evidence, seen.evidence[:, ::-1])


def test_a_black_picture_is_its_own_mirror_image_and_shows_nothing(network: EfficientNetLite0) -> None:
    evidence_map = InstrumentDetector(network, frame_area=SMALL).evidence_map(
        Frame(0, 0, np.zeros((150, 230, 3), np.uint8))
    )
    np.testing.assert_array_equal(evidence_map.evidence, evidence_map.evidence[:, ::-1])
    assert evidence_map.evidence.sum(-1).max() < 0.1


def test_detects_again_only_what_has_changed(network: EfficientNetLite0) -> None:
    detector = InstrumentDetector(network, frame_area=SMALL)
    picture = photograph("china.jpg", (150, 230))
    first = detector.evidence_map(Frame(0.0, 0, picture))
    assert detector.evidence_map(Frame(0.5, 0, picture)) is first
    assert detector.evidence_map(Frame(1.0, 1, picture + (picture < 255))) is first  # one grey level lighter
    assert detector.detections == 1
    changed = pasted(picture, cut_out("harp", 60), 0.8, 0.5)
    assert detector.evidence_map(Frame(1.5, 2, changed)) is not first
    assert detector.detections == 2


def test_another_clip_is_begun_anew(network: EfficientNetLite0) -> None:
    detector = InstrumentDetector(network, frame_area=SMALL)
    picture = photograph("china.jpg", (150, 230))
    first = detector.evidence_map(Frame(0, 0, picture))
    detector.evidence_map(Frame(0.5, 1, np.ascontiguousarray(picture[::-1])))
    detector.forget()
    again = detector.evidence_map(Frame(0, 0, picture))
    assert again is not first
    np.testing.assert_array_equal(again.evidence, first.evidence)


@pytest.mark.parametrize(
    "size",
    thinned([(size,) for size in [(448, 800), (800, 448), (1080, 1920), (240, 480), (720, 720), (300, 1800)]], 2),
)
def test_any_shape_is_seen_in_its_own(size: tuple[int, int]) -> None:
    height, width = network_size(size)
    assert height % 32 == width % 32 == 1
    assert height * width == pytest.approx(448 * 800, rel=0.1)
    assert height / width == pytest.approx(size[0] / size[1], rel=0.08)


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_no_shape_is_too_narrow(height: int, width: int) -> None:
    rows, columns = network_size((height, width))
    assert min(rows, columns) >= 97


def test_places_reach_from_edge_to_edge(detector: InstrumentDetector) -> None:
    evidence_map = detector.see(np.zeros((97, 193, 3), np.uint8))
    assert isinstance(evidence_map, EvidenceMap)
    columns = network_size((97, 193))[1]
    np.testing.assert_allclose(evidence_map.x, (np.arange(len(evidence_map.x)) * 32 + 0.5) / columns)
    np.testing.assert_allclose(evidence_map.x + evidence_map.x[::-1], 1)


def test_the_pictures_edges_are_not_taken_for_instruments(detector: InstrumentDetector) -> None:
    """Edges continued as stripes would be: rows of bars, as a marimba has."""
    spots = np.random.default_rng(0).integers(0, 256, (4, 40, 80, 3), dtype=np.uint8)
    for picture in spots:
        evidence = detector.see(cv2.resize(picture, (801, 449), interpolation=cv2.INTER_LINEAR)).evidence.sum(-1)
        assert max(evidence[0].max(), evidence[-1].max(), evidence[:, 0].max(), evidence[:, -1].max()) < 0.1
