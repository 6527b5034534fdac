"""Activation maps point at what the visual network responds to."""

import numpy as np
import torch

from hearsight.explain import activation_map, overlay
from hearsight.models.baselines import AudioOnly
from hearsight.models.mono2binaural import Mono2Binaural


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
    assert heat.shape == (2, 64, 128) and heat.min() == 0 and heat.max() == 1
    assert heat[0, 60, 4] > 0.9 and heat[0, 4, 124] < 0.1
    assert heat[1, 4, 124] > 0.9 and heat[1, 60, 4] < 0.1


def test_an_even_map_is_zero_and_finite():
    network = Mono2Binaural.small().eval()
    network.visual = Bright()
    assert activation_map(network, torch.ones(1, 3, 64, 128)).abs().max() == 0


def test_a_network_without_eyes_has_no_map():
    assert activation_map(AudioOnly.small(), torch.zeros(1, 3, 64, 128)) is None


def test_the_overlay_is_red_where_the_map_is_high():
    picture = np.full((10, 20, 3), 128, np.uint8)
    heat = np.zeros((10, 20), np.float32)
    heat[:, 10:] = 1
    drawn = overlay(picture, heat)
    assert drawn[0, 15, 0] > drawn[0, 15, 2] and drawn[0, 5, 2] > drawn[0, 5, 0]
    np.testing.assert_array_equal(overlay(picture, heat, share=0), picture)
