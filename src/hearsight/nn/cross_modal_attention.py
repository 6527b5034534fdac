"""Hierarchical cross-modal attention and the decoder that it guides (Beyond Mono to Binaural, section 3.4)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.nn.unet import Norm, draw_weights, upsample


def cosine_attention(
    visual: Float[Tensor, "batch channels positions"], audio: Float[Tensor, "batch channels frequency time"]
) -> Float[Tensor, "batch positions frequency time"]:
    """Cosine similarity between every position of the picture and every time-frequency position (equations 3 and 4)."""
    seen, heard = F.normalize(visual, dim=1), F.normalize(audio.flatten(2), dim=1)
    return (seen.transpose(1, 2) @ heard).unflatten(2, audio.shape[-2:])


class Attended(NamedTuple):
    """What an attentive decoder gives.

    Attributes:
        logits: output of the last transposed convolution. `[batch, out, frequency, time]`
        attention: per stage, coarse to fine, the maps of all modalities one after the other (equation 5).
            `[batch, modalities * positions, f_i, t_i]`
    """

    logits: Float[Tensor, "batch out frequency time"]
    attention: tuple[Tensor, ...]


class AttentiveDecoder(nn.Module):
    """Decoder of a U-Net that is given at every stage how alike each sound and each place of the picture are.

    At stage i the features of each modality, aligned to the audio's channels by one linear layer and GELU (at the first
    stage they are as wide already), are compared with the audio features that enter the stage; the resulting maps, one
    channel per place, are concatenated with the audio features and, from the second stage on, with the encoder's, and
    transposed convolutions go on from there.

    The text resizes the four-dimensional similarities to `(h w) x f_i x t_i`: they are computed on the audio features
    of the stage, which have that size, so that only the two picture axes are joined.

    Args:
        channels: of the audio encoder's stages; the last is also that of the visual features.
        positions: places per modality, h x w.
        modalities: number of visual feature maps (0: a plain U-Net decoder).
        out_channels: of the logits.
        norm: of the stages (`nn.normalization`).
    """

    def __init__(
        self, channels: Sequence[int], positions: int, modalities: int, out_channels: int, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        maps = modalities * positions
        widths = list(reversed(channels))  # of the audio features that enter each stage
        self.align = nn.ModuleList(
            nn.ModuleList(nn.Sequential(nn.Linear(widths[0], width), nn.GELU()) for _ in range(modalities))
            for width in widths[1:]
        )
        incoming = [widths[0] + maps, *[2 * width + maps for width in widths[1:]]]
        self.up = nn.ModuleList(upsample(a, b, norm) for a, b in zip(incoming[:-1], widths[1:], strict=True))
        self.head = nn.ConvTranspose2d(incoming[-1], out_channels, kernel_size=4, stride=2, padding=1)
        draw_weights(self)

    def forward(
        self,
        encoded: Sequence[Float[Tensor, "batch _channels _f _t"]],
        visual: Sequence[Float[Tensor, "batch _channels _positions"]],
    ) -> Attended:
        """Logits and attention maps.

        Args:
            encoded: outputs of the encoder's stages, fine to coarse.
            visual: features of each modality, as wide as the coarsest audio features.
        """
        x = encoded[-1]
        attention = []
        for i in range(len(self.up) + 1):
            maps = [cosine_attention(v, x) for v in self._aligned(i, visual)]
            if maps:
                attention.append(torch.cat(maps, dim=1))  # equation 5
            skip = [] if i == 0 else [encoded[-1 - i]]
            entering = torch.cat([x, *skip, *maps], dim=1)
            x = self.up[i](entering) if i < len(self.up) else self.head(entering)
        return Attended(x, tuple(attention))

    def _aligned(self, i: int, visual: Sequence[Tensor]) -> Sequence[Tensor]:
        """Visual features as wide as the audio features that enter stage i."""
        if i == 0:
            return visual
        layers = self.align[i - 1]
        assert isinstance(layers, nn.ModuleList)
        return [layer(v.transpose(1, 2)).transpose(1, 2) for layer, v in zip(layers, visual, strict=True)]
