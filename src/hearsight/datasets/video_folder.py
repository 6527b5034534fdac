"""Readers of any folder of videos, and of videos named by a list of ids (YouTube-ASMR and similar datasets)."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hearsight.datasets.clip import Clip, SoundType
from hearsight.datasets.left_out import LeftOut
from hearsight.datasets.splits import named, read_names
from hearsight.errors import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv"})


def folder_clips(folder: str | os.PathLike[str], sound_type: SoundType = "any") -> list[Clip]:
    """List every video in a folder and below it, named by its path without suffix.

    With sound_type "any", clips with two different channels are binaural, the rest mono. Pieces of one YouTube video
    belong to one recording (`recording_of`).

    Raises:
        DataError: the folder is missing or holds no video, or two videos differ only in their suffix.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder", "missing")
    videos = video_files(root)
    if not videos:
        raise DataError(f"{root}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})", "missing")
    names = [path.relative_to(root).with_suffix("").as_posix() for path in videos]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{root}: holds {twice} in two containers; keep one")
    return [
        Clip(name, path, path, sound_type, recording=recording_of(name))
        for name, path in zip(names, videos, strict=True)
    ]


def video_files(folder: Path) -> list[Path]:
    """Videos in a folder and below it, sorted, without hidden files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def listed_clips(
    folder: str | os.PathLike[str], listings: Sequence[str | os.PathLike[str]], sound_type: SoundType = "binaural"
) -> tuple[list[Clip], list[LeftOut]]:
    """List videos that lists name by id, and the ids whose video is missing.

    A line is `ID` or `ID,START[,END]` in seconds; `#` begins a comment. The videos are `ID.*` in the folder or below
    it. All clips of one id, and of the pieces that it was cut into (`recording_of`), belong to one recording.

    Raises:
        DataError: a list cannot be read, a time in it is not a number, or none of its videos exists.
    """
    found = {Path(clip.name).name: clip for clip in folder_clips(folder, sound_type)}
    clips: dict[str, Clip] = {}
    missing: list[LeftOut] = []
    for listing in map(Path, listings):
        for number, line in enumerate(read_names(listing), start=1):
            identity, *times = (part.strip() for part in line.split(","))
            if not identity or identity.startswith("#"):
                continue
            try:
                seconds = [float(time) for time in times if time]
            except ValueError as error:
                raise DataError(f"{listing}, line {number}: {line!r} is not ID or ID,START,END in seconds") from error
            name = f"{identity}@{seconds[0]:g}" if seconds else identity
            if identity not in found:
                missing.append(LeftOut(name, "listed, but there is no such video"))
                continue
            start = seconds[0] if seconds else 0.0
            duration = seconds[1] - seconds[0] if len(seconds) > 1 else None
            video, recording = found[identity].sound, found[identity].recording
            clips[name] = Clip(name, video, video, sound_type, recording, start_s=start, duration_s=duration)
    if not clips:
        raise DataError(f"{named(map(str, listings))}: none of the videos that it names is in {folder}", "missing")
    return list(clips.values()), missing


def recording_of(name: str) -> str:
    """Recording of a video, from its path without suffix, as YouTube's downloads are named.

    `ID` has 11 characters. A name that continues after it with a separator and only numbers (`ID_000030`, `ID-12-22`)
    is a piece of that video, and so is a file in a folder called `ID`. Any other video is a recording of its own.
    """
    path = PurePosixPath(name)
    piece = _PIECE_OF_ID.match(path.name)
    if piece is not None:
        return piece["id"]
    return path.parent.name if _ID.match(path.parent.name) else name


_ID = re.compile(r"^[\w-]{11}$", re.ASCII)
_PIECE_OF_ID = re.compile(r"^(?P<id>[\w-]{11})[_.@+ -][\d_.+ -]*\d$", re.ASCII)
