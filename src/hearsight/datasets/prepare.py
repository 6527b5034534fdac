"""Preparation of clips: each is decoded once and checked, on all cores; resumable."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int16, UInt8

from hearsight.datasets.clip import Clip
from hearsight.datasets.decoding import SILENCE_RMS, View, read_depth, read_pictures, read_response, read_sound
from hearsight.datasets.left_out import LeftOut, by_reason
from hearsight.datasets.prepared import (
    INDEX_FILE,
    PreparedEntry,
    PreparedSet,
    PreparedSettings,
    write_index,
    write_prepared_clip,
    written_entry,
)
from hearsight.datasets.stereo_test import is_binaural
from hearsight.errors import DataError, MediaError
from hearsight.files import make_folder, write_json
from hearsight.media import probe
from hearsight.progress import Progress, no_progress
from hearsight.workers import Workers, done_by_workers

Keep = Literal["all", "binaural", "mono"]
_LARGEST_OFFSET_S = 0.5
_MADE_WITH = "made_with.json"


@dataclass(frozen=True)
class Cutting:
    """Cutting of recordings into clips.

    Attributes:
        seconds: length of a clip; None keeps a recording whole. The rest at the end is dropped if it is shorter than
            half a clip.
        shortest_s: shorter clips are left out.
        view: view of equirectangular pictures: the full 360 degrees, or a normal view ahead (90 degrees).
        keep: "all", or only recordings whose sound is "binaural" or "mono".
        hrtf: SOFA file of the head that decodes ambisonics; None for KEMAR.
    """

    seconds: float | None = None
    shortest_s: float = 0.63
    view: View = "full"
    keep: Keep = "all"
    hrtf: Path | None = None


@dataclass(frozen=True)
class PrepareReport:
    """Result of `prepare`: number of clips in the set, number of recordings reused from an earlier run, clips left
    out."""

    clips: int
    reused: int
    left_out: list[LeftOut]


def prepare(
    clips: Sequence[Clip],
    folder: str | os.PathLike[str],
    dataset: str,
    settings: PreparedSettings | None = None,
    cutting: Cutting | None = None,
    workers: Workers | None = None,
    progress: Progress = no_progress,
) -> PrepareReport:
    """Decode clips into `folder` (`datasets.prepared` describes its content).

    Each clip is checked: sound and picture are readable; the sound is finite; the channels suit its sound type, and
    differ if it is binaural; it is long enough and not silent; sound and picture begin and (if they are two files) end
    within half a second of each other. Clips that fail are left out and named with the reason; the others are prepared.
    An interrupted run continues; a folder prepared with other settings is refused. The source is only read.

    Args:
        clips: clips from a dataset's reader.
        folder: folder to write; made if it is missing.
        dataset: name of the dataset for the index.
        settings: rates and sizes.
        cutting: cutting of recordings into clips.
        workers: number of processes, or a Ray cluster; None for one process per core.
        progress: counts recordings.

    Raises:
        DataError: there are no clips, a name occurs twice, no clip is usable, or the folder holds clips prepared with
            other settings.
        HearsightError: the folder cannot be written, or a worker was killed.
    """
    settings, cutting = settings or PreparedSettings(), cutting or Cutting()
    names = [clip.name for clip in clips]
    if not clips:
        raise DataError(f"{dataset}: no clips to prepare", "too-little")
    if len(set(names)) < len(names):
        raise DataError(f"{dataset}: names {next(name for name in names if names.count(name) > 1)} twice")
    _claim(Path(folder), dataset, settings, cutting)
    job = partial(_prepare_recording, folder=Path(folder), settings=settings, cutting=cutting)
    done: dict[str, tuple[list[PreparedEntry], list[LeftOut], bool]] = {}
    results = done_by_workers(job, clips, workers or os.cpu_count() or 1)
    for number, (clip, result) in enumerate(results, start=1):
        done[clip.name] = result
        progress(number, len(clips))
    entries = [entry for name in names for entry in done[name][0]]
    left_out = [one for name in names for one in done[name][1]]
    if not entries:
        raise DataError(f"{dataset}: none of {len(clips)} clips can be used ({by_reason(left_out)})", "too-little")
    write_index(folder, dataset, settings, entries, [(one.name, one.why) for one in left_out])
    assert len(PreparedSet(folder)) == len(entries)
    return PrepareReport(len(entries), sum(done[name][2] for name in names), left_out)


def _claim(folder: Path, dataset: str, settings: PreparedSettings, cutting: Cutting) -> None:
    """Check that a folder is new or was prepared in the same way, and write a note on how it is prepared."""
    note = folder / _MADE_WITH
    content = json.loads(json.dumps({"dataset": dataset, **asdict(settings), **asdict(cutting)}, default=str))
    before: dict[str, Any] = {}
    if note.is_file():
        try:
            before = json.loads(note.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{note}: damaged; remove {folder} and prepare it again", "unreadable") from error
    elif (folder / INDEX_FILE).is_file():  # prepared by a version that wrote no note
        prepared = PreparedSet(folder)
        before = json.loads(json.dumps({"dataset": prepared.dataset, **asdict(prepared.settings)}))
    differs = next((name for name in before if name in content and before[name] != content[name]), None)
    if differs is not None:
        raise DataError(
            f"{folder}: holds clips that were prepared otherwise ({differs.replace('_', ' ')} {before[differs]}, now "
            f"{content[differs]}); name another folder, or remove it",
            "mismatch",
        )
    make_folder(folder)
    write_json(note, content)


def _prepare_recording(
    clip: Clip, folder: Path, settings: PreparedSettings, cutting: Cutting
) -> tuple[list[PreparedEntry], list[LeftOut], bool]:
    """Entries of one recording's clips, its clips left out, and whether an earlier run had made them."""
    if (before := _made_before(clip, folder, settings, cutting)) is not None:
        return *before, True
    entries: list[PreparedEntry] = []
    left_out: list[LeftOut] = []
    try:
        if clip.picture is None or not clip.picture.exists():
            raise DataError(
                "has no picture" if clip.picture is None else f"its video {clip.picture.name} is missing", "no-picture"
            )
        if not clip.sound.exists():
            raise DataError(f"its sound {clip.sound.name} is missing", "missing")
        sound = read_sound(clip, settings.sample_rate_hz, cutting.hrtf)
        _check_times(clip, sound.shape[1] / settings.sample_rate_hz)
        sound = _as_kept(clip, sound, cutting)
        for name, part, pictures in _parts(clip, sound, settings, cutting):
            try:
                entries.append(_write_part(clip, name, part, pictures, folder, settings, cutting.shortest_s))
            except DataError as error:
                left_out.append(LeftOut(name, str(error)))
    except (MediaError, DataError) as error:
        left_out.append(LeftOut.because(clip.name, error, clip.sound, clip.picture))
    _remember(clip, folder, settings, cutting, entries, left_out)
    return entries, left_out, False


