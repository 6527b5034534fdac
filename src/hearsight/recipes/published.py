"""Whether a published value can stand beside what a recipe gave."""

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
    """The row that comes with hearsight and that a recipe reproduces; None for recipes of one's own."""
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
    """What a recipe does otherwise than the row that it reproduces: keys, and another dataset; empty if nothing.

    Folders, splits, seeds, the first weights, the precision and the number of workers may differ: they say where the
    data are and which of several runs it is.

    Args:
        dataset: what the prepared set in `data.test.folder` says that it is; None if that is not known.
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
    """Keys with dots to values, of what is compared."""
    for key, value in mapping.items():
        name = f"{before}{key}"
        if name in _NOT_COMPARED or (name.startswith("data.") and key in _PLACES):
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif value not in (None, {}, []):
            yield name, value
