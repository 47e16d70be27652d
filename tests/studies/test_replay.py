"""A result is made again from its file alone, and what differs is said."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.studies import origin
from neurofer.studies.replay import differences, replay
from neurofer.studies.results import read_result, write_result
from neurofer.studies.run import compute_study, write_results
from tests.studies import lab


@pytest.fixture
def result(folder: Path) -> Path:
    """The result of a study with a trained subject, far from its study file."""
    text = lab.STUDY.replace("label: Good}", "label: Good, training: {protocol: nine}}")
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    write_results(outcome, folder / "out")
    (folder / "toy.yaml").unlink()
    return folder / "out" / "results" / "transfer.toy.good.nc"


def test_a_result_is_made_again_with_the_same_values(result: Path) -> None:
    shown = lab.CALLS["shown"]
    again = replay(result)
    assert again.differs == {}
    assert again.changed == ()
    assert lab.CALLS["shown"] > shown  # it was not read from a cache
    before = read_result(result)
    xr.testing.assert_identical(again.result, before)


def test_it_says_all_that_decided_it(result: Path) -> None:
    said = json.loads(read_result(result).attrs[origin.DECIDED])
    assert set(said) == {
        "subject", "responses", "files", "shown", "analysis", "options", "select", "code",
        "versions",
    }  # fmt: skip
    assert said["versions"]["numpy"] == np.__version__
    assert said["options"] == {"n_bootstrap": 50, "seed": 0}


def test_changed_values_and_what_decided_them_are_named(result: Path) -> None:
    made = read_result(result)
    decided = json.loads(made.attrs[origin.DECIDED])
    decided["versions"]["numpy"] = "1.0"
    attrs = {origin.DECIDED: json.dumps(decided)}
    write_result(made.assign(accuracy=made["accuracy"] + 1).assign_attrs(attrs), result)
    again = replay(result)
    assert list(again.differs) == ["accuracy"]
    assert "by up to 1" in again.differs["accuracy"]
    assert again.changed == (f"versions.numpy: 1.0 before, {np.__version__} now",)


def test_what_is_not_there_any_more_is_named(result: Path) -> None:
    images = result.parents[2] / "stimuli"
    images.rename(images.with_name("elsewhere"))
    with pytest.raises(NeuroferError, match="stimuli"):
        replay(result)


def test_a_result_without_a_recipe_is_refused(result: Path) -> None:
    made = read_result(result)
    del made.attrs[origin.RECIPE]
    write_result(made, result)
    with pytest.raises(NeuroferError, match="does not say how it was made"):
        replay(result)


@pytest.mark.parametrize(
    ("other", "name", "words"),
    [
        (xr.Dataset({"a": ("x", [1.0, np.nan])}), None, ""),
        (xr.Dataset({"a": ("x", [1.0, 2.0])}), "a", "1 of 2 values, finite in one only"),
        (xr.Dataset({"a": ("x", [1.5, np.nan])}), "a", "1 of 2 values, by up to 0.5"),
        (xr.Dataset({"a": ("x", [1.0])}), "a", "shape (2,) before, (1,) now"),
        (xr.Dataset({"b": ("x", [1.0, np.nan])}), "b", "only now"),
    ],
)
def test_differences(other: xr.Dataset, name: str | None, words: str) -> None:
    found = differences(xr.Dataset({"a": ("x", [1.0, np.nan])}), other)
    assert found == (
        {}
        if name is None
        else {"b": "only now", "a": "only before"}
        if name == "b"
        else {name: words}
    )
