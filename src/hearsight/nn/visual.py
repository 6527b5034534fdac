"""Visual backbone: ResNet features of a frame. Architecture and published weights come from transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.errors import DependencyError, ModelError


class VisualResNet(nn.Module):
    """ResNet without pooling and classifier: `[batch, 3, H, W]` to `[batch, widths[-1], H / 32, W / 32]`.

    ResNet-18 by default: 512 x 7 x 14 for a 224 x 448 frame (2.5D Visual Sound, section 3.3).

    Args:
        widths, depths: channels and blocks of the four stages (ResNet-18; `depths=(3, 4, 6, 3)` is ResNet-34). The
            first width is also that of the stem.
        dilated: keep stride 1 in the last stage and dilate it by 2, as Sep-Stereo does after Sound of Pixels, which
            gives H / 16 x W / 16; then average-pool 2 x 2 to H / 32 x W / 32 unless `pool` is false.
        pool: only with `dilated`: whether to average-pool.
        weights: name on the Hugging Face Hub or folder of published weights ("microsoft/resnet-18"); None for random
            ones. They are read once, here: a saved network carries its own weights.
        frozen: no gradients, and constant batch-norm statistics even in training.

    Raises:
        ModelError: the published weights are those of another architecture.
        DependencyError: the published weights are not available.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (2, 2, 2, 2),
        dilated: bool = False,
        pool: bool = True,
        weights: str | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        resnet = _random_resnet(widths, depths)
        if weights is not None:
            _load_published(resnet, weights)
        self.stem = resnet.embedder
        self.stages = resnet.encoder.stages
        if dilated:
            _dilate(self.stages[-1])
        self.pools = dilated and pool
        self.out_channels = widths[-1]
        self.reduction = 16 if dilated and not pool else 32
        self.frozen = frozen
        if frozen:
            self.requires_grad_(False)
            self.train(False)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of ImageNet-normalised frames."""
        x = self.stem(frames)
        for stage in self.stages:
            x = stage(x)
        return F.avg_pool2d(x, kernel_size=2, stride=2) if self.pools else x

    def map_size(self, frame_size: Sequence[int]) -> tuple[int, int]:
        """Size (height, width) of the feature map of frames of `frame_size`.

        Raises:
            ValueError: an axis of the frame is not a multiple of 32.
        """
        height, width = frame_size
        if height % 32 or width % 32 or height < 32 or width < 32:
            raise ValueError(f"frames of {height} x {width}: both must be multiples of 32 for a ResNet")
        return height // self.reduction, width // self.reduction

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen backbone stays in evaluation mode."""
        return super().train(mode and not self.frozen)


def _random_resnet(widths: Sequence[int], depths: Sequence[int]) -> Any:
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(
        embedding_size=widths[0], hidden_sizes=list(widths), depths=list(depths), layer_type="basic", hidden_act="relu"
    )
    return ResNetModel(config)


def _load_published(resnet: Any, weights: str) -> None:
    from transformers import ResNetModel

    try:
        published = ResNetModel.from_pretrained(weights)
    except (OSError, ValueError) as error:
        what = "folder holds no usable ResNet" if Path(weights).is_dir() else "cannot be had from the Hugging Face Hub"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DependencyError(f"visual weights {weights!r}: {what} ({reason})", "missing") from error
    theirs, ours = published.config, resnet.config
    for field in ("layer_type", "hidden_act", "embedding_size", "hidden_sizes", "depths", "downsample_in_first_stage"):
        if getattr(theirs, field, None) != getattr(ours, field):
            raise ModelError(
                f"visual weights {weights!r} are of another ResNet: "
                f"{field} is {getattr(theirs, field, None)}, this network's {getattr(ours, field)}",
                "mismatch",
            )
    resnet.load_state_dict(published.float().state_dict())


def _dilate(stage: nn.Module) -> None:
    """Set stride 1 instead of 2 in a stage, and dilation 2 in every later 3 x 3 convolution of it."""
    for convolution in stage.modules():
        if isinstance(convolution, nn.Conv2d):
            if convolution.stride == (2, 2):
                convolution.stride = (1, 1)
            elif convolution.kernel_size == (3, 3):
                convolution.dilation = (2, 2)
                convolution.padding = (2, 2)
