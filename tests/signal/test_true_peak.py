"""True peak against sines, whose peak is known whatever their samples show."""

import numpy as np
import pytest
import soxr

from hearsight.signal.true_peak import TruePeakMeter, true_peaks


@pytest.mark.parametrize("frequency", [997.0, 6_000.0, 12_000.0, 18_000.0])
@pytest.mark.parametrize("phase", [0.0, 0.25 * np.pi, 1.0])
def test_a_sine_has_its_own_peak_wherever_its_samples_are(frequency, phase):
    n = np.arange(4800)
    sine = 0.5 * np.sin(2 * np.pi * frequency / 48_000 * n + phase)[None] * np.hanning(4800)
    assert 20 * np.log10(true_peaks(sine).max() / 0.5) == pytest.approx(0, abs=0.25)


def test_noise_agrees_with_another_resampler_and_blocks_do_not_matter():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 20_000))
    fine = soxr.resample(noise.T, 48_000, 48_000 * 8, "VHQ")
    whole = true_peaks(noise).max()
    assert 20 * np.log10(whole / np.abs(fine).max()) == pytest.approx(0, abs=0.3)
    meter = TruePeakMeter()
    for begin in range(0, 20_000, 700):
        meter.process(noise[:, begin : begin + 700])
    assert meter.peak == pytest.approx(whole, rel=1e-6)


def test_the_peak_is_found_at_its_sample():
    pulse = np.zeros((1, 100))
    pulse[0, 40] = 1
    peaks = true_peaks(pulse)
    assert peaks.argmax() == 40 and peaks[40] == pytest.approx(1, abs=1e-3) and peaks[45] < 0.3
    assert np.allclose(peaks[30:51], peaks[30:51][::-1])
    assert TruePeakMeter().peak_db == -np.inf and true_peaks(np.zeros((2, 0))).shape == (0,)
