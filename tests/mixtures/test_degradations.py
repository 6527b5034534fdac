"""Flaws of recordings do what they are drawn for, alike for the mixture and its stems."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.mixtures.degradations import Flaws, Ranges, draw_flaws, draw_recording, knots_hz, record

RATE = 16_000
SAMPLES = 2 * RATE


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _none(batch: int = 1) -> Flaws:
    """Flaws that change nothing but the level, which becomes -20 dB."""
    flaws = draw_flaws(batch, RATE, _generator())
    still = torch.full((batch,), math.inf)
    return replace(
        flaws, magnitude_db=torch.zeros_like(flaws.magnitude_db), low_pass_hz=still, snr_db=still,
        ratio=torch.ones(batch), clip_db=torch.zeros(batch), level_db=torch.full((batch,), -20.0),
    )  # fmt: skip


def _noise(*shape: int, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=_generator(seed))


def _db(power: Tensor) -> Tensor:
    return 10 * torch.log10(power)


def test_without_flaws_only_the_level_changes() -> None:
    sound = _noise(2, SAMPLES)
    recorded = record(sound, _none(2))
    scale = (recorded.sound * sound).sum(-1, keepdim=True) / (sound * sound).sum(-1, keepdim=True)
    assert torch.allclose(recorded.sound, scale * sound, atol=1e-5)
    assert torch.allclose(_db(recorded.sound.square().mean(-1)), torch.tensor(-20.0), atol=0.05)


def test_stems_and_noise_add_up_to_the_recording() -> None:
    stems = _noise(8, 3, SAMPLES) * torch.rand(8, 3, 1, generator=_generator(5))
    flaws = replace(draw_flaws(8, RATE, _generator(2)), clip_db=torch.zeros(8))
    recorded = record(stems.sum(1), flaws, _generator(3))
    length = 2 * (recorded.response.shape[-1] - 1)  # around which the zero-phase filter wraps
    filtered = sum(
        torch.fft.irfft(torch.fft.rfft(stem, length) * recorded.response, length)[:, :SAMPLES]
        for stem in stems.unbind(1)
    )
    total = recorded.gain * (filtered + recorded.noise)
    assert torch.allclose(total, recorded.sound, atol=1e-5)


def test_filter_has_the_drawn_magnitude() -> None:
    flaws = _none()
    curve = 6 * torch.sin(torch.linspace(0, 9, flaws.magnitude_db.shape[1]))[None]
    flaws = replace(flaws, magnitude_db=curve, level_db=torch.tensor([-60.0]))
    pulse = torch.zeros(1, SAMPLES)
    pulse[0, SAMPLES // 2] = 1.0
    recorded = record(pulse, flaws)
    measured = torch.fft.rfft(recorded.sound / recorded.gain).abs()[0]
    frequency = torch.fft.rfftfreq(SAMPLES, 1 / RATE)
    wanted = np.interp(np.log(frequency[200:15_000]), np.log(knots_hz(RATE)), curve[0])
    assert np.abs(20 * np.log10(measured[200:15_000]) - wanted).max() < 0.5


def test_a_codecs_edge_lets_nothing_through_above() -> None:
    flaws = replace(_none(), low_pass_hz=torch.tensor([4000.0]), snr_db=torch.tensor([20.0]))
    power = (
        torch.fft.rfft(record(_noise(1, SAMPLES), flaws, _generator()).sound * torch.hann_window(SAMPLES)).abs() ** 2
    )
    frequency = torch.fft.rfftfreq(SAMPLES, 1 / RATE)
    passed, stopped = (power[0, part].mean() for part in (frequency < 3700, frequency > 4300))
    assert _db(stopped / passed) < -50


@pytest.mark.parametrize("snr_db", [15.0, 40.0])
def test_noise_is_as_far_below_the_sound_as_drawn(snr_db: float) -> None:
    flaws = replace(_none(2), snr_db=torch.tensor([snr_db, math.inf]))
    sound = _noise(2, SAMPLES)
    recorded = record(sound, flaws, _generator())
    assert _db(sound[0].square().mean() / recorded.noise[0].square().mean()).item() == pytest.approx(snr_db, abs=0.1)
    assert recorded.noise[1].abs().max() == 0


def test_noise_falls_with_its_slope() -> None:
    flaws = replace(_none(), snr_db=torch.tensor([20.0]), noise_slope_db=torch.tensor([6.0]))
    power = torch.fft.rfft(record(_noise(1, SAMPLES), flaws, _generator()).noise[0]).abs() ** 2
    frequency = torch.fft.rfftfreq(SAMPLES, 1 / RATE)
    low, high = (power[(frequency > f / 1.2) & (frequency < f * 1.2)].mean() for f in (500, 4000))
    assert _db(low / high).item() == pytest.approx(18, abs=2)


def test_automatic_gain_evens_out_the_level() -> None:
    sound = _noise(1, 4 * RATE)
    sound[:, 2 * RATE :] *= 0.1  # 20 dB
    flaws = replace(_none(), ratio=torch.tensor([4.0]), release_s=torch.tensor([0.05]))
    recorded = record(sound, flaws).sound
    loud, soft = (recorded[0, part].square().mean() for part in (slice(RATE), slice(3 * RATE, None)))
    assert _db(loud / soft).item() == pytest.approx(5, abs=1)  # a quarter of 20


def test_automatic_gain_is_released_slowly() -> None:
    sound = _noise(1, 4 * RATE)
    sound[:, RATE:] *= 0.1

    def rise(release_s: float) -> float:
        flaws = replace(_none(), ratio=torch.tensor([4.0]), release_s=torch.tensor([release_s]))
        gain = record(sound, flaws).gain[0]
        return float(_db((gain[round(1.15 * RATE)] / gain[RATE // 2]) ** 2))

    assert rise(0.05) > rise(0.8) + 5


def test_clipping_flattens_peaks_only() -> None:
    sound = 0.5 * torch.sin(2 * math.pi * 200 * torch.arange(SAMPLES) / RATE)[None]
    recorded = record(sound, replace(_none(), clip_db=torch.tensor([6.0]))).sound[0]
    whole = record(sound, _none()).sound[0]
    top = recorded.abs().max()
    assert (top / whole.abs().max()).item() == pytest.approx(0.5, abs=0.01)
    assert torch.allclose(recorded[whole.abs() < 0.99 * top], whole[whole.abs() < 0.99 * top], atol=1e-6)


def test_nothing_exceeds_full_scale_and_silence_stays_quiet() -> None:
    flaws = draw_flaws(16, RATE, _generator(11))
    loud = record(3 * _noise(16, SAMPLES), flaws, _generator()).sound
    assert loud.abs().max() <= 1
    silent = record(torch.zeros(16, SAMPLES), flaws, _generator())
    assert torch.isfinite(silent.sound).all()
    assert torch.isfinite(silent.gain).all()
    assert (_db(silent.sound.square().mean(-1) + 1e-12) <= flaws.level_db + 0.1).all()


def test_flaws_are_drawn_within_their_ranges() -> None:
    ranges = Ranges()
    flaws = draw_flaws(400, RATE, _generator(1))
    for values, (low, high), none, share in (
        (flaws.low_pass_hz, ranges.low_pass_hz, math.inf, ranges.low_pass_share),
        (flaws.snr_db, ranges.snr_db, math.inf, ranges.noise_share),
        (flaws.ratio, ranges.compression_ratio, 1.0, ranges.compression_share),
        (flaws.clip_db, ranges.clip_db, 0.0, ranges.clip_share),
    ):
        has = values != none
        assert has.float().mean().item() == pytest.approx(share, abs=0.1)
        assert ((values[has] >= low) & (values[has] <= high)).all()


def test_one_clip_comes_with_the_response_of_its_spectrogram() -> None:
    sound = _noise(SAMPLES)
    quiet = replace(Ranges(), noise_share=0.0, compression_share=0.0, clip_share=0.0)
    recorded, noise, response = draw_recording(sound, RATE, np.random.default_rng(3), quiet, n_fft=512)
    assert response.shape == (257,)
    assert noise.abs().max() == 0
    window = torch.hann_window(512)
    before, after = (
        torch.stft(signal, 512, window=window, return_complex=True).abs().square().mean(-1).sqrt()
        for signal in (sound, recorded)
    )
    measured = (after / before).numpy()[3:200]
    passed = response[3:200] > 1e-2
    assert passed.sum() > 80
    ratio = measured[passed] / response[3:200][passed]
    assert np.std(20 * np.log10(ratio)) < 1.0  # alike but for one constant gain


def test_one_clip_depends_on_its_generator_alone() -> None:
    sound = _noise(SAMPLES)
    first, again, other = (draw_recording(sound, RATE, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
