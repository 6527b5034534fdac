"""Delays between the ears found by GCC-PHAT, against delays that are known."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from hearsight.acoustics import load_hrirs, render
from hearsight.metrics import GCCDelayError, gcc_mse, gcc_phat_delays_s

RATE = 16_000


def noise(seed: int = 0, seconds: float = 1.0) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def delayed(sound: torch.Tensor, delay_s: float) -> torch.Tensor:
    """The sound later by any time, by turning the phases of its spectrum."""
    frequency = torch.fft.rfftfreq(len(sound), 1 / RATE)
    turned = torch.fft.rfft(sound) * torch.exp(-2j * math.pi * frequency * delay_s)
    return torch.fft.irfft(turned, n=len(sound))


@pytest.mark.parametrize("delay_us", [-700, -330, -20, 0, 10, 250, 690])
def test_a_delay_of_the_right_ear_is_found_to_a_hundredth_of_a_millisecond(delay_us: int) -> None:
    sound = noise()
    ears = torch.stack([sound, 0.3 * delayed(sound, delay_us * 1e-6)])  # what is quieter is delayed all the same
    delays = gcc_phat_delays_s(ears, RATE)
    assert delays.shape == (8,)
    assert (1e6 * delays).tolist() == pytest.approx([delay_us] * 8, abs=11)


@pytest.mark.parametrize("azimuth_deg", [-60, -20, 35, 75])
def test_it_is_the_delay_of_the_head_on_the_side_of_the_source(azimuth_deg: int) -> None:
    """Against the largest correlation of the ears in time, and the delay around a sphere of the head's size."""
    ears = render(noise(), math.radians(azimuth_deg), 0.0, load_hrirs().at_rate(RATE))
    found = 1e6 * float(gcc_phat_delays_s(ears, RATE).mean())
    lags = correlate(*ears.numpy()[::-1], mode="full")
    by_hand = 1e6 / RATE * (int(np.argmax(lags)) - (ears.shape[-1] - 1))
    assert found == pytest.approx(by_hand, abs=100)
    angle = math.radians(azimuth_deg)
    assert found == pytest.approx(1e6 * 0.0875 / 343 * (angle + math.sin(angle)), abs=120)  # Woodworth


def test_the_error_is_the_difference_of_two_delays_and_nothing_of_what_is_heard() -> None:
    def pair(delay_us: float, seed: int) -> torch.Tensor:
        return torch.stack([noise(seed), delayed(noise(seed), delay_us * 1e-6)])

    assert float(gcc_mse(pair(300, 1), pair(-150, 2), RATE)) == pytest.approx(1e3 * 0.45**2, rel=0.1)
    assert float(gcc_mse(pair(300, 1), pair(300, 2), RATE)) < 0.3
    batch = torch.stack([pair(300, 1), pair(-150, 2)])
    swapped = gcc_mse(batch, batch.flip(-2), RATE)
    assert swapped.tolist() == pytest.approx([360, 90], rel=0.1)
    metric = GCCDelayError(RATE)
    metric.update(batch, batch.flip(-2))
    assert float(metric.compute()) == pytest.approx(float(swapped.mean()))


def test_mono_and_silence_have_no_delay() -> None:
    sound = noise()
    for ears in (
        torch.stack([sound, sound]),
        torch.zeros(2, RATE),
        torch.stack([sound, torch.zeros_like(sound)]),
        torch.zeros(2, 1),
    ):
        assert not gcc_phat_delays_s(ears, RATE).any()
        assert float(gcc_mse(ears, ears, RATE)) == 0


@pytest.mark.wrong_shapes
def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        gcc_phat_delays_s(torch.zeros(3, 100), RATE)
    with pytest.raises(ValueError, match=r"\(.*\) and \("):
        gcc_mse(torch.zeros(2, 100), torch.zeros(2, 200), RATE)
