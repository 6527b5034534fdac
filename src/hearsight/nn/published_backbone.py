"""Visual backbones that replace a system's own ResNet: EfficientNet-Lite0, and networks of transformers, with their
published weights."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError
from hearsight.nn.efficientnet_lite import LiteMap
from hearsight.nn.imagenet import DEVIATION, MEAN
from hearsight.nn.visual import VisualResNet

LITE = ("efficientnet-lite0", "efficientnet-lite0-pooled")
REDUCTION = 32  # factor between a picture and a ResNet's map, which every system here expects
_MOST_SPECIAL_TOKENS = 16  # class and register tokens before those of the patches


class PublishedBackbone(nn.Module):
    """Last feature map of a vision network of transformers: `[batch, 3, H, W]` to `[batch, channels, H / 32, W / 32]`.

    Networks may output maps (ResNet, ConvNeXt, EfficientNet ...) or tokens (ViT, DINOv2, Swin, the vision encoder of
    CLIP and SigLIP ...). Class and register tokens are dropped, and the rest is arranged as the grid of patches. A
    finer map is averaged to H / 32 x W / 32, the size that the systems expect.

    Frames are ImageNet-normalised on input and renormalised for the published preprocessor.

    Args:
        architecture: name on the Hugging Face Hub or folder of a published network with weights; or the attribute
            `architecture` of another backbone, a mapping that builds the same network with random weights.
        frozen: no gradients, and constant statistics even in training.

    Attributes:
        architecture: configuration and normalisation, as a mapping of JSON values.
        out_channels: channels of the map.

    Raises:
        ModelError: the network does not take pictures, or the mapping is not valid.
        DependencyError: the published network is not available.
    """

    _scale: Tensor
    _shift: Tensor

    def __init__(self, architecture: str | Mapping[str, Any], frozen: bool = False) -> None:
        super().__init__()
        network, self.architecture = _made(architecture)
        self.network = getattr(network, "vision_model", network)  # the vision encoder of CLIP and SigLIP
        if self.network.main_input_name != "pixel_values":
            raise ModelError(
                f"{_shown(architecture)}: takes {self.network.main_input_name}, not pictures", "unsupported"
            )
        mean, deviation = (torch.tensor(self.architecture[name])[:, None, None] for name in ("mean", "deviation"))
        # From ImageNet's mean and deviation to the network's own.
        self.register_buffer("_scale", torch.tensor(DEVIATION)[:, None, None] / deviation, persistent=False)
        self.register_buffer("_shift", (torch.tensor(MEAN)[:, None, None] - mean) / deviation, persistent=False)
        self.frozen = frozen
        self.out_channels = self._freeze_what_is_unused()
        if frozen:
            self.requires_grad_(False)
        self.train(not frozen)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of ImageNet-normalised frames."""
        size = self.map_size(frames.shape[-2:])
        output = self.network(pixel_values=frames * self._scale + self._shift, **self._options())
        features = output.last_hidden_state
        if features.ndim == 3:
            features = _laid_out(features, frames.shape[-2:], self._patches())
        return features if features.shape[-2:] == size else F.adaptive_avg_pool2d(features, size)

    def map_size(self, frame_size: Sequence[int]) -> tuple[int, int]:
        """Size (height, width) of the feature map of frames of `frame_size`.

        Raises:
            ValueError: an axis of the frame is not a multiple of 32.
        """
        height, width = frame_size
        if height % REDUCTION or width % REDUCTION or height < REDUCTION or width < REDUCTION:
            raise ValueError(f"frames of {height} x {width}: both must be multiples of {REDUCTION}")
        return height // REDUCTION, width // REDUCTION

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen backbone stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def _freeze_what_is_unused(self) -> int:
        """Exclude parameters without effect on the map (heads, mask tokens) from training; return the map's
        channels."""
        self.eval()
        parameters = list(self.parameters())
        with torch.enable_grad():
            features = self(torch.zeros(1, 3, 2 * REDUCTION, 2 * REDUCTION))
            gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        return features.shape[1]

    def _options(self) -> dict[str, bool]:
        """Options that let a transformer take pictures of another size than in training."""
        known = inspect.signature(self.network.forward).parameters
        return {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}

    def _patches(self) -> list[int]:
        """Possible numbers of pixels per token along an axis: for the architecture's last stage, or for its patches."""
        config = self.network.config
        patch = config.patch_size if isinstance(config.patch_size, int) else config.patch_size[0]
        stages = len(config.depths) if isinstance(getattr(config, "depths", None), Sequence) else 1
        return [patch * 2 ** (stages - 1), patch]


