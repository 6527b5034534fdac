"""Beyond-Mono: picture and depth encoded by transformers, with attention between every sound and every place.

Paper: Parida, Srivastava and Sharma, "Beyond Mono to Binaural: Generating Binaural Audio from Mono Audio with Depth and
Cross Modal Attention", WACV 2022.

- Picture: the frame nearest to the segment's centre, 224 x 448, through two ViT-Large encoders of the dense-prediction
  architecture (patches of 16, layers 6, 12, 18 and 24; section 3.2), one trained on pictures (ImageNet:
  `image_weights="google/vit-large-patch16-384"`), one on depth (MIX6: `depth_weights="Intel/dpt-large"`). In the paper
  both read the RGB frame; with `depth_input="map"` the second reads a depth map instead.
- Sound: the spectrogram of the mix, through the encoder of 2.5D Visual Sound's U-Net (section 3.3).
- Fusion: 1 x 1 convolutions bring each layer's map to d = 128 channels; the four concatenated are as wide as the audio
  bottleneck, 512. At each of the five decoder stages the cosine similarities of all places and all time-frequency
  positions are concatenated with the audio features (section 3.4, `nn.cross_modal_attention`).
- Output: three decoders (section 3.4): a complex mask whose product with the mix is the spectrogram of l - r, the
  magnitude of that spectrogram, and its phase. The masked mix is the result.
- Loss: squared errors of spectrogram, magnitude, phase, and of the spectrogram made of magnitude and phase (equations 6
  to 10). Each can be left out, and so can each modality (tables 1 and 2).
- Sizes: 684 million parameters, 607 million of them in the transformers.

Where the paper gives no value: the magnitude decoder ends in a softplus; the weights of the loss terms ("set
empirically") are 1, 1, 0.1 and 1, so that the terms of an untrained network are of one order of magnitude. The paper
writes the phase as arctan(Re / Im); it is atan2(Im, Re) here.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hearsight.datasets.item import Item
from hearsight.errors import ModelError
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.losses import spectrogram_error, true_difference
from hearsight.nn import (
    Attended,
    AttentiveDecoder,
    DepthEstimator,
    Norm,
    VisionTransformer,
    depth_as_picture,
    downsample,
    draw_weights,
)
from hearsight.signal import apply_mask, bounded_mask, zeros_above

MODALITIES = ("image", "depth")
LOSS_WEIGHTS: Mapping[str, float] = {"difference": 1.0, "magnitude": 1.0, "phase": 0.1, "reconstruction": 1.0}


class BeyondMono(StereoNetwork):
    """The network of Beyond Mono to Binaural.

    `StereoResult.extras` of `forward` (of `predict` only with `everything`):

    - `mask`, the complex mask. `[batch, frequency - 1, time]`
    - `magnitude` and `phase` (radians) of the predicted difference, from their own decoders. `[batch, frequency - 1,
      time]`
    - `attention_image_1` to `attention_image_5` and `attention_depth_1` to `attention_depth_5`: cosine similarities at
      each stage of the mask's decoder, coarse to fine. `[batch, h, w, f_i, t_i]`, with 14 x 28 places and 8 x 2,
      16 x 4, 32 x 8, 64 x 16, 128 x 32 time-frequency positions in the paper's size.

    Args:
        segment: sizes of segments and frames.
        channels: channels of the audio encoder; the last, a multiple of the number of taken layers, is also that of the
            fused visual features.
        transformer: arguments of both `nn.VisionTransformer`s; None for ViT-Large.
        modalities: "image" and "depth", either, or none (table 1).
        depth_input: input of the depth transformer: "picture", the frame (the paper); or "map", a depth map.
        depth_estimator: only for "map": DPT by Hub name or folder (`nn.DepthEstimator`) that estimates missing depth
            maps: of training items without depth, and of every video. It is loaded at first use. None: a missing map
            is an error.
        loss_weights: weights of "difference", "magnitude", "phase" and "reconstruction" (equation 10); terms without a
            weight are left out (table 2). Without "difference" the result is made of magnitude and phase.
        image_weights, depth_weights: published weights of the transformers, by Hub name or folder; None for random
            ones.
        freeze_visual: do not train the transformers.
        norm: normalisation of the audio encoder and the decoders (`nn.normalization`).
    """

    system: ClassVar[str] = "beyond-mono"
    not_saved: ClassVar[frozenset[str]] = frozenset({"image_weights", "depth_weights"})
    small_sizes: ClassVar[Mapping[str, Any]] = {
        "channels": (8, 16, 32, 32, 32),
        "transformer": {"width": 32, "layers": 4, "heads": 2, "mlp_width": 64, "taken": (1, 2, 3, 4), "grid": 4},
    }
    shares_pictures: ClassVar[bool] = True
    inference_batch = 8  # attention maps at the finest stage take 13 MB a window

    def __init__(
        self,
        segment: SegmentFormat | Mapping[str, Any] | None = None,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        transformer: Mapping[str, Any] | None = None,
        modalities: Sequence[str] = MODALITIES,
        depth_input: Literal["picture", "map"] = "picture",
        depth_estimator: str | None = "Intel/dpt-large",
        loss_weights: Mapping[str, float] | None = None,
        image_weights: str | None = None,
        depth_weights: str | None = None,
        freeze_visual: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(segment)
        self.modalities = tuple(name for name in MODALITIES if name in modalities)
        self.loss_weights = dict(LOSS_WEIGHTS if loss_weights is None else loss_weights)
        self._check_settings(modalities, depth_input)
        self.depth_input = depth_input
        self.depth_estimator = depth_estimator
        self._estimators: dict[str, DepthEstimator] = {}  # made on first use; a dict hides it from `nn.Module`
        settings = dict(transformer or {})
        published = {"image": image_weights, "depth": depth_weights}
        self.visual = nn.ModuleDict(
            {
                name: VisionTransformer(**settings, weights=published[name], frozen=freeze_visual)
                for name in self.modalities
            }
        )
        self.places = (0, 0)
        self.project = nn.ModuleDict()
        for name, encoder in self.visual.items():
            assert isinstance(encoder, VisionTransformer)
            self.places = encoder.map_size(self.frame_size)
            if channels[-1] % len(encoder.taken):
                raise ValueError(f"{channels[-1]} audio channels cannot be shared by {len(encoder.taken)} layers")
            width = channels[-1] // len(encoder.taken)  # the paper's d
            self.project[name] = nn.ModuleList(
                nn.Conv2d(encoder.out_channels, width, kernel_size=1) for _ in encoder.taken
            )
        self.visual_channels = channels[-1]
        self.down = nn.ModuleList(downsample(a, b, norm) for a, b in pairwise([2, *channels]))
        draw_weights(self.down)
        outputs = {"stft": 2, "magnitude": 1, "phase": 1}
        self.decoders = nn.ModuleDict(
            {
                name: AttentiveDecoder(channels, math.prod(self.places), len(self.modalities), outputs[name], norm)
                for name in self._needed_decoders()
            }
        )

    @property
    def needs_frames(self) -> bool:  # type: ignore[override]
        """Whether the network has any modality."""
        return bool(self.modalities)

    def forward(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch 3 height width"],
        depth: Float[Tensor, "batch 1 height width"] | None = None,
        depth_unit: Literal["metres", "relative"] = "metres",
    ) -> StereoResult:
        """Predict from the mix's spectrogram, ImageNet-normalised frames and, with "map", their depth."""
        return self.predict(mix, self.encode_frames(frames, depth, depth_unit), everything=True)

    def encode_frames(
        self,
        frames: Float[Tensor, "batch 3 height width"],
        depth: Float[Tensor, "batch 1 height width"] | None = None,
        depth_unit: Literal["metres", "relative"] = "metres",
    ) -> Float[Tensor, "batch modalities channels places"]:
        """Features f_I and f_D of every place (section 3.2); `[batch, 2, 512, 392]` at the paper's size.

        Raises:
            ModelError: the network reads depth maps, gets none, and has no `depth_estimator`.
        """
        features = []
        for name in self.modalities:
            reads_map = name == "depth" and self.depth_input == "map"
            seen = self._depth_picture(frames, depth, depth_unit) if reads_map else frames
            projections = self.project[name]
            assert isinstance(projections, nn.ModuleList)
            maps = [project(m) for project, m in zip(projections, self.visual[name](seen), strict=True)]
            features.append(torch.cat(maps, dim=1).flatten(2))
        if not features:
            return frames.new_zeros(frames.shape[0], 0, self.visual_channels, 0)
        return torch.stack(features, dim=1)

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"] | None:
        """Features f_I of the picture, or f_D where depth is the only modality. `[batch, 512, 14, 28]` at the paper's
        size. None if the network reads no frames."""
        if isinstance(encoded, Tensor) and self.modalities:
            return encoded[:, 0].unflatten(-1, self.places)
        for name in self.modalities:
            if name == "depth" and self.depth_input == "map":
                continue
            projections = self.project[name]
            assert isinstance(projections, nn.ModuleList)
            maps = [project(m) for project, m in zip(projections, self.visual[name](frames), strict=True)]
            return torch.cat(maps, dim=1)
        return None

    def predict(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        visual: Tensor | tuple[Tensor, ...],
        everything: bool = False,
    ) -> StereoResult:
        """Predict the spectrogram of l - r from the spectrogram of l + r and the visual features.

        Args:
            everything: run every decoder and fill `extras`; otherwise run only those that the result needs.
        """
        assert isinstance(visual, Tensor)
        encoded, seen = self._heard(mix), visual.unbind(1)
        decoded = {
            name: decoder(encoded, seen)
            for name, decoder in self.decoders.items()
            if everything or name == "stft" or "stft" not in self.decoders
        }
        extras: dict[str, Tensor] = {}
        if "stft" in decoded:
            mask = extras["mask"] = bounded_mask(decoded["stft"].logits)
            difference = apply_mask(mask, mix)
        if "magnitude" in decoded:
            extras["magnitude"] = F.softplus(decoded["magnitude"].logits.float()[:, 0])
        if "phase" in decoded:
            extras["phase"] = math.pi * torch.tanh(decoded["phase"].logits.float()[:, 0])
        if "stft" not in decoded:
            whole = torch.polar(extras["magnitude"], extras["phase"])
            difference = zeros_above(whole, mix.shape[-2] - whole.shape[-2])
        if not everything:
            return StereoResult(difference)
        drawn = decoded["stft" if "stft" in decoded else "magnitude"]
        extras |= {f"attention_{name}_{i}": part for (name, i), part in self._attention_of(drawn).items()}
        return StereoResult(difference, extras)

    def attention(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> dict[str, Float[Tensor, "batch h w f t"]]:
        """Cosine similarities at each stage of the mask's decoder, coarse to fine, for each modality (section 3.4)."""
        assert isinstance(visual, Tensor)
        decoder = self.decoders["stft" if "stft" in self.decoders else "magnitude"]
        drawn = self._attention_of(decoder(self._heard(mix), visual.unbind(1)))
        return {f"{name}, stage {i}": part for (name, i), part in drawn.items()}

    def _heard(self, mix: Complex[Tensor, "batch frequency time"]) -> list[Tensor]:
        """The outputs of the audio encoder's stages, fine to coarse."""
        parts = torch.stack([mix.real, mix.imag], dim=1)
        return list(accumulate(self.down, lambda x, stage: stage(x), initial=parts))[1:]

    def _attention_of(self, decoded: Attended) -> dict[tuple[str, int], Float[Tensor, "batch h w f t"]]:
        """Attention maps by modality and stage."""
        return {
            (name, i): part.unflatten(1, self.places)
            for i, maps in enumerate(decoded.attention, start=1)
            for name, part in zip(self.modalities, maps.chunk(len(self.modalities), dim=1), strict=True)
        }

    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """The terms of equation 10 that have a weight: `difference`, `magnitude`, `phase`, `reconstruction`."""
        truth = true_difference(item, self.stft, self.system)
        terms = {}
        if "difference" in self.loss_weights:
            terms["difference"] = spectrogram_error(result.difference, truth)  # equation 6
        if self.loss_weights.keys() - {"difference"}:
            extras = result.extras
            rows = next(extras[name] for name in ("magnitude", "phase") if name in extras).shape[-2]
            below = truth[..., :rows, :]
            if "magnitude" in self.loss_weights:
                terms["magnitude"] = (extras["magnitude"] - below.abs()).square().mean()  # equation 7
            if "phase" in self.loss_weights:
                terms["phase"] = (extras["phase"] - below.angle()).square().mean()  # equation 8
            if "reconstruction" in self.loss_weights:
                whole = torch.polar(extras["magnitude"], extras["phase"])
                terms["reconstruction"] = spectrogram_error(whole, below)  # equation 9
        return {name: self.loss_weights[name] * term for name, term in terms.items()}  # equation 10

    def encode_item(self, item: Item) -> Tensor:
        """Encode the frames of a batch, with its depth maps if the network reads maps and the batch has them."""
        unit: Any = item.depth_unit
        return self.encode_frames(item.frames, item.depth, unit)

    def predict_item(self, item: Item) -> StereoResult:
        """Predict a batch with every decoder."""
        return self.predict(self.stft.forward(item.mono), self.encode_item(item), everything=True)

    def _depth_picture(self, frames: Tensor, depth: Tensor | None, unit: Literal["metres", "relative"]) -> Tensor:
        if depth is None:
            if self.depth_estimator is None:
                raise ModelError(
                    f"this {self.system} reads depth maps, was given none, and was made without a depth_estimator; "
                    "train it with one ('Intel/dpt-large'), or pass depth",
                    "mismatch",
                )
            if not self._estimators:
                self._estimators["depth"] = DepthEstimator(self.depth_estimator, frames.device)
            depth, unit = self._estimators["depth"](frames), "relative"
        return depth_as_picture(depth, unit)

    def _needed_decoders(self) -> list[str]:
        weighted = self.loss_weights
        both = "reconstruction" in weighted or "difference" not in weighted
        needed = {"stft": "difference" in weighted, "magnitude": "magnitude" in weighted, "phase": "phase" in weighted}
        return [name for name, wanted in needed.items() if wanted or (both and name != "stft")]

    def _check_settings(self, modalities: Sequence[str], depth_input: str) -> None:
        unknown = set(modalities) - set(MODALITIES)
        if unknown or isinstance(modalities, str):
            raise ValueError(f"modalities are some of {', '.join(MODALITIES)}, got {modalities!r}")
        if depth_input not in ("picture", "map"):
            raise ValueError(f"depth_input is 'picture' or 'map', got {depth_input!r}")
        if not self.loss_weights or self.loss_weights.keys() - LOSS_WEIGHTS.keys():
            raise ValueError(f"loss weights are of some of {', '.join(LOSS_WEIGHTS)}, got {self.loss_weights}")
