"""Agreement with renderers that share no code with hearsight, on the same SOFA file.

What remains, 65 to 75 dB down, is the measurement's noise in the 16 samples that `load_hrirs` drops before time zero.
"""

import math

import h5py
import numpy as np
import pytest
import scipy.signal
import sofar
import torch

from hearsight.acoustics import HRIRSet, custom_layout, load_hrirs, render, spatialize
from hearsight.acoustics.hrir import KEMAR

RATE = 44_100


@pytest.fixture(scope="module")
def as_measured() -> HRIRSet:
    return load_hrirs(normalized=False)


def disagreement_db(ours: np.ndarray, theirs: np.ndarray, dropped: int) -> float:
    """Error over power after taking out the delay that `load_hrirs` drops from all responses."""
    theirs = theirs[:, dropped : dropped + ours.shape[-1]]
    return float(10 * np.log10(((ours - theirs) ** 2).sum() / (theirs**2).sum() + 1e-30))


def dropped_samples(hrirs: HRIRSet) -> int:
    with h5py.File(KEMAR) as file:
        return file["Data.IR"].shape[-1] - hrirs.taps


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("degrees", [(0, 0), (30, 0), (90, 0), (-65, 20), (150, -30), (0, 90)])
def test_a_still_source_agrees_with_spaudiopy(as_measured, degrees):
    import spaudiopy

    mono = np.random.default_rng(0).standard_normal(8000)
    azimuth, elevation = np.deg2rad(degrees)
    theirs_set = spaudiopy.io.load_sofa_hrirs(str(KEMAR))
    left, right = theirs_set.nearest_hrirs(azimuth % (2 * np.pi), np.pi / 2 - elevation)
    theirs = np.stack([scipy.signal.convolve(mono, left), scipy.signal.convolve(mono, right)])
    ours = render(mono, azimuth, elevation, as_measured)
    assert disagreement_db(ours, theirs, dropped_samples(as_measured)) < -65


@pytest.mark.filterwarnings("ignore")
def test_virtual_speakers_agree_with_spaudiopy(as_measured):
    import spaudiopy

    # Speakers at measured directions, so that both use the same responses.
    azimuth = np.deg2rad([0, 45, 90, 135, 180, 225, 270, 315, 0, 0, 90, 180, 270])
    elevation = np.deg2rad([0] * 8 + [90] + [-40] * 4)
    layout = custom_layout(torch.from_numpy(azimuth), torch.from_numpy(elevation))
    mono = np.random.default_rng(1).standard_normal(6000)
    ours = spatialize(mono[None], 0.6, 0.2, as_measured, rendering="virtual-speakers", layout=layout)
    points = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    setup = spaudiopy.decoder.LoudspeakerSetup(*points)
    source = [1.0, math.cos(0.2) * math.cos(0.6), math.cos(0.2) * math.sin(0.6), math.sin(0.2)]
    feeds = np.linalg.pinv(np.vstack([np.ones(13), points])) @ np.array(source)
    hrirs = spaudiopy.io.load_sofa_hrirs(str(KEMAR))
    theirs = np.stack(setup.binauralize(feeds[:, None] * mono, RATE, hrirs=hrirs))
    assert disagreement_db(ours, theirs, dropped_samples(as_measured)) < -65


def test_other_rates_agree_with_resampling_the_sound_instead(as_measured):
    # Render at 48 kHz by resampling the HRIRs; or render at 44.1 kHz and resample the ears (SciPy, polyphase).
    mono = scipy.signal.resample_poly(np.random.default_rng(2).standard_normal(16_000), 147, 160)
    mono = np.pad(mono, (2000, 4000))
    reference = scipy.signal.resample_poly(render(mono, 0.5, 0.0, as_measured), 160, 147, axis=-1)
    ours = render(scipy.signal.resample_poly(mono, 160, 147), 0.5, 0.0, as_measured, 48_000)
    low_pass = scipy.signal.butter(8, 16_000, fs=48_000, output="sos")
    ours, reference = (scipy.signal.sosfilt(low_pass, ears) for ears in (ours, reference[:, : ours.shape[-1]]))
    assert 10 * np.log10(((ours - reference) ** 2).sum() / (reference**2).sum()) < -50


def test_the_file_read_by_another_library_is_what_was_loaded(as_measured):
    theirs = sofar.read_sofa(str(KEMAR), verify=False, verbose=False)
    raw, positions = theirs.Data_IR, np.deg2rad(theirs.SourcePosition)
    assert as_measured.responses.shape[0] == len(raw)
    torch.testing.assert_close(
        as_measured.responses.double(), torch.from_numpy(raw[..., dropped_samples(as_measured) :]), atol=1e-6, rtol=0
    )
    np.testing.assert_allclose(np.cos(as_measured.azimuth - positions[:, 0]), 1, atol=1e-12)
