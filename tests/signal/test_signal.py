"""The ground floor against other libraries and identities."""

import librosa
import numpy as np
import pytest
import soxr
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight import signal


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_stft_is_librosas_and_has_the_papers_shape():
    waveform = noise(10_080)
    ours = signal.STFT().forward(waveform)
    theirs = librosa.stft(waveform.numpy(), n_fft=512, hop_length=160, win_length=400, center=True, pad_mode="reflect")
    assert ours.shape == (257, 64)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-5)


def test_stft_pads_with_zeros_as_librosa_does_now():
    waveform = noise(4_000)
    ours = signal.STFT(padding="zeros").forward(waveform)
    theirs = librosa.stft(waveform.numpy(), n_fft=512, hop_length=160, win_length=400, center=True, pad_mode="constant")
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)
    assert not torch.allclose(ours, signal.STFT().forward(waveform), atol=1e-2)
    with pytest.raises(ValueError, match="padding"):
        signal.STFT(padding="edge")


@given(st.integers(600, 5_000), st.integers(0, 1_000))
def test_stft_inverts(samples, seed):
    waveform = noise(3, samples, seed=seed)
    stft = signal.STFT()
    spectrogram = stft.forward(waveform)
    assert spectrogram.shape == (3, stft.bins, stft.columns(samples))
    covered = (stft.columns(samples) - 1) * stft.hop_samples  # what lies beyond the last column's centre is lost
    torch.testing.assert_close(
        stft.inverse(spectrogram, samples)[:, :covered], waveform[:, :covered], atol=1e-4, rtol=0
    )


def test_stereo_inverts():
    ears = noise(2, 2, 100)
    torch.testing.assert_close(signal.left_right(signal.mix(ears), signal.difference(ears)), ears)


def test_mask_is_bounded_and_leaves_the_highest_bin_empty():
    spectrogram = signal.STFT().forward(noise(2, 10_080))
    mask = signal.bounded_mask(100 * noise(2, 2, 256, 64))
    assert mask.real.abs().max() <= 1 and mask.imag.abs().max() <= 1
    product = signal.apply_mask(mask, spectrogram)
    assert product.shape == spectrogram.shape
    assert (product[:, 256] == 0).all()
    torch.testing.assert_close(product[:, :256], mask * spectrogram[:, :256])


@pytest.mark.wrong_shapes
def test_a_mask_of_other_columns_is_refused():
    with pytest.raises(ValueError, match=r"mask .*spectrogram"):
        signal.apply_mask(noise(2, 256, 10), noise(2, 257, 64))


def test_level_is_normalised_and_silence_stays_silent():
    mono = torch.stack([noise(1_000), 1e-3 * noise(1_000), torch.zeros(1_000)])
    scaled, gain = signal.normalize_rms(mono)
    torch.testing.assert_close(signal.rms(scaled), torch.tensor([0.1, 0.1, 0.0]))
    torch.testing.assert_close(scaled, mono * gain[:, None])
    assert signal.amplitude_to_db(torch.tensor([1.0, 0.1, 0.0])).tolist() == pytest.approx([0, -20, -120])


@given(st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.sampled_from([8_000, 16_000, 44_100, 48_000]))
def test_stream_resampler_equals_the_whole(from_hz, to_hz):
    waveform = noise(2, 20_000)
    stream = signal.StreamResampler(from_hz, to_hz, channels=2)
    blocks = [stream.process(block, last=False) for block in waveform.split(1_777, dim=-1)]
    blocks.append(stream.process(waveform[:, :0], last=True))
    joined = torch.cat(blocks, dim=-1)
    torch.testing.assert_close(joined, signal.resample(waveform, from_hz, to_hz), atol=1e-5, rtol=0)


def test_resample_keeps_time_and_agrees_with_soxr():
    click = torch.zeros(48_000)
    click[24_000] = 1
    resampled = signal.resample(click, 48_000, 16_000)
    assert resampled.argmax() == 8_000
    np.testing.assert_array_equal(resampled.numpy(), soxr.resample(click.numpy(), 48_000, 16_000, quality="VHQ"))


@given(st.integers(1, 3_000), st.integers(1, 500), st.integers(1, 400), st.integers(0, 99))
def test_overlap_add_returns_a_signal_cut_into_windows(samples, window, hop, seed):
    hop = min(hop, window)
    waveform = noise(2, max(samples, window), seed=seed)
    starts = signal.window_starts(waveform.shape[-1], window, hop)
    assert starts[0] == 0 and starts[-1] + window == waveform.shape[-1]
    adder = signal.OverlapAdd(torch.rand(window) + 0.1)
    pieces = [adder.add(waveform[:, start : start + window], start) for start in starts]
    joined = torch.cat([*pieces, adder.finish()], dim=-1)
    torch.testing.assert_close(joined, waveform, atol=1e-5, rtol=1e-4)


def test_overlap_add_refuses_gaps():
    adder = signal.OverlapAdd(torch.ones(10))
    adder.add(torch.zeros(2, 10), 0)
    with pytest.raises(ValueError, match=r"11$"):
        adder.add(torch.zeros(2, 10), 11)
