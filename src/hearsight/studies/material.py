"""Material of a study: predictions, and for each clip the recorded ears, the picture and the directions."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.datasets.fair_play_layout import BINAURAL_AUDIOS, VIDEOS
from hearsight.errors import DataError
from hearsight.evaluation.cache import file_name
from hearsight.evaluation.comparison import VIDEO_SUFFIXES, sounds_below
from hearsight.simulation.scene_file import sounding_sources
from hearsight.studies.answers import THIRDS

DIRECTIONS = "directions.csv"


@dataclass(frozen=True)
class NamedSource:
    """Source whose direction a listener is asked for.

    Attributes:
        label: label such as "trumpet"; no other source of the clip has it.
        azimuth_deg: azimuth, positive to the left, where known.
        third: left, centre or right, where only that is known.
    """

    label: str
    azimuth_deg: float | None
    third: str | None = None

    def direction(self, centre_deg: float) -> str:
        """Direction as left, centre or right."""
        return self.third or third_of(self.azimuth_deg or 0.0, centre_deg)


@dataclass(frozen=True)
class Clip:
    """Clip with all data that a page can show of it.

    Attributes:
        name: name of the clip, with a prefix of its dataset's name if it is from a benchmark.
        predictions: a sound file for each system.
        recorded, picture: the recorded ears, and a video or a prepared clip; None where there is none.
        sources: sources with known directions.
    """

    name: str
    predictions: Mapping[str, Path]
    recorded: Path | None = None
    picture: Path | None = None
    sources: list[NamedSource] = field(default_factory=list)


@dataclass(frozen=True)
class Material:
    """Names of the systems, and the clips that at least one of them has predicted."""

    systems: list[str]
    clips: list[Clip]


def third_of(azimuth_deg: float, centre_deg: float) -> str:
    """Direction of an azimuth as left, centre or right."""
    if abs(azimuth_deg) <= centre_deg:
        return "centre"
    return "left" if azimuth_deg > 0 else "right"


def find_material(source: Path, dataset: Path | None = None) -> Material:
    """Find the material in the results of a benchmark, or in a folder with a folder of predictions for each system.

    Args:
        source: a benchmark's `out`, or FOLDER with FOLDER/SYSTEM/CLIP.wav.
        dataset: folder with `binaural_audios`, `videos`, and `scenes` or `directions.csv`, as far as available; None
            for `source` itself. A benchmark knows its datasets.

    Raises:
        DataError: there are no predictions, or a file has invalid content.
    """
    if not source.is_dir():
        raise DataError(f"{source}: is no folder", "missing")
    if (source / "results.json").is_file() and (source / "predictions").is_dir():
        return _of_benchmark(source, _directions_file(dataset or source))
    return _of_folder(source, dataset or source)


def _of_benchmark(folder: Path, directions: dict[str, list[NamedSource]]) -> Material:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    if "clips" not in results:
        raise DataError(
            f"{folder}: was written before studies could be made of it; run the benchmark again", "mismatch"
        )
    systems: list[str] = list(dict.fromkeys(name for table in results["datasets"].values() for name in table))
    clips = []
    for dataset, named in results["clips"].items():
        for name, of_clip in named.items():
            place = Path(file_name(dataset)) / of_clip.get("split", "") / f"{name}.wav"
            found = {system: folder / "predictions" / file_name(system) / place for system in systems}
            sound, picture, scene = ((folder / of_clip[key]).resolve() for key in ("sound", "picture", "scene"))
            clips.append(
                Clip(
                    f"{dataset}/{name}",
                    {system: path for system, path in found.items() if path.is_file()},
                    sound if sound.is_file() else None,
                    picture if picture.is_file() else None,
                    directions.get(name) or _sources_of(scene),
                )
            )
    return Material(systems, clips)


def _of_folder(folder: Path, dataset: Path) -> Material:
    own = {BINAURAL_AUDIOS, VIDEOS, "scenes", "stems", "depth", "splits"}
    predictions: dict[str, dict[str, Path]] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if place.name not in own and place != dataset and (found := sounds_below(place, "predicted_binaural")[0]):
            predictions[place.name] = found
    if not predictions:
        raise DataError(f"{folder}: holds no folder of a system's predictions (SYSTEM/CLIP.wav)", "missing")
    recorded = sounds_below(dataset / BINAURAL_AUDIOS, "input_binaural")[0]
    pictures = {
        path.relative_to(dataset / VIDEOS).with_suffix("").as_posix(): path
        for path in sorted((dataset / VIDEOS).rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES
    }
    directions = _directions_file(dataset)
    names = sorted({name for found in predictions.values() for name in found})
    return Material(
        list(predictions),
        [
            Clip(
                name,
                {system: found[name] for system, found in predictions.items() if name in found},
                recorded.get(name),
                pictures.get(name),
                directions.get(name) or _sources_of(dataset / "scenes" / f"{name}.json"),
            )
            for name in names
        ],
    )


def _sources_of(scene: Path) -> list[NamedSource]:
    """Sources of a scene with a unique label, with their mean direction over the clip."""
    if not scene.is_file():
        return []
    sources = sounding_sources(scene)
    labels = [source.get("label") for source in sources]
    named = []
    for source in sources:
        if labels.count(source.get("label")) > 1:
            continue
        try:
            angles = [float(point["azimuth_deg"]) for point in source["track"]]
            named.append(NamedSource(str(source["label"]), float(np.mean(angles))))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{scene}: a source needs a label, and azimuth_deg in every point of its track") from error
    return named


def _directions_file(folder: Path) -> dict[str, list[NamedSource]]:
    """Sources by clip, from a table with the columns clip, instrument, and direction or azimuth_deg."""
    path = folder / DIRECTIONS
    if not path.is_file():
        return {}
    found: dict[str, list[NamedSource]] = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            found.setdefault(row.get("clip") or "", []).append(_source_of(row, f"{path}, line {number}"))
    return found


def _source_of(row: dict[str, Any], place: str) -> NamedSource:
    third, azimuth = (row.get("direction") or "").strip().lower() or None, row.get("azimuth_deg") or None
    third = "centre" if third == "center" else third
    if not row.get("clip") or not row.get("instrument") or (third is None and azimuth is None):
        raise DataError(f"{place}: needs clip, instrument, and direction (left, centre, right) or azimuth_deg")
    if third is not None and third not in THIRDS:
        raise DataError(f"{place}: the direction is {third!r}; left, centre or right")
    try:
        return NamedSource(row["instrument"].strip(), None if azimuth is None else float(azimuth), third)
    except ValueError as error:
        raise DataError(f"{place}: azimuth_deg is {azimuth!r}, which is no number") from error
