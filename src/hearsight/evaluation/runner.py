"""Runs a benchmark's systems over its clips, on all cores or GPUs; finished results are cached."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.evaluation.benchmark_file import Benchmark, DatasetPart, SystemPart
from hearsight.evaluation.cache import (
    cache_folder,
    clip_path,
    file_name,
    files_of_model,
    fingerprint,
    keep_values,
    kept_values,
)
from hearsight.evaluation.clips import BenchmarkClip, clips_of, truth_of, unprepared_clips
from hearsight.evaluation.columns import own_metrics, own_values
from hearsight.evaluation.comparison import AUTHORS_FILES, BINAURAL, SOUND_SUFFIXES, VIDEO_SUFFIXES, read_ears
from hearsight.evaluation.measures import VERSION, ClipMeasures, known_directions
from hearsight.evaluation.prediction import model_input, predict_ears
from hearsight.evaluation.protocols import Protocol
from hearsight.evaluation.trained import check_unseen
from hearsight.evaluation.upper_bound import oracle_ears
from hearsight.inference import load
from hearsight.media import write_wav
from hearsight.models.interface import BinauralModel
from hearsight.models.registry import card, find_card
from hearsight.models.saving import load_network
from hearsight.own_code import imported
from hearsight.progress import Progress, no_progress
from hearsight.signal import resample
from hearsight.workers import RayCluster, Workers, done_by_workers, workers_at_a_time


@dataclass(frozen=True)
class Job:
    """One clip of one split of one dataset, for one system.

    Attributes:
        dataset, system: their names.
        clip: the clip.
        part: the system with `{dataset}` and `{split}` filled in.
        own: user-defined metrics ("module:function").
        store: path of the predicted ears (.wav) and the values (.json) in the cache, without suffix.
    """

    dataset: str
    system: str
    clip: BenchmarkClip
    part: SystemPart
    store: Path
    own: tuple[str, ...] = ()

    def fingerprint(self, protocol: Protocol) -> str:
        """Hash of everything that the values depend on."""
        said = [VERSION, dataclasses.asdict(protocol), dataclasses.asdict(self.part), *self.own]
        clip = [self.clip.sound, self.clip.picture, self.clip.scene]
        return fingerprint(said, [*clip, *files_of_model(self.part.model), *_given_files(self)])

    @property
    def ears_path(self) -> Path:
        """File of the predicted ears, at the protocol's rate."""
        return self.store.with_name(f"{self.store.name}.wav")

    @property
    def values_path(self) -> Path:
        """File of the measured values."""
        return self.store.with_name(f"{self.store.name}.json")


@dataclass(frozen=True)
class Results:
    """Results of a benchmark.

    Attributes:
        rows: values of each dataset, split, system and clip, with these four names.
        jobs: jobs of the rows, in their order.
        problems: one line for each clip that failed for some system.
    """

    rows: list[dict[str, Any]]
    jobs: list[Job]
    problems: list[str]


def run_benchmark(benchmark: Benchmark, progress: Progress = no_progress, partial: bool = False) -> Results:
    """Predict and measure every clip for every system; values in the cache under `out` are reused.

    A clip that fails for one system is left out for all, so that every system is averaged over the same clips. It is
    named in `problems`. With `partial`, listed clips that are not prepared are left out and named too.

    Raises:
        DataError: a dataset is missing or its lists do not fit.
        ModelError: a model cannot be loaded.
        HearsightError: a worker was killed.
    """
    jobs = plan(benchmark, partial)
    rule = benchmark.rule
    # A clip in several splits is one job, unless each split has its own model.
    open_jobs = list({job.store: job for job in jobs if _stored(job, rule) is None}.values())
    workers: Workers = benchmark.workers or _workers(benchmark.device)
    total = len({job.store for job in jobs})
    done = total - len(open_jobs)
    progress(done, total)
    missing = [line for part in benchmark.datasets for line in unprepared_clips(part)] if partial else []
    problems: dict[tuple[str, str], list[str]] = {}
    for finished, failures in _worked(open_jobs, rule, benchmark.device, workers):
        done += finished
        for job, line in failures:
            problems.setdefault((job.dataset, job.clip.name), []).append(
                f"{job.dataset}/{job.clip.name}, {job.system}: {line}"
            )
        progress(done, total)
    rows, kept = [], []
    for job in jobs:
        if (job.dataset, job.clip.name) in problems:
            continue
        values = _stored(job, rule)
        if values is None:  # it was complete a moment ago
            raise DataError(
                f"{job.store}: the result has vanished or its inputs changed; run the benchmark again", "missing"
            )
        rows.append(
            {"dataset": job.dataset, "split": job.clip.split, "system": job.system, "clip": job.clip.name} | values
        )
        kept.append(job)
    return Results(rows, kept, missing + [line for lines in problems.values() for line in dict.fromkeys(lines)])


