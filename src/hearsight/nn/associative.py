"""Kernel transfer and associative convolution (Sep-Stereo, section 3.2, equation 2)."""

from jaxtyping import Float
from torch import Tensor, nn

from hearsight.nn.unet import draw_weights


class AssociativeConv(nn.Module):
    """One audio feature map per position of the picture, by a 1 x 1 convolution with the position's visual kernel.

    Kernel transfer: a learned 1 x 1 convolution and a ReLU (from the released code) convert each position's visual
    feature to a kernel of `audio_channels` numbers. The kernels differ from item to item, so convolving the audio with
    them is a batched matrix product.

    Args:
        audio_channels: channels of the audio feature map.
        visual_channels: channels of the visual feature map (512).
    """

    def __init__(self, audio_channels: int, visual_channels: int = 512) -> None:
        super().__init__()
        self.transfer = nn.Sequential(nn.Conv1d(visual_channels, audio_channels, kernel_size=1), nn.ReLU())
        draw_weights(self)

    def forward(
        self, audio: Float[Tensor, "batch audio_channels frequency time"], visual: Float[Tensor, "_batch channels h w"]
    ) -> Float[Tensor, "batch h_times_w frequency time"]:
        """Audio features associated with each position, row by row of the picture.

        The visual features are those of one picture for all sounds, or of one for each.
        """
        return channels_product(self.kernels(visual), audio)  # equation 2

    def kernels(self, visual: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch audio_channels positions"]:
        """Kernel of each position."""
        return self.transfer(visual.flatten(2))


def channels_product(
    kernels: Float[Tensor, "_batch channels positions"], audio: Float[Tensor, "batch channels frequency time"]
) -> Float[Tensor, "batch positions frequency time"]:
    """Scalar product of every kernel with the channels at every time-frequency position, in channels-last order.

    A following convolution takes that order without a copy.
    """
    positions = audio.permute(0, 2, 3, 1).flatten(1, 2)
    return (positions @ kernels).unflatten(1, audio.shape[2:]).permute(0, 3, 1, 2)
