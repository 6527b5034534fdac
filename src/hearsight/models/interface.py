"""Interfaces that a model implements so that every job (binauralize, train, evaluate) can run it.

There are three, and a model needs nothing else:

- `BinauralModel` turns a clip into binaural sound, with or without a neural network. The inference engine reads the
  file once, gives the windows to a session in order, and overlap-adds its outputs. `models.sessions` has the optional
  methods of a session.
- `StereoNetwork` is a `torch.nn.Module` that predicts the difference spectrogram of a segment and defines its training
  losses. `inference` makes a `BinauralModel` of any `StereoNetwork`.
- `SeparationNetwork` is a `torch.nn.Module` that takes a mix and one frame per source, and returns the stems.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from hearsight.acoustics import FieldOfView
from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.saving import SavedNetwork
from hearsight.models.windows import separate_in_windows, separation_gain
from hearsight.signal import STFT, TARGET_RMS, LevelRule, left_right, level_gain
from hearsight.vision.frames import Frame, PictureArea
from hearsight.vision.tracks import Source, Track


@dataclass(frozen=True)
class WindowSpec:
    """Windows and frames that a model takes.

    Attributes:
        sample_rate_hz: sample rate of the mono input and of the binaural output; None for the rate of the file. If it
            is set, the engine takes only the difference of the two output channels, adds it to the unchanged input, and
            extends it above the model's Nyquist frequency.
        window_s, hop_s: length and hop of the windows, in seconds.
        frames: "none", "centre" (the frame nearest to the window's centre) or "all" (every frame of the window).
        frame_rate_hz: number of frames read per second; unused with "none".
        frame_size: (height, width) in pixels to which frames are stretched, or an area that keeps the picture's aspect
            ratio; None keeps the picture's own size.
        batch: preferred number of windows per call.
    """

    sample_rate_hz: int | None
    window_s: float
    hop_s: float
    frames: Literal["none", "centre", "all"] = "centre"
    frame_rate_hz: float = 10.0
    frame_size: tuple[int, int] | PictureArea | None = (224, 448)
    batch: int = 1

    def frame_size_of(self, displayed: tuple[int, int] | None) -> tuple[int, int] | None:
        """(height, width) in pixels of the frames of a picture displayed at this size; None for the picture's own."""
        if not isinstance(self.frame_size, PictureArea):
            return self.frame_size
        return None if displayed is None else self.frame_size.size_of(displayed)


@dataclass(frozen=True)
class Window:
    """Window of a clip: its sound, at the spec's sample rate and the level of the file, and its frames."""

    start_s: float
    mono: Float[Tensor, "samples"]
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True)
class ClipInfo:
    """Metadata of a clip, known before it is read. `duration_s` is None where the container does not give it."""

    sample_rate_hz: int
    duration_s: float | None
    frame_rate_hz: float | None = None  # None: no picture
    frame_size: tuple[int, int] | None = None  # (height, width)
    focal_length_mm: float | None = None  # of the camera's lens, 35 mm equivalent (36 x 24 mm picture); None: unknown


class BinauralSession(Protocol):
    """State of a model on one clip; may carry over from window to window."""

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of each window, at the spec's rate. Called with the clip's windows in order, at most spec.batch."""
        ...

    def sources(self) -> list[Source]:
        """The sources located so far; empty for a model that locates none."""
        ...

    def notes(self) -> list[str]:
        """Plain sentences about weaknesses, assumptions and omissions, for the user and the report."""
        ...


class BinauralModel(Protocol):
    """A model that makes binaural sound of a clip."""

    name: str
    spec: WindowSpec

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Start a session for a clip."""
        ...


class Renderer(Protocol):
    """Binaural renderer of a source at a direction; `models.positions.rendering.SourceRenderer` is one."""

    def render(
        self,
        mono: Float[Tensor, "samples"],
        azimuth: Float[Tensor, "points"],
        elevation: Float[Tensor, "points"],
    ) -> Float[Tensor, "2 samples"]:
        """Return both ears; the control points (radians) are spread evenly from the first sample to the last."""
        ...