def _write_part(
    clip: Clip,
    name: str,
    sound: Int16[np.ndarray, "channels samples"],
    pictures: list[UInt8[np.ndarray, "height width 3"]],
    folder: Path,
    settings: PreparedSettings,
    shortest_s: float,
) -> PreparedEntry:
    seconds = sound.shape[1] / settings.sample_rate_hz
    if seconds < shortest_s:
        raise DataError(f"too short: {seconds:.2f} s of {shortest_s:g} s", "too-little")
    if float(np.sqrt(np.square(sound / np.float32(32767)).mean())) < SILENCE_RMS:
        raise DataError("silent: below -60 dB of full scale", "too-little")
    if not pictures:
        raise DataError("no picture", "no-picture")
    depth, recording = read_depth(clip), clip.recording or clip.name
    response = read_response(clip, settings.sample_rate_hz)
    return write_prepared_clip(
        folder, name, sound, pictures, settings, depth, clip.depth_rate_hz, recording, clip.label, response
    )


def _as_kept(
    clip: Clip, sound: Int16[np.ndarray, "channels samples"], cutting: Cutting
) -> Int16[np.ndarray, "kept samples"]:
    """Channels of a recording that are kept: decided for the whole recording, so that all its clips agree.

    Raises:
        DataError: it should be binaural but is mono, or is not the requested type.
    """
    if sound.shape[0] == 2 and clip.sound_type in ("binaural", "any") and sound.any() and not is_binaural(sound):
        if clip.sound_type == "binaural":
            raise DataError("both channels are alike: it is mono", "mismatch")
        sound = np.round(sound.astype(np.float32).mean(0, keepdims=True)).astype(np.int16)
    sound_type = "binaural" if sound.shape[0] == 2 else "mono"
    if cutting.keep not in ("all", sound_type):
        raise DataError(f"it is {sound_type}, and only {cutting.keep} recordings were asked for", "mismatch")
    return sound


