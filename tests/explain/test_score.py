"""The scores are shares of the map and of the picture that can be counted by hand."""

import numpy as np
import pytest

from hearsight.explain import centre_prior, score_map

LEFT_HALF = [0.0, 0.0, 0.5, 1.0]


def test_a_map_inside_the_box_scores_one_and_one_outside_none():
    heat = np.zeros((7, 14), np.float32)
    heat[3, 2] = 1
    assert score_map(heat, [LEFT_HALF]).pointing == 1 and score_map(heat, [LEFT_HALF]).energy == pytest.approx(1)
    other = score_map(heat[:, ::-1], [LEFT_HALF])
    assert other.pointing == 0 and other.energy == pytest.approx(0)


def test_an_even_map_scores_the_boxes_share_which_is_chance():
    boxes = [[0.25, 0.0, 0.5, 0.5], [0.75, 0.5, 1.0, 1.0]]
    for heat in (np.ones((4, 8), np.float32), np.zeros((4, 8), np.float32)):
        score = score_map(heat, boxes)
        assert score.area == pytest.approx(0.25) == score.pointing == score.energy


def test_boxes_that_overlap_count_once():
    assert score_map(np.ones((4, 8), np.float32), [LEFT_HALF, [0.25, 0, 0.75, 1]]).area == pytest.approx(0.75)


def test_energy_is_the_share_of_the_heat_that_is_inside():
    heat = np.zeros((112, 224), np.float32)
    heat[:, :112], heat[:, 112:] = 3, 1
    score = score_map(heat, [LEFT_HALF])
    assert score.energy == pytest.approx(0.75) and score.pointing == 1
    assert score_map(heat - 1, [LEFT_HALF]).energy == pytest.approx(1)
    # Heat below 0 counts as none, wherever it is.
    heat[:, 112:] = -5
    assert score_map(heat, [LEFT_HALF]).energy == pytest.approx(1)


def test_of_equally_high_places_the_part_inside_counts():
    heat = np.zeros((112, 224), np.float32)
    heat[:, 56:168] = 1
    assert score_map(heat, [LEFT_HALF]).pointing == pytest.approx(0.5)
    assert score_map(heat, [[0.0, 0.0, 0.375, 1.0]]).pointing == pytest.approx(0.25)


def test_the_centre_prior_points_at_the_middle():
    prior = centre_prior()
    middle, corner = [0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 0.2, 0.2]
    assert score_map(prior, [middle]).pointing == 1 and score_map(prior, [corner]).pointing == 0
    assert score_map(prior, [middle]).energy > 2 * score_map(prior, [middle]).area
    np.testing.assert_allclose(prior, prior[::-1, ::-1], rtol=1e-5)
