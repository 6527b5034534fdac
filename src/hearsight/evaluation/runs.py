"""Benchmarks of training runs, with the settings of the training."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hearsight.datasets.prepared import dataset_in
from hearsight.errors import DataError
from hearsight.evaluation.benchmark_file import (
    Benchmark,
    DatasetPart,
    SeparationPart,
    SeparationSystemPart,
    SystemPart,
)
from hearsight.evaluation.protocols import DEFAULT_PROTOCOL, DEFAULT_SEPARATION, protocol, separation_protocol
from hearsight.evaluation.published import published_table
from hearsight.recipes import Recipe, differences_from_row, read_recipe, row_of, run_folder
from hearsight.recipes.recipe import TestPart

RECIPE_FILE, MODEL_FOLDER = "recipe.yaml", "model"
MIRRORED = "flipped-visual"


@dataclass(frozen=True)
class TrainedRun:
    """Folder that `hearsight train` wrote.

    Attributes:
        folder: folder of the run.
        recipe: recipe of the training, overrides and profiles included.
        test: data that the model is measured on.
    """

    folder: Path
    recipe: Recipe
    test: TestPart

    @property
    def model(self) -> str:
        """Folder of the trained network."""
        return str((self.folder / MODEL_FOLDER).resolve())

    @property
    def differences(self) -> list[str]:
        """Settings that differ from the row that the recipe reproduces."""
        return differences_from_row(self.recipe, dataset_in(self.test.folder))

    @property
    def row(self) -> str:
        """Name in tables."""
        reproduced = self.recipe.reproduces
        return reproduced.row if reproduced is not None else self.recipe.model.system

    @property
    def dataset(self) -> str:
        """Name of the test data in tables: that of the reproduced row if the data are the same."""
        reproduced, held = self.recipe.reproduces, dataset_in(self.test.folder)
        if reproduced is not None and (not held or held.lower() == reproduced.dataset.lower()):
            return reproduced.dataset
        return held or Path(self.test.folder).name

    @property
    def split(self) -> str:
        """Name of the split that the run is measured on; "" without one."""
        return Path(self.test.split).name if self.test.split else ""


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a training run."""
    return (Path(folder) / RECIPE_FILE).is_file()


def trained_run(folder: str | os.PathLike[str]) -> TrainedRun:
    """Read a run folder.

    The run is measured on its recipe's `data.test`. If that is a split of the folder that it was trained on, the split
    of the training replaces it. A recipe without `data.test` is measured on the test part of its stereo clips.

    Raises:
        DataError: the folder is not a run, holds no model yet, or its recipe names no data to measure on.
    """
    folder = Path(folder)
    if not is_run(folder):
        raise DataError(f"{folder}: is not the folder of a training run; {RECIPE_FILE} is missing", "missing")
    if not (folder / MODEL_FOLDER).is_dir():
        raise DataError(
            f"{folder / MODEL_FOLDER}: is not there; train to the end first (hearsight train ... --resume)", "missing"
        )
    recipe = read_recipe(folder / RECIPE_FILE)
    test, stereo = recipe.data.test, recipe.data.stereo
    if test is None and stereo is not None and stereo.folder is not None and stereo.split is not None:
        test = TestPart(stereo.folder, stereo.split)
    if test is None:
        raise DataError(
            f"{folder / RECIPE_FILE}: does not say on what the model is measured; give it data.test", "missing"
        )
    for part in (stereo, recipe.data.solo):
        if part is not None and part.folder == test.folder and part.split is not None:
            test = replace(test, split=part.split)
    return TrainedRun(folder, recipe, test)


def runs_of_recipe(reference: str | Path) -> list[Path]:
    """Folders of the runs that `hearsight train` made of a recipe, one per trained split.

    Raises:
        DataError: there is no such recipe, or it was not trained.
    """
    recipe = read_recipe(reference)
    folder = run_folder(reference, recipe)
    splits = recipe.reproduces.splits if recipe.reproduces is not None else []
    places = [folder] if len(splits) < 2 else [folder.parent / split for split in splits]
    found = [place for place in places if (place / MODEL_FOLDER).is_dir()]
    if not found:
        raise DataError(
            f"{places[0] / MODEL_FOLDER}: is not there; train the recipe first, or name the folder of its run",
            "missing",
        )
    return found


def benchmark_of_runs(folders: Sequence[str | os.PathLike[str]], roles: Sequence[str] = ()) -> Benchmark:
    """Make a benchmark of trained runs by their papers' protocol.

    Runs of one row with several splits become one line of the table, the mean over the splits. The table also has
    Mono-Mono and each model with mirrored pictures; for separation it has the mix itself.

    Args:
        folders: folders of the runs; all are measured on one dataset, every row with the same splits.
        roles: further systems that the trained networks can act as: "unet-out", "flipped-visual",
            "sep-stereo-unsupervised".

    Raises:
        DataError: as in `trained_run`; or the runs are measured on different data.
    """
    runs = [trained_run(folder) for folder in folders]
    tasks = {run.test.task for run in runs}
    if len(tasks) > 1:
        raise DataError("some of these runs separate and some give ears; benchmark them apart", "mismatch")
    first = runs[0]
    separates = tasks == {"separation"}
    rules = {run.test.protocol or (DEFAULT_SEPARATION if separates else DEFAULT_PROTOCOL) for run in runs}
    sets = {str(Path(run.test.folder).resolve()) for run in runs}
    for what, several in (("protocols", rules), ("datasets", sets)):
        if len(several) > 1:
            raise DataError(
                f"the runs are measured by different {what} ({', '.join(sorted(several))}); name them apart", "mismatch"
            )
    rows: dict[str, list[TrainedRun]] = {}
    for run in runs:
        rows.setdefault(run.row, []).append(run)
    out = first.folder if len(runs) == 1 else Path(os.path.commonpath([run.folder.resolve() for run in runs]))
    benchmark = Benchmark(name=", ".join(rows), out=str((out / "benchmark").resolve()))
    make = _separation if separates else _binaural
    return make(benchmark, rows, rules.pop(), list(roles))


