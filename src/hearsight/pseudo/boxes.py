"""Boxes around the visible source of a clip, and readers of box files from common detectors.

A box is in fractions of the picture (x0, y0 top left, x1, y1 bottom right, 0 to 1), so that it does not depend on the
size to which a picture was scaled. Files in pixels are converted with the size that they state, or with the clip's own.
"""

import csv
import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Self

from hearsight.errors import DataError


@dataclass(frozen=True)
class Box:
    """Box in fractions of the picture.

    Attributes:
        x0, y0, x1, y1: left, top, right and bottom edge, 0 to 1, with positive width and height.
        time_s: time in the clip at which it was detected; None for the whole clip.
        score: the detector's confidence, 0 to 1.
        label: the detector's label.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    time_s: float | None = None
    score: float = 1.0
    label: str | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 <= 1 and 0 <= self.y0 < self.y1 <= 1):
            raise DataError(
                f"box ({self.x0:.4g}, {self.y0:.4g}, {self.x1:.4g}, {self.y1:.4g}) is empty or leaves the picture; "
                "give x0 < x1 and y0 < y1 in fractions of the picture"
            )

    @classmethod
    def clipped(cls, x0: float, y0: float, x1: float, y1: float, **attributes: Any) -> Self | None:
        """Clip a box to the picture; None if it is outside (detectors can exceed the edges)."""
        if not all(map(math.isfinite, (x0, y0, x1, y1))):
            return None
        x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in (x0, y0, x1, y1))
        return cls(x0, y0, x1, y1, **attributes) if x0 < x1 and y0 < y1 else None


WHOLE_FRAME = Box(0.0, 0.0, 1.0, 1.0)


def box_at(boxes: Sequence[Box], start_s: float, end_s: float, label: str | None = None) -> Box | None:
    """Box for a segment: the median, edge by edge, of the best boxes within it, otherwise the nearest box in time.

    The median keeps the box still over the segment and is robust to single misdetections. At each time only the box
    with the highest score counts. If `label` is given and boxes with that label exist, only those count.

    Returns:
        None if there are no boxes.
    """
    if label is not None and any(box.label == label for box in boxes):
        boxes = [box for box in boxes if box.label == label]
    best: dict[float | None, Box] = {}
    for box in boxes:
        if box.time_s not in best or box.score > best[box.time_s].score:
            best[box.time_s] = box
    timed = [box for box in best.values() if box.time_s is not None]
    if not timed:
        return best.get(None)
    centre_s = (start_s + end_s) / 2
    within = [box for box in timed if start_s <= (box.time_s or 0.0) <= end_s]
    nearest = min(timed, key=lambda box: abs((box.time_s or 0.0) - centre_s))
    chosen = within or [nearest]
    edges = (median(getattr(box, edge) for box in chosen) for edge in ("x0", "y0", "x1", "y1"))
    # The edge-by-edge median of boxes that do not overlap can be empty.
    return Box.clipped(*edges, time_s=centre_s, score=median(box.score for box in chosen), label=chosen[0].label) or (
        nearest
    )


@dataclass(frozen=True)
class _Record:
    """Box as in a file. `size` is (height, width) of the picture in pixels; None for fractions."""

    edges: tuple[float, float, float, float]
    size: tuple[int, int] | None
    in_pixels: bool
    time_s: float | None
    frame: int | None
    score: float
    label: str | None


class BoxFile:
    """Boxes of many clips, read from a file by `read_boxes`."""

    def __init__(self, path: Path, records: dict[str, list[_Record]]) -> None:
        self.path = path
        self._records = records
        self._frames: dict[str, list[tuple[int, str]]] = defaultdict(list)  # clip: numbers and names of its frames
        for name in records:
            stem, _, number = name.rpartition("_")
            if stem and number.isdecimal():
                self._frames[stem].append((int(number), name))

    @property
    def key(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(repr(sorted(self._records.items(), key=lambda item: item[0])).encode()).hexdigest()

    @property
    def names(self) -> list[str]:
        """Names of clips or frames in the file."""
        return sorted(self._records)

    def of(self, name: str, frame_size: tuple[int, int], frame_rate_hz: float) -> list[Box]:
        """Boxes of a clip. The file may name it by path, file name, file name without suffix or (FAIR-Play in COCO)
        number.

        Args:
            name: name or path of the clip.
            frame_size: (height, width) of its picture in pixels, for files in pixels without a picture size.
            frame_rate_hz: frame rate of its picture, for files that number frames.

        Returns:
            an empty list if the file has no boxes of it.
        """
        stem = Path(name).stem
        keys = [name, Path(name).name, stem] + ([str(int(stem))] if stem.isdecimal() else [])
        for key in keys:
            if key in self._records:
                records = self._records[key]
                break
        else:
            records = [
                replace(record, frame=number if record.frame is None else record.frame)
                for number, frame in sorted(self._frames.get(stem, []))
                for record in self._records[frame]
            ]
        boxes = (_to_box(record, frame_size, frame_rate_hz) for record in records)
        return [box for box in boxes if box is not None]


def read_boxes(path: str | os.PathLike[str]) -> BoxFile:
    """Read boxes in one of these formats, recognised by their content.

    - COCO results (JSON): a list of `{"image_id" or "file_name", "bbox": [x, y, width, height], "score", "category" or
    "category_id"}`, in pixels; optional `"time_s"` or `"frame"`, and `"width"`, `"height"` of the analysed picture
    (default: the clip's own size).
    - COCO dataset (JSON): an object with `images` (`id`, `file_name`, `width`, `height`, optional `time_s` or `frame`),
    `annotations` and `categories`. An image file named `CLIP_12.jpg` is frame 12 of `CLIP`.
    - hearsight's own (JSON): `{"CLIP": [x0, y0, x1, y1] or [{"box": [x0, y0, x1, y1], "time_s", "score", "label"}]}` in
    fractions; the files that detection writes beside a clip have the list under `"boxes"`.
    - YOLO: a folder of text files `CLIP.txt`, or `CLIP_12.txt` for frame 12, or one such file, with lines `class
    centre_x centre_y width height [score]` in fractions.
    - CSV with the columns `clip,x0,y0,x1,y1` and optional `time_s` or `frame`, `score`, `label`, `width`, `height`: in
    fractions if no edge in the file is above 1, otherwise in pixels.

    Raises:
        DataError: the file is missing, in none of these formats, or a row is malformed (the message names its place).
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        if not files:
            raise DataError(f"{path}: no box files in this folder; YOLO's are CLIP.txt or CLIP_12.txt", "missing")
        return BoxFile(path, _grouped(row for file in files for row in _read_yolo(file)))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); name a file or folder of boxes", "unreadable"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text; boxes are JSON, CSV or YOLO text", "unreadable") from error
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        return BoxFile(path, _grouped(_read_json(path, text)))
    if path.suffix.lower() == ".txt":
        return BoxFile(path, _grouped(_read_yolo(path)))
    return BoxFile(path, _grouped(_read_csv(path, text)))


