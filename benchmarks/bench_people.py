"""Time the pose network on one core: ONNX Runtime beside the same convolutions in PyTorch.

    python benchmarks/bench_people.py

Prints milliseconds of processor time per picture of 512 x 256, the median of 15, and the largest difference between the
outputs of the two.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch.nn import functional as F

from hearsight.vision.pose import WEIGHTS, PoseNetwork

SIZE = (256, 512)
RUNS = 15


def main() -> None:
    torch.set_num_threads(1)
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(WEIGHTS), options)
    network = PoseNetwork()
    in_torch = InTorch()
    given = {"picture": picture[None]}
    found, expected = in_torch(picture), session.run(None, given)
    print(f"PyTorch       {milliseconds(lambda: in_torch(picture)):6.1f} ms")
    print(f"ONNX Runtime  {milliseconds(lambda: session.run(None, given)):6.1f} ms")
    print(f"with decoding {milliseconds(lambda: network(picture)):6.1f} ms")
    difference = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
    print(f"largest difference of the heads' maps: {difference:.1g}")


def milliseconds(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return 1e3 * statistics.median(times)


class InTorch:
    """Interpreter that computes the ONNX file's nodes one by one in PyTorch, on channels-last tensors."""

    def __init__(self) -> None:
        self._graph = onnx.load(WEIGHTS).graph
        self._constants = {
            one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in self._graph.initializer
        }
        for node in self._graph.node:
            if node.op_type == "Cast" and node.input[0] in self._constants:
                value = self._constants[node.input[0]].float()
                last = torch.channels_last if value.dim() == 4 else torch.contiguous_format
                self._constants[node.output[0]] = value.contiguous(memory_format=last)

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        values = {"picture": torch.from_numpy(picture)[None]}
        for node in self._graph.node:
            if node.output[0] not in self._constants:
                inputs = [values.get(name, self._constants.get(name)) for name in node.input]
                values[node.output[0]] = self._computed(node, inputs)
        return [values[head.name].numpy() for head in self._graph.output]

    def _computed(self, node: onnx.NodeProto, inputs: list[torch.Tensor]) -> torch.Tensor:
        first = inputs[0]
        match node.op_type:
            case "Conv":
                given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
                kernel, stride = inputs[1], given["strides"][0]
                edge = kernel.shape[-1] // 2
                if stride == 2:
                    first, edge = F.pad(first, (0, 1, 0, 1)), 0
                bias = inputs[2] if len(inputs) > 2 else None
                return F.conv2d(first, kernel, bias, stride, edge, 1, given["group"])
            case "Transpose":
                return first.permute(0, 3, 1, 2)
            case "Resize":
                return F.interpolate(first, scale_factor=2, mode="bilinear")
            case "Clip":
                return F.hardtanh(first, 0.0, 6.0, inplace=True)
        simple: dict[str, Callable[..., torch.Tensor]] = {
            "Cast": torch.Tensor.float, "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul,
            "Sigmoid": torch.sigmoid, "Relu": torch.relu_, "Identity": torch.clone,
        }  # fmt: skip
        return simple[node.op_type](*inputs)


if __name__ == "__main__":
    main()
