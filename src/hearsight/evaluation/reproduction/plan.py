"""Plan of reproducing a table: recipes to train with their splits and seeds, and the folders of the runs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hearsight.errors import DataError
from hearsight.evaluation.reproduction.data import PSEUDO, DataSources
from hearsight.evaluation.runs import MODEL_FOLDER
from hearsight.models.registry import find_card
from hearsight.recipes import Recipe, Row, Table, printed_tables, read_recipe, recipe_as_mapping
from hearsight.recipes.tables import table_row_of

DEPTH = "depth"


@dataclass(frozen=True)
class Run:
    """One training: a row with one split and one seed.

    Attributes:
        label: label of the row.
        split, seed: split and seed of this training.
        recipe: recipe with data and seed filled in.
        folder: folder of the run. It is named after the recipe, so that tables with a row in common train it once.
    """

    label: str
    split: str
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def model(self) -> Path:
        """Folder of the trained network."""
        return self.folder / MODEL_FOLDER

    @property
    def done(self) -> bool:
        """Whether the training is finished."""
        return (self.model / "config.json").is_file()


@dataclass(frozen=True)
class PlannedRow:
    """One row of the table, with its trainings or its model that needs none.

    Attributes:
        row: the row as printed.
        runs: trainings by split and seed; empty where nothing is trained.
        model: name of a model that needs no training.
    """

    row: Row
    runs: list[Run] = field(default_factory=list)
    model: str | None = None

    @property
    def measured(self) -> bool:
        """Whether the row can be measured."""
        return bool(self.runs or self.model or self.row.models_of)


@dataclass(frozen=True)
class TablePlan:
    """One table on one dataset.

    Attributes:
        table: the table as printed.
        dataset: label of the dataset in the table.
        test: folder of the clips to measure.
        splits: names of the split folders that the table averages over.
        splits_folder: folder of these split folders.
        rows: rows in the table's order.
        before: trainings that rows need but that are not rows themselves.
        names: datasets and worlds that are needed.
        separates: whether separated sources are measured instead of ears.
        out: folder of the results.
    """

    table: Table
    dataset: str
    test: Path
    splits: list[str]
    splits_folder: str
    rows: list[PlannedRow]
    before: list[Run]
    names: set[str]
    separates: bool
    out: Path

    @property
    def runs(self) -> list[Run]:
        """All trainings in order."""
        return [*self.before, *(run for row in self.rows for run in row.runs)]


def plan(
    name: str,
    sources: DataSources,
    profile: str | None = None,
    seeds: int = 1,
    splits: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> list[TablePlan]:
    """Plan the tables of `PAPER/TABLE`, or of a whole paper, on each given dataset or else on simulated worlds.

    If the same world simulates several datasets of a table, only the first is planned.

    Args:
        name: reference as in `recipes.printed_tables`.
        sources: sources of the data.
        profile: profile applied to each recipe.
        seeds: number of seeds of each row and split, from 0.
        splits: number of published splits, from the first; None: all on given data, one on simulated data.
        overrides: further keys of every recipe.

    Raises:
        DataError: there is no such table, or none of its datasets is available.
    """
    plans: list[TablePlan] = []
    for table in printed_tables(name):
        seen: set[tuple[tuple[str, str], ...]] = set()
        for dataset in dict.fromkeys(row.dataset.label for row in table.rows if row.dataset is not None):
            rows = [row for row in table.rows if row.dataset is not None and row.dataset.label == dataset]
            named = {row.key: sources.names(row.content["data"]) for row in rows}
            world = tuple(sorted({(part, one) for names in named.values() for part, one in (names or {}).items()}))
            if any(names is None for names in named.values()) or world in seen:
                continue
            if sources.simulated and plans and plans[-1].table is table and not _crosses(world):
                continue  # the same rows on another world show nothing more
            seen.add(world)
            plans.append(_of_dataset(table, dataset, rows, sources, profile, seeds, splits, dict(overrides or {})))
    if not plans:
        given = ", ".join(sources.given) or "simulated worlds"
        raise DataError(
            f"{name}: {given} is not what it needs: {_needed(name)}; give --data NAME=FOLDER for each, or none at all"
        )
    return plans


def _crosses(world: Sequence[tuple[str, str]]) -> bool:
    """Whether a table trains on a different dataset than it measures."""
    parts = dict(world)
    return parts.get("stereo") not in (None, parts.get("test"))


def _needed(name: str) -> str:
    """Datasets that a table can be reproduced on, with the folders that each needs, for a message."""
    ways = []
    for table in printed_tables(name):
        for dataset in dict.fromkeys(row.dataset.label for row in table.rows if row.dataset is not None):
            data = [row.content["data"] for row in table.rows if row.dataset and row.dataset.label == dataset]
            names = sorted({Path(part["folder"]).name for one in data for part in one.values() if "folder" in part})
            ways.append(" and ".join(names))
    return ", or ".join(dict.fromkeys(ways))


def _of_dataset(
    table: Table,
    dataset: str,
    rows: Sequence[Row],
    sources: DataSources,
    profile: str | None,
    seeds: int,
    splits: int | None,
    overrides: dict[str, str],
) -> TablePlan:
    columns = rows[0].dataset
    assert columns is not None
    chosen = columns.splits[: (1 if sources.simulated else len(columns.splits)) if splits is None else splits]
    before: dict[Path, Run] = {}
    names: set[str] = set()
    planned = []
    for row in rows:
        runs = []
        for split in chosen if row.train else []:
            for seed in range(seeds):
                own = dict(overrides)
                for key, reference in row.needs.items():
                    other = _run(table_row_of(reference), sources, profile, split, seed, overrides, names)
                    before[other.folder] = other
                    own[key] = json.dumps(str(other.model))
                runs.append(_run(row, sources, profile, split, seed, own, names))
        card = None if row.train or row.models_of else find_card(row.key)
        planned.append(PlannedRow(row, runs, card.name if card is not None and card.ready else None))
    data = rows[0].content["data"]
    test = (sources.names(data) or {})["test"]
    names.add(test)
    lists = "splits" if sources.simulated else str(Path(data["test"]["split"]).parent)
    place = Path(table.reference) / dataset.lower().replace(" ", "-") if len(table.rows) > len(rows) else None
    return TablePlan(
        table=table,
        dataset=f"{dataset} ({test} in its place)" if sources.simulated else dataset,
        test=sources.folder(test),
        splits=chosen
        if sources.simulated
        else [Path(data["test"]["split"].replace("{split}", s)).name for s in chosen],
        splits_folder=lists,
        rows=planned,
        before=list(before.values()),
        names=names,
        separates=data["test"].get("task") == "separation",
        out=sources.out.resolve() / (place or table.reference),
    )


def _run(
    row: Row,
    sources: DataSources,
    profile: str | None,
    split: str,
    seed: int,
    overrides: Mapping[str, str],
    names: set[str],
) -> Run:
    data = row.content["data"]
    named = sources.names(data)
    assert named is not None
    names |= set(named.values())
    names |= {name.removesuffix(PSEUDO) for name in named.values() if sources.simulated}
    keys = {**sources.places(data, named), "split": split, "seed": str(seed), **_depth(row, sources)}
    recipe = read_recipe(row.reference, {**keys, **overrides}, profile)
    if sources.simulated:
        recipe = replace(recipe, reproduces=None)
    out = sources.out.resolve()
    return Run(row.label, split, seed, recipe, out / "runs" / _folder_name(recipe, out))


def _depth(row: Row, sources: DataSources) -> dict[str, str]:
    """Overrides for true depth: simulated worlds know it, and no published network is available to estimate it."""
    model: dict[str, Any] = row.content.get("model") or {}
    modalities = (model.get("settings") or {}).get("modalities", ["image", DEPTH])
    if not sources.simulated or model.get("system") != "beyond-mono" or DEPTH not in modalities:
        return {}
    return {"model.settings.depth_input": "map", "data.with_depth": "true"}


def _folder_name(recipe: Recipe, out: Path) -> str:
    """Name from the system, the seed, and a digest of everything else that the weights depend on, without the path
    `out`."""
    mapping = recipe_as_mapping(recipe)
    for key in ("reproduces", "workers", "threads"):
        mapping.pop(key, None)
    if (test := mapping["data"].get("test")) is not None:
        mapping["data"]["test"] = {key: test[key] for key in ("folder", "split", "part")}
    text = json.dumps(mapping, sort_keys=True, default=str).replace(str(out), "")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{recipe.model.system.replace(':', '.')}-{recipe.seed}-{digest[:10]}"
