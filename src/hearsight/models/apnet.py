"""APNet: left and right as two masks, from audio features associated with every position of the picture.

Paper: Zhou, Xu, Lin, Wang and Liu, "Sep-Stereo: Visually Guided Stereophonic Audio Generation by Associating Source
Separation", ECCV 2020, section 3.2, and its supplement.

- Sees: a frame of 224 x 448 through a ResNet-18 whose last stage keeps stride 1 and is dilated by 2, average-pooled to
  512 x 7 x 14.
- Hears: as Mono2Binaural; the backbone is its U-Net with its tiled condition, and predicts l - r too.
- Fusion: besides the condition, an associative convolution at each of the four inner decoder stages; a pyramid joins
  them from coarse to fine.
- Gives: two complex masks, for the left and the right ear. The paper writes S_mono = (l + r) / 2; like the released
  code, this takes l + r, since a mask below 1 could not make an ear louder than half the mix from it.
- Loss (paper): L_D + L_rl, equations 6 and 7. The released code compares 2 l - m and m - 2 r with d, each with weight
  1/2 (`released_losses`): the same minimum, another weight between the two terms.
- Prediction: l - r of the two heads ("the output results from the left and right branch ... is better than the direct
  prediction", supplement). Each head's own spectrogram is in the extras; they need not add up to the mix, but the ears
  that hearsight makes of the difference do.
- Training: Adam, rate 5e-4, batch 144.
- Sizes: 35.5 million parameters, 11.2 million of them in the ResNet.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import squared_error, true_ears
from hearsight.nn import (
    Associated,
    AssociativePyramid,
    ConditionalUNet,
    Decoded,
    OutermostAssociation,
    VisualCondition,
    VisualResNet,
)
from hearsight.signal import apply_mask, bounded_mask

Fusion = Literal["pyramid", "outermost", "none"]
Output = Literal["heads", "backbone"]


class APNet(StereoNetwork):
    """The stereo network of Sep-Stereo.

    `StereoResult.extras`:
    - `left`, `right`: spectrograms that the two heads predict. `[batch, frequency, time]`
    - `backbone`: spectrogram of l - r that the U-Net itself predicts. `[batch, frequency, time]`
    - `associated`: output of the outermost associative convolution, one channel per position of the visual map, row by
      row. `[batch, h * w, (frequency - 1) / 2, time / 2]`

    Args:
        segment: sizes of segments and frames.
        channels: of the U-Net's encoder.
        visual_widths, visual_depths: stages of the ResNet.
        condition_channels: to which the map is reduced for the U-Net's bottleneck.
        dilated: whether the ResNet's last stage is dilated (see `VisualResNet`).
        fusion: "pyramid" (APNet), "outermost" (Associative-Conv) or "none" (backbone only).
        output: what the predicted difference is made of, "heads" or "backbone" ("Unet out", supplement, table 1).
        backbone_weight: of L_D; 0 leaves it out ("w/o L_D", supplement, table 1).
        heads_weight: of L_rl (lambda_1 in equation 10).
        released_losses: weigh the terms as the released code does.
        visual_weights: published weights of the ResNet, by Hub name or folder; None for random ones.
        freeze_visual: do not train the ResNet.

    Raises:
        ValueError: sizes that cannot be halved as often as the networks halve them.
    """

    system: ClassVar[str] = "apnet"

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        visual_widths: Sequence[int] = (64, 128, 256, 512),
        visual_depths: Sequence[int] = (2, 2, 2, 2),
        condition_channels: int = 8,
        dilated: bool = True,
        fusion: Fusion = "pyramid",
        output: Output = "heads",
        backbone_weight: float = 1.0,
        heads_weight: float = 1.0,
        released_losses: bool = False,
        visual_weights: str | None = None,
        freeze_visual: bool = False,
    ) -> None:
        super().__init__(segment)
        if output not in ("heads", "backbone") or (output == "heads" and fusion == "none"):
            raise ValueError(f"output {output!r} is not to be had with fusion {fusion!r}")
        self.visual = VisualResNet(visual_widths, visual_depths, dilated, weights=visual_weights, frozen=freeze_visual)
        self.map_size = self.visual.map_size(self.frame_size)
        positions = self.map_size[0] * self.map_size[1]
        self.condition = VisualCondition(self.visual.out_channels, condition_channels)
        self.unet = ConditionalUNet(2, 2, channels, condition_channels * positions)
        self.unet.check_size(*self.spectrogram_size)
        self.fusion = make_fusion(fusion, channels, self.visual.out_channels, positions)
        self.output = output
        self.backbone_weight = backbone_weight
        self.heads_weight = heads_weight
        self.released_losses = released_losses

    @classmethod
    def small(cls, **settings: Any) -> Self:
        """0.3 million parameters on frames of 64 x 128."""
        small = {"segment": SegmentFormat.small(), "channels": (8, 16, 32, 32, 32), "visual_widths": (8, 16, 24, 32)}
        return cls(**{**small, **settings})

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of the frames; 512 x 7 x 14 in the paper's size."""
        return self.visual(frames)

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """The spectrogram of l - r from the spectrogram of l + r and the feature map."""
        assert isinstance(visual, Tensor)
        logits, stages = self.decode(mix, visual)
        return self.heads(mix, visual, logits, stages)

    def decode(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Float[Tensor, "batch channels h w"]
    ) -> Decoded:
        """The backbone's logits and inner decoder stages."""
        return self.unet(torch.stack([mix.real, mix.imag], dim=1), self.condition(visual))

    def heads(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        visual: Float[Tensor, "batch channels h w"],
        logits: Float[Tensor, "batch 2 masked_frequency time"],
        stages: Sequence[Tensor],
    ) -> StereoResult:
        """The prediction from the decoded backbone."""
        extras = {"backbone": apply_mask(bounded_mask(logits), mix)}
        if self.fusion is not None:
            associated = self.fusion(stages, visual)
            extras["left"], extras["right"] = masked_pair(associated, mix)
            extras["associated"] = associated.maps[-1]
        if self.output == "backbone":
            return StereoResult(extras["backbone"], extras)
        return StereoResult(extras["left"] - extras["right"], extras)

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`backbone` (L_D) and `heads` (L_rl)."""
        left, right = true_ears(item, self.stft, self.system).unbind(1)
        terms: dict[str, Tensor] = {}
        if self.backbone_weight:
            # Equation 6 with the paper's S_D = (l - r) / 2; the released code has l - r, four times as much.
            scale = self.backbone_weight * (1.0 if self.released_losses else 0.25)
            terms["backbone"] = scale * squared_error(result.extras["backbone"], left - right)
        if self.fusion is not None:
            pair = pair_error(result.extras["left"], result.extras["right"], left, right, self.released_losses)
            terms["heads"] = self.heads_weight * pair  # equation 7
        return terms


def make_fusion(
    fusion: Fusion, channels: Sequence[int], visual_channels: int, positions: int
) -> AssociativePyramid | OutermostAssociation | None:
    """The associative network of a name, for a U-Net of `channels`.

    Raises:
        ValueError: there is none of that name.
    """
    stage_channels = list(reversed(channels[:-1]))
    if fusion == "pyramid":
        return AssociativePyramid(stage_channels, visual_channels, positions)
    if fusion == "outermost":
        return OutermostAssociation(stage_channels, visual_channels, positions)
    if fusion == "none":
        return None
    raise ValueError(f"fusion must be pyramid, outermost or none, got {fusion!r}")


def masked_pair(
    associated: Associated, mix: Complex[Tensor, "batch frequency time"]
) -> tuple[Complex[Tensor, "batch frequency time"], Complex[Tensor, "batch frequency time"]]:
    """The two heads' spectrograms: bounded complex masks times the mix (Sep-Stereo, equation 4)."""
    return apply_mask(bounded_mask(associated.left), mix), apply_mask(bounded_mask(associated.right), mix)


def pair_error(first: Tensor, second: Tensor, true_first: Tensor, true_second: Tensor, released: bool) -> Tensor:
    """Squared errors of two predicted channels, added up (Sep-Stereo, equations 7 and 9).

    With `released`, of 2 first - mix and mix - 2 second against first - second, each with weight 1/2, as the authors'
    code has it: twice the sum.
    """
    if not released:
        return squared_error(first, true_first) + squared_error(second, true_second)
    mix, gap = true_first + true_second, true_first - true_second
    return (squared_error(2 * first - mix, gap) + squared_error(mix - 2 * second, gap)) / 2
