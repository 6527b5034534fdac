"""Two files or two folders of ears measured against each other, with every problem named."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError, HearsightError, MediaError
from hearsight.evaluation.protocols import Protocol
from hearsight.media import read_sound
from hearsight.progress import Progress, no_progress

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".w64", ".caf")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".m4a", ".aac", ".avi")


@dataclass
class Comparison:
    """What came of comparing.

    Attributes:
        per_clip: one row per clip that could be measured: `name`, `duration_s`, `sample_rate_hz` (of the reference)
            and every metric.
        problems: one line for each clip that could not, beginning with its name.
    """

    per_clip: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """Each metric's mean over the clips (clips count alike, however long, as in the papers); empty if none."""
        names = [name for name in (self.per_clip[0] if self.per_clip else {}) if name not in _FACTS]
        return {name: float(np.mean([row[name] for row in self.per_clip])) for name in names}

    def to_json(self) -> dict[str, Any]:
        """The object that `hearsight evaluate --json` prints."""
        result: dict[str, Any] = {
            "clips": len(self.per_clip),
            "metrics": self.means(),
            "per_clip": self.per_clip,
        }
        return result | {"problems": self.problems} if self.problems else result


_FACTS = ("name", "duration_s", "sample_rate_hz")


def compare(
    reference: str | os.PathLike[str],
    prediction: str | os.PathLike[str],
    protocol: Protocol,
    progress: Progress = no_progress,
) -> Comparison:
    """Measure a predicted file, or every file of a predicted folder, against its reference.

    Files of two folders belong together when their paths below the folder are equal up to the suffix. The two may
    differ in sample rate (both are brought to the protocol's), not in duration by more than one sample of the lower
    rate.

    Nothing is left out silently: a file without its counterpart, one that cannot be read, is empty, not two-channel,
    not finite, or not as long as its counterpart becomes a line of `problems`.

    Raises:
        DataError: a path does not exist, one is a file and the other a folder, or a folder holds no sound at all.
    """
    pairs, problems = _pairs(Path(reference), Path(prediction))
    result = Comparison(problems=problems)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one clip per core: the clips are many and the transforms small
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.map(lambda pair: _measured(pair, protocol), pairs)
            for done, row in enumerate(measured, start=1):
                if isinstance(row, str):
                    result.problems.append(row)
                else:
                    result.per_clip.append(row)
                progress(done, len(pairs))
    finally:
        torch.set_num_threads(threads)
    return result


def read_ears(path: str | os.PathLike[str]) -> tuple[Float[Tensor, "2 samples"], int]:
    """Both channels of a sound file, or of a video as a player presents them, and the sample rate in hertz.

    Raises:
        MediaError: the file is missing, unreadable, empty, not two-channel, or holds values that are not finite, or a
            video's sound has gaps or damage.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty")
    read = _read_video if path.suffix.lower() in VIDEO_SUFFIXES else _read_sound
    samples, sample_rate_hz = read(path)
    if samples.shape[-1] == 0:
        raise MediaError(f"{path}: holds no samples")
    if samples.shape[0] != 2:
        raise MediaError(f"{path}: has {samples.shape[0]} channel(s); two ears are needed")
    if not bool(samples.isfinite().all()):
        raise MediaError(f"{path}: holds values that are not finite numbers")
    return samples, sample_rate_hz


def _read_sound(path: Path) -> tuple[Tensor, int]:
    try:
        samples, sample_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{path}: cannot be read as sound ({error.error_string.rstrip('.')})") from error
    return torch.from_numpy(np.ascontiguousarray(samples.T)), int(sample_rate_hz)


def _read_video(path: Path) -> tuple[Tensor, int]:
    notes: list[str] = []
    samples, sample_rate_hz = read_sound(path, notes)
    if notes:  # silence or a fade in place of what was recorded must not be measured
        raise MediaError(f"{path}: {'; '.join(notes)}")
    return samples, sample_rate_hz


def _measured(pair: tuple[str, Path, Path], protocol: Protocol) -> dict[str, Any] | str:
    name, reference, prediction = pair
    try:
        true, true_hz = read_ears(reference)
        predicted, predicted_hz = read_ears(prediction)
        true_s, predicted_s = true.shape[-1] / true_hz, predicted.shape[-1] / predicted_hz
        if abs(true_s - predicted_s) > 1.001 / min(true_hz, predicted_hz):
            raise DataError(f"the reference lasts {true_s:.4f} s, the prediction {predicted_s:.4f} s")
        return {
            "name": name,
            "duration_s": true_s,
            "sample_rate_hz": true_hz,
            **_values(predicted, predicted_hz, true, true_hz, protocol),
        }
    except HearsightError as error:
        names_file = str(error).startswith((f"{reference}: ", f"{prediction}: "))
        return str(error) if names_file else f"{name}: {error}"


def _values(predicted: Tensor, predicted_hz: int, true: Tensor, true_hz: int, protocol: Protocol) -> dict[str, float]:
    predicted, true = protocol.prepare(predicted, predicted_hz), protocol.prepare(true, true_hz)
    samples = min(predicted.shape[-1], true.shape[-1])  # rounding of two rates: one sample at most
    return {name: float(value) for name, value in protocol.distances(predicted[:, :samples], true[:, :samples]).items()}


def _pairs(reference: Path, prediction: Path) -> tuple[list[tuple[str, Path, Path]], list[str]]:
    for path in (reference, prediction):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    if reference.is_dir() != prediction.is_dir():
        folder, file = (reference, prediction) if reference.is_dir() else (prediction, reference)
        raise DataError(f"{folder} is a folder and {file} a file; name two files or two folders")
    if not reference.is_dir():
        return [(prediction.name, reference, prediction)], []
    (true, true_problems), (predicted, predicted_problems) = _sounds_below(reference), _sounds_below(prediction)
    for folder, found in ((reference, true), (prediction, predicted)):
        if not found:
            raise DataError(f"{folder}: holds no sound or video file ({', '.join(SOUND_SUFFIXES + VIDEO_SUFFIXES)})")
    problems = true_problems + predicted_problems
    problems += [f"{name}: has no prediction in {prediction}" for name in sorted(true.keys() - predicted.keys())]
    problems += [f"{name}: has no reference in {reference}" for name in sorted(predicted.keys() - true.keys())]
    both = sorted(true.keys() & predicted.keys())
    return [(name, true[name], predicted[name]) for name in both], problems


def _sounds_below(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Sound and video files by their path below `folder` without suffix; hidden ones are left out."""
    found: dict[str, Path] = {}
    problems = []
    wanted: Callable[[Path], bool] = lambda path: (  # noqa: E731
        path.suffix.lower() in SOUND_SUFFIXES + VIDEO_SUFFIXES and not path.name.startswith(".")
    )
    for path in sorted(filter(wanted, folder.rglob("*"))):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            problems.append(
                f"{name}: is twice in {folder}, as {found[name].name} and {path.name}; {path.name} is unused"
            )
        else:
            found[name] = path
    return found, problems
