"""Recipes of the papers' tables and of one's own: what is trained on what, how long, and what was published."""

from hearsight.recipes.recipe import (
    Recipe,
    override_pairs,
    profile_file,
    read_recipe,
    recipe_as_mapping,
    run_folder,
)
from hearsight.recipes.tables import Row, packaged_rows, stages

__all__ = [
    "Recipe",
    "Row",
    "override_pairs",
    "packaged_rows",
    "profile_file",
    "read_recipe",
    "recipe_as_mapping",
    "run_folder",
    "stages",
]
