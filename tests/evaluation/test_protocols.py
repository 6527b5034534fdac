"""Protocols by their names and options, and the authors' test loop with its faults."""

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from hearsight.errors import DataError
from hearsight.evaluation.protocols import PROTOCOLS, protocol
from hearsight.evaluation.released_loop import released_loop
from hearsight.inference import NeuralModel
from hearsight.models.apnet import APNet
from hearsight.models.baselines import MonoMono
from hearsight.models.interface import StereoResult
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.signal import left_right
from hearsight.vision.frames import Frame
from published_loop import published_loop

RATE, WINDOW, HOP = 16_000, 10_080, 1600


class Perfect(MonoMono):
    """Knows the difference of the one segment that it is given, up to the row that no network predicts."""

    truth: torch.Tensor

    def predict(self, mix, visual):
        gain = (mix.abs().square().sum() / self.stft.forward(self.truth.sum(0)).abs().square().sum()).sqrt()
        bins = self.stft.forward(gain * (self.truth[0] - self.truth[1]))
        bins[-1] = 0
        return StereoResult(bins[None])


def noise(samples, colour=0.0, seed=0):
    white = np.random.default_rng(seed).standard_normal(samples)
    return scipy.signal.lfilter([1], [1, -colour], white).astype(np.float32)


def snr_db(signal, estimate):
    return 10 * np.log10(np.square(signal).sum() / np.square(signal - estimate).sum())


@pytest.mark.parametrize(("colour", "right_db", "faulty_db"), [(0.0, 32.9, 15.6), (0.95, 48.9, 30.3)])
def test_even_a_perfect_difference_is_limited_by_the_released_inverse(colour, right_db, faulty_db):
    """The four ratios stand in the description of the released code."""
    network = Perfect()
    difference, mono = torch.from_numpy(noise(WINDOW, colour)), torch.from_numpy(noise(WINDOW, colour, 1))
    network.truth = left_right(mono, difference)
    for faults, expected in [((), right_db), (("inverse-510",), faulty_db)]:
        ears = released_loop(NeuralModel(network), mono, [], HOP, faults)
        assert snr_db(difference.numpy(), (ears[0] - ears[1]).numpy()) == pytest.approx(expected, abs=2)


def test_the_released_inverse_is_that_of_256_rows():
    """As `librosa.istft` has it; SciPy's is the same, and has not to be compiled for ten seconds first."""
    network = Perfect()
    mono, difference = torch.from_numpy(noise(WINDOW, 0.5)), torch.from_numpy(noise(WINDOW, 0.5, 1))
    network.truth = left_right(mono, difference)
    ears = released_loop(NeuralModel(network), mono, [], HOP, ("inverse-510",))
    bins = librosa.stft(difference.numpy(), n_fft=512, hop_length=160, win_length=400, pad_mode="reflect")
    window = np.pad(scipy.signal.get_window("hann", 400), 55)
    _, expected = scipy.signal.istft(bins[:-1] / window.sum(), window=window, nperseg=510, noverlap=510 - 160)
    # The last samples lie under the end of the last window alone, where libraries differ in what they divide by.
    np.testing.assert_allclose((ears[0] - ears[1]).numpy()[:-100], expected[: WINDOW - 100], atol=1e-3)


def pictures(count, size=(64, 128)):
    generator = np.random.default_rng(2)
    return [Frame(n / 10, n, generator.integers(0, 255, (*size, 3), np.uint8)) for n in range(count)]


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return NeuralModel(Mono2Binaural.small().eval(), precision="float32")


def test_without_faults_the_loop_is_the_published_one(small):
    mono, frames = 0.1 * torch.from_numpy(noise(17_000)), pictures(11)

    def nearest(time_s):
        return min(frames, key=lambda frame: abs(frame.time_s - time_s)).rgb

    with torch.no_grad():
        expected = published_loop(small.network, mono, nearest, HOP / RATE)
    torch.testing.assert_close(released_loop(small, mono, frames, HOP, ()), expected, atol=1e-6, rtol=1e-4)


def test_the_level_of_both_ears_is_a_leak_of_the_difference(small):
    """The same mix is heard louder where the ears differ less, so that the same ears come out only without the leak."""
    mono, frames = 0.1 * torch.from_numpy(noise(8_000)), pictures(6)
    alike, opposed = (left_right(mono, share * mono.flip(-1)) for share in (0.0, 5.0))
    first, second = (
        released_loop(small, mono, frames, HOP, ("level-of-both-ears",), ears) for ears in (alike, opposed)
    )
    assert float((first - second).norm()) > 1e-3 * float(first.norm())
    with pytest.raises(ValueError, match="level-of-both-ears"):
        released_loop(small, mono, frames, HOP, ("level-of-both-ears",))


def test_the_last_window_has_the_mix_before_it_where_asked(small):
    length = small.network.segment_samples
    mono, frames = 0.1 * torch.from_numpy(noise(length + HOP)), pictures(6)
    right = released_loop(small, mono, frames, HOP, ())
    wrong = released_loop(small, mono, frames, HOP, ("previous-mix",))
    torch.testing.assert_close(wrong[:, :HOP], right[:, :HOP])  # under the first window alone
    torch.testing.assert_close(wrong[0] - wrong[1], right[0] - right[1])
    torch.testing.assert_close(right.sum(0), mono, atol=1e-6, rtol=1e-4)
    assert float((wrong.sum(0) - mono)[HOP:].norm()) > 0.3 * float(mono.norm())


def test_two_predicted_channels_need_not_add_up_to_the_mix():
    torch.manual_seed(0)
    model = NeuralModel(APNet.small().eval(), precision="float32")
    mono = 0.1 * torch.from_numpy(noise(model.network.segment_samples))
    summed, apart = (released_loop(model, mono, pictures(6), HOP, faults) for faults in ((), ("heads-as-ears",)))
    torch.testing.assert_close(summed.sum(0), mono, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(apart[0] - apart[1], summed[0] - summed[1], atol=1e-6, rtol=1e-4)
    assert float((apart.sum(0) - mono).norm()) > 0.1 * float(mono.norm())


def test_each_protocol_has_the_hop_and_the_faults_of_its_scripts():
    hops = {rule.name: rule.hop_s for rule in PROTOCOLS}
    assert hops == {
        "released-2.5d": 0.05,
        "released-sep-stereo": 0.1,
        "released-pseudobinaural": 0.1,
        "released-ccstereo": 0.063,
        "plain": 0.1,
    }
    assert protocol("released-ccstereo").padding == "zeros" and protocol("released-2.5d").padding == "reflect"
    assert protocol("released-ccstereo", "reflect").padding == "reflect"
    rule = protocol("released-2.5d", "zeros", ["inverse-510"])
    assert rule.label == "released-2.5d (zero padding; faults inverse-510)" and protocol("plain").label == "plain"
    for arguments, message in [
        (("released-pseudobinaural", "reflect", ["level-of-both-ears"]), r"'level-of-both-ears'.*: inverse-510"),
        (("plain", "reflect", ["inverse-510"]), r"'inverse-510'.*: none"),
        (("plain", "circular"), "'circular'"),
    ]:
        with pytest.raises(DataError, match=message):
            protocol(*arguments)
