"""Lists of mono clips: videos with one visible source each, used to make pseudo pairs."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.datasets.video_folder import VIDEO_SUFFIXES, recording_of, video_files
from hearsight.errors import DataError


@dataclass(frozen=True)
class MonoClip:
    """Clip with one visible source.

    Attributes:
        name: unique name in its list; by default its path in the list.
        picture: a video, or a folder of pictures taken 10 times a second (ordered by name).
        sound: a video or sound file; all its channels are mixed to mono.
        label: class of the source (`cello`); selects among boxes with labels, and is the prompt of a detector.
        recording: recording that it was cut from, if the list gives it: two clips of one recording are never in one
            pair.
        box: box of the source, in fractions of the picture (x0, y0, x1, y1), if the list gives it.
    """

    name: str
    picture: Path
    sound: Path
    label: str | None = None
    box: tuple[float, float, float, float] | None = None
    recording: str | None = None


def read_clip_list(path: str | os.PathLike[str]) -> list[MonoClip]:
    """Read a list of clips; paths in it are relative to the list's folder.

    - A folder: all videos in it and below it, by name.
    - Text: one video per line; or `SOUND,PICTURES` with a folder of pictures (as in the published lists of FAIR-Play's
    mono sources). Empty lines and lines that start with `#` are skipped.
    - CSV with a header: the column `clip` (a video) or the columns `sound` and `picture`; optional `name`, `label`,
    `recording` and `x0,y0,x1,y1` (fractions of the picture).
    - JSON: a list of paths, or of objects with the same keys and `box` [x0, y0, x1, y1].

    The clips' files are not opened here: `prepare_mono_clips` names unreadable ones and leaves them out.

    Raises:
        DataError: the list is missing, malformed (the message names the line), names a clip twice, or is empty.
    """
    path = Path(path)
    if path.is_dir():
        clips = [_of_folder(path, video) for video in video_files(path)]
        if not clips:
            raise DataError(f"{path}: no videos in this folder ({', '.join(sorted(VIDEO_SUFFIXES))})", "missing")
        return clips
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: not found; give a list of clips (text, CSV, JSON) or a folder of videos", "missing"
        ) from error
    except UnicodeDecodeError as error:
        hint = "put its folder or a list with its path" if path.suffix.lower() in VIDEO_SUFFIXES else "give text"
        raise DataError(f"{path}: is not a list of clips but binary data; {hint}", "unreadable") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    if path.suffix.lower() == ".json":
        entries = _json_entries(path, text)
    elif path.suffix.lower() == ".csv":
        entries = _csv_entries(path, text)
    else:
        entries = _text_entries(path, text)
    clips = [_clip(path, place, entry) for place, entry in entries]
    if not clips:
        raise DataError(f"{path}: the list is empty", "too-little")
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise DataError(f"{path}: names {clip.name} twice; name each clip once")
        seen.add(clip.name)
    return clips


def _of_folder(folder: Path, video: Path) -> MonoClip:
    name = video.relative_to(folder)
    return MonoClip(name.as_posix(), video, video, recording=recording_of(name.with_suffix("").as_posix()))


_Entry = tuple[str, dict[str, Any]]  # place in the list, content


def _text_entries(path: Path, text: str) -> Iterable[_Entry]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        sound, comma, picture = (part.strip() for part in line.partition(","))
        # A video's name may have a comma.
        if comma and Path(line).suffix.lower() not in VIDEO_SUFFIXES:
            yield f"{path}, line {number}", {"sound": sound, "picture": picture}
        else:
            yield f"{path}, line {number}", {"clip": line}


def _csv_entries(path: Path, text: str) -> Iterable[_Entry]:
    reader = csv.DictReader(text.splitlines())
    columns = reader.fieldnames or []
    if "clip" not in columns and not {"sound", "picture"} <= set(columns):
        raise DataError(f"{path}: a CSV list needs a header with `clip`, or with `sound` and `picture`")
    edges = ("x0", "y0", "x1", "y1")
    for number, row in enumerate(reader, start=2):
        entry: dict[str, Any] = {key: value.strip() for key, value in row.items() if key and value and value.strip()}
        given = [edge for edge in edges if edge in entry]
        if given:
            if len(given) < 4:
                raise DataError(f"{path}, line {number}: a box needs x0, y0, x1 and y1; found {', '.join(given)}")
            entry["box"] = [entry.pop(edge) for edge in edges]
        yield f"{path}, line {number}", entry


def _json_entries(path: Path, text: str) -> Iterable[_Entry]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON (line {error.lineno}: {error.msg})", "unreadable") from error
    if not isinstance(content, list):
        raise DataError(f"{path}: a JSON list of clips is a list, not {type(content).__name__}")
    for number, entry in enumerate(content):
        place = f"{path}, entry {number}"
        if isinstance(entry, str):
            yield place, {"clip": entry}
        elif isinstance(entry, dict):
            yield place, entry
        else:
            raise DataError(f"{place}: an entry is a path or an object, not {type(entry).__name__}")


def _clip(path: Path, place: str, entry: dict[str, Any]) -> MonoClip:
    picture, sound = entry.get("picture", entry.get("clip")), entry.get("sound", entry.get("clip"))
    if not isinstance(picture, str) or not isinstance(sound, str):
        raise DataError(f"{place}: needs `clip`, or `sound` and `picture`")
    box = entry.get("box")
    if box is not None:
        try:
            x0, y0, x1, y1 = (float(edge) for edge in box)
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}: a box is four numbers x0, y0, x1, y1; found {box!r}") from error
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise DataError(f"{place}: box {box} must be x0 < x1, y0 < y1 in fractions of the picture, 0 to 1")
        box = (x0, y0, x1, y1)
    label, recording = entry.get("label"), entry.get("recording")
    folder = path.parent
    return MonoClip(
        name=str(entry.get("name", entry.get("clip", sound))),
        picture=folder / picture,
        sound=folder / sound,
        label=None if label in (None, "") else str(label),
        box=box,
        recording=None if recording in (None, "") else str(recording),
    )
