"""YT-MUSIC, YT-CLEAN and REC-STREET: equirectangular video with first-order ambisonics (Morgado et al., 2018).

As they are downloaded: `ID.mp4` (or another container) with four channels of sound in it, or with `ID.wav` beside it;
lists of ids name the parts of a split, one id a line.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hearsight.datasets.clip import AmbisonicFormat, Clip
from hearsight.datasets.left_out import LeftOut
from hearsight.datasets.splits import named
from hearsight.datasets.video_folder import folder_clips
from hearsight.errors import DataError


def surround_clips(
    folder: str | os.PathLike[str],
    listed: Sequence[str] | None = None,
    ambisonic_format: AmbisonicFormat = "ambix",
) -> tuple[list[Clip], list[LeftOut]]:
    """Recordings with first-order ambisonics, to be decoded to two ears, and listed ids whose video is missing.

    Args:
        folder: with the videos, directly or below.
        listed: ids to use; None: all.
        ambisonic_format: "ambix" (YouTube's) or "fuma".

    Raises:
        DataError: no video is found, or none that is listed.
    """
    clips = [
        replace(clip, kind="ambisonic", ambisonic_format=ambisonic_format, projection="equirectangular")
        for clip in folder_clips(folder, "any")
    ]
    clips = [
        replace(clip, sound=clip.sound.with_suffix(".wav")) if clip.sound.with_suffix(".wav").is_file() else clip
        for clip in clips
    ]
    if listed is None:
        return clips, []
    wanted = dict.fromkeys(listed)
    chosen = [clip for clip in clips if Path(clip.name).name in wanted or clip.recording in wanted]
    if not chosen:
        raise DataError(f"{folder}: holds none of the {len(wanted)} listed videos ({named(wanted)})")
    there = {Path(clip.name).name for clip in chosen} | {clip.recording for clip in chosen}
    return chosen, [LeftOut(name, "listed, but there is no such video") for name in wanted if name not in there]
