"""Interaural cues against signals whose level, delay, phase and coherence are known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.metrics import interaural_cues, interaural_errors


def noise(seed: int = 0, seconds: float = 2.0, rate: int = 16_000) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * rate), generator=torch.Generator().manual_seed(seed))


def test_gain_and_delay_between_the_ears_are_read_back_in_every_band():
    left = noise()
    right = 0.5 * left.roll(5)  # later by 5 samples: the sound is at the left
    cues = interaural_cues(torch.stack([left, right])[:, 100:-100], 16_000)
    low = cues.centre_hz < 600
    assert float((cues.level_db.mean(-1) - 20 * math.log10(2)).abs().max()) < 0.15
    assert float((cues.time_s[low].median(-1).values - 5 / 16_000).abs().max()) <= 1e-5
    assert bool((cues.time_s[~low] == 0).all())
    expected = torch.remainder(2 * math.pi * cues.centre_hz * 5 / 16_000 + math.pi, 2 * math.pi) - math.pi
    measured = cues.phase_rad[low].median(-1).values
    assert float((measured - expected[low]).abs().max()) < 0.1
    assert float(cues.coherence[low].min()) > 0.97


def test_unrelated_ears_are_incoherent_and_bands_cover_the_spectrum():
    cues = interaural_cues(torch.stack([noise(1), noise(2)]), 16_000)
    high = cues.centre_hz > 2000
    assert float(cues.coherence[high].mean()) < 0.25
    assert 100 < float(cues.centre_hz[0]) < 150 and 7000 < float(cues.centre_hz[-1]) < 8000
    assert float(interaural_cues(torch.randn(2, 9600), 48_000).centre_hz[-1]) > 14_000


@pytest.mark.parametrize("gain_db", [-12.0, 3.0])
def test_a_wrong_balance_is_a_level_error_alone(gain_db):
    reference = torch.stack([noise(), noise()])
    prediction = reference * torch.tensor([[10 ** (gain_db / 20)], [1.0]])
    errors = interaural_errors(prediction, reference, 16_000).means()
    assert float(errors["ild_db"]) == pytest.approx(abs(gain_db), abs=1e-3)
    assert float(errors["ipd_rad"]) < 1e-5 and float(errors["itd_us"]) == 0 and float(errors["coherence"]) < 1e-5


def test_a_wrong_delay_is_a_time_error_of_that_size():
    reference = torch.stack([noise(), noise()])[:, 100:-100]
    prediction = torch.stack([noise(), noise().roll(8)])[:, 100:-100]
    errors = interaural_errors(prediction, reference, 16_000).means()
    assert float(errors["itd_us"]) == pytest.approx(500, abs=10)


def test_a_band_that_the_reference_leaves_silent_does_not_count():
    tone = torch.sin(torch.arange(32_000) * 2 * math.pi * 1000 / 16_000) * torch.hann_window(32_000) * 0.1
    reference = torch.stack([tone, tone])
    errors = interaural_errors(reference + 1e-3 * torch.stack([noise(3), noise(4)]), reference, 16_000)
    assert 1 <= float(errors.audible.sum()) < 15
    assert bool((errors.level_db[errors.audible == 0] == 0).all())
    assert float(errors.means()["ild_db"]) < 0.5


@given(st.integers(0, 1000), st.sampled_from([(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)]), st.integers(1, 20_000))
def test_identical_signals_have_no_error_and_nothing_is_ever_nan(seed, gains, samples):
    generator = torch.Generator().manual_seed(seed)
    signal = torch.randn(2, samples, generator=generator) * torch.tensor(gains).unsqueeze(-1)
    other = torch.randn(2, samples, generator=generator)
    assert {float(value) for value in interaural_errors(signal, signal, 16_000).means().values()} == {0.0}
    for pair in ((signal, other), (other, signal)):
        for value in interaural_errors(*pair, 16_000).means().values():
            assert math.isfinite(value) and float(value) >= 0


def test_a_batch_equals_a_loop():
    prediction, reference = torch.randn(2, 3, 2, 8000, generator=torch.Generator().manual_seed(0))
    together = interaural_errors(prediction, reference, 16_000).means()
    for index in range(3):
        alone = interaural_errors(prediction[index], reference[index], 16_000).means()
        for name, value in alone.items():
            assert float(together[name][index]) == pytest.approx(float(value), rel=1e-4)


@pytest.mark.wrong_shapes
def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"prediction .*reference"):
        interaural_errors(torch.zeros(2, 10), torch.zeros(2, 11), 16_000)
    with pytest.raises(ValueError, match="samples"):
        interaural_cues(torch.zeros(1, 10), 16_000)
