from __future__ import annotations

import os
from pathlib import Path

import pytest

from neurofer import closure, workers
from neurofer.errors import NeuroferError
from neurofer.stimuli.rendered.render_cache import RenderSpec, ensure_rendered, read_rendered
from neurofer.workers import run_in_processes

SPECS = [
    RenderSpec(head, 1, 0.35, "happy", s, 1.0, 16)
    for head in ("human", "monkey")
    for s in (0.5, 1.0)
]

MODULE = """
import sys, time
from pathlib import Path
from neurofer.errors import NeuroferError
from neurofer.workers import serve

def work(piece):
    if piece == "wrong":
        raise NeuroferError("mend this")
    if piece == "die":
        sys.exit("no memory")
    if piece == "sleep":
        time.sleep(600)
    with open(Path(sys.argv[1]) / str(piece["name"]), "w") as file:
        for step in range(piece["steps"]):
            file.write(str(step))
            yield

serve(work)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "labour.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    return "labour"


def test_every_piece_is_done_once_and_every_step_is_told(tmp_path: Path, module: str) -> None:
    steps: list[int] = []
    work = [{"name": f"piece{i}", "steps": i % 4} for i in range(9)]
    run_in_processes(module, [str(tmp_path)], work, lambda: steps.append(1), workers=2)
    assert len(steps) == sum(piece["steps"] for piece in work)  # type: ignore[misc]
    for piece in work:
        assert (tmp_path / str(piece["name"])).read_text() == "0123"[: piece["steps"]]  # type: ignore[misc]


def test_a_worker_refuses_to_run_other_code_than_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(closure.PACKAGE / "stimuli" / "image_cache.py")
    monkeypatch.setitem(closure._HASHES, source, "as it was imported")
    with pytest.raises(NeuroferError, match=r"render_cache has changed since Python .* start it"):
        ensure_rendered(SPECS, tmp_path, workers=2)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("", False),
        (f"neurofer.workers {closure.closure_hash('neurofer.workers')}", False),
        ("neurofer.workers 0123", True),
    ],
)
def test_the_code_is_that_of_the_sender(
    monkeypatch: pytest.MonkeyPatch, code: str, refused: bool
) -> None:
    monkeypatch.setenv("NEUROFER_CODE", code)
    assert bool(workers._changed()) == refused


def test_without_work_nothing_is_started(tmp_path: Path) -> None:
    run_in_processes("no.such.module", [], [], lambda: None)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (["wrong", "sleep"], "^mend this$"),
        (["sleep", "wrong"], "^mend this$"),
        (["die", "sleep"], "labour ended with status 1: no memory; what was finished is kept"),
    ],
)
def test_a_failure_is_told_and_the_others_are_stopped(
    tmp_path: Path, module: str, work: list[str], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        run_in_processes(module, [str(tmp_path)], work, lambda: None, workers=2)


def test_a_module_that_cannot_start_is_reported() -> None:
    with pytest.raises(NeuroferError, match=r"no_such_module ended with status 1: .*No module"):
        run_in_processes("no_such_module", [], [1], lambda: None)


def test_processes_draw_the_same_bytes_as_one(tmp_path: Path) -> None:
    alone = ensure_rendered(SPECS, tmp_path / "alone", workers=0)
    many = ensure_rendered(SPECS, tmp_path / "many", workers=2)
    for one, other in zip(alone, many, strict=True):
        assert other.image.sha256 == one.image.sha256
        assert other.landmarks == one.landmarks
        assert other.parts.path.read_bytes() == one.parts.path.read_bytes()
    folder = many[0].image.path.parent
    assert read_rendered(SPECS[0], folder) == many[0]


def test_an_error_in_a_process_is_the_users_error(tmp_path: Path) -> None:
    wrong = [RenderSpec("humn", 1, 0.35, "happy", s, 1.0, 16) for s in (0.5, 1.0)]
    with pytest.raises(NeuroferError, match="did you mean 'human'"):
        ensure_rendered(wrong, tmp_path, workers=2)
