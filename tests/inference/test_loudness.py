"""Whatever the ears: as loud as the input, silent where it is silent, never clipping; and the band above a model's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.inference.band_extension import FullBand
from hearsight.inference.loudness import TRUE_PEAK_DB, LevelKeeper, loudness_weights
from hearsight.signal.loudness import integrated_loudness

CEILING = 10 ** (TRUE_PEAK_DB / 20)
RATE = 16_000


def _kept(
    ears: torch.Tensor, channels: torch.Tensor, layout: str = "mono", block: int = 4000
) -> tuple[torch.Tensor, LevelKeeper]:
    keeper = LevelKeeper(RATE, loudness_weights(layout, channels.shape[0]))
    keeper.hear(channels)
    keeper.hear(channels[:, :0], last=True)
    mono = channels.mean(0)
    parts = [keeper.process(e, m) for e, m in zip(ears.split(block, -1), mono.split(block), strict=True)]
    parts.append(keeper.process(ears[:, :0], mono[:0], last=True))
    return torch.cat(parts, dim=-1), keeper


def _music(seconds: float = 8.0, seed: int = 0) -> torch.Tensor:
    """Noise whose level and colour change."""
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * RATE)
    noise = torch.randn(samples, generator=generator)
    dark = torch.nn.functional.avg_pool1d(noise[None], 9, 1, 4)[0] * 2
    time = torch.arange(samples) / RATE
    return 0.05 * (noise * (time.remainder(3) < 1.4) + dark * (0.3 + time.remainder(1.1)))


@pytest.mark.parametrize("gains", [(1.0, 1.0), (0.1, 0.05), (3.0, 0.5), (0.0, 1.0)])
def test_loudness_is_the_inputs_within_half_a_decibel(gains: tuple[float, float]) -> None:
    mono = _music()
    out, _ = _kept(torch.stack([mono * gains[0], mono * gains[1]]), mono[None])
    assert out.shape == (2, len(mono))
    heard_flat = integrated_loudness(torch.stack([mono, mono]), RATE)
    assert integrated_loudness(out, RATE) == pytest.approx(heard_flat, abs=0.5)


def test_loudness_follows_ears_that_change_their_level() -> None:
    mono = _music(12)
    swell = torch.linspace(0.2, 2, len(mono))
    out, _ = _kept(torch.stack([mono * swell, mono * swell.flip(0)]), mono[None])
    assert integrated_loudness(out, RATE) == pytest.approx(
        integrated_loudness(torch.stack([mono, mono]), RATE), abs=0.8
    )


def test_flat_ears_of_a_flat_input_are_untouched() -> None:
    mono = _music()
    assert torch.allclose(_kept(torch.stack([mono, mono]), mono[None])[0], torch.stack([mono, mono]), atol=1e-5)


def test_a_stereo_input_that_comes_back_as_it_was_is_untouched() -> None:
    channels = torch.stack([_music(seed=1), 0.4 * _music(seed=2)])
    assert torch.allclose(_kept(channels, channels, "stereo")[0], channels, atol=1e-5)


def test_the_level_difference_of_the_ears_is_kept() -> None:
    mono = _music()
    out, _ = _kept(torch.stack([mono, 0.25 * mono]), mono[None])
    assert torch.allclose(out[0], 4 * out[1], atol=1e-5)


@pytest.mark.parametrize("level", [0.9, 4.0, 100.0])
def test_nothing_ever_clips_and_the_difference_stays(level: float) -> None:
    mono = level * torch.sin(torch.arange(4 * RATE) * 0.2) * torch.linspace(0, 1, 4 * RATE)
    out, keeper = _kept(torch.stack([2 * mono, mono]), mono[None])
    assert out.abs().max() <= CEILING + 1e-6
    assert torch.allclose(out[0], 2 * out[1], atol=1e-5)
    assert keeper.lost_db > 0


def test_peaks_are_turned_down_without_a_jump() -> None:
    mono = 0.3 * torch.sin(torch.arange(4 * RATE) * 0.05)
    mono[2 * RATE : 2 * RATE + 40] *= 8
    out, _ = _kept(torch.stack([mono, mono]), mono[None])
    quiet = mono.abs() > 0.1
    gain = (out[0] / mono)[quiet]
    assert out.abs().max() <= CEILING + 1e-6
    assert gain.diff().abs().max() < 0.05
    assert gain[: RATE // 2].allclose(torch.tensor(1.0), atol=0.1)


def test_silence_in_is_exact_silence_out_within_50_ms() -> None:
    mono = _music(6)
    silent = (torch.arange(len(mono)) // RATE) % 2 == 1
    mono[silent] = 0
    leaking = torch.stack([mono, mono]) + 0.01 * torch.randn(2, len(mono), generator=torch.Generator().manual_seed(3))
    out, _ = _kept(leaking, mono[None])
    for second in (1, 3, 5):
        inner = slice(second * RATE + round(0.0501 * RATE), (second + 1) * RATE - round(0.0501 * RATE))
        assert (out[:, inner] == 0).all()
    audible = mono.abs() > 1e-5
    assert (out[0, audible] != 0).float().mean() > 0.99


def test_a_silent_clip_stays_silent_whatever_the_model_says() -> None:
    out, _ = _kept(torch.randn(2, RATE), torch.zeros(1, RATE))
    assert (out == 0).all()


@given(cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_the_result_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    mono = _music(20_000 / RATE)
    ears = torch.stack([1.7 * mono, 0.2 * mono])
    whole, _ = _kept(ears, mono[None], block=20_000)
    keeper, parts = LevelKeeper(RATE, [2.0]), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 20_000], strict=True):
        keeper.hear(mono[None, begin:end])
        parts.append(keeper.process(ears[:, begin:end], mono[begin:end]))
    keeper.hear(mono[None, :0], last=True)
    parts.append(keeper.process(ears[:, :0], mono[:0], last=True))
    assert torch.allclose(torch.cat(parts, -1), whole, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 7, 100, 1599, 1601])
def test_very_short_sounds_keep_their_length(samples: int) -> None:
    mono = 0.1 * torch.ones(samples)
    out, _ = _kept(torch.stack([mono, mono]), mono[None])
    assert out.shape == (2, samples) and torch.isfinite(out).all()


def test_channels_that_cancel_are_made_up_for_within_limits_and_reported() -> None:
    one = _music()
    channels = torch.stack([one, -0.99 * one])
    mono = channels.mean(0)
    out, keeper = _kept(torch.stack([mono, mono]), channels, "stereo")
    assert keeper.short_db > 20
    assert out.square().mean() <= (mono.square().mean()) * 10**1.21


def test_loudness_weights_are_those_of_bs_1770() -> None:
    assert loudness_weights("mono", 1) == [2.0]
    assert loudness_weights("stereo", 2) == [1.0, 1.0]
    assert loudness_weights("5.1", 6) == [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]


# --- the band above a model's ---


def _continued(mono: torch.Tensor, difference: torch.Tensor, rate: int = 48_000, block: int = 5000) -> torch.Tensor:
    band = FullBand(rate, 16_000)
    parts = [band.process(m, d) for m, d in zip(mono.split(block), difference.split(block), strict=True)]
    return torch.cat([*parts, band.process(mono[:0], mono[:0], last=True)])


def _low_passed(signal: torch.Tensor, rate: int, cutoff: float) -> torch.Tensor:
    spectrum = torch.fft.rfft(signal)
    spectrum[torch.fft.rfftfreq(len(signal), 1 / rate) > cutoff] = 0
    return torch.fft.irfft(spectrum, len(signal))


@pytest.mark.parametrize("share", [-0.6, 0.0, 0.3, 0.9])
def test_a_difference_that_is_a_share_of_the_mix_is_continued_as_that_share(share: float) -> None:
    mono = 0.1 * torch.randn(96_000, generator=torch.Generator().manual_seed(4))
    out = _continued(mono, share * _low_passed(mono, 48_000, 7_900))
    error = (out - share * mono)[5000:-5000]
    assert error.square().mean().sqrt() < 0.03 * mono.square().mean().sqrt()


def test_below_the_crossover_the_difference_is_the_models() -> None:
    generator = torch.Generator().manual_seed(5)
    mono = 0.1 * torch.randn(96_000, generator=generator)
    difference = 0.1 * _low_passed(torch.randn(96_000, generator=generator), 48_000, 3_000)
    out = _low_passed(_continued(mono, difference), 48_000, 6_000)
    # The octave 3.6 to 7.2 kHz has no difference, so nothing is added above either.
    assert (out - difference)[5000:-5000].abs().max() < 2e-3


def test_the_high_band_pans_with_the_highest_trusted_octave() -> None:
    time = torch.arange(96_000) / 48_000
    mono = 0.1 * torch.randn(96_000, generator=torch.Generator().manual_seed(6))
    side = torch.where(time < 1, 0.8, -0.8)
    out = _continued(mono, _low_passed(side * mono, 48_000, 7_900))
    high = mono - _low_passed(mono, 48_000, 9_000)
    for part, sign in ((slice(10_000, 40_000), 1), (slice(56_000, 86_000), -1)):
        slope = (out * high)[part].sum() / high[part].square().sum()
        assert slope == pytest.approx(0.8 * sign, abs=0.05)


def test_an_input_without_a_higher_band_is_left_as_it_is() -> None:
    mono, difference = torch.randn(2, 4000)
    assert torch.equal(_continued(mono, difference, rate=8_000), difference)


@given(cuts=st.lists(st.integers(0, 9000), max_size=6))
def test_the_continuation_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    mono = torch.from_numpy(np.random.default_rng(7).standard_normal(9000).astype(np.float32))
    difference = 0.5 * mono.roll(3)
    whole = _continued(mono, difference, block=9000)
    band, parts = FullBand(48_000, 16_000), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 9000], strict=True):
        parts.append(band.process(mono[begin:end], difference[begin:end]))
    parts.append(band.process(mono[:0], mono[:0], last=True))
    joined = torch.cat(parts)
    assert joined.shape == whole.shape and torch.allclose(joined, whole, atol=1e-4)
    assert math.isfinite(float(whole.sum()))
