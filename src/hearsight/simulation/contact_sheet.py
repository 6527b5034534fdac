"""Contact sheet: one frame of each of some clips with the true values drawn over it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.datasets.fair_play_layout import clip_name
from hearsight.errors import DataError
from hearsight.files import written_whole
from hearsight.media import read_frames
from hearsight.simulation.write import read_simulation

_COLUMNS = 3
_COLOURS = ((255, 210, 60), (90, 230, 255), (255, 120, 200))


def contact_sheet(folder: str | os.PathLike[str], target: str | os.PathLike[str], clips: int = 12) -> None:
    """Write a JPEG or PNG of the first clips of a set: boxes, names, directions and distances on one frame each.

    It is the frame at which most of the performers play. Frames of the cylinder are stretched to one and a half times
    their height, nearer to their true shape.

    Raises:
        DataError: the folder is not a set of simulated concerts or is not complete.
    """
    folder, target = Path(folder), Path(target)
    simulation = read_simulation(folder)
    tall = 1.5 if simulation["settings"]["projection"] == "cylinder" else 1.0
    panels = []
    for number in range(1, min(clips, simulation["clips"]) + 1):
        name = clip_name(number)
        try:
            truth = json.loads((folder / "scenes" / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder}: clip {name} is missing; run hearsight simulate again to complete it", "missing"
            ) from error
        best = _busiest_frame(truth)
        for index, frame in enumerate(read_frames(folder / "videos" / f"{name}.mp4")):
            if index == best:
                panels.append(_panel(np.asarray(frame.rgb), truth, best, tall))
                break
    while len(panels) % _COLUMNS:
        panels.append(np.full_like(panels[0], 255))
    rows = [np.hstack(panels[index : index + _COLUMNS]) for index in range(0, len(panels), _COLUMNS)]
    with written_whole(target) as temporary:
        if not cv2.imwrite(str(temporary), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]):
            raise DataError(
                f"{target}: is no picture format that can be written; name a .jpg or .png file", "unsupported"
            )


def _busiest_frame(truth: dict[str, Any]) -> int:
    frames = len(truth["performers"][0]["track"])
    playing = np.zeros(frames)
    times = np.arange(frames) / truth["frame_rate_hz"]
    for performer in truth["performers"]:
        sounding = np.zeros(frames, bool)
        for onset, duration, _, _ in performer["notes"]:
            sounding |= (times >= onset) & (times < onset + duration)
        playing += sounding
    return int(playing.argmax())


def _panel(pixels: NDArray[np.uint8], truth: dict[str, Any], frame: int, tall: float) -> NDArray[np.uint8]:
    height, width = int(pixels.shape[0] * tall), pixels.shape[1]
    image = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    time = frame / truth["frame_rate_hz"]
    for performer, colour in zip(truth["performers"], _COLOURS, strict=False):
        at = performer["track"][frame]
        if at["box"] is not None:
            left, top, right, bottom = at["box"]
            corners = (int(left * width), int(top * height)), (int(right * width) - 1, int(bottom * height) - 1)
            cv2.rectangle(image, *corners, colour, 1)
        cv2.drawMarker(image, (int(at["x"] * width), int(at["y"] * height)), colour, cv2.MARKER_CROSS, 9, 1)
        resting = any(a <= time < b for a, b in performer["rests_s"])
        lines = [
            performer["label"] + (" (rests)" if resting else ""),
            f"{at['azimuth_deg']:+.0f} deg {at['distance_m']:.1f} m",
        ]
        box = at["box"] or [at["x"], at["y"], at["x"], at["y"]]
        above = box[1] * height > 34
        for index, line in enumerate(lines):
            y = int(box[1] * height) - 18 + 14 * index if above else int(box[3] * height) + 13 + 14 * index
            _write(image, line, int(box[0] * width), y, colour)
    room = truth["room"]
    size = " x ".join(f"{v:.1f}" for v in room["size_m"])
    note = f"{truth['clip']}  {size} m  RT {room['reverberation_s']:.2f} s  {truth['listener']['motion']}"
    _write(image, note, 4, height - 6, (255, 255, 255))
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), (255, 255, 255), 1)
    return image


def _write(image: NDArray[np.uint8], text: str, x: int, y: int, colour: Sequence[int]) -> None:
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    x, y = max(2, min(x, image.shape[1] - wide - 2)), max(11, min(y, image.shape[0] - 4))
    cv2.putText(image, text, (x + 1, y + 1), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, tuple(colour), 1, cv2.LINE_AA)
