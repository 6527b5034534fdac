"""Recipes: systems, data and schedules of training, for the papers' tables (with published values) or of your own."""

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
