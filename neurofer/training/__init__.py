"""Training: recipes, data, one loop, checkpoints."""

from neurofer.training.recipe import Recipe, list_recipes, make_recipe, read_recipe

__all__ = ["Recipe", "list_recipes", "make_recipe", "read_recipe"]