def _binaural(benchmark: Benchmark, rows: dict[str, list[TrainedRun]], rule: str, roles: list[str]) -> Benchmark:
    protocol(rule)
    first = next(iter(rows.values()))[0]
    splits = _splits(rows)
    systems = [SystemPart("Mono-Mono", model="mono-mono", published_values=_of_other(first, "mono-mono", splits))]
    remarks: list[str] = []
    for name, runs in rows.items():
        models = {run.split: run.model for run in runs}
        published, remark = _published(runs)
        remarks += remark
        if MIRRORED not in roles:
            mirrored = _of_other(first, MIRRORED, splits) if runs[0].recipe.model.system == "mono2binaural" else {}
            systems.append(
                SystemPart(f"{name}, mirrored pictures", models=models, flipped=True, published_values=mirrored)
            )
        for role in roles:
            served = {split: f"{role}@{model}" for split, model in models.items()}
            systems.append(
                SystemPart(f"{name} as {role}", models=served, published_values=_of_other(first, role, splits))
            )
        systems.append(SystemPart(name, models=models, published_values=published))
    dataset = DatasetPart(
        first.dataset,
        str(Path(first.test.folder).resolve()),
        splits=splits or None,
        splits_folder=_splits_folder(rows),
        part=first.test.part,
    )
    return replace(
        benchmark,
        datasets=[dataset],
        systems=systems,
        protocol=rule,
        compare=[[name, "Mono-Mono"] for name in rows],
        remarks=remarks,
    )


def _separation(benchmark: Benchmark, rows: dict[str, list[TrainedRun]], rule: str, roles: list[str]) -> Benchmark:
    separation_protocol(rule)
    if roles:
        raise DataError("separation networks serve as nothing else; leave --as out")
    parts, remarks = [], []
    for split in _splits(rows) or [""]:
        systems = [SeparationSystemPart("Mix", "mix")]
        for name, runs in rows.items():
            run = next(run for run in runs if run.split == split)
            published, remark = _published([run])
            remarks += remark
            systems.append(SeparationSystemPart(name, run.model, published_values=published))
        test = run.test
        parts.append(
            SeparationPart(
                f"{run.dataset}{f', {split}' if split else ''}",
                str(Path(test.folder).resolve()),
                systems,
                split=split or None,
                splits_folder=_splits_folder(rows),
                part=test.part,
                protocol=rule,
            )
        )
    return replace(benchmark, separation=parts, remarks=list(dict.fromkeys(remarks)))


def _splits(rows: dict[str, list[TrainedRun]]) -> list[str]:
    """Names of the splits in the order of the first row; every row must have the same."""
    of_rows = {name: [run.split for run in runs] for name, runs in rows.items()}
    first, splits = next(iter(of_rows.items()))
    for name, own in of_rows.items():
        if len(set(own)) < len(own):
            raise DataError(
                f"{name}: two of its runs are measured on the same split; name them in a benchmark file", "mismatch"
            )
        if set(own) != set(splits):
            raise DataError(
                f"{first} has runs for {', '.join(splits)} and {name} for {', '.join(own)}; train the others",
                "mismatch",
            )
    return [split for split in splits if split]


def _splits_folder(rows: dict[str, list[TrainedRun]]) -> str:
    places = {str(Path(run.test.split).parent) for runs in rows.values() for run in runs if run.test.split}
    if len(places) > 1:
        raise DataError(f"the runs are measured on splits of different sets ({', '.join(sorted(places))})", "mismatch")
    return places.pop() if places else "splits"


def _published(runs: Sequence[TrainedRun]) -> tuple[dict[str, float], list[str]]:
    """Published values of these runs if they are comparable, and remarks, such as why they are not."""
    reproduced = runs[0].recipe.reproduces
    if reproduced is None or not reproduced.published:
        return {}, []
    values = ", ".join(f"{metric} {value:g}" for metric, value in reproduced.published.items())
    source = f"{reproduced.row}: published {values} ({reproduced.paper}, table {reproduced.table}"
    differs = list(dict.fromkeys(key for run in runs for key in run.differences))
    if differs:
        return {}, [f"{source}) is for other settings; here these differ: {', '.join(differs)}."]
    if len(reproduced.splits) > 1 and {run.split for run in runs} != set(reproduced.splits):
        here = ", ".join(run.split for run in runs)
        return {}, [f"{source}, mean over {', '.join(reproduced.splits)}) is not comparable with {here} alone."]
    notes = [f"{reproduced.row}: {reproduced.note}."] if "misprint" in reproduced.note else []
    return dict(reproduced.published), notes


def _of_other(run: TrainedRun, system: str, splits: Sequence[str]) -> dict[str, float]:
    """Published values of another row of the same table and dataset, under the same conditions."""
    row = row_of(run.recipe)
    reproduced = run.recipe.reproduces
    if row is None or reproduced is None or row.dataset is None or row.dataset.published is None:
        return {}
    if len(reproduced.splits) > 1 and set(splits) != set(reproduced.splits):
        return {}
    if any(key.startswith("data.test") for key in run.differences):
        return {}
    return dict(published_table(row.dataset.published)[1].get(system, {}))