def plan(benchmark: Benchmark, partial: bool = False) -> list[Job]:
    """List all jobs of a benchmark, system by system.

    Raises:
        DataError: a dataset is missing, its lists do not fit, or a model was trained on a clip.
    """
    jobs = []
    own = own_metrics([*benchmark.metrics, benchmark.ranked_by])
    clips = {part.name: clips_of(part, partial=partial) for part in benchmark.datasets}
    for system in benchmark.systems:
        for dataset in benchmark.datasets:
            _check_unseen(system, dataset, clips[dataset.name])
            for clip in clips[dataset.name]:
                part = _filled_in(system, dataset.name, clip.split)
                key = hashlib.sha256(json.dumps(dataclasses.asdict(part), sort_keys=True).encode()).hexdigest()[:10]
                folder = cache_folder(benchmark) / f"{file_name(system.name)}-{key}"
                store = folder / file_name(dataset.name) / clip_path(clip.name)
                jobs.append(Job(dataset.name, system.name, clip, part, store, own))
    return jobs


def _check_unseen(system: SystemPart, dataset: DatasetPart, clips: list[BenchmarkClip]) -> None:
    for split in dict.fromkeys(clip.split for clip in clips):
        model = _filled_in(system, dataset.name, split).model
        check_unseen(system.name, model, [clip for clip in clips if clip.split == split], dataset.folder)


def load_system(part: SystemPart, device: str, scene: Path | None = None) -> BinauralModel:
    """Load the model of a system; with `true_positions`, for the scene of one clip.

    Raises:
        DataError: the scene file is missing or is not a scene.
        ModelError: the model cannot be loaded.
    """
    if part.python is not None:
        make = imported(part.python)
        try:
            return cast(BinauralModel, make(**part.options))
        except TypeError as error:
            raise ModelError(
                f"{part.name}: {part.python} does not take these options ({error})", "unsupported"
            ) from error
    assert part.model is not None
    try:
        if part.true_positions and scene is not None:
            return _given_the_truth(part, scene)
        known = find_card(part.model)
        if known is not None and known.places_sources:
            return cast(BinauralModel, known.load_class()(**part.options))
        return cast(BinauralModel, load(part.model, device, **part.options))
    except TypeError as error:
        raise ModelError(f"{part.name}: {part.model} does not take these options ({error})", "unsupported") from error


def _given_the_truth(part: SystemPart, scene: Path) -> BinauralModel:
    """The model of a system, with the true positions of one clip instead of those that it would find in the picture."""
    assert part.model is not None
    known, network = find_card(part.model), None
    if known is None:
        network = load_network(part.model)
        known = card(network.system)
    if not known.places_sources:
        raise ModelError(
            f"{part.name}: {part.model} places no sources, so true_positions cannot be given to it", "unsupported"
        )
    return cast(BinauralModel, known.load_class().for_scene(scene, network, **part.options))


def _filled_in(part: SystemPart, dataset: str, split: str) -> SystemPart:
    def fill(text: str | None) -> str | None:
        return None if text is None else text.replace("{dataset}", dataset).replace("{split}", split)

    if part.models:
        if split not in part.models:
            raise DataError(f"{part.name}: models names none for {split or 'clips without a split'}", "missing")
        part = dataclasses.replace(part, model=str(part.models[split]), models={})
    return dataclasses.replace(part, model=fill(part.model), predictions=fill(part.predictions))


