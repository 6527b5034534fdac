"""The published way of running a model, and that nothing of the truth leaks into it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.evaluation import model_input, predict_ears, protocol
from hearsight.evaluation.released_loop import released_loop
from hearsight.inference import NeuralModel, load
from hearsight.models.baselines import AudioOnly
from hearsight.models.interface import WindowSpec


class Recorder:
    """A model that notes what it is given and gives every window back, its difference a tenth of the mono."""

    def __init__(self, sample_rate_hz=16_000, window_s=0.63, frames="none"):
        self.name = "recorder"
        self.spec = WindowSpec(sample_rate_hz, window_s, 0.05, frames, 10.0, (32, 64), batch=3)
        self.windows = []

    def session(self, clip):
        self.clip = clip
        return self

    def process(self, windows):
        self.windows += windows
        mono = torch.stack([window.mono for window in windows])
        return torch.stack([0.55 * mono, 0.45 * mono], dim=1)

    def sources(self):
        return []

    def notes(self):
        return []


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_difference_of_the_truth_never_changes_the_prediction(dataset, seed):
    """Ears on a grid of 2^-15, as 16-bit files have them, so that their sum is exact."""
    generator = torch.Generator().manual_seed(seed)
    ears = torch.randint(-3000, 3000, (2, 12_000), generator=generator) / 32768
    change = torch.randint(-3000, 3000, (12_000,), generator=generator) / 32768
    other = torch.stack([ears[0] + change, ears[1] - change])
    assert not torch.equal(ears, other)
    video = dataset / "videos" / "000001.mp4"
    for rule in ("released-2.5d", "released-pseudobinaural", "plain"):
        first, second = (
            predict_ears(Recorder(frames="centre"), model_input(truth), 16_000, video, protocol(rule))
            for truth in (ears, other)
        )
        assert torch.equal(first, second)


def test_a_trained_network_hears_the_mono_alone(dataset):
    from hearsight.inference.network_model import NeuralModel
    from hearsight.models.mono2binaural import Mono2Binaural

    torch.manual_seed(0)
    model = NeuralModel(Mono2Binaural.small(), precision="float32")
    ears = torch.round(noise(16_000) * 32768) / 32768
    ears = torch.stack([ears, ears.roll(3)])
    video = dataset / "videos" / "000001.mp4"
    predictions = [
        predict_ears(model, model_input(truth), 16_000, video, protocol("plain")) for truth in (ears, ears.flip(0))
    ]
    assert torch.equal(*predictions)
    torch.testing.assert_close(predictions[0].sum(0), ears.sum(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rule", "hop"), [("released-2.5d", 800), ("released-pseudobinaural", 1600)])
def test_windows_have_the_protocols_hop_and_the_last_ends_at_the_last_sample(rule, hop):
    model, mono = Recorder(), noise(25_000)
    ears = predict_ears(model, mono, 16_000, None, protocol(rule))
    starts = [round(window.start_s * 16_000) for window in model.windows]
    assert starts[:3] == [0, hop, 2 * hop] and starts[-1] == 25_000 - 10_080
    torch.testing.assert_close(ears, torch.stack([0.55 * mono, 0.45 * mono]))


def test_a_clip_shorter_than_a_window_and_another_rate_keep_their_length_and_sum():
    short = noise(3000)
    assert predict_ears(Recorder(), short, 16_000, None, protocol("plain")).shape == (2, 3000)
    model = Recorder(sample_rate_hz=8_000)
    mono = noise(20_000)
    ears = predict_ears(model, mono, 16_000, None, protocol("plain"))
    assert ears.shape == (2, 20_000) and model.windows[0].mono.shape == (5040,)
    torch.testing.assert_close(ears.sum(0), mono, rtol=0, atol=1e-6)


def test_frames_are_those_nearest_to_the_centre_and_flipped_ones_are_mirrored(dataset):
    video = dataset / "videos" / "000001.mp4"
    straight, flipped = Recorder(frames="centre"), Recorder(frames="centre")
    for model, mirrored in ((straight, False), (flipped, True)):
        predict_ears(model, noise(14_400), 16_000, video, protocol("plain"), mirrored)
    for window in straight.windows:
        assert abs(window.frames[0].time_s - (window.start_s + 0.315)) <= 0.051
    first, second = straight.windows[0].frames[0].rgb, flipped.windows[0].frames[0].rgb
    assert np.array_equal(first[:, ::-1], second) and not np.array_equal(first, second)


def test_mono_mono_gives_half_of_the_mix_to_each_ear():
    mono = noise(16_000)
    ears = predict_ears(load("mono-mono"), mono, 16_000, None, protocol("released-2.5d"))
    torch.testing.assert_close(ears, torch.stack([mono / 2, mono / 2]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", ["mix", "ears"])
def test_the_released_loop_without_faults_is_that_of_the_model_at_its_own_level(rule):
    torch.manual_seed(0)
    network = AudioOnly.small(segment={"level": rule})
    for norm in network.modules():  # a bias after the norm makes the mask depend on the level
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(norm.bias)
    model = NeuralModel(network, precision="float32", hop_s=0.1)
    mono = noise(16_000)
    ears = released_loop(model, mono, [], 1_600, faults=())
    torch.testing.assert_close(ears, model(mono), rtol=1e-3, atol=1e-5)
    reported = released_loop(model, mono, [], 1_600, ("level-of-both-ears",), torch.stack([mono, mono]) / 2)
    heard_alike = torch.allclose(reported, ears, rtol=1e-3, atol=1e-5)
    assert heard_alike == (rule == "ears")  # equal ears are what that rule supposes
