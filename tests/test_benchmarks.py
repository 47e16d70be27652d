"""The benchmarks that need another machine, or long, run here once at a tiny size."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, request.param, raising=False)
    loaded = importlib.import_module(request.param)
    monkeypatch.delitem(sys.modules, request.param)
    return loaded


@pytest.mark.parametrize("module", ["train"], indirect=True)
def test_the_row_of_a_gpu_is_made_as_on_one(module: ModuleType) -> None:
    row = module.compare(
        "train.gpu", "resnet-50", size=32, batch=8, steps=2, width=0.0625, precision="bfloat16"
    )
    assert row["ratio"] == pytest.approx(row["ours"] / row["peer"])
    assert row["ours"] > 0
    assert row["goal"] == 0.9
    assert "resnet-50, width 0.0625, 32 px, batches of 8, bfloat16" in row["note"]


@pytest.mark.parametrize("module", ["record"], indirect=True)
def test_brain_scores_wrapper_records_the_same(module: ModuleType) -> None:
    pytest.importorskip("brainscore_vision")
    row = module.pytorchwrapper(images=2, rounds=1)
    assert "24,576 units, equal to " in row["note"]
    assert float(row["note"].split()[-1]) < 1e-3
    assert row["ratio"] > 0


@pytest.mark.parametrize("module", ["_memory"], indirect=True)
def test_the_recording_whose_memory_is_measured_goes_through_probe_and_rsa(
    module: ModuleType,
) -> None:
    from neurofer.analyses import analyse

    recording = module._recording(60, 40)
    assert analyse("probe", recording, folds=3)["accuracy"].notnull().all()
    trials = {"average": ["head", "identity", "expression"], "folds": "session"}
    assert analyse("rsa", recording, distance="crossnobis", models=["expression"], **trials)
