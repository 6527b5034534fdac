"""Training data of a model, from the log of its run, and a check that it is not measured on them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hearsight.datasets.prepared import INDEX_FILE, PreparedSet
from hearsight.errors import DataError, HearsightError
from hearsight.evaluation.clips import BenchmarkClip, sound_of
from hearsight.models.saving import role_and_source
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.signal import resample

LOG_FILE = "log.json"
_RATE_HZ = 8_000  # enough to distinguish clips
_SAME = 0.9


@dataclass(frozen=True)
class TrainingClips:
    """Clips of one part of a run's data.

    Attributes:
        folder: folder of the prepared set.
        dataset: name of the dataset, according to the set.
        names: names of the clips used for training or validation.
    """

    folder: Path
    dataset: str
    names: frozenset[str]


def training_clips(model: str | None) -> list[TrainingClips]:
    """Clips that a model was trained or validated on, from the log of its run; empty where there is no log.

    Args:
        model: as in a benchmark file: `RUN/model`, `RUN`, or "NAME@RUN/model".

    Raises:
        DataError: the log cannot be read as one.
    """
    _, source = role_and_source(model or "")
    folder = Path(source)
    log = next((place / LOG_FILE for place in (folder, folder.parent) if source and (place / LOG_FILE).is_file()), None)
    if log is None:
        return []
    try:
        content: Any = json.loads(log.read_text(encoding="utf-8"))
        parts = content.get("clips", {}).values()
        return [
            TrainingClips(Path(part["folder"]), str(part["dataset"]), frozenset([*part["train"], *part["val"]]))
            for part in parts
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{log}: is not the log of a training run ({type(error).__name__}: {error})", "unreadable"
        ) from error


def check_unseen(system: str, model: str | None, clips: Sequence[BenchmarkClip], folder: str) -> None:
    """Raise if a model was trained or validated on some of these clips.

    Clips are the same if they are in the same prepared folder and have the same name. In another folder (the dataset
    itself, or prepared again) equal names prove nothing, because every set numbers its clips from 1. There the first
    clips with the same name are compared by their sound, or by the sets' names if the training folder no longer exists.

    Args:
        system: name of the system, for the message.
        model: as in a benchmark file.
        clips: clips to be measured, all of `folder`.

    Raises:
        DataError: some of them were seen; the message counts and names them.
    """
    for part in training_clips(model):
        both = [clip for clip in clips if clip.name in part.names]
        if both and _same_set(part, both[0], Path(folder)):
            names = list(dict.fromkeys(clip.name for clip in both))
            named = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise DataError(
                f"{system} was trained or validated on {len(names)} of the clips to be measured: {named}; "
                "name the split that it was trained with",
                "overlap",
            )


def _same_set(part: TrainingClips, clip: BenchmarkClip, folder: Path) -> bool:
    if part.folder.resolve() == folder.resolve():
        return True
    trained = _sound_trained_on(part.folder, clip.name)
    if trained is None:
        return not (folder / INDEX_FILE).is_file() or PreparedSet(folder).dataset == part.dataset
    sounds = [trained, sound_of(clip.sound)]
    return _alike(*(resample(sound.mean(0), rate, _RATE_HZ) for sound, rate in sounds))


def _sound_trained_on(folder: Path, name: str) -> tuple[torch.Tensor, int] | None:
    """Sound of a clip of a training set, and its rate; None if it no longer exists."""
    try:
        if (folder / INDEX_FILE).is_file():
            clip = PreparedSet(folder)[name]
            return clip.sound(), clip.settings.sample_rate_hz
        mono = PreparedMonoClips(folder)
        number = mono.number_of(name)
        sound = mono.sound(number, 0, mono.clips[number].samples)
        return torch.from_numpy(sound)[None], mono.sample_rate_hz
    except HearsightError:
        return None


def _alike(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two signals are the same, up to their level and a tenth of a second at the end."""
    samples = min(len(first), len(second))
    if abs(len(first) - len(second)) > _RATE_HZ / 10:
        return False
    first, second = first[:samples], second[:samples]
    return float(first @ second) >= _SAME * float(first.norm() * second.norm())