VisualBackbone = VisualResNet | PublishedBackbone | LiteMap


def visual_backbone(
    architecture: str | Mapping[str, Any] | None,
    widths: Sequence[int],
    depths: Sequence[int],
    dilated: bool = False,
    weights: str | None = None,
    frozen: bool = False,
) -> VisualBackbone:
    """Build a system's own ResNet, or the network that replaces it.

    Args:
        architecture: "efficientnet-lite0" for `LiteMap`, with `weights` "imagenet" or None; "efficientnet-lite0-pooled"
            for its map at the size that the systems expect; a network of transformers, see `PublishedBackbone`; None
            for the ResNet, which the other arguments describe.

    Raises:
        ValueError: an architecture of transformers is combined with weights of the ResNet, or EfficientNet-Lite0 with
            other weights.
    """
    if architecture is None:
        return VisualResNet(widths, depths, dilated, weights=weights, frozen=frozen)
    if architecture in LITE:
        return LiteMap(weights, frozen, pooled=architecture == LITE[1])
    if weights is not None:
        raise ValueError("visual names a whole network with its weights; leave out visual_weights")
    return PublishedBackbone(architecture, frozen)


def _made(architecture: str | Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Network and the mapping that describes it."""
    from transformers import AutoConfig, AutoModel
    from transformers.image_processing_base import ImageProcessingMixin

    if isinstance(architecture, Mapping):
        try:
            config = AutoConfig.for_model(**architecture["config"])
            return AutoModel.from_config(config), dict(architecture)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"visual: not a description of a network that transformers knows ({error})", "unreadable"
            ) from error
    try:
        network = AutoModel.from_pretrained(architecture, dtype=torch.float32)
    except (OSError, ValueError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DependencyError(
            f"visual {architecture!r}: neither a folder with a usable network nor to be had from the Hugging Face Hub "
            f"({reason})",
            "missing",
        ) from error
    try:
        preprocessor, _ = ImageProcessingMixin.get_image_processor_dict(architecture)
    except OSError:  # no preprocessor was published: use ImageNet's, as for most
        preprocessor = {}
    return network, {
        "config": network.config.to_dict(),
        "mean": [float(value) for value in preprocessor.get("image_mean") or MEAN],
        "deviation": [float(value) for value in preprocessor.get("image_std") or DEVIATION],
    }


def _laid_out(
    tokens: Float[Tensor, "batch tokens channels"], frame_size: Sequence[int], patches: Sequence[int]
) -> Float[Tensor, "batch channels h w"]:
    """Arrange tokens as a map, row by row, without the special tokens before them."""
    for patch in patches:
        rows, columns = frame_size[0] // patch, frame_size[1] // patch
        special = tokens.shape[1] - rows * columns
        if rows and columns and 0 <= special <= _MOST_SPECIAL_TOKENS:
            return tokens[:, special:].transpose(1, 2).unflatten(2, (rows, columns))
    raise ModelError(
        f"visual: {tokens.shape[1]} tokens of {tuple(frame_size)} pixels are no grid of patches", "mismatch"
    )


def _shown(architecture: str | Mapping[str, Any]) -> str:
    return f"visual {architecture!r}" if isinstance(architecture, str) else "visual"
