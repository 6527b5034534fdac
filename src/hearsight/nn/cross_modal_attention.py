"""Hierarchical cross-modal attention and the decoder that it guides (Beyond Mono to Binaural, section 3.4)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.nn.associative import channels_product
from hearsight.nn.convolution_products import FEW_OUTPUTS, subpixel_kernel
from hearsight.nn.unet import Norm, draw_weights, normalization


def cosine_attention(
    visual: Float[Tensor, "_batch channels positions"], audio: Float[Tensor, "batch channels frequency time"]
) -> Float[Tensor, "batch positions frequency time"]:
    """Cosine similarity between every position of the picture and every time-frequency position (equations 3 and 4).

    The visual features are those of one picture for all sounds, or of one for each.
    """
    return channels_product(F.normalize(visual, dim=1), F.normalize(audio, dim=1))


class MapsConvolution(nn.ConvTranspose2d):
    """4 x 4 transposed convolution of stride 2 in a decoder's stage, whose last input channels are attention maps.

    With one picture for a whole batch, the maps S^T x (S: the picture's features at unit length, x: the sound's) need
    not be computed: a convolution W of S^T x is the convolution W S^T of x, which has far fewer channels than a picture
    has positions. Each position of the sound then costs fewer products, and the kernel W S^T is computed once for the
    batch.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=4, stride=2, padding=1)

    def saves(self, heard: Tensor, seen: Tensor) -> bool:
        """Whether `of_one_picture` needs fewer products than computing the maps and their convolution."""
        channels, places = seen.shape
        positions, kernel = heard.shape[0] * heard.shape[2] * heard.shape[3], 16 * self.out_channels
        return positions * (places * (channels + kernel) - channels * kernel) > places * channels * kernel

    def of_one_picture(
        self,
        features: Float[Tensor, "batch features frequency time"],
        heard: Float[Tensor, "batch channels frequency time"],
        seen: Float[Tensor, "channels places"],
    ) -> Float[Tensor, "batch out 2*frequency 2*time"]:
        """Convolution of [features, maps], with the maps of `heard` and `seen`, both of unit length."""
        own, of_maps = self.weight.split([features.shape[1], seen.shape[1]])
        kernel = (seen @ of_maps.flatten(1)).unflatten(1, self.weight.shape[1:])
        weight = torch.cat([own, kernel.to(own.dtype)])
        x = torch.cat([features, heard], dim=1)
        if self.out_channels <= FEW_OUTPUTS and self.bias is not None:
            bias = self.bias.repeat_interleave(4)
            return F.pixel_shuffle(F.conv2d(x, subpixel_kernel(weight), bias, padding=1), 2)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class Attended(NamedTuple):
    """Output of an attentive decoder.

    Attributes:
        logits: output of the last transposed convolution. `[batch, out, frequency, time]`
        attention: per stage, coarse to fine, the maps of all modalities, concatenated (equation 5). `[batch, modalities
            * positions, f_i, t_i]`. Stages whose maps are not computed, because one picture was given for several
            sounds, have none.
    """

    logits: Float[Tensor, "batch out frequency time"]
    attention: tuple[Tensor, ...]


class AttentiveDecoder(nn.Module):
    """U-Net decoder that gets, at every stage, the similarity between the sound and each position of the picture.

    At stage i the features of each modality are aligned to the audio's channels by one linear layer and GELU (not at
    the first stage, where the widths are equal), and compared with the audio features that enter the stage. The
    resulting maps, one channel per position, are concatenated with the audio features and, from the second stage on,
    with the encoder's, before the transposed convolution.

    The text resizes the four-dimensional similarities to `(h w) x f_i x t_i`. Here they are computed on the audio
    features of the stage, which have that size, so that only the two picture axes are joined.

    Args:
        channels: channels of the audio encoder's stages; the last is also that of the visual features.
        positions: positions per modality, h x w.
        modalities: number of visual feature maps (0: a plain U-Net decoder).
        out_channels: channels of the logits.
        norm: norm of the stages (`nn.normalization`).
    """

    def __init__(
        self, channels: Sequence[int], positions: int, modalities: int, out_channels: int, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        maps = modalities * positions
        widths = list(reversed(channels))  # channels of the audio features that enter each stage
        self.align = nn.ModuleList(
            nn.ModuleList(nn.Sequential(nn.Linear(widths[0], width), nn.GELU()) for _ in range(modalities))
            for width in widths[1:]
        )
        incoming = [widths[0] + maps, *[2 * width + maps for width in widths[1:]]]
        self.up = nn.ModuleList(
            nn.Sequential(MapsConvolution(a, b), normalization(norm, b), nn.ReLU())
            for a, b in zip(incoming[:-1], widths[1:], strict=True)
        )
        self.head = MapsConvolution(incoming[-1], out_channels)
        draw_weights(self)

    def forward(
        self,
        encoded: Sequence[Float[Tensor, "batch _channels _f _t"]],
        visual: Sequence[Float[Tensor, "_batch _channels _positions"]],
    ) -> Attended:
        """Logits and attention maps.

        Args:
            encoded: outputs of the encoder's stages, fine to coarse.
            visual: features of each modality, with as many channels as the coarsest audio features; those of one
                picture for all sounds, or of one for each.
        """
        x = encoded[-1]
        attention = []
        one_picture = bool(visual) and visual[0].shape[0] == 1 < x.shape[0]
        for i in range(len(self.up) + 1):
            stage = self.up[i] if i < len(self.up) else nn.Sequential(self.head)
            assert isinstance(stage, nn.Sequential)
            skip = [] if i == 0 else [encoded[-1 - i]]
            aligned = self._aligned(i, visual)
            if one_picture and isinstance(stage[0], MapsConvolution):
                seen = torch.cat([F.normalize(v, dim=1) for v in aligned], dim=2)[0]
                if stage[0].saves(x, seen):
                    x = stage[1:](stage[0].of_one_picture(torch.cat([x, *skip], dim=1), F.normalize(x, dim=1), seen))
                    continue
            maps = [cosine_attention(v, x) for v in aligned]
            if maps:
                attention.append(torch.cat(maps, dim=1))  # equation 5
            x = stage(torch.cat([x, *skip, *maps], dim=1))
        return Attended(x, tuple(attention))

    def _aligned(self, i: int, visual: Sequence[Tensor]) -> Sequence[Tensor]:
        """Visual features with as many channels as the audio features that enter stage i."""
        if i == 0:
            return visual
        layers = self.align[i - 1]
        assert isinstance(layers, nn.ModuleList)
        return [layer(v.transpose(1, 2)).transpose(1, 2) for layer, v in zip(layers, visual, strict=True)]
