"""Occlusion maps are what the equation in `explain.occlusion` says, and point at what a network sees."""

import numpy as np
import pytest
import torch
from error_codes import coded

from hearsight.errors import HearsightError
from hearsight.explain import Moment, Occlusion
from hearsight.inference import NeuralModel
from hearsight.models.baselines import AudioOnly
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.mono2binaural import Mono2Binaural


class SeesOneCell(StereoNetwork):
    """Sends the mix to a side by how bright the rows 32 to 48, columns 96 to 112, are; nothing else counts."""

    system = "sees-one-cell"

    def __init__(self):
        super().__init__(SegmentFormat.small())
        self.weight = torch.nn.Parameter(torch.ones(1))

    def encode_frames(self, frames):
        return self.weight * frames[:, :, 32:48, 96:112].mean((1, 2, 3))

    def predict(self, mix, visual):
        return StereoResult(mix * visual[:, None, None])

    def losses(self, result, item):
        return {}


def moment(network, ears=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    both = 0.1 * torch.randn(2, network.segment_samples, generator=generator)
    frame = torch.randn(3, *network.frame_size, generator=generator)
    return Moment(0.5, both.sum(0), frame, both if ears else None)


def in_float32(network):
    return NeuralModel(network.eval(), precision="float32", crops="whole")


def test_it_points_at_the_only_place_that_the_network_sees():
    network = SeesOneCell()
    one = moment(network)
    one.frame[:, 32:48, 96:112] = 3.0
    heat = Occlusion(in_float32(network), patch=16)(one)
    assert heat.shape == (4, 8)
    assert np.unravel_index(heat.argmax(), heat.shape) == (2, 6)
    others = np.delete(heat.ravel(), 2 * 8 + 6)
    assert np.abs(others).max() < 1e-6 * heat.max()


@pytest.mark.parametrize("recorded", [False, True])
def test_each_cell_is_the_change_by_a_covered_frame(recorded):
    torch.manual_seed(1)
    network = Mono2Binaural.small().eval()
    one = moment(network, recorded)
    heat = Occlusion(in_float32(network), patch=32)(one)
    assert heat.shape == (2, 4)
    gain = float(network.level_gain(one.mono[None]))
    heard = network.stft.forward(one.mono[None] * gain)
    with torch.no_grad():
        plain = network(heard, one.frame[None]).difference
        covered = one.frame.clone()
        covered[:, 32:, 64:96] = one.frame.mean((1, 2))[:, None, None]
        changed = network(heard, covered[None]).difference
    target = network.stft.forward((one.ears[0] - one.ears[1])[None] * gain) if recorded else plain
    plain, changed, target = (one.to(torch.complex128) for one in (plain, changed, target))
    expected = (changed - target).abs().square().mean() - (plain - target).abs().square().mean()
    assert heat[1, 2] == pytest.approx(float(expected), rel=0.05)
    assert expected != 0


def test_where_patches_overlap_a_cell_has_the_mean_of_those_that_cover_it():
    network = SeesOneCell()
    one = moment(network)
    one.frame[:, 32:48, 96:112] = 3.0
    wide = Occlusion(in_float32(network), patch=16, step=8)(one)
    assert wide.shape == (8, 16)
    # The patch that fits counts in full, its neighbours by what they cover: the heat is highest inside and 0 far away.
    assert wide[4:6, 12:14].min() == pytest.approx(wide.max()) and wide[0].max() == 0 and wide[:, :10].max() == 0
    # Patches that do not divide the frame reach its edge all the same.
    assert np.isfinite(Occlusion(in_float32(network), patch=20, step=15)(one)).all()


def test_the_patch_of_the_paper_is_in_proportion_to_the_frame():
    occlusion = Occlusion(in_float32(SeesOneCell()))
    assert occlusion.patch == occlusion.step == round(32 * 64 / 224)


@pytest.mark.parametrize("sizes", [{"patch": 65}, {"patch": 0}, {"patch": 16, "step": 17}, {"patch": 16, "step": 0}])
def test_patches_that_do_not_fit_are_refused(sizes):
    with pytest.raises(HearsightError, match="patch", check=coded("invalid")):
        Occlusion(in_float32(SeesOneCell()), **sizes)


def test_a_network_that_only_hears_shows_nothing():
    network = AudioOnly.small()
    assert np.abs(Occlusion(in_float32(network), patch=32)(moment(network))).max() == 0


def test_silence_gives_a_map_without_heat():
    network = SeesOneCell()
    silent = Moment(0.0, torch.zeros(network.segment_samples), torch.randn(3, 64, 128), None)
    assert np.abs(Occlusion(in_float32(network), patch=16)(silent)).max() == 0
