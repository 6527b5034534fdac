"""Lateral angles read from renderings whose angle is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.acoustics import load_hrirs, render
from hearsight.metrics import DirectionLookup

RATE = 16_000


@pytest.fixture(scope="module")
def hrirs():
    return load_hrirs()


@pytest.fixture(scope="module")
def lookup(hrirs):
    return DirectionLookup(hrirs, RATE)


def noise(seed: int = 0, seconds: float = 1.5) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def rendered(hrirs, azimuth_deg: float, elevation_deg: float = 0.0, seed: int = 0) -> torch.Tensor:
    return render(noise(seed), math.radians(azimuth_deg), math.radians(elevation_deg), hrirs.at_rate(RATE))


def error_deg(lookup, ears, azimuth_deg: float, elevation_deg: float = 0.0) -> float:
    direction = torch.tensor([[azimuth_deg], [elevation_deg]]).deg2rad()
    return math.degrees(lookup.error(ears, direction[0], direction[1]))


@settings(max_examples=15)
@given(azimuth=st.floats(-180, 180), elevation=st.floats(-30, 60), seed=st.integers(0, 99))
def test_a_rendering_at_the_true_angle_has_no_error(hrirs, lookup, azimuth, elevation, seed):
    assert error_deg(lookup, rendered(hrirs, azimuth, elevation, seed), azimuth, elevation) < 1e-3


@pytest.mark.parametrize(("rendered_at", "known"), [(30, 60), (-45, 20), (80, -80), (0, 50)])
def test_a_rendering_elsewhere_has_the_error_of_the_distance(hrirs, lookup, rendered_at, known):
    assert error_deg(lookup, rendered(hrirs, rendered_at), known) == pytest.approx(abs(rendered_at - known), abs=2)


@pytest.mark.parametrize("azimuth", [-72, -33, 0, 12, 57, 150])
def test_the_angle_is_found_without_knowing_it(hrirs, lookup, azimuth):
    angles, level = lookup.lateral_angles(rendered(hrirs, azimuth))
    assert angles.shape == level.shape == (11,)
    expected = math.degrees(math.asin(math.sin(math.radians(azimuth))))
    assert angles.rad2deg().tolist() == pytest.approx([expected] * 11, abs=5)


def test_mono_is_in_the_middle_and_swapped_ears_on_the_other_side(hrirs, lookup):
    mono = torch.stack([noise(), noise()])
    assert error_deg(lookup, mono, 40) == pytest.approx(40, abs=1e-3)
    assert error_deg(lookup, rendered(hrirs, 50).flip(0), 50) == pytest.approx(100, abs=2)


def test_a_moving_source_is_compared_window_by_window(hrirs, lookup):
    path = torch.linspace(-60, 60, 7).deg2rad()
    ears = render(noise(), path, torch.zeros(7), hrirs.at_rate(RATE))
    centres = torch.arange(1, 12) * 0.125 / 1.5
    azimuth = (-60 + 120 * centres).deg2rad()
    assert math.degrees(lookup.error(ears, azimuth, torch.zeros(11))) < 3
    assert math.degrees(lookup.error(ears, azimuth.flip(0), torch.zeros(11))) > 30
    with pytest.raises(ValueError, match="11 windows"):
        lookup.error(ears, azimuth[:3], torch.zeros(3))


def test_silence_and_one_silent_ear_are_defined(lookup):
    assert error_deg(lookup, torch.zeros(2, 8000), 40) == 0
    one = torch.stack([noise(), torch.zeros(24_000)])
    angles, _ = lookup.lateral_angles(one)
    assert float(angles.min()) > math.radians(40)


def test_a_batch_equals_a_loop(hrirs, lookup):
    ears = torch.stack([rendered(hrirs, azimuth) for azimuth in (-20, 35)])
    azimuth = torch.tensor([10.0, 35.0]).deg2rad()
    together = lookup.error(ears, azimuth[:, None], torch.zeros(2, 1))
    alone = [lookup.error(ears[i], azimuth[i : i + 1], torch.zeros(1)) for i in (0, 1)]
    torch.testing.assert_close(together, torch.stack(alone))
