"""The README's commands and code are run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neurofer.files import PACKAGE

ROOT = PACKAGE.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for kind, block in BLOCKS
    if kind == "bash"
    for line in block.splitlines()
    if line.split("#")[0].strip()
]
# `make` runs these tests, and the main job is run by `make report`: neither is run from within.
SESSIONS = [
    [c for c in COMMANDS if c in block and re.match("neurofer (?!report)", c)]
    for kind, block in BLOCKS
    if kind == "bash"
]


def test_readme_has_the_two_commands():
    assert "make report" in COMMANDS
    assert "make test" in COMMANDS


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in shlex.split(command)[1:]:
        assert re.search(rf"^{re.escape(target)}:", makefile, flags=re.MULTILINE), target


@pytest.mark.weights
@pytest.mark.parametrize("commands", filter(None, SESSIONS), ids=lambda c: c[0])
def test_commands_run_one_after_the_other(commands, tmp_path, monkeypatch):
    from neurofer.cli.app import app
    from neurofer.stimuli.licensed import remembered

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remembered, "_path", lambda: tmp_path / "folders.json")
    for command in commands:
        words = shlex.split(command)[1:]
        # Paths in the README are relative to the checkout.
        words = [str(ROOT / w) if (ROOT / w).is_file() else w for w in words]
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, f"{command}: {result.output}"


@pytest.mark.weights
@pytest.mark.parametrize(
    "code", [block for kind, block in BLOCKS if kind == "python"], ids=lambda c: c.split("\n")[0]
)
def test_python_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / Path(target)).exists(), target
