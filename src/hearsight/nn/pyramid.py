"""The associative pyramid and its smallest form (Sep-Stereo, section 3.2, figure 3a).

Both take the inner decoder stages of the U-Net and the visual feature map, and output the masks' logits for two
channels: left and right ear, or source A and source B.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hearsight.nn.associative import AssociativeConv
from hearsight.nn.convolution_products import SubpixelConvolution
from hearsight.nn.unet import Norm, draw_weights, upsample


class Associated(NamedTuple):
    """Output of an associative network.

    Attributes:
        left, right: logits of the masks of the first and the second channel. `[batch, 2, frequency, time]`
        maps: outputs of the associative convolutions, coarse to fine, one channel per position of the visual map; the
            last has half the rows and columns of the masks. `[batch, h * w, frequency_i, time_i]`. After
            `MaskPair.join`, the last is missing where one picture was given for several sounds.
    """

    left: Float[Tensor, "batch 2 frequency time"]
    right: Float[Tensor, "batch 2 frequency time"]
    maps: tuple[Tensor, ...]


class MaskPair(nn.Module):
    """Network whose last two convolutions, `left` and `right`, compute the masks' logits from the same maps."""

    left: nn.ConvTranspose2d
    right: nn.ConvTranspose2d

    def __init__(self) -> None:
        super().__init__()
        self.both: SubpixelConvolution | None = None

    def join(self) -> None:
        """Replace both convolutions by a single one, for inference."""
        self.both = SubpixelConvolution(self.left, self.right)
        del self.left, self.right

    def pair(
        self, maps: Float[Tensor, "batch channels h w"]
    ) -> tuple[Float[Tensor, "batch 2 2*h 2*w"], Float[Tensor, "batch 2 2*h 2*w"]]:
        """Logits of the masks of the first and the second channel."""
        if self.both is None:
            return self.left(maps), self.right(maps)
        left, right = self.both(maps).chunk(2, dim=1)
        return left, right

    def computes_maps(self, visual: Tensor, audio: Tensor) -> bool:
        """Whether the finest maps are computed: not for one picture with several sounds, after `join`."""
        return self.both is None or not visual.shape[0] == 1 < audio.shape[0]

    def pair_of_one_picture(
        self,
        association: AssociativeConv,
        audio: Float[Tensor, "batch audio_channels h w"],
        visual: Float[Tensor, "1 channels _h _w"],
        further: Float[Tensor, "batch further h w"] | None = None,
    ) -> tuple[Float[Tensor, "batch 2 2*h 2*w"], Float[Tensor, "batch 2 2*h 2*w"]]:
        """`pair` of [the associated maps, further maps]; the associated maps are not computed."""
        assert self.both is not None
        left, right = self.both.of_products(association.kernels(visual)[0], audio, further).chunk(2, dim=1)
        return left, right


class AssociativePyramid(MaskPair):
    """APNet: associative convolutions at every inner decoder stage, combined from coarse to fine.

    Args:
        stage_channels: channels of the decoder's inner stages, coarse to fine (512, 256, 128, 64).
        visual_channels: channels of the visual feature map.
        positions: positions of the visual feature map, h * w (98).
        norm: norm of the upsampling stages (`nn.normalization`).
    """

    def __init__(
        self, stage_channels: Sequence[int], visual_channels: int = 512, positions: int = 98, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.associations = nn.ModuleList(AssociativeConv(channels, visual_channels) for channels in stage_channels)
        widths = [positions if i == 0 else 2 * positions for i in range(len(stage_channels))]
        self.upsamplings = nn.ModuleList(upsample(width, positions, norm) for width in widths[:-1])
        self.left = _head(widths[-1])
        self.right = _head(widths[-1])
        draw_weights(self)

    def forward(self, stages: Sequence[Tensor], visual: Float[Tensor, "_batch channels h w"]) -> Associated:
        """Logits for two channels from the decoder's inner stages, coarse to fine."""
        count = len(stages) - (bool(self.upsamplings) and not self.computes_maps(visual, stages[-1]))
        pairs = list(zip(self.associations, stages, strict=True))
        maps = [associate(stage, visual) for associate, stage in pairs[:count]]
        x = maps[0]
        for upsampling, finer in zip(self.upsamplings, maps[1:], strict=False):
            x = torch.cat([finer, upsampling(x)], dim=1)  # equation 3
        if count == len(stages):
            return Associated(*self.pair(x), tuple(maps))
        association, upsampling = self.associations[-1], self.upsamplings[-1]
        assert isinstance(association, AssociativeConv)
        return Associated(*self.pair_of_one_picture(association, stages[-1], visual, upsampling(x)), tuple(maps))


class OutermostAssociation(MaskPair):
    """Associative-Conv: one associative convolution, at the outermost inner stage (section 4.3, variant 1).

    Args:
        stage_channels: as for `AssociativePyramid`; only the last is used.
        visual_channels, positions: as for `AssociativePyramid`.
    """

    def __init__(self, stage_channels: Sequence[int], visual_channels: int = 512, positions: int = 98) -> None:
        super().__init__()
        self.association = AssociativeConv(stage_channels[-1], visual_channels)
        self.left = _head(positions)
        self.right = _head(positions)
        draw_weights(self)

    def forward(self, stages: Sequence[Tensor], visual: Float[Tensor, "_batch channels h w"]) -> Associated:
        """Logits for two channels from the decoder's inner stages, coarse to fine."""
        if not self.computes_maps(visual, stages[-1]):
            return Associated(*self.pair_of_one_picture(self.association, stages[-1], visual), ())
        associated = self.association(stages[-1], visual)
        return Associated(*self.pair(associated), (associated,))


def _head(in_channels: int) -> nn.ConvTranspose2d:
    """Last transposed convolution, without the bound of the mask."""
    return nn.ConvTranspose2d(in_channels, 2, kernel_size=4, stride=2, padding=1)
