"""SDR, SIR and SAR beside mir_eval, and what is defined where BSS Eval is not."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.metrics import separation_ratios


def random_mixtures(sources: int, seed: int, clips: int = 2, samples: int = 6000) -> tuple[torch.Tensor, torch.Tensor]:
    """Stems of different colour, and estimates with leakage, filtering and noise, in reverse order."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(clips, sources, samples, generator=generator)
    references[:, 0] += 0.8 * references[:, 0].roll(1, -1)
    mixing = torch.eye(sources) + 0.3 * torch.rand(sources, sources, generator=generator)
    estimates = torch.einsum("ij,bjs->bis", mixing, references)
    estimates = estimates + 0.2 * torch.randn(estimates.shape, generator=generator)
    return estimates.flip(1), references


def by_mir_eval(estimates: torch.Tensor, references: torch.Tensor, best_order: bool):
    import mir_eval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mir_eval.separation.bss_eval_sources(references.double().numpy(), estimates.double().numpy(), best_order)


@pytest.mark.parametrize("best_order", [False, True])
@pytest.mark.parametrize("sources", [2, 3])
def test_ratios_agree_with_mir_eval(sources, best_order):
    estimates, references = random_mixtures(sources, seed=sources)
    ratios = separation_ratios(estimates, references, best_order)
    for clip in range(len(references)):
        sdr, sir, sar, order = by_mir_eval(estimates[clip], references[clip], best_order)
        np.testing.assert_allclose(ratios.sdr[clip], sdr, atol=1e-3)
        np.testing.assert_allclose(ratios.sir[clip], sir, atol=1e-3)
        np.testing.assert_allclose(ratios.sar[clip], sar, atol=1e-3)
        assert ratios.order[clip].tolist() == list(order)
    assert bool(ratios.defined.all())


@settings(max_examples=6)
@given(st.integers(0, 1000))
def test_a_batch_equals_a_loop_and_gain_changes_nothing(seed):
    estimates, references = random_mixtures(2, seed, clips=3, samples=2000)
    together = separation_ratios(3 * estimates, references, filter_samples=64)
    for clip in range(3):
        alone = separation_ratios(estimates[clip], references[clip], filter_samples=64)
        torch.testing.assert_close(together.sdr[clip], alone.sdr, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(together.sir[clip], alone.sir, rtol=1e-6, atol=1e-6)


def test_silent_stems_have_their_documented_values_and_leave_the_others_alone():
    estimates, references = random_mixtures(3, seed=7, clips=1)
    estimates, references = estimates[0].clone(), references[0].clone()
    references[0] = 0
    estimates[1] = 0
    ratios = separation_ratios(estimates, references, filter_samples=64)
    assert ratios.sdr[:2].tolist() == ratios.sir[:2].tolist() == ratios.sar[:2].tolist() == [-100, -100]
    assert ratios.defined.tolist() == [False, False, True]
    without = separation_ratios(estimates[1:], references[1:], filter_samples=64)
    assert float(ratios.sdr[2]) == pytest.approx(float(without.sdr[1]))
    both = separation_ratios(torch.zeros(2, 100), torch.zeros(2, 100))
    assert both.sdr.tolist() == [100, 100] and not bool(both.defined.any())


def test_a_silent_estimate_does_not_spoil_the_search_for_the_best_order():
    estimates, references = random_mixtures(3, seed=3, clips=1)
    estimates = estimates[0].clone()
    estimates[0] = 0  # in reverse order: the one of the last source
    ratios = separation_ratios(estimates, references[0], best_order=True, filter_samples=64)
    assert ratios.order.tolist() == [2, 1, 0] and ratios.defined.tolist() == [True, True, False]


def test_perfect_and_single_and_duplicate_sources_are_finite():
    _, references = random_mixtures(2, seed=1)
    perfect = separation_ratios(references, references)
    assert float(perfect.sdr.min()) == pytest.approx(100, abs=0.01) and float(perfect.sir.min()) > 99
    single = separation_ratios(references[:, :1], references[:, :1] + 0.1 * references[:, 1:])
    assert bool(single.sir.eq(100).all()) and bool(single.sdr.isfinite().all())
    twice = references[:, [0, 0]]
    assert bool(torch.stack([*vars(separation_ratios(twice, twice)).values()][:3]).isfinite().all())


@pytest.mark.wrong_shapes
def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="sources, samples"):
        separation_ratios(torch.zeros(2, 10), torch.zeros(3, 10))
