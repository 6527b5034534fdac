"""The field's distances against published values, other libraries and what must hold for any signal."""

import json
import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.evaluation import protocol
from hearsight.metrics import (
    binaural_distances,
    difference_phase_distance,
    envelope_distance,
    hilbert_envelope,
    magnitude_distance,
    magnitude_distance_released,
    peak_normalize,
    snr_db,
    spectrogram,
    stft_distance,
    waveform_distance,
)
from hearsight.signal import STFT

DATA = Path(__file__).parent / "data"
STORED = json.loads((DATA / "published_values.json").read_text())
PUBLISHED = STORED["values"]
DISTANCES = {
    "stft": stft_distance,
    "env": envelope_distance,
    "mag": magnitude_distance,
    "mag_released": magnitude_distance_released,
    "difference_phase": difference_phase_distance,
    "snr_db": snr_db,
    "wav": waveform_distance,
}


def published_signals() -> dict[str, torch.Tensor]:
    """The fixture holds the first two; the published scripts measured the others too."""
    with np.load(DATA / "published_signals.npz") as stored:
        reference, predicted = torch.from_numpy(stored["reference"]), torch.from_numpy(stored["predicted"])
    mono = reference.mean(0, keepdim=True).expand(2, -1)
    return {"predicted": predicted, "mono_mono": mono, "swapped": reference.flip(0), "identical": reference}


LENGTHS = st.integers(1, 3000)


