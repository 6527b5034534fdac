"""Depth: estimated by a DPT as the library's own pipeline does."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from error_codes import coded
from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor, ViTConfig

from hearsight.errors import DependencyError, ModelError
from hearsight.nn import DepthEstimator, depth_as_picture

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def normalized(rgb: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
    return ((pixels - MEAN[:, None, None]) / DEVIATION[:, None, None])[None]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DPT in a folder, as one from the Hub would be."""
    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    network = DPTForDepthEstimation(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.constant_(network.head.head[-2].bias, 2.0)  # so that the last ReLU passes something
    folder = tmp_path_factory.mktemp("dpt")
    network.save_pretrained(folder)
    return folder


def test_estimates_what_the_librarys_own_pipeline_estimates(published: Path) -> None:
    rgb = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 12, 3)).astype(np.uint8), (128, 64))
    depth = DepthEstimator(str(published))(normalized(rgb))
    assert depth.shape == (1, 1, 64, 128)
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    network = DPTForDepthEstimation.from_pretrained(published).eval()
    with torch.no_grad():
        outputs = network(**processor(images=rgb, return_tensors="pt"))
    theirs = processor.post_process_depth_estimation(outputs, target_sizes=[(64, 128)])[0]["predicted_depth"]
    assert theirs.std() > 1e-3
    # The library resizes pixels of 8 bits, this estimator normalised floats.
    assert (depth[0, 0] - theirs).square().mean().sqrt() < 0.02 * theirs.std()


def test_weights_that_cannot_be_had_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="DPT", check=coded("missing")) as refusal:
        DepthEstimator(str(tmp_path / "nowhere"))
    assert "\n" not in str(refusal.value)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="'vit'", check=coded("mismatch")):
        DepthEstimator(str(tmp_path))


def test_copies_of_a_network_share_its_estimator(published: Path) -> None:
    estimator = DepthEstimator(str(published))
    assert copy.deepcopy({"depth": estimator})["depth"] is estimator


def test_metres_and_inverse_depth_are_alike_to_a_network() -> None:
    metres = 1 + 9 * torch.rand(2, 1, 8, 8)
    relative = 37 / metres + 5  # what an estimator gives: any scale, any zero
    picture = depth_as_picture(metres, "metres")
    assert picture.shape == (2, 3, 8, 8)
    torch.testing.assert_close(picture, depth_as_picture(relative, "relative"), rtol=1e-3, atol=1e-3)
    nearest = metres.flatten(1).argmin(1)
    assert torch.equal(picture[:, 0].flatten(1).argmax(1), nearest)


def test_unknown_depth_is_far_and_a_flat_map_says_nothing() -> None:
    metres = torch.full((1, 1, 4, 4), 2.0)
    assert not depth_as_picture(metres, "metres").any()
    metres[0, 0, 1, 1] = 0
    picture = depth_as_picture(metres, "metres")
    assert picture[0, 0, 1, 1] < 0 and torch.isfinite(picture).all()
    with pytest.raises(ValueError, match="'feet'; known"):
        depth_as_picture(metres, "feet")  # type: ignore[arg-type]
