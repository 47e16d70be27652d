"""`neurofer stimuli`, with the fake renderer; exit status 2 is tested on the whole command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from neurofer.cli_stimuli import app
from neurofer.errors import NeuroferError
from neurofer.stimuli import list_stimuli, read_stimuli
from neurofer.stimuli.images import read_image

from .conftest import FakeRenderer


@pytest.fixture(autouse=True)
def cache(renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_list_names_every_set_and_says_rendered() -> None:
    lines = invoke("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list_stimuli()
    assert all(line.split()[1] == "rendered" for line in lines)


def test_render_writes_a_folder(tmp_path: Path) -> None:
    done = invoke("render", "bfs-wide", "out", "--seeds", "3,4", "--size", "16", "--quiet")
    assert done.exit_code == 0, done.output
    stimuli = read_stimuli(tmp_path / "out")
    assert len(stimuli) == 42
    assert done.stdout == f"{stimuli.identifier}: 42 images in out\n"


def test_sheet_draws_the_columns_asked_for(tmp_path: Path) -> None:
    options = ["--seeds", "3", "--size", "16"]
    assert invoke("sheet", "bfs", *options).exit_code == 0
    done = invoke(
        "sheet", "bfs-l", *options, "--out", "l.png", "--rows", "head", "--columns", "strength"
    )
    assert done.exit_code == 0, done.output
    tall, wide = read_image(tmp_path / "bfs.png"), read_image(tmp_path / "l.png")
    assert tall.shape[1] - wide.shape[1] > 112
    assert tall.shape[0] == wide.shape[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "bsf", "out"], "did you mean 'bfs'"),
        (["render", "bfs", "out", "--seeds", "1;2"], "--seeds '1;2'"),
        (["render", "bfs", "out", "--size", "1"], "size=1"),
        (
            ["sheet", "bfs", "--seeds", "1", "--size", "16", "--rows", "heads"],
            "did you mean 'head'",
        ),
        (
            ["sheet", "bfs", "--seeds", "1", "--size", "16", "--out", "a.jpg"],
            r"end the name in \.png",
        ),
    ],
)
def test_bad_input_leaves_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = invoke(*arguments)
    assert isinstance(done.exception, NeuroferError)
    with pytest.raises(NeuroferError, match=message):
        raise done.exception
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_the_users_error_ends_in_status_two(tmp_path: Path) -> None:
    code = "from neurofer.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "stimuli", "render", "bsf", "out"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ.copy(),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("neurofer: stimulus set='bsf' is unknown")
    assert "Traceback" not in done.stderr
