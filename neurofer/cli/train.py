"""`neurofer train`: a recipe to a weight file; `neurofer recipes`: which there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurofer.cli.screen import AsJson, Quiet, say, say_list


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe of `neurofer recipes` or a YAML file.")],
    out: Annotated[Path, typer.Option(help="The weight file to write, .safetensors.")],
    start: Annotated[
        str, typer.Option(help="Weights to start from: a shipped file's name or a path.")
    ] = "",
    fold: Annotated[
        int | None, typer.Option(min=0, help="Which fold to hold out, in a recipe with folds.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another value, such as steps=100 or data.size=64; repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint beside the weight file.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train anew where the weight file is finished.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with; default: all cores.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the log for TensorBoard as well.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a net and write its weights, a card beside them and a log.

    On SIGTERM and on Ctrl-C a checkpoint is written; the same command with --resume goes on.
    """
    from neurofer.schema import read_settings
    from neurofer.training import read_recipe
    from neurofer.training.card import Command
    from neurofer.training.recipe import starting_from, with_fold, with_settings
    from neurofer.training.train import train as run

    stated = read_recipe(recipe)
    stated = with_settings(stated, read_settings(settings)) if settings else stated
    stated = starting_from(stated, start) if start else stated
    result = run(
        stated if fold is None else with_fold(stated, fold),
        out,
        resume=resume,
        overwrite=overwrite,
        device=device,
        threads=threads,
        tensorboard=tensorboard,
        quiet=quiet,
        command=Command(recipe, start, fold, device, threads, tuple(settings or ())),
    )
    if not result.finished:
        say(f"stopped after {result.steps} steps; --resume goes on", err=True)
        raise typer.Exit(128 + result.signal)  # 143 for SIGTERM, as a scheduler expects
    if not result.writes:
        return
    for name, value in result.held_out.items():
        say(f"held out, {name}: {value:.3f}")
    say(f"wrote {result.weights} and {result.weights.with_suffix('.json')}")


def recipes(as_json: AsJson = False) -> None:
    """List the recipes that `neurofer train` knows by name, each with a line."""
    from neurofer.training import list_recipes
    from neurofer.training.recipe import recipe_summary

    say_list({name: recipe_summary(name) for name in list_recipes()}, as_json)
