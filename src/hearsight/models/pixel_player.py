"""PixelPlayer: separation by a sum of components of the mix, weighted by the picture.

Paper: Zhao, Gan, Rouditchenko, Vondrick, McDermott and Torralba, "The Sound of Pixels", ECCV 2018; the separation
baseline of Sep-Stereo (section 4.3, supplement).

- Picture: one frame of each source (224 x 448 here, 224 x 224 in its own paper) through a ResNet-18 with a dilated last
  stage and a 3 x 3 convolution to K channels; max-pooled over the picture in training ("pooled"), or pixel by pixel
  (`play_pixels`).
- Sound: the log magnitude of the mix, warped to 256 rows of logarithmic frequency: of 2.55 s at 16 kHz (257 x 256
  bins), the rate at which Sep-Stereo compares all systems; in its own paper, of 6 s at 11,025 Hz (512 x 256 bins,
  `segment=SOUND_OF_PIXELS`; prepare data at that rate).
- Fusion: an audio U-Net splits the mix into K components; a mask is the sum of the components, each times its weight
  from the picture and a learned one, plus a learned bias.
- Output: a binary mask (bins in which the source is the loudest) or a ratio mask per source, on the mix's spectrogram
  (its phase kept).
- Loss: per bin, cross entropy for binary masks, mean absolute error for ratio masks.
- Sizes: K = 32; 53.2 million parameters, 11.2 million of them in the ResNet.

The paper max-pools over several frames of a source; here it is one. The U-Net is that of 2.5D Visual Sound with seven
stages.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.interface import SegmentFormat, SeparationNetwork, SeparationResult
from hearsight.nn import (
    ConditionalUNet,
    Norm,
    PublishedBackbone,
    VisualBackbone,
    VisualResNet,
    draw_weights,
    visual_backbone,
)

SOUND_OF_PIXELS = SegmentFormat(
    sample_rate_hz=11_025, samples=65_535, n_fft=1022, window_samples=1022, hop_samples=256, frame_size=(224, 224)
)
LOG_BASE = 21.0  # the lowest rows of the warped spectrogram are 21 times as dense as the highest


class PixelPlayer(SeparationNetwork):
    """The separation network of The Sound of Pixels. It takes one channel.

    `SeparationResult.extras`:
    - `logits`, of the masks on the warped rows. `[batch, sources, rows, time]`
    - `components` of the mix. `[batch, K, rows, time]`
    - `weights` of the components from the picture, 0 to 1. `[batch, sources, K]`

    Args:
        segment: sizes of segments and frames.
        components: K.
        mask: "binary" or "ratio".
        log_frequency_rows: rows of the logarithmic frequency axis; None keeps the linear one.
        channels: channels of the U-Net's encoder.
        visual_widths, visual_depths, visual_weights, freeze_visual: as in `nn.VisualResNet`.
        visual: another network in place of the ResNet, as in `models.guided.GuidedUNet`.
        weigh_by_level: weigh each bin's loss by its log magnitude in the mix (the released code's option).
        floor: added to magnitudes before the logarithm.
        norm: normalisation of the U-Net (`nn.normalization`).
    """

    system: ClassVar[str] = "pixel-player"
    default_segment: ClassVar[SegmentFormat] = SegmentFormat(samples=40_800)
    exchanges_backbone: ClassVar[bool] = True
    small_sizes: ClassVar[Mapping[str, Any]] = {
        "components": 8,
        "log_frequency_rows": 64,
        "channels": (8, 16, 32, 32, 32),
        "visual_widths": (8, 16, 24, 32),
    }

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        components: int = 32,
        mask: Literal["binary", "ratio"] = "binary",
        log_frequency_rows: int | None = 256,
        channels: Sequence[int] = (64, 128, 256, 512, 512, 512, 512),
        visual_widths: Sequence[int] = (64, 128, 256, 512),
        visual_depths: Sequence[int] = (2, 2, 2, 2),
        visual_weights: str | None = None,
        freeze_visual: bool = False,
        visual: str | Mapping[str, Any] | None = None,
        weigh_by_level: bool = False,
        floor: float = 1e-4,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(segment)
        if mask not in ("binary", "ratio"):
            raise ValueError(f"the mask is 'binary' or 'ratio', got {mask!r}")
        self.mask = mask
        self.weigh_by_level = weigh_by_level
        self.floor = floor
        self.log_frequency_rows = log_frequency_rows
        self.visual: VisualBackbone = (
            VisualResNet(visual_widths, visual_depths, True, False, visual_weights, freeze_visual)
            if visual is None
            else visual_backbone(visual, (), (), weights=visual_weights, frozen=freeze_visual)
        )
        if isinstance(self.visual, PublishedBackbone):
            self.settings["visual"] = self.visual.architecture
        self.visual.map_size(self.frame_size)  # refuses frames that the ResNet cannot take
        self.visual_head = nn.Conv2d(self.visual.out_channels, components, kernel_size=3, padding=1)
        self.unet = ConditionalUNet(1, components, channels, condition_channels=0, norm=norm)
        self.scale = nn.Parameter(torch.ones(components))
        self.bias = nn.Parameter(torch.zeros(1))
        draw_weights(self.visual_head)
        self.register_load_state_dict_pre_hook(_under_present_names)

    def forward(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> SeparationResult:
        """Separate the spectrogram of a mix into stems, with a frame for each.

        Raises:
            DataError: the mix has a channel axis.
        """
        components = self.components_of(mix)
        batch, sources = frames.shape[:2]
        weights = torch.sigmoid(self._features(frames.flatten(0, 1)).amax((-2, -1))).unflatten(0, (batch, sources))
        logits = self._mask_logits(weights, components)
        extras = {"logits": logits, "components": components, "weights": weights}
        heard = torch.stack([mix], dim=1)  # ONNX has no unsqueeze for complex numbers
        return SeparationResult(self._masks(logits, mix) * heard, extras)

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"]:
        """Weight of each component at each place of the frames, before the maximum over places."""
        return torch.sigmoid(self._features(frames))

    def components_of(
        self, mix: Complex[Tensor, "batch frequency time"]
    ) -> Float[Tensor, "batch components rows time"]:
        """Components into which the U-Net splits the mix, on warped rows."""
        if mix.ndim != 3:
            raise DataError(f"pixel-player hears one channel: give it a mono mix, not {tuple(mix.shape)}", "mismatch")
        return self.unet(torch.log(self._warped(mix.abs()) + self.floor)[:, None]).logits.float()

    @torch.no_grad()
    def play_pixels(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch h w"]:
        """Energy of the sound at each of the picture's H / 16 x W / 16 places: the mix times the mask of the place."""
        features = torch.sigmoid(self._features(frames))
        components = self.components_of(mix)
        rows = []
        for row in features.unbind(-2):  # a row at a time: the masks of all places need too much memory
            masks = self._masks(self._mask_logits(row.transpose(1, 2), components), mix)
            rows.append((masks * mix.abs().unsqueeze(1)).square().sum((-2, -1)))
        return torch.stack(rows, dim=1)

    def losses(self, result: SeparationResult, item: Item) -> dict[str, Tensor]:
        """`mask`: cross entropy or mean absolute error of the masks, on the warped rows.

        Raises:
            DataError: the items have no stems.
        """
        if item.stems is None:
            raise DataError("pixel-player learns from mixed solo clips, but the items have no stems", "mismatch")
        logits = result.extras["logits"]
        rows = logits.shape[-2]
        magnitudes = self._warped(self.stft.forward(item.stems).abs())[..., :rows, :]
        mix = self._warped(self.stft.forward(item.stems.sum(1)).abs())[:, None, :rows]
        if self.mask == "binary":
            dominant = (magnitudes >= magnitudes.amax(1, keepdim=True)).to(logits.dtype)
            error = F.binary_cross_entropy_with_logits(logits, dominant, reduction="none")
        else:
            ratio = (magnitudes / mix.clamp_min(1e-8)).clamp_max(1.0)  # the most that a sigmoid can reach
            error = (torch.sigmoid(logits) - ratio).abs()
        if self.weigh_by_level:
            error = error * torch.log1p(mix).clamp(1e-3, 10.0)
        return {"mask": error.mean()}

    def _features(self, frames: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n components h w"]:
        return self.visual_head(self.visual(frames)).float()

    def _mask_logits(
        self,
        weights: Float[Tensor, "batch sources components"],
        components: Float[Tensor, "batch components rows time"],
    ) -> Float[Tensor, "batch sources rows time"]:
        summed = (weights * self.scale) @ components.flatten(2) + self.bias
        return summed.unflatten(2, components.shape[-2:])

    def _masks(
        self, logits: Float[Tensor, "batch sources rows time"], mix: Complex[Tensor, "batch frequency time"]
    ) -> Float[Tensor, "batch sources frequency time"]:
        """Masks on the rows of the spectrogram; rows that the network does not predict are zero."""
        masks = torch.sigmoid(logits)
        if self.log_frequency_rows is not None:
            masks = _at_rows(masks, _linear_in_log(mix.shape[-2], masks.shape[-2], masks))
        masks = F.pad(masks, (0, 0, 0, mix.shape[-2] - masks.shape[-2]))
        return (masks > 0.5).to(masks.dtype) if self.mask == "binary" else masks

    def _warped(self, magnitude: Float[Tensor, "*batch frequency time"]) -> Float[Tensor, "*batch rows time"]:
        """Magnitude on the rows of the U-Net's input."""
        if self.log_frequency_rows is None:
            return magnitude
        return _at_rows(magnitude, _log_in_linear(self.log_frequency_rows, magnitude.shape[-2], magnitude))


def _log_in_linear(rows: int, bins: int, like: Tensor) -> Float[Tensor, "rows"]:
    """Positions of the logarithmic axis's rows on the linear axis, in bins; both have the same ends."""
    even = torch.linspace(0, 1, rows, device=like.device, dtype=like.dtype)
    return (LOG_BASE**even - 1) / (LOG_BASE - 1) * (bins - 1)


def _linear_in_log(bins: int, rows: int, like: Tensor) -> Float[Tensor, "bins"]:
    """Positions of the linear axis's bins on the logarithmic axis, in rows: the inverse."""
    even = torch.linspace(0, 1, bins, device=like.device, dtype=like.dtype)
    return torch.log1p(even * (LOG_BASE - 1)) / torch.log(torch.tensor(LOG_BASE).to(like)) * (rows - 1)


def _at_rows(
    values: Float[Tensor, "*batch rows time"], places: Float[Tensor, "wanted"]
) -> Float[Tensor, "*batch wanted time"]:
    """Interpolate linearly between rows."""
    below = places.floor().long().clamp(0, values.shape[-2] - 2)
    share = (places - below).clamp(0, 1)[:, None]
    return values[..., below, :] * (1 - share) + values[..., below + 1, :] * share


def _under_present_names(module: nn.Module, weights: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename `visual_head` in networks saved by version 0.1."""
    for name in ("weight", "bias"):
        if (former := f"{prefix}look.{name}") in weights:
            weights[f"{prefix}visual_head.{name}"] = weights.pop(former)
