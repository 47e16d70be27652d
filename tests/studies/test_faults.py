"""A study on a disk that fails at each of its operations in turn: no wrong number, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from neurofer import analyses
from neurofer.analyses.registry import Analysis
from neurofer.errors import NeuroferError
from neurofer.sealed import DamagedError, check_seal
from neurofer.studies import bench, compute_study, write_results
from neurofer.studies.results import read_result, write_result
from tests.faults import FAULTS, Disk, Killed
from tests.studies import lab

STUDY = """
name: small
title: A small study
stimuli: {toy: {folder: stimuli}}
subjects:
  good: {subject: counting}
  bad: {subject: counting, options: {wrong: 0.7}}
analyses:
  - {name: mean, analysis: mean, stimuli: toy, subjects: [good, bad]}
claims:
  - {id: good.mean, analysis: mean, subject: good, value: mean}
"""


def mean_activity(recording: xr.DataArray, *, seed: int = 0) -> xr.Dataset:
    """Return the mean activity, an analysis of a millisecond."""
    return xr.Dataset({"mean": ("units", [float(recording.mean()), float(recording.std())])}).sum()


def table(result: xr.Dataset) -> pd.DataFrame:
    return result.to_dataframe()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mean = Analysis("mean", "mean activity", mean_activity, table, lambda results: None)
    monkeypatch.setitem(analyses.ANALYSES, "mean", mean)
    lab.simulated_stimuli(identities=1).save(tmp_path / "stimuli")
    (tmp_path / "small.yaml").write_text(STUDY)
    return tmp_path / "small.yaml"


def values(outcome) -> dict[str, float]:
    return {str(key): float(result["mean"]) for key, result in outcome.results.items()}


def run(study: Path, place: Path):
    outcome = compute_study(study, cache=place / "cache")
    write_results(outcome, place / "out")
    return outcome


def whole(path: Path, *, named: bool = True) -> bool:
    try:
        check_seal(path, named=named)
    except DamagedError:
        return False
    return True


def read_all(place: Path) -> None:
    """Every result that is there under its own name is whole, or says that it is not."""
    for file in (place / "out").rglob("*.nc"):
        if whole(file, named=False):
            read_result(file)
        else:
            with pytest.raises(NeuroferError, match=file.name):
                read_result(file)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_survives_a_fault_at_every_operation(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """What was written when the fault came is there after it, and is not made again."""
    written: list[Path] = []

    def noted(result: xr.Dataset, path: Path, **options: bool) -> None:
        write_result(result, path, **options)
        written.append(path)

    monkeypatch.setattr(bench, "write_result", noted)
    expected = values(run(study, tmp_path / "reference"))
    with Disk(tmp_path) as disk:
        run(study, tmp_path / "counted")
    total = len(disk.operations)
    assert total > 40
    assert {"rename", "fsync", "write .nc", "write .json"} <= set(disk.operations)
    for at in range(1, total + 1):
        place = tmp_path / f"{fault}-{at}"
        written.clear()
        with Disk(tmp_path, at, fault) as disk:
            try:
                first = run(study, place)
            except (Killed, OSError, NeuroferError):
                first = None
        assert len(disk.operations) >= at
        if first is not None:  # what was found in spite of the fault is right, the rest is named
            found = values(first)
            assert all(expected[key] == value for key, value in found.items())
            assert set(found) == set(expected) or first.failures
        finished = [p for p in (place / "cache" / "results").glob("*.nc") if whole(p)]
        assert set(written) <= set(finished), f"{fault} at {at}: {disk.operations[at - 1]}"
        read_all(place)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged entries are named
            again = run(study, place)
        assert not again.failures
        assert values(again) == expected
        assert again.analysed == len(expected) - len(finished), f"{fault} at {at}"
        leftovers = [p for p in place.rglob(".partial-*") if p.is_file()]
        assert len(leftovers) <= 2, leftovers


RUN = """
import json, sys
from pathlib import Path
from neurofer.studies import compute_study
from tests.studies import lab

outcome = compute_study(sys.argv[1], cache=Path(sys.argv[2]))
assert not outcome.failures, outcome.failures
print(json.dumps({str(key): result["accuracy"].to_numpy().ravel().tolist()
                  for key, result in outcome.results.items()}))
"""


def test_two_runs_of_a_study_at_once_give_the_same(tmp_path: Path) -> None:
    """Each may do all the work; neither reads what the other has half written."""
    lab.simulated_stimuli().save(tmp_path / "stimuli")
    (tmp_path / "toy.yaml").write_text(lab.STUDY)
    words = [sys.executable, "-W", "error::UserWarning", "-c", RUN]
    runs = [
        subprocess.Popen(
            [*words, str(tmp_path / "toy.yaml"), str(tmp_path / "cache")],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0] == said[1]
    assert len(json.loads(said[0])) == 2
