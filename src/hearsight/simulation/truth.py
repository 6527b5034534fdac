"""Content of a clip's `scenes/NAME.json`: all known facts about it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.materials import BANDS_HZ
from hearsight.simulation.picture import BODY, INSTRUMENT
from hearsight.simulation.scene import FACES, Scene
from hearsight.simulation.settings import Settings
from hearsight.simulation.sound import Sound

Box = list[float]


def truth_of(
    scene: Scene, settings: Settings, sound: Sound, boxes: Sequence[Sequence[tuple[Box | None, Box | None]]]
) -> dict[str, Any]:
    """All known facts about a clip as JSON values.

    Args:
        boxes: for each performer and frame, the box of the performer with the instrument and of the instrument alone
            (see `visible_boxes`).
    """
    times = np.arange(settings.frames) / settings.frame_rate_hz
    to_head = scene.listener.to_head(times)
    performers = []
    for index, performer in enumerate(scene.performers):
        notes = sound.music.parts[index]
        name = f"{index + 1}_{performer.instrument.replace(' ', '_')}"
        performers.append(
            {
                "label": performer.instrument,
                "role": sound.music.roles[index],
                "position_m": [*performer.position, 0.0],
                "source_m": list(performer.source),
                "facing_deg": _degrees(performer.yaw),
                "seated": performer.seated,
                "rests_s": [list(rest) for rest in performer.rests],
                "silent": not notes,
                "appearance": asdict(performer.dress),
                "stem_dry": f"stems/{scene.number:06d}/{name}.dry.wav",
                "stem_ears": f"stems/{scene.number:06d}/{name}.ears.wav",
                "dry_scale": sound.dry_scale[index],
                "notes": [[n.onset_s, n.duration_s, n.pitch, n.velocity] for n in notes],
                "track": _track(np.array(performer.source), scene, settings, to_head, times, boxes[index]),
            }
        )
    listener, room = scene.listener, scene.room
    return {
        "clip": f"{scene.number:06d}",
        "duration_s": settings.seconds,
        "sample_rate_hz": settings.sample_rate_hz,
        "frame_rate_hz": settings.frame_rate_hz,
        "projection": settings.projection,
        "field_of_view_deg": settings.field_of_view_deg,
        "room": {
            "number": room.number,
            "size_m": list(room.size),
            "materials": dict(zip(FACES, room.materials, strict=True)),
            "reverberation_s": room.reverberation_mid_s,
            "reverberation_bands_s": {f"{b:g}": t for b, t in zip(BANDS_HZ, room.reverberation_s, strict=True)},
        },
        "listener": {
            "position_m": list(listener.position),
            "yaw_deg": _degrees(listener.yaw),
            "motion": listener.motion,
            "to_head": [[round(float(v), 7) for v in rotation.ravel()] for rotation in to_head],
        },
        "music": {
            "key": sound.music.key,
            "tempo_bpm": sound.music.tempo_bpm,
            "beats_per_bar": sound.music.beats_per_bar,
        },
        "gain": sound.gain,
        "noise_db": sound.noise_db,
        "stem_noise": f"stems/{scene.number:06d}/noise.wav",
        "performers": performers,
        "objects": [
            {"label": t.name, "position_m": [*t.position, 0.0], "facing_deg": _degrees(t.yaw)} for t in scene.objects
        ],
    }  # fmt: skip


def visible_boxes(owner: NDArray[np.uint8], performers: int) -> list[tuple[Box | None, Box | None]]:
    """Boxes `[left, top, right, bottom]` (0 to 1) of the visible parts of each performer with instrument, and of the
    instrument alone; None if not visible. `owner` as in `picture.View`."""
    boxes = []
    for index in range(performers):
        instrument = owner == 2 * index + INSTRUMENT
        boxes.append((_box(instrument | (owner == 2 * index + BODY)), _box(instrument)))
    return boxes


def _box(mask: NDArray[np.bool_]) -> Box | None:
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        return None
    rows = np.flatnonzero(mask[:, columns[0] : columns[-1] + 1].any(axis=1))
    height, width = mask.shape
    edges = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
    return [round(float(edge), 5) for edge in edges]


def _track(
    source: NDArray[np.float64],
    scene: Scene,
    settings: Settings,
    to_head: NDArray[np.float64],
    times: NDArray[np.float64],
    boxes: Sequence[tuple[Box | None, Box | None]],
) -> list[dict[str, Any]]:
    """Position of the source at each frame, in the picture and as a direction from the head at that time."""
    local = to_head @ (source - np.array(scene.listener.position))
    x, y = settings.camera.project(local)
    azimuth, elevation = (
        np.arctan2(local[:, 1], local[:, 0]),
        np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1])),
    )
    return [
        {
            "time_s": round(float(times[k]), 6),
            "x": round(float(x[k]), 6),
            "y": round(float(y[k]), 6),
            "azimuth_deg": round(_degrees(azimuth[k]), 5),
            "elevation_deg": round(_degrees(elevation[k]), 5),
            "distance_m": round(float(np.linalg.norm(local[k])), 5),
            "box": boxes[k][0],
            "instrument_box": boxes[k][1],
        }
        for k in range(len(times))
    ]


def _degrees(angle: float) -> float:
    return float((np.rad2deg(angle) + 180) % 360 - 180)
