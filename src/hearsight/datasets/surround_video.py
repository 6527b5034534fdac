"""Readers of 360-degree video with first-order ambisonics, and turning camera views of it.

The datasets are YT-MUSIC, YT-CLEAN and REC-STREET (Morgado et al., 2018), YT-360 (Morgado et al., 2020) and Sphere360
(OmniAudio, ICML 2025). The first three as downloaded: `ID.mp4` (or another container) with four channels of sound in
it, or with `ID.wav` beside it; lists of ids name the parts of a split, one id per line.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hearsight.datasets.clip import AmbisonicFormat, Camera, Clip
from hearsight.datasets.left_out import LeftOut
from hearsight.datasets.splits import named
from hearsight.datasets.video_folder import folder_clips
from hearsight.errors import DataError


def surround_clips(
    folder: str | os.PathLike[str],
    listed: Sequence[str] | None = None,
    ambisonic_format: AmbisonicFormat = "ambix",
) -> tuple[list[Clip], list[LeftOut]]:
    """List recordings with first-order ambisonics, to be decoded to two ears, and listed ids without a video.

    Args:
        folder: folder of the videos, in it or below it.
        listed: ids to use; None for all.
        ambisonic_format: "ambix" (YouTube's) or "fuma".

    Raises:
        DataError: no video is found, or none that is listed.
    """
    clips = [
        replace(clip, sound_type="ambisonic", ambisonic_format=ambisonic_format, projection="equirectangular")
        for clip in folder_clips(folder, "any")
    ]
    clips = [
        replace(clip, sound=clip.sound.with_suffix(".wav")) if clip.sound.with_suffix(".wav").is_file() else clip
        for clip in clips
    ]
    return _chosen(clips, folder, listed)


def piece_clips(
    folder: str | os.PathLike[str],
    listed: Sequence[str] | None = None,
    ambisonic_format: AmbisonicFormat = "ambix",
    separator: str = "-",
) -> tuple[list[Clip], list[LeftOut]]:
    """List pieces of 360-degree videos, and listed ids without a piece. All pieces of an id are one recording.

    YT-360 has the layout that its authors describe: `video/ID-START.*` and `audio/ID-START.*`, and ids in `train.txt`
    and `test.txt`. For Sphere360 only the length of the pieces is published, ten seconds. Its pieces are read as
    `ID_START.*`, with the sound in the video or in `audio/` or as `.wav` beside it (`separator="_"`).

    Args:
        folder: folder with `video/` and `audio/`, or with the videos themselves.
        listed: ids (or names of pieces) to use; None for all.
        ambisonic_format: "ambix" or "fuma".
        separator: separator between id and start.

    Raises:
        DataError: no video is found, or none that is listed.
    """
    root = Path(folder)
    videos = root / "video" if (root / "video").is_dir() else root
    sounds = {path.stem: path for path in sorted((root / "audio").glob("*")) if not path.name.startswith(".")}
    clips, _ = surround_clips(videos, None, ambisonic_format)
    pieces = []
    for clip in clips:
        piece = Path(clip.name).name
        identity, between, start = piece.rpartition(separator)
        known = identity if between and start.replace(".", "", 1).isdigit() else piece
        pieces.append(replace(clip, recording=known, sound=sounds.get(piece, clip.sound)))
    return _chosen(pieces, folder, listed)


def turning_views(clips: Sequence[Clip], count: int, turn_deg_per_s: float = 0.0) -> list[Clip]:
    """Views of each 360-degree clip by `count` cameras with evenly spaced directions at its start, all of one
    recording.

    Picture and sound are turned together, so that each view is a binaural clip of its own. Every second camera turns in
    the opposite direction.

    Raises:
        DataError: a clip is not an equirectangular video with ambisonics, or `count` is below 1.
    """
    if count < 1:
        raise DataError(f"{count} cameras see nothing; give 1 or more")
    views = []
    for clip in clips:
        if clip.sound_type != "ambisonic" or clip.projection != "equirectangular":
            raise DataError(
                f"{clip.name}: is no 360-degree video with ambisonics, in which a camera could turn", "unsupported"
            )
        for number in range(count):
            azimuth_deg = number * 360 / count
            camera = Camera(azimuth_deg, turn_deg_per_s if number % 2 == 0 else -turn_deg_per_s)
            name = f"{clip.name}@{azimuth_deg:g}"
            views.append(replace(clip, name=name, recording=clip.recording or clip.name, camera=camera))
    return views


def _chosen(
    clips: list[Clip], folder: str | os.PathLike[str], listed: Sequence[str] | None
) -> tuple[list[Clip], list[LeftOut]]:
    if listed is None:
        return clips, []
    wanted = dict.fromkeys(listed)
    chosen = [clip for clip in clips if Path(clip.name).name in wanted or clip.recording in wanted]
    if not chosen:
        raise DataError(f"{folder}: holds none of the {len(wanted)} listed videos ({named(wanted)})", "missing")
    there = {Path(clip.name).name for clip in chosen} | {clip.recording for clip in chosen}
    return chosen, [LeftOut(name, "listed, but there is no such video") for name in wanted if name not in there]
