"""Every network, compiled and exported, computes what it computes in eager mode."""

import inspect
import io
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hearsight.models.interface import AudioVisualNetwork, SeparationNetwork
from hearsight.models.registry import CARDS, card


def _is_network(name: str) -> bool:
    cls = card(name).load_class()
    return inspect.isclass(cls) and issubclass(cls, AudioVisualNetwork)


NETWORKS = [known.name for known in CARDS if _is_network(known.name)]


def _always(names: tuple[str, ...]) -> list[Any]:
    """Every network; those that are not named only among the heavy checks, since each takes seconds of compiling."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.heavy) for name in NETWORKS]


COMPILED = _always(())
CAPTURED = _always(("mono2binaural",))
EXPORTED = _always(("mono2binaural",))


class RealValued(nn.Module):
    """A network with real and imaginary parts as its inputs and outputs, as ONNX wants it."""

    def __init__(self, network: AudioVisualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, real: Tensor, imaginary: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        result = self.network(torch.complex(real, imaginary), frames)
        predicted = result.stems if isinstance(self.network, SeparationNetwork) else result.difference
        return predicted.real, predicted.imag


def network_and_inputs(name: str, batch: int = 2) -> tuple[RealValued, tuple[Tensor, Tensor, Tensor]]:
    torch.manual_seed(0)
    network: Any = card(name).load_class().small().eval()
    size = (batch, network.stft.bins, network.stft.columns(network.segment_samples))
    sources = (2,) if isinstance(network, SeparationNetwork) else ()
    frames = torch.randn(batch, *sources, 3, *network.frame_size)
    return RealValued(network).eval(), (torch.randn(size), torch.randn(size), frames)


def assert_same(given: list[Tensor] | tuple[Tensor, ...], wanted: tuple[Tensor, ...], share: float) -> None:
    scale = max(float(part.abs().max()) for part in wanted)
    for got, want in zip(given, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=share * scale)


@pytest.mark.heavy
@pytest.mark.parametrize("name", CAPTURED)
def test_is_captured_whole_by_the_compiler(name: str) -> None:
    network, inputs = network_and_inputs(name)
    torch._dynamo.reset()
    with torch.no_grad():
        captured = torch.compile(network, backend="aot_eager", fullgraph=True)(*inputs)
        assert_same(captured, network(*inputs), share=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_agrees_with_eager(name: str) -> None:
    network, inputs = network_and_inputs(name)
    torch._dynamo.reset()
    with torch.no_grad():
        assert_same(torch.compile(network)(*inputs), network(*inputs), share=1e-4)


@pytest.mark.heavy
@pytest.mark.parametrize("name", EXPORTED)
def test_exported_to_onnx_agrees_with_eager(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network, inputs = network_and_inputs(name)
    file = io.BytesIO()
    program = torch.onnx.export(network, inputs, dynamo=True, verbose=False)
    assert program is not None
    program.save(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    # An input that the network does not use (frames, where it only hears) is no input of the exported graph.
    given = dict(zip(("real", "imaginary", "frames"), inputs, strict=True))
    named = {entry.name: given[entry.name].numpy() for entry in session.get_inputs()}
    with torch.no_grad():
        assert_same([torch.from_numpy(part) for part in session.run(None, named)], network(*inputs), share=1e-4)
