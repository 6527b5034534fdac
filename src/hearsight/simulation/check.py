"""Check that a set of simulated concerts is complete and consistent."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soundfile

from hearsight.datasets.fair_play_layout import clip_name
from hearsight.datasets.splits import SPLIT_PARTS
from hearsight.errors import DataError, HearsightError
from hearsight.media import probe
from hearsight.progress import Progress, no_progress
from hearsight.simulation.write import SPLITS, read_simulation


@dataclass(frozen=True)
class CheckReport:
    """Number of checked clips, and all faults, one line each, beginning with the file."""

    clips: int
    faults: list[str]


def check_folder(folder: str | os.PathLike[str], progress: Progress = no_progress) -> CheckReport:
    """Check every file of a set: durations, channels, offsets between sound and picture, sums of stems, splits.

    Raises:
        DataError: the folder is not a set of simulated concerts.
    """
    folder = Path(folder)
    simulation = read_simulation(folder)
    try:
        clips, settings = int(simulation["clips"]), simulation["settings"]
        samples = round(settings["seconds"] * settings["sample_rate_hz"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: its simulation.json lacks {error}; make the set again", "missing") from error
    faults: list[str] = []
    rooms: dict[str, int] = {}
    for number in range(1, clips + 1):
        name = clip_name(number)
        try:
            rooms[name] = _check_clip(folder, name, settings, samples, faults)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, HearsightError) as error:
            faults.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")
        progress(number, clips)
    for part, suffix in (("videos", ".mp4"), ("binaural_audios", ".wav"), ("scenes", ".json")):
        extra = {path.stem for path in (folder / part).glob(f"*{suffix}")} - {clip_name(n + 1) for n in range(clips)}
        faults += [f"{part}/{name}{suffix}: is not of this set" for name in sorted(extra)]
    for index in range(1, SPLITS + 1):
        _check_split(folder, index, rooms, clips, faults)
    return CheckReport(clips, faults)


def _check_clip(folder: Path, name: str, settings: dict[str, Any], samples: int, faults: list[str]) -> int:
    """Check one clip; return the number of its room."""
    rate, frames = settings["sample_rate_hz"], round(settings["seconds"] * settings["frame_rate_hz"])
    truth = json.loads((folder / "scenes" / f"{name}.json").read_text(encoding="utf-8"))
    mix = _sound(folder, f"binaural_audios/{name}.wav", 2, rate, samples, faults)
    total = _sound(folder, truth["stem_noise"], 2, rate, samples, faults).astype(np.int64)
    for performer in truth["performers"]:
        dry = _sound(folder, performer["stem_dry"], 1, rate, samples, faults)
        ears = _sound(folder, performer["stem_ears"], 2, rate, samples, faults)
        total = total + ears if total.shape == ears.shape else total
        if performer["silent"] and (dry.any() or ears.any()):
            faults.append(f"{performer['stem_ears']}: sounds, though the performer is silent")
        if not performer["silent"] and not ears.any():
            faults.append(f"{performer['stem_ears']}: is silent, though the performer plays")
        if len(performer["track"]) != frames:
            faults.append(f"scenes/{name}.json: {len(performer['track'])} positions for {frames} frames")
    if total.shape != mix.shape or (total != mix).any():
        faults.append(f"binaural_audios/{name}.wav: is not the sum of its stems")
    if not mix.any():
        faults.append(f"binaural_audios/{name}.wav: is silent")
    _check_video(folder, name, settings, frames, faults)
    maps = sorted((folder / "depth" / name).glob("*.png"))
    if len(maps) != int(np.ceil(settings["seconds"])):
        faults.append(f"depth/{name}: {len(maps)} maps for {settings['seconds']} s")
    for path in maps:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if depth is None or depth.dtype != np.uint16 or depth.shape != (settings["height"], settings["width"]):
            faults.append(f"depth/{name}/{path.name}: is not a 16-bit picture of the video's size")
        elif not depth.all():
            faults.append(f"depth/{name}/{path.name}: has pixels without depth")
    return int(truth["room"]["number"])


def _sound(folder: Path, name: str, channels: int, rate: int, samples: int, faults: list[str]) -> np.ndarray:
    data, found = soundfile.read(folder / name, dtype="int16", always_2d=True)
    if data.shape != (samples, channels) or found != rate:
        faults.append(
            f"{name}: {data.shape[0]} samples of {data.shape[1]} channels at {found} Hz; expected {samples} of "
            f"{channels} at {rate} Hz"
        )
    return data


def _check_video(folder: Path, name: str, settings: dict[str, Any], frames: int, faults: list[str]) -> None:
    path = folder / "videos" / f"{name}.mp4"
    info = probe(path)
    if info.audio is None or info.video is None:
        faults.append(f"videos/{name}.mp4: has no {'sound' if info.audio is None else 'picture'}")
        return
    if (info.video.width, info.video.height) != (settings["width"], settings["height"]):
        faults.append(f"videos/{name}.mp4: is {info.video.width}x{info.video.height}")
    if (info.audio.channels, info.audio.sample_rate_hz) != (2, settings["sample_rate_hz"]):
        faults.append(f"videos/{name}.mp4: has {info.audio.channels} channels at {info.audio.sample_rate_hz} Hz")
    offset = info.video.start_s - info.audio.start_s
    if abs(offset) > 0.5 / settings["frame_rate_hz"]:
        faults.append(f"videos/{name}.mp4: picture begins {offset:+.3f} s after the sound")
    with av.open(str(path)) as container:
        found = sum(packet.dts is not None for packet in container.demux(video=0))
    if found != frames:
        faults.append(f"videos/{name}.mp4: has {found} frames; expected {frames}")


def _check_split(folder: Path, index: int, rooms: dict[str, int], clips: int, faults: list[str]) -> None:
    where: dict[int, str] = {}
    named: list[str] = []
    for part in SPLIT_PARTS:
        path = folder / "splits" / f"split{index}" / f"{part}.txt"
        if not path.is_file():
            faults.append(f"splits/split{index}/{part}.txt: is missing")
            continue
        for line in path.read_text(encoding="utf-8").split():
            name = line.removesuffix(".wav")
            named.append(name)
            room = rooms.get(name)
            if room is None:
                faults.append(f"splits/split{index}/{part}.txt: {line} is no sound clip of this set")
            elif where.setdefault(room, part) != part:
                faults.append(f"splits/split{index}: room {room} is in {where[room]} and in {part}")
    if sorted(named) != [clip_name(number + 1) for number in range(clips)]:
        faults.append(f"splits/split{index}: does not name each clip once")
