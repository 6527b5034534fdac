"""PseudoBinaural: stereo learned from pseudo pairs of mono clips, with a separation branch for the picture's edges.

Paper: Xu, Zhou, Liu, Dai, Wang and Lin, "Visually Informed Binaural Audio Generation without Binaural Audios", CVPR
2021, section 3.3 and appendices B and C. The pairs come from `hearsight pseudo` (sections 3.1 and 3.2).

- Stereo training: a backbone of the earlier papers, `mono2binaural` or one with Sep-Stereo's heads (`apnet`,
  `associative-conv`), with a plain ResNet-18, on pseudo pairs: items with `ears`. The loss is the error of l - r (the
  paper uses l + r and l - r, not Sep-Stereo's halves, so no factor 1/4 is needed); with a head, also `apnet`'s L_rl.
- Separation training: an otherwise empty pseudo picture with a source at each of its two edges, and the sum of the two
  mono sounds: items with two `stems` (left edge first) and without `ears`. One APNet branch on the shared backbone
  predicts each source; its weight lambda_sep is 1 (0.5 to 1.5 make little difference, appendix B).
- Released training: `norm="instance"`, `loss="absolute"`, `released_losses`, one pyramid for both tasks
  (`share_pyramid`), and the backbone's loss on separation too (`separation_backbone`). Its scripts use `apnet` and the
  bare backbone; without a separation branch the latter learns separation as a difference.
- Prediction: the difference of the heads, or of the backbone if it has none.
- Sizes: 35.5 million parameters with the `mono2binaural` backbone and the separation branch.
- Augment-PseudoBinaural mixes recorded pairs with pseudo pairs; the network is the same, and `augment` records this
  training in its settings.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.apnet import APNet, Fusion, masked_pair
from hearsight.models.interface import SegmentFormat, StereoResult

Backbone = Literal["mono2binaural", "apnet", "associative-conv"]

_FUSIONS: dict[str, Fusion] = {"mono2binaural": "none", "apnet": "pyramid", "associative-conv": "outermost"}


class PseudoBinaural(APNet):
    """A stereo network with a separation branch on the edges of the picture; arguments and extras of `APNet`, and:

    `StereoResult.extras` of `forward` (not of `predict`, which inference uses): `separated_a`, `separated_b`, the
    spectrograms of the sources at the left and at the right edge. `[batch, frequency, time]`

    Args:
        backbone: "mono2binaural", "apnet" or "associative-conv".
        separation: whether separation is trained ("w/o sep." in table 1).
        separation_weight: lambda_sep.
        share_pyramid: separate with the heads of the backbone (if it has any) instead of a separate branch.
        separation_backbone: also train the backbone to predict a - b of the sources, with the same weight.
        augment: whether recordings are mixed with the pseudo pairs in training.
    """

    system: ClassVar[str] = "pseudobinaural"
    backbone_scale: ClassVar[float] = 1.0

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        backbone: Backbone = "mono2binaural",
        separation: bool = True,
        separation_weight: float = 1.0,
        share_pyramid: bool = False,
        separation_backbone: bool = False,
        augment: bool = False,
        dilated: bool = False,
        **settings: Any,
    ) -> None:
        if backbone not in _FUSIONS:
            raise ValueError(f"backbone must be one of {', '.join(_FUSIONS)}, got {backbone!r}")
        fusion = _FUSIONS[backbone]
        settings.setdefault("output", "backbone" if fusion == "none" else "heads")
        super().__init__(segment, fusion, dilated=dilated, **settings)
        self.learns_separation = separation
        self.separation = self.make_fusion("pyramid" if separation and not share_pyramid else "none")
        self.share_pyramid = share_pyramid
        self.separation_backbone = separation_backbone
        if separation and share_pyramid and self.fusion is None and not separation_backbone:
            raise ValueError(f"backbone {backbone!r} has no pyramid to share: set separation_backbone to learn by it")
        self.separation_weight = separation_weight
        self.augment = augment

    def forward(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch 3 height width"],
    ) -> StereoResult:
        """Predict stereo and, with a separation branch, the two sources."""
        visual = self.encode_frames(frames)
        logits, stages = self.decode(mix, visual)
        result = self.heads(mix, visual, logits, stages)
        extras = result.extras
        if self.separation is not None:
            extras["separated_a"], extras["separated_b"] = masked_pair(self.separation(stages, visual), mix)
        elif self.learns_separation and self.fusion is not None:
            extras["separated_a"], extras["separated_b"] = extras["left"], extras["right"]
        return result

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`backbone` (and `heads`) of items with ears; `separation` and, if the backbone learns it too,
        `separation_backbone` of items with two stems and no ears.

        Raises:
            DataError: the items have neither ears nor two stems.
        """
        if item.ears is not None:
            return super().losses(result, item)
        if item.stems is None or item.stems.shape[-2] != 2:
            raise DataError(
                "pseudobinaural learns from ears, or from the two stems at the edges of a pseudo picture", "mismatch"
            )
        if not self.learns_separation:
            raise DataError(
                "this pseudobinaural has no separation branch, but the items have stems and no ears", "unsupported"
            )
        a, b = self.stft.forward(item.stems).unbind(1)
        extras, terms = result.extras, {}
        if "separated_a" in extras:
            pair = self.pair_error(extras["separated_a"], extras["separated_b"], a, b)
            terms["separation"] = self.separation_weight * pair  # appendix B
        if self.separation_backbone:
            gap = self.backbone_error(extras["backbone"], a - b)
            terms["separation_backbone"] = self.separation_weight * gap
        return terms