def _check_times(clip: Clip, sound_s: float) -> None:
    """Check that sound and picture begin together and, if they are two files, end together."""
    assert clip.picture is not None
    if clip.picture.is_dir():
        return
    info = probe(clip.picture)
    if info.video is None:
        raise DataError("has no picture", "no-picture")
    if info.audio is not None and clip.picture == clip.sound:
        late = info.video.start_s - info.audio.start_s
        if abs(late) > _LARGEST_OFFSET_S:
            raise DataError(f"the picture begins {late:+.2f} s after the sound", "mismatch")
    elif info.duration_s is not None and clip.duration_s is None and abs(info.duration_s - sound_s) > _LARGEST_OFFSET_S:
        raise DataError(f"the sound is {sound_s:.2f} s long and the picture {info.duration_s:.2f} s", "mismatch")


def _parts(
    clip: Clip, sound: np.ndarray, settings: PreparedSettings, cutting: Cutting
) -> Iterator[tuple[str, np.ndarray, list[np.ndarray]]]:
    """Yield name, sound and pictures of each clip of a recording."""
    pictures = read_pictures(clip, settings.frame_rate_hz, settings.frame_size, cutting.view)
    if cutting.seconds is None:
        yield clip.name, sound, list(_first(pictures, sound.shape[1] / settings.sample_rate_hz, settings))
        return
    samples = round(cutting.seconds * settings.sample_rate_hz)
    starts = [start for start in range(0, sound.shape[1], samples) if sound.shape[1] - start >= samples / 2]
    for number, start in enumerate(starts or [0]):
        part = sound[:, start : start + samples]
        yield (
            f"{clip.name}_{number:03d}",
            part,
            list(_first(pictures, part.shape[1] / settings.sample_rate_hz, settings)),
        )


def _first(pictures: Iterator[np.ndarray], seconds: float, settings: PreparedSettings) -> Iterator[np.ndarray]:
    for _ in range(max(1, round(seconds * settings.frame_rate_hz))):
        picture = next(pictures, None)
        if picture is None:
            return
        yield picture


def _made_before(
    clip: Clip, folder: Path, settings: PreparedSettings, cutting: Cutting
) -> tuple[list[PreparedEntry], list[LeftOut]] | None:
    """Entries that an earlier run made of a recording, if its files and all settings are unchanged; else None."""
    try:
        note = json.loads(_note(clip, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if note.get("made_of") != _made_of(clip, settings, cutting):
        return None
    entries = [written_entry(folder, name, settings) for name in note["clips"]]
    kept = [entry for entry in entries if entry is not None]
    return (kept, [LeftOut(**one) for one in note["left_out"]]) if len(kept) == len(entries) else None


def _remember(
    clip: Clip,
    folder: Path,
    settings: PreparedSettings,
    cutting: Cutting,
    entries: list[PreparedEntry],
    left_out: list[LeftOut],
) -> None:
    note = _note(clip, folder)
    note.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "made_of": _made_of(clip, settings, cutting),
        "clips": [entry.name for entry in entries],
        "left_out": [asdict(one) for one in left_out],
    }
    write_json(note, content)


def _note(clip: Clip, folder: Path) -> Path:
    return folder / "done" / f"{clip.name}.json"


def _made_of(clip: Clip, settings: PreparedSettings, cutting: Cutting) -> str:
    """Hash of everything that the prepared clips of a recording depend on."""
    stamps = []
    for path in (clip.sound, clip.picture, clip.depth, cutting.hrtf):
        if path is not None and path.exists():
            stamps.append((str(path), path.stat().st_mtime_ns, path.stat().st_size))
    return hashlib.sha256(repr((clip, settings, cutting, stamps)).encode()).hexdigest()
