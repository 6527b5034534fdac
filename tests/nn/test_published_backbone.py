"""Backbones of transformers in place of a ResNet: the map is the network's own, whatever form it comes in."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from error_codes import coded
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn import PublishedBackbone, VisualResNet, visual_backbone
from hearsight.nn.imagenet import DEVIATION, MEAN, to_pixels

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
CONFIGS: dict[str, dict[str, Any]] = {
    "resnet": {"embedding_size": 8, "layer_type": "basic", **STAGES},
    "convnextv2": STAGES,
    "vit": {**SMALL, "intermediate_size": 64, "image_size": 64, "patch_size": 16},
    "dinov2": {**SMALL, "mlp_ratio": 2, "image_size": 56, "patch_size": 14},
    "dinov2_with_registers": {**SMALL, "mlp_ratio": 2, "image_size": 56, "patch_size": 14},
    "swin": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2, "image_size": 64},
}
GRIDS = {"vit": (4, 8, 1), "dinov2": (4, 9, 1), "dinov2_with_registers": (4, 9, 5), "swin": (2, 4, 0)}


def published(folder: Path, architecture: str, **preprocessor: Any) -> Path:
    """A folder as `save_pretrained` writes it, with random weights."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(architecture, **CONFIGS[architecture])).save_pretrained(folder)
    if preprocessor:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def frames(height: int = 64, width: int = 128) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", CONFIGS)
@torch.no_grad()
def test_the_map_is_the_network_s_own_laid_out_as_a_grid(tmp_path, architecture: str) -> None:
    from transformers import AutoModel

    folder = str(published(tmp_path / architecture, architecture))
    backbone = PublishedBackbone(folder).eval()
    ours = backbone(frames())
    assert ours.shape == (2, backbone.out_channels, 2, 4) and backbone.map_size((64, 128)) == (2, 4)
    model: Any = AutoModel.from_pretrained(folder).eval()
    theirs = model(frames(), **({"interpolate_pos_encoding": True} if architecture == "vit" else {})).last_hidden_state
    if architecture in GRIDS:  # rows, columns, and tokens before those of the grid
        rows, columns, special = GRIDS[architecture]
        assert theirs.shape[1] == rows * columns + special
        theirs = theirs[:, special:].reshape(2, rows, columns, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, F.adaptive_avg_pool2d(theirs, (2, 4)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_frames_are_normalised_as_the_published_preprocessor_says(tmp_path) -> None:
    """Grey and half as wide: what reaches the network is (pixel - 0.5) / 0.25."""
    folder = published(tmp_path / "vit", "vit", image_mean=[0.5, 0.5, 0.5], image_std=[0.25, 0.25, 0.25])
    backbone = PublishedBackbone(str(folder)).eval()
    pixels = torch.rand(1, 3, 64, 64)
    given = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    seen = []
    backbone.network.register_forward_pre_hook(
        lambda module, arguments, named: seen.append(named["pixel_values"]), with_kwargs=True
    )
    backbone(given)
    torch.testing.assert_close(seen[0], (to_pixels(given) - 0.5) / 0.25, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["dinov2", "convnextv2"])
def test_what_the_map_does_not_depend_on_is_not_trained(tmp_path, architecture: str) -> None:
    backbone = PublishedBackbone(str(published(tmp_path / architecture, architecture))).train()
    backbone(frames()).square().sum().backward()
    trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values())
    left = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert left == (
        {"network.embeddings.mask_token"}
        if architecture == "dinov2"
        else {f"network.layernorm.{n}" for n in ("weight", "bias")}
    )


def test_a_description_makes_the_same_network_without_its_weights(tmp_path) -> None:
    backbone = PublishedBackbone(str(published(tmp_path / "dinov2", "dinov2"))).eval()
    again = PublishedBackbone(json.loads(json.dumps(backbone.architecture))).eval()
    assert not torch.equal(again(frames()), backbone(frames()))
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(frames()), backbone(frames()))


def test_a_frozen_one_keeps_its_statistics_and_gets_no_gradient(tmp_path) -> None:
    backbone = PublishedBackbone(str(published(tmp_path / "resnet", "resnet")), frozen=True).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(frames())
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_what_is_no_backbone_is_refused_in_one_line(tmp_path) -> None:
    from transformers import BertConfig, BertModel

    tiny = {"intermediate_size": 32, "vocab_size": 50, **SMALL}
    BertModel(BertConfig(**tiny)).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match="input_ids", check=coded("unsupported")):
        PublishedBackbone(str(tmp_path / "bert"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DependencyError) as refusal:
        PublishedBackbone(str(tmp_path / "empty"))
    assert "\n" not in str(refusal.value)
    with pytest.raises(ModelError, match="no-such-network", check=coded("unreadable")):
        PublishedBackbone({"config": {"model_type": "no-such-network"}, "mean": MEAN, "deviation": DEVIATION})
    with pytest.raises(ValueError, match=r"60 x 128: .*32"):
        PublishedBackbone(str(published(tmp_path / "resnet", "resnet"))).map_size((60, 128))
    with pytest.raises(ValueError, match="visual_weights"):
        visual_backbone("some/network", (8,), (1,), weights="other/network")
    assert isinstance(visual_backbone(None, (8, 16, 24, 32), (1, 1, 1, 1)), VisualResNet)
