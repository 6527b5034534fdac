"""What a model must offer so that every job (binauralize, train, evaluate) can run it.

Two faces, and nothing else is asked of a model:

- `BinauralModel`, asked by the inference engine of everything that turns a clip into two ears, neural or not. The
  engine walks through the file once, hands a session its windows in order, and overlap-adds what comes back.
- `StereoNetwork`, a `torch.nn.Module` that predicts the difference spectrogram of a segment and knows how it is
  trained. `inference` makes a `BinauralModel` of any `StereoNetwork`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Complex, Float, UInt8
from torch import Tensor, nn

from hearsight.datasets.item import Item
from hearsight.signal import STFT


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
        frame_size: (height, width) in pixels to which frames are stretched; None keeps the picture's own size.
        batch: how many windows it likes to be handed at once.
    """

    sample_rate_hz: int | None
    window_s: float
    hop_s: float
    frames: Literal["none", "centre", "all"] = "centre"
    frame_rate_hz: float = 10.0
    frame_size: tuple[int, int] | None = (224, 448)
    batch: int = 1


@dataclass(frozen=True)
class Frame:
    """A picture of the clip. `number` counts distinct pictures: two frames with one number have equal pixels."""

    time_s: float
    number: int
    rgb: UInt8[np.ndarray, "height width 3"]


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


@dataclass
class TrackPoint:
    """Where a source was at a time; `x`, `y` in the picture (0 to 1), angles in degrees, confidence 0 to 1."""

    time_s: float
    x: float
    y: float
    azimuth_deg: float
    elevation_deg: float
    confidence: float


@dataclass
class Source:
    """A located source, as the report tells it; `energy_share` is its part of the clip's energy, 0 to 1."""

    label: str
    energy_share: float
    track: list[TrackPoint]


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


@dataclass
class StereoResult:
    """What a stereo network predicts for a batch of segments.

    Attributes:
        difference: predicted spectrogram of l - r, highest bin zero. `[batch, frequency, time]`
        extras: further predictions of the system (named tensors: APNet's left and right, Beyond-Mono's magnitude and
            phase, attention maps ...); each system's docstring lists its own with shapes.
    """

    difference: Complex[Tensor, "batch frequency time"]
    extras: dict[str, Tensor] = field(default_factory=dict)


class StereoNetwork(nn.Module, ABC):
    """A network that predicts the difference of the ears from the spectrogram of the mix and a frame.

    Attributes (plain, set by the subclass):
        stft: the transform that its spectrograms come from.
        sample_rate_hz, segment_samples: of the segments it was made for (16 kHz and 10,080 samples in the papers).
        frame_size: (height, width) of its frames.
    """

    stft: STFT
    sample_rate_hz: int
    segment_samples: int
    frame_size: tuple[int, int]

    @abstractmethod
    def encode_frames(self, frames: Float[Tensor, "batch 3 height width"]) -> Tensor | tuple[Tensor, ...]:
        """What the network needs to know of ImageNet-normalised frames (batch axis first), so that the inference engine
        computes it once per picture."""

    @abstractmethod
    def predict(
        self, mix: Complex[Tensor, "batch frequency time"], visual: Tensor | tuple[Tensor, ...]
    ) -> StereoResult:
        """The prediction from the mix's spectrogram and encoded frames."""

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

    def parameter_groups(self, learning_rate: float, visual_learning_rate: float) -> list[Mapping[str, Any]]:
        """Parameters for the optimiser: the visual backbone learns slower than the rest (2.5D Visual Sound, section 4).

        Frozen parameters are in no group. A subclass's visual backbone is found by its attribute `visual`.
        """
        visual = getattr(self, "visual", None)
        slow = {id(p) for p in visual.parameters()} if isinstance(visual, nn.Module) else set()
        groups: list[Mapping[str, Any]] = [
            {"params": [p for p in self.parameters() if p.requires_grad and id(p) not in slow], "lr": learning_rate},
            {"params": [p for p in self.parameters() if p.requires_grad and id(p) in slow], "lr": visual_learning_rate},
        ]
        return [group for group in groups if group["params"]]
