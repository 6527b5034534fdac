"""HRTF attention: each bin of the sound attends to directions in the picture, and is rendered from there by HRTFs.

The system is hearsight's own; its parts are published. They are combined so that a small network need not learn known
facts: the direction of each place in the picture, the effect of a head on sound from there, and that a mirrored scene
swaps the ears.

- Picture: the frame nearest to the segment's centre, 129 x 257, through the first stages of EfficientNet-Lite0 with its
  ImageNet weights, frozen: 9 x 17 places of 16 pixels. The default model detects instruments with the same network. A
  small ResNet with a feature pyramid (Lin et al., CVPR 2017) can be trained from scratch instead. The frame is mirrored
  if its right half is lighter, and its map is mirrored back, so that the map of a mirrored frame is the mirrored map.
- Sound: the log magnitude of the mix, its change from column to column, its magnitude and the frequency, through a
  U-Net. The phase is left out: that of a mono mix has no information about directions.
- Directions: each column of the map is a token with an azimuth (PseudoBinaural, section 3.2: the picture is a part of a
  cylinder); a softmax over the places of a column gives the height in it, and so the elevation (equation 1).
- Attention: the U-Net's bottleneck attends to the tokens (as in CCStereo); then every bin attends to them (associative
  convolution, Sep-Stereo, section 3.2, as softmax attention): the weights are the parts of a bin that come from each
  direction; the rest comes from none (equation 2).
- Output: the mix times the sum over directions of weight, share and R, the ratio of difference to sum of KEMAR's HRTFs
  (equation 3), as in the oracle of simulated scenes (`evaluation.upper_bound`), but bin by bin. A free complex part, a
  sum of sines of the attended azimuths (equation 4), adds what the ratio lacks, like Mono2Binaural's mask.
- Loss: squared error of the spectrogram of l - r, as in Mono2Binaural; and the cross-entropy between the attention and
  the directions estimated from the true ears (equation 5).
- Mirror: R and the sines are odd functions of the azimuth, and nothing else distinguishes the sides, so the ears swap
  exactly when the picture is mirrored. Mirrored training clips would add nothing.
- Sizes: 0.9 million parameters, 0.7 million of them frozen.

Equations, with map places (i, j), columns j, bins (f, t), mix X and the U-Net's outputs q, n, s, c at each bin:

    (1)  v_j = sum_i a_ij v_ij,   a_.j = softmax_i(u . v_ij);    R_j(f) = sum_i a_ij R(direction ij, f)
    (2)  w_j(f, t) = exp(q . k_j + b_j) / (exp(n) + sum_j' exp(q . k_j' + b_j'))
    (3)  D(f, t) = X(f, t) g(f, t) sum_j w_j(f, t) R_j(f),   g = sigmoid(s_0 + s . sum_j w_j z_j)
    (4)  D(f, t) += X(f, t) sum_m c_m(f, t) sum_j w_j(f, t) sin(m azimuth_j)
    (5)  - sum over blocks of 16 x 16 bins of power |X|^2 of sum_j p_j log w_j,   p_j = softmax_j(e_j / (0.05 E)),
         e_j = |D|^2 - |D - g X R_j|^2 in the block with the best g from 0 to 1, E = |D|^2 + 0.02 |X|^2

k_j, b_j and z_j come from v_j through a network of two layers. g is the share of a part that comes straight from its
direction; the rest are reflections from elsewhere. It depends on the sound (onsets come before reflections) and on the
picture (the distance of a person).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.acoustics import DEFAULT_FIELD_OF_VIEW, load_hrirs, picture_to_direction
from hearsight.datasets.item import Item
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import spectrogram_error, true_difference
from hearsight.nn import LiteMap, VisualResNet, downsample, upsample
from hearsight.signal import apply_mask

Backbone = Literal["resnet", "efficientnet-lite0"]

LUMA = (0.299, 0.587, 0.114)
BLOCK = (16, 16)  # rows and columns of bins that have one direction in equation 5
TEMPERATURE = 0.05  # of its softmax over directions, relative to the energy of the difference
_HEARD = 4  # input channels: log magnitude, its change, magnitude, frequency
_POSITION = 2  # channels: distance from the middle column, and height
_SHARES = 4
_LEAST_ELEVATION = math.radians(-40)  # lowest of KEMAR's measured directions


class HRTFAttention(StereoNetwork):
    """The HRTF attention network.

    `StereoResult.extras`:

    - `attention`: w of equation 2, the part of each bin that comes from each column of the picture; the rest to 1
      comes from none. `[batch, w, frequency - 1, time]`
    - `rows`: a of equation 1, the weights of the rows in each column. `[batch, h, w]`
    - `ratio`: real and imaginary parts of R of each column. `[batch, 2, w, frequency - 1]`
    - `share`: g of equation 3, if it is in use. `[batch, frequency - 1, time]`

    Args:
        segment: sizes of segments and frames.
        channels: channels of the U-Net: at full resolution, then of each stage down.
        visual, visual_weights, freeze_visual: the visual backbone (`visual_stages`).
        width: channels of the visual map.
        keys: length of queries and keys.
        sines: number of sines in equation 4; 0 leaves it out.
        hrtf: whether equation 3 is in use; without it only the free part is left.
        attention: whether each bin has its own attention; otherwise all share one distribution over directions, from
            the picture alone.
        direction_weight: weight of equation 5; 0 leaves it out.
        field_of_view: horizontal angle of the pictures in radians.

    Raises:
        ValueError: sizes that cannot be halved as often as the network needs, an unknown backbone or weights, or no
            part left that predicts a difference.
        DependencyError: the package with the weights is missing.
    """

    system: ClassVar[str] = "hrtf-attention"
    mirrors_itself: ClassVar[bool] = True
    ratio: Tensor
    sine: Tensor
    position: Tensor
    default_segment: ClassVar[SegmentFormat] = SegmentFormat(frame_size=(64, 128))

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        channels: Sequence[int] = (8, 16, 24, 32, 48, 48),
        visual: Backbone = "resnet",
        visual_weights: str | None = None,
        freeze_visual: bool = False,
        width: int = 40,
        keys: int = 12,
        sines: int = 4,
        hrtf: bool = True,
        attention: bool = True,
        direction_weight: float = 0.3,
        field_of_view: float = DEFAULT_FIELD_OF_VIEW,
    ) -> None:
        super().__init__(segment)
        if not hrtf and not sines:
            raise ValueError("without hrtf and without sines there is nothing to predict the difference with")
        rows, columns = self.spectrogram_size
        unit = 2 ** (len(channels) - 1)
        if rows % unit > 1 or columns % unit:
            raise ValueError(f"{len(channels) - 1} stages need k x {unit} (+ 1) rows and k x {unit} columns")
        self.direction_weight = direction_weight
        self.keys, self.sines, self.hrtf, self.attends = keys, sines, hrtf, attention
        self.visual = visual_stages(visual, visual_weights, freeze_visual)
        self.pyramid = FeaturePyramid(self.visual.channels, width)
        self._add_directions(*self.visual.places(self.frame_size), rows - rows % 2, field_of_view)

        self.place = nn.Conv2d(width + _POSITION, width, kernel_size=1)
        self.row = nn.Conv2d(width, 1, kernel_size=1)  # u of equation 1
        self.token = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, keys + 1 + _SHARES))
        self.value, self.key = nn.Linear(width, channels[-1]), nn.Linear(width, keys)
        self.query = nn.Conv2d(channels[-1], keys, kernel_size=1)

        self.stem = nn.Sequential(
            nn.Conv2d(_HEARD, channels[0], kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()
        )
        self.down = nn.ModuleList(downsample(a, b) for a, b in pairwise(channels))
        upwards = list(reversed(channels))
        incoming = [upwards[0], *(2 * one for one in upwards[1:-1])]
        self.up = nn.ModuleList(upsample(a, b) for a, b in zip(incoming, upwards[1:], strict=True))
        self.parts = (
            keys if attention else 0,
            1 if attention else 0,
            1 if hrtf else 0,
            _SHARES if hrtf else 0,
            2 * sines,
        )
        self.head = nn.Conv2d(2 * channels[0], sum(self.parts), kernel_size=1)
        if sines:  # the free part is zero at first
            nn.init.zeros_(self.head.weight[-2 * sines :].data)

    def _add_directions(self, x: Tensor, y: Tensor, rows: int, field_of_view: float) -> None:
        """Add buffers: R of each place, sines of each column's azimuth, and each place's position without its side."""
        across, down = torch.broadcast_tensors(x, y[:, None])
        azimuth, elevation = picture_to_direction(across, down, field_of_view)
        hrirs = load_hrirs().at_rate(self.sample_rate_hz)
        ratio = hrirs.difference_over_sum(azimuth, elevation.clamp_min(_LEAST_ELEVATION), self.stft.n_fft)
        orders = torch.arange(1, self.sines + 1)
        position = torch.stack([azimuth.abs(), elevation])
        for name, value in {
            "ratio": torch.view_as_real(ratio[..., :rows]).permute(3, 0, 1, 2),  # [2, h, w, frequency]
            "sine": torch.sin(orders[:, None] * azimuth[0]),  # [sines, w]
            "position": position,
        }.items():
            self.register_buffer(name, value.float().contiguous(), persistent=False)

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Map of the frames; for mirrored frames the mirrored map."""
        lighter = lighter_side(frames)[:, None, None, None]
        seen = self.pyramid(self.visual(torch.where(lighter > 0, frames.flip(-1), frames)))
        seen = torch.where(lighter > 0, seen.flip(-1), seen)
        seen = torch.where(lighter == 0, (seen + seen.flip(-1)) / 2, seen)  # symmetric pictures, such as black ones
        return F.relu(self.place(torch.cat([seen, self.position.expand(len(seen), -1, -1, -1)], dim=1)))

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and the map."""
        assert isinstance(visual, Tensor)
        rows = self.row(visual).softmax(-2)  # a of equation 1
        tokens = (visual * rows).sum(-2).transpose(1, 2)
        ratio = (self.ratio * rows[:, :, :, :, None]).sum(2)  # [batch, 2, w, frequency]

        size = (mix.shape[-2] - mix.shape[-2] % 2, mix.shape[-1])
        query, none, share, shares, free = self._heard(mix[:, : size[0]], tokens).flatten(2).split(self.parts, dim=1)
        key, bias, near = self.token(tokens).split((self.keys, 1, _SHARES), dim=2)
        if self.attends:
            logits = torch.cat([key @ query / math.sqrt(self.keys) + bias, none], dim=1)
            weights = logits.softmax(1)[:, :-1]  # equation 2
        else:
            weights = bias.softmax(1).expand(-1, -1, query.shape[-1])

        mask_parts: list[tuple[Tensor, Tensor]] = []
        extras = {"attention": weights.unflatten(2, size)}
        if self.hrtf:  # equation 3
            seen = near.transpose(1, 2) @ weights
            extras["share"] = torch.sigmoid(share[:, 0] + (shares * seen).sum(1)).unflatten(1, size)
            placed = [(extras["attention"] * one[..., None]).sum(1) * extras["share"] for one in ratio.unbind(1)]
            mask_parts.append((placed[0], placed[1]))
        if self.sines:  # equation 4
            odd = self.sine @ weights
            real, imaginary = ((one * odd).sum(1).unflatten(1, size) for one in free.chunk(2, dim=1))
            mask_parts.append((real, imaginary))
        mask = torch.complex(*(sum(parts) for parts in zip(*mask_parts, strict=True)))
        extras["rows"], extras["ratio"] = rows[:, 0], ratio
        return StereoResult(apply_mask(mask, mix), extras)

    def _heard(self, mix: Complex[Tensor, "batch rows time"], tokens: Tensor) -> Float[Tensor, "batch out rows time"]:
        """Outputs of the U-Net at each bin."""
        magnitude = mix.abs()
        level = 0.3 * torch.log(magnitude + 1e-3) + 0.5  # about -1.6 to 1.5 at the level of the network's input
        change = 2 * torch.diff(level, dim=-1, prepend=level[..., :1])
        height = torch.linspace(-1, 1, mix.shape[-2], device=mix.device)[:, None].expand_as(level)
        x = self.stem(torch.stack([level, change, 0.3 * magnitude.clamp_max(10), height], dim=1))
        stages = [x]
        for stage in self.down:
            x = stage(x)
            stages.append(x)
        scores = self.query(x).flatten(2).transpose(1, 2) @ self.key(tokens).transpose(1, 2)
        attended = (scores / math.sqrt(self.keys)).softmax(-1) @ self.value(tokens)
        x = x + attended.transpose(1, 2).unflatten(2, x.shape[-2:])
        for stage, before in zip(self.up, stages[-2::-1], strict=True):
            x = torch.cat([stage(x), before], dim=1)
        return self.head(x)

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference`: squared error of the predicted difference (2.5D Visual Sound, section 3.3); `direction`:
        cross-entropy of the attention (equation 5)."""
        truth = true_difference(item, self.stft, self.system)
        terms = {"difference": spectrogram_error(result.difference, truth)}
        if self.direction_weight:
            extras = result.extras
            loss = direction_loss(self.stft.forward(item.mono), truth, extras["attention"], extras["ratio"])
            terms["direction"] = self.direction_weight * loss
        return terms

    def attention(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> dict[str, Float[Tensor, "batch h w f t"]]:
        """Part of each bin that comes from each place: the weights of equation 2 times those of equation 1."""
        extras = self.predict(mix, visual).extras
        return {"directions": extras["rows"][..., None, None] * extras["attention"][:, None]}


class ResNetStages(VisualResNet):
    """A small ResNet to be trained from scratch, with the maps of its stages of stride 8, 16 and 32.

    Args:
        frozen: do not train it.
    """

    channels = (24, 32, 48)

    def __init__(self, frozen: bool) -> None:
        super().__init__((16, *self.channels), (1, 1, 1, 1), frozen=frozen)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Maps of each stage, the finest first, of ImageNet-normalised frames."""
        x, maps = self.stem(frames), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps[1:])

    def places(self, frame_size: tuple[int, int]) -> tuple[Float[Tensor, "columns"], Float[Tensor, "rows"]]:
        """x and y (0 to 1) in the picture of the finest map's columns and rows, for frames of `frame_size`.

        Raises:
            ValueError: sides that are no multiples of 32.
        """
        rows, columns = (4 * side for side in self.map_size(frame_size))
        return (torch.arange(columns) + 0.5) / columns, (torch.arange(rows) + 0.5) / rows


class LiteStages(LiteMap):
    """The map of `nn.LiteMap` as the only stage."""

    channels = (LiteMap.out_channels,)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:  # type: ignore[override]
        """The map of ImageNet-normalised frames."""
        return (super().forward(frames),)


def visual_stages(visual: Backbone, weights: str | None, frozen: bool) -> ResNetStages | LiteStages:
    """Return the visual backbone of that name.

    Raises:
        ValueError: unknown name, or weights that this backbone does not have.
        DependencyError: the package with the weights is missing.
    """
    if visual == "efficientnet-lite0":
        return LiteStages(weights, frozen)
    if visual != "resnet":
        raise ValueError(f"visual must be resnet or efficientnet-lite0, got {visual!r}")
    if weights is not None:
        raise ValueError("only efficientnet-lite0 has weights here; leave out visual_weights")
    return ResNetStages(frozen)


class FeaturePyramid(nn.Module):
    """Coarse maps, upsampled and added to the finest one (Lin et al., CVPR 2017).

    Args:
        channels: channels of the maps, the finest first.
        width: channels of the resulting map.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(one, width, kernel_size=1) for one in channels)
        self.smooth = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, maps: Sequence[Tensor]) -> Float[Tensor, "batch width h w"]:
        """Return a map as fine as the first of `maps`; each of them is half as fine as the one before."""
        coarse, *finer = [lateral(one) for lateral, one in zip(self.lateral, maps, strict=True)][::-1]
        for fine in finer:
            coarse = fine + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return self.smooth(coarse)