class PlacesSources(Protocol):
    """Class methods of a model that accepts given sources (`registry.Card.places_sources`)."""

    @classmethod
    def with_sources(
        cls,
        sources: Sequence[Track] | None,
        hrtf: str | os.PathLike[str] | None,
        field_of_view: FieldOfView,
        centre_speech: bool = False,
    ) -> BinauralModel:
        """Return the model for a clip with given sources, or (None) with sources that it finds itself.

        Args:
            sources: static or moving sources.
            hrtf: path of a SOFA file; None for KEMAR.
            field_of_view: horizontal angle of the picture in radians, or a function of the picture's size.
            centre_speech: keep all voices in the middle.

        Raises:
            ModelError: `centre_speech` with a model that cannot distinguish speech from other sounds.
        """
        ...

    @classmethod
    def part_renderer(
        cls, hrtf: str | os.PathLike[str] | None, sample_rate_hz: int, is_given: bool = False
    ) -> Renderer:
        """Return the renderer that the model uses for the part of a source.

        Args:
            hrtf: as in `with_sources`.
            sample_rate_hz: sample rate of the part.
            is_given: whether the sources were given.
        """
        ...

    @classmethod
    def for_scene(cls, scene: Path, network: SavedNetwork | None = None, **options: Any) -> BinauralModel:
        """Return the model with the ground truth of a simulated clip in place of detections in the picture.

        Args:
            scene: the clip's scene file, which also gives the field of view.
            network: a saved network for the model; None for the shipped one.
            options: further arguments of the class.
        """
        ...


@dataclass(frozen=True)
class SegmentFormat:
    """Sizes of the segments that a network takes; the defaults are those of all four papers.

    Attributes:
        sample_rate_hz: sample rate of the sound, in Hz.
        samples: length of a segment (0.63 s at 16 kHz).
        n_fft, window_samples, hop_samples: sizes of the STFT, which gives 257 x 64 bins per segment.
        frame_size: (height, width) of a frame in pixels.
        level: signal that is scaled to a root mean square of 0.1 at the network's input: "mix", l + r (PseudoBinaural's
            rule), or "ears", both ears together (the rule of 2.5D Visual Sound's and Sep-Stereo's scripts); see
            `signal.level_gain`.
    """

    sample_rate_hz: int = 16_000
    samples: int = 10_080
    n_fft: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    frame_size: tuple[int, int] = (224, 448)
    level: LevelRule = "mix"

    def __post_init__(self) -> None:
        if self.level not in ("mix", "ears"):
            raise ValueError(f"the level rule is mix or ears, got {self.level!r}")

    @classmethod
    def small(cls) -> Self:
        """129 x 64 bins of 0.315 s and frames of 64 x 128: a tenth of the computation, for tests and laptops."""
        return cls(samples=5_040, n_fft=256, window_samples=200, hop_samples=80, frame_size=(64, 128))

    @classmethod
    def of(
        cls, value: "SegmentFormat | Mapping[str, Any] | None", default: "SegmentFormat | None" = None
    ) -> "SegmentFormat":
        """Return `value` if it is a format, else the default with the fields of the mapping (of a configuration)."""
        if isinstance(value, SegmentFormat):
            return value
        settings = dict(value or {})
        if "frame_size" in settings:
            height, width = settings["frame_size"]
            settings["frame_size"] = (int(height), int(width))
        return replace(default or cls(), **settings)

    @property
    def stft(self) -> STFT:
        """The transform that these sizes describe."""
        return STFT(self.n_fft, self.window_samples, self.hop_samples)