@st.composite
def ears(draw, samples=LENGTHS):
    """Noise with some ear silent, some ears alike and all sorts of levels among it."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    signal = torch.randn(2, draw(samples), generator=generator) * 10 ** draw(st.floats(-3, 0))
    signal[0] *= draw(st.sampled_from([0.0, 0.5, 1.0]))
    return signal if draw(st.booleans()) else signal.roll(1, 0)


@st.composite
def two_ears(draw):
    length = st.just(draw(st.integers(1, 3000)))
    return draw(ears(length)), draw(ears(length))


@pytest.mark.parametrize("signal", PUBLISHED)
@pytest.mark.parametrize(("level", "name"), [("peak_normalized", "released-2.5d"), ("as_is", "plain")])
def test_values_of_the_released_scripts_are_met_to_six_digits_with_the_padding_they_had(signal, level, name):
    reference = published_signals()["identical"]
    measured = protocol(name, STORED["padding"]).measure(published_signals()[signal], reference, 16_000)
    for metric, value in PUBLISHED[signal][level].items():
        assert float(measured[metric]) == pytest.approx(value, rel=5e-7, abs=1e-9), metric


def test_both_released_protocols_measure_alike():
    reference, predicted = published_signals()["identical"], published_signals()["predicted"]
    first = protocol("released-2.5d").measure(predicted, reference, 16_000)
    second = protocol("released-pseudobinaural").measure(predicted, reference, 16_000)
    assert first == second


def test_the_papers_magnitude_distance_is_that_of_the_magnitudes_computed_with_librosa():
    reference, predicted = published_signals()["identical"].numpy(), published_signals()["predicted"].numpy()
    expected = sum(
        np.mean((np.abs(librosa_stft(predicted[ear])) - np.abs(librosa_stft(reference[ear]))) ** 2) for ear in (0, 1)
    )
    measured = float(magnitude_distance(torch.from_numpy(predicted), torch.from_numpy(reference)))
    assert measured == pytest.approx(expected, rel=1e-5)
    assert measured < float(magnitude_distance_released(torch.from_numpy(predicted), torch.from_numpy(reference)))


def test_magnitude_distances_at_another_transform():
    pair = published_signals()["predicted"], published_signals()["identical"]
    stft = STFT(n_fft=1024, window_samples=1024, hop_samples=256)
    predicted, true = (stft.forward(ears) for ears in pair)
    expected = (predicted.abs() - true.abs()).square().mean((-2, -1)).sum()
    assert float(magnitude_distance(*pair, stft)) == pytest.approx(float(expected), rel=1e-4)
    expected = (predicted - true).abs().square().mean((-2, -1)).sum()
    assert float(magnitude_distance_released(*pair, stft)) == pytest.approx(float(expected), rel=1e-4)


def test_released_protocols_reflect_as_librosa_did_when_the_papers_were_written():
    reference, predicted = published_signals()["identical"], published_signals()["predicted"]
    pair = [signal.numpy() / abs(signal.numpy()).max() for signal in (predicted, reference)]
    expected = sum(
        np.mean(
            [
                np.mean(np.square(part(librosa_stft(pair[0][ear], "reflect") - librosa_stft(pair[1][ear], "reflect"))))
                for part in (np.real, np.imag)
            ]
        )
        for ear in (0, 1)
    )
    for name in ("released-2.5d", "released-sep-stereo", "released-pseudobinaural"):
        measured = float(protocol(name).measure(predicted, reference, 16_000)["stft"])
        assert measured == pytest.approx(expected, rel=1e-5)
    zeros = float(protocol("released-2.5d", "zeros").measure(predicted, reference, 16_000)["stft"])
    assert 1.0003 < measured / zeros < 1.01


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.filterwarnings("ignore:n_fft")
@given(st.integers(1, 2500), st.integers(0, 1000))
def test_spectrogram_and_envelope_agree_with_librosa_and_scipy_at_any_length(padding, samples, seed):
    signal = np.random.default_rng(seed).standard_normal(samples)
    ours = spectrogram(torch.from_numpy(signal), padding=padding).numpy()
    more = {"reflect": "reflect", "zeros": "constant"}[padding]
    np.testing.assert_allclose(ours, librosa_stft(np.pad(signal, 256, mode=more), None), atol=1e-9)
    np.testing.assert_allclose(hilbert_envelope(torch.from_numpy(signal)), abs(scipy.signal.hilbert(signal)), atol=1e-9)


@given(ears())
def test_identical_signals_are_at_distance_zero_and_silence_is_defined(signal):
    for same in (signal, torch.zeros_like(signal)):
        values = binaural_distances(same, same)
        assert {name: float(value) for name, value in values.items() if name != "snr_db"} == dict.fromkeys(
            ("stft", "env", "mag", "mag_released", "difference_phase", "wav"), 0.0
        )
        power = float(same.square().mean())
        assert float(values["snr_db"]) == pytest.approx(10 * math.log10((power + 1e-4) / 1e-4), abs=1e-4)


@given(two_ears())
def test_distances_are_finite_not_negative_and_symmetric(pair):
    there, back = binaural_distances(*pair), binaural_distances(*reversed(pair))
    for name in there:
        assert math.isfinite(there[name])
        if name != "snr_db":
            assert float(there[name]) >= 0
            assert float(there[name]) == pytest.approx(float(back[name]), rel=1e-4, abs=1e-7)


@given(two_ears(), st.floats(-30, 30))
def test_a_common_gain_changes_nothing_under_peak_normalisation(pair, gain_db):
    prediction, reference = pair
    released, gain = protocol("released-2.5d"), 10 ** (gain_db / 20)
    before = released.measure(prediction, reference, 16_000)
    after = released.measure(gain * prediction, reference * gain, 16_000)
    for name in before:
        assert float(after[name]) == pytest.approx(float(before[name]), rel=2e-3, abs=1e-5), name


def test_peak_normalisation_gives_a_peak_of_one_over_both_channels_and_leaves_silence():
    normalized = peak_normalize(torch.tensor([[0.0, -0.2], [0.1, 0.0]]))
    assert normalized.tolist() == [[0.0, -1.0], [0.5, 0.0]]
    assert peak_normalize(torch.zeros(2, 5)).tolist() == torch.zeros(2, 5).tolist()


@given(st.integers(0, 1000))
def test_swapped_ears_score_pi_and_mono_half_of_it(seed):
    truth = torch.randn(2, 32_000, generator=torch.Generator().manual_seed(seed))
    assert float(difference_phase_distance(truth.flip(0), truth)) == pytest.approx(math.pi, abs=1e-4)
    mono = truth.mean(0, keepdim=True).expand(2, -1)
    assert float(difference_phase_distance(mono, truth)) == pytest.approx(math.pi / 2, abs=0.03)
    assert float(difference_phase_distance(mono, mono.flip(0))) == 0


def test_one_silent_channel_costs_what_the_formulas_say():
    tone = torch.sin(torch.arange(16_000) * 2 * math.pi * 440 / 16_000)
    both, left = torch.stack([tone, tone]), torch.stack([tone, torch.zeros_like(tone)])
    assert float(waveform_distance(left, both)) == pytest.approx(0.5, rel=1e-4)
    assert float(envelope_distance(left, both)) == pytest.approx(1.0, rel=1e-3)
    assert float(snr_db(left, both)) == pytest.approx(10 * math.log10((0.5 + 1e-4) / (0.25 + 1e-4)), abs=1e-3)


@given(st.integers(1, 4), st.integers(1, 2000), st.integers(0, 1000))
def test_a_batch_equals_a_loop(batch, samples, seed):
    prediction, reference = torch.randn(2, batch, 2, samples, generator=torch.Generator().manual_seed(seed))
    together = binaural_distances(prediction, reference)
    for name, function in DISTANCES.items():
        alone = torch.stack([function(*pair) for pair in zip(prediction, reference, strict=True)])
        torch.testing.assert_close(together[name], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("prediction", "reference"), [((2, 10), (2, 11)), ((1, 10), (1, 10)), ((2, 0), (2, 0)), ((10,), (10,))]
)
def test_shapes_that_do_not_fit_are_refused(prediction, reference):
    with pytest.raises(ValueError, match=r"shape|\[\.\.\., 2, samples\]"):
        binaural_distances(torch.zeros(prediction), torch.zeros(reference))


def librosa_stft(signal: np.ndarray, padding: str | None = "reflect") -> np.ndarray:
    mode = {} if padding is None else {"pad_mode": padding}
    return librosa.stft(signal, n_fft=512, hop_length=160, win_length=400, center=padding is not None, **mode)
