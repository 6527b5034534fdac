"""Mix-and-Separate: separation of two clips' sounds by their pictures, from one channel or from two ears.

Paper: Gao and Grauman, "2.5D Visual Sound", CVPR 2019, section 3.4, 4.5 and appendix C.

- Picture: one frame of each source, through one shared ResNet-18.
- Sound: the log magnitude of the mix of 2.55 s, 257 x 256 bins, of one channel or of both.
- Fusion: as Mono2Binaural; the U-Net runs once per source, with that source's condition.
- Output: a ratio mask per source and channel, in (0, 1); the mask times the mix's spectrogram (its phase kept) is the
  stem. The highest bin is zero.
- Loss: mean absolute error of the mask against |source| / |mix|. The ratio can exceed 1 where sources cancel; it is
  limited to 1, the most that the sigmoid can reach (the paper does not mention this).
- Inputs compared (table 2): "mono"; "mono-twice", the mono on both channels; "predicted", binaural sound that a stereo
  network predicts for each clip before they are mixed; "true", binaural recordings.
- Training: batch 128, rate 1e-3 (1e-4 for the ResNet).
- Sizes: 34.3 million parameters, 11.2 million of them in the ResNet.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.guided import GuidedUNet
from hearsight.models.interface import SegmentFormat, SeparationNetwork, SeparationResult, StereoNetwork
from hearsight.models.registry import card
from hearsight.models.saving import load_network
from hearsight.models.windows import separate_in_windows
from hearsight.signal import left_right

Hearing = Literal["mono", "mono-twice", "predicted", "true"]


class MixAndSeparate(GuidedUNet, SeparationNetwork):
    """The separation network of 2.5D Visual Sound.

    With "mono" it takes mixes of one channel, without a channel axis; otherwise of two channels, left first.

    `SeparationResult.extras`: `masks`, the ratio masks. `[batch, sources, channels, frequency - 1, time]`

    Args:
        segment: sizes of segments and frames.
        hears: "mono", "mono-twice", "predicted" or "true".
        binauralizer: stereo network that binauralizes each clip in training with "predicted", and is not trained
            itself: a network, a folder or a Hub id. It is saved with this network.
        floor: magnitude below which a bin is silent: added before the logarithm, and the least divisor of a ratio.
        backbone: further arguments of `GuidedUNet`.

    Raises:
        ValueError: "predicted" without a binauralizer, or a binauralizer of another sample rate or frame size.
    """

    system: ClassVar[str] = "mix-and-separate"
    default_segment: ClassVar[SegmentFormat] = SegmentFormat(samples=40_800)

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        hears: Hearing = "mono",
        binauralizer: "StereoNetwork | Mapping[str, Any] | str | Path | None" = None,
        floor: float = 1e-4,
        **backbone: Any,
    ) -> None:
        if hears not in ("mono", "mono-twice", "predicted", "true"):
            raise ValueError(f"hears must be mono, mono-twice, predicted or true, got {hears!r}")
        if (hears == "predicted") != (binauralizer is not None):
            raise ValueError("a binauralizer is needed with hears='predicted', and only there")
        ears = 1 if hears == "mono" else 2
        super().__init__(segment, ears, ears, **backbone)
        self.hears = hears
        self.floor = floor
        self.binauralizer = None if binauralizer is None else _stereo_network(binauralizer).requires_grad_(False).eval()
        if self.binauralizer is not None:
            inner = self.binauralizer
            ours, theirs = ((one.sample_rate_hz, one.frame_size) for one in (self, inner))
            if ours != theirs:
                raise ValueError(
                    f"the binauralizer takes sound at {theirs[0]} Hz and frames of {theirs[1]}, "
                    f"this network {ours[0]} Hz and {ours[1]}"
                )
            unsaved = dict.fromkeys(inner.not_saved & inner.settings.keys())
            self.settings["binauralizer"] = {"system": inner.system, "settings": {**inner.settings, **unsaved}}

    def forward(
        self,
        mix: Complex[Tensor, "batch *channels frequency time"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> SeparationResult:
        """Separate the spectrogram of a mix (`[batch, frequency, time]`, or with two channels), with a frame each."""
        batch, sources = frames.shape[:2]
        heard = torch.stack([mix], dim=1) if mix.ndim == 3 else mix  # ONNX does not know unsqueeze of complex numbers
        visual = self.condition(self.visual(frames.flatten(0, 1)))  # shared weights (appendix C)
        audio = torch.log(heard.abs() + self.floor)
        logits = self.unet(audio.repeat_interleave(sources, dim=0), visual).logits
        masks = torch.sigmoid(logits).unflatten(0, (batch, sources))
        missing = heard.shape[-2] - masks.shape[-2]
        stems = F.pad(masks, (0, 0, 0, missing)) * torch.stack([heard], dim=1)
        return SeparationResult(stems.squeeze(2) if mix.ndim == 3 else stems, {"masks": masks})

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"]:
        """Feature map of the frames; 512 x 7 x 14 at the paper's size."""
        return self.visual(frames)

    def losses(self, result: SeparationResult, item: Item) -> dict[str, Tensor]:
        """`mask`: mean absolute error of the ratio masks (section 3.4, appendix C)."""
        sources = self.stft.forward(self._sources(item))
        sources = sources.unsqueeze(2) if sources.ndim == 4 else sources
        mix = sources.sum(1, keepdim=True)
        ratio = (sources.abs() / mix.abs().clamp_min(self.floor)).clamp_max(1.0)
        masks = result.extras["masks"]
        return {"mask": (masks - ratio[..., : masks.shape[-2], :]).abs().mean()}

    def mixture(self, item: Item) -> Float[Tensor, "batch *channels samples"]:
        """Input of the network for a batch: the sum of the sources."""
        return self._sources(item).sum(1)

    @torch.no_grad()
    def separate(
        self,
        mix: Float[Tensor, "batch *channels samples"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> Float[Tensor, "batch sources *_channels samples"]:
        """Separate a mix of any length into stems; "mono-twice" also takes a mono mix, and then returns two channels.

        Raises:
            DataError: another number of channels than this network takes.
        """
        if self.hears == "mono-twice" and mix.ndim == 2:
            mix = torch.stack([mix, mix], dim=1) / 2
        heard = 1 if mix.ndim == 2 else mix.shape[1]
        if heard != (1 if self.hears == "mono" else 2) or (self.hears == "mono" and mix.ndim != 2):
            wanted = "a mono mix [batch, samples]" if self.hears == "mono" else "a mix of two ears [batch, 2, samples]"
            raise DataError(
                f"this mix-and-separate hears {self.hears!r}: give it {wanted}, not {tuple(mix.shape)}", "mismatch"
            )
        return super().separate(mix, frames)

    @torch.no_grad()
    def binauralize(
        self, mono: Float[Tensor, "batch samples"], frames: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 2 samples"]:
        """Binauralize mono clips with this network's binauralizer.

        Raises:
            DataError: it has none.
        """
        network = self.binauralizer
        if network is None:
            raise DataError("this mix-and-separate was made without a binauralizer", "unsupported")
        visual = network.encode_frames(frames)

        def segment(window: Tensor) -> Tensor:
            predicted = network.predict(network.stft.forward(window), visual).difference
            return left_right(window, network.stft.inverse(predicted, window.shape[-1]))

        return separate_in_windows(mono, network.segment_samples, segment, network.level_gain)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; the binauralizer stays in evaluation mode."""
        super().train(mode)
        if self.binauralizer is not None:
            self.binauralizer.eval()
        return self

    def _sources(self, item: Item) -> Float[Tensor, "batch sources *channels samples"]:
        """The clips in the mix, with the channels that the network takes."""
        if self.hears == "true":
            if item.stem_ears is None:
                raise DataError(
                    "mix-and-separate that hears 'true' needs both ears of each source (stem_ears)", "mismatch"
                )
            return item.stem_ears
        if item.stems is None:
            raise DataError("mix-and-separate learns from mixed solo clips, but the items have no stems", "mismatch")
        if self.hears == "mono":
            return item.stems
        if self.hears == "mono-twice":
            return torch.stack([item.stems, item.stems], dim=2) / 2
        if item.stem_frames is None:
            raise DataError("mix-and-separate needs a frame of each source (stem_frames)", "mismatch")
        ears = self.binauralize(item.stems.flatten(0, 1), item.stem_frames.flatten(0, 1))
        return ears.unflatten(0, item.stems.shape[:2])


def _stereo_network(given: "StereoNetwork | Mapping[str, Any] | str | Path") -> StereoNetwork:
    """Return the given network, load it from a folder or Hub id, or make it from its configuration (no weights)."""
    if isinstance(given, Mapping):
        network = card(given["system"]).load_class()(**given["settings"])
    elif isinstance(given, str | Path):
        network = load_network(given)
    else:
        network = given
    if not isinstance(network, StereoNetwork):
        raise ValueError(f"the binauralizer must be a stereo network, not {getattr(network, 'system', network)!r}")
    return network
