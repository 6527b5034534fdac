"""Mono clips decoded once into memory-mapped arrays, from which pseudo pairs are made many times a second.

A prepared folder holds:

- `clips.json`: the settings, and for each clip its name, lengths, boxes and the kept part of the picture;
- `sound.int16`: the mono sound of all clips, concatenated;
- `frames.jpeg`: the pictures of all clips as JPEG, concatenated, cropped to the area of the clip's boxes;
- `frame_ends.npy`: end of each picture in `frames.jpeg`;
- `block_energy.npy`: energy of each whole block of 10 ms, to find audible segments without reading the sound.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from hearsight.datasets.clip import Clip
from hearsight.datasets.decoding import SILENCE_RMS, read_sound
from hearsight.datasets.left_out import LeftOut, by_reason
from hearsight.datasets.pictures import from_jpeg, picture_files, read_picture, to_jpeg
from hearsight.errors import DataError, HearsightError, MediaError
from hearsight.files import folder_written_whole, make_folder
from hearsight.media import probe, read_frames
from hearsight.progress import Progress, no_progress
from hearsight.pseudo.boxes import WHOLE_FRAME, Box, BoxFile, box_at
from hearsight.pseudo.composing import resized
from hearsight.pseudo.mono_clips import MonoClip

FRAME_RATE_HZ = 10.0  # rate of the kept pictures, as in 2.5D Visual Sound
BoxFinder = Callable[[MonoClip], Sequence[Box]]
BoxSource = BoxFile | BoxFinder | Literal["whole-frame"] | None

_FORMAT = 1
_BLOCK_S = 0.01
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class MonoEntry:
    """Metadata of one clip in the index.

    Attributes:
        name, label: as in the list.
        samples: length of its sound.
        frames: number of its pictures, `FRAME_RATE_HZ` per second.
        part: the kept part of the picture, in fractions (x0, y0, x1, y1): the area of all its boxes.
        part_size: (height, width) of the kept part, in pixels.
        boxes: boxes of its source, in fractions of the whole picture.
        recording: recording that it was cut from, where known.
    """

    name: str
    label: str | None
    samples: int
    frames: int
    part: tuple[float, float, float, float]
    part_size: tuple[int, int]
    boxes: tuple[Box, ...]
    recording: str | None = None

    @property
    def source(self) -> str:
        """The recording, or the clip itself where no recording is known."""
        return self.recording or self.name


def prepare_mono_clips(
    clips: Sequence[MonoClip],
    folder: str | os.PathLike[str],
    boxes: BoxSource = None,
    sample_rate_hz: int = 16000,
    frame_height: int = 360,
    shortest_s: float = 0.63,
    progress: Progress = no_progress,
) -> "PreparedMonoClips":
    """Decode clips into a prepared folder, which is written whole or not at all.

    A folder prepared from the same files with the same settings is reused.

    Args:
        clips: clips from `read_clip_list`.
        folder: folder to write; its previous content is replaced.
        boxes: positions of the sources: a file of boxes, a function that finds them (a detector; its `key`, if it has
            one, identifies it), or `whole-frame` for close-ups. A box in the list itself takes precedence; None leaves
            out clips without one.
        sample_rate_hz: sample rate of the kept sound.
        frame_height: height of the whole picture in pixels, before it is cropped to the boxes; smaller pictures keep
            their height.
        shortest_s: clips that are shorter by more than 0.1 s are left out.
        progress: counts clips.

    Returns:
        the prepared clips; their `left_out` names unusable clips with the reason: unreadable, silent, without box, too
        short.

    Raises:
        DataError: no clip is usable; the message gives the first few reasons.
        HearsightError: the folder cannot be written.
    """
    made_of = _made_of(clips, boxes, sample_rate_hz, frame_height, shortest_s)
    if (before := _already_prepared(Path(folder), made_of)) is not None:
        return before
    left_out: list[LeftOut] = []
    kept: list[MonoEntry] = []
    ends: list[int] = [0]
    energies: list[np.ndarray] = []
    digest = hashlib.sha256()
    block = round(_BLOCK_S * sample_rate_hz)
    make_folder(Path(folder).parent)
    with folder_written_whole(folder) as temporary:
        with open(temporary / "sound.int16", "wb") as sound_file, open(temporary / "frames.jpeg", "wb") as frames_file:
            for number, clip in enumerate(clips):
                progress(number, len(clips))
                begin, count = frames_file.tell(), len(ends)
                try:
                    samples = read_sound(Clip(clip.name, clip.sound, None, sound_type="mono"), sample_rate_hz)[0]
                    energy = _block_energy(samples, block)
                    _require_audible(energy, len(samples), sample_rate_hz, shortest_s)
                    found, part, part_size, pictures = _pictures_of_source(clip, boxes, frame_height)
                    most = math.ceil(len(samples) / sample_rate_hz * FRAME_RATE_HZ) + 1
                    for picture in islice(pictures, most):
                        frames_file.write(picture)
                        digest.update(picture)
                        ends.append(frames_file.tell())
                    if len(ends) == count:
                        raise MediaError("no pictures in it", "no-picture")
                except HearsightError as error:
                    frames_file.seek(begin)
                    frames_file.truncate()
                    del ends[count:]
                    left_out.append(LeftOut.because(clip.name, error, clip.sound, clip.picture))
                    continue
                entry = MonoEntry(
                    clip.name,
                    clip.label,
                    len(samples),
                    len(ends) - count,
                    part,
                    part_size,
                    tuple(found),
                    clip.recording,
                )
                digest.update(json.dumps(asdict(entry)).encode() + samples.tobytes())
                sound_file.write(samples.tobytes())
                energies.append(energy)
                kept.append(entry)
        progress(len(clips), len(clips))
        if not kept:
            raise DataError(f"none of {len(clips)} clips can be used: {by_reason(left_out)}", "too-little")
        np.save(temporary / "frame_ends.npy", np.array(ends, np.int64))
        np.save(temporary / "block_energy.npy", np.concatenate(energies))
        about = {
            "format": _FORMAT,
            "sample_rate_hz": sample_rate_hz,
            "frame_rate_hz": FRAME_RATE_HZ,
            "frame_height": frame_height,
            "digest": digest.hexdigest()[:16],
            "made_of": made_of,
            "clips": [asdict(clip) for clip in kept],
            "left_out": [{"name": one.name, "reason": one.why} for one in left_out],
        }
        (temporary / "clips.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return PreparedMonoClips(folder)


class PreparedMonoClips:
    """Prepared clips, read from a folder that `prepare_mono_clips` wrote.

    Each process memory-maps the arrays on first use, so that copies of this object in a data loader's workers share
    only the files.

    Attributes:
        clips: metadata of the clips.
        left_out: unusable clips.
        sample_rate_hz: sample rate of the sound.
        frame_height: height of a whole picture in pixels (`MonoEntry.part` of it is kept).
        digest: hash of the content.

    Raises:
        DataError: the folder is missing, incomplete, or of another version of hearsight.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            about = json.loads((self.folder / "clips.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{self.folder}: not a folder of prepared clips (no clips.json)", "missing") from error
        except json.JSONDecodeError as error:
            raise DataError(f"{self.folder / 'clips.json'}: damaged; prepare the clips again", "unreadable") from error
        if about.get("format") != _FORMAT:
            raise DataError(
                f"{self.folder}: prepared by another version of hearsight; prepare the clips again", "mismatch"
            )
        self.sample_rate_hz = int(about["sample_rate_hz"])
        self.frame_height = int(about["frame_height"])
        self.digest = str(about["digest"])
        self.clips = [_mono_entry(entry) for entry in about["clips"]]
        self.left_out = [LeftOut(entry["name"], entry["reason"]) for entry in about["left_out"]]
        self._numbers = {clip.name: number for number, clip in enumerate(self.clips)}
        self._block = round(_BLOCK_S * self.sample_rate_hz)
        self._sound_starts = np.cumsum([0] + [clip.samples for clip in self.clips])
        self._frame_starts = np.cumsum([0] + [clip.frames for clip in self.clips])
        self._block_starts = np.cumsum([0] + [clip.samples // self._block for clip in self.clips])
        self._arrays: dict[str, np.ndarray] = {}
        missing = [name for name in _ARRAYS if not (self.folder / name).is_file()]
        if missing:
            raise DataError(f"{self.folder}: {missing[0]} is missing; prepare the clips again", "missing")

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def number_of(self, name: str) -> int:
        """Number of the clip with this name.

        Raises:
            DataError: there is no such clip.
        """
        if name not in self._numbers:
            raise DataError(f"{self.folder}: no clip {name} in it", "missing")
        return self._numbers[name]

    def sound(self, number: int, start: int, stop: int) -> Float[np.ndarray, "samples"]:
        """Samples `start` to `stop` of a clip's mono sound; silence before its beginning and after its end."""
        clip = self.clips[number]
        segment = np.zeros(stop - start, np.float32)
        first, last = max(start, 0), min(stop, clip.samples)
        if first < last:
            offset = int(self._sound_starts[number])
            segment[first - start : last - start] = self._array("sound.int16")[offset + first : offset + last]
            segment /= 32767
        return segment

    def audible_starts(self, number: int, length: int) -> np.ndarray:
        """Start samples, one per 10 ms, at which a segment of `length` samples is louder than `SILENCE_RMS`.

        The loudness is that of the whole blocks of 10 ms from the start; a clip shorter than the segment has one start.
        """
        first, last = int(self._block_starts[number]), int(self._block_starts[number + 1])
        energy = np.concatenate([[0.0], np.cumsum(self._array("block_energy.npy")[first:last], dtype=np.float64)])
        blocks = min(length // self._block, last - first)
        if self.clips[number].samples <= length or blocks == 0:
            return np.zeros(1, np.int64)
        starts = np.arange((self.clips[number].samples - length) // self._block + 1)
        starts = starts[starts + blocks <= last - first]
        loud = energy[starts + blocks] - energy[starts] >= SILENCE_RMS**2 * blocks * self._block
        return starts[loud] * self._block

    def patch(self, number: int, time_s: float, box: Box) -> UInt8[np.ndarray, "height width 3"]:
        """Part of a clip's picture in a box, at the nearest time.

        Args:
            number: number of the clip.
            time_s: time since the clip's beginning; after its end, the last picture is used.
            box: box in fractions of the whole picture, within the kept part.
        """
        clip = self.clips[number]
        frame = min(max(round(time_s * FRAME_RATE_HZ), 0), clip.frames - 1)
        at = int(self._frame_starts[number]) + frame
        ends = self._array("frame_ends.npy")
        data = self._array("frames.jpeg")[int(ends[at]) : int(ends[at + 1])]
        picture = from_jpeg(data)
        if picture is None:
            raise DataError(f"{self.folder / 'frames.jpeg'}: damaged; prepare the clips again", "unreadable")
        left, top, right, bottom = _pixels_of(box, clip.part, clip.part_size)
        return np.ascontiguousarray(picture[top:bottom, left:right])

    def patch_size(self, number: int, box: Box) -> tuple[int, int]:
        """Size (height, width) of the output of `patch`, in pixels."""
        clip = self.clips[number]
        left, top, right, bottom = _pixels_of(box, clip.part, clip.part_size)
        return bottom - top, right - left

    def box(self, number: int, start_s: float, end_s: float) -> Box:
        """Box of a clip's source over a segment (`box_at`)."""
        clip = self.clips[number]
        box = box_at(clip.boxes, start_s, end_s, clip.label)
        assert box is not None  # clips without boxes are left out
        return box

    def _array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            path = self.folder / name
            try:
                if name.endswith(".npy"):
                    self._arrays[name] = np.load(path, mmap_mode="r")
                else:
                    self._arrays[name] = np.memmap(path, dtype="<i2" if name == "sound.int16" else np.uint8, mode="r")
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: damaged or missing; prepare the clips again", "unreadable") from error
        return self._arrays[name]


_ARRAYS = ("sound.int16", "frames.jpeg", "frame_ends.npy", "block_energy.npy")


def _mono_entry(entry: dict[str, Any]) -> MonoEntry:
    boxes = tuple(Box(**box) for box in entry["boxes"])
    return MonoEntry(**{**entry, "part": tuple(entry["part"]), "part_size": tuple(entry["part_size"]), "boxes": boxes})


def _block_energy(samples: np.ndarray, block: int) -> np.ndarray:
    """Energy of each whole block."""
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    return np.square(blocks / np.float32(32767)).sum(1, dtype=np.float32)


def _require_audible(energy: np.ndarray, samples: int, sample_rate_hz: int, shortest_s: float) -> None:
    seconds = samples / sample_rate_hz
    if seconds < shortest_s - 0.1 or not len(energy):
        raise DataError(f"too short: {seconds:.2f} s of {shortest_s:g} s", "too-little")
    blocks = min(max(round(shortest_s / _BLOCK_S), 1), len(energy))
    total = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)])
    loudest = math.sqrt(
        max(float((total[blocks:] - total[:-blocks]).max()), 0.0) / (blocks * _BLOCK_S * sample_rate_hz)
    )
    if loudest < SILENCE_RMS:
        level = f"{20 * math.log10(loudest):.0f} dBFS" if loudest > 0 else "digital silence"
        raise DataError(f"silent: nowhere louder than {level} over {shortest_s:g} s", "too-little")


def _pictures_of_source(
    clip: MonoClip, boxes: BoxSource, frame_height: int
) -> tuple[Sequence[Box], tuple[float, float, float, float], tuple[int, int], Iterator[bytes]]:
    """Boxes of a clip, the part of the picture that they cover, its size in pixels, and its JPEGs."""
    size, rate_hz = _picture_format(clip)
    found = _boxes_of(clip, boxes, size, rate_hz)
    if not found:
        raise DataError(
            "no box of its source; give boxes in the list or a file, a detector, or choose whole-frame", "missing"
        )
    scale = min(1.0, frame_height / size[0])
    height, width = max(round(size[0] * scale), 2), max(round(size[1] * scale), 2)
    left, top = math.floor(min(b.x0 for b in found) * width), math.floor(min(b.y0 for b in found) * height)
    right, bottom = math.ceil(max(b.x1 for b in found) * width), math.ceil(max(b.y1 for b in found) * height)

    def jpegs() -> Iterator[bytes]:
        for rgb in _pictures(clip, (height, width)):
            yield to_jpeg(rgb[top:bottom, left:right], _JPEG_QUALITY).tobytes()

    part = (left / width, top / height, right / width, bottom / height)
    return found, part, (bottom - top, right - left), jpegs()


def _boxes_of(clip: MonoClip, boxes: BoxSource, size: tuple[int, int], rate_hz: float) -> Sequence[Box]:
    if clip.box is not None:
        return [Box(*clip.box, label=clip.label)]
    if boxes is None:
        return []
    if isinstance(boxes, str):
        return [WHOLE_FRAME]
    return boxes.of(clip.name, size, rate_hz) if isinstance(boxes, BoxFile) else boxes(clip)


def _made_of(
    clips: Sequence[MonoClip], boxes: BoxSource, sample_rate_hz: int, frame_height: int, shortest_s: float
) -> str | None:
    """Hash of the files and settings of a preparation; None if it cannot be computed (a box finder without `key`)."""
    if callable(boxes) and not hasattr(boxes, "key"):
        return None
    key = boxes if boxes is None or isinstance(boxes, str) else boxes.key
    digest = hashlib.sha256(repr((_FORMAT, sample_rate_hz, frame_height, shortest_s, key)).encode())
    for clip in clips:
        digest.update(repr((clip.name, clip.label, clip.box, clip.recording)).encode())
        for path in (clip.sound, clip.picture):
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            for file in files:
                status = file.stat() if file.exists() else None
                digest.update(repr((file.name, status and (status.st_size, status.st_mtime_ns))).encode())
    return digest.hexdigest()


def _already_prepared(folder: Path, made_of: str | None) -> "PreparedMonoClips | None":
    try:
        about = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
        return PreparedMonoClips(folder) if made_of is not None and about.get("made_of") == made_of else None
    except (OSError, ValueError, HearsightError):
        return None


def _picture_format(clip: MonoClip) -> tuple[tuple[int, int], float]:
    """Size (height, width) in pixels and frame rate of a clip's own picture."""
    if clip.picture.is_dir():
        return read_picture(picture_files(clip.picture)[0]).shape[:2], FRAME_RATE_HZ
    video = probe(clip.picture).video
    if video is None:
        raise MediaError(f"{clip.picture}: has no picture; give a video, not a sound file", "no-picture")
    return (video.height, video.width), video.frame_rate_hz or FRAME_RATE_HZ


def _pictures(clip: MonoClip, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Pictures of a clip at `FRAME_RATE_HZ` with the given (height, width)."""
    if clip.picture.is_dir():
        for path in picture_files(clip.picture):
            yield resized(read_picture(path), size)
        return
    for frame in read_frames(clip.picture, rate_hz=FRAME_RATE_HZ, size=size):
        yield frame.rgb


def _pixels_of(box: Box, part: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box in pixels of the kept part; at least one pixel."""
    height, width = size
    scale_x, scale_y = width / (part[2] - part[0]), height / (part[3] - part[1])
    left = min(max(round((box.x0 - part[0]) * scale_x), 0), width - 1)
    top = min(max(round((box.y0 - part[1]) * scale_y), 0), height - 1)
    right = min(max(round((box.x1 - part[0]) * scale_x), left + 1), width)
    bottom = min(max(round((box.y1 - part[1]) * scale_y), top + 1), height)
    return left, top, right, bottom