def _worked(
    jobs: list[Job], rule: Protocol, device: str, workers: Workers
) -> Iterator[tuple[int, list[tuple[Job, str]]]]:
    """Run jobs in workers; yield the number of finished jobs, and the failed ones with their reasons."""
    chunks = list(_chunks(jobs, workers_at_a_time(workers)))
    if workers == 1 or len(jobs) < 2:
        measures = ClipMeasures(rule)
        for chunk in chunks:
            yield from _work_on(chunk, rule, device, measures)
        return
    devices = [device] if isinstance(workers, RayCluster) else _devices(device)  # Ray assigns each task its own GPU
    tasks = [(chunk, devices[index % len(devices)]) for index, chunk in enumerate(chunks)]
    for _, result in done_by_workers(partial(_work_through, rule=rule), tasks, workers):
        yield result


def _work_through(task: tuple[list[Job], str], rule: Protocol) -> tuple[int, list[tuple[Job, str]]]:
    jobs, device = task
    done, failed = 0, []
    for finished, failures in _work_on(jobs, rule, device, ClipMeasures(rule)):
        done += finished
        failed += failures
    return done, failed


def _work_on(
    jobs: list[Job], rule: Protocol, device: str, measures: ClipMeasures
) -> Iterator[tuple[int, list[tuple[Job, str]]]]:
    """Run jobs of one system one after the other; the model is loaded once."""
    model: BinauralModel | None = None
    for job in jobs:
        try:
            truth = truth_of(job.clip.sound, rule)
            if job.part.predictions is not None:
                ears = _given_ears(job, truth.shape[-1], rule)
            elif job.part.oracle:
                ears = oracle_ears(job.clip.scene, model_input(truth), rule.sample_rate_hz)
            else:
                if model is None or job.part.true_positions:
                    model = load_system(job.part, device, job.clip.scene)
                ears = predict_ears(
                    model,
                    model_input(truth),
                    rule.sample_rate_hz,
                    job.clip.picture,
                    rule,
                    job.part.flipped,
                    truth,
                    job.part.true_depth,
                )
            if ears.shape != truth.shape:
                raise DataError(f"{ears.shape[-1]} samples were predicted of {truth.shape[-1]}", "mismatch")
            values = measures.measure(ears, truth, known_directions(job.clip.scene))
            if job.own:
                rate = rule.sample_rate_hz
                values |= own_values(job.own, rule.prepare(ears, rate), rule.prepare(truth, rate), rate)
            _store(job, ears, values, rule)
            yield 1, []
        except ModelError:
            raise
        except HearsightError as error:
            yield 1, [(job, str(error))]


def _given_ears(job: Job, samples: int, rule: Protocol) -> Tensor:
    found = _given_files(job)
    if not found:
        raise DataError(f"{job.part.predictions}: holds no prediction called {job.clip.name}", "missing")
    ears, rate = read_ears(found[0])
    ears = resample(ears, rate, rule.sample_rate_hz)
    if abs(ears.shape[-1] - samples) == 1:  # rounding of two rates
        ears = torch.nn.functional.pad(ears, (0, 1))[:, :samples]
    return ears


def _given_files(job: Job) -> list[Path]:
    if job.part.predictions is None:
        return []
    place = Path(job.part.predictions) / job.clip.name
    names = (place, place.with_name(f"{place.name}{BINAURAL}"), place / AUTHORS_FILES["prediction"])
    paths = [name.with_name(f"{name.name}{end}") for name in names for end in SOUND_SUFFIXES + VIDEO_SUFFIXES]
    return [path for path in paths if path.is_file()]


def _store(job: Job, ears: Tensor, values: dict[str, float], rule: Protocol) -> None:
    job.store.parent.mkdir(parents=True, exist_ok=True)
    write_wav(job.ears_path, ears.numpy(), rule.sample_rate_hz)
    # Written last: a clip with values is complete.
    keep_values(job.values_path, job.fingerprint(rule), values)


def _stored(job: Job, rule: Protocol) -> dict[str, float] | None:
    return kept_values(job.values_path, job.fingerprint(rule)) if job.ears_path.is_file() else None


def _chunks(jobs: list[Job], workers: int) -> Iterator[list[Job]]:
    """Split jobs into groups that share a model, short enough that all workers end at about the same time."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(json.dumps(dataclasses.asdict(job.part), sort_keys=True), []).append(job)
    for group in groups.values():
        size = max(1, -(-len(group) // (2 * workers)))
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _workers(device: str) -> int:
    return len(_devices(device)) if device.startswith("cuda") else os.cpu_count() or 1


def _devices(device: str) -> list[str]:
    if device == "cuda":
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cuda"]
    return [device]
