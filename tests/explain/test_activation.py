"""Activation maps point at what the visual network responds to."""

import torch

from hearsight.explain import activation_map
from hearsight.models.baselines import AudioOnly, FlippedVisual
from hearsight.models.beyond_mono import BeyondMono
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.pixel_player import PixelPlayer


class Bright(torch.nn.Module):
    """A visual network that responds to brightness."""

    def forward(self, frames):
        return torch.nn.functional.avg_pool2d(frames, 32).mean(1, keepdim=True).expand(-1, 32, -1, -1)


def test_the_map_is_high_where_the_network_responds():
    network = Mono2Binaural.small().eval()
    network.visual = Bright()
    frames = torch.zeros(2, 3, 64, 128)
    frames[0, :, 32:, :32] = 1
    frames[1, :, :32, 96:] = 1
    heat = activation_map(network, frames)
    assert heat.shape == (2, 2, 4) and heat.min() == 0 and heat.max() == 1
    assert heat[0, 1, 0] > 0.9 and heat[0, 0, 3] < 0.1
    assert heat[1, 0, 3] > 0.9 and heat[1, 1, 0] < 0.1


class BrightPlaces(torch.nn.Module):
    """Three encodings of 4 x 8 places that respond to brightness, as a transformer's layers give them."""

    taken = (1, 2, 3, 4)

    def forward(self, frames):
        return [torch.nn.functional.avg_pool2d(frames, 16).mean(1, keepdim=True).expand(-1, 32, -1, -1)] * 4


def bright_corner(batch=1):
    frames = torch.zeros(batch, 3, 64, 128)
    frames[:, :, 32:, :32] = 1
    return frames


def test_the_map_of_beyond_mono_is_one_of_places_in_the_picture():
    network = BeyondMono.small().eval()
    network.visual["image"] = BrightPlaces()
    for projections in network.project["image"]:
        torch.nn.init.constant_(projections.weight, 1.0)
        torch.nn.init.zeros_(projections.bias)
    heat = activation_map(network, bright_corner())
    assert heat.shape == (1, 4, 8)
    assert heat[0, 3, 0] > 0.9 and heat[0, 0, 0] < 0.1 and heat[0, 3, 7] < 0.1
    with torch.no_grad():
        again = activation_map(network, bright_corner(), network.encode_frames(bright_corner()))
    torch.testing.assert_close(again, heat)
    assert activation_map(BeyondMono.small(modalities=[]), bright_corner()) is None


def test_the_map_of_a_network_that_sees_mirrored_frames_lies_on_the_frame_as_it_is():
    network = FlippedVisual.small().eval()
    network.visual = Bright()
    heat = activation_map(network, bright_corner())
    assert heat[0, 1, 0] > 0.9 and heat[0, 1, 3] < 0.1


def test_separation_networks_have_maps_too():
    network = MixAndSeparate.small().eval()
    network.visual = Bright()
    assert activation_map(network, bright_corner())[0, 1, 0] > 0.9
    torch.manual_seed(0)
    player = PixelPlayer.small().eval()
    heat = activation_map(player, torch.randn(1, 3, *player.frame_size))
    assert heat.ndim == 3 and float(heat.max()) > 0.9


def test_an_even_map_is_zero_and_finite():
    network = Mono2Binaural.small().eval()
    network.visual = Bright()
    assert activation_map(network, torch.ones(1, 3, 64, 128)).abs().max() == 0


def test_a_network_without_eyes_has_no_map():
    assert activation_map(AudioOnly.small(), torch.zeros(1, 3, 64, 128)) is None
