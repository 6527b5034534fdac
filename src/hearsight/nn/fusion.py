"""How a feature map of the frame is given to the audio U-Net by concatenation (2.5D Visual Sound, section 3.3)."""

from jaxtyping import Float
from torch import Tensor, nn

from hearsight.nn.unet import draw_weights


class VisualCondition(nn.Module):
    """Feature map to conditioning vector: a 1 x 1 convolution with batch norm and ReLU to few channels, flattened.

    Args:
        visual_channels: of the feature map (512).
        channels: to which the convolution reduces them (8); a map of 7 x 14 then gives 784 numbers, which the U-Net
            tiles over its bottleneck.
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
