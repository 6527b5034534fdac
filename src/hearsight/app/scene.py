"""A clip as arranged by a visitor: its sound divided into parts, each rendered at its position.

`hearsight.separate` makes a division, a folder of mono parts: those of the sources, then the rest. The ears of a part
depend only on the part and its position, so they are cached by both, and a change renders only the affected parts.
"""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import binaural_decoder, load_hrirs, picture_to_direction, spherical_harmonics
from hearsight.acoustics.convolution import convolve
from hearsight.acoustics.equalization import diffuse_field_equalizer, pink_level
from hearsight.app.preview import write_flac
from hearsight.errors import DataError
from hearsight.inference.stem_rendering import StemsModel
from hearsight.inference.stems import Stems, open_stems
from hearsight.vision.tracks import Source, Track, TrackPoint

MOST_SOURCES = 16
_MOST_POINTS = 20_000
_CONTROL_S = 0.1  # time between control points of a rendered path
_POINT_S = 0.5  # time between points of a track


@dataclass(frozen=True)
class PlacedSource:
    """A source as arranged by the visitor.

    Attributes:
        part: number of its part in the division; None for a source not yet in the division.
        track: its positions.
        gain: factor; 0 if it is muted.
    """

    part: int | None
    track: Track
    gain: float

    def as_json(self) -> dict[str, Any]:
        """Entry for a file of `--tracks`."""
        rows = zip(self.track.times_s.tolist(), self.track.x.tolist(), self.track.y.tolist(), strict=True)
        return {"label": self.track.label, "track": [{"time_s": t, "x": x, "y": y} for t, x, y in rows]}


