"""Interaural differences against delays and gains that the test puts there, BS.1770 against FFmpeg, contexts, NMF."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.signal.context import ContextStream
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s
from hearsight.signal.loudness import KWeightedPower, integrated_loudness, k_weighting
from hearsight.signal.nmf import factorize
from hearsight.signal.onsets import OnsetStrength


@pytest.fixture
def noise() -> torch.Tensor:
    return 0.1 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gain_db", [-12.0, 0.0, 6.0])
def test_level_difference_is_the_gain_of_the_left_ear(noise: torch.Tensor, gain_db: float) -> None:
    ears = torch.stack([noise * 10 ** (gain_db / 20), noise])
    assert torch.allclose(interaural_level_difference_db(ears, 48_000), torch.tensor(gain_db), atol=1e-4)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("delay_s", [-6.3e-4, 0.0, 2.71e-4])
def test_time_difference_is_the_delay_of_the_right_ear_to_a_few_microseconds(rate: int, delay_s: float) -> None:
    noise = torch.randn(rate, generator=torch.Generator().manual_seed(1))
    turns = torch.fft.rfftfreq(rate, dtype=torch.float64) * rate * delay_s
    late = torch.fft.irfft(torch.fft.rfft(noise.double()) * torch.exp(-2j * math.pi * turns), rate).float()
    found = interaural_time_difference_s(torch.stack([noise, late]), rate)
    assert torch.allclose(found, torch.tensor(delay_s, dtype=found.dtype), atol=4e-6)


def test_silence_has_no_direction(noise: torch.Tensor) -> None:
    ears = torch.stack([noise, noise])
    ears[:, :24_000] = 0
    for measured in (interaural_level_difference_db(ears, 48_000), interaural_time_difference_s(ears, 48_000)):
        assert math.isnan(measured[0]) and math.isfinite(measured[-1])


def test_k_weighting_at_48_khz_has_the_coefficients_of_the_standard() -> None:
    shelf, high_pass = k_weighting(48_000)
    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585], abs=1e-9
    )
    assert high_pass == pytest.approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621], abs=1e-9)


def _loudness_by_ffmpeg(samples: torch.Tensor, rate: int) -> float:
    graph = av.filter.Graph()
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    source = graph.add("abuffer", f"time_base=1/{rate}:sample_rate={rate}:sample_fmt=fltp:channel_layout={layout}")
    meter = graph.add("ebur128", "metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    value = -math.inf
    block = rate // 10
    for start in range(0, samples.shape[-1] - block + 1, block):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, start : start + block].numpy()), format="fltp", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        graph.push(frame)
        while True:
            try:
                value = float(graph.pull().metadata["lavfi.r128.I"])
            except (av.BlockingIOError, BlockingIOError, av.EOFError):
                break
    return value


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_agrees_with_ffmpeg(rate: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(2)
    envelope = torch.linspace(0.02, 1, 6 * rate) * (torch.arange(6 * rate) % (2 * rate) > rate // 2)
    sound = 0.2 * envelope * torch.randn(channels, 6 * rate, generator=generator).cumsum(-1).sin()
    assert integrated_loudness(sound, rate) == pytest.approx(_loudness_by_ffmpeg(sound, rate), abs=0.15)


def test_loudness_of_silence_is_minus_infinity() -> None:
    assert integrated_loudness(torch.zeros(1, 48_000), 48_000) == -math.inf
    assert integrated_loudness(torch.ones(1, 100), 48_000) == -math.inf


@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_power_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    sound = torch.randn(2, 4000, generator=torch.Generator().manual_seed(3))
    whole = KWeightedPower(8000, [1, 1]).process(sound, last=True)
    meter, parts = KWeightedPower(8000, [1, 1]), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 4000], strict=True):
        parts += meter.process(sound[:, begin:end])
    parts += meter.process(sound[:, :0], last=True)
    assert parts == pytest.approx(whole, rel=1e-9)


@given(cuts=st.lists(st.integers(0, 3000), max_size=8), context=st.integers(1, 300))
def test_a_function_with_context_gives_the_same_however_the_stream_is_cut(cuts: list[int], context: int) -> None:
    kernel = torch.randn(1, 1, 2 * context + 1, generator=torch.Generator().manual_seed(4))

    def filtered(signal: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(signal[None], kernel)[0]

    sound = torch.randn(1, 3000, generator=torch.Generator().manual_seed(5))
    stream, parts = ContextStream(filtered, context, 1, 1), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 3000], strict=True):
        parts.append(stream.process(sound[:, begin:end]))
    parts.append(stream.process(sound[:, :0], last=True))
    expected = filtered(torch.nn.functional.pad(sound, (context, context)))
    assert torch.allclose(torch.cat(parts, dim=-1), expected, atol=1e-3)


def test_onset_strength_peaks_where_sounds_begin_and_ignores_steady_ones() -> None:
    rate, tick_rate = 44_100, 15.0
    time = torch.arange(4 * rate) / rate
    sound = 0.1 * torch.sin(2 * math.pi * 220 * time)
    begins = [1.03, 2.21, 3.37]
    for begin in begins:
        sound += 0.3 * torch.sin(2 * math.pi * 660 * time) * torch.exp(-(time - begin) * 8) * (time >= begin)
    meter = OnsetStrength(rate, tick_rate)
    values = np.concatenate(
        [meter.process(part) for part in sound.split(3_333)] + [meter.process(sound[:0], last=True)]
    )
    assert len(values) == pytest.approx(4 * tick_rate, abs=1)
    later = values.copy()
    later[:3] = 0  # the sound's own beginning
    assert sorted(np.argsort(later)[-3:]) == [int(begin * tick_rate) for begin in begins]


def divergence(magnitudes: np.ndarray, spectra: np.ndarray, activations: np.ndarray) -> float:
    """Generalised Kullback-Leibler divergence of `magnitudes` from the product."""
    model = spectra.astype(np.float64) @ activations + 1e-9
    return float((magnitudes * np.log(magnitudes / model) - magnitudes + model).sum())


def test_factorisation_recovers_a_product_and_lowers_the_divergence() -> None:
    generator = np.random.default_rng(0)
    truth = generator.exponential(size=(80, 3)) ** 3 @ generator.exponential(size=(3, 120))
    spectra, activations = factorize(truth, 3, iterations=300)
    assert divergence(truth, spectra, activations) < 0.02 * truth.sum()
    before = [divergence(truth, *factorize(truth, 3, iterations=n)) for n in (1, 5, 20, 80)]
    assert before == sorted(before, reverse=True)
    assert np.allclose(spectra.sum(0), 1, atol=1e-4) and (spectra >= 0).all() and (activations >= 0).all()


def test_factorisation_goes_on_from_given_spectra() -> None:
    generator = np.random.default_rng(1)
    spectra = generator.exponential(size=(60, 4)) ** 3
    sound = spectra @ generator.exponential(size=(4, 100))
    again, _ = factorize(sound, 99, iterations=10, spectra=spectra)
    cosine = (again * spectra).sum(0) / np.linalg.norm(again, axis=0) / np.linalg.norm(spectra, axis=0)
    assert again.shape == (60, 4) and (cosine > 0.98).all()