class AudioVisualNetwork(SavedNetwork, ABC):
    """Base of stereo and separation networks: sizes, saved settings, parameter groups.

    Attributes:
        stft: transform that makes the spectrograms.
        sample_rate_hz, segment_samples: sample rate and length of the segments (16 kHz and 10,080 samples in the
            papers).
        frame_size: (height, width) of the frames.
        level: rule by which input segments are scaled (`signal.level_gain`).
        needs_frames: false for an audio-only baseline; it takes frames all the same and ignores them.
        default_segment: segment format for a constructor that gets none, or the rest of a mapping with some fields.
        needs_previous_frames: whether training items must also hold the frame before each frame.
        small_sizes: constructor arguments of the small version, besides its segment.
        exchanges_backbone: whether the constructor takes `visual`, `visual_weights` and `freeze_visual`, as
            `models.guided.GuidedUNet` does.
    """

    needs_frames: ClassVar[bool] = True
    default_segment: ClassVar[SegmentFormat] = SegmentFormat()
    needs_previous_frames: ClassVar[bool] = False
    small_sizes: ClassVar[Mapping[str, Any]] = {}
    exchanges_backbone: ClassVar[bool] = False
    level: LevelRule
    stft: STFT
    sample_rate_hz: int
    segment_samples: int
    frame_size: tuple[int, int]

    def __init__(self, segment: SegmentFormat | Mapping[str, Any] | None = None) -> None:
        super().__init__()
        sizes = SegmentFormat.of(segment, self.default_segment)
        self.stft = sizes.stft
        self.sample_rate_hz = sizes.sample_rate_hz
        self.segment_samples = sizes.samples
        self.frame_size = sizes.frame_size
        self.level = sizes.level

    @property
    def spectrogram_size(self) -> tuple[int, int]:
        """Numbers of rows and columns of a segment's spectrogram."""
        return self.stft.bins, self.stft.columns(self.segment_samples)

    @classmethod
    def small(cls, **settings: Any) -> Self:
        """Return the same system in a size for tests and laptops, with short segments and small frames.

        Args:
            settings: constructor arguments to override; a mapping for `segment` overrides only the fields it has.
        """
        segment = SegmentFormat.of(settings.get("segment"), SegmentFormat.small())
        return cls(**{**cls.small_sizes, **settings, "segment": segment})

    def level_gain(
        self, mono: Float[Tensor, "*batch samples"], ears: Float[Tensor, "*batch 2 samples"] | None = None
    ) -> Float[Tensor, "*batch"]:
        """Gain of a segment at this network's input (`signal.level_gain`).

        Args:
            mono: the mix l + r.
            ears: both ears, if their level may be used.
        """
        return level_gain(mono, self.level, ears)

    def item_gain(self, item: Item) -> Float[Tensor, "batch"]:
        """Gain of a batch at this network's input.

        Items have their mix at 0.1 (less if silent). With the rule "ears", both ears together are brought to 0.1. Items
        that have only stems use these in place of the ears: they stand at the two sides.
        """
        channels = item.ears if item.ears is not None else item.stems
        if self.level == "mix" or channels is None:
            return item.mono.new_ones(item.mono.shape[0])
        heard = channels.square().mean((-2, -1)).sqrt()
        # With the mix at 0.1, two channels are at 0.05 at least: lower levels are silence, which is not amplified.
        return TARGET_RMS / heard.clamp_min(TARGET_RMS / channels.shape[-2])

    def at_its_level(self, item: Item) -> Item:
        """Return the batch scaled to the level that this network expects (`item_gain`)."""
        if self.level == "mix":
            return item
        gain, scaled = self.item_gain(item), {}
        for name in ("mono", "ears", "stems", "stem_ears"):
            sound = getattr(item, name)
            if sound is not None:
                scaled[name] = sound * gain.reshape(-1, *[1] * (sound.ndim - 1))
        return replace(item, **scaled)

    @abstractmethod
    def loss_terms(self, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch of segments, computed from its waveforms and frames."""

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"] | None:
        """The visual network's feature map of ImageNet-normalised frames, aligned with the picture; None for a network
        without one. `explain.activation` draws its mean.

        Args:
            encoded: output of `encode_frames` for these frames, if it is already computed.
        """
        return None

    def parameter_groups(
        self, learning_rate: float, visual_learning_rate: float, fusion_learning_rate: float | None = None
    ) -> list[Mapping[str, Any]]:
        """Parameter groups for the optimiser; the visual backbone has its own rate (2.5D Visual Sound, section 4).

        Each group has a `name`: "network", "visual" or "fusion". Frozen parameters are in no group. The visual backbone
        is a subclass's attribute `visual`; the networks that associate sound and picture are `fusion` and `separation`.

        Args:
            learning_rate, visual_learning_rate: rates of the network and of its visual backbone.
            fusion_learning_rate: rate of the associative networks, as a group of their own; None: that of the network.
        """
        rates = {"network": learning_rate, "visual": visual_learning_rate}
        parts = {"visual": ["visual"]}
        if fusion_learning_rate is not None:
            rates["fusion"], parts["fusion"] = fusion_learning_rate, ["fusion", "separation"]
        group_of = {
            id(parameter): group
            for group, names in parts.items()
            for module in (getattr(self, name, None) for name in names)
            if isinstance(module, nn.Module)
            for parameter in module.parameters()
        }
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        grouped = {name: [p for p in trained if group_of.get(id(p), "network") == name] for name in rates}
        return [{"name": name, "params": params, "lr": rates[name]} for name, params in grouped.items() if params]


@dataclass
class StereoResult:
    """Prediction of a stereo network for a batch of segments.

    Attributes:
        difference: predicted spectrogram of l - r; the highest bin is zero unless the network `predicts_highest_bin`.
            `[batch, frequency, time]`
        extras: further predictions of the system (named tensors: APNet's left and right, Beyond-Mono's magnitude and
            phase, attention maps ...); each system's docstring lists its own with shapes.
    """

    difference: Complex[Tensor, "batch frequency time"]
    extras: dict[str, Tensor] = field(default_factory=dict)


class StereoNetwork(AudioVisualNetwork):
    """A network that predicts the difference of the ears from the spectrogram of the mix and a frame.

    Attributes:
        predicts_highest_bin: false for a U-Net that takes 257 rows and returns 256.
        sliding_crops: whether frames of a clip are cropped at one of five places, chosen by frame number, at inference.
        shares_pictures: whether `predict` is faster with one encoded picture for all segments.
        mirrors_itself: whether a mirrored frame swaps the predicted ears whatever the weights, so that mirrored clips
            add nothing to training.
    """

    predicts_highest_bin: ClassVar[bool] = False
    sliding_crops: ClassVar[bool] = False
    shares_pictures: ClassVar[bool] = False
    mirrors_itself: ClassVar[bool] = False

    @abstractmethod
    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Tensor | tuple[Tensor, ...]:
        """Encode ImageNet-normalised frames (batch axis first) for `predict`. The inference engine does this once per
        picture."""

    @abstractmethod
    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """Predict from the mix's spectrogram and encoded frames, one per segment (or, if the network
        `shares_pictures`, one for all)."""

    def forward(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch 3 height width"],
    ) -> StereoResult:
        """Predict from the mix's spectrogram and ImageNet-normalised frames."""
        return self.predict(mix, self.encode_frames(frames))

    @abstractmethod
    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch; training minimises their sum."""

    def leave_out_extras(self) -> None:
        """From now on, compute no extras that inference does not use: it uses only `left` and `right`."""

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"] | None:
        """Feature map as in `AudioVisualNetwork`: the encoded frames, or the first of several, if they form a map."""
        encoded = self.encode_frames(frames) if encoded is None else encoded
        maps = [one for one in (encoded if isinstance(encoded, tuple) else (encoded,)) if one.ndim == 4]
        return maps[0] if maps and maps[0].numel() else None

    def association(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> Float[Tensor, "batch h w f t"] | None:
        """The audio features associated with each place of the picture; None for a network without associative
        convolution. `explain.association` draws them."""
        return None

    def attention(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> dict[str, Float[Tensor, "batch h w f t"]]:
        """Attention of each time-frequency position to each place of the picture, by the name of the attention; empty
        for a network without any. `explain.attention` draws it."""
        return {}

    def loss_terms(self, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch of segments: spectrograms, prediction and `losses` in one call."""
        item = self.at_its_level(item)
        return self.losses(self.predict_item(item), item)

    def encode_item(self, item: Item) -> Tensor | tuple[Tensor, ...]:
        """Apply `encode_frames` to the frames of a batch."""
        return self.encode_frames(item.frames)

    def predict_item(self, item: Item) -> StereoResult:
        """Predict a batch at this network's level, from all inputs of the batch that the network uses."""
        return self(self.stft.forward(item.mono), item.frames)

    def ears_of(self, item: Item) -> Float[Tensor, "batch 2 samples"]:
        """Both ears of a batch as predicted by the network, at the level of the batch."""
        gain = self.item_gain(item)
        predicted = self.predict_item(self.at_its_level(item)).difference
        return left_right(item.mono, self.stft.inverse(predicted, item.mono.shape[-1]) / gain[:, None])


