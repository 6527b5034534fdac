"""Compare hearsight with ONNX Runtime and OpenVINO on one batch of windows of full-size networks.

    python benchmarks/bench_engines.py                                 # needs onnxruntime and openvino
    python benchmarks/bench_engines.py --models apnet --windows 16

All compute the same: the mask's logits from a batch of spectrograms and one encoded picture, without transforms. Each
way is run in turn, on one thread; the table gives the least and the median processor time of a batch, the ratio of the
medians (above 1: faster than hearsight), and the largest possible difference of an ear's level from PyTorch's
(`level_error_db`). ONNX Runtime and OpenVINO get the network as PyTorch has it, and with batch norms folded and last
convolutions in the form that hearsight uses ("folded"). hearsight chooses its precision itself; "bfloat16" is
OpenVINO's, where the processor has it.
"""

import argparse
import io
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import numpy as np
import onnxruntime
import openvino
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench_models import enliven, pictures, sound
from hearsight.inference import NeuralModel
from hearsight.inference.acceleration import accelerated, observed
from hearsight.inference.network_model import LOOP_HOP_S, level_error_db
from hearsight.models.ccstereo import _stretched
from hearsight.models.registry import card
from hearsight.nn.fused_convolution import computes_bfloat16
from hearsight.signal import apply_mask, bounded_mask, left_right

SYSTEMS = ("mono2binaural", "apnet", "ccstereo")


class Logits(nn.Module):
    """A network's computation from real and imaginary parts of the mix and an encoded picture to the masks' logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, parts: Tensor, visual: Tensor) -> Tensor:
        if self.network.system == "ccstereo":
            return self._of_ccstereo(parts, visual)
        condition = self.network.condition(visual)
        if self.network.system == "mono2binaural":
            return self.network.unet(parts, condition).logits
        pair = self.network.fusion(self.network.unet.stages(parts, condition)[0], visual)
        return torch.cat([pair.left, pair.right], dim=1)

    def _of_ccstereo(self, parts: Tensor, visual: Tensor) -> Tensor:
        network = self.network
        encoded = list(accumulate(network.down, lambda x, stage: stage(x), initial=parts))[1:]
        bottleneck = network.fusion(encoded[-1], network.project(visual))
        x = F.relu(network.denormalization(network.up_first(bottleneck), visual)[0])
        for i, stage in enumerate(network.up):
            x = stage(torch.cat([x, encoded[-2 - i]], dim=1))
        return network.head(torch.cat([x, encoded[0]], dim=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--windows", type=int, default=8, help="of the batch (8)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each way (7)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of the exporter
    print(f"{'model':<15}{'way':<30}{'least ms':>9}{'median':>8}{'ratio':>7}{'ears dB':>9}", flush=True)
    for name in arguments.models:
        compare(name, arguments.windows, arguments.repeats)


@torch.no_grad()
def compare(name: str, windows: int, repeats: int) -> None:
    """Print the table's rows of a network."""
    torch.manual_seed(0)
    network: Any = card(name).load_class()().eval()
    enliven(network)
    hop = round(LOOP_HOP_S * network.sample_rate_hz)
    mono = sound(windows, network).unfold(0, network.segment_samples, hop)[:windows]
    gain = network.level_gain(mono)
    mix = network.stft.forward(mono * gain[:, None])
    parts = torch.stack([mix.real, mix.imag], dim=1).contiguous()
    model = NeuralModel(network)
    picture = model.as_input([pictures(1, network)[0]])
    runner = model.runner(mono[0], picture[0])
    visual = runner.encode(picture)
    if not network.shares_pictures:
        visual = visual.expand(windows, -1, -1, -1).contiguous()
    with observed(network) as notes:
        network(mix[:1], picture)
    with patch("hearsight.inference.acceleration._FEW_POSITIONS", 0):  # others export no products of patches
        folded = accelerated(network, notes, torch.float32)
    ours, plain = Logits(runner.network), Logits(network)
    ways: dict[str, Callable[[], Tensor]] = {
        f"hearsight, {'float32' if runner.dtype is None else 'bfloat16'}": lambda: _cast(runner, ours, parts, visual),
        "PyTorch": lambda: plain(parts, visual),
    }
    for form, exported in (("", plain), (", folded", Logits(folded))):
        ways[f"ONNX Runtime{form}"] = of_onnxruntime(exported, parts, visual)
        ways[f"OpenVINO{form}"] = of_openvino(exported, parts, visual, "f32")
        if computes_bfloat16("cpu"):
            ways[f"OpenVINO{form}, bfloat16"] = of_openvino(exported, parts, visual, "bf16")

    def ears(logits: Tensor) -> Tensor:
        masks = [bounded_mask(one) for one in logits.float().split(2, dim=1)]
        if network.predicts_highest_bin:
            masks = [torch.complex(*(_stretched(p, mix.shape[-2]) for p in (m.real, m.imag))) for m in masks]
        difference = apply_mask(masks[0] if len(masks) == 1 else masks[0] - masks[1], mix)
        return left_right(mono, network.stft.inverse(difference, mono.shape[-1]) / gain[:, None])

    reference = ears(ways["PyTorch"]())
    errors = {way: level_error_db(ears(call()), reference) for way, call in ways.items()}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, call in ways.items():
            begun = time.process_time()
            call()
            spent[way].append(time.process_time() - begun)
    usual = statistics.median(next(iter(spent.values())))
    for way, runs in spent.items():
        least, median = min(runs), statistics.median(runs)
        numbers = f"{1000 * least:>9.0f}{1000 * median:>8.0f}{usual / median:>7.2f}{errors[way]:>9.4f}"
        print(f"{name:<15}{way:<30}{numbers}", flush=True)


def _cast(runner: Any, network: nn.Module, parts: Tensor, visual: Tensor) -> Tensor:
    with runner._cast(parts.device):
        return network(parts, visual)


def of_onnxruntime(network: nn.Module, parts: Tensor, visual: Tensor) -> Callable[[], Tensor]:
    """A function that runs the network by ONNX Runtime on one thread."""
    graph = io.BytesIO()
    torch.onnx.export(network, (parts, visual), graph, dynamo=False, input_names=["parts", "visual"], opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {"parts": parts.numpy(), "visual": visual.numpy()}
    return lambda: torch.from_numpy(session.run(None, given)[0])


def of_openvino(network: nn.Module, parts: Tensor, visual: Tensor, precision: str) -> Callable[[], Tensor]:
    """A function that runs the network by OpenVINO on one thread."""
    shapes = [list(parts.shape), list(visual.shape)]
    graph = openvino.convert_model(network, example_input=(parts, visual), input=shapes)
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    given = [parts.numpy(), visual.numpy()]
    return lambda: torch.from_numpy(np.array(request.infer(given, share_inputs=True)[0]))


if __name__ == "__main__":
    main()
