"""Binaural rendering of stems, with other levels or positions, or without some of them."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import picture_field_of_view, picture_to_direction
from hearsight.errors import DataError
from hearsight.inference.asked import DEFAULT_MODEL
from hearsight.inference.engine import run_on_file
from hearsight.inference.options import Options, Treatment
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.inference.report import Report
from hearsight.inference.stems import REST, Stems
from hearsight.models.interface import ClipInfo, Window, WindowSpec
from hearsight.models.registry import find_card
from hearsight.progress import Progress, no_progress
from hearsight.vision.tracks import Source, TrackPoint

_BLOCK_SAMPLES = 1 << 15
_CONTROL_S = 0.1  # between control points of a path
_MIDDLE = torch.zeros(1)


def render_stems(
    stems: Stems,
    output: str | os.PathLike[str],
    *,
    gains_db: Mapping[str, float] | None = None,
    muted: Sequence[str] = (),
    positions: Mapping[str, tuple[float, float]] | None = None,
    fov_degrees: float | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
) -> Report:
    """Render stems binaurally, and write them with the clip they were separated from; its picture is not analysed.

    Without changes, the sound is that of `binauralize`, except that it does not follow the share of direct sound from
    moment to moment, and that the rest stays in the middle without widening. The loudness is that of the sum of the
    stems with their gains, so that the gain of one stem does not make others louder or quieter.

    Args:
        stems: result of `separate`, for the whole clip or for a part, which is then written.
        output: as in `binauralize`.
        gains_db: gains of stems in decibels, by name; -inf leaves one out.
        muted: names of stems to be left out.
        positions: new positions of sources in the picture, (x, y), by name.
        fov_degrees: horizontal angle of the picture for these positions; None: by its shape.
        hrtf: a SOFA file; None is KEMAR.
        options: codec, level and strength; the part and the tracks are those of the stems.
        progress: called with seconds of the clip.

    Raises:
        DataError: there is no such stem.
        MediaError, HearsightError: as `binauralize`.
    """
    options = replace(options, start_s=stems.start_s, duration_s=_whole_or_part(stems, options))
    prepared = prepare(stems.input, options)
    moved = _moved(stems, positions or {}, fov_degrees, prepared)
    gains = stem_gains(stems, gains_db or {}, muted)
    return rendered(moved, gains, output, options, prepared, hrtf=hrtf, progress=progress)


def stem_gains(stems: Stems, gains_db: Mapping[str, float], muted: Sequence[str] = ()) -> list[float]:
    """Gain factor of each stem.

    Raises:
        DataError: there is no such stem, or a gain is not a number or above 20 dB.
    """
    for name in (*gains_db, *muted):
        if name not in stems.names:
            raise DataError(f"there is no stem {name!r}; there are {', '.join(stems.names)}", "unknown")
    if any(math.isnan(gain) or gain > 20 for gain in gains_db.values()):
        raise DataError("a gain goes up to 20 decibels")
    return [0.0 if name in muted else 10 ** (gains_db.get(name, 0.0) / 20) for name in stems.names]


def rendered(
    stems: Stems,
    gains: Sequence[float],
    output: str | os.PathLike[str],
    options: Options,
    prepared: PreparedInput,
    treatment: Treatment | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Run `render_stems` with the gain factor of each stem."""
    treatment = treatment or Treatment(options.strength, true_peak_db=options.true_peak_db, gain_db=prepared.gain_db)
    treatment = replace(treatment, gain_db=treatment.gain_db + stems.louder_db, keeps_sides="never")
    model = StemsModel(stems, gains, hrtf)
    report = run_on_file(
        model, stems.input, output, options, progress, prepared=prepared, treatment=treatment, mono=model.mono()
    )
    if options.stereo == "keep":
        report.notes.append("parts were made louder or quieter, so that the sides of the stereo input were left out")
    return report


