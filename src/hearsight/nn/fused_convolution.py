"""Convolutions fused with the following operation, and linear layers with packed weights."""

import torch
from torch import Tensor, nn

Convolution = nn.Conv2d | nn.ConvTranspose2d
_Activation = nn.ReLU | nn.LeakyReLU | nn.ReLU6


class FusedConvolution(nn.Module):
    """(Transposed) convolution fused with the following activation; its weight is packed for the processor once.

    CPU only. The operations are those of PyTorch's own compiler. They have no public names, so if they raise
    (AttributeError, NotImplementedError, RuntimeError, TypeError) or give a different result, the caller must do
    without them.

    Args:
        convolution: convolution with zero padding.
        activation: ReLU, LeakyReLU, ReLU6 or None.
        input_shape: usual shape of the input; other sizes work too, but slower.
    """

    def __init__(self, convolution: nn.Module, activation: nn.Module | None, input_shape: torch.Size) -> None:
        super().__init__()
        assert isinstance(convolution, Convolution)
        self.transposed = isinstance(convolution, nn.ConvTranspose2d)
        geometry = [list(convolution.padding), list(convolution.stride), list(convolution.dilation)]
        if isinstance(convolution, nn.ConvTranspose2d):
            geometry.insert(1, list(convolution.output_padding))
        self.geometry = [*geometry, convolution.groups]
        ops = torch.ops.mkldnn
        lay_out = ops._reorder_convolution_transpose_weight if self.transposed else ops._reorder_convolution_weight
        self.dtype = convolution.weight.dtype
        self.bias = convolution.bias
        self._weight = lay_out(convolution.weight.detach(), *self.geometry, list(input_shape))  # not an ordinary tensor
        self._activation: tuple[str, list[float]] = ("none", [])
        if isinstance(activation, nn.LeakyReLU):
            self._activation = ("leaky_relu", [activation.negative_slope])
        elif isinstance(activation, nn.ReLU6):
            self._activation = ("hardtanh", [0.0, 6.0])
        elif activation is not None:
            self._activation = ("relu", [])

    def forward(self, x: Tensor) -> Tensor:
        ops = torch.ops.mkldnn
        compute = ops._convolution_transpose_pointwise if self.transposed else ops._convolution_pointwise
        return compute(self._taken(x), self._weight, self.bias, *self.geometry, *self._activation, "")

    def plus_then_relu(self, x: Tensor, residual: Tensor) -> Tensor:
        """`relu(convolution(x) + residual)`."""
        compute = torch.ops.mkldnn._convolution_pointwise.binary
        given, other = self._taken(x), self._taken(residual)
        return compute(given, other, self._weight, self.bias, *self.geometry, "add", 1.0, "relu", [], "")

    def _taken(self, x: Tensor) -> Tensor:
        return x.to(self.dtype).contiguous(memory_format=torch.channels_last)


class PackedLinear(nn.Module):
    """Linear layer whose weight is packed for the processor once; CPU only, like `FusedConvolution`.

    Args:
        linear: the layer.
        input_shape: usual shape of the input.
    """

    def __init__(self, linear: nn.Linear, input_shape: torch.Size) -> None:
        super().__init__()
        self.dtype = linear.weight.dtype
        self.bias = linear.bias
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), input_shape[:-1].numel())

    def forward(self, x: Tensor) -> Tensor:
        given = x.to(self.dtype).contiguous()
        return torch.ops.mkldnn._linear_pointwise(given, self._weight, self.bias, "none", [], "")


def has_matrix_tiles() -> bool:
    """Whether the CPU has AMX, which makes PyTorch's own attention fast in bfloat16."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)  # a private name
    return ask is not None and bool(ask())


def computes_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies matrices in bfloat16 natively, so that bfloat16 is worthwhile."""
    backend = torch.device(device).type
    if backend == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if backend == "cpu":
        # private names of torch; without them float32 is used
        ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return has_matrix_tiles() or (ask is not None and bool(ask()))
    return False
