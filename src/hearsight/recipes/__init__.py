"""Recipes of the papers' tables and of one's own: what is trained on what, how long, and what was published."""

from hearsight.recipes.published import differences_from_row, row_of
from hearsight.recipes.recipe import (
    Recipe,
    override_pairs,
    profile_file,
    read_recipe,
    recipe_as_mapping,
    run_folder,
)
from hearsight.recipes.tables import Claim, Row, Table, packaged_rows, printed_tables, stages

__all__ = [
    "Claim",
    "Recipe",
    "Row",
    "Table",
    "differences_from_row",
    "override_pairs",
    "packaged_rows",
    "printed_tables",
    "profile_file",
    "read_recipe",
    "recipe_as_mapping",
    "row_of",
    "run_folder",
    "stages",
]
