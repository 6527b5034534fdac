"""Faster computation of the same network.

A network is copied with its batch norms folded into the convolutions before them, its weights in channels-last order
and in the requested precision, and convolutions with few positions or outputs in other forms (`accelerated`,
`nn.convolution_products`). On the CPU, activations and residual sums can then be fused into the convolutions, so that
large feature maps are written once, and weights can be packed once (`fuse_operations`). The results stay the same up to
rounding; `NeuralModel` measures that before it uses them.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hearsight.models.interface import StereoNetwork
from hearsight.nn.convolution_products import (
    ConvolutionAsProduct,
    SubpixelConvolution,
    TransposedConvolutionAsProduct,
    frozen,
)
from hearsight.nn.cross_modal_attention import MapsConvolution
from hearsight.nn.fused_convolution import Convolution, FusedConvolution, PackedLinear, has_matrix_tiles
from hearsight.nn.pyramid import MaskPair
from hearsight.nn.unet import ConditionalUNet
from hearsight.nn.vision_transformer import VisionTransformer

_Activation = nn.ReLU | nn.LeakyReLU
_Watched = Convolution | _Activation | nn.BatchNorm2d | nn.MaxPool2d | nn.Linear
_FEW_POSITIONS = 64  # of the input; up to this number a product is faster than oneDNN's convolutions


@dataclass
class Observed:
    """Order and input shapes of convolutions, batch norms, activations and max-poolings, observed in runs of a network.

    Attributes:
        after: for each module, those that took its output directly and unchanged (None: other code may have).
        before: for each module, those whose output it took directly and unchanged (None: it came from other code).
        input_shape: for each module, the shape of its latest input.
    """

    after: dict[str, set[str | None]] = field(default_factory=dict)
    before: dict[str, set[str | None]] = field(default_factory=dict)
    input_shape: dict[str, torch.Size] = field(default_factory=dict)

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of modules that always ran in direct succession, and each with no other."""
        return [
            (first, second)
            for first, seconds in self.after.items()
            for second in seconds
            if second is not None and len(seconds) == 1 and self.before[second] == {first}
        ]


@contextmanager
def observed(network: nn.Module) -> Iterator[Observed]:
    """Context that records every run of `network` in the value that it yields.

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
    """Copy a network in evaluation mode for inference, to be run under `torch.autocast` if `dtype` is not float32.

    Only weights of convolutions and linear layers are held in `dtype`; others (norms, embeddings) stay in float32, as
    autocast expects. The result is wrong if other code than the following batch norm uses a convolution's output: no
    network in hearsight does so, and the caller compares the results.
    """
    weights: dict[int, nn.Parameter] = {}
    for module in network.modules():
        if isinstance(module, Convolution | nn.Linear):
            for parameter in module.parameters(recurse=False):
                weights[id(parameter)] = frozen(parameter, dtype)
    fast = copy.deepcopy(network, dict(weights)).eval().requires_grad_(False)
    for first, second in notes.pairs():
        convolution, norm = network.get_submodule(first), network.get_submodule(second)
        if not isinstance(convolution, Convolution) or not isinstance(norm, nn.BatchNorm2d):
            continue
        if norm.running_mean is None or norm.running_var is None or norm.weight is None:
            continue  # statistics of the batch, or a norm without scale: not folded
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
        folded.weight, folded.bias = frozen(weight, dtype), frozen(bias, dtype)
        fast.set_submodule(second, nn.Identity())
    for module in fast.modules():
        if isinstance(module, MaskPair) and SubpixelConvolution.fits(module.left):
            module.join()
    modules = dict(fast.named_modules())
    for name, shape in notes.input_shape.items():
        form = _form_of(modules.get(name), shape)
        if form is not None:
            fast.set_submodule(name, form(modules[name]))
    for module in fast.modules():
        if isinstance(module, ConditionalUNet):
            module.split_condition()
    if isinstance(fast, StereoNetwork):
        fast.leave_out_extras()
    return fast


def _form_of(module: nn.Module | None, input_shape: torch.Size) -> Callable[[Any], nn.Module] | None:
    """Faster form of a convolution for the processor; None to keep it."""
    if module is None:
        return None
    if SubpixelConvolution.fits(module):
        return SubpixelConvolution
    products = (TransposedConvolutionAsProduct, ConvolutionAsProduct)
    fitting = (form for form in products if form.fits(module) and input_shape[-2:].numel() <= _FEW_POSITIONS)
    return next(fitting, None)


def fuse_operations(fast: nn.Module, notes: Observed) -> None:
    """Fuse activations and residual sums of an accelerated network into its convolutions, and pack the weights of its
    linear layers for the processor, in place; CPU only.

    The operations are those of PyTorch's own compiler. They have no public name, so the caller must do without them if
    they raise any error or compute other values.

    Args:
        notes: observations of runs of `fast` itself.
    """
    followers = dict(notes.pairs())
    for first, second in followers.items():
        if isinstance(fast.get_submodule(first), nn.ReLU) and isinstance(fast.get_submodule(second), nn.MaxPool2d):
            # ReLU after the pooling gives the same values, at a quarter of the places.
            pool = fast.get_submodule(second)
            fast.set_submodule(first, nn.Identity())
            fast.set_submodule(second, nn.Sequential(pool, nn.ReLU()))
    for name, shape in notes.input_shape.items():
        convolution = fast.get_submodule(name)
        if isinstance(convolution, nn.Linear):
            fast.set_submodule(name, PackedLinear(convolution, shape))
        if not isinstance(convolution, Convolution) or convolution.padding_mode != "zeros":
            continue
        if isinstance(convolution, MapsConvolution):
            continue  # it uses its weight itself, which fusion would pack in a private order
        activation = None
        if name in followers and isinstance(fast.get_submodule(followers[name]), _Activation):
            activation = fast.get_submodule(followers[name])
            fast.set_submodule(followers[name], nn.Identity())
        fast.set_submodule(name, FusedConvolution(convolution, activation, shape))
    for name, module in list(fast.named_modules()):
        if FusedResidual.fits(module):
            fast.set_submodule(name, FusedResidual(module))
        if isinstance(module, VisionTransformer) and not has_matrix_tiles() and _is_in_bfloat16(module):
            module.attend_by_products()


def _is_in_bfloat16(module: nn.Module) -> bool:
    return any(parameter.dtype == torch.bfloat16 for parameter in module.parameters())


class FusedResidual(nn.Module):
    """A basic block of transformers' ResNet with its sum and last activation fused into its second convolution."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.first = block.layer[0]
        self.second = next(part for part in block.layer[1].modules() if isinstance(part, FusedConvolution))
        self.shortcut = block.shortcut

    @staticmethod
    def fits(module: Any) -> bool:
        """Whether a module is such a block with only fused convolutions left in it."""
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
