"""The baselines of 2.5D Visual Sound, section 4.3: stereo without a picture, or with a wrong one.

Paper: Gao and Grauman, "2.5D Visual Sound", CVPR 2019.

- `mono-mono` copies the mix to both ears. It has no weights and needs no training.
- `audio-only` is Mono2Binaural without the visual stream; everything else, losses and training included, is the same
  (16.7 million parameters).
- `flipped-visual` is a trained Mono2Binaural that gets mirrored frames at test time. It is trained like Mono2Binaural,
  and reads its model folders.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import Loss, checked, spectrogram_error, true_difference
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.nn import ConditionalUNet, Norm
from hearsight.signal import apply_mask, bounded_mask


class MonoMono(StereoNetwork):
    """Both ears are half of the mix: the predicted difference is zero. Nothing is learned."""

    system: ClassVar[str] = "mono-mono"
    needs_frames: ClassVar[bool] = False

    def __init__(self, segment: SegmentFormat | Mapping[str, Any] | None = None) -> None:
        super().__init__(segment)

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 0"]:
        """Return an empty tensor per frame."""
        return frames.new_zeros(frames.shape[0], 0)

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Return a difference of zero."""
        nothing = torch.zeros_like(mix.real)
        return StereoResult(torch.complex(nothing, nothing))

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference`: the energy of the true difference, which training cannot lower."""
        return {"difference": spectrogram_error(result.difference, true_difference(item, self.stft, self.system))}


class AudioOnly(StereoNetwork):
    """The U-Net of Mono2Binaural with nothing tiled over its bottleneck.

    `StereoResult.extras`: `mask`, the complex mask. `[batch, frequency - 1, time]`

    Args:
        segment: sizes of segments (and of the frames, which are ignored).
        channels: channels of the U-Net's encoder.
        norm: normalisation of the U-Net (`nn.normalization`).
        loss: "squared" or "absolute" errors (`models.losses`).
    """

    system: ClassVar[str] = "audio-only"
    needs_frames: ClassVar[bool] = False
    small_sizes: ClassVar[Mapping[str, Any]] = {"channels": (8, 16, 32, 32, 32)}

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        norm: Norm = "batch",
        loss: Loss = "squared",
    ) -> None:
        super().__init__(segment)
        self.unet = ConditionalUNet(2, 2, channels, condition_channels=0, norm=norm)
        self.unet.check_size(*self.spectrogram_size)
        self.loss = checked(loss)

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 0"]:
        """Return an empty tensor per frame: the picture is not used."""
        return frames.new_zeros(frames.shape[0], 0)

    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r alone."""
        mask = bounded_mask(self.unet(torch.stack([mix.real, mix.imag], dim=1)).logits)
        return StereoResult(apply_mask(mask, mix), {"mask": mask})

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """`difference`: error of the predicted difference."""
        truth = true_difference(item, self.stft, self.system)
        return {"difference": spectrogram_error(result.difference, truth, self.loss)}


class FlippedVisual(Mono2Binaural):
    """Mono2Binaural that mirrors every frame in evaluation mode, and uses it unchanged in training."""

    system: ClassVar[str] = "flipped-visual"
    reads: ClassVar[tuple[str, ...]] = ("mono2binaural",)

    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Feature map of the frames, mirrored left to right unless the network is being trained."""
        return super().encode_frames(frames if self.training else frames.flip(-1))

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"]:
        """Feature map of the frames, aligned with the picture: the map of a mirrored frame is mirrored back."""
        encoded = encoded if isinstance(encoded, Tensor) else self.encode_frames(frames)
        return encoded if self.training else encoded.flip(-1)
