"""Writes a folder of simulated concerts: on all cores, resumable, and identical for the same seed."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hearsight.acoustics import HRIRSet, load_hrirs
from hearsight.datasets.fair_play_layout import clip_name, write_clip, write_splits
from hearsight.datasets.simulated import RESPONSE_FILE
from hearsight.datasets.splits import split_by_recording
from hearsight.errors import DataError, HearsightError
from hearsight.files import folder_written_whole, make_folder, remove_leftovers, write_json, written_whole
from hearsight.media import write_wav
from hearsight.progress import Progress, no_progress
from hearsight.simulation.folder_text import LICENCE, readme
from hearsight.simulation.gestures import gestures
from hearsight.simulation.picture import views
from hearsight.simulation.scene import random_scene
from hearsight.simulation.settings import CLIPS_PER_ROOM, Settings
from hearsight.simulation.sound import FULL_SCALE, Sound, loudest_response, make_sound
from hearsight.simulation.synthesizer import Synthesizer
from hearsight.simulation.truth import truth_of, visible_boxes
from hearsight.workers import Workers, done_by_workers

FORMAT = 1
"""Version of drawing and format; a folder of another version is refused, not completed."""

SIMULATION = "simulation.json"
SPLITS = 5
MILLIMETRES = 1000


@dataclass(frozen=True)
class SimulateReport:
    """Result of `simulate`: number of clips in the set, and number of those that existed before."""

    clips: int
    reused: int


def simulate(
    folder: str | os.PathLike[str],
    clips: int,
    settings: Settings | None = None,
    workers: Workers = 1,
    sound_font: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> SimulateReport:
    """Make a dataset of simulated concerts in `folder` (docs/how-to/simulate.md describes its content).

    The same settings and sound font give the same bytes, whatever the number of workers, with the same versions of the
    libraries. Each file is written whole and a clip's scene file last, so that running it again completes an
    interrupted run. More clips with the same settings are added to the set.

    Args:
        clips: total number of clips in the set.
        workers: number of processes, or a Ray cluster. With more than one process, a calling script needs the `if
            __name__ == "__main__"` guard.
        sound_font: a General MIDI sound font; None for the one in pretty_midi's wheel.
        progress: gets the number of finished clips.

    Raises:
        DataError: the folder holds other files, a set of other settings, or more clips; the sound font is unfit.
        DependencyError: the FluidSynth library or the sound font is not installed.
        HearsightError: the folder cannot be written, the disk has too little space, or a worker was killed.
    """
    settings = settings or Settings()
    if clips < 1 or clips > 999_999:
        raise DataError(f"{clips} clips: give 1 to 999999")
    if isinstance(workers, int) and workers < 1:
        raise DataError(f"{workers} workers: give 1 or more")
    folder = Path(folder)
    font = Synthesizer(sound_font).sound_font
    _claim(folder, clips, settings, font)
    missing = [number for number in range(1, clips + 1) if not _truth_path(folder, number).is_file()]
    _check_room_on_disk(folder, len(missing), settings)
    for part in ("stems", "depth", "scenes", "videos", "binaural_audios"):
        remove_leftovers(folder / part)

    reused = clips - len(missing)
    progress(reused, clips)
    for done, _ in enumerate(done_by_workers(_ClipMaker(folder, settings, font), missing, workers), start=reused + 1):
        progress(done, clips)
    _write_all_splits(folder, clips, settings)
    for name, text in (("README.md", readme(settings, clips, font)), ("LICENSE.md", LICENCE)):
        with written_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return SimulateReport(clips, reused)


def make_clip(folder: Path, number: int, settings: Settings, synthesizer: Synthesizer, hrirs: HRIRSet) -> None:
    """Make and write one clip, counted from 1: stems, depth, video and sound, and its scene file last."""
    name = clip_name(number)
    scene = random_scene(settings, number)
    with _one_thread():
        sound = make_sound(scene, settings, synthesizer, hrirs)
        times = np.arange(settings.frames) / settings.frame_rate_hz
        poses = [
            gestures(p.instrument, notes, times, 60 / sound.music.tempo_bpm, settings.seed + number + 101 * index)
            for index, (p, notes) in enumerate(zip(scene.performers, sound.music.parts, strict=True))
        ]
        per_second = [k % settings.frame_rate_hz == 0 for k in range(settings.frames)]
        boxes: list[list[Any]] = [[] for _ in scene.performers]
        depths: list[NDArray[np.uint16]] = []

        def frames() -> Iterator[NDArray[np.uint8]]:
            for view in views(scene, settings, poses, per_second):
                for track, box in zip(boxes, visible_boxes(view.owner, len(boxes)), strict=True):
                    track.append(box)
                if view.depth is not None:
                    depths.append(np.minimum(np.round(view.depth * MILLIMETRES), 65535).astype(np.uint16))
                yield view.colour

        response = None if settings.open_air else loudest_response(scene, settings, sound, hrirs)
        ears = sound.mix / FULL_SCALE
        write_clip(folder, name, frames(), settings.frame_rate_hz, ears, settings.sample_rate_hz)
    truth = truth_of(scene, settings, sound, boxes)
    _write_depth(folder / "depth" / name, depths)
    _write_stems(folder / "stems" / name, sound, truth, settings.sample_rate_hz, response)
    write_json(_truth_path(folder, number), truth)


def read_simulation(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the `simulation.json` of a set.

    Raises:
        DataError: the folder is not a set of simulated concerts.
    """
    path = Path(folder) / SIMULATION
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: is not a set of simulated concerts ({SIMULATION} is missing)", "missing") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read; make the set again in another folder", "unreadable") from error


