"""Clips of a benchmark, from a dataset in FAIR-Play's layout or from prepared clips."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from torch import Tensor

from hearsight.datasets.fair_play import fair_play_clips, fair_play_splits
from hearsight.datasets.prepared import CLIPS_FOLDER, INDEX_FILE, PreparedClip, PreparedSet
from hearsight.datasets.splits import read_names
from hearsight.errors import DataError
from hearsight.evaluation.benchmark_file import DatasetPart
from hearsight.evaluation.comparison import name_of_listed, read_ears
from hearsight.evaluation.protocols import Protocol
from hearsight.media import probe, read_frames
from hearsight.models.interface import ClipInfo, WindowSpec
from hearsight.signal import resample
from hearsight.vision.frames import Frame

PREPARED_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class BenchmarkClip:
    """One clip of one split.

    Attributes:
        split: name of the split; "" where the dataset has none.
        name: name of the clip.
        sound, picture: sound file and video; both are the same file for a prepared clip.
        scene: file with the true positions, which may be missing.
        recording: recording that the clip was cut from; the clip's name if unknown.
        label: label of the sound: that of a prepared clip, or the folder that its name begins with; "" if unknown.
    """

    split: str
    name: str
    sound: Path
    picture: Path
    scene: Path
    recording: str = ""
    label: str = ""


def clips_of(
    part: DatasetPart, channels: int | None = 2, no_split: bool = False, partial: bool = False
) -> list[BenchmarkClip]:
    """Clips of a dataset that a benchmark asks for, split by split.

    Args:
        channels: required number of channels of prepared clips; None for any number.
        no_split: return all clips, even if the dataset has splits.
        partial: skip listed clips that are not prepared; `unprepared_clips` names them.

    Raises:
        DataError: the folder is neither in FAIR-Play's layout nor prepared, a split is missing or names clips that do
            not exist, or prepared clips do not have two ears.
    """
    found = []
    for split in [None] if no_split else _splits(part):
        clips = _prepared(part, split, channels, partial) if _is_prepared(part) else _fair_play(part, split)
        found += clips[: part.limit]
    return found


def unprepared_clips(part: DatasetPart) -> list[str]:
    """One line for each clip that the lists of a prepared dataset name but that is not prepared."""
    if not _is_prepared(part):
        return []
    prepared = PreparedSet(part.folder)
    lines = [
        f"{part.name}/{name}: is listed in {split or 'all'} and not prepared in {part.folder}"
        for split in _splits(part)
        for name in _listed(part, split, prepared)
        if name not in prepared
    ]
    return list(dict.fromkeys(lines))


def _is_prepared(part: DatasetPart) -> bool:
    return (Path(part.folder) / INDEX_FILE).is_file()


def _splits(part: DatasetPart) -> list[str | None]:
    return list(part.splits or fair_play_splits(part.folder, part.splits_folder)) or [None]


def _listed(part: DatasetPart, split: str | None, prepared: PreparedSet) -> list[str]:
    """Names of the clips of a split, or of all clips."""
    if split is None:
        return [entry.name for entry in prepared.entries]
    listed = read_names(Path(part.folder) / part.splits_folder / split / f"{part.part}.txt")
    if not listed:
        raise DataError(f"{part.folder}: {split} names no clip for {part.part}", "missing")
    # FAIR-Play's own lists name sound files; they may be used with prepared clips.
    return [name if name in prepared else name_of_listed(name) for name in listed]


def truth_of(sound: Path, rule: Protocol) -> Float[Tensor, "2 samples"]:
    """Recorded ears at the protocol's rate, at their recorded level.

    Raises:
        MediaError, DataError: the file cannot be read or does not have two channels.
    """
    ears, rate = sound_of(sound)
    if len(ears) != 2:
        raise DataError(f"{sound}: has {len(ears)} channel(s); two ears are needed", "mismatch")
    return resample(ears, rate, rule.sample_rate_hz)


def sound_of(sound: Path) -> tuple[Float[Tensor, "channels samples"], int]:
    """Sound of a clip with all its channels, and its sample rate in hertz.

    Raises:
        MediaError, DataError: the file cannot be read.
    """
    if sound.suffix == PREPARED_SUFFIX:
        clip = _clip(sound)
        return clip.sound(), clip.settings.sample_rate_hz
    return read_ears(sound)


def pictures_of(picture: Path, spec: WindowSpec, flipped: bool = False, true_depth: bool = False) -> Iterator[Frame]:
    """Read the pictures that a model asks for.

    Args:
        flipped: mirror the pictures.
        true_depth: add the depth maps of the prepared set.

    Raises:
        MediaError, DataError: the file cannot be read, or there is no depth.
    """
    if picture.suffix == PREPARED_SUFFIX:
        frames = _prepared_pictures(_clip(picture), spec, true_depth)
    elif true_depth:
        raise DataError(f"{picture}: true_depth needs prepared clips", "missing")
    else:
        video = probe(picture).video
        size = spec.frame_size_of((video.height, video.width) if video is not None else None)
        frames = (Frame(f.time_s, f.number, f.rgb) for f in read_frames(picture, spec.frame_rate_hz, size))
    for frame in frames:
        yield _mirrored(frame) if flipped else frame


def _mirrored(frame: Frame) -> Frame:
    depth = None if frame.depth is None else np.ascontiguousarray(frame.depth[:, ::-1])
    return Frame(frame.time_s, frame.number, np.ascontiguousarray(frame.rgb[:, ::-1]), depth)


def clip_info(sample_rate_hz: int, duration_s: float, picture: Path | None) -> ClipInfo:
    """Properties of a clip that a model gets before it reads the clip.

    Raises:
        MediaError, DataError: the picture's file cannot be read.
    """
    if picture is not None and picture.suffix == PREPARED_SUFFIX:
        settings = _clip(picture).settings
        return ClipInfo(sample_rate_hz, duration_s, settings.frame_rate_hz, settings.frame_size)
    video = probe(picture).video if picture is not None else None
    if video is None:
        return ClipInfo(sample_rate_hz, duration_s)
    return ClipInfo(sample_rate_hz, duration_s, video.frame_rate_hz, (video.height, video.width))


def _fair_play(part: DatasetPart, split: str | None) -> list[BenchmarkClip]:
    root = Path(part.folder)
    return [
        BenchmarkClip(
            split or "", clip.name, clip.sound, clip.picture, root / "scenes" / f"{clip.name}.json", clip.name
        )
        for clip in fair_play_clips(root, split, part.part, part.splits_folder)
        if clip.picture is not None
    ]


def _prepared(part: DatasetPart, split: str | None, channels: int | None, partial: bool) -> list[BenchmarkClip]:
    clips = PreparedSet(part.folder)
    names = _listed(part, split, clips)
    missing = [name for name in names if name not in clips]
    if missing and not partial:
        raise DataError(
            f"{part.folder}: {_some(missing, len(names))} not prepared: {_first(missing)}; prepare them, or leave them "
            "out with --partial",
            "missing",
        )
    names = [name for name in names if name in clips]
    if channels is not None and (other := [name for name in names if clips[name].entry.channels != channels]):
        raise DataError(
            f"{part.folder}: {len(other)} of {len(names)} clips have no two ears: {_first(other)}", "mismatch"
        )
    nowhere = Path(part.folder) / "scenes"
    return [
        BenchmarkClip(
            split or "",
            name,
            clips[name].file,
            clips[name].file,
            nowhere / f"{name}.json",
            clips[name].entry.source,
            clips[name].entry.label or name.rpartition("/")[0],
        )
        for name in names
    ]


def clips_called(part: DatasetPart, names: Sequence[str]) -> list[BenchmarkClip]:
    """Clips with these names, from all splits.

    Raises:
        DataError: the folder is neither in FAIR-Play's layout nor prepared, or a clip does not exist.
    """
    everything = dataclasses.replace(part, splits=None, limit=None)
    found = {clip.name: clip for clip in clips_of(everything, channels=None, no_split=True)}
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{part.folder}: {_some(missing, len(names))} not there: {_first(missing)}", "missing")
    return [found[name] for name in names]


@lru_cache(maxsize=4)
def _prepared_set(folder: Path, state: tuple[int, int]) -> PreparedSet:
    return PreparedSet(folder)


def _clip(file: Path) -> PreparedClip:
    """The prepared clip in a file. Names may have slashes, so the set's folder may be some levels up."""
    for folder in file.parents:
        if (index := folder / INDEX_FILE).is_file():
            state = index.stat()
            name = file.relative_to(folder / CLIPS_FOLDER).with_suffix("").as_posix()
            return _prepared_set(folder, (state.st_size, state.st_mtime_ns))[name]
    raise DataError(f"{file}: is in no prepared set; {INDEX_FILE} is missing", "missing")


def _some(names: Sequence[str], total: int) -> str:
    return f"{len(names)} of {total} clips {'is' if len(names) == 1 else 'are'}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _prepared_pictures(clip: PreparedClip, spec: WindowSpec, true_depth: bool) -> Iterator[Frame]:
    duration_s = clip.entry.samples / clip.settings.sample_rate_hz
    rate = spec.frame_rate_hz
    for tick in range(max(1, int(np.ceil(duration_s * rate - 1e-9)))):
        number = min(clip.entry.pictures - 1, int(tick / rate * clip.settings.frame_rate_hz + 1e-6))
        rgb = clip.picture(number)
        size = spec.frame_size_of((rgb.shape[0], rgb.shape[1]))
        if size is not None and rgb.shape[:2] != size:
            rgb = np.asarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        depth = clip.depth_at(number / clip.settings.frame_rate_hz) if true_depth else None
        yield Frame(tick / rate, number, rgb, depth)
