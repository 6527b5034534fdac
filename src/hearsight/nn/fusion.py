"""Fusion of a frame's feature map with the audio U-Net by concatenation (2.5D Visual Sound, section 3.3)."""

from jaxtyping import Float
from torch import Tensor, nn

from hearsight.nn.unet import draw_weights


class VisualCondition(nn.Module):
    """Conditioning vector from a feature map: a 1 x 1 convolution to few channels, batch norm, ReLU, flattened.

    Args:
        visual_channels: channels of the feature map (512).
        channels: channels after the convolution (8); a map of 7 x 14 then gives 784 numbers, which the U-Net tiles over
            its bottleneck.
    """

    def __init__(self, visual_channels: int = 512, channels: int = 8) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(visual_channels, channels, kernel_size=1), nn.BatchNorm2d(channels), nn.ReLU()
        )
        draw_weights(self)

    def forward(self, visual: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch condition"]:
        """The vector: `channels * h * w` numbers per frame, channel by channel, row by row."""
        return self.reduce(visual).flatten(1)
