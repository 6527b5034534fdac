"""What was asked for of every input of a job, and the model that it asks for."""

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
from hearsight.models.registry import CARDS, find_card
from hearsight.vision.tracks import Track, read_rest_gain_db, read_tracks

DEFAULT_MODEL = "sounding-objects"
_INPUT_S_MODEL = "mono-mono"  # gives the input's own sound


@dataclass(frozen=True)
class Asked:
    """What was asked for of every input of a job; the arguments of `binauralize`."""

    model: Any = None
    sources: tuple[tuple[float, float], ...] | None = None
    tracks: Path | None = None
    hrtf: Path | None = None
    fov_degrees: float | None = None
    device: str = "cpu"
    options: Options = field(default_factory=Options)

    def make_model(self, input: Path | None = None, start_s: float = 0.0) -> BinauralModel:
        """The model, its given sources on the clock of a part that begins at `start_s` of an input.

        Raises:
            ModelError, DataError: it cannot be made of these arguments.
        """
        strength = self.options.strength
        if strength == 0:
            return load(_INPUT_S_MODEL)
        # Sources are drawn together by a narrower picture; what a network makes is treated in the engine.
        spread = strength if self.places_sources else 1.0
        given = None
        if self.tracks is not None:
            given = [track.later(-start_s) for track in read_tracks(self.tracks, input)]
        return choose_model(
            self.model,
            self.sources,
            None,
            self.hrtf,
            self.fov_degrees,
            self.device,
            given=given,
            spread=spread,
            centre_speech=self.options.centre_speech,
        )

    def has_gains(self, input: Path) -> bool:
        """Whether its tracks want parts of an input's sound louder, quieter or left out.

        Raises:
            DataError: tracks that cannot be used.
        """
        if self.tracks is None or self.options.strength == 0:
            return False
        return any(track.gain_db for track in read_tracks(self.tracks, input)) or bool(
            read_rest_gain_db(self.tracks, input)
        )

    @property
    def places_sources(self) -> bool:
        """Whether the model is one that places sources."""
        return _places_sources(DEFAULT_MODEL if self.model is None else self.model)

    def as_settings(self) -> dict[str, Any]:
        """All of it in words and numbers, for the report."""
        values = asdict(replace(self, model=None))
        values["model"] = str(getattr(self.model, "name", self.model or DEFAULT_MODEL))
        return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def choose_model(
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    fov_degrees: float | None = None,
    device: str = "cpu",
    *,
    given: Sequence[Track] | None = None,
    spread: float = 1.0,
    centre_speech: bool = False,
) -> BinauralModel:
    """The model that `binauralize` would use for these arguments (see there), to use it for several clips.

    Args:
        given: tracks that were read already.
        spread: what the field of view is multiplied by.
        centre_speech: leave speech in the middle.

    Raises:
        ModelError, DataError: as `binauralize`.
    """
    check_device(device)
    model = DEFAULT_MODEL if model is None else model
    known = find_card(model) if isinstance(model, str) else None
    if known is None or not known.places_sources:
        if sources or given or tracks is not None or hrtf is not None or fov_degrees is not None:
            placing = " and ".join(entry.name for entry in CARDS if entry.places_sources)
            name = getattr(model, "name", model)
            raise ModelError(
                f"positions, tracks, HRTF and field of view are for the models {placing}; {name} takes none"
            )
        if centre_speech:
            raise ModelError("speech is left in the middle by the model sounding-objects alone")
        if isinstance(model, StereoNetwork):
            return NeuralModel(model, device)
        return load(model, device) if isinstance(model, str | os.PathLike) else model
    if device != "cpu":
        raise ModelError(f"{known.name} computes on the CPU, not on {device!r}; a device is for networks, leave it out")
    if fov_degrees is not None and not 0 < fov_degrees <= 360:
        raise ModelError(f"the field of view must be above 0 and at most 360 degrees, got {fov_degrees:g}")
    if sources and tracks is not None:
        raise ModelError("positions and tracks exclude each other; give one of them")
    if sources:
        given = [Track.at(f"source {index}", x, y) for index, (x, y) in enumerate(sources, 1)]
    elif tracks is not None:
        given = read_tracks(tracks)

    def field_of_view(size: tuple[int, int] | None) -> float:
        return spread * (picture_field_of_view(size) if fov_degrees is None else math.radians(fov_degrees))

    placed: BinauralModel = known.load_class().with_sources(given, hrtf, field_of_view, centre_speech)
    return placed


def check_device(device: str) -> None:
    """Find out whether a device can be computed on.

    Raises:
        ModelError: no such device here.
    """
    import torch

    try:
        backend = torch.device(device).type
    except RuntimeError as error:
        raise ModelError(f"{device!r}: is no device; use cpu, cuda or mps") from error
    is_there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not is_there.get(backend, False):
        raise ModelError(f"{device}: this machine, or this build of PyTorch, has no such device; leave --device out")


def _places_sources(model: Any) -> bool:
    known = find_card(model) if isinstance(model, str) else None
    return known is not None and known.places_sources
