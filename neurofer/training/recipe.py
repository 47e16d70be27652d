"""Recipes: YAML files that say what is trained, on what, how long, and from which seed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.files import expanded
from neurofer.schema import Strict, load_yaml, validated
from neurofer.training.optimisers import Optimiser

# The module of each task holds its `TaskRecipe` and its `Task`; imported when it is asked for.
TASKS = {
    "landmarks": "neurofer.training.tasks.landmarks",
    "supervised": "neurofer.training.tasks.supervised",
    "verification": "neurofer.training.tasks.pairs",
    "autoencoder": "neurofer.training.tasks.autoencoder",
}


class Recipe(Strict):
    """What every recipe has; a task adds its own parts to it.

    With `precision: bfloat16` the convolutions are computed in that type and their results and the
    weights kept in float32; it takes about half the time on processors that have the type.
    `float64` is slow, and for tests: in it the order of sums does not matter.

    `batch_size` is that of all processes together. With `evaluate_every` the task's score on its
    validation data is taken every so many steps: for the schedule `plateau`, and to stop early
    after `patience` scores that were no better (0: never). `compile` uses torch.compile.
    """

    name: str
    task: str
    seed: int = Field(default=0, ge=0)
    steps: int = Field(gt=0)
    batch_size: int = Field(default=16, gt=0)
    checkpoint_every: int = Field(default=500, gt=0)
    log_every: int = Field(default=50, gt=0)
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    evaluate_every: int = Field(default=0, ge=0)
    patience: int = Field(default=0, ge=0)
    compile: bool = False
    optimiser: Optimiser = Optimiser()

    @model_validator(mode="after")
    def _scored(self) -> Recipe:
        if not self.evaluate_every and (self.patience or self.optimiser.schedule == "plateau"):
            raise ValueError("patience and the schedule plateau need evaluate_every")
        return self


def list_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    return tuple(
        sorted(entry.name[:-5] for entry in _shipped().iterdir() if entry.name.endswith(".yaml"))
    )


def recipe_summary(name: str) -> str:
    """Return what a shipped recipe is for: the first line of its file, which is a comment."""
    first, _, _ = (_shipped() / f"{name}.yaml").read_text("utf-8").partition("\n")
    return first.lstrip("# ")


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Read a recipe by its name or from a YAML file.

    With `base: NAME` a recipe inherits from another that comes with the package, or from a file
    beside it (`base: other.yaml`): see `merge`. Only the name is not inherited.

    Raises:
        NeuroferError: there is no such recipe or base, bases lead back to where they began, or it
            has an unknown key or a value out of range.
    """
    return make_recipe(_resolved(os.fspath(name), ()), where=f"recipe {os.fspath(name)}")


def merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's values over those of its base.

    Mappings are merged key by key, everything else is replaced. A mapping is replaced as well by
    an empty one, and by one of another `kind`, `stimuli` or `folder`: the rest was said of those.

    >>> merge({"steps": 9, "data": {"size": 96, "share": 0.1}}, {"data": {"size": 64}})
    {'steps': 9, 'data': {'size': 64, 'share': 0.1}}
    >>> merge({"target": {"kind": "affect", "bins": 3}}, {"target": {"kind": "category"}})
    {'target': {'kind': 'category'}}
    """
    merged = dict(base)
    for key, value in own.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            other = any(one in value and value[one] != old.get(one) for one in _DEFINING)
            merged[key] = value if other or not value else merge(old, value)
        else:
            merged[key] = value
    return merged


_DEFINING = ("kind", "stimuli", "folder")


def _resolved(text: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a recipe with those of its bases; `above` is who inherits from it."""
    path = Path(text)
    # A file is known by where it lies, however it is named.
    place = text if text in list_recipes() else str(path.resolve())
    if place in above:
        raise NeuroferError(f"recipe {text} is its own base: {' > '.join([*above, place])}")
    source: Path | Traversable
    if text in list_recipes():
        source = _shipped() / f"{text}.yaml"
    elif path.is_file():
        source = path
    elif above:
        raise unknown_choice("base", text, list_recipes(), f"recipe {above[-1]}")
    else:
        raise unknown_choice("recipe", text, [*list_recipes(), "the path of a YAML file"])
    values = load_yaml(source)
    if isinstance(source, Path) and source == path:
        _anchor(values, path.resolve().parent)
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise NeuroferError(f"recipe {text}: base={base!r}; give the name of one recipe")
    beside = path.parent / base
    inherited = _resolved(str(beside) if beside.is_file() else base, (*above, place))
    inherited.pop("name", None)
    return merge(inherited, values)


def _anchor(values: dict[str, Any], place: Path) -> None:
    """Make the folders that a recipe's file names relative to the file."""
    tests = values.get("tests")
    for part in (
        *(values.get(name) for name in ("data", "verification", "probe")),
        *(tests.values() if isinstance(tests, dict) else ()),
    ):
        if isinstance(part, dict) and isinstance(part.get("folder"), str) and part["folder"]:
            part["folder"] = str(place / expanded(part["folder"]))


def _shipped() -> Traversable:
    return files("neurofer.training") / "recipes"


def starting_from(recipe: Recipe, start: str) -> Recipe:
    """Return a recipe whose network starts from other weights, by name or path.

    Raises:
        NeuroferError: its task does not start from weights.
    """
    values = recipe.model_dump()
    if "network" not in values:
        raise NeuroferError(
            f"start={start!r}: recipe {recipe.name} of the task {recipe.task!r} starts from nothing"
        )
    values["network"]["start"] = start
    return make_recipe(values, where=f"recipe {recipe.name}")


def with_fold(recipe: Recipe, fold: int) -> Recipe:
    """Return a recipe that holds out another fold of its identities, from 0.

    Raises:
        NeuroferError: it deals no folds, or has none of this number.
    """
    values = recipe.model_dump()
    folds = values.get("data", {}).get("folds", 0)
    if not 0 <= fold < folds:
        has = f"has the folds 0 to {folds - 1}" if folds else "deals no folds: give data.folds"
        raise NeuroferError(f"fold={fold}, but recipe {recipe.name} {has}")
    values["data"]["fold"] = fold
    return make_recipe(values, where=f"recipe {recipe.name}")


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other values: `{"steps": 100, "data.size": 64}`.

    Raises:
        NeuroferError: as `read_recipe`.
    """
    values = recipe.model_dump()
    for key, value in settings.items():
        *parents, last = key.split(".")
        held = values
        for parent in parents:
            if not isinstance(held.get(parent), dict):
                held[parent] = {}
            held = held[parent]
        held[last] = value
    return make_recipe(values, where=f"recipe {recipe.name}")


def make_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a mapping and return it as the recipe of its task; the errors are `read_recipe`'s."""
    task = values.get("task")
    check_choice("task", task, TASKS, where)
    kind: type[Recipe] = import_module(TASKS[str(task)]).TaskRecipe
    return validated(kind, values, where)