class StemsModel:
    """A binaural model that reads its sound from stems.

    Args:
        stems: the stems.
        gains: gain factor of each.
        hrtf: a SOFA file; None for KEMAR.
    """

    works_without_picture = True

    def __init__(self, stems: Stems, gains: Sequence[float], hrtf: str | os.PathLike[str] | None = None) -> None:
        self.stems, self.gains = stems, np.asarray(gains, np.float32)
        self.name = stems.model
        card = find_card(stems.model)
        places = card if card is not None and card.places_sources else find_card(DEFAULT_MODEL)
        assert places is not None
        self.renderer = places.load_class().part_renderer(hrtf, stems.sample_rate_hz, stems.is_given)
        self.spec = WindowSpec(None, window_s=6.0, hop_s=5.5, frames="none")

    def mono(self) -> Iterator[Float[Tensor, "samples"]]:
        """Yield the sum of all stems, block by block."""
        for block in self.stems.blocks(_BLOCK_SAMPLES):
            yield torch.from_numpy(self.gains @ block)

    def session(self, clip: ClipInfo) -> "StemsSession":
        """Start a session for the clip."""
        return StemsSession(self)


class StemsSession:
    """Session of `StemsModel`."""

    def __init__(self, model: StemsModel) -> None:
        self._model = model

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window, with the rest in the middle."""
        return torch.stack([self._ears(window) for window in windows])

    def sources(self) -> list[Source]:
        """The audible sources, with times relative to the stems."""
        stems = self._model.stems
        return [
            source.later(-stems.start_s)
            for source, gain in zip(stems.sources, self._model.gains, strict=False)
            if gain > 0
        ]

    def notes(self) -> list[str]:
        """Notes from the separation, and names of muted stems."""
        stems = self._model.stems
        muted = [name for name, gain in zip(stems.names, self._model.gains, strict=True) if gain == 0]
        return [*stems.notes, *([f"left out: {', '.join(muted)}"] if muted else [])]

    def _ears(self, window: Window) -> Float[Tensor, "2 samples"]:
        stems, rate = self._model.stems, self._model.stems.sample_rate_hz
        samples = window.mono.shape[-1]
        parts = torch.from_numpy(self._model.gains[:, None] * stems.at(round(window.start_s * rate), samples))
        times = (
            window.start_s + stems.start_s + np.linspace(0, samples / rate, max(2, round(samples / rate / _CONTROL_S)))
        )
        ears = parts[-1].expand(2, -1).clone()
        for part, source in zip(parts, stems.sources, strict=False):
            if bool(part.any()):
                ears += self._model.renderer.render(part, *directions_of(source, times))
        return ears


def directions_of(
    source: Source, times_s: Float[np.ndarray, "times"]
) -> tuple[Float[Tensor, "times"], Float[Tensor, "times"]]:
    """Azimuth and elevation of a source in radians at any times: between its points by the shortest way."""
    if not source.track:
        return _MIDDLE, _MIDDLE
    at = [point.time_s for point in source.track]
    azimuth = np.unwrap(np.radians([point.azimuth_deg for point in source.track]))
    elevation = np.radians([point.elevation_deg for point in source.track])
    found = [torch.from_numpy(np.interp(times_s, at, angle)).float() for angle in (azimuth, elevation)]
    return found[0], found[1]


def _moved(
    stems: Stems, positions: Mapping[str, tuple[float, float]], fov_degrees: float | None, prepared: PreparedInput
) -> Stems:
    """Move some sources of the stems to other positions."""
    clip = prepared.clip
    seen = picture_field_of_view(clip.frame_size, clip.focal_length_mm)
    angle = seen if fov_degrees is None else math.radians(fov_degrees)
    for name in positions:
        if name not in stems.names or name == REST:
            raise DataError(
                f"there is no source {name!r}; there are {', '.join(stems.names[:-1]) or 'none'}", "unknown"
            )
    placed = []
    for stem in stems.stems:
        if stem.name in positions and stem.source is not None:
            x, y = positions[stem.name]
            azimuth, elevation = picture_to_direction(torch.tensor(x), torch.tensor(y), angle)
            point = TrackPoint(stems.start_s, x, y, math.degrees(azimuth), math.degrees(elevation), 1.0)
            stem = replace(stem, source=replace(stem.source, track=[point]))
        placed.append(stem)
    return replace(stems, stems=placed)


def _whole_or_part(stems: Stems, options: Options) -> Any:
    return stems.duration_s if stems.start_s or options.duration_s is not None else None
