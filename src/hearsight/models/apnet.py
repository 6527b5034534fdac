"""APNet: left and right as two masks, from audio features associated with every position of the picture.

Paper: Zhou, Xu, Lin, Wang and Liu, "Sep-Stereo: Visually Guided Stereophonic Audio Generation by Associating Source
Separation", ECCV 2020, section 3.2, and its supplement.

- Picture: a frame of 224 x 448 through a ResNet-18 whose last stage keeps stride 1 and is dilated by 2, average-pooled
  to 512 x 7 x 14.
- Sound: as Mono2Binaural; the backbone is its U-Net with its tiled condition, and also predicts l - r.
- Fusion: besides the condition, an associative convolution at each of the four inner decoder stages; a pyramid joins
  them from coarse to fine.
- Output: two complex masks, for the left and the right ear. The paper writes S_mono = (l + r) / 2; like the released
  code, this takes l + r, since a mask below 1 could not make an ear louder than half the mix from it.
- Loss (paper): L_D + L_rl, equations 6 and 7. The released code compares 2 l - m and m - 2 r with d, each with weight
  1/2 (`released_losses`): the same minimum, with another weight between the two terms.
- Prediction: l - r of the two heads ("the output results from the left and right branch ... is better than the direct
  prediction", supplement). Each head's own spectrogram is in the extras; they need not add up to the mix, but the ears
  that hearsight makes of the difference do.
- Training: Adam, rate 5e-4, batch 144. The released scripts train stereo alone by 2.5D Visual Sound's schedule, and
  leave PyTorch's initial weights in the associative layers (`fusion_weights="pytorch"`); by default they are drawn from
  N(0, 0.02) like the U-Net's.
- Sizes: 35.5 million parameters, 11.2 million of them in the ResNet.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from hearsight.datasets.item import Item
from hearsight.models.guided import GuidedUNet
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import Loss, checked, spectrogram_error, true_ears
from hearsight.nn import Associated, AssociativePyramid, Decoded, OutermostAssociation
from hearsight.signal import apply_mask, bounded_mask

Fusion = Literal["pyramid", "outermost", "none"]
Output = Literal["heads", "backbone"]
FusionWeights = Literal["normal", "pytorch"]


class APNet(GuidedUNet, StereoNetwork):
    """The stereo network of Sep-Stereo.

    `StereoResult.extras`:
    - `left`, `right`: spectrograms that the two heads predict. `[batch, frequency, time]`
    - `backbone`: spectrogram of l - r that the U-Net itself predicts. `[batch, frequency, time]`
    - `associated`: output of the outermost associative convolution, one channel per position of the visual map, row by
      row. `[batch, h * w, (frequency - 1) / 2, time / 2]`

    Args:
        segment: sizes of segments and frames.
        fusion: "pyramid" (APNet), "outermost" (Associative-Conv) or "none" (backbone only).
        output: source of the predicted difference, "heads" or "backbone" ("Unet out", supplement, table 1).
        backbone_weight: weight of L_D; 0 leaves it out ("w/o L_D", supplement, table 1).
        heads_weight: weight of L_rl (lambda_1 in equation 10).
        loss: "squared" (the paper) or "absolute" errors (the released joint training).
        released_losses: weigh the terms as the released code does.
        dilated: whether the ResNet's last stage is dilated (see `nn.VisualResNet`).
        fusion_weights: initial weights of the associative networks, "normal" (from N(0, 0.02), like the U-Net's) or
            "pytorch" (PyTorch's defaults, which the released scripts keep).
        backbone: further arguments of `GuidedUNet`.
    """

    system: ClassVar[str] = "apnet"
    backbone_scale: ClassVar[float] = 0.25
    """Scale of L_D. Equation 6 uses S_D = (l - r) / 2; the networks here predict l - r, which has four times its
    energy."""

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        fusion: Fusion = "pyramid",
        output: Output = "heads",
        backbone_weight: float = 1.0,
        heads_weight: float = 1.0,
        loss: Loss = "squared",
        released_losses: bool = False,
        dilated: bool = True,
        fusion_weights: FusionWeights = "normal",
        **backbone: Any,
    ) -> None:
        super().__init__(segment, 2, 2, dilated=dilated, **backbone)
        if output not in ("heads", "backbone") or (output == "heads" and fusion == "none"):
            raise ValueError(f"output {output!r} is not to be had with fusion {fusion!r}")
        if fusion_weights not in ("normal", "pytorch"):
            raise ValueError(f"fusion_weights must be normal or pytorch, got {fusion_weights!r}")
        self.fusion_weights = fusion_weights
        self.fusion = self.make_fusion(fusion)
        self.output = output
        self.backbone_weight = backbone_weight
        self.heads_weight = heads_weight
        self.loss = checked(loss)
        self.released_losses = released_losses
        self._without_extras = False

    def make_fusion(self, fusion: Fusion) -> AssociativePyramid | OutermostAssociation | None:
        """Return a new associative network for this backbone; None for "none".

        Raises:
            ValueError: unknown name.
        """
        if fusion not in ("pyramid", "outermost", "none"):
            raise ValueError(f"fusion must be pyramid, outermost or none, got {fusion!r}")
        if fusion == "none":
            return None
        stage_channels = list(reversed(self.channels[:-1]))
        seen = self.visual.out_channels, self.map_size[0] * self.map_size[1]
        made = (
            AssociativePyramid(stage_channels, *seen, self.norm)
            if fusion == "pyramid"
            else OutermostAssociation(stage_channels, *seen)
        )
        if self.fusion_weights == "pytorch":
            for layer in made.modules():
                if isinstance(layer, nn.Conv1d | nn.ConvTranspose2d | nn.BatchNorm2d):
                    layer.reset_parameters()
        return made

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and the feature map."""
        assert isinstance(visual, Tensor)
        if self._without_extras and self.fusion is not None and self.output == "heads":
            stages, _ = self.unet.stages(torch.stack([mix.real, mix.imag], dim=1), self.condition(visual))
            left, right = masked_pair(self.fusion(stages, visual), mix)
            return StereoResult(left - right, {"left": left, "right": right})
        logits, stages = self.decode(mix, visual)
        return self.heads(mix, visual, logits, stages)

    def leave_out_extras(self) -> None:
        """From now on, predict only `left` and `right` besides the difference, where that is made of them."""
        self._without_extras = True

    def decode(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Float[Tensor, "_batch channels h w"]
    ) -> Decoded:
        """The backbone's logits and inner decoder stages."""
        return self.unet(torch.stack([mix.real, mix.imag], dim=1), self.condition(visual))

    def heads(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        visual: Float[Tensor, "_batch channels h w"],
        logits: Float[Tensor, "batch 2 masked_frequency time"],
        stages: Sequence[Tensor],
    ) -> StereoResult:
        """Predict from the decoded backbone."""
        extras = {"backbone": apply_mask(bounded_mask(logits), mix)}
        if self.fusion is not None:
            associated = self.fusion(stages, visual)
            extras["left"], extras["right"] = masked_pair(associated, mix)
            if not self._without_extras:
                extras["associated"] = associated.maps[-1]
        if self.output == "backbone":
            return StereoResult(extras["backbone"], extras)
        return StereoResult(extras["left"] - extras["right"], extras)

    def association(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> Float[Tensor, "batch h w f t"] | None:
        """Output of the outermost associative convolution; None with fusion "none"."""
        associated = self.predict(mix, visual).extras.get("associated")
        return None if associated is None else associated.unflatten(1, self.map_size)

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`backbone` (L_D) and `heads` (L_rl)."""
        return self.stereo_losses(result, *true_ears(item, self.stft, self.system).unbind(1))

    def stereo_losses(
        self,
        result: StereoResult,
        left: Complex[Tensor, "batch frequency time"],
        right: Complex[Tensor, "batch frequency time"],
    ) -> dict[str, Tensor]:
        """`backbone` (L_D) and `heads` (L_rl), against the spectrograms of the true ears."""
        terms: dict[str, Tensor] = {}
        if self.backbone_weight:
            terms["backbone"] = self.backbone_weight * self.backbone_error(result.extras["backbone"], left - right)
        if self.fusion is not None:
            pair = self.pair_error(result.extras["left"], result.extras["right"], left, right)
            terms["heads"] = self.heads_weight * pair  # equation 7
        return terms

    def backbone_error(self, predicted: Tensor, gap: Tensor) -> Tensor:
        """Error of the backbone's difference (Sep-Stereo, equation 6)."""
        scale = 1.0 if self.released_losses else self.backbone_scale
        return scale * spectrogram_error(predicted, gap, self.loss)

    def pair_error(self, first: Tensor, second: Tensor, true_first: Tensor, true_second: Tensor) -> Tensor:
        """Sum of the errors of two predicted channels (Sep-Stereo, equations 7 and 9).

        With `released_losses`: errors of 2 first - mix and of mix - 2 second against first - second, each with weight
        1/2, as in the authors' code.
        """
        if not self.released_losses:
            return spectrogram_error(first, true_first, self.loss) + spectrogram_error(second, true_second, self.loss)
        mix, gap = true_first + true_second, true_first - true_second
        errors = [spectrogram_error(said, gap, self.loss) for said in (2 * first - mix, mix - 2 * second)]
        return (errors[0] + errors[1]) / 2


def masked_pair(
    associated: Associated, mix: Complex[Tensor, "batch frequency time"]
) -> tuple[Complex[Tensor, "batch frequency time"], Complex[Tensor, "batch frequency time"]]:
    """The two heads' spectrograms: bounded complex masks times the mix (Sep-Stereo, equation 4)."""
    return apply_mask(bounded_mask(associated.left), mix), apply_mask(bounded_mask(associated.right), mix)
