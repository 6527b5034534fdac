"""A folder of videos, whatever they are; and videos named by a list of ids (YouTube-ASMR and the like)."""

import os
from pathlib import Path

from hearsight.datasets.clip import Clip, Sound
from hearsight.errors import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv"})


def folder_clips(folder: str | os.PathLike[str], kind: Sound = "any") -> list[Clip]:
    """Every video in a folder and below it, named by its path without suffix.

    With kind "any", what has two channels that differ is binaural, the rest mono.

    Raises:
        DataError: the folder is missing or holds no video, or two videos differ only in their suffix.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    videos = video_files(root)
    if not videos:
        raise DataError(f"{root}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    names = [path.relative_to(root).with_suffix("").as_posix() for path in videos]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{root}: holds {twice} in two containers; keep one")
    return [Clip(name, path, path, kind, recording=name) for name, path in zip(names, videos, strict=True)]


def video_files(folder: Path) -> list[Path]:
    """The videos in a folder and below it, sorted; hidden files are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def listed_clips(
    folder: str | os.PathLike[str], listing: str | os.PathLike[str], kind: Sound = "binaural"
) -> list[Clip]:
    """Videos that a list names by id, as YouTube-ASMR is published: one a line, `ID` or `ID,START[,END]` in seconds.

    The videos are `ID.*` in the folder or below it; ids whose video is missing are skipped.

    Raises:
        DataError: the list cannot be read, a time in it is no number, or none of its videos is there.
    """
    path = Path(listing)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    found = {Path(clip.name).name: clip for clip in folder_clips(folder, kind)}
    clips: list[Clip] = []
    for number, line in enumerate(lines, start=1):
        identity, *times = (part.strip() for part in line.split(","))
        if not identity or identity.startswith("#") or identity not in found:
            continue
        try:
            seconds = [float(time) for time in times if time]
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {line!r} is not ID or ID,START,END in seconds") from error
        start = seconds[0] if seconds else 0.0
        duration = seconds[1] - seconds[0] if len(seconds) > 1 else None
        name = f"{identity}@{start:g}" if seconds else identity
        video = found[identity].sound
        clips.append(Clip(name, video, video, kind, recording=identity, start_s=start, duration_s=duration))
    if not clips:
        raise DataError(f"{path}: none of the videos that it names is in {folder}")
    return clips
