"""Prepared clips: decoded once, in a form that trains at full speed from a laptop disk.

```
FOLDER/
  prepared.json                  index: clips, settings, and clips left out with reasons
  clips/000001.safetensors       one file per clip
```

A clip's file is a safetensors file, read by slices without loading the rest: `sound` (int16, [channels, samples]),
`pictures` (concatenated JPEG files, uint8) with `picture_offsets` (int64, [pictures + 1]), where there is depth `depth`
(uint16 millimetres, [maps, height, width]), and where it is known `response` (float32, [2, taps]), the impulse response
from a source to both ears. Chosen by measurement (`benchmarks/bench_loader.py` prints it): a slice costs 0.1 ms against
0.8 ms to seek in FLAC, which saves a seventh of the space; JPEG decodes 2.6 times faster than WebP, which saves a
third.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int16, UInt8, UInt16
from safetensors import SafetensorError, safe_open

from hearsight.datasets.pictures import from_jpeg, to_jpeg
from hearsight.errors import DataError
from hearsight.files import write_json, write_tensors

FORMAT = 1
INDEX_FILE = "prepared.json"
CLIPS_FOLDER = "clips"


@dataclass(frozen=True)
class PreparedSettings:
    """Settings of preparation; two sets with the same settings can be used together.

    Attributes:
        sample_rate_hz: sample rate of the sound.
        frame_rate_hz: number of pictures per second.
        frame_size: (height, width) of the pictures, stretched (the papers' 240 x 480).
        jpeg_quality: 0 to 100.
    """

    sample_rate_hz: int = 16_000
    frame_rate_hz: float = 10.0
    frame_size: tuple[int, int] = (240, 480)
    jpeg_quality: int = 90


@dataclass(frozen=True)
class PreparedEntry:
    """Metadata of a clip in the index.

    Attributes:
        name: name of the clip.
        channels: 1 (mono) or 2 (ears).
        samples, pictures: numbers of samples and pictures.
        recording: recording that it was cut from, where known.
        depth_rate_hz: rate of its depth maps; None if it has none.
        label: class of its only sounding object (`cello`), where known.
    """

    name: str
    channels: int
    samples: int
    pictures: int
    recording: str | None = None
    depth_rate_hz: float | None = None
    label: str | None = None

    @property
    def source(self) -> str:
        """The recording, or the clip itself where no recording is known."""
        return self.recording or self.name


def write_prepared_clip(
    folder: str | os.PathLike[str],
    name: str,
    sound: Int16[np.ndarray, "channels samples"],
    pictures: Sequence[UInt8[np.ndarray, "_height _width 3"]],
    settings: PreparedSettings,
    depth: UInt16[np.ndarray, "maps height width"] | None = None,
    depth_rate_hz: float = 1.0,
    recording: str | None = None,
    label: str | None = None,
    response: Float[torch.Tensor, "2 taps"] | None = None,
) -> PreparedEntry:
    """Write one clip's file, whole; return its entry for the index. A name with slashes makes folders."""
    jpegs = [_jpeg(picture, settings) for picture in pictures]
    rate = None if depth is None else depth_rate_hz
    entry = PreparedEntry(name, sound.shape[0], sound.shape[1], len(jpegs), recording, rate, label)
    tensors = {
        "sound": torch.from_numpy(np.ascontiguousarray(sound, dtype=np.int16)),
        "pictures": torch.from_numpy(np.concatenate(jpegs) if jpegs else np.zeros(0, np.uint8)),
        "picture_offsets": torch.from_numpy(np.cumsum([0, *map(len, jpegs)], dtype=np.int64)),
    }
    if depth is not None:
        tensors["depth"] = torch.from_numpy(np.ascontiguousarray(depth, dtype=np.uint16))
    if response is not None:
        tensors["response"] = response.float().contiguous()
    target = clip_file(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"hearsight": json.dumps({"entry": asdict(entry), "settings": asdict(settings)})}
    write_tensors(target, tensors, metadata)
    return entry


def written_entry(folder: str | os.PathLike[str], name: str, settings: PreparedSettings) -> PreparedEntry | None:
    """Entry of a clip that an earlier run finished with the same settings; None if there is none."""
    file = clip_file(folder, name)
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as tensors:
            content = json.loads(tensors.metadata()["hearsight"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None
    if content["settings"] != json.loads(json.dumps(asdict(settings))):
        return None
    return PreparedEntry(**content["entry"])


def write_index(
    folder: str | os.PathLike[str],
    dataset: str,
    settings: PreparedSettings,
    entries: Sequence[PreparedEntry],
    left_out: Sequence[tuple[str, str]] = (),
) -> None:
    """Write `prepared.json`. A set without it is incomplete and is not read."""
    content = {
        "library": "hearsight",
        "format": FORMAT,
        "dataset": dataset,
        "settings": asdict(settings),
        "clips": [asdict(entry) for entry in entries],
        "left_out": [{"name": name, "why": why} for name, why in left_out],
    }
    write_json(Path(folder) / INDEX_FILE, content)


class PreparedSet:
    """Folder of prepared clips.

    Args:
        folder: folder written by `hearsight prepare`.

    Raises:
        DataError: it is missing, incomplete, or not a prepared set.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        index = self.folder / INDEX_FILE
        if not index.is_file():
            raise DataError(
                f"{self.folder}: holds no {INDEX_FILE}; run `hearsight prepare` to the end first", "missing"
            )
        try:
            content = json.loads(index.read_text(encoding="utf-8"))
            if content["library"] != "hearsight" or content["format"] > FORMAT:
                raise DataError(f"{index}: format {content['format']}, this hearsight reads up to {FORMAT}", "mismatch")
            self.dataset: str = content["dataset"]
            self.settings = _settings(content["settings"])
            self.entries = [PreparedEntry(**entry) for entry in content["clips"]]
            self.left_out = {entry["name"]: entry["why"] for entry in content.get("left_out", [])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{index}: not an index of prepared clips ({type(error).__name__}: {error})", "unreadable"
            ) from error
        self._by_name = {entry.name: entry for entry in self.entries}

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator["PreparedClip"]:
        return (self[entry.name] for entry in self.entries)

    def __getitem__(self, name: str) -> "PreparedClip":
        if name not in self._by_name:
            raise DataError(f"{self.folder}: has no clip {name!r}", "missing")
        return PreparedClip(clip_file(self.folder, name), self._by_name[name], self.settings)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name


class PreparedClip:
    """One prepared clip; every read takes a slice of its file. Each process opens the file on first use.

    Attributes:
        entry: metadata of the clip in the index.
        settings: settings of its set.
    """

    def __init__(self, file: Path, entry: PreparedEntry, settings: PreparedSettings) -> None:
        self.file, self.entry, self.settings = file, entry, settings
        self._tensors: Any = None
        self._process = -1

    def sound(self, start: int = 0, stop: int | None = None) -> Float[torch.Tensor, "channels samples"]:
        """Samples `start` to `stop` as floats with full scale 1."""
        stop = self.entry.samples if stop is None else stop
        return self._slice("sound", start, stop).float() / 32767

    def picture(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        """RGB picture `number`, which is shown from `number / frame_rate_hz` seconds on."""
        offsets = self._open().get_slice("picture_offsets")[number : number + 2].tolist()
        if len(offsets) < 2:
            raise DataError(f"{self.file}: has no picture {number} (of {self.entry.pictures})", "missing")
        picture = from_jpeg(self._open().get_slice("pictures")[offsets[0] : offsets[1]].numpy())
        if picture is None:
            raise DataError(f"{self.file}: picture {number} is damaged; prepare the clip again", "unreadable")
        return picture

    def picture_at(self, time_s: float) -> UInt8[np.ndarray, "height width 3"]:
        """The picture nearest to `time_s`."""
        nearest = round(time_s * self.settings.frame_rate_hz)
        return self.picture(min(max(nearest, 0), self.entry.pictures - 1))

    def depth_at(self, time_s: float) -> Float[np.ndarray, "height width"]:
        """The depth map nearest to `time_s`, in metres.

        Raises:
            DataError: the clip has no depth.
        """
        if self.entry.depth_rate_hz is None:
            raise DataError(f"{self.file}: has no depth", "missing")
        maps = self._open().get_slice("depth")
        nearest = min(max(round(time_s * self.entry.depth_rate_hz), 0), maps.get_shape()[0] - 1)
        return maps[nearest : nearest + 1][0].numpy().astype(np.float32) / 1000

    def response(self) -> Float[torch.Tensor, "2 taps"]:
        """Impulse response from one source of the scene to both ears, at the sound's sample rate.

        Raises:
            DataError: the clip has no impulse response.
        """
        if "response" not in self._open().keys():  # noqa: SIM118 (a safetensors file is no mapping)
            raise DataError(f"{self.file}: has no impulse response; simulated sets have them, prepared anew", "missing")
        return self._open().get_tensor("response")

    def _slice(self, name: str, start: int, stop: int) -> torch.Tensor:
        return self._open().get_slice(name)[:, start:stop]

    def _open(self) -> Any:
        if self._tensors is None or self._process != os.getpid():
            try:
                self._tensors = safe_open(self.file, framework="pt")
            except (SafetensorError, OSError) as error:
                raise DataError(
                    f"{self.file}: cannot be read ({error}); prepare the clip again", "unreadable"
                ) from error
            self._process = os.getpid()
        return self._tensors

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tensors": None}


def dataset_in(folder: str | os.PathLike[str]) -> str | None:
    """Dataset name of the prepared set in a folder; None if there is no prepared set."""
    return PreparedSet(folder).dataset if (Path(folder) / INDEX_FILE).is_file() else None


def clip_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Path of the clip called `name`."""
    return Path(folder) / CLIPS_FOLDER / f"{name}.safetensors"


def _jpeg(picture: np.ndarray, settings: PreparedSettings) -> np.ndarray:
    height, width = settings.frame_size
    if picture.shape[:2] != (height, width):
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return to_jpeg(picture, settings.jpeg_quality)


def _settings(content: dict[str, Any]) -> PreparedSettings:
    known = {field.name for field in fields(PreparedSettings)}
    values = {name: value for name, value in content.items() if name in known}
    values["frame_size"] = tuple(values["frame_size"])
    return PreparedSettings(**values)
