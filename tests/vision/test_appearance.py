"""The table of what is seen when something is played, and evidence drawn from it."""

import numpy as np
import pytest

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.vision.appearance import (
    APPEARANCE,
    APPEARANCE_CLASSES,
    DETECTION_RATE,
    FALSE_ALARMS,
    IMAGENET_INDICES,
    IMAGENET_INSTRUMENTS,
    draw_evidence,
)

UNSEEN = {"voice", "other"}


def drawn(sound_class: str | None, count: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(6)
    return np.array([draw_evidence(sound_class, rng) for _ in range(count)])


def test_has_a_row_for_each_class_that_the_classifier_distinguishes() -> None:
    assert APPEARANCE_CLASSES == SOUND_CLASSES
    assert APPEARANCE.shape == (len(SOUND_CLASSES), len(IMAGENET_INSTRUMENTS)) == (19, 22)
    assert len(set(IMAGENET_INDICES)) == 22
    assert list(IMAGENET_INDICES) == sorted(IMAGENET_INDICES)  # ImageNet's names are in the order of the alphabet here
    assert APPEARANCE.min() >= 0
    sums = [0 if sound_class in UNSEEN else 1 for sound_class in APPEARANCE_CLASSES]
    np.testing.assert_allclose(APPEARANCE.sum(1), sums, atol=1e-5)


def test_every_class_is_the_appearance_of_something() -> None:
    assert APPEARANCE.sum(0).min() > 0.01


@pytest.mark.parametrize(
    ("sound_class", "evidence_map"),
    [("cello", "cello"), ("violin", "violin"), ("drums", "drum"), ("harp", "harp"), ("saxophone", "saxophone")],
)
def test_instruments_resemble_most_their_own_class(sound_class: str, evidence_map: str) -> None:
    assert IMAGENET_INSTRUMENTS[int(APPEARANCE[APPEARANCE_CLASSES.index(sound_class)].argmax())] == evidence_map


def test_a_double_bass_resembles_a_cello_and_an_electric_one_a_guitar() -> None:
    row = APPEARANCE[APPEARANCE_CLASSES.index("bass")]
    assert {IMAGENET_INSTRUMENTS[index] for index in np.argsort(-row)[:2]} == {"cello", "electric guitar"}


@pytest.mark.parametrize("sound_class", [*APPEARANCE_CLASSES, None])
def test_drawn_evidence_is_a_part_of_probability(sound_class: str | None) -> None:
    evidence = drawn(sound_class, 300)
    assert evidence.dtype == np.float32
    assert np.isfinite(evidence).all()
    assert evidence.min() >= 0
    assert (evidence.sum(1) > 0).all()
    assert evidence.sum(1).max() <= 1 + 1e-6


@pytest.mark.parametrize(
    "sound_class", [sound_class for sound_class in APPEARANCE_CLASSES if sound_class not in UNSEEN]
)
def test_drawn_shares_are_those_of_the_table_in_the_mean(sound_class: str) -> None:
    evidence = drawn(sound_class)
    shares = (evidence / evidence.sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(shares, APPEARANCE[APPEARANCE_CLASSES.index(sound_class)], atol=0.04)


def test_most_instruments_are_stronger_than_what_is_seen_without_any() -> None:
    false = drawn(None, 1000).sum(1)
    assert false.min() > 0.05
    assert np.quantile(false, 0.9) < 0.4
    for sound_class in APPEARANCE_CLASSES:
        if sound_class not in UNSEEN:
            strengths = drawn(sound_class, 1000).sum(1)
            assert np.median(strengths) > 0.8
            assert np.quantile(strengths, 0.05) < np.quantile(false, 0.5) + 0.05  # and some are as weak


def test_says_how_many_are_seen_at_all() -> None:
    assert tuple(DETECTION_RATE) == APPEARANCE_CLASSES
    assert all(DETECTION_RATE[sound_class] == 0 for sound_class in UNSEEN)
    assert all(0.4 < share < 1 for sound_class, share in DETECTION_RATE.items() if sound_class not in UNSEEN)
    assert 0 < FALSE_ALARMS < 1


def test_the_same_chance_gives_the_same_evidence() -> None:
    one, other = (draw_evidence("cello", np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_what_nobody_plays_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'kazoo' .*guitar"):
        draw_evidence("kazoo", np.random.default_rng(0))
