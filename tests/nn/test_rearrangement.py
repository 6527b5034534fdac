"""Two pictures' features at the edges of an empty map (Sep-Stereo, equation 8 and supplement)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.nn import Extremes, Rearrangement, rearrange, split_sides


def maps(height: int = 7, width: int = 14, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(2, 3, height, width, generator=generator)
    return a, torch.rand(2, 3, height, width, generator=generator)


def test_paper_puts_the_maximum_at_the_middle_of_each_edge() -> None:
    a, b = maps()
    expected = torch.zeros(2, 3, 7, 14)
    expected[:, :, 3, 0] = a.flatten(2).max(-1).values  # row ceil(7 / 2) = 4, counted from 1
    expected[:, :, 3, 13] = b.flatten(2).max(-1).values
    assert torch.equal(rearrange(a, b, (7, 14)), expected)


def test_released_fills_the_edges_with_each_rows_maximum() -> None:
    a, b = maps()
    expected = torch.zeros(2, 3, 7, 14)
    expected[:, :, :, 0] = a.max(-1).values
    expected[:, :, :, 13] = b.max(-1).values
    assert torch.equal(rearrange(a, b, (7, 14), "released"), expected)


@pytest.mark.parametrize("rearrangement", ["paper", "released"])
def test_vertical_extremes_are_horizontal_ones_of_turned_maps(rearrangement: Rearrangement) -> None:
    a, b = maps()
    vertical = rearrange(a, b, (7, 14), rearrangement, "vertical")
    assert vertical.shape == (2, 3, 7, 14)
    assert not vertical[:, :, 1:-1].any() and vertical[:, :, 0].any() and vertical[:, :, -1].any()
    assert torch.equal(vertical.mT, rearrange(a.mT, b.mT, (14, 7), rearrangement))


@given(st.integers(1, 6), st.integers(2, 6), st.sampled_from(["paper", "released"]))
def test_swapping_the_pictures_mirrors_the_map(height: int, width: int, rearrangement: Rearrangement) -> None:
    a, b = maps(height, width)
    one, other = (rearrange(*pair, (height, width), rearrangement) for pair in ((a, b), (b, a)))
    assert torch.equal(one, other.flip(-1))
    assert one.shape == a.shape


@pytest.mark.parametrize("extremes", ["horizontal", "vertical"])
@pytest.mark.parametrize("rearrangement", ["paper", "released"])
def test_one_feature_per_side_can_be_placed_too(rearrangement: Rearrangement, extremes: Extremes) -> None:
    left, right = torch.full((1, 3, 1, 1), 2.0), torch.full((1, 3, 1, 1), 5.0)
    placed = rearrange(left, right, (7, 14), rearrangement, extremes)
    assert placed.shape == (1, 3, 7, 14)
    first = placed[..., 0] if extremes == "horizontal" else placed[..., 0, :]
    last = placed[..., -1] if extremes == "horizontal" else placed[..., -1, :]
    assert set(first.unique().tolist()) <= {0.0, 2.0} and set(last.unique().tolist()) <= {0.0, 5.0}
    assert first.max() == 2 and last.max() == 5


def test_sides_are_pooled_apart() -> None:
    visual = torch.zeros(1, 1, 7, 14)
    visual[..., 2] = 9.0  # in the first of six columns of three, so a third of the left half
    left, right = split_sides(visual)
    assert left.shape == right.shape == (1, 1, 1, 1)
    assert float(right) == 0
    assert float(left) == pytest.approx(9 * _share_of_cells(2, 14, 6))
    mirrored_left, mirrored_right = split_sides(visual.flip(-1))
    assert (float(mirrored_left), float(mirrored_right)) == (float(right), float(left))


def _share_of_cells(column: int, columns: int, cells: int) -> float:
    """Share of the left half's pooling cells whose columns (which may overlap) include `column`."""
    spans = [(cell * columns // cells, -(-(cell + 1) * columns // cells)) for cell in range(cells // 2)]
    return sum(start <= column < end for start, end in spans) / len(spans)
