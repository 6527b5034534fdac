"""CCStereo: attention between sound and picture in the bottleneck, and a decoder de-normalised by the picture.

Paper: Chen et al., "CCStereo: Audio-Visual Contextual and Contrastive Learning for Binaural Audio Generation", ACM MM
2025 (arXiv 2501.02786). Built from a description of the released code (Sony Research, MIT licence, commit 5ba1b1b), in
the configuration of its run scripts; parity with it is tested. Equations are numbered in this file, (1) to (9).

- Picture: the frame nearest to the segment's centre, 224 x 448, through a ResNet-18 (ImageNet weights:
  `visual_weights="microsoft/resnet-18"`) and an atrous pyramid: V, 128 x 7 x 14.
- Sound: the spectrogram of the mix, 257 x 64 bins of 0.63 s at 16 kHz, zero padding at the ends, real and imaginary
  parts as channels.
- Fusion: the U-Net's 8 x 2 bottleneck attends to the 98 places of V (cross-attention), then to itself (self-attention);
  the first decoder stage is normalised, then scaled and shifted by the similarity of each sound position and each place
  (AVAD).
- Output: a complex mask with both parts in (-1, 1) on all 257 rows; mask times mix is the spectrogram of l - r.
- Loss: squared error and magnitude of the difference, phase of the two ears, and a contrastive term: the bottleneck
  with the previous frame should resemble that with this frame, the one with shuffled places should not.
- Test: each frame is cropped at one of five places, chosen by its number, so that overlapping windows average over
  crops (`sliding_crops`, implemented by `inference.NeuralModel`).
- Training: Adam (0.9, 0.999), weight decay 5e-4, batch 128, rate 5e-4 (5e-5 for the whole visual stream), falling to
  zero over 400 epochs as (1 - step / steps)^0.9. The released training keeps the weights that are best on the test
  split; here the validation split decides.
- Sizes: 17.6 million parameters, 15.1 million of them visual.

Differences from the released code: segments are scaled by the mix alone in training as in testing (the released
training scales by both ears and its test by the mix, so that the network gets quieter sound in testing than in
training); `segment: {level: ears}` scales by both ears where they are known. Layers of the released code that its
forward pass never uses are left out, and so is the 1e-12 that it adds to spectrograms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import true_difference
from hearsight.nn import PublishedBackbone, VisualBackbone, cosine_attention, downsample, upsample, visual_backbone
from hearsight.signal import STFT, apply_mask, bounded_mask, left_right

LOSS_WEIGHTS: Mapping[str, float] = {"difference": 1.0, "amplitude": 0.005, "phase": 1.0, "contrastive": 0.1}
ATROUS_RATES = (6, 12, 18)
TEMPERATURE = 0.1


class CCStereo(StereoNetwork):
    """The network of CCStereo.

    `StereoResult.extras`:

    - `mask`, the complex mask. `[batch, frequency, time]`
    - `bottleneck`, the output of the attention. `[batch, width, f, t]`
    - `attention_similarity`, cosine similarity of each place of the picture and each position of the first decoder
      stage (equation 4). `[batch, h, w, 2 f, 2 t]`, 7 x 14 places and 16 x 4 positions at the paper's size.

    Args:
        segment: sizes of segments and frames.
        channels: channels of the U-Net's encoder; the last is also the width of V and of the attention.
        visual_widths, visual_depths: channels and blocks of the ResNet's stages.
        pyramid_channels: channels of each branch of the atrous pyramid.
        heads: number of attention heads.
        loss_weights: weights of "difference", "amplitude", "phase" and "contrastive"; terms without one are left out.
        amplitude: "released", the norm over time that the released code computes; "magnitude", that of each bin
            (equation 7).
        visual_weights: published weights of the ResNet, by Hub name or folder; None for random ones.
        visual, freeze_visual: another network in place of the ResNet, and whether it stays untrained; as in
            `models.guided.GuidedUNet`.

    Raises:
        ValueError: sizes that cannot be halved as often as the network needs, or unknown loss settings.
    """

    system: ClassVar[str] = "ccstereo"
    predicts_highest_bin: ClassVar[bool] = True
    sliding_crops: ClassVar[bool] = True
    exchanges_backbone: ClassVar[bool] = True
    small_sizes: ClassVar[Mapping[str, Any]] = {
        "channels": (8, 16, 32, 32, 32),
        "visual_widths": (8, 16, 24, 32),
        "pyramid_channels": 16,
    }

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        channels: Sequence[int] = (16, 32, 64, 128, 128),
        visual_widths: Sequence[int] = (64, 128, 256, 512),
        visual_depths: Sequence[int] = (2, 2, 2, 2),
        pyramid_channels: int = 256,
        heads: int = 8,
        loss_weights: Mapping[str, float] | None = None,
        amplitude: Literal["released", "magnitude"] = "released",
        visual_weights: str | None = None,
        visual: str | Mapping[str, Any] | None = None,
        freeze_visual: bool = False,
    ) -> None:
        super().__init__(segment)
        self.stft = replace(self.stft, padding="zeros")
        self.loss_weights = dict(LOSS_WEIGHTS if loss_weights is None else loss_weights)
        if not self.loss_weights or self.loss_weights.keys() - LOSS_WEIGHTS.keys():
            raise ValueError(f"loss weights are of some of {', '.join(LOSS_WEIGHTS)}, got {self.loss_weights}")
        if amplitude not in ("released", "magnitude"):
            raise ValueError(f"amplitude is 'released' or 'magnitude', got {amplitude!r}")
        self.amplitude = amplitude
        width, stages = channels[-1], len(channels)
        rows, columns = self.spectrogram_size
        if columns % 2**stages or rows % 2**stages != 1:
            raise ValueError(f"{stages} stages need k x {2**stages} + 1 rows and k x {2**stages} columns")
        audio_map = (rows // 2**stages, columns // 2**stages)
        backbone = visual_backbone(visual, visual_widths, visual_depths, weights=visual_weights, frozen=freeze_visual)
        if isinstance(backbone, PublishedBackbone):
            self.settings["visual"] = backbone.architecture
        self.visual = VisualStream(backbone, pyramid_channels, width)
        visual_map = self.visual.backbone.map_size(self.frame_size)
        self.project = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.down = nn.ModuleList(downsample(a, b) for a, b in pairwise([2, *channels]))
        self.fusion = AttentiveFusion(width, audio_map, visual_map, heads)
        first = channels[-2]
        self.up_first = nn.ConvTranspose2d(width, first, kernel_size=4, stride=2, padding=1)
        self.denormalization = AdaptiveDenormalization(first, width, (2 * audio_map[0], 2 * audio_map[1]), visual_map)
        self.up = nn.ModuleList(upsample(2 * a, b) for a, b in pairwise(reversed(channels[:-1])))
        self.head = nn.ConvTranspose2d(2 * channels[0], 2, kernel_size=4, stride=2, padding=1)
        for name, part in self.named_children():
            if name != "visual":
                _draw(part)

    @property
    def needs_previous_frames(self) -> bool:  # type: ignore[override]
        """Whether the contrastive term has a weight."""
        return "contrastive" in self.loss_weights

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """V, the map of the atrous pyramid; 128 x 7 x 14 at the paper's size."""
        return self.visual(frames)

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and V."""
        assert isinstance(visual, Tensor)
        encoded = self._encoded(mix)
        return self._decoded(mix, encoded, self._bottleneck(encoded[-1], visual), visual)

    def attention(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> dict[str, Float[Tensor, "batch h w f t"]]:
        """Weights of the cross-attention, mean over heads (equation 2), and the similarity of AVAD (equation 4)."""
        assert isinstance(visual, Tensor)
        audio = self._encoded(mix)[-1]
        weights = self.fusion.attention(audio, self.project(visual))
        similarity = self.predict(mix, visual).extras["attention_similarity"]
        return {"cross-attention": weights, "similarity": similarity}

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference`, `amplitude` and `phase`, weighted (equations 6 to 8); `loss_terms` adds `contrastive`."""
        weights = self.loss_weights
        truth = true_difference(item, self.stft, self.system)
        assert item.ears is not None
        error = result.difference - truth
        terms = {
            "difference": lambda: torch.view_as_real(error).square().mean(),  # equation 6: all rows count
            "amplitude": lambda: amplitude_loss(result.difference, truth, self.amplitude),
            "phase": lambda: phase_loss(item.ears, self._ears(result, item), replace(self.stft, padding="reflect")),
        }
        return {name: weights[name] * term() for name, term in terms.items() if name in weights}

    def loss_terms(self, item: Item, order: Int[Tensor, "places"] | None = None) -> dict[str, Tensor]:
        """Weighted losses of a batch.

        Args:
            item: batch with ears and, for the contrastive term, previous frames.
            order: permutation of the places for the negative; None for a random one.

        Raises:
            DataError: the ears or the previous frames are missing.
        """
        true_difference(item, self.stft, self.system)  # raises for items without ears before anything is computed
        if not self.needs_previous_frames:
            return super().loss_terms(item)
        if item.previous_frames is None:
            raise DataError(
                f"{self.system}'s contrastive term compares neighbouring pictures, and these items have no previous "
                "one; leave 'contrastive' out of loss_weights",
                "mismatch",
            )
        item = self.at_its_level(item)
        assert item.previous_frames is not None
        mix = self.stft.forward(item.mono)
        visual = self.encode_frames(item.frames)
        previous = self.encode_frames(item.previous_frames)
        if order is None:
            order = torch.randperm(visual.shape[-2] * visual.shape[-1], device=visual.device)
        shuffled = visual.flatten(2)[:, :, order].unflatten(2, visual.shape[-2:])
        encoded = self._encoded(mix)
        anchor, positive, negative = (self._bottleneck(encoded[-1], seen) for seen in (visual, previous, shuffled))
        terms = self.losses(self._decoded(mix, encoded, anchor, visual), item)
        contrast = contrastive_loss(_pooled(anchor), _pooled(positive), _pooled(negative))
        return {**terms, "contrastive": self.loss_weights["contrastive"] * contrast}

    def _encoded(self, mix: Complex[Tensor, "batch frequency time"]) -> list[Tensor]:
        parts = torch.stack([mix.real, mix.imag], dim=1)
        return list(accumulate(self.down, lambda x, stage: stage(x), initial=parts))[1:]

    def _bottleneck(self, audio: Tensor, visual: Tensor) -> Float[Tensor, "batch channels f t"]:
        return self.fusion(audio, self.project(visual))

    def _decoded(
        self, mix: Complex[Tensor, "batch frequency time"], encoded: list[Tensor], bottleneck: Tensor, visual: Tensor
    ) -> StereoResult:
        x, similarity = self.denormalization(self.up_first(bottleneck), visual)
        x = F.relu(x)
        for i, stage in enumerate(self.up):
            x = stage(torch.cat([x, encoded[-2 - i]], dim=1))
        logits = self.head(torch.cat([x, encoded[0]], dim=1))
        bounded = bounded_mask(logits)
        mask = torch.complex(*(_stretched(part, mix.shape[-2]) for part in (bounded.real, bounded.imag)))
        extras = {"mask": mask, "bottleneck": bottleneck, "attention_similarity": similarity}
        return StereoResult(apply_mask(mask, mix), extras)  # equation 5

    def _ears(self, result: StereoResult, item: Item) -> Float[Tensor, "batch 2 samples"]:
        return left_right(item.mono, self.stft.inverse(result.difference, item.mono.shape[-1]))


