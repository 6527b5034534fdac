"""A segment network on a mix of any length."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hearsight.models.windows import separate_in_windows


def halves(window: Tensor) -> Tensor:
    """A "network" that gives a quarter and three quarters of the mix."""
    return torch.stack([0.25 * window, 0.75 * window], dim=1)


@given(st.integers(1, 700), st.booleans(), st.integers(1, 3))
def test_windows_that_agree_give_the_whole(samples: int, ears: bool, size: int) -> None:
    mix = torch.randn(*((size, 2, samples) if ears else (size, samples)))
    stems = separate_in_windows(mix, 100, halves)
    assert stems.shape == (size, 2, *mix.shape[1:])
    torch.testing.assert_close(stems, halves(mix), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [None, 2])
def test_every_window_reaches_the_network_at_the_level_of_training(channels: int | None) -> None:
    levels = []

    def listen(window: Tensor) -> Tensor:
        mono = window if channels is None else window.sum(1)
        levels.append(mono.square().mean(-1).sqrt())
        return halves(window)

    mix = torch.randn(2, 300) if channels is None else torch.randn(2, channels, 300)
    mix[..., 100:] *= 0.01
    separate_in_windows(mix, 100, listen)
    torch.testing.assert_close(torch.stack(levels), torch.full((5, 2), 0.1), rtol=1e-4, atol=0)


def test_overlapping_windows_are_averaged() -> None:
    counter = iter(range(10))

    def number(window: Tensor) -> Tensor:
        return torch.full_like(window, next(counter) * 0.1 / float(window.square().mean().sqrt()))[:, None]

    stems = separate_in_windows(torch.full((1, 20), 0.1), 10, number)  # windows at 0, 5, 10
    assert stems[0, 0].tolist() == pytest.approx([0] * 5 + [0.5] * 5 + [1.5] * 5 + [2] * 5)


def test_silence_stays_silent() -> None:
    assert not separate_in_windows(torch.zeros(1, 250), 100, halves).any()
