"""Reader of simulated concerts of hearsight: FAIR-Play's layout with depth and all true values."""

import json
import os
from dataclasses import replace
from pathlib import Path

from hearsight.datasets.clip import Clip
from hearsight.datasets.fair_play import fair_play_clips
from hearsight.errors import DataError

RESPONSE_FILE = "response.wav"
"""File beside the stems of a clip: the impulse response of its loudest source."""


def simulated_clips(folder: str | os.PathLike[str]) -> list[Clip]:
    """List clips with their depth maps. Clips of one room are one recording; a single performer gives the label.

    Raises:
        DataError: the folder is not in the layout, or a clip's scene file is missing or unreadable.
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
        known = response if response.is_file() else None  # open air has none, and neither have sets of earlier versions
        clips.append(
            replace(clip, recording=f"room{room}", label=label, depth=depth, depth_rate_hz=1.0, response=known)
        )
    return clips