_Named = tuple[str, _Record]


def _grouped(rows: Iterable[_Named]) -> dict[str, list[_Record]]:
    records: dict[str, list[_Record]] = defaultdict(list)
    for clip, record in rows:
        records[clip].append(record)
    return dict(records)


def _to_box(record: _Record, frame_size: tuple[int, int], frame_rate_hz: float) -> Box | None:
    x0, y0, x1, y1 = record.edges
    if record.in_pixels:
        height, width = record.size or frame_size
        x0, x1, y0, y1 = x0 / width, x1 / width, y0 / height, y1 / height
    time_s = record.time_s
    if time_s is None and record.frame is not None:
        time_s = record.frame / frame_rate_hz
    return Box.clipped(x0, y0, x1, y1, time_s=time_s, score=record.score, label=record.label)


def _read_json(path: Path, text: str) -> Iterable[_Named]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON (line {error.lineno}: {error.msg})", "unreadable") from error
    if isinstance(content, list):
        return [_coco_result(row, f"{path}, entry {number}", {}, {}) for number, row in enumerate(content)]
    if isinstance(content, dict) and "annotations" in content:
        return _coco_data_set(path, content)
    if isinstance(content, dict):
        return _own_json(path, content)
    raise DataError(f"{path}: boxes are a JSON list or object, not {type(content).__name__}", "unreadable")


def _coco_data_set(path: Path, content: dict[str, Any]) -> Iterable[_Named]:
    try:
        images = {image["id"]: image for image in content["images"]}
        categories = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: COCO `images` need `id` and `file_name`, `categories` need `id` and `name`"
        ) from error
    return [
        _coco_result(row, f"{path}, annotation {number}", images, categories)
        for number, row in enumerate(content["annotations"])
    ]


def _coco_result(row: Any, place: str, images: dict[Any, Any], categories: dict[Any, str]) -> _Named:
    if not isinstance(row, dict) or "bbox" not in row or not ({"image_id", "file_name"} & set(row)):
        raise DataError(f"{place}: a COCO box needs `bbox` [x, y, width, height] and `image_id` or `file_name`")
    image = images.get(row.get("image_id"), {}) if images else row
    if images and not image:
        raise DataError(f"{place}: image_id {row.get('image_id')!r} is not among the images", "unknown")
    x, y, width, height = _four_numbers(row["bbox"], place)
    _require_area(width, height, place)
    clip = _clip_name(str(image.get("file_name", row.get("image_id"))))
    label = row.get("category", categories.get(row.get("category_id"), row.get("category_id")))
    size = (image.get("height"), image.get("width"))
    return clip, _Record(
        edges=(x, y, x + width, y + height),
        size=(int(size[0]), int(size[1])) if size[0] and size[1] else None,
        in_pixels=True,
        time_s=_optional_number({**image, **row}, "time_s", place),
        frame=_optional_frame({**image, **row}, place),
        score=_score(row, place),
        label=None if label is None else str(label),
    )


