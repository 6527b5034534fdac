"""Means, errors and the paired bootstrap against numbers known otherwise."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hearsight.evaluation.statistics import paired_bootstrap, per_clip, ranked_gains, summary


def rows(values):
    return [{"split": split, "clip": clip, "stft": value} for split, clip, value in values]


def test_the_mean_is_over_splits_and_the_error_over_clips():
    found = summary(rows([("1", "a", 1.0), ("1", "b", 3.0), ("2", "b", 5.0)]), "stft")
    assert found.mean == pytest.approx((2.0 + 5.0) / 2)
    assert found.spread == pytest.approx(np.std([2.0, 5.0], ddof=1))
    assert found.standard_error == pytest.approx(np.std([1.0, 4.0], ddof=1) / np.sqrt(2))
    assert (found.clips, found.splits) == (2, 2)
    single = summary(rows([("", "a", 1.0)]), "stft")
    assert (single.mean, single.standard_error, single.spread) == (1.0, 0.0, None)
    assert summary([], "stft") is None and summary(rows([("", "a", 1.0)]), "env") is None


def test_the_interval_agrees_with_the_t_test_on_many_clips():
    generator = np.random.default_rng(0)
    second = generator.standard_normal(400)
    first = second + 0.1 + 0.5 * generator.standard_normal(400)
    found = paired_bootstrap(first, second, 4000)
    theory = scipy.stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.difference == pytest.approx((first - second).mean())
    assert (found.low, found.high) == pytest.approx((theory.low, theory.high), abs=0.005)
    assert found.p < 0.01


def test_equal_systems_are_not_distinguished_and_constant_gains_are():
    values = np.random.default_rng(1).standard_normal(30)
    assert paired_bootstrap(values, values).p == 1.0
    assert paired_bootstrap(values + 0.5, values, 999).p == pytest.approx(2 / 1000)


def test_chance_is_called_significant_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    calls = [paired_bootstrap(*generator.standard_normal((2, 60)), 400, seed).p < 0.05 for seed in range(200)]
    assert 0.01 <= np.mean(calls) <= 0.11


@given(st.integers(2, 50), st.integers(0, 1000))
def test_exchanging_the_systems_changes_the_sign_alone(clips, seed):
    first, second = np.random.default_rng(seed).standard_normal((2, clips))
    there, back = paired_bootstrap(first, second, 200), paired_bootstrap(second, first, 200)
    assert (there.difference, there.low, there.high, there.p) == pytest.approx(
        (-back.difference, -back.high, -back.low, back.p)
    )


def test_clips_are_ranked_by_gain_whichever_way_is_better():
    better, worse = rows([("", "a", 1.0), ("", "b", 5.0)]), rows([("", "a", 3.0), ("", "b", 4.0), ("", "c", 0.0)])
    assert ranked_gains(better, worse, "stft", False) == [("a", 2.0, 1.0, 3.0), ("b", -1.0, 5.0, 4.0)]
    assert [entry[0] for entry in ranked_gains(better, worse, "stft", True)] == ["b", "a"]
    assert per_clip(rows([("1", "a", 1.0), ("2", "a", 2.0)]), "stft") == {"a": 1.5}


@pytest.mark.wrong_shapes
def test_signals_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        paired_bootstrap(np.zeros(3), np.zeros(4))
