"""Depth: estimated by a DPT as the library's own pipeline does, or read from 16-bit PNGs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor, ViTConfig

from hearsight.errors import DataError, DependencyError, ModelError
from hearsight.nn import DepthEstimator, DepthMaps, depth_as_picture, read_depth_png

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def normalized(rgb: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
    return ((pixels - MEAN[:, None, None]) / DEVIATION[:, None, None])[None]


def write_png(path: Path, millimetres: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), millimetres)
    return path


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
    with pytest.raises(DependencyError, match="give a folder of a DPT") as refusal:
        DepthEstimator(str(tmp_path / "nowhere"))
    assert "\n" not in str(refusal.value)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="'vit'"):
        DepthEstimator(str(tmp_path))


def test_a_png_is_read_in_metres(tmp_path: Path) -> None:
    path = write_png(tmp_path / "d.png", np.array([[0, 1000, 65535], [250, 1, 2]], np.uint16))
    depth = read_depth_png(path)
    assert depth.shape == (1, 2, 3)
    torch.testing.assert_close(depth[0], torch.tensor([[0.0, 1.0, 65.535], [0.25, 0.001, 0.002]]))
    torch.testing.assert_close(read_depth_png(path, metres_per_unit=0.0001), depth / 10)


def test_other_pictures_are_no_depth(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="uint8"):
        read_depth_png(write_png(tmp_path / "grey.png", np.zeros((4, 4), np.uint8)))
    with pytest.raises(DataError, match="shape \\(4, 4, 3\\)"):
        read_depth_png(write_png(tmp_path / "colour.png", np.zeros((4, 4, 3), np.uint16)))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="not a picture"):
        read_depth_png(tmp_path / "text.png")
    with pytest.raises(DataError, match="no such file"):
        read_depth_png(tmp_path / "missing.png")


def test_depth_beside_a_clip_is_found(tmp_path: Path) -> None:
    clip = tmp_path / "duet.mp4"
    with pytest.raises(DataError, match="no depth beside it"):
        DepthMaps.beside(clip)
    (tmp_path / "duet.depth").mkdir()
    with pytest.raises(DataError, match="no PNG"):
        DepthMaps.beside(clip)
    for second in range(3):
        write_png(tmp_path / "duet.depth" / f"{second:06d}.png", np.full((2, 2), 1000 * (second + 1), np.uint16))
    maps = DepthMaps.beside(clip)
    assert [float(maps.at(t).mean()) for t in (-1.0, 0.4, 0.6, 2.0, 9.0)] == pytest.approx([1, 1, 2, 3, 3])
    write_png(tmp_path / "duet.depth.png", np.full((2, 2), 7000, np.uint16))
    assert float(DepthMaps.beside(clip).at(5.0).mean()) == pytest.approx(7)  # one still map goes first


def test_the_simulations_truth_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such scene"):
        DepthMaps.of_simulation(tmp_path, "000001")
    (tmp_path / "scenes").mkdir()
    scene = tmp_path / "scenes" / "000001.json"
    scene.write_text("{}")
    with pytest.raises(DataError, match="no PNG"):
        DepthMaps.of_simulation(tmp_path, "000001")
    (tmp_path / "depth" / "000001").mkdir(parents=True)
    for second in range(2):
        write_png(tmp_path / "depth" / "000001" / f"{second:04d}.png", np.full((2, 2), 500 + second, np.uint16))
    assert float(DepthMaps.of_simulation(tmp_path, "000001").at(1.2).mean()) == pytest.approx(0.501)
    scene.write_text(json.dumps({"depth": {"metres_per_unit": 0.01, "rate_hz": 10.0}}))
    assert float(DepthMaps.of_simulation(tmp_path, "000001").at(0.1).mean()) == pytest.approx(5.01)
    for malformed in ("[]", "{", '{"depth": {"rate_hz": "fast"}}'):
        scene.write_text(malformed)
        with pytest.raises(DataError, match="malformed"):
            DepthMaps.of_simulation(tmp_path, "000001")


def test_metres_and_inverse_depth_look_alike_to_a_network() -> None:
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
    with pytest.raises(ValueError, match="unknown unit"):
        depth_as_picture(metres, "feet")  # type: ignore[arg-type]
