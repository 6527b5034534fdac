"""Vision transformers: the published networks' own features, from their folders."""

import pytest
import torch
from error_codes import coded
from torch import Tensor, nn
from transformers import BertConfig, DPTConfig, DPTForDepthEstimation, ViTConfig, ViTForImageClassification

from hearsight.errors import DependencyError, ModelError
from hearsight.nn import VisionTransformer

SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 64}
OURS = {"width": 32, "layers": 4, "heads": 2, "mlp_width": 64, "taken": (2, 4), "grid": 4}


def published(architecture: str, **changes: int) -> nn.Module:
    torch.manual_seed(0)
    if architecture == "dpt":
        stages = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8}
        network: nn.Module = DPTForDepthEstimation(DPTConfig(**{**SIZES, **changes}, **stages))
    else:
        network = ViTForImageClassification(ViTConfig(**{**SIZES, **changes}))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


def pixels_in_minus_one_to_one(frames: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (frames * deviation[:, None, None] + mean[:, None, None]) * 2 - 1


@pytest.mark.parametrize("architecture", ["dpt", "vit"])
def test_published_weights_give_the_librarys_own_hidden_states(architecture: str, tmp_path) -> None:
    network = published(architecture)
    network.save_pretrained(tmp_path)
    ours = VisionTransformer(**OURS, weights=str(tmp_path)).eval()
    frames = torch.randn(2, 3, 64, 64)
    encoder = network.dpt if architecture == "dpt" else network.vit
    with torch.no_grad():
        maps = ours(frames)
        hidden = encoder(pixels_in_minus_one_to_one(frames), output_hidden_states=True).hidden_states
    for layer, given in zip(OURS["taken"], maps, strict=True):
        assert given.shape == (2, 32, 4, 4)
        torch.testing.assert_close(given.flatten(2).transpose(1, 2), hidden[layer][:, 1:], rtol=1e-4, atol=1e-4)


def test_attention_by_products_gives_the_librarys_maps() -> None:
    torch.manual_seed(0)
    ours = VisionTransformer(**OURS).eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    frames = torch.randn(2, 3, 64, 128)
    with torch.no_grad():
        wanted = ours(frames)
        ours.attend_by_products()
        given = ours(frames)
    assert ours.layers[0].attention.attention.config._attn_implementation == "products"
    for map_given, map_wanted in zip(given, wanted, strict=True):
        torch.testing.assert_close(map_given, map_wanted, rtol=1e-4, atol=1e-4)


def test_frames_need_not_be_square() -> None:
    with torch.no_grad():
        maps = VisionTransformer(**OURS).eval()(torch.randn(1, 3, 64, 128))
    assert [part.shape for part in maps] == [(1, 32, 4, 8)] * 2


def test_another_grid_of_positions_is_interpolated(tmp_path) -> None:
    network = published("vit", image_size=96)  # 6 x 6 patches
    rows = torch.arange(6.0).repeat_interleave(6)
    with torch.no_grad():
        network.vit.embeddings.position_embeddings[0, 1:] = rows[:, None]
    network.save_pretrained(tmp_path)
    positions = VisionTransformer(**OURS, weights=str(tmp_path)).embeddings.position_embeddings.detach()
    assert positions.shape == (1, 17, 32)
    torch.testing.assert_close(positions[:, 0], network.vit.embeddings.position_embeddings.detach()[:, 0])
    # Patches of 4 x 4 lie at rows 0.25, 1.75, 3.25 and 4.75 of 6; bicubic weights keep a straight line nearly so.
    middle = positions[0, 1:].unflatten(0, (4, 4))[1:3]
    torch.testing.assert_close(middle, torch.tensor([1.75, 3.25])[:, None, None].expand(2, 4, 32), rtol=0.05, atol=0)


def test_another_architecture_is_refused_by_name(tmp_path) -> None:
    published("vit", intermediate_size=48).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"intermediate_size is 48, .* 64", check=coded("mismatch")):
        VisionTransformer(**OURS, weights=str(tmp_path))
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="'bert'", check=coded("mismatch")):
        VisionTransformer(**OURS, weights=str(tmp_path))


def test_weights_that_cannot_be_had_are_one_clear_line(tmp_path) -> None:
    with pytest.raises(DependencyError) as refusal:
        VisionTransformer(**OURS, weights=str(tmp_path))
    assert "holds no usable network" in str(refusal.value) and "\n" not in str(refusal.value)


def test_frozen_takes_no_gradient_and_stays_in_evaluation_mode() -> None:
    encoder = VisionTransformer(**OURS, frozen=True).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("taken", [(), (0, 2), (4, 2), (5,)])
def test_layers_that_are_not_there_are_refused(taken: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 4"):
        VisionTransformer(**{**OURS, "taken": taken})


def test_frames_that_are_no_multiple_of_the_patch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"60 x 64: .*16"):
        VisionTransformer(**OURS)(torch.randn(1, 3, 60, 64))
