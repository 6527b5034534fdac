"""EfficientNet-Lite0's classifier at every place of a picture, computed fast on a CPU."""

import copy

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.nn.efficientnet_lite import STRIDE, EfficientNetLite0, lite_picture
from hearsight.nn.fused_convolution import FusedConvolution

_AVERAGED = 3  # rows and columns of features
_LARGEST_BYTES = 8 << 20  # of a layer's output; what is larger is slower to get from the system than to compute
_CHANNELS_AT_ONCE = 16
_EXACT_BLOCKS = 3  # how many of the first always stay in the network's precision
_COMPARED = 7 * STRIDE + 1  # rows and columns
_TOLERANCE, _ROUNDED_TOLERANCE = 1e-3, 0.25


class PlaceClassifier:
    """Probabilities of ImageNet's classes around each 32nd pixel, features averaged over 3 x 3 places.

    A corner of the first picture of each size is computed plainly as well. If the fused operations are missing in
    this PyTorch, or give probabilities that differ by more than rounding does (0.001; bfloat16: 0.25), the plain
    network goes on alone.

    Args:
        network: an EfficientNet-Lite0.
        dtype: in which the network is computed from its fourth block on. What the first depthwise convolutions weigh
            nearly cancels, which bfloat16's 8 bits do not: with these in bfloat16 too, probabilities are further off by
            two to three times.
    """

    def __init__(self, network: EfficientNetLite0, dtype: torch.dtype = torch.float32) -> None:
        self._network = network
        self._own, self._dtype = network.classifier.weight.dtype, dtype
        self._size: torch.Size | None = None
        self._fast: _Fused | None = None

    @torch.inference_mode()
    def __call__(self, rgb: UInt8[Tensor, "height width 3"]) -> Float[Tensor, "rows columns classes"]:
        """The probabilities at each place of a picture."""
        picture = lite_picture(rgb[None], self._own)
        if picture.shape != self._size:
            self._size = picture.shape
            self._fast = self._fused(picture)
        return self._fast(picture) if self._fast is not None else self._plain(picture)

    @property
    def is_fused(self) -> bool:
        """Whether the fused operations are used for pictures of the latest size."""
        return self._fast is not None

    def _plain(self, picture: Tensor) -> Tensor:
        features = _averaged(self._network.features(picture))
        return self._network.classify(features[0].permute(1, 2, 0)).float().softmax(-1)

    def _fused(self, picture: Tensor) -> "_Fused | None":
        if picture.device.type != "cpu":
            return None
        try:
            fast = _Fused(self._network, self._dtype, picture.shape)
            corner = picture[..., :_COMPARED, :_COMPARED]
            error = float((fast(corner) - self._plain(corner)).abs().max())
        except (AttributeError, NotImplementedError, RuntimeError, TypeError):
            return None  # operations without a public name, of another PyTorch or another processor
        return fast if error <= (_TOLERANCE if self._dtype == self._own else _ROUNDED_TOLERANCE) else None


class _Fused:
    """The network with activations and sums as parts of its convolutions, for pictures of one size."""

    def __init__(self, network: EfficientNetLite0, dtype: torch.dtype, shape: torch.Size) -> None:
        deep = network if network.classifier.weight.dtype == dtype else copy.deepcopy(network).to(dtype)
        batch, _, height, width = shape
        relu6 = nn.ReLU6()
        self._stem = FusedConvolution(network.stem, relu6, shape)
        height, width = (-(-side // 2) for side in (height, width))
        self._blocks = []
        for block in list(network.blocks)[:_EXACT_BLOCKS] + list(deep.blocks)[_EXACT_BLOCKS:]:
            self._blocks.append(_FusedBottleneck(block, (batch, height, width)))
            stride = _stride(block)
            height, width = (-(-side // stride) for side in (height, width))
        assert (height, width) == tuple(-(-side // STRIDE) for side in shape[2:])
        self._head = FusedConvolution(deep.head, relu6, torch.Size((batch, deep.head.in_channels, height, width)))
        classifier = nn.Conv2d(deep.classifier.in_features, deep.classifier.out_features, 1)
        classifier.weight = nn.Parameter(deep.classifier.weight.detach()[..., None, None], requires_grad=False)
        classifier.bias = deep.classifier.bias
        self._classifier = FusedConvolution(
            classifier, None, torch.Size((batch, deep.classifier.in_features, height, width))
        )

    def __call__(self, picture: Tensor) -> Tensor:
        x = self._stem(picture)
        for block in self._blocks:
            x = block(x)
        logits = self._classifier(_averaged(self._head(x)))
        return logits[0].permute(1, 2, 0).float().softmax(-1)


class _FusedBottleneck:
    """An inverted bottleneck, some of its widened channels at a time, so that no large array comes about."""

    def __init__(self, block: nn.Module, size: tuple[int, int, int]) -> None:
        batch, height, width = size
        relu6 = nn.ReLU6()
        expand, depthwise, project = block.expand, block.depthwise, block.project
        assert isinstance(depthwise, nn.Conv2d) and isinstance(project, nn.Conv2d)
        assert expand is None or isinstance(expand, nn.Conv2d)
        self._adds = bool(block.adds)
        wide = depthwise.in_channels
        step = wide
        if expand is not None:
            place_bytes = batch * height * width * depthwise.weight.element_size()
            step = max(_CHANNELS_AT_ONCE, _LARGEST_BYTES // place_bytes // _CHANNELS_AT_ONCE * _CHANNELS_AT_ONCE)
        self._groups = []
        for begin in range(0, wide, step):
            some = slice(begin, min(begin + step, wide))
            count = some.stop - some.start
            widened = torch.Size((batch, count, height, width))
            narrow = torch.Size((batch, count, *(-(-side // depthwise.stride[0]) for side in (height, width))))
            first = begin == 0
            self._groups.append(
                (
                    None
                    if expand is None
                    else FusedConvolution(
                        _part(expand, some, slice(None)), relu6, torch.Size((batch, expand.in_channels, height, width))
                    ),
                    FusedConvolution(_part(depthwise, some, slice(None), count), relu6, widened),
                    FusedConvolution(_part(project, slice(None), some, with_bias=first), None, narrow),
                )
            )

    def __call__(self, x: Tensor) -> Tensor:
        out = x if self._adds else None
        for expand, depthwise, project in self._groups:
            wide = depthwise(x if expand is None else expand(x))
            out = project(wide) if out is None else project.plus(wide, out)
        assert out is not None
        return out


def _stride(block: nn.Module) -> int:
    assert isinstance(block.depthwise, nn.Conv2d)
    return block.depthwise.stride[0]


def _part(convolution: nn.Conv2d, outputs: slice, inputs: slice, groups: int = 1, with_bias: bool = True) -> nn.Conv2d:
    """Some outputs and inputs of a convolution."""
    weight = convolution.weight.detach()[outputs, inputs].contiguous(memory_format=torch.channels_last)
    part = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        groups=groups,
        bias=with_bias,
    )
    part.weight = nn.Parameter(weight, requires_grad=False)
    if with_bias:
        assert convolution.bias is not None
        part.bias = nn.Parameter(convolution.bias.detach()[outputs], requires_grad=False)
    return part


def _averaged(features: Tensor) -> Tensor:
    return F.avg_pool2d(features, _AVERAGED, 1, _AVERAGED // 2, count_include_pad=False)
