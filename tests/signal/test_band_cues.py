"""Cues in bands: tones, noise and hits differ as the definitions say, whatever the level and the equaliser."""

import math

import pytest
import torch
from torch import Tensor

from hearsight.signal.band_cues import CUES, BandCues
from hearsight.signal.mel_bands import BANDS, COLUMNS, HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ, MelBands

SAMPLES = COLUMNS * HOP_SAMPLES
AT = torch.arange(SAMPLES) / SAMPLE_RATE_HZ
SPECTRAL, TEMPORAL, RISE = range(CUES)


@pytest.fixture(scope="module")
def band_cues() -> BandCues:
    return BandCues()


def harmonics(f0_hz: float) -> Tensor:
    """All harmonics up to 7 kHz, alike in level, as a bowed string has them."""
    generator = torch.Generator().manual_seed(0)
    phases = 2 * math.pi * torch.rand(100, generator=generator)
    return sum(
        (torch.sin(2 * math.pi * n * f0_hz * AT + phases[n]) for n in range(1, int(7_000 / f0_hz))),
        torch.zeros(SAMPLES),
    )


def noise() -> Tensor:
    return torch.randn(SAMPLES, generator=torch.Generator().manual_seed(1))


def hits() -> Tensor:
    """Noise that begins twice a second and decays by 60 dB in a fifth of a second."""
    return noise() * torch.exp(-6.9 / 0.2 * (AT % 0.5))


def weighted(band_cues: BandCues, sound: Tensor, low_hz: float = 1_000, high_hz: float = 6_000) -> Tensor:
    """Means of the cues between two frequencies, weighted by the power; the ends are left out. `[3]`"""
    cues = band_cues(sound, COLUMNS)
    window = torch.hann_window(N_FFT)
    spectrogram = torch.stft(sound, N_FFT, HOP_SAMPLES, window=window, pad_mode="constant", return_complex=True)
    power = MelBands(SAMPLE_RATE_HZ, N_FFT).powers(spectrogram)[..., :COLUMNS]
    mel = torch.linspace(2595 * math.log10(1 + 30 / 700), 2595 * math.log10(1 + 8_000 / 700), BANDS)
    hz = 700 * (10 ** (mel / 2595) - 1)
    inside = ((hz > low_hz) & (hz < high_hz)).nonzero().flatten()
    cut = slice(20, COLUMNS - 20)
    return (cues * power)[:, inside, cut].sum((-2, -1)) / power[inside, cut].sum()


def test_tones_are_less_flat_than_noise_where_a_band_holds_several_harmonics(band_cues: BandCues) -> None:
    tonal, noisy = weighted(band_cues, harmonics(98.0)), weighted(band_cues, noise())
    assert tonal[SPECTRAL] < 2 * noisy[SPECTRAL] < 0
    # The mean logarithm of an exponentially distributed power, relative to its mean, is minus Euler's constant. The
    # weights and the overlap of neighbouring bins change it somewhat.
    assert float(noisy[SPECTRAL]) == pytest.approx(-0.577 / 2, abs=0.2)


def test_hits_come_and_go_and_tones_stay(band_cues: BandCues) -> None:
    tonal, hit = weighted(band_cues, harmonics(220.0)), weighted(band_cues, hits())
    assert hit[TEMPORAL] < 5 * tonal[TEMPORAL] < 0
    assert hit[RISE] > 3 * tonal[RISE]


@pytest.mark.parametrize("gain", [1e-3, 30.0])
def test_the_level_does_not_matter(band_cues: BandCues, gain: float) -> None:
    sound = hits() + harmonics(98.0) / 10
    torch.testing.assert_close(band_cues(gain * sound, COLUMNS), band_cues(sound, COLUMNS), atol=1e-3, rtol=1e-3)


def test_an_equaliser_hardly_matters(band_cues: BandCues) -> None:
    """A shelf of 12 dB per decade: in each band it is nearly a gain."""
    sound = hits() + harmonics(98.0) / 10
    spectrum = torch.fft.rfft(sound)
    tilt = (torch.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE_HZ) / 1_000).clamp_min(0.03).pow(0.6)
    tilted = torch.fft.irfft(spectrum * tilt, SAMPLES)
    torch.testing.assert_close(weighted(band_cues, tilted), weighted(band_cues, sound), atol=0.06, rtol=0)


@pytest.mark.parametrize("columns", [1, 16, 31, COLUMNS, COLUMNS + 40])
def test_any_number_of_columns_and_signals_gives_finite_cues(band_cues: BandCues, columns: int) -> None:
    sounds = noise()[: columns * HOP_SAMPLES].expand(2, -1)
    cues = band_cues(sounds, columns)
    assert cues.shape == (2, CUES, BANDS, columns)
    assert bool(cues.isfinite().all())
    torch.testing.assert_close(cues[0], cues[1])


def test_silence_has_no_cue(band_cues: BandCues) -> None:
    assert not band_cues(torch.zeros(SAMPLES), COLUMNS).abs().max() > 1e-4
