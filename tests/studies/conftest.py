from __future__ import annotations

from pathlib import Path

import pytest

from tests.studies import lab


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path_factory.mktemp("cache")))
    lab.CALLS.update(made=0, shown=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with simulated stimuli and the toy study."""
    lab.simulated_stimuli().save(tmp_path / "stimuli")
    (tmp_path / "toy.yaml").write_text(lab.STUDY)
    return tmp_path
