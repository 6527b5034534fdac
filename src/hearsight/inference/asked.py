"""Arguments of a job that hold for each of its inputs, and the model that they name."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hearsight.acoustics import picture_field_of_view
from hearsight.errors import ModelError
from hearsight.inference.loading import load
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.options import Options
from hearsight.models.interface import BinauralModel, StereoNetwork
from hearsight.models.registry import CARDS, Card, find_card
from hearsight.vision.tracks import Track, read_rest_gain_db, read_tracks

DEFAULT_MODEL = "sounding-objects"
_INPUT_S_MODEL = "mono-mono"  # returns the input's own sound


@dataclass(frozen=True)
class Asked:
    """Arguments of a job, the same for each input.

    Attributes:
        model: a name (`hearsight models` lists them), a folder, a Hugging Face Hub id, a loaded model, or a network;
            None is `sounding-objects`.
        sources: for models that place sources: positions (x, y) in the picture, 0 to 1 from the left and from the top.
        tracks: instead of `sources`: a JSON file of moving sources, in the report's own format.
        hrtf: for models that place sources: a SOFA file; None is KEMAR.
        fov_degrees: for models that place sources: the horizontal angle of the picture; None: by its shape.
        device: for a network: "cpu", "cuda", "mps".
        options: options of the file and the sound's level.

    Raises:
        ModelError: both sources and tracks.
    """

    model: Any = None
    sources: Sequence[tuple[float, float]] | None = None
    tracks: str | os.PathLike[str] | None = None
    hrtf: str | os.PathLike[str] | None = None
    fov_degrees: float | None = None
    device: str = "cpu"
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources) if self.sources else None)
        if self.sources and self.tracks is not None:
            raise ModelError("positions and tracks exclude each other; give one of them")

    @property
    def files(self) -> list[str | os.PathLike[str]]:
        """Files that are read for every input."""
        return [each for each in (self.tracks, self.hrtf) if each is not None]

    def make_model(self, input: Path | None = None, start_s: float = 0.0) -> BinauralModel:
        """Make the model; given sources have times relative to the part that begins at `start_s` of an input.

        Raises:
            ModelError, DataError: it cannot be made of these arguments.
        """
        if self.options.strength == 0:
            return load(_INPUT_S_MODEL)
        check_device(self.device)
        model, known = self._model, self._card
        if known is None:
            if self.sources or self.tracks is not None or self.hrtf is not None or self.fov_degrees is not None:
                placing = " and ".join(entry.name for entry in CARDS if entry.places_sources)
                name = getattr(model, "name", model)
                raise ModelError(
                    f"positions, tracks, HRTF and field of view are for the models {placing}; {name} takes none",
                    "unsupported",
                )
            if self.options.centre_speech:
                raise ModelError("speech is left in the middle by the model sounding-objects alone", "unsupported")
            if isinstance(model, StereoNetwork):
                return NeuralModel(model, self.device)
            return load(model, self.device) if isinstance(model, str | os.PathLike) else model
        if self.device != "cpu":
            raise ModelError(
                f"{known.name} computes on the CPU, not on {self.device!r}; a device is for networks, leave it out",
                "unsupported",
            )
        if self.fov_degrees is not None and not 0 < self.fov_degrees <= 360:
            raise ModelError(f"the field of view must be above 0 and at most 360 degrees, got {self.fov_degrees:g}")
        # A narrower picture draws the sources together; the engine scales the output of a network instead.
        fov_degrees, strength, centre_speech = self.fov_degrees, self.options.strength, self.options.centre_speech

        def field_of_view(size: tuple[int, int] | None, focal_length_mm: float | None) -> float:
            seen = picture_field_of_view(size, focal_length_mm) if fov_degrees is None else math.radians(fov_degrees)
            return strength * seen

        given = self.given(input, start_s)
        placed: BinauralModel = known.load_class().with_sources(given, self.hrtf, field_of_view, centre_speech)
        return placed

    def given(self, input: str | os.PathLike[str] | None, start_s: float) -> list[Track] | None:
        """Given sources with times relative to the part that begins at `start_s` of an input; None to find sources.

        Raises:
            DataError: tracks that cannot be used.
        """
        if self.sources:
            return [Track.at(f"source {number}", x, y) for number, (x, y) in enumerate(self.sources, 1)]
        return None if self.tracks is None else [track.later(-start_s) for track in read_tracks(self.tracks, input)]

    def has_gains(self, input: Path) -> bool:
        """Whether its tracks make parts of an input's sound louder, quieter or silent.

        Raises:
            DataError: tracks that cannot be used.
        """
        if self.tracks is None or self.options.strength == 0:
            return False
        return any(track.gain_db for track in read_tracks(self.tracks, input)) or bool(
            read_rest_gain_db(self.tracks, input)
        )

    @property
    def _model(self) -> Any:
        return DEFAULT_MODEL if self.model is None else self.model

    @property
    def _card(self) -> Card | None:
        """Card of the model if it places sources, else None."""
        known = find_card(self._model) if isinstance(self._model, str) else None
        return known if known is not None and known.places_sources else None

    @property
    def places_sources(self) -> bool:
        """Whether the model places sources."""
        return self._card is not None

    def as_settings(self) -> dict[str, Any]:
        """All arguments as words and numbers, for the report."""
        values = asdict(replace(self, model=None))
        values["model"] = str(getattr(self._model, "name", self._model))
        return {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in values.items()}


def choose_model(
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None, **asked: Any
) -> BinauralModel:
    """Make the model that `binauralize` would use for these arguments (those of `Asked`), for use on several clips."""
    return Asked(model, **asked).make_model()


def check_device(device: str) -> None:
    """Check that a device is available.

    Raises:
        ModelError: there is no such device here.
    """
    import torch

    try:
        backend = torch.device(device).type
    except RuntimeError as error:
        raise ModelError(f"{device!r}: is no device; use cpu, cuda or mps") from error
    is_there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not is_there.get(backend, False):
        raise ModelError(
            f"{device}: this machine, or this build of PyTorch, has no such device; leave --device out", "unsupported"
        )
