"""Comparison of two files or two folders of ears, with a list of all problems."""

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import scipy.stats
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError, HearsightError, MediaError
from hearsight.evaluation.measures import ClipMeasures
from hearsight.evaluation.protocols import Protocol
from hearsight.media import read_sound
from hearsight.metrics.binaural import DISTANCES
from hearsight.progress import Progress, no_progress
from hearsight.signal import resample

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".w64", ".caf")
BINAURAL = ".binaural"  # `hearsight binauralize` writes NAME.binaural.mp4 beside NAME.mp4
AUTHORS_FILES = {"reference": "input_binaural", "prediction": "predicted_binaural"}
"""File names that the authors' test scripts write into a folder per clip: the true and the predicted ears."""
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".m4a", ".aac", ".avi")


@dataclass
class Comparison:
    """Outcome of comparing two files or folders.

    Attributes:
        per_clip: one row per measured clip: `name`, `duration_s`, `sample_rate_hz` (of the reference), the protocol's
            distances and the further values of `ClipMeasures`.
        problems: one line for each clip that could not be measured, beginning with its name.
    """

    per_clip: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def summaries(self) -> dict[str, "MeanOverClips"]:
        """Mean of every metric over the clips; empty if there are none. Each clip counts once, whatever its duration,
        as in the papers."""
        names = [name for name in (self.per_clip[0] if self.per_clip else {}) if name not in _FACTS]
        return {name: mean_over_clips([row[name] for row in self.per_clip]) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Object that `hearsight evaluate --json` prints.

        `metrics` holds the means of the protocol's distances, `spatial` the means of the other values. Standard errors
        and 95 % intervals are given for all.
        """
        found = self.summaries()
        result: dict[str, Any] = {
            "clips": len(self.per_clip),
            "metrics": {name: value.mean for name, value in found.items() if name in DISTANCES},
            "spatial": {name: value.mean for name, value in found.items() if name not in DISTANCES},
            "standard_error": {name: value.standard_error for name, value in found.items()},
            "interval_95": {name: value.interval_95 for name, value in found.items()},
            "per_clip": self.per_clip,
        }
        return result | {"problems": self.problems} if self.problems else result


@dataclass(frozen=True)
class MeanOverClips:
    """Mean and its uncertainty.

    Attributes:
        mean: mean over clips.
        standard_error: standard deviation of the clips over the square root of their number; None for a single clip.
        interval_95: 95 % interval of the mean, by the bootstrap over clips (percentiles of 10,000 resamplings, the same
            in every run); None for a single clip.
    """

    mean: float
    standard_error: float | None
    interval_95: tuple[float, float] | None


def mean_over_clips(values: Sequence[float]) -> MeanOverClips:
    """Mean of values with its standard error and interval."""
    numbers = np.asarray(values, np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return MeanOverClips(mean, None, None)
    error = float(numbers.std(ddof=1) / np.sqrt(len(numbers)))
    if np.ptp(numbers) == 0:  # nothing to resample
        return MeanOverClips(mean, error, (mean, mean))
    interval = scipy.stats.bootstrap(
        (numbers,), np.mean, n_resamples=10_000, batch=max(1, 4_000_000 // len(numbers)), method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return MeanOverClips(mean, error, (float(interval.low), float(interval.high)))


_FACTS = ("name", "duration_s", "sample_rate_hz")


def compare(
    reference: str | os.PathLike[str],
    prediction: str | os.PathLike[str],
    protocol: Protocol,
    progress: Progress = no_progress,
    names: Collection[str] | None = None,
) -> Comparison:
    """Measure a predicted file, or every file of a predicted folder, against its reference.

    Files of two folders match if their paths below the folder are equal without the suffix and without `.binaural`
    before it (`hearsight binauralize -o FOLDER`). The output of the authors' test scripts is understood too: a folder
    per clip, with `predicted_binaural.wav` for the prediction and `input_binaural.wav` for the reference. Prediction
    and reference may differ in sample rate (both are resampled to the protocol's), but not in duration by more than one
    sample of the lower rate.

    Nothing is left out silently. A file becomes a line of `problems` if it has no counterpart, cannot be read, is
    empty, does not have two channels, has values that are not finite, or differs in duration from its counterpart.

    Args:
        names: measure only these clips of two folders; each must exist. None for all.

    Raises:
        DataError: a path does not exist, one is a file and the other a folder, or a folder holds no sound at all.
    """
    pairs, problems = _pairs(Path(reference), Path(prediction), names)
    result = Comparison(problems=problems)
    measures = ClipMeasures(protocol)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # One thread per clip, on all cores: there are many clips, and the transforms are small.
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.map(lambda pair: _measured(pair, measures), pairs)
            for done, row in enumerate(measured, start=1):
                if isinstance(row, str):
                    result.problems.append(row)
                else:
                    result.per_clip.append(row)
                progress(done, len(pairs))
    finally:
        torch.set_num_threads(threads)
    return result


def name_of_listed(line: str) -> str:
    """Name of the clip that a line of a split's list means.

    FAIR-Play's lists name sound files with folders of the authors' machine before them; other lists name clips.
    """
    path = PurePosixPath(line)
    return path.stem if path.suffix.lower() in SOUND_SUFFIXES else line


def read_ears(path: str | os.PathLike[str]) -> tuple[Float[Tensor, "2 samples"], int]:
    """Both channels of a sound file, or of a video as a player presents them, and the sample rate in hertz.

    Raises:
        MediaError: the file is missing, unreadable, empty, not two-channel, or holds values that are not finite, or a
            video's sound has gaps or damage.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path}: no such file", "missing")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty", "too-little")
    read = _read_video if path.suffix.lower() in VIDEO_SUFFIXES else _read_sound
    samples, sample_rate_hz = read(path)
    if samples.shape[-1] == 0:
        raise MediaError(f"{path}: holds no samples", "too-little")
    if samples.shape[0] != 2:
        raise MediaError(f"{path}: has {samples.shape[0]} channel(s); two ears are needed", "mismatch")
    if not bool(samples.isfinite().all()):
        raise MediaError(f"{path}: holds values that are not finite numbers", "unreadable")
    return samples, sample_rate_hz


def _read_sound(path: Path) -> tuple[Tensor, int]:
    try:
        samples, sample_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{path}: cannot be read as sound ({error.error_string.rstrip('.')})", "unreadable") from error
    return torch.from_numpy(np.ascontiguousarray(samples.T)), int(sample_rate_hz)


def _read_video(path: Path) -> tuple[Tensor, int]:
    notes: list[str] = []
    samples, sample_rate_hz = read_sound(path, notes)
    if notes:  # silence or a fade that replaces a gap must not be measured
        raise MediaError(f"{path}: {'; '.join(notes)}", "unreadable")
    return samples, sample_rate_hz


def _measured(pair: tuple[str, Path, Path], measures: ClipMeasures) -> dict[str, Any] | str:
    name, reference, prediction = pair
    try:
        true, true_hz = read_ears(reference)
        predicted, predicted_hz = read_ears(prediction)
        true_s, predicted_s = true.shape[-1] / true_hz, predicted.shape[-1] / predicted_hz
        if abs(true_s - predicted_s) > 1.001 / min(true_hz, predicted_hz):
            raise DataError(f"the reference lasts {true_s:.4f} s, the prediction {predicted_s:.4f} s", "mismatch")
        return {
            "name": name,
            "duration_s": true_s,
            "sample_rate_hz": true_hz,
            **_values(predicted, predicted_hz, true, true_hz, measures),
        }
    except HearsightError as error:
        names_file = str(error).startswith((f"{reference}: ", f"{prediction}: "))
        return str(error) if names_file else f"{name}: {error}"


def _values(
    predicted: Tensor, predicted_hz: int, true: Tensor, true_hz: int, measures: ClipMeasures
) -> dict[str, float]:
    rate = measures.protocol.sample_rate_hz
    predicted, true = resample(predicted, predicted_hz, rate), resample(true, true_hz, rate)
    samples = min(predicted.shape[-1], true.shape[-1])  # rounding of two rates: at most one sample
    return measures.measure(predicted[:, :samples], true[:, :samples])


def _pairs(
    reference: Path, prediction: Path, names: Collection[str] | None
) -> tuple[list[tuple[str, Path, Path]], list[str]]:
    for path in (reference, prediction):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder", "missing")
    if reference.is_dir() != prediction.is_dir():
        folder, file = (reference, prediction) if reference.is_dir() else (prediction, reference)
        raise DataError(f"{folder} is a folder and {file} a file; name two files or two folders")
    if not reference.is_dir():
        if names is not None:
            raise DataError(f"{reference} is a file; a list of clips chooses among those of two folders")
        return [(prediction.name, reference, prediction)], []
    true, true_problems = sounds_below(reference, AUTHORS_FILES["reference"])
    predicted, predicted_problems = sounds_below(prediction, AUTHORS_FILES["prediction"])
    for folder, found in ((reference, true), (prediction, predicted)):
        if not found:
            raise DataError(
                f"{folder}: holds no sound or video file ({', '.join(SOUND_SUFFIXES + VIDEO_SUFFIXES)})", "missing"
            )
    wanted = true.keys() | predicted.keys() if names is None else set(names)
    problems = true_problems + predicted_problems
    problems += [f"{name}: has no prediction in {prediction}" for name in sorted(wanted - predicted.keys())]
    problems += [f"{name}: has no reference in {reference}" for name in sorted(wanted - true.keys())]
    both = sorted(true.keys() & predicted.keys() & wanted)
    return [(name, true[name], predicted[name]) for name in both], problems


def sounds_below(folder: Path, authors_file: str) -> tuple[dict[str, Path], list[str]]:
    """Sound and video files by their path below `folder` without suffix, and problems. Hidden files are skipped.

    A folder that holds `authors_file` was written by the authors' scripts; that file stands for the folder.
    """
    found: dict[str, Path] = {}
    problems = []
    wanted: Callable[[Path], bool] = lambda path: (  # noqa: E731
        path.suffix.lower() in SOUND_SUFFIXES + VIDEO_SUFFIXES and not path.name.startswith(".")
    )
    paths = sorted(filter(wanted, folder.rglob("*")))
    of_authors = {path.parent for path in paths if path.stem == authors_file and path.parent != folder}
    for path in paths:
        if path.parent in of_authors and path.stem != authors_file:
            continue
        named = path.parent if path.parent in of_authors else path.with_suffix("")
        name = named.relative_to(folder).as_posix().removesuffix(BINAURAL)
        if name in found:
            other = found[name].relative_to(folder).as_posix()
            this = path.relative_to(folder).as_posix()
            problems.append(f"{name}: is twice in {folder}, as {other} and {this}; {this} is unused")
        else:
            found[name] = path
    return found, problems
