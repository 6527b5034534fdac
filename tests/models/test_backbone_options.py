"""FiLM in place of tiling, and any visual backbone, in every system that shares the guided U-Net."""

import json
from itertools import product
from typing import Any

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch
from tiers import thinned
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.models.interface import SeparationNetwork, StereoNetwork
from hearsight.models.registry import card
from hearsight.models.saving import load_network
from hearsight.nn import ConditionalUNet, LiteMap, PublishedBackbone

GUIDED = ["mono2binaural", "apnet", "associative-conv", "sep-stereo", "unet-out", "pseudobinaural", "mix-and-separate"]
IMAGENET: dict[str, Any] = {"visual": "efficientnet-lite0-pooled", "visual_weights": "imagenet"}
DINO: dict[str, Any] = {
    "config": {
        "model_type": "dinov2",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "mlp_ratio": 2,
        "image_size": 56,
        "patch_size": 14,
    },
    "mean": [0.485, 0.456, 0.406],
    "deviation": [0.229, 0.224, 0.225],
}


def small(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    return card(name).load_class().small(**settings)


def predicted(network: Any, frames: Tensor | None = None) -> Tensor:
    item = batch(network, scenes=2)
    with torch.no_grad():
        if isinstance(network, SeparationNetwork):
            assert item.stem_frames is not None
            seen = item.stem_frames if frames is None else frames
            return network(network.stft.forward(network.mixture(item)), seen).stems
        return network(network.stft.forward(item.mono), item.frames if frames is None else frames).difference


def lively(network: Any) -> Any:
    """In evaluation mode with parameters far from their first values, so that what is seen matters."""
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


@pytest.mark.parametrize(("name", "option"), [*product(GUIDED, ("film", "visual")), ("ccstereo", "visual")])
def test_each_system_sees_learns_and_is_saved_with_the_option(tmp_path, name: str, option: str) -> None:
    network = small(name, **({"conditioning": "film"} if option == "film" else {"visual": DINO}))
    item = batch(network, scenes=2)
    torch.stack(list(network.loss_terms(item).values())).sum().backward()
    parts = network.unet.film if option == "film" else network.visual
    assert all(p.grad is not None and p.grad.any() for p in parts.parameters() if p.requires_grad and p.ndim > 1)
    seen = item.stem_frames if isinstance(network, SeparationNetwork) else item.frames
    assert seen is not None
    lively(network)
    assert not torch.allclose(predicted(network), predicted(network, torch.randn_like(seen)), rtol=1e-3, atol=1e-5)
    network.save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert isinstance(again, StereoNetwork | SeparationNetwork)
    assert torch.equal(predicted(again), predicted(network))
    settings = json.loads((tmp_path / "saved" / "config.json").read_text())["settings"]
    if option == "visual":
        assert settings["visual"]["config"]["hidden_size"] == 32 and isinstance(again.visual, torch.nn.Module)
        assert any(isinstance(part, PublishedBackbone) for part in again.visual.modules())
    else:
        assert settings["conditioning"] == "film"


@pytest.mark.parametrize("name", ["mono2binaural", "pixel-player", *thinned(["ccstereo", "apnet", "sep-stereo"])])
@pytest.mark.parametrize(("visual", "places"), [("efficientnet-lite0", (3, 5)), ("efficientnet-lite0-pooled", (1, 2))])
def test_each_system_takes_the_backbone_of_hrtf_attention(
    tmp_path, name: str, visual: str, places: tuple[int, int]
) -> None:
    settings = {
        "visual": visual,
        "visual_weights": "imagenet",
        "freeze_visual": name != "ccstereo",
        "segment": {"frame_size": (33, 65)},
    }
    network = small(name, **settings)
    item = batch(network, scenes=2)
    torch.stack(list(network.loss_terms(item).values())).sum().backward()
    backbone = network.visual.backbone if name == "ccstereo" else network.visual
    assert isinstance(backbone, LiteMap) and backbone.map_size(network.frame_size) == places
    assert all((p.grad is not None) == (name == "ccstereo") for p in backbone.parameters())
    assert all(p.requires_grad == (name == "ccstereo") for p in backbone.parameters())
    hrtf_attention = card("hrtf-attention").load_class()(**{**settings, "visual": "efficientnet-lite0"})
    theirs = dict(hrtf_attention.visual.named_parameters())
    assert all(torch.equal(parameter, theirs[key]) for key, parameter in backbone.named_parameters())
    lively(network)
    seen = item.stem_frames if isinstance(network, SeparationNetwork) else item.frames
    assert seen is not None
    assert not torch.allclose(predicted(network), predicted(network, torch.randn_like(seen)), rtol=1e-3)
    network.save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert again.settings["visual"] == visual and again.settings["visual_weights"] is None  # the folder has its own
    torch.testing.assert_close(predicted(again), predicted(network), rtol=1e-3, atol=1e-4)


def test_film_scales_and_shifts_the_bottleneck() -> None:
    """With its layer at zero the U-Net is the one that only hears; else each channel is x (1 + gamma) + beta."""
    torch.manual_seed(0)
    film = ConditionalUNet(2, 2, (8, 16, 16), condition_channels=5, conditioning="film").eval()
    deaf = ConditionalUNet(2, 2, (8, 16, 16), condition_channels=0).eval()
    assert film.film is not None
    deaf.load_state_dict({n: t for n, t in film.state_dict().items() if not n.startswith("film.")})
    sound, reported = torch.randn(2, 2, 17, 16), torch.randn(2, 5)
    entering: list[Tensor] = []
    film.up[0].register_forward_pre_hook(lambda _, given: entering.append(given[0]))
    deaf.up[0].register_forward_pre_hook(lambda _, given: entering.append(given[0]))
    with torch.no_grad():
        film.film.weight.zero_()
        assert torch.equal(film(sound, reported).logits, deaf(sound).logits)
        film.film.weight.normal_()
        film(sound, reported)
        gamma, beta = film.film(reported).chunk(2, dim=1)
    torch.testing.assert_close(entering[2], entering[1] * (1 + gamma[..., None, None]) + beta[..., None, None])
    with pytest.raises(ValueError, match="conditioning"):
        ConditionalUNet(conditioning="add")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mono2binaural", "ccstereo"])
def test_weights_of_a_package_are_saved_only_if_they_were_trained_further(tmp_path, name: str) -> None:
    settings = {**IMAGENET, "segment": {"frame_size": (33, 65)}}
    network = small(name, **settings).eval()
    network.save_pretrained(tmp_path / "published")
    backbone = next(part for part in network.modules() if isinstance(part, LiteMap))
    held = sum(p.numel() for p in network.state_dict().values()) - sum(p.numel() for p in backbone.parameters())
    assert (tmp_path / "published" / "model.safetensors").stat().st_size < 4 * held + 40_000
    again = load_network(tmp_path / "published")
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in network.state_dict().items())
    next(backbone.parameters()).data += 1e-3
    network.save_pretrained(tmp_path / "trained")
    assert json.loads((tmp_path / "trained" / "config.json").read_text())["settings"]["visual_weights"] is None
    other = load_network(tmp_path / "trained")
    assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in network.state_dict().items())
    (tmp_path / "published" / "config.json").write_text((tmp_path / "trained" / "config.json").read_text())
    with pytest.raises(ModelError, check=coded("mismatch")):  # a folder without the weights that says it has them
        load_network(tmp_path / "published")


def test_a_network_within_another_is_saved_with_all_its_weights(tmp_path) -> None:
    settings = {**IMAGENET, "segment": {"frame_size": (33, 65)}}
    outer = small("mix-and-separate", hears="predicted", binauralizer=small("mono2binaural", **settings), **settings)
    outer.eval().save_pretrained(tmp_path / "outer")
    again = load_network(tmp_path / "outer")
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in outer.state_dict().items())
