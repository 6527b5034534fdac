"""Beyond-Mono: its decoders, losses, modalities, depth and attention."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch
from transformers import DPTConfig, DPTForDepthEstimation

from hearsight.errors import ModelError
from hearsight.models.beyond_mono import LOSS_WEIGHTS, BeyondMono
from hearsight.models.saving import load_network
from hearsight.signal import difference

LOSSES = tuple(LOSS_WEIGHTS)


def small(**settings: object) -> BeyondMono:
    torch.manual_seed(0)
    return BeyondMono.small(**settings)


def weights_of(*names: str) -> dict[str, float]:
    return {name: LOSS_WEIGHTS[name] for name in names}


def test_extras_have_the_stated_shapes_and_ranges() -> None:
    network = small().eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        result = network(mix, item.frames)
    rows, columns = 128, 64
    assert result.extras["mask"].shape == (2, rows, columns)
    assert result.extras["mask"].real.abs().max() < 1 and result.extras["mask"].imag.abs().max() < 1
    assert result.extras["magnitude"].shape == (2, rows, columns) and (result.extras["magnitude"] >= 0).all()
    assert result.extras["phase"].shape == (2, rows, columns) and result.extras["phase"].abs().max() <= math.pi
    torch.testing.assert_close(result.difference[:, :rows], result.extras["mask"] * mix[:, :rows])
    for i, name in itertools.product(range(1, 6), ("image", "depth")):
        attention = result.extras[f"attention_{name}_{i}"]
        assert attention.shape == (2, 4, 8, rows >> (6 - i), columns >> (6 - i))
        assert attention.abs().max() <= 1 + 1e-5
        assert attention.std() > 0


def test_prediction_runs_the_mask_decoder_alone_and_agrees_with_forward() -> None:
    network = small().eval()
    item = batch(network, scenes=1)
    mix = network.stft.forward(item.mono)
    ran = []
    for name, decoder in network.decoders.items():
        decoder.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad():
        predicted = network.predict(mix, network.encode_frames(item.frames))
        assert ran == ["stft"] and not predicted.extras
        torch.testing.assert_close(predicted.difference, network(mix, item.frames).difference)


def test_losses_are_the_papers_equations() -> None:
    network = small()
    item = batch(network, scenes=2)
    result = network(network.stft.forward(item.mono), item.frames)
    terms = network.losses(result, item)
    truth = network.stft.forward(difference(item.ears))[:, :128]
    error = torch.view_as_real(result.difference[:, :128] - truth)
    torch.testing.assert_close(terms["difference"], error.square().mean())
    magnitude, phase = result.extras["magnitude"], result.extras["phase"]
    torch.testing.assert_close(terms["magnitude"], (magnitude - truth.abs()).square().mean())
    true_phase = torch.atan2(truth.imag, truth.real)
    torch.testing.assert_close(terms["phase"], 0.1 * (phase - true_phase).square().mean())
    rebuilt = torch.stack([magnitude * torch.cos(phase), magnitude * torch.sin(phase)], dim=-1)
    torch.testing.assert_close(
        terms["reconstruction"], (rebuilt - torch.view_as_real(truth)).square().mean(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("left_out", LOSSES)
def test_any_loss_can_be_left_out_with_the_decoder_that_only_it_needs(left_out: str) -> None:
    kept = [name for name in LOSSES if name != left_out]
    network = small(loss_weights=weights_of(*kept))
    item = batch(network, scenes=2)
    terms = network.loss_terms(item)
    assert list(terms) == kept
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    unused = [n for n, p in network.named_parameters() if p.grad is None]
    assert unused == []
    assert ("stft" in network.decoders) == (left_out != "difference")


def test_with_the_difference_alone_there_is_one_decoder() -> None:
    assert list(small(loss_weights=weights_of("difference")).decoders) == ["stft"]


def test_without_the_difference_the_result_is_made_of_magnitude_and_phase() -> None:
    network = small(loss_weights=weights_of("reconstruction")).eval()
    item = batch(network, scenes=1)
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.frames)
    torch.testing.assert_close(result.difference[:, :128].abs(), result.extras["magnitude"])
    assert not result.difference[:, -1].any()
    assert "attention_image_1" in result.extras


@pytest.mark.parametrize("modalities", [(), ("image",), ("depth",)])
def test_modalities_can_be_left_out(modalities: tuple[str, ...], tmp_path: Path) -> None:
    network = small(modalities=modalities).eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        result = network(mix, item.frames)
        blind = network(mix, torch.randn_like(item.frames)).difference
    assert torch.equal(result.difference, blind) == (not modalities)
    assert network.needs_frames == bool(modalities)
    assert {name.split("_")[1] for name in result.extras if name.startswith("attention")} == set(modalities)
    network.save_pretrained(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(load_network(tmp_path / "saved")(mix, item.frames).difference, result.difference)


def test_a_depth_map_is_read_instead_of_the_picture() -> None:
    network = small(depth_input="map", depth_estimator=None).eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        seen = network(mix, item.frames, item.depth).difference
        nearer = network(mix, item.frames, item.depth.flip(-1)).difference
        again = network(mix, item.frames, 3 / item.depth, "relative").difference
    assert (seen - nearer).abs().max() > 1e-3 * seen.abs().max()
    torch.testing.assert_close(again, seen, rtol=1e-2, atol=1e-4)  # relative inverse depth of the same scene
    assert set(network.loss_terms(item)) == set(LOSSES)
    with pytest.raises(ModelError, match="depth_estimator", check=coded("mismatch")):
        network.loss_terms(replace(item, depth=None))


def test_a_missing_depth_map_is_estimated_from_the_frames(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    stages = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8}
    DPTForDepthEstimation(DPTConfig(**sizes, **stages, image_size=64)).save_pretrained(tmp_path / "dpt")
    network = small(depth_input="map", depth_estimator=str(tmp_path / "dpt")).eval()
    tensors = set(network.state_dict())
    item = batch(network, scenes=1)
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.frames)
    assert torch.isfinite(torch.view_as_real(result.difference)).all()
    assert set(network.state_dict()) == tensors  # the estimator is not saved with the network


@pytest.mark.parametrize(
    "wrong",
    [
        {"modalities": ("smell",)},
        {"modalities": "image"},
        {"depth_input": "radar"},
        {"loss_weights": {}},
        {"loss_weights": {"l1": 1.0}},
        {"channels": (8, 16, 32, 32, 30)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        small(**wrong)


def test_the_full_size_is_that_of_the_paper() -> None:
    with torch.device("meta"):
        network = BeyondMono()
    features = network.visual["image"]
    assert (features.out_channels, len(features.layers), features.taken) == (1024, 24, (6, 12, 18, 24))
    assert network.places == (14, 28) and network.visual_channels == 512
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 684
