from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import render_workers
from neurofer.stimuli.render_cache import RenderSpec, ensure_rendered, read_rendered

SPECS = [
    RenderSpec(head, 1, 0.35, "happy", s, 1.0, 16)
    for head in ("human", "monkey")
    for s in (0.5, 1.0)
]


def test_processes_draw_the_same_bytes_as_one(tmp_path: Path) -> None:
    counts: list[int] = []
    alone = ensure_rendered(SPECS, tmp_path / "alone", workers=0)
    (tmp_path / "many").mkdir()
    work = [SPECS[:2], SPECS[2:]]
    render_workers.render_in_processes(work, tmp_path / "many", 2, counts.append)
    assert counts == [1] * 4
    for spec, one in zip(SPECS, alone, strict=True):
        other = read_rendered(spec, tmp_path / "many")
        assert other is not None
        assert other.image_sha256 == one.image_sha256
        assert other.landmarks == one.landmarks
        assert other.parts.read_bytes() == one.parts.read_bytes()


def test_an_error_in_a_process_is_the_users_error(tmp_path: Path) -> None:
    wrong = RenderSpec("humn", 1, 0.35, "happy", 1.0, 1.0, 16)
    with pytest.raises(NeuroferError, match="did you mean 'human'"):
        render_workers.render_in_processes([[wrong]], tmp_path, 1, lambda n: None)


def test_a_process_that_dies_is_reported_and_the_rest_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, complaints: object) -> subprocess.Popen[str]:
        # the first process dies at its first chunk, the second would never answer
        code = (
            "import sys; input(); sys.exit('no memory')"
            if not started
            else "import time; time.sleep(60)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,  # type: ignore[arg-type]
            text=True,
        )
        started.append(process)
        return process

    monkeypatch.setattr(render_workers, "_start", start)
    with pytest.raises(NeuroferError, match="status 1: no memory; what was finished is kept"):
        render_workers.render_in_processes([[s] for s in SPECS], tmp_path, 2, lambda n: None)
    assert all(process.poll() is not None for process in started)
