"""The same network, computed faster.

A network is copied with its batch norms folded into the convolutions before them, its weights in channels-last order
and in the asked precision, and its transposed convolutions on few positions as matrix products (`accelerated`). On the
CPU, activations and residual sums can then be made part of the convolutions (`fuse_activations`), so that large feature
maps are written once. What is computed stays the same up to rounding; `NeuralModel` measures that before it relies on
it.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hearsight.nn.cross_modal_attention import MapsConvolution
from hearsight.nn.fused_convolution import Convolution, FusedConvolution

_Activation = nn.ReLU | nn.LeakyReLU
_Watched = Convolution | _Activation | nn.BatchNorm2d | nn.MaxPool2d
_FEW_POSITIONS = 64  # up to here a product is faster than oneDNN's transposed convolution: benchmarks/bench_models.py


@dataclass
class Observed:
    """What runs of a network showed of its convolutions, batch norms, activations and max-poolings.

    Attributes:
        after: per module, those that took its output at once and untouched (None: something else may have).
        before: per module, those whose output it took at once and untouched (None: something else's).
        input_shape: per module, the shape of its latest input.
    """

    after: dict[str, set[str | None]] = field(default_factory=dict)
    before: dict[str, set[str | None]] = field(default_factory=dict)
    input_shape: dict[str, torch.Size] = field(default_factory=dict)

    def pairs(self) -> list[tuple[str, str]]:
        """Modules that always ran one after the other, and with no other."""
        return [
            (first, second)
            for first, seconds in self.after.items()
            for second in seconds
            if second is not None and len(seconds) == 1 and self.before[second] == {first}
        ]


@contextmanager
def observed(network: nn.Module) -> Iterator[Observed]:
    """Context in which every run of `network` is noted in what it yields.

    Runs must not be in inference mode, where tensors do not show whether they were changed in place.
    """
    notes = Observed()
    last: tuple[str, Tensor, int] | None = None

    def forget() -> None:
        nonlocal last
        if last is not None:
            notes.after[last[0]].add(None)
        last = None

    def on_entry(name: str, given: tuple[Any, ...]) -> None:
        nonlocal last
        untouched = last is not None and given[0] is last[1] and given[0]._version == last[2]
        notes.input_shape[name] = given[0].shape
        if last is not None and untouched:
            notes.before.setdefault(name, set()).add(last[0])
            notes.after[last[0]].add(name)
            last = None
        else:
            notes.before.setdefault(name, set()).add(None)
            forget()

    def on_exit(name: str, output: Tensor) -> None:
        nonlocal last
        notes.after.setdefault(name, set())
        last = (name, output, output._version)

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, _Watched):
            hooks.append(module.register_forward_pre_hook(lambda _, given, name=name: on_entry(name, given)))
            hooks.append(module.register_forward_hook(lambda _, given, out, name=name: on_exit(name, out)))
    try:
        yield notes
    finally:
        forget()
        for hook in hooks:
            hook.remove()


def accelerated(network: nn.Module, notes: Observed, dtype: torch.dtype) -> nn.Module:
    """A copy of a network in evaluation mode for inference, to be run under `torch.autocast` if `dtype` is not float32.

    Only weights of convolutions and linear layers are held in `dtype`: what else there is (norms, embeddings) stays in
    float32, as autocast expects it. A convolution whose output is used by more than the batch norm after it would come
    out wrong: no network of ours does so, and the caller compares the results.
    """
    weights: dict[int, nn.Parameter] = {}
    for module in network.modules():
        if isinstance(module, Convolution | nn.Linear):
            for parameter in module.parameters(recurse=False):
                weights[id(parameter)] = _frozen(parameter, dtype)
    fast = copy.deepcopy(network, dict(weights)).eval().requires_grad_(False)
    for first, second in notes.pairs():
        convolution, norm = network.get_submodule(first), network.get_submodule(second)
        if not isinstance(convolution, Convolution) or not isinstance(norm, nn.BatchNorm2d):
            continue
        if norm.running_mean is None or norm.running_var is None or norm.weight is None:
            continue  # statistics of the batch, or a norm without scale: left as it is
        weight, bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
            transpose=isinstance(convolution, nn.ConvTranspose2d),
        )
        folded = fast.get_submodule(first)
        folded.weight, folded.bias = _frozen(weight, dtype), _frozen(bias, dtype)
        fast.set_submodule(second, nn.Identity())
    for name, shape in notes.input_shape.items():
        module = fast.get_submodule(name)
        if shape[-2] * shape[-1] <= _FEW_POSITIONS and TransposedConvolutionAsProduct.fits(module):
            assert isinstance(module, nn.ConvTranspose2d)
            fast.set_submodule(name, TransposedConvolutionAsProduct(module))
    return fast


def fuse_activations(fast: nn.Module, notes: Observed) -> None:
    """Make activations and residual sums of an accelerated network part of its convolutions, in place; CPU only.

    The fused convolutions are those of PyTorch's own compiler. They have no public name, so whatever they raise, or
    compute that differs, means that the caller goes on without them.

    Args:
        notes: of runs of `fast` itself.
    """
    followers = dict(notes.pairs())
    for first, second in followers.items():
        if isinstance(fast.get_submodule(first), nn.ReLU) and isinstance(fast.get_submodule(second), nn.MaxPool2d):
            # The maximum of what is above zero is what is above zero of the maximum, at a quarter of the places.
            pool = fast.get_submodule(second)
            fast.set_submodule(first, nn.Identity())
            fast.set_submodule(second, nn.Sequential(pool, nn.ReLU()))
    for name, shape in notes.input_shape.items():
        convolution = fast.get_submodule(name)
        if not isinstance(convolution, Convolution) or convolution.padding_mode != "zeros":
            continue
        if isinstance(convolution, MapsConvolution):
            continue  # it computes with its weight, which the fused one lays out in a private order
        activation = None
        if name in followers and isinstance(fast.get_submodule(followers[name]), _Activation):
            activation = fast.get_submodule(followers[name])
            fast.set_submodule(followers[name], nn.Identity())
        fast.set_submodule(name, FusedConvolution(convolution, activation, shape))
    for name, module in list(fast.named_modules()):
        if FusedResidual.fits(module):
            fast.set_submodule(name, FusedResidual(module))


class FusedResidual(nn.Module):
    """A basic block of transformers' ResNet whose sum and last activation are part of its second convolution."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.first = block.layer[0]
        self.second = next(part for part in block.layer[1].modules() if isinstance(part, FusedConvolution))
        self.shortcut = block.shortcut

    @staticmethod
    def fits(module: Any) -> bool:
        """Whether a module is such a block, with nothing but fused convolutions left in it."""
        if type(module).__name__ != "ResNetBasicLayer" or not isinstance(module.activation, nn.ReLU):
            return False
        left = [part for part in module.layer[1].modules() if not list(part.children())]
        fused = [part for part in left if isinstance(part, FusedConvolution)]
        return (
            len(module.layer) == 2
            and len(fused) == 1
            and all(isinstance(p, nn.Identity) for p in left if p not in fused)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second.plus_then_relu(self.first(x), self.shortcut(x))


class TransposedConvolutionAsProduct(nn.Module):
    """The 4 x 4 transposed convolution of stride 2 and padding 1, as one matrix product and eight additions.

    On few positions (the U-Net's bottleneck has 8 x 2) with many channels, this uses the machine's matrix unit fully,
    where a convolution kernel is mostly padding. Every input position gives a 4 x 4 patch; patches of neighbours
    overlap by two rows and columns and are added up.
    """

    def __init__(self, convolution: nn.ConvTranspose2d) -> None:
        super().__init__()
        inputs, outputs, height, width = convolution.weight.shape
        patches = convolution.weight.permute(2, 3, 1, 0).reshape(height * width * outputs, inputs)
        self.outputs = outputs
        self.weight = _frozen(patches, patches.dtype)
        self.bias = None if convolution.bias is None else _frozen(convolution.bias, convolution.bias.dtype)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether a module is such a convolution, on the CPU."""
        return (
            isinstance(module, nn.ConvTranspose2d)
            and module.kernel_size == (4, 4)
            and module.stride == (2, 2)
            and module.padding == (1, 1)
            and module.output_padding == (0, 0)
            and module.dilation == (1, 1)
            and module.groups == 1
            and module.weight.device.type == "cpu"
        )

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out 2*h 2*w"]:
        batch, channels, height, width = x.shape
        patches = F.linear(x.permute(0, 2, 3, 1).reshape(-1, channels), self.weight)
        patches = patches.view(batch, height, width, 4, 4, self.outputs)
        # Row i of the input covers rows 2i - 1 to 2i + 2 of the output, and so do columns.
        rows = patches.new_empty(batch, height, 2, width, 4, self.outputs)
        _overlap(patches.unbind(3), rows.unbind(2), dim=1)
        whole = patches.new_empty(batch, 2 * height, width, 2, self.outputs)
        _overlap(rows.view(batch, 2 * height, width, 4, self.outputs).unbind(3), whole.unbind(3), dim=2)
        whole = whole.view(batch, 2 * height, 2 * width, self.outputs)
        if self.bias is not None:
            whole += self.bias
        return whole.permute(0, 3, 1, 2)


def _overlap(patch: tuple[Tensor, ...], out: tuple[Tensor, ...], dim: int) -> None:
    """Add the four elements of each position's patch up to two per position, along `dim`."""
    positions = patch[0].shape[dim]
    before, after = patch[0].narrow(dim, 1, positions - 1), patch[3].narrow(dim, 0, positions - 1)
    out[0].narrow(dim, 0, 1).copy_(patch[1].narrow(dim, 0, 1))
    torch.add(patch[1].narrow(dim, 1, positions - 1), after, out=out[0].narrow(dim, 1, positions - 1))
    out[1].narrow(dim, positions - 1, 1).copy_(patch[2].narrow(dim, positions - 1, 1))
    torch.add(patch[2].narrow(dim, 0, positions - 1), before, out=out[1].narrow(dim, 0, positions - 1))


def _frozen(tensor: Tensor, dtype: torch.dtype) -> nn.Parameter:
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return nn.Parameter(tensor.detach().to(dtype).contiguous(memory_format=layout), requires_grad=False)
