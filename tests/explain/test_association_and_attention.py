"""Association and attention maps are means of what the networks compute, place by place."""

import pytest
import torch

from hearsight.explain import association_map, attention_maps
from hearsight.models.apnet import APNet
from hearsight.models.beyond_mono import BeyondMono
from hearsight.models.ccstereo import CCStereo
from hearsight.models.mono2binaural import Mono2Binaural


def made(cls, **settings):
    torch.manual_seed(0)
    return cls.small(**settings).eval()


def inputs(network, batch=2):
    torch.manual_seed(1)
    return 0.1 * torch.randn(batch, network.segment_samples), torch.randn(batch, 3, *network.frame_size)


def heard(network, mono):
    return network.stft.forward(mono * network.level_gain(mono)[:, None])


def ranged(maps):
    return (maps - maps.amin((1, 2), True)) / (maps.amax((1, 2), True) - maps.amin((1, 2), True))


def test_association_is_the_mean_size_of_what_goes_with_each_place():
    network = made(APNet)
    mono, frames = inputs(network)
    heat = association_map(network, mono, frames)
    assert heat.shape == (2, *network.map_size) and heat.amax((1, 2)).tolist() == [1, 1]
    with torch.no_grad():
        associated = network(heard(network, mono), frames).extras["associated"]
    places = associated.abs().mean((2, 3)).reshape(2, *network.map_size)  # row by row of the picture
    torch.testing.assert_close(heat, ranged(places))


def test_networks_without_it_have_no_association():
    for network in (made(Mono2Binaural), made(APNet, fusion="none", output="backbone")):
        assert association_map(network, *inputs(network)) is None


def test_attention_of_beyond_mono_is_that_of_each_modality_and_stage():
    network = made(BeyondMono)
    mono, frames = inputs(network)
    maps = attention_maps(network, mono, frames)
    assert list(maps) == [f"{name}, stage {i}" for i in range(1, 6) for name in ("image", "depth")]
    with torch.no_grad():
        extras = network(heard(network, mono), frames).extras
    for name in ("image", "depth"):
        for i in (1, 5):
            similarity = extras[f"attention_{name}_{i}"]
            assert similarity.shape[1:3] == network.places
            torch.testing.assert_close(maps[f"{name}, stage {i}"], ranged(similarity.mean((3, 4))))
    assert not any(
        name.startswith("depth") for name in attention_maps(made(BeyondMono, modalities=["image"]), mono, frames)
    )


def test_attention_of_ccstereo_is_its_cross_attention_and_its_similarity():
    network = made(CCStereo)
    mono, frames = inputs(network)
    mix, visual = heard(network, mono), network.encode_frames(frames)
    with torch.no_grad():
        attention = network.attention(mix, visual)
        torch.testing.assert_close(attention["similarity"], network(mix, frames).extras["attention_similarity"])
        weights = attention["cross-attention"]
        torch.testing.assert_close(weights.sum((1, 2)), torch.ones_like(weights[:, 0, 0]))
        # What the sound takes from the picture is the weights' mean of the values, if the heads agree.
        seen = network.project(visual)
        cross = network.fusion.cross
        query = network._encoded(mix)[-1].flatten(2).transpose(1, 2) + network.fusion.audio_positions
        tokens = seen.flatten(2).transpose(1, 2)
        known = cross(query, tokens + network.fusion.visual_positions, tokens)[1]
        torch.testing.assert_close(weights.flatten(3).flatten(1, 2).transpose(1, 2), known)
    maps = attention_maps(network, mono, frames)
    assert set(maps) == {"cross-attention", "similarity"} and maps["similarity"].shape == (2, 2, 4)


def test_networks_without_it_have_no_attention():
    network = made(Mono2Binaural)
    assert attention_maps(network, *inputs(network)) == {}


@pytest.mark.parametrize("cls", [BeyondMono, CCStereo, APNet])
def test_the_prediction_is_what_it_was(cls):
    """The maps read what the prediction is made of; asking for them changes nothing in it."""
    network = made(cls)
    mono, frames = inputs(network)
    with torch.no_grad():
        before = network(heard(network, mono), frames).difference
        attention_maps(network, mono, frames)
        association_map(network, mono, frames)
        torch.testing.assert_close(network(heard(network, mono), frames).difference, before)
