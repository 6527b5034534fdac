"""HRTF attention: what it gives by construction, whatever its weights."""

import math

import pytest
import torch
from synthetic_scenes import batch
from torch import Tensor, nn

from hearsight.acoustics import load_hrirs, picture_to_direction, render
from hearsight.explain import attention_maps
from hearsight.models.hrtf_attention import HRTFAttention, direction_loss
from hearsight.signal import left_right, mix

RATE = 16_000


def made(**settings: object) -> HRTFAttention:
    torch.manual_seed(0)
    network = HRTFAttention(**settings).eval()  # type: ignore[arg-type]
    for parameter in network.parameters():  # what begins at zero, too
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    return network


def from_one_place(column: int, row: int) -> HRTFAttention:
    """A network that takes all sound to come straight from one place, whatever is seen and heard."""
    network = made(sines=0)
    bias, chosen_row = torch.full((16,), -30.0), torch.full((8,), -30.0)
    bias[column], chosen_row[row] = 30.0, 30.0

    class Token(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            of_bias = bias[:, None].expand(len(tokens), -1, -1)
            return torch.cat([torch.zeros(len(tokens), 16, 12), of_bias, torch.zeros(len(tokens), 16, 4)], dim=2)

    class Row(nn.Module):
        def forward(self, visual: Tensor) -> Tensor:
            return chosen_row[:, None].expand(len(visual), 1, -1, 16)

    network.token, network.row = Token(), Row()
    head = network.head
    nn.init.zeros_(head.weight)
    head.bias.data.copy_(torch.tensor([0.0] * 12 + [-30.0] + [30.0] + [0.0] * 4))  # none, share
    return network


@pytest.mark.parametrize(("column", "row"), [(1, 4), (6, 2), (13, 5)])
def test_sound_from_one_place_comes_out_as_the_head_hears_it_from_there(column: int, row: int) -> None:
    """The reference renders in time, with the whole responses; the network multiplies spectrograms."""
    network = from_one_place(column, row)
    x, y = torch.tensor((column + 0.5) / 16), torch.tensor((row + 0.5) / 8)
    azimuth, elevation = picture_to_direction(x, y)
    noise = 0.1 * torch.randn(network.segment_samples, generator=torch.Generator().manual_seed(1))
    ears = render(noise, azimuth, elevation, load_hrirs(), RATE)
    mono = mix(ears)[None]
    with torch.no_grad():
        found = network(network.stft.forward(mono), torch.randn(1, 3, *network.frame_size)).difference
    predicted = left_right(mono, network.stft.inverse(found, mono.shape[-1]))[0]
    inner = slice(400, -400)
    error = (predicted - ears)[:, inner].square().sum() / ears[:, inner].square().sum()
    assert 10 * math.log10(float(error)) < -20
    lag = _lag(predicted[:, inner])
    assert lag == _lag(ears[:, inner]) and (lag > 0) == (column < 8)  # the left ear hears what is on the left earlier
    louder = predicted.square().mean(1)
    assert (louder[0] > louder[1]) == (column < 8)


def _lag(ears: Tensor) -> int:
    """By how many samples the right ear is later."""
    spectrum = torch.fft.rfft(ears, 2 * ears.shape[-1])
    across = torch.fft.irfft(spectrum[1] * spectrum[0].conj())
    return int(torch.cat([across[-16:], across[:17]]).argmax()) - 16


@pytest.mark.parametrize("settings", [{}, {"hrtf": False}, {"sines": 0}, {"attention": False}])
def test_a_mirrored_picture_swaps_the_ears_whatever_the_weights(settings: dict[str, object]) -> None:
    network = made(**settings)
    item = batch(network, scenes=2)
    heard = network.stft.forward(item.mono)
    with torch.no_grad():
        seen, mirrored = network(heard, item.frames), network(heard, item.frames.flip(-1))
    assert float(seen.difference.abs().max()) > 1e-3
    torch.testing.assert_close(mirrored.difference, -seen.difference, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mirrored.extras["attention"], seen.extras["attention"].flip(1), rtol=1e-4, atol=1e-5)


def test_a_picture_that_is_its_own_mirror_image_gives_plain_sound_in_the_middle() -> None:
    network = made()
    item = batch(network, scenes=1)
    with torch.no_grad():
        found = network(network.stft.forward(item.mono), item.frames + item.frames.flip(-1)).difference
    assert float(found.abs().max()) < 1e-5


def test_the_map_of_attention_is_the_weight_of_each_column_spread_over_its_rows() -> None:
    network = made()
    item = batch(network, scenes=2)
    heard = network.stft.forward(item.mono)
    with torch.no_grad():
        extras = network(heard, item.frames).extras
        attention = network.attention(heard, network.encode_frames(item.frames))["directions"]
    assert attention.shape == (2, 8, 16, 256, 64)
    torch.testing.assert_close(attention.sum(1), extras["attention"])
    total = attention.sum((1, 2))
    assert float(total.max()) < 1 and float(total.min()) > 0  # what is missing comes from none
    assert attention_maps(network, item.mono, item.frames)["directions"].shape == (2, 8, 16)


def test_sizes_that_do_not_fit_and_nothing_to_predict_with_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^5 stages"):
        HRTFAttention(segment={"samples": 4_800})
    with pytest.raises(ValueError, match=r"hrtf .*sines"):
        HRTFAttention(hrtf=False, sines=0)


def test_the_loss_of_directions_is_least_where_the_sound_comes_from() -> None:
    """Two sources that overlap in time but not in frequency: the low one on the left, the high one on the right."""
    network = made()
    columns, rows, time = 16, 256, 64
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(1, rows + 1, time, generator=generator, dtype=torch.complex64)
    ratio = network.ratio[:, 4].unsqueeze(0)  # [1, 2, w, rows]
    true = torch.where(torch.arange(rows) < 64, 3, 12)
    placed = torch.complex(*ratio[0].unbind(0))[true, torch.arange(rows)]
    difference = torch.zeros_like(heard)
    difference[:, :-1] = 0.6 * placed[:, None] * heard[:, :-1]  # as much as comes straight

    def loss(low: int, high: int) -> float:
        attention = torch.full((1, columns, rows, time), 0.01)
        attention[:, low, :64] = attention[:, high, 64:] = 0.8
        return float(direction_loss(heard, difference, attention, ratio))

    assert loss(3, 12) < loss(3, 10) < loss(12, 3)
    assert loss(3, 12) < loss(5, 12) and loss(3, 12) < loss(3, 3)


def test_a_frozen_efficientnet_sees_every_16th_pixel_and_is_its_own_mirror_image() -> None:
    network = made(visual="efficientnet-lite0", freeze_visual=True, segment={"frame_size": (65, 97)})
    x, y = network.visual.places((65, 97))
    assert torch.allclose(x, 1 - x.flip(0)) and torch.allclose(y, 1 - y.flip(0)) and (len(x), len(y)) == (7, 5)
    assert not any(parameter.requires_grad for parameter in network.visual.parameters())
    assert all(parameter.requires_grad for parameter in network.pyramid.parameters())
    item = batch(network, scenes=2)
    heard = network.stft.forward(item.mono)
    with torch.no_grad():
        seen, mirrored = (network(heard, frames).difference for frames in (item.frames, item.frames.flip(-1)))
    torch.testing.assert_close(mirrored, -seen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"visual": "vgg"}, r"resnet .*efficientnet-lite0"),
        ({"visual_weights": "imagenet"}, "visual_weights"),
        ({"visual": "efficientnet-lite0", "visual_weights": "places"}, r"'imagenet' .*None"),
        ({"visual": "efficientnet-lite0"}, "k x 32"),
    ],
)
def test_visual_settings_that_do_not_fit_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HRTFAttention(**settings)  # type: ignore[arg-type]
