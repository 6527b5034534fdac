"""EfficientNet-Lite0: the published network and its weights, and the grid that its features lie on."""

import sys

import cv2
import numpy as np
import pytest
import torch
from error_codes import coded
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn import efficientnet_lite
from hearsight.nn.efficientnet_lite import WEIGHTS_PACKAGE, EfficientNetLite0, LiteMap, lite_picture
from hearsight.nn.imagenet import normalize_picture

# Kernel, stride, expansion, output channels, repeats: table 1 of the EfficientNet paper (B0's stages).
PUBLISHED_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
PUBLISHED_PARAMETERS = 4_652_008


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0.pretrained()


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return efficientnet_lite._published_weights()


def _middle(name: str, side: int) -> Tensor:
    picture = load_sample_image(name)
    edge = min(picture.shape[:2])
    top, left = (picture.shape[0] - edge) // 2, (picture.shape[1] - edge) // 2
    square = np.ascontiguousarray(picture[top : top + edge, left : left + edge])
    return torch.from_numpy(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA))[None]


def _reference(weights: dict[str, Tensor], x: Tensor, same: bool) -> Tensor:
    """The network as published, batch normalisation apart; padding as TensorFlow's SAME or alike on both sides."""

    def layer(x: Tensor, convolution: str, norm: str, stride: int = 1, groups: int = 1, active: bool = True) -> Tensor:
        weight = weights[f"{convolution}.weight"]
        kernel = weight.shape[-1]
        total = max(0, kernel - stride if x.shape[-1] % stride == 0 else kernel - x.shape[-1] % stride)
        before, after = (total // 2, total - total // 2) if same else (kernel // 2, kernel // 2)
        x = F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)
        statistics = [weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *statistics, eps=1e-3)
        return F.relu6(x) if active else x

    x = layer(x, "_conv_stem", "_bn0", 2)
    number = 0
    for _, stride, expansion, _, repeats in PUBLISHED_STAGES:
        for repeat in range(repeats):
            name, before = f"_blocks.{number}", x
            if expansion > 1:
                x = layer(x, f"{name}._expand_conv", f"{name}._bn0")
            step = stride if repeat == 0 else 1
            x = layer(x, f"{name}._depthwise_conv", f"{name}._bn1", step, groups=x.shape[1])
            x = layer(x, f"{name}._project_conv", f"{name}._bn2", active=False)
            if x.shape == before.shape:
                x = x + before
            number += 1
    x = layer(x, "_conv_head", "_bn1")
    return F.linear(x.mean((-2, -1)), weights["_fc.weight"], weights["_fc.bias"])


def test_has_the_published_number_of_parameters(network: EfficientNetLite0) -> None:
    held = sum(parameter.numel() for parameter in network.parameters())
    folded = sum(module.out_channels for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    assert held + folded == PUBLISHED_PARAMETERS  # each batch normalisation had a weight and a bias, one is left


@pytest.mark.parametrize(("name", "wanted"), [("china.jpg", {442, 698}), ("flower.jpg", {985})])
def test_knows_photographs(network: EfficientNetLite0, name: str, wanted: set[int]) -> None:
    """A temple is a bell cote or a palace of ImageNet, and a blossom a daisy."""
    with torch.inference_mode():
        logits = network(lite_picture(_middle(name, 225)))[0]
    assert set(logits.topk(len(wanted)).indices.tolist()) == wanted


def test_equals_the_network_with_its_batch_normalisation_apart(
    network: EfficientNetLite0, published: dict[str, Tensor]
) -> None:
    picture = lite_picture(_middle("china.jpg", 161))
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), _reference(published, picture, False), rtol=1e-3, atol=1e-3)


def test_sees_on_225_pixels_what_the_published_padding_sees_on_224(
    network: EfficientNetLite0, published: dict[str, Tensor]
) -> None:
    for name, likely in (("china.jpg", 2), ("flower.jpg", 1)):
        with torch.inference_mode():
            ours = network(lite_picture(_middle(name, 225))).softmax(-1)[0]
            theirs = _reference(published, lite_picture(_middle(name, 224)), True).softmax(-1)[0]
        assert float((ours - theirs).abs().sum()) < 0.8
        assert set(ours.topk(likely).indices.tolist()) == set(theirs.topk(likely).indices.tolist())


