"""The multi-resolution distance against a plain computation with librosa, and at its edges."""

import math

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.metrics import multi_resolution_stft_distance
from hearsight.signal import STFT


@pytest.mark.parametrize("sizes", [None, (512, 2048)])
def test_it_is_spectral_convergence_plus_log_magnitude_over_its_resolutions(sizes):
    prediction, reference = np.random.default_rng(0).standard_normal((2, 2, 16_000))
    expected = []
    for ear in (0, 1):
        for size in sizes or (256, 1024, 4096):
            p, t = (
                np.abs(librosa.stft(x[ear], n_fft=size, hop_length=size // 2, pad_mode="constant"))
                for x in (prediction, reference)
            )
            expected.append(np.linalg.norm(t - p) / np.linalg.norm(t) + np.mean(np.abs(np.log(t) - np.log(p))))
    asked = {"resolutions": tuple(STFT(size, size, size // 2) for size in sizes)} if sizes else {}
    measured = multi_resolution_stft_distance(torch.from_numpy(prediction), torch.from_numpy(reference), **asked)
    assert float(measured) == pytest.approx(np.mean(expected), rel=1e-6)


@given(st.integers(1, 6000), st.integers(0, 1000))
def test_identity_silence_and_batches(samples, seed):
    signals = torch.randn(2, 3, 2, samples, generator=torch.Generator().manual_seed(seed))
    prediction, reference = signals
    assert float(multi_resolution_stft_distance(reference, reference).max()) == 0
    silence = torch.zeros_like(reference)
    assert float(multi_resolution_stft_distance(silence, silence).max()) == 0
    for pair in ((silence, reference), (reference, silence)):
        assert math.isfinite(multi_resolution_stft_distance(*pair).max())
    loop = torch.stack([multi_resolution_stft_distance(*pair) for pair in zip(prediction, reference, strict=True)])
    torch.testing.assert_close(multi_resolution_stft_distance(prediction, reference), loop, rtol=1e-4, atol=1e-6)


@pytest.mark.wrong_shapes
def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="alike"):
        multi_resolution_stft_distance(torch.zeros(2, 10), torch.zeros(2, 11))
