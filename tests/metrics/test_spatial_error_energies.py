"""The two parts of the error, each alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.metrics import spatial_error_energies


def ears(seed: int, samples: int = 40_000) -> torch.Tensor:
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def db(prediction: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    found = spatial_error_energies(prediction, reference, 16_000)
    return float(found.spatial_db), float(found.residual_db)


def test_noise_is_residual_and_not_spatial():
    reference = ears(0)
    spatial, residual = db(reference + 0.1 * ears(1), reference)
    assert residual == pytest.approx(20, abs=0.2) and spatial > 50


@pytest.mark.parametrize("gains", [(2.0, 1.0), (0.5, 1.5)])
def test_wrong_gains_are_spatial_and_not_residual(gains):
    reference = ears(0)
    gain = torch.tensor(gains).unsqueeze(-1)
    expected = -10 * math.log10(((gain - 1) ** 2).mean())
    spatial, residual = db(reference * gain, reference)
    assert spatial == pytest.approx(expected, abs=0.2) and residual > 80


def test_swapped_ears_and_delays_are_spatial_and_not_residual():
    reference = ears(0)
    spatial, residual = db(reference.flip(0), reference)
    assert spatial == pytest.approx(-3, abs=0.2) and residual > 80
    reference[:, :100] = reference[:, -100:] = 0
    spatial, residual = db(torch.stack([reference[0], reference[1].roll(7)]), reference)
    assert spatial == pytest.approx(0, abs=0.3) and residual > 25  # a window's edge cuts seven samples off


def test_a_delay_beyond_the_limit_is_residual():
    reference = ears(0)
    _, residual = db(reference.roll(200, -1), reference)
    assert residual < -10


def test_silence_has_its_documented_values():
    sound, silence = ears(0), torch.zeros(2, 40_000)
    assert db(sound, sound) == (100, 100)
    assert db(silence, silence) == (100, 100)
    assert db(silence, sound) == (0, 100)
    assert db(sound, silence) == (100, -100)
    left = sound * torch.tensor([[1.0], [0.0]])
    assert db(left, left) == (100, 100)
    spatial, residual = db(left, sound)
    assert spatial == pytest.approx(3, abs=0.1) and residual == 100


@given(st.integers(0, 1000), st.integers(1, 5000))
def test_values_are_finite_and_a_batch_equals_a_loop(seed, samples):
    prediction, reference = torch.randn(2, 3, 2, samples, generator=torch.Generator().manual_seed(seed))
    together = spatial_error_energies(prediction, reference, 16_000)
    for index in range(3):
        alone = spatial_error_energies(prediction[index], reference[index], 16_000)
        assert -100 <= float(alone.spatial_db) <= 100 and -100 <= float(alone.residual_db) <= 100
        assert float(together.spatial_db[index]) == pytest.approx(float(alone.spatial_db), abs=1e-2)
        if abs(float(alone.residual_db)) < 60:
            assert float(together.residual_db[index]) == pytest.approx(float(alone.residual_db), abs=1e-2)
