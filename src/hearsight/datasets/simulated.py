"""This project's own simulated concerts: FAIR-Play's layout with depth and every truth beside it."""

import json
import os
from dataclasses import replace
from pathlib import Path

from hearsight.datasets.clip import Clip
from hearsight.datasets.fair_play import fair_play_clips
from hearsight.errors import DataError

RESPONSE_FILE = "response.wav"
"""Beside the stems of a clip: the impulse response of its loudest source."""


def simulated_clips(folder: str | os.PathLike[str]) -> list[Clip]:
    """Clips with their depth maps; clips of one room count as one recording, an only performer gives the label.

    Raises:
        DataError: the folder is not in the layout, or a clip's truth is missing or unreadable.
    """
    root = Path(folder)
    clips = []
    for clip in fair_play_clips(root, complete=False):
        truth = root / "scenes" / f"{clip.name}.json"
        try:
            scene = json.loads(truth.read_text(encoding="utf-8"))
            room, players = scene["room"]["number"], [one["label"] for one in scene["performers"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{truth}: is not the truth of a simulated clip; simulate the set again", "unreadable"
            ) from error
        label = players[0] if len(players) == 1 else None
        depth, response = root / "depth" / clip.name, root / "stems" / clip.name / RESPONSE_FILE
        known = response if response.is_file() else None  # open air has none, nor have sets of earlier versions
        clips.append(
            replace(clip, recording=f"room{room}", label=label, depth=depth, depth_rate_hz=1.0, response=known)
        )
    return clips
