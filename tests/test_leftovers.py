from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from neurofer import files, leftovers


def dead_process() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def owned(kind: str, process: int, machine: str | None = None) -> str:
    return f"{kind}-{machine or leftovers._machine()}-{process}-x"


def test_what_dead_processes_left_is_taken_away_and_the_rest_stays(tmp_path: Path) -> None:
    dead = dead_process()
    (tmp_path / owned(".partial", dead)).write_text("half")
    (tmp_path / owned("neurofer-scratch", dead)).mkdir()
    (tmp_path / owned("neurofer-scratch", dead) / "a").write_text("half")
    stays = [
        owned(".partial", os.getpid()),
        owned(".partial", dead, "0" * 8),  # of another machine, just written
        ".partial-mine",
        ".partially",
        "a.txt",
    ]
    for name in stays:
        (tmp_path / name).write_text("")
    leftovers.clean(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(stays)


def test_what_another_machine_left_is_dead_after_a_day(tmp_path: Path) -> None:
    file = tmp_path / owned(".partial", 1, "0" * 8)
    file.write_text("")
    old = time.time() - 2 * leftovers.DAY
    os.utime(file, (old, old))
    leftovers.clean(tmp_path)
    assert not file.exists()


@pytest.mark.parametrize("came", [False, True])
def test_what_was_moved_aside_comes_back_unless_the_new_came(tmp_path: Path, came: bool) -> None:
    left = tmp_path / owned(".replaced", dead_process())
    (left / "report").mkdir(parents=True)
    (left / "report" / "a").write_text("old")
    if came:
        (tmp_path / "report").mkdir()
        (tmp_path / "report" / "a").write_text("new")
    leftovers.clean(tmp_path)
    assert (tmp_path / "report" / "a").read_text() == ("new" if came else "old")
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_folder_is_looked_at_once_unless_asked(tmp_path: Path) -> None:
    leftovers.clean(tmp_path)
    file = tmp_path / owned(".partial", dead_process())
    file.write_text("")
    leftovers.clean(tmp_path)
    assert file.exists()
    leftovers.clean(tmp_path, again=True)
    assert not file.exists()
    leftovers.clean(tmp_path / "missing")


def test_writing_takes_away_what_a_killed_write_left(tmp_path: Path) -> None:
    code = (
        "import os, sys; from neurofer import files\n"
        "with files.write_whole(sys.argv[1]) as partial:\n"
        "    partial.write_text('half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert len(list(tmp_path.glob(".partial-*"))) == 1
    with files.write_whole(tmp_path / "a.txt") as partial:
        partial.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_scratch_folders_of_dead_processes_are_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / owned("neurofer-scratch", dead_process())).mkdir()
    with leftovers.scratch_folder() as scratch:
        assert [p.name for p in tmp_path.iterdir()] == [scratch.name]
    assert not list(tmp_path.iterdir())
