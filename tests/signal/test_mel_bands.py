"""MelBands: masks that stay masks, powers that mean what they say, tones where they belong."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.signal import STFT
from hearsight.signal.mel_bands import BANDS, HIGHEST_HZ, LOWEST_HZ, MelBands

RATES = [(16_000, 1024), (44_100, 4096), (48_000, 4096), (8_000, 512)]


def centres() -> torch.Tensor:
    """Frequencies spaced evenly on O'Shaughnessy's mel scale."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    return 700 * (10 ** (torch.linspace(low, high, BANDS, dtype=torch.float64) / 2595) - 1)


@pytest.mark.parametrize(("rate", "n_fft"), RATES)
def test_masks_that_add_up_to_one_do_so_over_the_bins(rate: int, n_fft: int) -> None:
    masks = torch.rand(3, BANDS, 7).softmax(0)
    spread = MelBands(rate, n_fft).to_bins(masks)
    assert spread.shape == (3, n_fft // 2 + 1, 7)
    assert spread.min() >= 0
    torch.testing.assert_close(spread.sum(0), torch.ones(n_fft // 2 + 1, 7))


@given(st.integers(8_000, 96_000), st.sampled_from([512, 1024, 4096]))
def test_the_bands_are_a_partition_at_any_rate(rate: int, n_fft: int) -> None:
    weights = MelBands(rate, n_fft).weights
    torch.testing.assert_close(weights.sum(0), torch.ones(n_fft // 2 + 1))
    assert ((weights > 0).sum(0) <= 2).all()


@pytest.mark.parametrize(("rate", "n_fft"), RATES)
def test_the_powers_of_a_flat_spectrum_are_its_power(rate: int, n_fft: int) -> None:
    flat = 3 * torch.exp(1j * torch.rand(n_fft // 2 + 1, 5))
    torch.testing.assert_close(MelBands(rate, n_fft).powers(flat), torch.full((BANDS, 5), 9.0))


def test_white_noise_is_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    spectrogram = STFT(1024, 1024, 256).forward(torch.randn(16_000 * 60, generator=generator))
    powers = MelBands(16_000).powers(spectrogram).mean(-1)
    level_db = 10 * (powers / powers.mean()).log10()
    assert level_db[2:].abs().max() < 0.7  # the lowest hold one bin's noise, of which a minute has few
    assert level_db.abs().max() < 1.2


@pytest.mark.parametrize("band", [10, 30, 63, 90, 120])
def test_a_tone_is_in_its_own_band(band: int) -> None:
    hertz = float(centres()[band])
    for rate, n_fft in ((16_000, 1024), (48_000, 4096)):
        tone = torch.sin(2 * math.pi * hertz * torch.arange(rate) / rate)
        powers = MelBands(rate, n_fft).powers(STFT(n_fft, n_fft, n_fft // 4).forward(tone))[:, 4:-4].mean(-1)
        assert abs(int(powers.argmax()) - band) <= 1


@pytest.mark.parametrize("band", [0, 5, 40, 100, 127])
def test_a_mask_of_one_band_is_strongest_at_its_centre_and_the_edges_hold_on(band: int) -> None:
    mask = torch.zeros(BANDS, 1)
    mask[band] = 1
    bins = MelBands(48_000, 4096).to_bins(mask)[:, 0]
    frequency = torch.linspace(0, 24_000, 2049)
    peak = frequency[bins.argmax()] if 0 < band < BANDS - 1 else None
    if peak is not None:
        assert abs(float(peak - centres()[band])) <= 24_000 / 2048
    else:
        beyond = frequency <= LOWEST_HZ if band == 0 else frequency >= HIGHEST_HZ
        assert torch.equal(bins[beyond], torch.ones(int(beyond.sum())))


def test_what_is_above_the_highest_band_changes_no_power() -> None:
    bands = MelBands(48_000, 4096)
    spectrogram = torch.randn(2049, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    louder = spectrogram.clone()
    louder[torch.linspace(0, 24_000, 2049) > HIGHEST_HZ] *= 100
    assert torch.equal(bands.powers(spectrogram), bands.powers(louder))