class VisualStream(nn.Module):
    """ResNet and atrous pyramid: V, `[batch, width, H / 32, W / 32]`.

    Four parallel convolutions of the ResNet's map, 1 x 1 and 3 x 3 with dilations 6, 12 and 18, and the map's mean over
    all places are each reduced to `width` channels; their normalised sum is V. On a map of 7 x 14, a kernel of dilation
    18 meets data only in its centre.
    """

    def __init__(self, backbone: VisualBackbone, channels: int, width: int) -> None:
        super().__init__()
        self.backbone = backbone
        incoming = backbone.out_channels
        self.atrous = nn.ModuleList(
            [
                nn.Conv2d(incoming, channels, kernel_size=1, bias=False),
                *(nn.Conv2d(incoming, channels, 3, dilation=r, padding=r, bias=False) for r in ATROUS_RATES),
            ]
        )
        wide = channels * len(self.atrous)
        self.atrous_norm = nn.BatchNorm2d(wide)
        self.atrous_reduce = nn.Conv2d(wide, width, kernel_size=1, bias=False)
        self.pooled = nn.Conv2d(incoming, channels, kernel_size=1, bias=False)
        self.pooled_norm = nn.BatchNorm2d(channels)
        self.pooled_reduce = nn.Conv2d(channels, width, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """V of ImageNet-normalised frames. In training, the norm of the mean refuses a batch of one."""
        x = self.backbone(frames)
        near = torch.cat([convolution(x) for convolution in self.atrous], dim=1)
        near = self.atrous_reduce(F.leaky_relu(self.atrous_norm(near)))
        whole = self.pooled(x.mean((2, 3), keepdim=True))
        whole = self.pooled_reduce(F.leaky_relu(self.pooled_norm(whole)))
        return F.leaky_relu(self.norm(near + whole))  # equation 1


class AttentiveFusion(nn.Module):
    """Sound tokens attend to the picture's, then to each other (equations 2 and 3), with residuals and post-norms.

    Args:
        width: length of a token.
        audio_map, visual_map: (rows, columns) of the maps that the tokens come from, row by row.
        heads: number of heads of both attentions.
    """

    def __init__(self, width: int, audio_map: tuple[int, int], visual_map: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.audio_positions = nn.Parameter(torch.randn(audio_map[0] * audio_map[1], width))
        self.visual_positions = nn.Parameter(torch.randn(visual_map[0] * visual_map[1], width))
        self.cross = nn.MultiheadAttention(width, heads, batch_first=True)
        self.cross_norm = nn.LayerNorm(width)
        self.among = nn.MultiheadAttention(width, heads, batch_first=True)
        self.among_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.feed_norm = nn.LayerNorm(width)

    def forward(
        self, audio: Float[Tensor, "batch width f t"], visual: Float[Tensor, "batch width h w"]
    ) -> Float[Tensor, "batch width f t"]:
        """Return the bottleneck after attention."""
        heard, seen = audio.flatten(2).transpose(1, 2), visual.flatten(2).transpose(1, 2)
        query, key = heard + self.audio_positions, seen + self.visual_positions
        x = self.cross_norm(heard + self.cross(query, key, seen, need_weights=False)[0])  # equation 2
        query = x + self.audio_positions
        x = self.among_norm(x + self.among(query, query, x, need_weights=False)[0])  # equation 3
        x = self.feed_norm(x + self.feed(x))
        return x.transpose(1, 2).unflatten(2, audio.shape[-2:])

    def attention(
        self, audio: Float[Tensor, "batch width f t"], visual: Float[Tensor, "batch width h w"]
    ) -> Float[Tensor, "batch h w f t"]:
        """Weights of the cross-attention, mean over heads; those of each sound position add up to one."""
        query = audio.flatten(2).transpose(1, 2) + self.audio_positions
        seen = visual.flatten(2).transpose(1, 2)
        weights = self.cross(query, seen + self.visual_positions, seen)[1]
        return weights.transpose(1, 2).unflatten(1, visual.shape[-2:]).unflatten(3, audio.shape[-2:])


class AdaptiveDenormalization(nn.Module):
    """Audio-visual adaptive de-normalisation (AVAD): a batch norm whose scale and shift come from sound and picture.

    Args:
        channels: channels of the sound's map.
        visual_channels: channels of the picture's map.
        audio_map, visual_map: (rows, columns) of each map.
    """

    def __init__(
        self, channels: int, visual_channels: int, audio_map: tuple[int, int], visual_map: tuple[int, int]
    ) -> None:
        super().__init__()
        places = visual_map[0] * visual_map[1]
        self.audio_positions = nn.Parameter(0.02 * torch.randn(1, audio_map[0] * audio_map[1], channels))
        self.visual_positions = nn.Parameter(0.02 * torch.randn(1, places, channels))
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.reduce = nn.Conv2d(visual_channels, channels, kernel_size=1)
        self.shared = nn.Conv2d(places, channels, kernel_size=5, padding=2)
        self.scale = nn.Conv2d(channels, channels, kernel_size=5, padding=2)
        self.shift = nn.Conv2d(channels, channels, kernel_size=5, padding=2)

    def forward(
        self, audio: Float[Tensor, "batch channels f t"], visual: Float[Tensor, "batch visual_channels h w"]
    ) -> tuple[Float[Tensor, "batch channels f t"], Float[Tensor, "batch h w f t"]]:
        """Return the de-normalised map, and the similarities of all places and positions."""
        n = self.norm(audio)
        heard = (n.flatten(2) + self.audio_positions.transpose(1, 2)).unflatten(2, n.shape[-2:])
        seen = self.reduce(visual).flatten(2) + self.visual_positions.transpose(1, 2)
        similarity = cosine_attention(seen, heard)
        h = F.relu(self.shared(similarity))
        given = n * (1 + self.scale(h)) + self.shift(h)  # equation 4
        return given, similarity.unflatten(1, visual.shape[-2:])


def amplitude_loss(
    predicted: Complex[Tensor, "batch frequency time"],
    truth: Complex[Tensor, "batch frequency time"],
    definition: Literal["released", "magnitude"] = "released",
) -> Float[Tensor, ""]:
    """Mean difference of amplitudes (equation 7).

    "magnitude" compares |S| of each bin. "released" compares the norm over time of the real part and of the imaginary
    part of each frequency, since the released code sums squares over the last axis, which is time.
    """
    if definition == "magnitude":
        return (predicted.abs() - truth.abs()).abs().mean()
    norms = [torch.linalg.vector_norm(torch.view_as_real(s), dim=-2) for s in (predicted, truth)]
    return (norms[0] - norms[1]).abs().mean()


def phase_loss(
    first: Float[Tensor, "*batch samples"], second: Float[Tensor, "*batch samples"], stft: STFT
) -> Float[Tensor, ""]:
    """Mean circular difference in radians of the phases of two sounds (equation 8); 0 where no bin is loud enough.

    Only bins count in which |Re| + |Im| of both sounds is above 0.2 times the mean of the second's. Training passes the
    truth first and the prediction second, with reflected edges whatever the padding of the network's own transform.
    """
    a, b = stft.forward(first), stft.forward(second)
    loud = [s.real.abs() + s.imag.abs() for s in (a, b)]
    least = 0.2 * loud[1].mean()
    kept = (loud[0] > least) & (loud[1] > least)
    turn = (a[kept].angle() - b[kept].angle()).abs()
    return (torch.pi - (turn - torch.pi).abs()).sum() / kept.sum().clamp_min(1)


def contrastive_loss(
    anchor: Float[Tensor, "batch width"],
    positive: Float[Tensor, "batch width"],
    negative: Float[Tensor, "batch width"],
) -> Float[Tensor, ""]:
    """Supervised contrastive loss; anchor i and positive i form a class, and each negative is a class of its own.

    With R the rows of all three at length 1, s_ij = R_i . R_j / `TEMPERATURE`, N_i the rows of other classes and P_i
    the other rows of the same class (equation 9):

        L = -1/(3B) sum_i sum_{j in P_i} (s_ij - log(exp s_ij + sum_{k in N_i} exp s_ik)) / |P_i|

    Negatives have no P_i and add nothing, but count in 3B.
    """
    rows = F.normalize(torch.cat([anchor, positive, negative]).float(), dim=-1)
    count = anchor.shape[0]
    labels = torch.arange(2 * count, device=rows.device)
    labels = torch.cat([labels[:count], labels])
    logits = rows @ rows.T / TEMPERATURE
    other = labels[:, None] != labels
    same = ~other & ~torch.eye(3 * count, dtype=torch.bool, device=rows.device)
    others = logits.masked_fill(~other, -torch.inf).logsumexp(1, keepdim=True)
    chance = logits - torch.logaddexp(logits, others)
    return -(chance.masked_fill(~same, 0).sum(1) / same.sum(1).clamp_min(1)).mean()


def _pooled(bottleneck: Float[Tensor, "batch width f t"]) -> Float[Tensor, "batch width"]:
    return bottleneck.mean((2, 3))


def _stretched(mask: Float[Tensor, "batch rows time"], rows: int) -> Float[Tensor, "batch more_rows time"]:
    """Resize a mask to `rows` bilinearly, with aligned corners: row k reads position (256 - 1) k / (257 - 1)."""
    size = (rows, mask.shape[-1])
    return F.interpolate(mask[:, None], size=size, mode="bilinear", align_corners=True)[:, 0]


def _draw(part: nn.Module) -> None:
    """Draw weights of convolutions and linear layers from N(0, 0.02), of batch norms from N(1, 0.02), as released."""
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