def test_classifying_pooled_features_is_classifying_the_picture(network: EfficientNetLite0) -> None:
    picture = lite_picture(_middle("flower.jpg", 129))
    with torch.inference_mode():
        features = network.features(picture)
        assert features.shape == (1, 1280, 5, 5)
        torch.testing.assert_close(network.classify(features.mean((-2, -1))), network(picture))
        at_each_place = network.classify(features.permute(0, 2, 3, 1))
        torch.testing.assert_close(at_each_place.mean((1, 2)), network(picture), rtol=1e-4, atol=1e-4)


def test_the_grid_of_a_mirrored_picture_is_the_mirrored_grid(published: dict[str, Tensor]) -> None:
    """With kernels that are their own mirror images, so that nothing but the grid can differ."""
    symmetric = {name: (value + value.flip(-1)) / 2 if value.ndim == 4 else value for name, value in published.items()}
    network = EfficientNetLite0.from_published(symmetric)
    picture = lite_picture(torch.randint(0, 256, (1, 65, 193, 3), dtype=torch.uint8))
    with torch.inference_mode():
        seen, mirrored = network.features(picture), network.features(picture.flip(-1))
    assert seen.shape[-2:] == (3, 7)
    assert float(seen.std()) > 0.01
    torch.testing.assert_close(mirrored, seen.flip(-1), rtol=1e-3, atol=1e-3)


def test_the_map_of_a_backbone_is_what_the_network_computes_on_the_way(network: EfficientNetLite0) -> None:
    """At stride 16, where the classifier's remaining stages begin: they make the network's features of it."""
    picture = _middle("china.jpg", 129)
    frames = normalize_picture(picture[0].numpy())[None]
    with torch.inference_mode():
        seen = LiteMap("imagenet")(frames)
        assert seen.shape == (1, LiteMap.out_channels, 9, 9) and LiteMap().map_size((129, 129)) == (9, 9)
        rest = network.activation(network.head(network.blocks[LiteMap.blocks :](seen)))
        torch.testing.assert_close(rest, network.features(lite_picture(picture)), rtol=1e-3, atol=2e-3)
        pooled = LiteMap("imagenet", pooled=True)
        coarse = pooled(frames)
        assert coarse.shape[-2:] == pooled.map_size((129, 129)) == (4, 4)
        torch.testing.assert_close(coarse[..., 0, 0], seen[..., :3, :3].mean((-2, -1)))  # of nine halves it takes three


def test_a_frozen_map_is_not_trained_and_unfit_frames_and_weights_are_refused() -> None:
    assert not any(parameter.requires_grad for parameter in LiteMap(frozen=True).parameters())
    assert all(parameter.requires_grad for parameter in LiteMap().parameters())
    with pytest.raises(ValueError, match="k x 32"):
        LiteMap().map_size((128, 256))
    with pytest.raises(ValueError, match="'imagenet' or None"):
        LiteMap("places")
    with pytest.raises(ValueError, match="pooled"):
        LiteMap(pooled=True).places((129, 257))


def test_half_precision_sees_the_same(network: EfficientNetLite0) -> None:
    half = EfficientNetLite0.pretrained(torch.bfloat16)
    picture = _middle("china.jpg", 225)
    with torch.inference_mode():
        single = network(lite_picture(picture)).softmax(-1)
        rounded = half(lite_picture(picture, torch.bfloat16)).float().softmax(-1)
    assert float((single - rounded).abs().sum()) < 0.15


def test_colours_become_minus_one_to_one() -> None:
    ramp = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(4, 2, 3)
    torch.testing.assert_close(lite_picture(ramp)[:, 0, 0], torch.tensor([-127 / 128, 0.0, 1.0]))


def test_says_what_to_install_when_the_weights_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, WEIGHTS_PACKAGE, None)
    with pytest.raises(DependencyError, match=WEIGHTS_PACKAGE, check=coded("missing")):
        EfficientNetLite0.pretrained()


def test_refuses_weights_of_another_network(published: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match=r"'_fc\.bias'", check=coded("mismatch")):
        EfficientNetLite0.from_published({name: value for name, value in published.items() if name != "_fc.bias"})
    with pytest.raises(ModelError, match=r"head.weight .*\(1280, 319, 1, 1\)", check=coded("mismatch")):
        EfficientNetLite0.from_published(published | {"_conv_head.weight": published["_conv_head.weight"][:, 1:]})
