"""PixelPlayer: masks, warping, pixels, and what both masks learn."""

import math

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch

from hearsight.errors import DataError
from hearsight.models.pixel_player import (
    SOUND_OF_PIXELS,
    PixelPlayer,
    _at_rows,
    _linear_in_log,
    _log_in_linear,
)


def small(**settings: object) -> PixelPlayer:
    torch.manual_seed(0)
    return PixelPlayer.small(**settings)


def test_the_published_segment_is_512_by_256_bins() -> None:
    stft = SOUND_OF_PIXELS.stft
    assert (stft.bins, stft.columns(SOUND_OF_PIXELS.samples)) == (512, 256)
    assert SOUND_OF_PIXELS.samples / SOUND_OF_PIXELS.sample_rate_hz == pytest.approx(6, abs=0.06)


def test_warping_keeps_both_ends_and_is_undone() -> None:
    bins, rows = 129, 64
    places = _log_in_linear(rows, bins, torch.zeros(1))
    assert (float(places[0]), float(places[-1])) == pytest.approx((0, bins - 1))
    assert (places.diff() > 0).all() and places.diff()[-1] > 15 * places.diff()[0]
    smooth = torch.cos(torch.linspace(0, 4, bins))[:, None].expand(bins, 3)
    there = _at_rows(smooth, places)
    back = _at_rows(there, _linear_in_log(bins, rows, there))
    assert there.shape == (rows, 3)
    torch.testing.assert_close(back, smooth, rtol=0, atol=0.01)


def test_a_mask_is_the_weighted_sum_of_the_components() -> None:
    network = small(mask="ratio", log_frequency_rows=None).eval()
    with torch.no_grad():
        network.scale.copy_(torch.rand(8))
        network.bias.fill_(0.3)
    item = batch(network, scenes=2)
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.stem_frames)
    weights, components = result.extras["weights"], result.extras["components"]
    assert weights.shape == (2, 2, 8) and components.shape == (2, 8, 128, 64)
    assert (weights > 0).all() and (weights < 1).all()
    wanted = 0.3 + sum(network.scale[k] * weights[:, :, k, None, None] * components[:, None, k] for k in range(8))
    torch.testing.assert_close(result.extras["logits"], wanted, rtol=1e-4, atol=1e-5)
    mix = network.stft.forward(item.mono)
    torch.testing.assert_close(
        result.stems[:, :, :128], torch.sigmoid(wanted) * mix[:, None, :128], rtol=1e-4, atol=1e-5
    )
    assert not result.stems[:, :, -1].any()


def test_binary_masks_pass_a_bin_or_silence_it() -> None:
    network = small().eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        stems = network(mix, item.stem_frames).stems
    passed = stems == mix[:, None]
    assert (passed | (stems == 0)).all()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("mask", "rows"),
    [
        ("binary", 64),
        ("ratio", None),
        pytest.param("binary", None, marks=pytest.mark.heavy),
        pytest.param("ratio", 64, marks=pytest.mark.heavy),
    ],
)
def test_both_masks_learn_to_separate_on_both_axes(mask: str, rows: int | None) -> None:
    network = small(mask=mask, log_frequency_rows=rows)
    item = batch(network, scenes=4)
    optimizer = torch.optim.Adam(network.parameter_groups(3e-3, 3e-3))
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(network.loss_terms(item).values())).sum().backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        stems = network.separate(item.mono, item.stem_frames)
    error = (stems - item.stems).square().sum((-2, -1))
    halves = (item.mono[:, None] / 2 - item.stems).square().sum((-2, -1))  # what no separation would give
    assert (error < 0.15 * halves).all()


def test_loss_is_zero_for_perfect_masks_and_large_for_swapped_ones() -> None:
    network = small(log_frequency_rows=None)
    item = batch(network, scenes=2)
    result = network(network.stft.forward(item.mono), item.stem_frames)
    magnitudes = network.stft.forward(item.stems).abs()[:, :, :128]
    right = 50 * torch.sign(magnitudes - magnitudes.flip(1))
    result.extras["logits"] = right
    assert float(network.losses(result, item)["mask"]) < 1e-3
    result.extras["logits"] = -right
    assert float(network.losses(result, item)["mask"]) > 10


def test_weighing_by_level_forgives_errors_where_nothing_sounds() -> None:
    network = small(log_frequency_rows=None, weigh_by_level=True)
    plain = small(log_frequency_rows=None)
    item = batch(network, scenes=2)
    result = network(network.stft.forward(item.mono), item.stem_frames)
    loud = network.stft.forward(item.mono).abs()[:, None, :128] > 0.1
    magnitudes = network.stft.forward(item.stems).abs()[:, :, :128]
    right = 50 * torch.sign(magnitudes - magnitudes.flip(1))
    shares = {}
    for name, wrong_where in (("loud", loud), ("quiet", ~loud)):
        result.extras["logits"] = torch.where(wrong_where, -right, right)
        shares[name] = float(network.losses(result, item)["mask"]) / float(plain.losses(result, item)["mask"])
    assert shares["loud"] > 3 * shares["quiet"]


def test_the_sound_of_pixels_is_a_map_of_energies() -> None:
    network = small(mask="ratio").eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    energies = network.play_pixels(mix, item.frames)
    assert energies.shape == (2, 64 // 16, 128 // 16)
    assert (energies > 0).all() and (energies < mix.abs().square().sum((-2, -1))[:, None, None]).all()
    # A place's energy is that of the mix under its own mask.
    with torch.no_grad():
        weights = torch.sigmoid(network._features(item.frames))[:, :, 1, 5]
        logits = network._mask_logits(weights[:, None], network.components_of(mix))
        own = (network._masks(logits, mix)[:, 0] * mix.abs()).square().sum((-2, -1))
    torch.testing.assert_close(energies[:, 1, 5], own)


@pytest.mark.wrong_shapes
def test_two_channels_and_items_without_stems_are_refused() -> None:
    network = small()
    item = batch(network, scenes=1)
    with pytest.raises(DataError, check=coded("mismatch")):
        network(network.stft.forward(item.ears), item.stem_frames)
    with pytest.raises(DataError):
        item.stems = None
        network.loss_terms(item)
    with pytest.raises(ValueError, match="'binary' or 'ratio'"):
        small(mask="soft")


@pytest.mark.heavy
def test_full_size_runs_on_the_published_segment() -> None:
    torch.manual_seed(0)
    network = PixelPlayer(segment=SOUND_OF_PIXELS).eval()
    with torch.no_grad():
        result = network(torch.randn(1, 512, 256, dtype=torch.complex64), torch.randn(1, 1, 3, 224, 224))
    assert result.stems.shape == (1, 1, 512, 256)
    assert result.extras["components"].shape == (1, 32, 256, 256)
    assert math.isclose(sum(p.numel() for p in network.parameters()) / 1e6, 53.2, abs_tol=0.1)


def test_with_instance_norm_training_hears_an_item_without_the_others() -> None:
    network = small(norm="instance")
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.unet.modules())
    mix = network.stft.forward(batch(network, scenes=3).mono)
    network.unet.train()
    with torch.no_grad():
        torch.testing.assert_close(network.components_of(mix)[:2], network.components_of(mix[:2]), atol=1e-4, rtol=1e-4)
