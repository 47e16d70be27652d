"""`neurofer stimuli`, with the fake renderer; exit status 2 is tested on the whole command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from neurofer.cli.stimuli import app
from neurofer.errors import NeuroferError
from neurofer.stimuli import list_stimuli, read_stimuli
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.images import read_image
from tests.stimuli.conftest import FakeRenderer


@pytest.fixture(autouse=True)
def cache(renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_list_names_every_set_and_its_kind() -> None:
    lines = invoke("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [name, stimuli_card(name).kind] for name in list_stimuli()
    ]


def test_list_as_json_holds_the_same() -> None:
    rows = json.loads(invoke("list", "--json").stdout)
    assert [(row["name"], row["kind"]) for row in rows] == [
        (name, stimuli_card(name).kind) for name in list_stimuli()
    ]
    assert all(("copy" in row) == (row["kind"] == "licensed") for row in rows)


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


def test_write_gives_a_set_the_files_of_its_original(tmp_path: Path) -> None:
    few = ["--set", "identities=1", "--set", "size=16"]
    done = invoke("write", "kdef-sim", "out", "--layout", "kdef", *few)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "KDEF" / "AF01" / "AF01HAS.JPG").is_file()
    assert done.stdout.endswith(": 70 images in out as kdef\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "bsf", "out"], "did you mean 'bfs'"),
        (["render", "bfs", "out", "--seeds", "1;2"], "--seeds '1;2'"),
        (["render", "bfs", "out", "--size", "1"], "size=1"),
        (["render", "kdef-sim", "out", "--set", "identities"], "--set 'identities': give"),
        (["sheet", "kdef-sim", "--set", "identities=0"], "identities=0"),
        (["write", "kdef-sim", "out", "--layout", "jaffe", "--set", "identities=1"], "layout="),
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
    code = "from neurofer.cli.app import main; main()"
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


def test_sheet_shows_what_is_asked_for(tmp_path: Path) -> None:
    options = ["--seeds", "3", "--size", "16", "--rows", "head", "--columns", "strength"]
    few = ["--where", "head=human,monkey", "--where", "strength=0.5,1"]
    assert invoke("sheet", "bfs-l", *options, *few, "--cell", "32").exit_code == 0
    small = read_image(tmp_path / "bfs-l.png")
    assert invoke("sheet", "bfs-l", *options, *few, "--cell", "32", "--landmarks").exit_code == 0
    marked = read_image(tmp_path / "bfs-l.png")
    assert marked.shape == small.shape
    assert 0 < (marked != small).any(axis=2).mean() < 0.2
    assert invoke("sheet", "bfs-l", *options, "--cell", "32", "--parts").exit_code == 0
    assert read_image(tmp_path / "bfs-l.png").shape[0] == small.shape[0] + 36


def test_ramp_has_a_row_for_every_expression_of_a_head(tmp_path: Path) -> None:
    options = ["--seeds", "3", "--size", "16", "--cell", "32"]
    assert invoke("ramp", "bfs-l", *options).exit_code == 0
    one = invoke("ramp", "bfs-l", *options, "--where", "head=human", "--out", "one.png")
    assert one.exit_code == 0, one.output
    every, human = read_image(tmp_path / "bfs-l-ramp.png"), read_image(tmp_path / "one.png")
    assert every.shape[0] - human.shape[0] == 12 * 36


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("head", "--where 'head': give a column"),
        ("heads=human", "did you mean 'head'"),
        ("head=humn", "did you mean 'human'"),
        ("strength=strong", "strength='strong' is not in"),
        ("seed=7", "seed=7 is not in"),
    ],
)
def test_wrong_conditions_are_named(condition: str, message: str) -> None:
    done = invoke("sheet", "bfs", "--seeds", "3", "--size", "16", "--where", condition)
    assert isinstance(done.exception, NeuroferError)
    with pytest.raises(NeuroferError, match=message):
        raise done.exception
