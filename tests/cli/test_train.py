from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from neurofer.cli import train as cli_train
from neurofer.errors import NeuroferError
from neurofer.training import list_recipes
from neurofer.training import train as module
from neurofer.training.card import Command
from neurofer.training.train import TrainingResult


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs the command with a stand-in for the loop, and what it got."""
    got = {}

    def loop(recipe, out, **options):
        got.update(options, recipe=recipe.name, out=out)
        number = signal.Signals[out.stem] if out.stem in signal.Signals.__members__ else 0
        return TrainingResult(out, not number, 7, {"all": 0.5}, signal=number)

    monkeypatch.setattr(module, "train", loop)
    app = typer.Typer()
    app.command()(cli_train.train)
    return lambda *arguments: (CliRunner().invoke(app, [str(a) for a in arguments]), got)


def test_options_reach_the_loop(run):
    out = Path("net.safetensors")
    result, got = run(
        "heatmap", "--out", out, "--resume", "--threads", 1, "--device", "cpu", "--quiet"
    )
    assert result.exit_code == 0
    assert "held out, all: 0.500" in result.output
    assert got == {
        "recipe": "heatmap",
        "out": out,
        "resume": True,
        "overwrite": False,
        "device": "cpu",
        "threads": 1,
        "tensorboard": False,
        "quiet": True,
        "command": Command("heatmap", device="cpu", threads=1),
    }


def test_settings_reach_the_recipe_and_the_card(run):
    words = ("--out", "net.safetensors", "--set", "steps=1e1", "--set", "data.identities=9")
    result, got = run("heatmap", *words)
    assert result.exit_code == 0
    assert got["command"].settings == ("steps=1e1", "data.identities=9")
    assert "--set steps=1e1 --set data.identities=9" in got["command"].line("net.safetensors")
    result, _ = run("heatmap", "--out", "net.safetensors", "--set", "stepps=3")
    assert "did you mean 'steps'" in str(result.exception)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_run_that_a_signal_stopped_ends_as_a_scheduler_expects(run, name, status):
    result, _ = run("heatmap", "--out", f"{name}.safetensors")
    assert result.exit_code == status
    assert "stopped after 7 steps; --resume goes on" in result.output


def test_an_unknown_recipe_is_an_error_of_the_users(run):
    result, _ = run("heatmop", "--out", "net.safetensors")
    assert isinstance(result.exception, NeuroferError)


def test_recipes_are_listed_with_a_line_each():
    app = typer.Typer()
    app.command()(cli_train.recipes)
    lines = CliRunner().invoke(app, []).output.splitlines()
    assert [line.split()[0] for line in lines] == list(list_recipes())
    assert any(
        re.fullmatch(r"heatmap +The landmark net .* all three heads\.", one) for one in lines
    )