def _own_json(path: Path, content: dict[str, Any]) -> Iterable[_Named]:
    for clip, boxes in content.items():
        place = f"{path}, {clip!r}"
        if isinstance(boxes, dict):
            boxes = boxes.get("boxes")
        if not isinstance(boxes, list):
            raise DataError(f"{place}: give a box [x0, y0, x1, y1] or a list of boxes")
        if len(boxes) == 4 and not any(isinstance(box, (dict, list)) for box in boxes):
            boxes = [boxes]
        for box in boxes:
            row = box if isinstance(box, dict) else {"box": box}
            if "box" not in row:
                raise DataError(f"{place}: a box needs `box` [x0, y0, x1, y1]")
            x0, y0, x1, y1 = _four_numbers(row["box"], place)
            if max(x0, y0, x1, y1) > 1:
                raise DataError(f"{place}: these boxes are in fractions of the picture, 0 to 1; found {row['box']}")
            _require_area(x1 - x0, y1 - y0, place)
            label = row.get("label")
            yield (
                clip,
                _Record(
                    (x0, y0, x1, y1),
                    None,
                    False,
                    _optional_number(row, "time_s", place),
                    None,
                    _score(row, place),
                    None if label is None else str(label),
                ),
            )


def _read_yolo(path: Path) -> Iterable[_Named]:
    clip = _clip_name(path.name)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text; YOLO boxes are lines of numbers", "unreadable") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place, parts = f"{path}, line {number}", line.split()
        if len(parts) not in (5, 6):
            raise DataError(f"{place}: YOLO boxes are `class centre_x centre_y width height [score]`; found {line!r}")
        x, y, width, height = _four_numbers(parts[1:5], place)
        if max(x, y, width, height) > 1:
            raise DataError(f"{place}: YOLO boxes are in fractions of the picture, 0 to 1; found {line!r}")
        _require_area(width, height, place)
        score = _score({"score": parts[5]}, place) if len(parts) == 6 else 1.0
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        yield clip, _Record(edges, None, False, None, None, score, parts[0])


def _read_csv(path: Path, text: str) -> Iterable[_Named]:
    reader = csv.DictReader(text.splitlines())
    needed = ["clip", "x0", "y0", "x1", "y1"]
    missing = [column for column in needed if column not in (reader.fieldnames or [])]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; a CSV of boxes starts with clip,x0,y0,x1,y1")
    rows: list[_Named] = []
    for number, row in enumerate(reader, start=2):
        place = f"{path}, line {number}"
        x0, y0, x1, y1 = _four_numbers([row[column] for column in needed[1:]], place)
        _require_area(x1 - x0, y1 - y0, place)
        filled = {key: value for key, value in row.items() if key and value not in (None, "")}
        height, width = _optional_number(filled, "height", place), _optional_number(filled, "width", place)
        record = _Record(
            (x0, y0, x1, y1),
            (int(height), int(width)) if height and width else None,
            False,
            _optional_number(filled, "time_s", place),
            _optional_frame(filled, place),
            _score(filled, place),
            filled.get("label"),
        )
        rows.append((row["clip"].strip(), record))
    if any(edge > 1 for _, record in rows for edge in record.edges):
        rows = [(clip, replace(record, in_pixels=True)) for clip, record in rows]
    return rows


def _clip_name(name: str) -> str:
    """Remove the suffix of `cello_000012.jpg` (a frame) and `000012.txt` (boxes of a clip): these are not names of
    clips."""
    return Path(name).stem if Path(name).suffix.lower() in (".txt", ".jpg", ".jpeg", ".png") else name


def _four_numbers(values: Any, place: str) -> tuple[float, float, float, float]:
    try:
        a, b, c, d = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}: a box is four numbers; found {values!r}") from error
    if not all(map(math.isfinite, (a, b, c, d))):
        raise DataError(f"{place}: a box is four finite numbers; found {values!r}")
    return a, b, c, d


def _require_area(width: float, height: float, place: str) -> None:
    if width <= 0 or height <= 0:
        raise DataError(f"{place}: the box is {width:g} wide and {height:g} high; both must be above 0")


def _optional_number(row: dict[str, Any], key: str, place: str) -> float | None:
    if row.get(key) is None:
        return None
    try:
        value = float(row[key])
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}: {key} is {row[key]!r}; give a number") from error
    if not math.isfinite(value) or value < 0:
        raise DataError(f"{place}: {key} is {row[key]!r}; give a number from 0 on")
    return value


def _optional_frame(row: dict[str, Any], place: str) -> int | None:
    frame = _optional_number(row, "frame", place)
    if frame is not None and frame != int(frame):
        raise DataError(f"{place}: frame is {row['frame']!r}; frames are counted in whole numbers from 0")
    return None if frame is None else int(frame)


def _score(row: dict[str, Any], place: str) -> float:
    score = _optional_number(row, "score", place)
    return 1.0 if score is None else score
