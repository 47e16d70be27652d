"""Where a training writes: nothing finished is lost, and one training writes a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from neurofer.errors import NeuroferError
from neurofer.files import PACKAGE, sha256_file
from neurofer.training import images, make_recipe
from neurofer.training.places import check_place, reserved
from neurofer.training.train import train
from tests.training.tasks.test_supervised import RECIPE, shades


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "net.safetensors"


def test_a_finished_file_is_not_overwritten_without_a_word(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))
    options: dict[str, Any] = {"threads": 1, "device": "cpu", "quiet": True}
    train(make_recipe({**RECIPE, "steps": 1}), out, **options)
    before = sha256_file(out)
    for resume in (False, True):
        with pytest.raises(NeuroferError, match=r"is there, finished: .*--overwrite"):
            train(make_recipe({**RECIPE, "steps": 2}), out, resume=resume, **options)
    assert sha256_file(out) == before
    train(make_recipe({**RECIPE, "steps": 2}), out, overwrite=True, **options)
    assert sha256_file(out) != before


@pytest.mark.parametrize(
    ("there", "resume", "overwrite", "said"),
    [
        ((), False, False, None),
        ((".checkpoint",), False, False, "go on with --resume, or delete it"),
        ((".checkpoint-before",), False, True, "go on with --resume, or delete it"),
        ((".checkpoint",), True, False, None),
        (("", ".checkpoint"), True, False, None),  # killed while what was overwritten was trained
        (("",), False, True, None),
        (("",), True, False, "is there, finished"),
    ],
)
def test_what_is_there_decides(
    out: Path, there: tuple[str, ...], resume: bool, overwrite: bool, said: str | None
) -> None:
    for name in there:
        out.with_name(f"net{name}.safetensors").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if said is None:
            check_place(out, resume=resume, overwrite=overwrite)
            return
        with pytest.raises(NeuroferError, match=said):
            check_place(out, resume=resume, overwrite=overwrite)


def test_to_resume_nothing_is_said(out: Path) -> None:
    with pytest.warns(UserWarning, match=r"no checkpoint of .*net\.safetensors: starting at the"):
        check_place(out, resume=True, overwrite=False)


HOLD = """
import sys, time
from pathlib import Path
from neurofer.training.places import reserved
with reserved(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_cannot_write_the_same_file(out: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)],
        cwd=PACKAGE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(NeuroferError, match="another training writes"), reserved(out):
            pass
        with reserved(out.with_name("other.safetensors")):
            pass
    finally:
        other.kill()
        other.communicate()
    with reserved(out):  # the system took the lock from the one that was killed
        pass
    assert not list(out.parent.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(out: Path) -> None:
    old, new, folder = (out.with_name(f".partial-{name}") for name in ("old", "new", "folder"))
    old.touch()
    new.touch()
    folder.mkdir()
    os.utime(old, (time.time() - 3600,) * 2)
    with reserved(out):
        assert sorted(out.parent.glob(".partial-*")) == [folder, new]
