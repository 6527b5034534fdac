"""What a model must offer so that every job (binauralize, train, evaluate) can run it.

Three faces, and nothing else is asked of a model:

- `BinauralModel`, asked by the inference engine of everything that turns a clip into two ears, neural or not. The
  engine walks through the file once, hands a session its windows in order, and overlap-adds what comes back. What a
  session may offer besides stands in `models.sessions`.
- `StereoNetwork`, a `torch.nn.Module` that predicts the difference spectrogram of a segment and knows how it is
  trained. `inference` makes a `BinauralModel` of any `StereoNetwork`.
- `SeparationNetwork`, a `torch.nn.Module` that takes a mix and one frame per source, and gives the stems.
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
    """How a model wants a clip cut.

    Attributes:
        sample_rate_hz: rate of the mono sound it takes and of the ears it gives; None for the input's own rate. With a
            rate of its own, the engine uses only the difference of the ears that come back, adds it to the untouched
            input, and continues it above the model's Nyquist frequency.
        window_s, hop_s: length and distance of its windows in seconds.
        frames: "none", "centre" (the frame nearest to the window's centre) or "all" (every frame of the window).
        frame_rate_hz: how many frames per second are read; unused with "none".
        frame_size: (height, width) in pixels to which frames are stretched, or an area in the picture's own shape; None
            keeps the picture's own size.
        batch: how many windows it likes to be handed at once.
    """

    sample_rate_hz: int | None
    window_s: float
    hop_s: float
    frames: Literal["none", "centre", "all"] = "centre"
    frame_rate_hz: float = 10.0
    frame_size: tuple[int, int] | PictureArea | None = (224, 448)
    batch: int = 1

    def frame_size_of(self, displayed: tuple[int, int] | None) -> tuple[int, int] | None:
        """(height, width) in pixels of the frames of a picture displayed in this size; None for its own size."""
        if not isinstance(self.frame_size, PictureArea):
            return self.frame_size
        return None if displayed is None else self.frame_size.size_of(displayed)


@dataclass(frozen=True)
class Window:
    """One window of a clip: sound at the spec's rate and level as in the file, and its frames."""

    start_s: float
    mono: Float[Tensor, "samples"]
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before it is read. `duration_s` is None where the container does not say."""

    sample_rate_hz: int
    duration_s: float | None
    frame_rate_hz: float | None = None  # None: no picture
    frame_size: tuple[int, int] | None = None  # (height, width)
    focal_length_mm: float | None = None  # of the camera's lens, as of a 36 x 24 mm picture; None: unknown


class BinauralSession(Protocol):
    """A model at work on one clip; may keep state from window to window."""

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of each window, at the spec's rate. Called with the clip's windows in order, up to spec.batch."""
        ...

    def sources(self) -> list[Source]:
        """The sources located so far; empty for a model that does not locate any."""
        ...

    def notes(self) -> list[str]:
        """Plain sentences about what was weak, assumed or left out, for the user and the report."""
        ...


class BinauralModel(Protocol):
    """Anything that gives a clip two ears."""

    name: str
    spec: WindowSpec

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Begin a clip."""
        ...


class Renderer(Protocol):
    """What gives a source at a direction two ears; `models.positions.rendering.SourceRenderer` is one."""

    def render(
        self,
        mono: Float[Tensor, "samples"],
        azimuth: Float[Tensor, "points"],
        elevation: Float[Tensor, "points"],
    ) -> Float[Tensor, "2 samples"]:
        """Both ears; the control points (radians) are spread evenly from the first sample to the last."""
        ...


class PlacesSources(Protocol):
    """What the class of a model offers that can be given the sources (`registry.Card.places_sources`)."""

    @classmethod
    def with_sources(
        cls,
        sources: Sequence[Track] | None,
        hrtf: str | os.PathLike[str] | None,
        field_of_view: FieldOfView,
        centre_speech: bool = False,
    ) -> BinauralModel:
        """The model for a clip whose sources are given, or (None) are to be found.

        Args:
            sources: standing or moving.
            hrtf: a SOFA file; None for KEMAR.
            field_of_view: horizontal angle of the picture in radians, or what gives it for the picture's size.
            centre_speech: leave voices in the middle, whoever speaks.

        Raises:
            ModelError: speech is to be left in the middle by a model that cannot distinguish it.
        """
        ...

    @classmethod
    def part_renderer(
        cls, hrtf: str | os.PathLike[str] | None, sample_rate_hz: int, is_given: bool = False
    ) -> Renderer:
        """What gives the part of a source two ears, as the model does.

        Args:
            hrtf: as of `with_sources`.
            sample_rate_hz: of the part.
            is_given: whether the sources were given.
        """
        ...

    @classmethod
    def for_scene(cls, scene: Path, network: SavedNetwork | None = None, **options: Any) -> BinauralModel:
        """The model that is given what is true of a simulated clip, in place of what it would find in the picture.

        Args:
            scene: the clip's scene file, which gives the field of view too.
            network: a saved network to use in the model; None for the shipped one.
            options: further arguments of the class.
        """
        ...


@dataclass(frozen=True)
class SegmentFormat:
    """Sizes of the segments that a network is made for; the defaults are those of all four papers.

    Attributes:
        sample_rate_hz: of the sound.
        samples: length of a segment (0.63 s at 16 kHz).
        n_fft, window_samples, hop_samples: of the STFT; 257 x 64 bins of a segment.
        frame_size: (height, width) of a frame in pixels.
        level: what is scaled to a root mean square of 0.1 before the network hears it: "mix", l + r (PseudoBinaural's
            rule), or "ears", both ears together (that of 2.5D Visual Sound's and Sep-Stereo's scripts); see
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
        """129 x 64 bins of 0.315 s, and frames of 64 x 128: a tenth of the work, for tests and laptops."""
        return cls(samples=5_040, n_fft=256, window_samples=200, hop_samples=80, frame_size=(64, 128))

    @classmethod
    def of(
        cls, value: "SegmentFormat | Mapping[str, Any] | None", default: "SegmentFormat | None" = None
    ) -> "SegmentFormat":
        """A format as it is, or the default with what a mapping (as a configuration holds it) names replaced."""
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
    """What stereo and separation networks share: sizes, settings that are saved, parameter groups.

    Attributes:
        stft: the transform that its spectrograms come from.
        sample_rate_hz, segment_samples: of the segments it was made for (16 kHz and 10,080 samples in the papers).
        frame_size: (height, width) of its frames.
        level: rule by which segments are scaled before it hears them (`signal.level_gain`).
        needs_frames: false for a baseline that only hears; it takes frames all the same and ignores them.
        default_segment: that it is made for where its constructor is given none, or a mapping that names some of it.
        needs_previous_frames: whether training items must also hold the picture before each.
        small_sizes: arguments of its constructor that make it small, beside those of its segment.
        exchanges_backbone: whether its constructor takes `visual`, `visual_weights` and `freeze_visual` as that of
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
        """Rows and columns of a segment's spectrogram."""
        return self.stft.bins, self.stft.columns(self.segment_samples)

    @classmethod
    def small(cls, **settings: Any) -> Self:
        """The same system in a size for tests and laptops, on short segments and small frames.

        Args:
            settings: override its constructor's arguments; of `segment`, a mapping overrides only what it names.
        """
        segment = SegmentFormat.of(settings.get("segment"), SegmentFormat.small())
        return cls(**{**cls.small_sizes, **settings, "segment": segment})

    def level_gain(
        self, mono: Float[Tensor, "*batch samples"], ears: Float[Tensor, "*batch 2 samples"] | None = None
    ) -> Float[Tensor, "*batch"]:
        """What a segment is multiplied by before this network hears it (`signal.level_gain`).

        Args:
            mono: the mix l + r.
            ears: both ears, where their level may be read.
        """
        return level_gain(mono, self.level, ears)

    def item_gain(self, item: Item) -> Float[Tensor, "batch"]:
        """What a batch is multiplied by before this network hears it.

        Items come with the mix at 0.1 (silent ones below). If the rule is "ears", both ears together are brought to
        0.1, of items with stems alone the stems, which stand at the two sides then.
        """
        channels = item.ears if item.ears is not None else item.stems
        if self.level == "mix" or channels is None:
            return item.mono.new_ones(item.mono.shape[0])
        heard = channels.square().mean((-2, -1)).sqrt()
        # With the mix at 0.1 two channels are at 0.05 at least: what is quieter is silence, and stays quiet.
        return TARGET_RMS / heard.clamp_min(TARGET_RMS / channels.shape[-2])

    def at_its_level(self, item: Item) -> Item:
        """A batch at the level that this network wants (`item_gain`)."""
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
        """Named, weighted loss terms of a batch of segments, from its waveforms and frames."""

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"] | None:
        """What the visual network makes of ImageNet-normalised frames, place by place as in the picture; None for a
        network that has no such map. `explain.activation` draws its mean.

        Args:
            encoded: what `encode_frames` made of the frames, if that is known.
        """
        return None

    def parameter_groups(
        self, learning_rate: float, visual_learning_rate: float, fusion_learning_rate: float | None = None
    ) -> list[Mapping[str, Any]]:
        """Parameters for the optimiser: the visual backbone learns slower than the rest (2.5D Visual Sound, section 4).

        Each group has a `name`: "network", "visual" or "fusion". Frozen parameters are in no group. A subclass's visual
        backbone is found by its attribute `visual`, networks that associate sound and picture by `fusion` and
        `separation`.

        Args:
            learning_rate, visual_learning_rate: of the network and of its visual backbone.
            fusion_learning_rate: of what associates sound and picture, a group of its own; None: as the network.
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
    """What a stereo network predicts for a batch of segments.

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
        predicts_highest_bin: false for a U-Net that takes 257 rows and gives 256.
        sliding_crops: whether frames are cropped at one of five places, by their number, when a clip is computed.
        shares_pictures: whether `predict` computes faster where it is given one encoded picture for all segments.
        mirrors_itself: whether a mirrored frame always swaps the predicted ears, whatever the weights, so that mirrored
            clips teach it nothing.
    """

    predicts_highest_bin: ClassVar[bool] = False
    sliding_crops: ClassVar[bool] = False
    shares_pictures: ClassVar[bool] = False
    mirrors_itself: ClassVar[bool] = False

    @abstractmethod
    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Tensor | tuple[Tensor, ...]:
        """What the network needs to know of ImageNet-normalised frames (batch axis first), so that the inference engine
        computes it once per picture."""

    @abstractmethod
    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """The prediction from the mix's spectrogram and encoded frames, one for each segment (or, if the network
        `shares_pictures`, one for all)."""

    def forward(
        self,
        mix: Complex[Tensor, "batch frequency time"],
        frames: Float[Tensor, "batch 3 height width"],
    ) -> StereoResult:
        """The prediction from the mix's spectrogram and ImageNet-normalised frames."""
        return self.predict(mix, self.encode_frames(frames))

    @abstractmethod
    def losses(self, result: StereoResult, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch; their sum is what is minimised."""

    def feature_map(
        self, frames: Float[Tensor, "batch 3 height width"], encoded: Tensor | tuple[Tensor, ...] | None = None
    ) -> Float[Tensor, "batch channels h w"] | None:
        """As `AudioVisualNetwork.feature_map`: the encoded frames, or the first of several, where it is a map."""
        encoded = self.encode_frames(frames) if encoded is None else encoded
        maps = [one for one in (encoded if isinstance(encoded, tuple) else (encoded,)) if one.ndim == 4]
        return maps[0] if maps and maps[0].numel() else None

    def association(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> Float[Tensor, "batch h w f t"] | None:
        """The audio features that go with each place of the picture; None for a network without associative
        convolution. `explain.association` draws them."""
        return None

    def attention(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> dict[str, Float[Tensor, "batch h w f t"]]:
        """How much each position of the sound attends to each place of the picture, by the attention's name; empty for
        a network without any. `explain.attention` draws it."""
        return {}

    def loss_terms(self, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch of segments: spectrograms, prediction and `losses` in one call."""
        item = self.at_its_level(item)
        return self.losses(self.predict_item(item), item)

    def encode_item(self, item: Item) -> Tensor | tuple[Tensor, ...]:
        """As `encode_frames`, of what a batch holds of the pictures."""
        return self.encode_frames(item.frames)

    def predict_item(self, item: Item) -> StereoResult:
        """The prediction of a batch at this network's level, from all that the network may know of it."""
        return self(self.stft.forward(item.mono), item.frames)

    def ears_of(self, item: Item) -> Float[Tensor, "batch 2 samples"]:
        """Both ears of a batch as the network predicts them, at the level of the batch."""
        gain = self.item_gain(item)
        predicted = self.predict_item(self.at_its_level(item)).difference
        return left_right(item.mono, self.stft.inverse(predicted, item.mono.shape[-1]) / gain[:, None])


class Separator(Protocol):
    """What can be asked to separate: every `SeparationNetwork`, and Sep-Stereo."""

    sample_rate_hz: int
    frame_size: tuple[int, int]

    def separate(
        self,
        mix: Float[Tensor, "batch *channels samples"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> Float[Tensor, "batch sources *channels samples"]:
        """Stems of a mix of any length, one ImageNet-normalised picture per source for all of it."""
        ...


@dataclass
class SeparationResult:
    """What a separation network predicts for a batch of segments.

    Attributes:
        stems: predicted spectrogram of each source, in the order of the frames.
            `[batch, sources, *channels, frequency, time]`, with the channel axis that the mix had, if any.
        extras: further predictions (masks, component activations ...); each system's docstring lists its own.
    """

    stems: Complex[Tensor, "batch sources *channels frequency time"]
    extras: dict[str, Tensor] = field(default_factory=dict)


class SeparationNetwork(AudioVisualNetwork):
    """A network that takes a mix and one frame per source, and gives the source that is seen in each frame."""

    separates: ClassVar[bool] = True

    @abstractmethod
    def forward(
        self,
        mix: Complex[Tensor, "batch *channels frequency time"],
        frames: Float[Tensor, "batch sources 3 height width"],
    ) -> SeparationResult:
        """The prediction from the mix's spectrogram and ImageNet-normalised frames, one per source."""

    @abstractmethod
    def losses(self, result: SeparationResult, item: Item) -> dict[str, Tensor]:
        """Named, weighted loss terms of a batch; their sum is what is minimised."""

    def mixture(self, item: Item) -> Float[Tensor, "batch *channels samples"]:
        """What the network hears of a batch: the mono mix, unless a system says otherwise."""
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
        """Stems of a mix of any length, one picture per source for all of it.

        Windows of `segment_samples` overlap by half and are averaged; each is scaled to the level of training by the
        mix alone, and back.
        """
        return separate_in_windows(
            mix,
            self.segment_samples,
            lambda window: self.stft.inverse(self(self.stft.forward(window), frames).stems, window.shape[-1]),
            lambda mono: separation_gain(mono, self.level),
        )
