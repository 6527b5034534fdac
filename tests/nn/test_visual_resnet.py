"""The ResNet that sees the frame, plain and dilated, random and from published weights."""

from pathlib import Path

import pytest
import torch
from error_codes import coded
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from hearsight.errors import DependencyError, ModelError
from hearsight.nn import VisualResNet

WIDTHS = (4, 8, 12, 16)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, ResNetForImageClassification]:
    """A classifier saved as the Hub has them, with statistics that are not those of a fresh network."""
    torch.manual_seed(3)
    config = ResNetConfig(embedding_size=4, hidden_sizes=list(WIDTHS), depths=[2, 2, 2, 2], layer_type="basic")
    model = ResNetForImageClassification(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    folder = tmp_path_factory.mktemp("published")
    model.save_pretrained(folder)
    return folder, model.eval()


@pytest.mark.parametrize(
    ("dilated", "pool", "size"), [(False, True, (7, 14)), (True, True, (7, 14)), (True, False, (14, 28))]
)
def test_gives_a_map_of_the_promised_size(dilated: bool, pool: bool, size: tuple[int, int]) -> None:
    network = VisualResNet(WIDTHS, dilated=dilated, pool=pool).eval()
    assert network.map_size((224, 448)) == size
    with torch.no_grad():
        assert network(torch.randn(1, 3, 224, 448)).shape == (1, 16, *size)


def test_the_default_is_resnet_18() -> None:
    assert sum(p.numel() for p in VisualResNet().parameters()) == 11_689_512 - 513_000  # torchvision's, less its fc


def test_dilation_keeps_every_other_position_of_the_map() -> None:
    """A dilated stage of stride 1 computes what the plain one does, at every position instead of every other."""
    plain, dilated = VisualResNet(WIDTHS).eval(), VisualResNet(WIDTHS, dilated=True, pool=False).eval()
    dilated.load_state_dict(plain.state_dict())
    frames = torch.randn(1, 3, 64, 128)
    with torch.no_grad():
        torch.testing.assert_close(dilated(frames)[..., ::2, ::2], plain(frames), rtol=1e-4, atol=1e-5)


def test_pooling_averages_two_by_two() -> None:
    whole, pooled = VisualResNet(WIDTHS, dilated=True, pool=False).eval(), VisualResNet(WIDTHS, dilated=True).eval()
    pooled.load_state_dict(whole.state_dict())
    frames = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole(frames).unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean(dim=(-3, -1))
        torch.testing.assert_close(pooled(frames), expected)


@pytest.mark.parametrize("size", [(220, 448), (224, 450), (0, 32)])
def test_frames_that_cannot_be_halved_five_times_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^frames .*32"):
        VisualResNet(WIDTHS).map_size(size)


def test_published_weights_are_read_from_a_folder(published) -> None:
    folder, model = published
    network = VisualResNet(WIDTHS, weights=str(folder)).eval()
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(frames), model.resnet(frames).last_hidden_state)


def test_half_precision_weights_are_widened(published, tmp_path) -> None:
    model = ResNetModel.from_pretrained(published[0]).half()
    model.save_pretrained(tmp_path)
    network = VisualResNet(WIDTHS, weights=str(tmp_path))
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_weights_of_another_resnet_are_refused(published) -> None:
    with pytest.raises(
        ModelError, match=r"hidden_sizes is \[4, 8, 12, 16\].*\[4, 8, 16, 32\]", check=coded("mismatch")
    ):
        VisualResNet((4, 8, 16, 32), weights=str(published[0]))
    with pytest.raises(ModelError, match="depths", check=coded("mismatch")):
        VisualResNet(WIDTHS, depths=(3, 4, 6, 3), weights=str(published[0]))


def test_weights_that_cannot_be_had_are_reported_in_one_line(tmp_path, monkeypatch) -> None:
    with pytest.raises(DependencyError, match="ResNet", check=coded("missing")) as refusal:
        VisualResNet(WIDTHS, weights=str(tmp_path))
    assert "\n" not in str(refusal.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DependencyError, match="'somebody/resnet'", check=coded("missing")) as refusal:
        VisualResNet(WIDTHS, weights="somebody/resnet")
    assert "\n" not in str(refusal.value)


def test_a_frozen_backbone_stays_in_evaluation_mode() -> None:
    network = VisualResNet(WIDTHS, frozen=True).train()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert VisualResNet(WIDTHS).train().training
