import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.acoustics import (
    DEFAULT_FIELD_OF_VIEW,
    direction_to_picture,
    from_cartesian,
    picture_field_of_view,
    picture_to_direction,
    resolved_field_of_view,
    to_cartesian,
)


def angles(*degrees: float) -> torch.Tensor:
    return torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))


def test_ahead_left_and_up_are_the_axes():
    points = to_cartesian(angles(0, 90, 0, 180, -90), angles(0, 0, 90, 0, 0))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    torch.testing.assert_close(points, torch.tensor(expected, dtype=torch.float64))


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(0.01, 100))
def test_directions_come_back_from_vectors_of_any_length(azimuth, elevation, length):
    vector = length * to_cartesian(torch.tensor(azimuth).double(), torch.tensor(elevation).double())
    back = from_cartesian(vector)
    assert [float(angle) for angle in back] == pytest.approx([azimuth, elevation], abs=1e-6)


def test_the_zero_vector_is_ahead():
    azimuth, elevation = from_cartesian(torch.zeros(3))
    assert float(azimuth) == float(elevation) == 0


def test_the_edges_of_the_picture_are_the_papers_angles():
    x, y = torch.tensor([0.0, 1.0, 0.5, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.5, 0.0, 1.0])
    azimuth, elevation = picture_to_direction(x, y)
    assert azimuth.tolist() == pytest.approx([math.pi / 3, -math.pi / 3, 0, 0, 0], abs=1e-6)
    top = math.atan(math.pi / 3)  # arctan(h), h from pi/3 to -pi/3
    assert elevation.tolist() == pytest.approx([0, 0, 0, top, -top], abs=1e-6)
    _, released = picture_to_direction(x, y, elevation_law="proportional")
    _, panorama = picture_to_direction(
        torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]), elevation_law="equirectangular"
    )
    torch.testing.assert_close(panorama, torch.tensor([math.pi / 2, -math.pi / 2]))
    assert released.tolist() == pytest.approx([0, 0, 0, math.pi / 4, -math.pi / 4], abs=1e-6)


@pytest.mark.parametrize("law", ["cylinder", "proportional", "equirectangular"])
@pytest.mark.parametrize("field_of_view", [DEFAULT_FIELD_OF_VIEW, math.pi / 6, 2 * math.pi])
def test_positions_come_back_from_directions(law, field_of_view):
    x, y = torch.rand(2, 50, dtype=torch.float64)
    back = direction_to_picture(*picture_to_direction(x, y, field_of_view, law), field_of_view, law)
    torch.testing.assert_close(torch.stack(back), torch.stack([x, y]))


def test_left_in_the_picture_is_left_of_the_listener():
    azimuth, _ = picture_to_direction(torch.linspace(0, 1, 11), torch.full((11,), 0.5))
    assert (azimuth.diff() < 0).all()
    assert azimuth[0] > 0


def test_numpy_in_numpy_out_and_unknown_laws_are_refused():
    azimuth, elevation = picture_to_direction(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert isinstance(azimuth, np.ndarray)
    assert isinstance(elevation, np.ndarray)
    assert isinstance(to_cartesian(azimuth, elevation), np.ndarray)
    for function in (picture_to_direction, direction_to_picture):
        with pytest.raises(ValueError, match="known: cylinder"):
            function(torch.zeros(1), torch.zeros(1), elevation_law="flat")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "degrees"), [((1080, 1920), 120), ((240, 480), 120), ((1080, 1080), 67.5), ((1920, 1080), 38), (None, 120)]
)
def test_a_narrower_picture_covers_less(size: tuple[int, int] | None, degrees: float) -> None:
    assert math.degrees(picture_field_of_view(size)) == pytest.approx(degrees, abs=0.1)


@pytest.mark.parametrize(
    ("size", "focal_length_mm", "degrees"),
    [((2400, 3600), 18.0, 90.0), ((3600, 2400), 12.0, 90.0), ((1080, 1920), 26.0, 71.8), ((1920, 1080), 26.0, 44.4)],
)
def test_a_lens_covers_what_optics_say(size: tuple[int, int], focal_length_mm: float, degrees: float) -> None:
    """A side of s mm behind f mm covers 2 atan(s / 2f); 26 mm are usual of phones, whose 16:9 has the same diagonal."""
    angle = resolved_field_of_view(picture_field_of_view, size, focal_length_mm)
    assert math.degrees(angle) == pytest.approx(degrees, abs=0.1)
    assert resolved_field_of_view(1.0, size, focal_length_mm) == 1.0
