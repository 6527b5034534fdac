"""Sep-Stereo: stereo and separation learned together; separation is stereo with a source at each edge of the picture.

Paper: Zhou, Xu, Lin, Wang and Liu, "Sep-Stereo: Visually Guided Stereophonic Audio Generation by Associating Source
Separation", ECCV 2020, section 3.3, and its supplement.

- Stereo: as `apnet`.
- Separation: the feature maps of two solo clips are max-pooled and put at the left and right edge of an empty map
  (`nn.rearrange`); backbone and ResNet are shared, and a separate pyramid predicts source A and source B instead of
  left and right. The paper first shared the pyramid too (`share_pyramid`).
- Loss: L_D + lambda_1 L_rl + lambda_2 L_ab, equations 6, 7, 9, 10. An item with `ears` gives the first two, an item
  with two `stems` and their `stem_frames` gives the third, and an item with both gives all.
- Stereo without stereo supervision: trained on separation alone, the network takes the left and the right half of a
  picture for the two clips (`output="unsupervised"`; supplement 1.1). The authors find the result over-intense.
- Training: separation first, then both together; Adam, rate 5e-4, batch 144; amplitudes of solo clips scaled by 0.5 to
  1.5.
- Released joint training: one pyramid for both tasks (`share_pyramid`), the backbone's loss on separation too
  (`separation_backbone`), absolute errors (`loss="absolute"`), the code's weights (`released_losses`,
  `separation_weight=0.4`), the released `rearrangement`, and levels by both ears (`segment: {level: ears}`).
- Sizes: 36.8 million parameters, 11.2 million of them in the ResNet, 1.3 million in each pyramid.

`unet-out` is the same network with the backbone's difference as its prediction (supplement, table 1).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.apnet import APNet, Fusion, masked_pair
from hearsight.models.interface import SegmentFormat, StereoResult
from hearsight.models.windows import separate_in_windows, separation_gain
from hearsight.nn import Extremes, Rearrangement, rearrange, split_sides
from hearsight.signal import apply_mask, bounded_mask


class SepStereo(APNet):
    """APNet with a second pyramid for separation; arguments and extras of `APNet`, and:

    Args:
        fusion: "pyramid", "outermost", or "none" (with `output="backbone"`): Mono2Binaural with separative learning,
            which then predicts the difference of the two sources ("Baseline (MUSIC)", tables 1 and 2; `dilated=False`
            gives it Mono2Binaural's plain ResNet).
        output: "heads", "backbone", or "unsupervised": stereo by the separation pyramid.
        rearrangement: "paper" or "released", see `nn.rearrange`.
        extremes: "horizontal" or "vertical", see `nn.rearrange`.
        separation_weight: weight of L_ab (lambda_2 in equation 10).
        share_pyramid: separate with the stereo pyramid instead of a separate one.
        separation_backbone: also train the backbone to predict a - b of the sources, with the same weight.
    """

    system: ClassVar[str] = "sep-stereo"

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        fusion: Fusion = "pyramid",
        output: Literal["heads", "backbone", "unsupervised"] = "heads",
        rearrangement: Rearrangement = "paper",
        extremes: Extremes = "horizontal",
        separation_weight: float = 1.0,
        share_pyramid: bool = False,
        separation_backbone: bool = False,
        **settings: Any,
    ) -> None:
        if rearrangement not in ("paper", "released") or extremes not in ("horizontal", "vertical"):
            raise ValueError(f"no rearrangement {rearrangement!r} with {extremes!r} extremes")
        supervised = output if output != "unsupervised" else "backbone" if fusion == "none" else "heads"
        super().__init__(segment, fusion, supervised, **settings)
        self.separation = None if share_pyramid else self.make_fusion(fusion)
        self.unsupervised = output == "unsupervised"
        self.rearrangement = rearrangement
        self.extremes = extremes
        self.separation_weight = separation_weight
        self.separation_backbone = separation_backbone

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and the feature map."""
        if not self.unsupervised:
            return super().predict(mix, visual)
        assert isinstance(visual, Tensor)
        left, right, _ = self._separated(mix, *split_sides(visual))
        return StereoResult(left - right, {"left": left, "right": right})

    def separated(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames_a: Float[Tensor, "batch 3 height width"],
        frames_b: Float[Tensor, "batch 3 height width"],
    ) -> tuple[Complex[Tensor, "batch frequency time"], Complex[Tensor, "batch frequency time"]]:
        """Spectrograms of the sources seen in `frames_a` and `frames_b`, from the spectrogram of their sum."""
        return self._separated(mix, *self._encoded_together(frames_a, frames_b))[:2]

    @torch.no_grad()
    def separate(
        self,
        mix: Float[Tensor, "batch samples"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> Float[Tensor, "batch sources samples"]:
        """Separate a mix of any length into the waveforms of two sources, with one picture of each for its length.

        Raises:
            DataError: another number of pictures than two.
        """
        if frames.shape[1] != 2:
            raise DataError(f"{self.system} separates two sources, got {frames.shape[1]} pictures", "mismatch")
        visual_a, visual_b = (self.encode_frames(one) for one in frames.unbind(1))

        def segment(window: Tensor) -> Tensor:
            pair = torch.stack(self._separated(self.stft.forward(window), visual_a, visual_b)[:2], dim=1)
            return self.stft.inverse(pair, window.shape[-1])

        return separate_in_windows(mix, self.segment_samples, segment, lambda mono: separation_gain(mono, self.level))

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`backbone` and `heads` of items with ears, `separation` (L_ab, equation 9) of items with stems.

        Raises:
            DataError: the items have neither, or another number of stems than two.
        """
        terms: dict[str, Tensor] = {}
        if item.ears is not None:
            if self.unsupervised:
                raise DataError(
                    f"{self.system} with unsupervised output learns from stems, but the items have ears", "mismatch"
                )
            terms.update(super().losses(result, item))
        if item.stems is not None and item.stem_frames is not None:
            terms.update(self._losses_of_stems(item.stems, item.stem_frames))
        if not terms:
            raise DataError(
                f"{self.system} learns from ears, or from stems and their frames; the items have neither", "mismatch"
            )
        return terms  # their sum is equation 10

    def loss_terms(self, item: Item) -> dict[str, Tensor]:
        """See `StereoNetwork.loss_terms`; items without ears need no stereo prediction."""
        if item.ears is None and item.stems is not None and item.stem_frames is not None:
            item = self.at_its_level(item)
            assert item.stems is not None and item.stem_frames is not None
            return self._losses_of_stems(item.stems, item.stem_frames)
        return super().loss_terms(item)

    def separation_losses(
        self,
        frames_a: Float[Tensor, "batch 3 height width"],
        frames_b: Float[Tensor, "batch 3 height width"],
        true_a: Complex[Tensor, "batch frequency time"],
        true_b: Complex[Tensor, "batch frequency time"],
    ) -> dict[str, Tensor]:
        """`separation` (L_ab, equation 9) and, if the backbone learns it too, `separation_backbone`, from the
        spectrograms of two sources and a frame of each."""
        a, b, gap = self._separated(true_a + true_b, *self._encoded_together(frames_a, frames_b))
        terms = {"separation": self.separation_weight * self.pair_error(a, b, true_a, true_b)}
        if self.separation_backbone:
            terms["separation_backbone"] = self.separation_weight * self.backbone_error(gap, true_a - true_b)
        return terms

    def _losses_of_stems(self, stems: Tensor, stem_frames: Tensor) -> dict[str, Tensor]:
        if stems.shape[-2] != 2:
            raise DataError(f"{self.system} separates two sources, the items have {stems.shape[-2]}", "mismatch")
        return self.separation_losses(*stem_frames.unbind(1), *self.stft.forward(stems).unbind(1))

    def _encoded_together(self, frames_a: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        map_a, map_b = self.encode_frames(torch.cat([frames_a, frames_b])).chunk(2)  # one batch: shared statistics
        return map_a, map_b

    def _separated(self, mix: Tensor, map_a: Tensor, map_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Spectrograms of both sources, and their difference as predicted by the backbone."""
        visual = rearrange(map_a, map_b, self.map_size, self.rearrangement, self.extremes)
        fusion = self.fusion if self.separation is None else self.separation
        logits, stages = self.decode(mix, visual)
        gap = apply_mask(bounded_mask(logits), mix)
        if fusion is not None:
            return *masked_pair(fusion(stages, visual), mix), gap
        return (mix + gap) / 2, (mix - gap) / 2, gap


class UNetOut(SepStereo):
    """Sep-Stereo that predicts with its backbone instead of its heads ("Unet out", supplement, table 1)."""

    system: ClassVar[str] = "unet-out"
    reads: ClassVar[tuple[str, ...]] = ("sep-stereo",)

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        output: Literal["heads", "backbone", "unsupervised"] = "backbone",
        **settings: Any,
    ) -> None:
        super().__init__(segment, output="backbone", **settings)  # whatever a saved Sep-Stereo predicted with


class UnsupervisedSepStereo(SepStereo):
    """Sep-Stereo that predicts stereo with its separation pyramid (supplement, section 1.1); reads its weights."""

    system: ClassVar[str] = "sep-stereo-unsupervised"
    reads: ClassVar[tuple[str, ...]] = ("sep-stereo",)

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        output: Literal["heads", "backbone", "unsupervised"] = "unsupervised",
        **settings: Any,
    ) -> None:
        super().__init__(segment, output="unsupervised", **settings)  # whatever a saved Sep-Stereo predicted with
