"""Filters from a mono sound to half the difference of the ears: symmetric, bounded, to the right side."""

import math

import numpy as np
import pytest
import torch

from hearsight.acoustics import HRIRSet, load_hrirs
from hearsight.models.sounding_objects.wiener_panning import DIRECT_LOW, DIRECT_ODDS, DifferenceFilters, pointing
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s

RATES = [(8_000, 512), (16_000, 1024), (44_100, 4096), (48_000, 4096)]


@pytest.fixture(scope="module")
def hrirs() -> HRIRSet:
    return load_hrirs()


def filters_at(hrirs: HRIRSet, rate: int, n_fft: int, azimuth_deg: np.ndarray, elevation_deg: float = 0.0):
    azimuth = np.radians(azimuth_deg)
    return DifferenceFilters(hrirs, rate, n_fft)(azimuth, np.full_like(azimuth, math.radians(elevation_deg)))


@pytest.mark.parametrize(("rate", "n_fft"), RATES)
@pytest.mark.parametrize("elevation_deg", [-20.0, 0.0, 33.0])
def test_the_mirrored_direction_is_the_exact_negative(
    hrirs: HRIRSet, rate: int, n_fft: int, elevation_deg: float
) -> None:
    azimuth = np.array([0.0, 0.4, 1.0, 17.3, 45.5, 59.9, 90.0])
    here = filters_at(hrirs, rate, n_fft, azimuth, elevation_deg)
    there = filters_at(hrirs, rate, n_fft, -azimuth, elevation_deg)
    assert here.shape == (n_fft // 2 + 1, len(azimuth))
    assert torch.equal(here, -there)
    assert (here[:, 0] == 0).all()


@pytest.mark.parametrize(("rate", "n_fft"), RATES)
def test_no_direction_is_amplified_beyond_the_wiener_filters_bound(hrirs: HRIRSet, rate: int, n_fft: int) -> None:
    filters = filters_at(hrirs, rate, n_fft, np.arange(-90.0, 91.0, 5.0))
    assert torch.isfinite(torch.view_as_real(filters)).all()
    # With S = H_l + H_r and D = H_l - H_r, |H_l|^2 + |H_r|^2 = (|S|^2 + |D|^2) / 2, so that |d| is
    # q |D| |S| / ((1 + q) / 2 |S|^2 + (1 - q) / 2 |D|^2), which is largest, q / sqrt(1 - q^2), where the two are equal.
    frequency = torch.linspace(0, rate / 2, n_fft // 2 + 1)
    middle = (frequency > 800) & (frequency < 3_000)
    assert filters[middle].abs().max() <= DIRECT_LOW / math.sqrt(1 - DIRECT_LOW**2) + 1e-4


@pytest.mark.parametrize(("rate", "n_fft"), RATES)
def test_a_side_adds_a_decibel_and_a_half_at_most_and_no_less_where_it_can(
    hrirs: HRIRSet, rate: int, n_fft: int
) -> None:
    noise = torch.randn(rate, generator=torch.Generator().manual_seed(0))
    hertz = torch.fft.rfftfreq(rate, 1 / rate)
    grown = []
    for response in filters_at(hrirs, rate, n_fft, np.arange(10.0, 91.0, 20.0)).T:
        half = _filtered(noise, response, n_fft)
        both = torch.stack([noise + half, noise - half])
        before, after = (torch.fft.rfft(sound).abs().square() for sound in (noise[None], both))
        for centre in (125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000):
            octave = (hertz > centre / 2**0.5) & (hertz < min(centre * 2**0.5, rate / 2))
            if octave.any():
                ratio = after[:, octave].sum() / 2 / before[:, octave].sum()
                grown.append(10 * math.log10(float(ratio)))
    # The cross term of mono and d cancels between the ears, so nothing shrinks.
    assert min(grown) > -0.01 and 1.0 < max(grown) <= 1.51


def test_the_filter_is_the_best_linear_one_of_a_direct_sound_in_a_diffuse_field(hrirs: HRIRSet) -> None:
    # A source and many faint ones around it that no two ears agree on: least squares must find the documented filter.
    rate, n_fft, azimuth_deg = 16_000, 1024, 10.0  # where no bin below reaches the limit
    expected = filters_at(hrirs, rate, n_fft, np.array([azimuth_deg]))[:, 0]
    generator = torch.Generator().manual_seed(0)
    left, right = torch.fft.rfft(hrirs.at_rate(rate).interpolated(math.radians(azimuth_deg), 0.0), n_fft)
    draws = 40_000
    for hertz in (1_000, 1_700, 2_500):
        bin_ = round(hertz * n_fft / rate)
        source, *diffuse = torch.randn(3, draws, dtype=torch.complex64, generator=generator)
        own = (left[bin_].abs() ** 2 + right[bin_].abs() ** 2).div(2).sqrt()
        ears = [
            DIRECT_LOW**0.5 * transfer[bin_] * source + (1 - DIRECT_LOW) ** 0.5 * own * around
            for transfer, around in zip((left, right), diffuse, strict=True)
        ]
        mix, difference = ears[0] + ears[1], ears[0] - ears[1]
        best = (difference * mix.conj()).mean() / mix.abs().square().mean()
        assert abs(complex(best - expected[bin_])) < 0.03


@pytest.mark.parametrize(("rate", "n_fft"), [(16_000, 1024), (44_100, 4096), (48_000, 4096)])
def test_a_source_on_the_left_is_louder_and_earlier_on_the_left(hrirs: HRIRSet, rate: int, n_fft: int) -> None:
    noise = torch.randn(rate, generator=torch.Generator().manual_seed(0))
    azimuths = np.arange(5.0, 91.0, 5.0)
    filters = filters_at(hrirs, rate, n_fft, azimuths)
    levels, times = [], []
    for response in filters.T:
        half = _filtered(noise, response, n_fft)
        ears = 0.1 * torch.stack([noise + half, noise - half])
        levels.append(float(interaural_level_difference_db(ears, rate).mean()))
        # Where time is what ears go by; above, mono + d cannot have the phases that a delay would need.
        times.append(float(interaural_time_difference_s(ears, rate, highest_hz=700.0).mean()))
    assert min(levels) > 1 and min(times) > 3e-5
    assert (np.diff(np.array(times)[azimuths <= 55]) > 0).all()  # then the limit is reached, and they stay
    assert levels[9] > 5 and times[9] > 2.5e-4  # at 50 degrees


def test_low_sounds_get_three_decibels_times_the_sine_of_the_azimuth(hrirs: HRIRSet) -> None:
    azimuths = np.array([8.0, 4.0])  # where the sum is below the limit of what a side may add
    plain = filters_at(hrirs, 48_000, 4096, azimuths)
    frequency = torch.linspace(0, 24_000, 2049)
    for column, side in enumerate(np.sin(np.radians(azimuths))):
        left, right = torch.fft.rfft(hrirs.at_rate(48_000).interpolated(math.asin(side), 0.0), 4096)
        both = left + right
        diffuse = left.abs() ** 2 + right.abs() ** 2
        wiener = DIRECT_LOW * (left - right) * both.conj()
        wiener = wiener / (DIRECT_LOW * both.abs() ** 2 + (1 - DIRECT_LOW) * diffuse)
        extra = plain[:, column] - wiener
        low = (frequency > 40) & (frequency < 400)
        gain = extra[low].real
        level_db = 20 * torch.log10((1 + gain) / (1 - gain))
        torch.testing.assert_close(level_db, torch.full_like(level_db, 3 * side), atol=0.02, rtol=0)
        assert extra[low].imag.abs().max() < 1e-3
        assert extra[(frequency > 800) & (frequency < 3_000)].abs().max() < 0.02  # what the limit takes


def test_what_comes_straight_points_and_what_the_room_says_does_not(hrirs: HRIRSet) -> None:
    filters = DifferenceFilters(hrirs, 16_000, 1024)
    azimuth, elevation = np.radians([10.0]), np.zeros(1)
    frequency = torch.linspace(0, 8_000, 513)
    high = frequency > 800
    left, right = torch.fft.rfft(hrirs.at_rate(16_000).interpolated(float(azimuth[0]), 0.0), 1024)
    free = (left - right) / (left + right)
    least = (free.abs() < 0.6) & high
    shares = torch.linspace(0, 1, 11)
    given = [filters(azimuth, elevation, torch.full((513, 1), float(share)))[:, 0] for share in shares]
    assert given[0][high].abs().max() < 1e-6
    torch.testing.assert_close(given[-1][least], free[least], atol=1e-4, rtol=1e-3)
    sizes = torch.stack([response[high].abs() for response in given])
    assert (sizes.diff(dim=0) > -1e-6).all() and (sizes[1] < sizes[-1]).all()


def test_pointing_multiplies_the_odds() -> None:
    share = torch.linspace(0, 1, 21)
    more = pointing(share)
    assert more[0] == 0 and more[-1] == 1 and (more[1:-1] > share[1:-1]).all()
    odds = (more / (1 - more))[1:-1] / (share / (1 - share))[1:-1]
    torch.testing.assert_close(odds, torch.full_like(odds, DIRECT_ODDS), atol=0, rtol=1e-4)


def test_every_bin_has_its_own_share(hrirs: HRIRSet) -> None:
    filters = DifferenceFilters(hrirs, 16_000, 1024)
    azimuth, elevation = np.radians([40.0, -25.0, 40.0]), np.zeros(3)
    share = torch.rand(513, 3, generator=torch.Generator().manual_seed(0))
    together = filters(azimuth, elevation, share)
    for column in range(3):
        own = filters(azimuth[column : column + 1], elevation[:1], share[:, column : column + 1])
        assert torch.equal(together[:, column], own[:, 0])
    assert torch.equal(filters(-azimuth, elevation, share), -together)


def test_columns_get_their_own_directions(hrirs: HRIRSet) -> None:
    filters = DifferenceFilters(hrirs, 16_000, 1024)
    azimuth, elevation = np.radians([10.0, -30.0, 10.0, 0.0]), np.radians([0.0, 10.0, 0.0, 5.0])
    together = filters(azimuth, elevation)
    assert torch.equal(together[:, 0], together[:, 2])
    for column in range(4):
        own = DifferenceFilters(hrirs, 16_000, 1024)(azimuth[column : column + 1], elevation[column : column + 1])
        assert torch.equal(together[:, column], own[:, 0])


def test_directions_are_spread_over_their_columns_without_indexing_each_number(
    hrirs: HRIRSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = DifferenceFilters(hrirs, 16_000, 1024)
    azimuth = np.radians([-30.0, -30.0, 10.0, 10.0, 10.0, -30.0, 60.0])
    direct = torch.rand(513, len(azimuth), generator=torch.Generator().manual_seed(0))
    each = [filters(azimuth[[at]], np.zeros(1), direct[:, [at]]) for at in range(len(azimuth))]
    joined = []

    def counted(parts: list[torch.Tensor], dim: int) -> torch.Tensor:
        joined.append([part.shape[-1] for part in parts])
        return concatenated(parts, dim)

    concatenated = torch.cat
    monkeypatch.setattr(torch, "cat", counted)
    together = filters(azimuth, np.zeros(len(azimuth)), direct)
    assert torch.equal(together, concatenated(each, -1))
    assert [2, 3, 1, 1] in joined


def test_what_is_remembered_does_not_grow_without_bound(hrirs: HRIRSet) -> None:
    filters = DifferenceFilters(hrirs, 8_000, 128)
    azimuth = np.radians(np.arange(1.0, 91.0))
    first = filters(azimuth, np.zeros(90))
    for elevation in np.radians(np.arange(-30.0, 31.0, 5.0)):
        filters(azimuth, np.full(90, elevation))
    assert len(filters._heads) <= 1024
    assert torch.equal(filters(azimuth, np.zeros(90)), first)


def _filtered(sound: torch.Tensor, response: torch.Tensor, n_fft: int) -> torch.Tensor:
    """By the impulse response that a filter with zero phase as its middle has."""
    impulse = torch.fft.irfft(response, n_fft).roll(n_fft // 2)
    size = len(sound) + n_fft
    return torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(impulse, size), size)[n_fft // 2 :][
        : len(sound)
    ]
