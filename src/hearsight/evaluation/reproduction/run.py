"""Reproduction of planned tables: data, trainings, measurements, reports. Results of an earlier run are reused."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.evaluation.benchmark_file import (
    Benchmark,
    DatasetPart,
    SeparationPart,
    SeparationSystemPart,
    SystemPart,
)
from hearsight.evaluation.protocols import DEFAULT_PROTOCOL, DEFAULT_SEPARATION, separation_protocol
from hearsight.evaluation.reproduction.data import Bars, DataSources
from hearsight.evaluation.reproduction.plan import PlannedRow, Run, TablePlan
from hearsight.evaluation.reproduction.results import MeasuredRow, Values, table_json, table_text, verdict
from hearsight.evaluation.results import refuse_problems, write_results
from hearsight.evaluation.runner import Results, run_benchmark
from hearsight.evaluation.separation import separation_tables
from hearsight.evaluation.statistics import Row, per_clip
from hearsight.files import write_json, written_whole
from hearsight.training import train
from hearsight.training.reporting import Reporter
from hearsight.training.timing import seconds_per_item

Reporters = Callable[[str], AbstractContextManager[Reporter]]
"""A label to a context that gives a training its reporter."""


@dataclass(frozen=True)
class Reproduced:
    """Files of a reproduced table, and its text."""

    text: str
    table: Path
    report: Path


def reproduce(
    plans: Sequence[TablePlan], sources: DataSources, bars: Bars, reporters: Reporters, device: str = "auto"
) -> list[Reproduced]:
    """Make the data, train, measure by each paper's protocol and write the tables.

    Each table's folder gets `table.md` and `table.json` (measured beside published values, with intervals and claims),
    and the files of a benchmark (`report.html`, `per_clip.csv`, ...). An interrupted run continues: it completes the
    data, resumes trainings from their last epoch and keeps measured clips.

    Raises:
        HearsightError: as in `DataSources.make`, `training.train` and `run_benchmark`.
    """
    sources.make({name for one in plans for name in one.names}, bars)
    trained = open_runs(plans)
    for number, run in enumerate(trained, start=1):
        label = f"training {number} of {len(trained)}: {run.label}, {run.split}, seed {run.seed}"
        with reporters(label) as reporter:
            train(run.recipe, run.folder, True, device, reporter=reporter)
    return [_measured_table(one, sources, bars, device) for one in plans]


def open_runs(plans: Sequence[TablePlan]) -> list[Run]:
    """Trainings that are not finished, each once, in order."""
    runs = {run.folder: run for one in plans for run in one.runs if not run.done}
    return list(runs.values())


def training_seconds(runs: Sequence[Run], items: int) -> dict[Path, float | None]:
    """Estimate the seconds of each run on one core, from a few timed steps of its network on synthetic items.

    Args:
        items: items per epoch, where the recipe does not say; twice as many with mirrored items.
    """
    of_system: dict[str, float | None] = {}
    seconds: dict[Path, float | None] = {}
    for run in runs:
        schedule, data = run.recipe.schedule, run.recipe.data
        tasks = ["stereo"] if data.stereo or data.pseudo else []
        tasks += ["separation"] if data.solo or (data.pseudo and data.pseudo.separation) else []
        known = f"{run.recipe.model} {tasks}"
        if known not in of_system:
            of_system[known] = seconds_per_item(run.recipe, tasks)
        per_item, length = of_system[known], schedule.items_per_epoch or items * (2 if data.mirror else 1)
        seconds[run.folder] = None if per_item is None else per_item * length * schedule.epochs
    return seconds


def _measured_table(one: TablePlan, sources: DataSources, bars: Bars, device: str) -> Reproduced:
    benchmark = _separation(one, sources) if one.separates else _binaural(one)
    benchmark = replace(benchmark, device="cpu" if device == "auto" else device)
    with bars(f"measuring {one.table.reference}", "clips") as progress:
        if one.separates:
            separated = list(separation_tables(benchmark, progress))
            results = Results([], [], [])
            rows = [{**row, "split": part.title} for part in separated for row in part.rows]
        else:
            separated, results = [], run_benchmark(benchmark, progress)
            rows = results.rows
    refuse_problems(results)
    files = write_results(benchmark, results, separated)
    measured = [_measured_row(row, rows, one, sources.simulated) for row in one.rows]
    by_key = {row.key: row for row in measured}
    verdicts = [verdict(claim, by_key, one.table.columns[0]) for claim in one.table.claims]
    title = f"{one.table.paper}, {one.table.table if not one.table.table[:1].isdigit() else 'table ' + one.table.table}"
    text = table_text(
        f"{title}: {one.dataset}", one.table.columns, measured, verdicts, _remarks(one, sources, benchmark)
    )
    with written_whole(one.out / "table.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    add_to_cards(one, measured, f"{title}, {one.dataset}; {_remarks(one, sources, benchmark)[-1]}")
    runs: dict[str, list[str]] = {}
    for run in one.runs:
        runs.setdefault(run.label, []).append(run.folder.name)
    write_json(one.out / "table.json", {**table_json(one.table.columns, measured, verdicts), "runs": runs})
    return Reproduced(text, one.out / "table.md", files["report.html"])


def add_to_cards(one: TablePlan, measured: Sequence[MeasuredRow], where: str) -> None:
    """Add each seed's measured values to its model's card, in place of those of an earlier run of the same table."""
    begin = f"Measured by `hearsight reproduce {one.table.reference}`"
    for row, values in zip(one.rows, measured, strict=True):
        seeds = list(dict.fromkeys(run.seed for run in row.runs))
        for run in row.runs:
            card = run.model / "README.md"
            listed = [
                f"{metric} {of_seeds[seeds.index(run.seed)].mean():.4g}" for metric, of_seeds in values.values.items()
            ]
            kept = [part for part in card.read_text(encoding="utf-8").rstrip().split("\n\n") if begin not in part]
            text = f"{begin} ({where}): {', '.join(listed)}, mean over clips and splits with this seed."
            with written_whole(card) as temporary:
                temporary.write_text("\n\n".join([*kept, text]) + "\n", encoding="utf-8")


def _remarks(one: TablePlan, sources: DataSources, benchmark: Benchmark) -> list[str]:
    said = [f"Protocol: {benchmark.separation[0].protocol if one.separates else benchmark.protocol}."]
    if one.separates and (seconds := _shortened_s(benchmark.separation[0].protocol, one, sources)) is not None:
        said.append(f"Mixtures last {seconds:g} s here, as the clips do.")
    if sources.simulated:
        said.insert(
            0,
            f"Measured on the test part of {sources.world_clips} simulated clips of "
            f"{sources.settings(one.test.name).seconds:g} s{', with small networks' if sources.small else ''}: the "
            "published values are of the papers' own recordings and networks, and stand here for the direction of the "
            "differences alone.",
        )
    return [" ".join(said)]


def _binaural(one: TablePlan) -> Benchmark:
    systems = []
    for row in one.rows:
        for name, models in _systems(row, one):
            measured: dict[str, Any] = {
                "flipped": row.row.flipped,
                "options": row.row.options,
                "true_depth": any(run.recipe.data.with_depth for run in _runs_of(row, one)),
            }
            part = SystemPart(name, models=models, **measured) if models else SystemPart(name, model=row.model)
            systems.append(part)
    dataset = DatasetPart(one.dataset, str(one.test), splits=one.splits, splits_folder=one.splits_folder)
    return Benchmark(
        name=f"{one.table.paper}, table {one.table.table}",
        datasets=[dataset],
        systems=systems,
        protocol=one.table.protocol or DEFAULT_PROTOCOL,
        metrics=list(one.table.columns),
        out=str(one.out),
        report_clips=2,
    )


def _separation(one: TablePlan, sources: DataSources) -> Benchmark:
    parts = []
    protocol = one.table.protocol or DEFAULT_SEPARATION
    for split in one.splits:
        systems = [SeparationSystemPart("Mix", "mix")]
        for row in one.rows:
            systems += [SeparationSystemPart(name, models[split]) for name, models in _systems(row, one) if models]
        parts.append(
            SeparationPart(
                split,
                str(one.test),
                systems,
                split=split,
                splits_folder=one.splits_folder,
                protocol=protocol,
                duration_s=_shortened_s(protocol, one, sources),
            )
        )
    name = f"{one.table.paper}, table {one.table.table}"
    return Benchmark(name=name, separation=parts, out=str(one.out))


def _shortened_s(protocol: str, one: TablePlan, sources: DataSources) -> float | None:
    """Duration of mixtures if a simulated world's clips are shorter than the protocol's mixtures; else None."""
    wanted = separation_protocol(protocol).duration_s
    lasts = sources.settings(one.test.name).seconds if sources.simulated else None
    return None if wanted is None or lasts is None or wanted <= lasts else lasts


def _systems(row: PlannedRow, one: TablePlan) -> list[tuple[str, dict[str, str]]]:
    """The seeds of a row as systems: name, and model of each split."""
    if row.model is not None:
        return [(row.row.label, {})]
    runs = _runs_of(row, one)
    systems: dict[int, dict[str, str]] = {}
    of_split = dict(zip(dict.fromkeys(run.split for run in runs), one.splits, strict=False))
    for run in runs:
        systems.setdefault(run.seed, {})[of_split[run.split]] = str(run.model)
    return [(f"{row.row.label}, seed {seed}", models) for seed, models in systems.items()]


def _runs_of(row: PlannedRow, one: TablePlan) -> list[Run]:
    """Trainings that give a row its models: its own, or another row's."""
    if row.row.models_of is None:
        return row.runs
    return next(other.runs for other in one.rows if other.row.key == row.row.models_of)


def _measured_row(row: PlannedRow, rows: Sequence[Row], one: TablePlan, simulated: bool) -> MeasuredRow:
    names = [name for name, _ in _systems(row, one)] if row.measured else []
    values = {}
    for metric in one.table.columns:
        found = [_of_clips([line for line in rows if line["system"] == name], metric) for name in names]
        if found and all(len(one_seed) for one_seed in found):
            values[metric] = np.stack(found)
    note = row.row.note
    if simulated and row.row.dataset is not None:  # the note on the dataset does not hold for the world in its place
        note = note.removesuffix(row.row.dataset.note).removesuffix("; ")
    note = note if row.measured else f"not measured; {note}"
    return MeasuredRow(row.row.key, row.row.label, row.row.published, values, note)


def _of_clips(rows: Sequence[Row], metric: str) -> Values:
    """Each clip's value, sorted by name. Rows without the metric are skipped."""
    kept = [row for row in rows if metric in row]
    values = per_clip(kept, metric)
    return np.array([values[clip] for clip in sorted(values)])
