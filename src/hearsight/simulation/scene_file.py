"""Reader of the scene file of a simulated clip: its sources and its picture."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.errors import DataError
from hearsight.vision.tracks import Track


def scene_tracks(scene: Path) -> list[Track]:
    """Sounding sources of a scene file as tracks in the picture, for a model that gets the true positions.

    Raises:
        DataError: the file is missing or is not a scene, or none of its sources sounds.
    """
    if not scene.is_file():
        raise DataError(f"{scene}: is missing, so the true positions are not known", "missing")
    tracks = []
    for source in sounding_sources(scene):
        try:
            times, x, y = (np.array([float(point[key]) for point in source["track"]]) for key in ("time_s", "x", "y"))
            tracks.append(Track(str(source["label"]), times, x, y, np.ones(len(times))))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{scene}: a source needs a label and a track of time_s, x and y") from error
    if not tracks:
        raise DataError(f"{scene}: no source of it sounds, so there is no position to give", "too-little")
    return tracks


def scene_field_of_view(scene: Path) -> float | None:
    """Horizontal angle of a simulated concert's picture in radians; None if the scene does not state it.

    Raises:
        DataError: the scene cannot be read, or its picture is a plain perspective, in which positions are not
            proportional to angles, as the model `positions` assumes.
    """
    content = _content(scene)
    if content.get("projection", "cylinder") != "cylinder":
        raise DataError(
            f"{scene}: its picture is a {content['projection']} projection; true positions need a cylinder",
            "unsupported",
        )
    degrees = content.get("field_of_view_deg")
    return math.radians(degrees) if isinstance(degrees, int | float) else None


def scene_options(scene: Path) -> dict[str, float]:
    """Argument `field_of_view` for a model, in radians, from a scene file; empty if the scene does not state it."""
    field_of_view = scene_field_of_view(scene)
    return {} if field_of_view is None else {"field_of_view": field_of_view}


def sounding_sources(scene: Path) -> list[dict[str, Any]]:
    """Sources of a scene file: the performers of a simulated concert that play, or the sources of a report.

    Raises:
        DataError: the file is not a scene.
    """
    content = _content(scene)
    sources = content.get("performers", content.get("sources"))
    if not isinstance(sources, list) or not all(isinstance(source, dict) for source in sources):
        raise DataError(f"{scene}: lists neither performers nor sources", "unreadable")
    return [source for source in sources if not source.get("silent", False)]


def sounding_boxes(scene: Path, times_s: Sequence[float], window_s: float) -> list[list[list[float]]]:
    """Boxes of the performers of a simulated concert, with their instruments, that sound around each of the times.

    A performer sounds if one of the performer's notes sounds within the window around the time. A performer outside the
    picture has no box. A box is left, top, right, bottom, in fractions of the picture.

    Raises:
        DataError: the file is missing, or is not a scene of a simulated concert.
    """
    if not scene.is_file():
        raise DataError(f"{scene}: is missing, so it is not known where anybody is", "missing")
    boxes: list[list[list[float]]] = []
    try:
        performers = [
            (
                [(float(onset), float(onset + duration)) for onset, duration, *_ in performer["notes"]],
                np.array([point["time_s"] for point in performer["track"]]),
                [point["box"] for point in performer["track"]],
            )
            for performer in sounding_sources(scene)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{scene}: is no scene of a simulated concert, which has notes and boxes", "unreadable"
        ) from error
    for time_s in times_s:
        first_s, last_s = time_s - window_s / 2, time_s + window_s / 2
        found = []
        for notes, track_s, box in performers:
            now = box[max(0, int(np.searchsorted(track_s, time_s + 1e-6)) - 1)]
            if now is not None and any(onset < last_s and end > first_s for onset, end in notes):
                found.append([float(side) for side in now])
        boxes.append(found)
    return boxes


def _content(scene: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(scene.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{scene}: cannot be read as JSON", "unreadable") from error
    if not isinstance(content, dict):
        raise DataError(f"{scene}: lists neither performers nor sources", "unreadable")
    return content
