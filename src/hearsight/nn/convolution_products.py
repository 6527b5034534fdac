"""The U-Nets' convolutions in other forms that are faster at some sizes, with the same result up to rounding.

Each form replaces a 4 x 4 convolution, or transposed convolution, of stride 2 and padding 1, on the CPU (`fits`). The
library's kernels compute 16 outputs at many positions at once: with fewer outputs or positions they mostly compute
padding.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FEW_OUTPUTS = 4
# Rows (or columns) of the kernel for the input's row before, at and after, for an even and an odd row of the output;
# 4 is none.
_KERNEL_ROWS = torch.tensor([[3, 1, 4], [4, 2, 0]])


class TransposedConvolutionAsProduct(nn.Module):
    """Transposed convolution as one matrix product and eight additions, for few positions with many channels.

    Every input position gives a 4 x 4 patch; patches of neighbours overlap by two rows and columns and are added.
    Channels with the same number at every position can be given once (`split`).
    """

    def __init__(self, convolution: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.outputs = convolution.out_channels
        self.product = _linear(convolution.weight.permute(2, 3, 1, 0).flatten(0, 2), None)
        self.bias = None if convolution.bias is None else frozen(convolution.bias, convolution.bias.dtype)
        self.of_constant: nn.Module | None = None

    def split(self, channels: int) -> None:
        """Expect the first `channels` input channels as `constant` from now on."""
        weight = self.product.weight
        self.of_constant, self.product = _linear(weight[:, :channels], None), _linear(weight[:, channels:], None)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether a module is such a convolution on the CPU."""
        return isinstance(module, nn.ConvTranspose2d) and module.output_padding == (0, 0) and _is_usual(module)

    def forward(
        self, x: Float[Tensor, "batch in h w"], constant: Float[Tensor, "_batch constant_in"] | None = None
    ) -> Float[Tensor, "batch out 2*h 2*w"]:
        """The convolution of [constant, x], with one constant for all, or one for each."""
        batch, channels, height, width = x.shape
        patches = self.product(x.permute(0, 2, 3, 1).reshape(-1, channels))
        if constant is not None and self.of_constant is not None:
            patches = patches.view(batch, height * width, -1) + self.of_constant(constant)[:, None]
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


class ConvolutionAsProduct(nn.Module):
    """Convolution as one matrix product with its input's patches, for few positions with many channels."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.product = _linear(convolution.weight.permute(0, 2, 3, 1).flatten(1), convolution.bias)

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether a module is such a convolution on the CPU."""
        return isinstance(module, nn.Conv2d) and _is_usual(module)

    def forward(self, x: Float[Tensor, "batch in _h _w"]) -> Float[Tensor, "batch out _h_out _w_out"]:
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        patches = padded.unfold(1, 4, 2).unfold(2, 4, 2).permute(0, 1, 2, 4, 5, 3)
        return self.product(patches.flatten(3)).permute(0, 3, 1, 2)


class SubpixelConvolution(nn.Module):
    """Transposed convolutions with few outputs, as one convolution that computes all four outputs of each position.

    The convolution is 3 x 3 and has four times as many outputs (Shi et al., "Real-Time Single Image and Video
    Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016).

    Args:
        convolutions: one or several convolutions with the same input; their outputs are concatenated.
    """

    def __init__(self, *convolutions: nn.ConvTranspose2d) -> None:
        super().__init__()
        weight = torch.cat([one.weight for one in convolutions], dim=1).detach()
        biases = [weight.new_zeros(one.out_channels) if one.bias is None else one.bias for one in convolutions]
        kernel = subpixel_kernel(weight)
        self.convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, device="meta")
        self.convolution.weight = frozen(kernel, kernel.dtype)
        self.convolution.bias = frozen(torch.cat(biases).repeat_interleave(4), kernel.dtype)
        self.kernel, self.bias = self.convolution.weight, self.convolution.bias  # `convolution` may be packed later

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether a module is such a convolution with few outputs on the CPU."""
        if type(module) is not nn.ConvTranspose2d or module.out_channels > FEW_OUTPUTS:
            return False
        return TransposedConvolutionAsProduct.fits(module)

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out 2*h 2*w"]:
        return F.pixel_shuffle(self.convolution(x), 2)

    def of_products(
        self,
        kernels: Float[Tensor, "channels maps"],
        x: Float[Tensor, "batch channels h w"],
        further: Float[Tensor, "batch further h w"] | None = None,
    ) -> Float[Tensor, "batch out 2*h 2*w"]:
        """The convolution of [maps, further], with the maps `kernels`^T x.

        The maps are not computed, as in `cross_modal_attention.MapsConvolution`, nor are the inputs joined.
        """
        of_maps, own = self.kernel.split([kernels.shape[1], self.kernel.shape[1] - kernels.shape[1]], dim=1)
        kernel = torch.einsum("cm,omhw->ochw", kernels, of_maps.to(kernels.dtype))
        out = F.conv2d(x, kernel.to(x.dtype), self.bias.to(x.dtype), padding=1)
        if further is not None:
            out = out + F.conv2d(further, own.to(further.dtype), padding=1)
        return F.pixel_shuffle(out, 2)


def subpixel_kernel(weight: Float[Tensor, "in out 4 4"]) -> Float[Tensor, "4*out in 3 3"]:
    """Kernel of the 3 x 3 convolution that equals a 4 x 4 transposed convolution of stride 2 and padding 1 with
    `weight`.

    Its outputs in groups of four are the 2 x 2 outputs of each position.
    """
    rows = _KERNEL_ROWS.to(weight.device)
    kernel = F.pad(weight, (0, 1, 0, 1))[:, :, rows][..., rows]  # in out 2 3 2 3
    return kernel.permute(1, 2, 4, 0, 3, 5).flatten(0, 2)


def frozen(tensor: Tensor, dtype: torch.dtype) -> nn.Parameter:
    """Parameter without gradients, in channels-last order if it has four axes."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return nn.Parameter(tensor.detach().to(dtype).contiguous(memory_format=layout), requires_grad=False)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    linear.weight = frozen(weight, weight.dtype)
    if bias is not None:
        linear.bias = frozen(bias, bias.dtype)
    return linear


def _is_usual(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution halves or doubles each axis as in the U-Nets."""
    return (
        module.kernel_size == (4, 4)
        and module.stride == (2, 2)
        and module.padding == (1, 1)
        and module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.weight.device.type == "cpu"
    )


def _overlap(patch: tuple[Tensor, ...], out: tuple[Tensor, ...], dim: int) -> None:
    """Add the overlapping elements of neighbouring patches along `dim`: four per position become two."""
    positions = patch[0].shape[dim]
    before, after = patch[0].narrow(dim, 1, positions - 1), patch[3].narrow(dim, 0, positions - 1)
    out[0].narrow(dim, 0, 1).copy_(patch[1].narrow(dim, 0, 1))
    torch.add(patch[1].narrow(dim, 1, positions - 1), after, out=out[0].narrow(dim, 1, positions - 1))
    out[1].narrow(dim, positions - 1, 1).copy_(patch[2].narrow(dim, positions - 1, 1))
    torch.add(patch[2].narrow(dim, 0, positions - 1), before, out=out[1].narrow(dim, 0, positions - 1))
