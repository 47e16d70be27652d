"""Recipes: YAML files that say what is trained, on what, how long, and from which seed."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.training.optimisers import Optimiser
from neurofer.training.strict import Strict

# The module of each task holds its `TaskRecipe` and its `Task`; imported when it is asked for.
TASKS = {
    "landmarks": "neurofer.training.landmarks",
    "supervised": "neurofer.training.supervised",
    "verification": "neurofer.training.pairs",
    "autoencoder": "neurofer.training.autoencoder",
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
    folder = files("neurofer.training") / "recipes"
    return tuple(
        sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    )


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Read a recipe by its name or from a YAML file.

    Raises:
        NeuroferError: there is no such recipe, or it has an unknown key or a value out of range.
    """
    text = os.fspath(name)
    if text in list_recipes():
        source = (files("neurofer.training") / "recipes" / f"{text}.yaml").read_text("utf-8")
    elif Path(text).is_file():
        source = Path(text).read_text("utf-8")
    else:
        raise unknown_choice("recipe", text, [*list_recipes(), "the path of a YAML file"])
    try:
        values = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise NeuroferError(f"recipe {text} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise NeuroferError(f"recipe {text} must be a mapping of keys to values")
    return make_recipe(values, where=f"recipe {text}")


def make_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a mapping and return it as the recipe of its task; the errors are `read_recipe`'s."""
    task = values.get("task")
    if task not in TASKS:
        raise unknown_choice("task", task, TASKS, where)
    kind: type[Recipe] = import_module(TASKS[task]).TaskRecipe
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise NeuroferError(f"{where}: " + "; ".join(_explain(error, kind))) from error


def _explain(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    """Turn pydantic's errors into sentences; for an unknown key they name the known ones."""
    sentences = []
    for entry in error.errors():
        place = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "extra_forbidden":
            model: Any = kind
            for part in entry["loc"][:-1]:
                model = model.model_fields[part].annotation
            *parents, key = place.split(".")
            where = f"the recipe's {'.'.join(parents)}" if parents else ""
            sentences.append(str(unknown_choice("key", key, model.model_fields, where)))
        else:
            sentences.append(f"{place}={entry['input']!r}: {entry['msg']}")
    return sentences