@dataclass(frozen=True)
class Scene:
    """The visitor's arrangement.

    Attributes:
        split: name of the division.
        sources: sources with positions.
        away: numbers of parts whose sources were removed: they stay in the middle.
        fov_deg: horizontal angle of the picture.
        strength: 0 to 1; below 1, all sources are drawn together.
    """

    split: str
    sources: tuple[PlacedSource, ...]
    away: tuple[int, ...]
    fov_deg: float
    strength: float

    @property
    def field_of_view(self) -> float:
        """Horizontal angle in radians, scaled by the strength."""
        return math.radians(self.fov_deg) * self.strength

    @classmethod
    def of(cls, job: dict[str, Any]) -> "Scene":
        """Read the arrangement from a job.

        Raises:
            DataError: it is invalid; the content comes from an untrusted visitor.
        """
        try:
            sources = [_source(each) for each in list(job["sources"])]
            scene = cls(
                str(job["split"]),
                tuple(sources),
                tuple(int(part) for part in job.get("away", [])),
                float(job["fov_deg"]),
                float(job["strength"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"the page asked for what cannot be: {error!r:.80}") from None
        if not scene.split.isalnum() or len(scene.split) > 20:
            raise DataError("there is no such division of the sound", "unknown")
        if not (0 < scene.fov_deg <= 360 and 0 <= scene.strength <= 1):
            raise DataError("the field of view is above 0 and at most 360 degrees, the strength from 0 to 1")
        if len(sources) + len(scene.away) > MOST_SOURCES:
            raise DataError(f"at most {MOST_SOURCES} sources can be placed")
        return scene


def _source(value: dict[str, Any]) -> PlacedSource:
    points = np.array([[float(number) for number in point] for point in value["track"]], dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not 1 <= len(points) <= _MOST_POINTS:
        raise ValueError("a track is a list of [time, x, y]")
    if not np.isfinite(points).all() or np.abs(points[:, 1:] - 0.5).max() > 1.5 or (np.diff(points[:, 0]) < 0).any():
        raise ValueError("a track has rising times, and places in the picture")
    gain_db = float(value.get("gain_db", 0.0))
    if not -60 <= gain_db <= 24:
        raise ValueError("a gain is from -60 to 24 dB")
    label = "".join(letter for letter in str(value.get("label", "source")) if letter.isprintable())[:60] or "source"
    part = value.get("part")
    track = Track(label, points[:, 0], points[:, 1], points[:, 2], np.ones(len(points)))
    return PlacedSource(None if part is None else int(part), track, 0.0 if value.get("muted") else 10 ** (gain_db / 20))


class Division:
    """A division of a clip's sound.

    All parts are rendered by the filters of the default model, whatever the origin of their sources: the ears of a part
    average to its mono sound, which the page needs to simulate a part while it is moved.

    Args:
        folder: folder written by `hearsight.separate`.

    Raises:
        DataError: it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.stems = replace(open_stems(folder), is_given=False)
        self._model: StemsModel | None = None

    @property
    def rest(self) -> int:
        """Number of the part without a source; it is the last."""
        return len(self.stems.stems) - 1

    def parts(self, scene: Scene) -> list["Part"]:
        """Each part of the sound as arranged in a scene, in the order of the stems.

        Raises:
            DataError: the scene is of another division.
        """
        parts = [Part(each.part, each.track, each.gain) for each in scene.sources if each.part is not None]
        parts += [Part(number, None, 1.0) for number in (*scene.away, self.rest)]
        if sorted(part.number for part in parts) != list(range(self.rest + 1)):
            raise DataError("the sources are not those among which the sound was divided; divide it again", "mismatch")
        return sorted(parts)

    def placed(self, scene: Scene) -> Stems:
        """The stems with their sources at the positions in a scene; removed sources are ahead."""
        placed = []
        for stem, part in zip(self.stems.stems, self.parts(scene), strict=True):
            if stem.source is not None:
                points = [] if part.track is None else self._points(part.track, scene.field_of_view, stem.source)
                label = stem.source.label if part.track is None else part.track.label
                stem = replace(stem, source=replace(stem.source, label=label, track=points))
            placed.append(stem)
        return replace(self.stems, stems=placed)

    def gains(self, scene: Scene) -> list[float]:
        """Gain factor of each stem."""
        return [part.gain for part in self.parts(scene)]

    @torch.inference_mode()
    def ears(self, part: "Part", field_of_view: float) -> Float[Tensor, "2 samples"]:
        """Both ears of a part, without its gain."""
        mono = torch.from_numpy(self.stems.sound(self.stems.names[part.number]))
        if part.track is None:
            return mono.expand(2, -1)
        self._model = self._model or StemsModel(self.stems, [1.0] * len(self.stems.stems))
        x, y, _ = part.track.positions(np.linspace(0, self.stems.duration_s, self._steps(_CONTROL_S)))
        across, down = (torch.from_numpy(np.clip(values, 0, 1)).float() for values in (x, y))
        ears: Tensor = self._model.renderer.render(mono, *picture_to_direction(across, down, field_of_view))
        return ears

    def _points(self, track: Track, field_of_view: float, found: Source) -> list[TrackPoint]:
        """Track as in the report, with the size that was found for the source."""
        held = replace(track, x=np.clip(track.x, 0, 1), y=np.clip(track.y, 0, 1))
        times_s = np.linspace(0, self.stems.duration_s, self._steps(_POINT_S))
        points, seen = held.points(times_s, field_of_view), found.as_seen()
        if len(seen.times_s) and np.isfinite(seen.place).all():
            width, height = (np.interp(times_s, seen.times_s, size).tolist() for size in seen.place.T[2:])
            points = [replace(p, width=w, height=h) for p, w, h in zip(points, width, height, strict=True)]
        return points

    def _steps(self, seconds: float) -> int:
        return max(2, round(self.stems.duration_s / seconds) + 1)


class Part(NamedTuple):
    """A part of the sound: number, track of its source (None: in the middle), and gain factor."""

    number: int
    track: Track | None
    gain: float


def write_ears(scene: Scene, division: Division, out: Path) -> list[dict[str, Any]]:
    """Write the ears of each part as files for the page, except for existing ones.

    Returns:
        part and file name of each.
    """
    written = []
    for part in division.parts(scene):
        path = [] if part.track is None else np.stack([part.track.times_s, part.track.x, part.track.y]).tolist()
        key = json.dumps([scene.split, part.number, path, scene.field_of_view])
        name = f"ears-{hashlib.sha256(key.encode()).hexdigest()[:32]}.flac"
        if not (out / name).exists():
            write_flac(out / name, division.ears(part, scene.field_of_view), division.stems.sample_rate_hz)
        written.append({"part": part.number, "file": name})
    return written


def page_decoder(sample_rate_hz: int) -> Float[Tensor, "4 2 taps"]:
    """Filters from first-order ambisonics (ACN, SN3D) to both ears, with which the page turns the head.

    First order loses treble, since its virtual loudspeakers do not add up in phase at the ears. The average loss over
    sources around the listener is equalised, and so is the level.
    """
    decoder = binaural_decoder(load_hrirs(diffuse_field_equalized=True).at_rate(sample_rate_hz)).double()
    around = torch.arange(0, 2 * math.pi, math.pi / 18, dtype=torch.float64)
    gains = spherical_harmonics(around, torch.zeros_like(around), 1)
    share = torch.full((len(around),), 1 / len(around), dtype=torch.float64)
    filters = diffuse_field_equalizer(torch.einsum("dc,ect->det", gains, decoder), share, sample_rate_hz)
    decoder = convolve(decoder, filters)[..., : 2 * decoder.shape[-1]]
    level = pink_level(torch.einsum("dc,ect->det", gains, decoder), share, sample_rate_hz)
    return (decoder / level).float().transpose(0, 1)
