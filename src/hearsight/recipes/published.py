"""Check whether a published value is comparable with the result of a recipe."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from hearsight.recipes.recipe import Recipe, read_recipe, recipe_as_mapping
from hearsight.recipes.tables import Row, packaged_rows

_NOT_COMPARED = (
    "seed",
    "workers",
    "threads",
    "split",
    "reproduces",
    "data.test",
    "schedule.precision",
    "model.initialize",
)
_PLACES = ("folder", "split", "backgrounds")


def row_of(recipe: Recipe) -> Row | None:
    """Packaged row that a recipe reproduces; None for recipes of the user."""
    reproduced = recipe.reproduces
    if reproduced is None:
        return None
    return _rows().get((reproduced.paper, reproduced.table, reproduced.row, reproduced.dataset))


@functools.cache
def _rows() -> dict[tuple[str, str, str, str], Row]:
    return {
        (row.paper, row.table, row.label, row.dataset.label if row.dataset is not None else ""): row
        for row in packaged_rows()
    }


@functools.cache
def _content_of(reference: str) -> dict[str, Any]:
    return dict(_flat(recipe_as_mapping(read_recipe(reference))))


def differences_from_row(recipe: Recipe, dataset: str | None = None) -> list[str]:
    """Keys in which a recipe differs from the row that it reproduces, and another dataset; empty if it does not differ.

    Folders, splits, seeds, initial weights, precision and number of workers may differ: they only say where the data
    are and which of several runs it is.

    Args:
        dataset: name of the dataset, according to the prepared set in `data.test.folder`; None if unknown.
    """
    row = row_of(recipe)
    if row is None:
        return []
    ours = dict(_flat(recipe_as_mapping(recipe)))
    theirs = _content_of(row.reference)
    found = [key for key in [*theirs, *(key for key in ours if key not in theirs)] if ours.get(key) != theirs.get(key)]
    if dataset and row.dataset is not None and dataset.lower() != row.dataset.label.lower():
        found.append(f"data.test.folder holds {dataset}")
    return found


def _flat(mapping: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of the compared part of a recipe."""
    for key, value in mapping.items():
        name = f"{before}{key}"
        if name in _NOT_COMPARED or (name.startswith("data.") and key in _PLACES):
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif value not in (None, {}, []):
            yield name, value
