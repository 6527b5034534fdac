"""The same network, computed faster.

A network is copied with its batch norms folded into the convolutions before them, its weights in channels-last order
and in the asked precision, and its transposed convolutions on few positions as matrix products. What it computes stays
the same up to rounding; `NeuralModel` measures that before it relies on it.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

_Convolution = nn.Conv2d | nn.ConvTranspose2d
_FEW_POSITIONS = 64  # up to here a product is faster than oneDNN's transposed convolution: benchmarks/bench_models.py


@dataclass
class Observed:
    """What a run of a network showed.

    Attributes:
        followed_by: per convolution, the batch norms that took its output at once (None: something else did).
        follows: per batch norm, the convolutions whose output it took at once (None: something else's).
        positions: per convolution, the most spatial positions of its input.
    """

    followed_by: dict[str, set[str | None]] = field(default_factory=dict)
    follows: dict[str, set[str | None]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)

    def foldable(self) -> list[tuple[str, str]]:
        """Pairs of a convolution and a batch norm that always ran one after the other, and with no other."""
        return [
            (convolution, norm)
            for convolution, norms in self.followed_by.items()
            for norm in norms
            if norm is not None and len(norms) == 1 and self.follows[norm] == {convolution}
        ]


@contextmanager
def observed(network: nn.Module) -> Iterator[Observed]:
    """Context in which every run of `network` is noted in what it yields."""
    notes = Observed()
    last: tuple[str, Tensor] | None = None

    def forget() -> None:
        nonlocal last
        if last is not None:
            notes.followed_by[last[0]].add(None)
        last = None

    def after_convolution(name: str, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal last
        forget()
        last = (name, output)
        notes.followed_by.setdefault(name, set())
        notes.positions[name] = max(notes.positions.get(name, 0), inputs[0].shape[-2] * inputs[0].shape[-1])

    def before_norm(name: str, inputs: tuple[Tensor, ...]) -> None:
        nonlocal last
        source = last[0] if last is not None and inputs[0] is last[1] else None
        notes.follows.setdefault(name, set()).add(source)
        if source is not None:
            notes.followed_by[source].add(name)
            last = None

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, _Convolution):
            hooks.append(
                module.register_forward_hook(lambda _, given, out, name=name: after_convolution(name, given, out))
            )
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(lambda _, given, name=name: before_norm(name, given)))
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
        if isinstance(module, _Convolution | nn.Linear):
            for parameter in module.parameters(recurse=False):
                weights[id(parameter)] = _frozen(parameter, dtype)
    fast = copy.deepcopy(network, dict(weights)).eval().requires_grad_(False)
    for convolution_name, norm_name in notes.foldable():
        convolution, norm = network.get_submodule(convolution_name), network.get_submodule(norm_name)
        assert isinstance(convolution, _Convolution) and isinstance(norm, nn.BatchNorm2d)
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
        folded = fast.get_submodule(convolution_name)
        folded.weight, folded.bias = _frozen(weight, dtype), _frozen(bias, dtype)
        fast.set_submodule(norm_name, nn.Identity())
    for name, positions in notes.positions.items():
        module = fast.get_submodule(name)
        if positions <= _FEW_POSITIONS and TransposedConvolutionAsProduct.fits(module):
            assert isinstance(module, nn.ConvTranspose2d)
            fast.set_submodule(name, TransposedConvolutionAsProduct(module))
    return fast


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

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out 2h 2w"]:
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
