"""The classifier at every place is the plain network, computed by another library."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional

from hearsight.nn.efficientnet_lite import EfficientNetLite0, lite_picture
from hearsight.vision.place_classifier import GRAPH, PlaceClassifier

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_place_classifier.py"


@pytest.mark.parametrize("size", [(97, 129), (129, 97)])
def test_it_is_the_plain_network_at_every_place(size: tuple[int, int]) -> None:
    network = EfficientNetLite0.pretrained()
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    given = torch.from_numpy(PlaceClassifier(network)(rgb))
    assert given.shape == (-(-size[0] // 32), -(-size[1] // 32), 1000)
    with torch.inference_mode():
        features = network.features(lite_picture(torch.from_numpy(rgb)[None]))
        averaged = functional.avg_pool2d(features, 3, 1, 1, count_include_pad=False)
        plain = network.classify(averaged[0].permute(1, 2, 0)).softmax(-1)
    torch.testing.assert_close(given, plain, rtol=1e-3, atol=1e-5)
    assert float(plain.amax()) > 10 * float(plain.mean())


def test_the_graph_is_what_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("write_place_classifier", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = module.place_classifier(EfficientNetLite0())
    shipped = onnx.load(GRAPH, load_external_data=False)
    assert written.graph.node == shipped.graph.node
    assert written.graph.initializer == shipped.graph.initializer
