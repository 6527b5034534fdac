"""Training of models from recipes, with Lightning."""

from hearsight.recipes.recipe import Recipe, override_pairs, read_recipe
from hearsight.training.run import build_network, train

__all__ = ["Recipe", "build_network", "override_pairs", "read_recipe", "train"]