class Separator(Protocol):
    """A network with a method `separate`: every `SeparationNetwork`, and Sep-Stereo."""

    sample_rate_hz: int
    frame_size: tuple[int, int]

    def separate(
        self,
        mix: Float[Tensor, "batch *channels samples"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> Float[Tensor, "batch sources *channels samples"]:
        """Separate a mix of any length into stems, with one ImageNet-normalised picture per source for its length."""
        ...


@dataclass
class SeparationResult:
    """Prediction of a separation network for a batch of segments.

    Attributes:
        stems: predicted spectrogram of each source, in the order of the frames.
            `[batch, sources, *channels, frequency, time]`, with the channel axis of the mix, if it has one.
        extras: further predictions (masks, component activations ...); each system's docstring lists its own.
    """

    stems: Complex[Tensor, "batch sources *channels frequency time"]
    extras: dict[str, Tensor] = field(default_factory=dict)


class SeparationNetwork(AudioVisualNetwork):
    """A network that takes a mix and one frame per source, and returns the sound of the source in each frame."""

    separates: ClassVar[bool] = True

    @abstractmethod
    def forward(
        self,
        mix: Complex[Tensor, "batch *channels frequency time"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> SeparationResult:
        """Predict from the mix's spectrogram and ImageNet-normalised frames, one per source."""

    @abstractmethod
    def losses(self, result: SeparationResult, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch; training minimises their sum."""

    def mixture(self, item: Item) -> Float[Tensor, "batch *channels samples"]:
        """Input of the network for a batch: the mono mix, unless a system overrides it."""
        return item.mono

    def loss_terms(self, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch of segments: spectrograms, prediction and `losses` in one call."""
        if item.stem_frames is None:
            raise DataError(f"{self.system} learns from mixed solo clips: give a frame of each source", "mismatch")
        item = self.at_its_level(item)
        assert item.stem_frames is not None
        return self.losses(self(self.stft.forward(self.mixture(item)), item.stem_frames), item)

    @torch.no_grad()
    def separate(
        self,
        mix: Float[Tensor, "batch *channels samples"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> Float[Tensor, "batch sources *channels samples"]:
        """Separate a mix of any length into stems, with one picture per source for its length.

        Windows of `segment_samples` overlap by half and are averaged. Each is scaled to the level of training, judged
        from the mix alone, and its stems are scaled back.
        """
        return separate_in_windows(
            mix,
            self.segment_samples,
            lambda window: self.stft.inverse(self(self.stft.forward(window), frames).stems, window.shape[-1]),
            lambda mono: separation_gain(mono, self.level),
        )
