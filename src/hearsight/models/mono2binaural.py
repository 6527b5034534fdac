"""Mono2Binaural: the difference of the ears as a complex mask on the mix, guided by a frame.

Paper: Gao and Grauman, "2.5D Visual Sound", CVPR 2019, sections 3.2 and 3.3, appendix B.

- Picture: the frame nearest to the segment's centre, 224 x 448, through a ResNet-18 without pooling (512 x 7 x 14),
  which the authors start from ImageNet weights (`visual_weights="microsoft/resnet-18"`).
- Sound: the spectrogram of the mix l + r, 257 x 64 bins of 0.63 s at 16 kHz, real and imaginary parts as channels.
- Fusion: the map reduced to 8 channels, flattened to 784 numbers and tiled over the U-Net's 8 x 2 bottleneck.
- Output: a complex mask with both parts in (-1, 1); mask times mix is the spectrogram of l - r, and l + r is the mix.
- Loss: mean squared error of that spectrogram.
- Training: Adam (0.9, 0.999), weight decay 5e-4, batch 256, rate 1e-3 (1e-4 for the ResNet), times 0.94 every 10
  epochs, 1,000 epochs; frames of 240 x 480 cropped at random, brightness and colour jittered.
- Sizes: 34.3 million parameters, 11.2 million of them in the ResNet.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Complex
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.models.guided import GuidedUNet
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import Loss, checked, spectrogram_error, true_difference
from hearsight.signal import apply_mask, bounded_mask


class Mono2Binaural(GuidedUNet, StereoNetwork):
    """The network of 2.5D Visual Sound.

    `StereoResult.extras`: `mask`, the complex mask. `[batch, frequency - 1, time]`

    Args:
        segment: sizes of segments and frames.
        loss: "squared" or "absolute" errors (`models.losses`).
        backbone: further arguments of `GuidedUNet`.
    """

    system: ClassVar[str] = "mono2binaural"

    def __init__(
        self, segment: SegmentFormat | Mapping[str, Any] | None = None, loss: Loss = "squared", **backbone: Any
    ) -> None:
        super().__init__(segment, 2, 2, **backbone)
        self.loss = checked(loss)

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and the feature map."""
        assert isinstance(visual, Tensor)
        logits = self.unet(torch.stack([mix.real, mix.imag], dim=1), self.condition(visual)).logits
        mask = bounded_mask(logits)
        return StereoResult(apply_mask(mask, mix), {"mask": mask})  # equation 4

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference`: error of the predicted difference (section 3.3)."""
        truth = true_difference(item, self.stft, self.system)
        return {"difference": spectrogram_error(result.difference, truth, self.loss)}
