"""The backbone of four systems: an audio U-Net guided by a frame (2.5D Visual Sound, section 3.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from hearsight.models.interface import AudioVisualNetwork, SegmentFormat
from hearsight.nn import ConditionalUNet, Conditioning, Norm, PublishedBackbone, VisualCondition, visual_backbone


class GuidedUNet(AudioVisualNetwork):
    """An audio U-Net whose bottleneck gets the reduced feature map of the frame from a visual backbone.

    A system inherits from it first, then from `StereoNetwork` or `SeparationNetwork`.

    Args:
        segment: sizes of segments and frames.
        inputs, outputs: channels of the U-Net; a system sets them.
        channels: channels of the U-Net's encoder.
        visual_widths, visual_depths: channels and blocks of the ResNet's stages.
        condition_channels: channels of the reduced map.
        norm: normalisation of the U-Net, and of further networks that decode (`nn.normalization`); the ResNet and the
            layer that reduces its map keep their batch norms.
        dilated: whether the ResNet's last stage is dilated (see `nn.VisualResNet`).
        visual_weights: published weights of the ResNet, by Hub name or folder; None for random ones.
        freeze_visual: do not train the visual backbone.
        visual: replacement of the ResNet: "efficientnet-lite0" or "efficientnet-lite0-pooled" (`nn.LiteMap`, with
            `visual_weights` "imagenet"), or any vision network of transformers, by Hub name or folder
            ("facebook/dinov2-small"), with its weights (`nn.PublishedBackbone`). A saved network has its description
            here instead.
        conditioning: way in which the frame enters the U-Net, "tile" (the papers) or "film" (`nn.ConditionalUNet`).

    Raises:
        ValueError: sizes that cannot be halved as often as the networks need, or an unknown norm.
    """

    shares_pictures: ClassVar[bool] = True
    exchanges_backbone: ClassVar[bool] = True
    cpu_batch: ClassVar[int] = 8
    """Windows at once in float32 on a CPU. In larger batches a map takes more than 32 MB, the most that glibc keeps for
    the next use: the system then clears its pages anew each time."""
    small_sizes: ClassVar[Mapping[str, Any]] = {"channels": (8, 16, 32, 32, 32), "visual_widths": (8, 16, 24, 32)}

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None,
        inputs: int = 2,
        outputs: int = 2,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        visual_widths: Sequence[int] = (64, 128, 256, 512),
        visual_depths: Sequence[int] = (2, 2, 2, 2),
        condition_channels: int = 8,
        norm: Norm = "batch",
        dilated: bool = False,
        visual_weights: str | None = None,
        freeze_visual: bool = False,
        visual: str | Mapping[str, Any] | None = None,
        conditioning: Conditioning = "tile",
    ) -> None:
        super().__init__(segment)
        self.visual = visual_backbone(visual, visual_widths, visual_depths, dilated, visual_weights, freeze_visual)
        if isinstance(self.visual, PublishedBackbone):
            self.settings["visual"] = self.visual.architecture
        self.map_size = self.visual.map_size(self.frame_size)
        self.channels, self.norm = tuple(channels), norm
        self.condition = VisualCondition(self.visual.out_channels, condition_channels)
        positions = self.map_size[0] * self.map_size[1]
        self.unet = ConditionalUNet(inputs, outputs, channels, condition_channels * positions, norm, conditioning)
        self.unet.check_size(*self.spectrogram_size)

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of the frames; 512 x 7 x 14 at the paper's size."""
        return self.visual(frames)
