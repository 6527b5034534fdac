"""YT-MUSIC, YT-CLEAN and REC-STREET: equirectangular video with first-order ambisonics (Morgado et al., 2018).

As they are downloaded: `ID.mp4` (or another container) with four channels of sound in it, or with `ID.wav` beside it;
lists of ids name the parts of a split, one id a line.
"""

import os
from dataclasses import replace
from pathlib import Path

from hearsight.datasets.clip import AmbisonicFormat, Clip
from hearsight.datasets.video_folder import folder_clips
from hearsight.errors import DataError


def surround_clips(
    folder: str | os.PathLike[str],
    listing: str | os.PathLike[str] | None = None,
    ambisonic_format: AmbisonicFormat = "ambix",
) -> list[Clip]:
    """Recordings with first-order ambisonics, to be decoded to two ears with the HRIR set.

    Args:
        folder: with the videos, directly or below.
        listing: ids to use, one a line; None: all.
        ambisonic_format: "ambix" (YouTube's) or "fuma".

    Raises:
        DataError: no video is found, or none that the list names.
    """
    clips = [
        replace(clip, kind="ambisonic", ambisonic_format=ambisonic_format, projection="equirectangular")
        for clip in folder_clips(folder, "any")
    ]
    clips = [
        replace(clip, sound=clip.sound.with_suffix(".wav")) if clip.sound.with_suffix(".wav").is_file() else clip
        for clip in clips
    ]
    if listing is None:
        return clips
    try:
        wanted = {line.strip() for line in Path(listing).read_text(encoding="utf-8").splitlines() if line.strip()}
    except OSError as error:
        raise DataError(f"{listing}: cannot be read ({error.strerror})") from error
    chosen = [clip for clip in clips if Path(clip.name).name in wanted]
    if not chosen:
        raise DataError(f"{listing}: none of the videos that it names is in {folder}")
    return chosen
