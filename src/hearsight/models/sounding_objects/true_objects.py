"""Ground truth in place of the detections of `sounding-objects`, for a simulated concert, read from the scene file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from hearsight.acoustics import direction_to_picture, from_cartesian
from hearsight.errors import DataError
from hearsight.simulation.scene_file import scene_field_of_view
from hearsight.vision.appearance import APPEARANCE, APPEARANCE_CLASSES
from hearsight.vision.frames import Frame
from hearsight.vision.object_tracks import ObjectTrack

SIMULATED_AS_SOUND_CLASS: dict[str, str] = {
    "cello": "cello",
    "acoustic guitar": "guitar",
    "drums": "drums",
    "ukulele": "banjo",
    "harp": "harp",
    "piano": "piano",
    "trumpet": "trumpet",
    "upright bass": "bass",
    "banjo": "banjo",
}
"""Class of `sounding-objects` for each instrument of simulated concerts."""

STRENGTH = 0.8
PLAYED_MOTION, IDLE_MOTION = 0.6, 0.1

# Centres of instruments that nobody plays, in metres: ahead of their place on the floor, and above. Some stand where
# their player would have them; pianos are drawn in two sizes, which the scene file does not record.
_STANDING = {"piano": (0.9, 0.95), "drums": (0.68, 0.72), "harp": (0.46, 0.92), "trumpet": (0.0, 0.35)}
_ON_A_STAND = (0.05, 0.5)
_ACROSS_M = 0.5


class TrueObjects:
    """The true objects of a simulated concert, from its scene file; takes the place of the tracker.

    Performers are objects at the places where their sound comes from. Silent ones are included, so that nothing reveals
    who plays. Idle instruments are objects while their centre is in the picture; the file does not record occlusions.

    The appearance of an object is the expected one of its class: evidence of 0.8 in all, spread as in the row of
    `APPEARANCE`, so no instrument is confused more than its class is on average. Motion is 0.6 for performers, 0.1 for
    idle instruments, about the values of `InstrumentTracker` in real clips: over the first 9 s of four concert clips
    (the camera of one of them pans) six played instruments had means of 0.42 to 0.95 (0.67 on average), three idle
    pianos 0.16, 0.03 and 0.02.

    Args:
        scene: the scene file of a simulated concert.

    Raises:
        DataError: the file is missing or is no scene of a simulated concert, it has an unknown instrument, or its
            picture is no cylinder.
    """

    def __init__(self, scene: Path) -> None:
        if not scene.is_file():
            raise DataError(f"{scene}: is missing, so the true positions are not known", "missing")
        field_of_view = scene_field_of_view(scene)
        content = json.loads(scene.read_text(encoding="utf-8"))
        try:
            performers = [_performer(performer) for performer in content["performers"]]
            standing = [track for track in content["objects"] if track["label"] in SIMULATED_AS_SOUND_CLASS]
            idle = [_idle(track, content, field_of_view) for track in standing]
        except _NotPlayedError as error:
            raise DataError(f"{scene}: {error.args[0]!r} is no instrument of a simulated concert", "unknown") from error
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{scene}: is no scene of a simulated concert, which says who stands where; true positions are not "
                "known to sounding-objects",
                "unreadable",
            ) from error
        self._known = performers + idle

    def update(self, frame: Frame) -> None:
        """Do nothing: frames are not analysed."""

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """The objects present at any of these times; labels are the simulator's."""
        tracks = [known.at(number, np.asarray(times_s, np.float64)) for number, known in enumerate(self._known, 1)]
        return [track for track in tracks if track.strength.max(initial=0.0) > 0]


class _NotPlayedError(Exception):
    """Label of a performer that is no known instrument."""


@dataclass(frozen=True)
class _Known:
    label: str
    time_s: Float[np.ndarray, "points"]
    x: Float[np.ndarray, "points"]
    y: Float[np.ndarray, "points"]
    width: Float[np.ndarray, "points"]
    motion: float
    stays: bool  # remains an object outside the picture

    def at(self, number: int, times_s: Float[np.ndarray, "times"]) -> ObjectTrack:
        x, y, width = (np.interp(times_s, self.time_s, values) for values in (self.x, self.y, self.width))
        detections = STRENGTH * APPEARANCE[APPEARANCE_CLASSES.index(SIMULATED_AS_SOUND_CLASS[self.label])]
        is_there = self.stays | ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1))
        return ObjectTrack(
            number=number,
            label=self.label,
            x=x,
            y=y,
            width=width,
            evidence=np.tile(detections, (len(times_s), 1)),
            strength=np.where(is_there, detections.sum(dtype=np.float64), 0.0),
            motion=np.full(len(times_s), self.motion),
        )


def _performer(performer: dict[str, Any]) -> _Known:
    label = str(performer["label"])
    if label not in SIMULATED_AS_SOUND_CLASS:
        raise _NotPlayedError(label)
    time_s, x, y = (np.array([float(point[key]) for point in performer["track"]]) for key in ("time_s", "x", "y"))
    boxes = [point["instrument_box"] for point in performer["track"]]
    width = np.array([box[2] - box[0] if box is not None else np.nan for box in boxes])
    seen = np.isfinite(width)
    width = np.interp(time_s, time_s[seen], width[seen]) if seen.any() else np.zeros(len(time_s))
    return _Known(label, time_s, x, y, width, PLAYED_MOTION, stays=True)


def _idle(track: dict[str, Any], content: dict[str, Any], field_of_view: float | None) -> _Known:
    if field_of_view is None:
        raise ValueError("no field of view")
    label = str(track["label"])
    ahead, above = _STANDING.get(label, _ON_A_STAND)
    facing = math.radians(float(track["facing_deg"]))
    middle = np.array(track["position_m"], float) + [ahead * math.cos(facing), ahead * math.sin(facing), above]
    to_head = np.array(content["listener"]["to_head"], float).reshape(-1, 3, 3)
    local = to_head @ (middle - np.array(content["listener"]["position_m"], float))
    azimuth, elevation = from_cartesian(torch.from_numpy(local))
    x, y = (values.numpy() for values in direction_to_picture(azimuth, elevation, field_of_view))
    time_s = np.arange(len(to_head)) / float(content["frame_rate_hz"])
    width = _ACROSS_M / np.linalg.norm(local, axis=-1) / field_of_view
    return _Known(label, time_s, x, y, width, IDLE_MOTION, stays=False)
