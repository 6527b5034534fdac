import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.acoustics import (
    convert_ambisonics,
    from_cartesian,
    harmonic_rotation,
    rotation_matrix,
    spherical_harmonics,
    to_cartesian,
)

HIGHEST = 7
angles = st.floats(-math.pi, math.pi)


def random_directions(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return from_cartesian(points)


def acn(order: int) -> list[tuple[int, int]]:
    return [(degree, m) for degree in range(order + 1) for m in range(-degree, degree + 1)]


def test_harmonics_are_orthonormal_under_lebedev_quadrature():
    points, weights = scipy.integrate.lebedev_rule(2 * HIGHEST + 1)
    harmonics = spherical_harmonics(*from_cartesian(torch.from_numpy(points.T.copy())), HIGHEST, "n3d").numpy()
    gram = harmonics.T @ (harmonics * weights[:, None]) / (4 * math.pi)
    np.testing.assert_allclose(gram, np.eye((HIGHEST + 1) ** 2), atol=1e-12)


def test_n3d_equals_scipy_without_the_condon_shortley_phase():
    azimuth, elevation = random_directions(100)
    ours = spherical_harmonics(azimuth, elevation, HIGHEST, "n3d").numpy()
    for channel, (degree, m) in enumerate(acn(HIGHEST)):
        theirs = scipy.special.sph_harm_y(degree, abs(m), math.pi / 2 - elevation.numpy(), azimuth.numpy())
        part = theirs.imag if m < 0 else theirs.real
        scale = math.sqrt(4 * math.pi) * (math.sqrt(2) if m else 1) * (-1) ** m
        np.testing.assert_allclose(ours[:, channel], scale * part, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_n3d_equals_spaudiopy_times_the_square_root_of_four_pi(monkeypatch):
    if not hasattr(scipy.special, "sph_harm"):  # spaudiopy still calls the name that SciPy 1.17 removed
        monkeypatch.setattr(
            scipy.special, "sph_harm", lambda m, n, az, zen: scipy.special.sph_harm_y(n, m, zen, az), raising=False
        )
    import spaudiopy

    azimuth, elevation = random_directions(100)
    theirs = spaudiopy.sph.sh_matrix(HIGHEST, azimuth.numpy(), math.pi / 2 - elevation.numpy(), "real")
    ours = spherical_harmonics(azimuth, elevation, HIGHEST, "n3d").numpy()
    np.testing.assert_allclose(ours, theirs * math.sqrt(4 * math.pi), atol=1e-6)


def test_first_order_is_w_y_z_x_of_equation_5():
    azimuth, elevation = random_directions(20)
    x, y, z = to_cartesian(azimuth, elevation).unbind(-1)
    expected = torch.stack([torch.ones_like(x), y, z, x], dim=-1)
    torch.testing.assert_close(spherical_harmonics(azimuth, elevation, 1), expected)


def test_sn3d_energy_of_each_degree_is_one_in_every_direction():
    harmonics = spherical_harmonics(*random_directions(50), HIGHEST)
    for degree in range(HIGHEST + 1):
        energy = harmonics[:, degree**2 : (degree + 1) ** 2].square().sum(-1)
        torch.testing.assert_close(energy, torch.ones_like(energy))


def test_fuma_first_order_is_w_x_y_z_with_w_three_decibels_down():
    azimuth, elevation = torch.tensor([0.3], dtype=torch.float64), torch.tensor([-0.4], dtype=torch.float64)
    w, x, y, z = spherical_harmonics(azimuth, elevation, 1, "fuma")[0]
    assert w == pytest.approx(math.sqrt(0.5))
    torch.testing.assert_close(torch.stack([x, y, z]), to_cartesian(azimuth, elevation)[0])


def test_fuma_harmonics_above_w_reach_exactly_one():
    azimuth, elevation = torch.meshgrid(
        torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64),
        torch.linspace(-math.pi / 2, math.pi / 2, 361, dtype=torch.float64),
        indexing="ij",
    )
    peaks = spherical_harmonics(azimuth, elevation, 3, "fuma").abs().amax((0, 1))
    torch.testing.assert_close(peaks[1:], torch.ones(15, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("source", ["sn3d", "n3d", "fuma"])
@pytest.mark.parametrize("target", ["sn3d", "n3d", "fuma"])
def test_conversion_agrees_with_the_harmonics_of_both_conventions(source, target):
    azimuth, elevation = random_directions(7)
    signals = spherical_harmonics(azimuth, elevation, 3, source).unsqueeze(-1)
    expected = spherical_harmonics(azimuth, elevation, 3, target).unsqueeze(-1)
    torch.testing.assert_close(convert_ambisonics(signals, source, target), expected)


@pytest.mark.parametrize(
    ("channels", "source", "target"), [(5, "sn3d", "n3d"), (25, "sn3d", "fuma"), (4, "sid", "n3d")]
)
def test_conversion_refuses_what_is_not_ambisonics(channels, source, target):
    with pytest.raises(ValueError):
        convert_ambisonics(torch.zeros(channels, 10), source, target)


@settings(max_examples=25, deadline=None)
@given(angles, angles, angles)
def test_rotating_coefficients_equals_rotating_directions(yaw, pitch, roll):
    rotation = rotation_matrix(torch.tensor(yaw, dtype=torch.float64), pitch, roll)
    azimuth, elevation = random_directions(10)
    rotated = from_cartesian(to_cartesian(azimuth, elevation) @ rotation.T)
    expected = spherical_harmonics(*rotated, HIGHEST)
    turned = spherical_harmonics(azimuth, elevation, HIGHEST) @ harmonic_rotation(rotation, HIGHEST).T
    torch.testing.assert_close(turned, expected, atol=1e-10, rtol=0)


def test_yaw_turns_left_pitch_turns_up_roll_lifts_the_left():
    quarter = math.pi / 2
    ahead, left, up = torch.eye(3)
    assert torch.allclose(rotation_matrix(quarter) @ ahead, left, atol=1e-6)
    assert torch.allclose(rotation_matrix(0.0, quarter) @ ahead, up, atol=1e-6)
    assert torch.allclose(rotation_matrix(0.0, 0.0, quarter) @ left, up, atol=1e-6)


def test_batches_of_rotations_are_rotations_one_by_one():
    yaw = torch.tensor([0.1, 1.0, -2.0], dtype=torch.float64)
    together = harmonic_rotation(rotation_matrix(yaw, 0.3, -0.2), 3)
    for index in range(3):
        torch.testing.assert_close(together[index], harmonic_rotation(rotation_matrix(yaw[index], 0.3, -0.2), 3))


def test_float32_agrees_with_float64_and_plain_numbers_work():
    azimuth, elevation = random_directions(200)
    single = spherical_harmonics(azimuth.float(), elevation.float(), HIGHEST)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), spherical_harmonics(azimuth, elevation, HIGHEST), atol=2e-5, rtol=0)
    torch.testing.assert_close(spherical_harmonics(math.pi / 2, 0, 1), torch.tensor([1.0, 1, 0, 0]), atol=1e-6, rtol=0)


def test_gradients_are_right_also_at_the_poles():
    azimuth = torch.tensor([0.4, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    elevation = torch.tensor([0.2, math.pi / 2, -math.pi / 2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, e: spherical_harmonics(a, e, 4), (azimuth, elevation))


def test_numpy_in_numpy_out():
    harmonics = spherical_harmonics(np.array([0.1, 0.2]), 0.0, 2)
    assert isinstance(harmonics, np.ndarray)
    assert harmonics.shape == (2, 9)
    assert harmonics.dtype == np.float64
    assert isinstance(convert_ambisonics(harmonics[..., None], "sn3d", "fuma"), np.ndarray)