def lighter_side(frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch"]:
    """Balance of light between the halves of each picture: positive if the right is lighter, zero if symmetric."""
    luma = (frames * frames.new_tensor(LUMA)[:, None, None]).sum(1).mean(1)
    half = luma.shape[-1] // 2
    distance = torch.arange(1, half + 1, device=frames.device, dtype=frames.dtype)  # from the middle
    return ((luma[:, -half:] - luma[:, :half].flip(-1)) * distance).sum(-1)


def direction_loss(
    mix: Complex[Tensor, "batch frequency time"],
    difference: Complex[Tensor, "batch frequency time"],
    attention: Float[Tensor, "batch w rows time"],
    ratio: Float[Tensor, "batch 2 w rows"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the attention against the directions estimated from the true ears (equation 5).

    The estimated direction of a block of bins (`BLOCK`) is the one whose HRTFs explain most of its true difference. No
    positions need to be known, so any binaural recording can be used for training.

    Args:
        mix, difference: spectrograms of l + r and of the true l - r.
        attention: w of equation 2.
        ratio: R of equation 1; it takes no gradient here.
    """
    size = attention.shape[-2:]
    mix, difference = mix[:, : size[0]], difference[:, : size[0]]
    cell = (math.gcd(size[0], BLOCK[0]), math.gcd(size[1], BLOCK[1]))

    def summed(values: Tensor) -> Tensor:  # over the columns of a block: [..., rows, blocks]
        return values.unflatten(-1, (-1, cell[1])).sum(-1)

    def grouped(values: Tensor) -> Tensor:  # over the rows of a block
        return values.unflatten(-2, (-1, cell[0])).sum(-2)

    with torch.no_grad():
        product = summed(difference.conj() * mix)
        power = summed(mix.abs().square())
        real, imaginary = ratio.unbind(1)
        alike = grouped(product.real[:, None] * real[..., None] - product.imag[:, None] * imaginary[..., None])
        placed = grouped(power[:, None] * (real.square() + imaginary.square())[..., None])
        share = (alike / placed.clamp_min(1e-9)).clamp(0, 1)
        explained = 2 * share * alike - share.square() * placed
        total = grouped(summed(difference.abs().square())) + 0.02 * grouped(power)
        target = (explained / (TEMPERATURE * total[:, None]).clamp_min(1e-9)).softmax(1)
        weight = grouped(power)
        weight = weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-9)
    attended = grouped(summed(attention * mix.abs().square()[:, None]))
    attended = attended / attended.sum(1, keepdim=True).clamp_min(1e-9)
    return -(weight[:, None] * target * (attended + 1e-4).log()).sum((1, 2, 3)).mean()