def _claim(folder: Path, clips: int, settings: Settings, font: Path) -> None:
    """Make the folder, or check that it holds a part of the same set, and write `simulation.json`."""
    wanted = {
        "format": FORMAT,
        "clips": clips,
        "settings": settings.as_json(),
        "clips_per_room": CLIPS_PER_ROOM,
        "sound_font": {"name": font.name, "sha256": hashlib.sha256(font.read_bytes()).hexdigest()},
    }
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; name a folder", "occupied")
    if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        found = read_simulation(folder) if (folder / SIMULATION).is_file() else None
        if found is None:
            raise DataError(f"{folder}: holds other objects; name an empty or a new folder", "occupied")
        for key in ("format", "clips_per_room", "sound_font"):
            if found.get(key) != wanted[key]:
                raise DataError(
                    f"{folder}: holds a set with another {key.replace('_', ' ')}; name another folder", "mismatch"
                )
        before_it_could_be_chosen = {
            key: Settings().as_json()[key] for key in ("reverberation_s", "distance_m", "still_camera")
        }
        for key, value in settings.as_json().items():
            other = found.get("settings", {}).get(key, before_it_could_be_chosen.get(key))
            if other != value:
                raise DataError(
                    f"{folder}: holds a set with {key.replace('_', ' ')} {other}, not {value}; name another folder",
                    "mismatch",
                )
        if found["clips"] > clips:
            raise DataError(f"{folder}: holds a set of {found['clips']} clips; ask for as many or more", "mismatch")
    for part in ("stems", "depth", "scenes"):
        make_folder(folder / part)
    write_json(folder / SIMULATION, wanted)


def _check_room_on_disk(folder: Path, missing: int, settings: Settings) -> None:
    """Raise if the clips may not fit on the disk, by a high estimate."""
    sound = 2 * settings.samples * (2 + 2 + 3 * settings.performers[1])
    pixels = settings.width * settings.height
    picture = 0.1 * pixels * settings.frames + 1.0 * pixels * math.ceil(settings.seconds)
    needed = missing * (sound + picture + 24_000 * settings.seconds + 1_200 * settings.frames)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise HearsightError(
            f"{folder}: {missing} clips may need {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left; "
            "free some or ask for fewer clips",
            "unwritable",
        )


@dataclass(frozen=True)
class _ClipMaker:
    """Makes any clip of a set, called with its number."""

    folder: Path
    settings: Settings
    sound_font: Path

    def __call__(self, number: int) -> None:
        make_clip(self.folder, number, self.settings, *self._loaded)

    @cached_property
    def _loaded(self) -> tuple[Synthesizer, HRIRSet]:
        return Synthesizer(self.sound_font), load_hrirs()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit the libraries to one thread: bytes must not depend on the number of cores, and clips are made in
    parallel."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _truth_path(folder: Path, number: int) -> Path:
    return folder / "scenes" / f"{clip_name(number)}.json"


def _write_depth(target: Path, maps: list[NDArray[np.uint16]]) -> None:
    with folder_written_whole(target) as temporary:
        for second, depth in enumerate(maps):
            if not cv2.imwrite(str(temporary / f"{second:04d}.png"), depth, [cv2.IMWRITE_PNG_COMPRESSION, 4]):
                raise HearsightError(f"{target}: cannot be written; is the disk full?", "unwritable")


def _write_stems(
    target: Path, sound: Sound, truth: dict[str, Any], rate: int, response: NDArray[np.int16] | None
) -> None:
    with folder_written_whole(target) as temporary:
        write_wav(temporary / "noise.wav", sound.noise, rate)
        if response is not None:
            write_wav(temporary / RESPONSE_FILE, response, rate)
        for index, performer in enumerate(truth["performers"]):
            write_wav(temporary / Path(performer["stem_dry"]).name, sound.dry[index : index + 1], rate)
            write_wav(temporary / Path(performer["stem_ears"]).name, sound.ears[index], rate)


def _write_all_splits(folder: Path, clips: int, settings: Settings) -> None:
    """Write five splits by room; with fewer than three rooms all clips are for training."""
    rooms = {clip_name(number): f"{(number - 1) // CLIPS_PER_ROOM:06d}" for number in range(1, clips + 1)}
    for index in range(1, SPLITS + 1):
        if len(set(rooms.values())) < 3:
            write_splits(folder, {"train": list(rooms)}, index)
        else:
            write_splits(folder, split_by_recording(rooms, seed=settings.seed * SPLITS + index), index)
