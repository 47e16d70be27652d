"""Recordings and tables of a user's own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses import tuning
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, norm_referenced_units, simulated_faces

FAST = {"n_bootstrap": 20, "models": ["flat", "linear", "power"]}


@pytest.fixture(scope="module")
def norm(faces):
    return norm_referenced_units(faces, slope=2.0, intercept=0.5, exponent=2.0, noise=0.05)


@pytest.fixture(scope="module")
def fitted(norm):
    return tuning.run(norm, **FAST)


def monkeys(units=1):
    """A laboratory's table: five strengths, eight monkeys."""
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(
        [(u, m, s) for u in range(units) for m in range(8) for s in (0, 0.25, 0.5, 0.75, 1)],
        columns=["cell", "monkey", "strength"],
    )
    noise = generator.normal(size=len(rows))
    return rows.assign(rate=10 + (20 + 10 * rows["cell"]) * rows["strength"] + noise)


def test_units_are_fitted_along_their_own_expression(norm, fitted):
    result = fitted
    assert (result["expression"] == norm["unit"].to_numpy()).all()
    assert (result["best"] == "power").all()
    values = result["value"].sel(model="power", parameter=["a", "b", "n"]).to_numpy()
    np.testing.assert_allclose(values, np.tile([0.5, 2, 2], (6, 1)), rtol=0.15)
    low, high = result["interval"].sel(parameter="b").to_numpy()
    assert (low < 2.1).all()
    assert (high > 1.9).all()
    assert result["n"].to_numpy().tolist() == [0, 0, 6]
    assert (result["family"] == "accelerating").all()
    assert result["family_n"].to_numpy().tolist() == [0, 0, 6, 0, 0, 0]
    assert (result["n_identities"].sel(level=1.0) == 15).all()
    assert result.attrs["interval"] == "bootstrap over identities"


def test_units_without_labels_take_the_expression_that_drives_them_most(norm):
    blank = norm.assign_coords(unit=("neuroid", [""] * 6))
    fast = FAST | {"n_bootstrap": 0, "n_folds": 0}
    result = tuning.run(blank, **fast)
    assert (result["expression"] == norm["unit"].to_numpy()).all()
    other = tuning.run(norm, expression="fear", **fast)
    assert (other["expression"] == "fear").all()
    assert (other["best"].to_numpy() == "power").sum() == 1


def test_units_are_fitted_on_vectors_of_expressions(norm):
    result = tuning.run(norm, inputs="expression", n_bootstrap=0, n_folds=0)
    assert result["model"].to_numpy().tolist() == ["flat", "norm-direction", "axis", "exemplar"]
    assert result.attrs["features"] == norm["unit"].to_numpy().tolist()
    assert np.isnan(result["interval"]).all()
    assert result.attrs["interval"] == "none"
    table = tuning.units(result)
    assert {"best", "r2", "cv_r2", "orthogonal"} <= set(table)
    assert (result["family"] == result["best"]).all()
    # One expression each, and nothing elsewhere: curved along the axis, flat across it.
    assert (np.abs(result["orthogonal"]) < 0.1).all()
    assert "Change across" in tuning.figure({"a": result}).to_json()
    assert "Change across" not in tuning.figure({"a": result, "b": result}).to_json()


def test_the_population_is_counted_by_family_and_by_model(fitted):
    table = tuning.table(fitted)
    assert table["n"].sum() == 12
    power = table[table["model"] == "power"].iloc[0]
    accelerating = table[table["family"] == "accelerating"].iloc[0]
    assert (accelerating["model"], power["family"]) == ("any", "any")
    assert accelerating["fraction"] == power["fraction"] == 1
    assert accelerating["median_r2"] == power["median_r2"] > 0.9
    drawn = tuning.figure({"a": fitted}).to_json()
    assert "accelerating: power" in drawn
    assert "by model" in drawn


def test_some_units_after_others_are_all_at_once(norm, fitted, monkeypatch):
    monkeypatch.setattr("neurofer.analyses.tuning.recordings.AT_ONCE", 2)
    xr.testing.assert_allclose(fitted, tuning.run(norm, **FAST))


def test_units_that_cannot_be_fitted_are_counted_and_the_others_stay(norm, fitted):
    broken = norm.copy()
    broken.values[(norm["strength"] == 0).to_numpy(), 1] = np.nan
    broken.values[:, 2] = 4.0
    result = tuning.run(broken, **FAST)
    assert result["status"].to_numpy()[1, [1, 2]].tolist() == ["not finite", "constant"]
    assert result["best"].to_numpy()[[1, 2]].tolist() == ["", "flat"]
    assert result.attrs["n_set_aside"] == 1
    assert int(result["n"].sum()) == 5
    rest = [0, 3, 4, 5]
    xr.testing.assert_identical(
        result["value"].isel(neuroid=rest), fitted["value"].isel(neuroid=rest)
    )
    assert "1 set aside" in tuning.figure({"a": result}).to_json()


def test_a_stimulus_shown_twice_and_neutrals_alone_are_refused(norm):
    twice = norm.copy()
    twice["stimulus_id"].values[1] = twice["stimulus_id"].values[0]
    with pytest.raises(NeuroferError, match="is presented 2 times"):
        tuning.run(twice)
    with pytest.raises(NeuroferError, match="neutral faces only"):
        tuning.run(norm.isel(presentation=np.flatnonzero(norm["strength"] == 0)))
    for options, message in (
        ({"inputs": "image"}, "inputs='image'"),
        ({"expression": "joy"}, "expression='joy'"),
        ({"models": ["axis"]}, "model='axis' is not in the models of strength"),
        ({"criterion": "dic"}, "criterion='dic'"),
        ({"models": ["flat", "flat"]}, "each once"),
    ):
        with pytest.raises(NeuroferError, match=message):
            tuning.run(norm, **options)


def test_one_identity_has_no_intervals_and_says_so():
    faces = simulated_faces(n_identities=1, heads=["human"])
    result = tuning.run(norm_referenced_units(faces, noise=0.01), **FAST)
    assert result.attrs["interval"] == result.attrs["cross_validation"] == "none"
    assert np.isnan(result["interval"]).all()
    assert np.isnan(result["cv_r2"]).all()
    assert "without error bars" in tuning.figure({"a": result}).layout.title.text


def test_two_strengths_fit_lines_and_nothing_more(faces):
    recording = coding_units(faces, "expression", 3, noise=0.5)
    ends = recording.isel(presentation=np.flatnonzero(recording["strength"].isin([0, 1])))
    result = tuning.run(ends, "coding", n_bootstrap=20)
    assert set(result["status"].sel(model="power").to_numpy()) == {"too few levels"}
    assert set(result["best"].to_numpy()) <= {"flat", "linear"}


def test_three_lines_fit_a_table(tmp_path):
    monkeys().to_csv(tmp_path / "rates.csv", index=False)
    result = tuning.fit_table(
        tmp_path / "rates.csv", response="rate", strength="strength", identity="monkey", **FAST
    )
    assert result["best"].item() == "linear"
    table = tuning.units(result)
    assert table["b_low"].item() < 20 < table["b_high"].item()
    assert result.attrs["stimuli"] == "rates"
    assert json.loads(result.attrs["options"])["identity"] == "monkey"
    assert "n = 1 units" in tuning.figure({"mine": result}).layout.title.text


def test_a_table_holds_units_in_rows_or_in_columns():
    long = monkeys(3)
    wide = long.pivot_table(index=["monkey", "strength"], columns="cell", values="rate")
    wide = wide.reset_index().rename(columns=str)
    by_row = tuning.fit_table(long, response="rate", identity="monkey", unit="cell", **FAST)
    by_column = tuning.fit_table(wide, response=["0", "1", "2"], identity="monkey", **FAST)
    assert by_row["neuroid"].to_numpy().tolist() == ["0", "1", "2"]
    xr.testing.assert_allclose(by_row["value"], by_column["value"])
    slopes = by_row["value"].sel(model="linear", parameter="b").to_numpy()
    np.testing.assert_allclose(slopes, [20, 30, 40], rtol=0.05)


def test_bad_rows_are_set_aside_by_name():
    table = monkeys().astype({"rate": object, "monkey": object})
    table.loc[2, "rate"] = "lost"
    table.loc[7, "strength"] = np.nan
    table.loc[9, "monkey"] = None
    result = tuning.fit_table(table, response="rate", identity="monkey", **FAST)
    assert result.attrs["n_rows_set_aside"] == 3
    assert result.attrs["set_aside"] == [
        "row 2: no rate",
        "row 7: no strength",
        "row 9: no monkey",
    ]
    kept = monkeys().drop([2, 7, 9])
    again = tuning.fit_table(kept, response="rate", identity="monkey", **FAST)
    xr.testing.assert_allclose(result["value"], again["value"])


def test_a_table_without_identities_says_so():
    result = tuning.fit_table(monkeys(), response="rate", **FAST)
    assert result.attrs["identities"] == "not stated: every row is its own"
    assert result.attrs["n_identities"] == 40


def test_what_a_table_lacks_is_named(tmp_path):
    with pytest.raises(NeuroferError, match=r"column='rat' is not in table 'table'.*'rate'"):
        tuning.fit_table(monkeys(), response="rat")
    with pytest.raises(NeuroferError, match=r"no row .* can be used: row 0: no rate"):
        tuning.fit_table(monkeys().assign(rate="x"), response="rate")
    with pytest.raises(NeuroferError, match="cannot be read as a CSV"):
        tuning.fit_table(tmp_path / "none.csv")


def test_a_table_of_features(faces):
    x = faces.difference[:, :3]
    data = pd.DataFrame(x, columns=["u", "v", "w"])
    data["rate"] = 1 + x @ [1.0, 2.0, -1.0]
    result = tuning.fit_table(
        data, response="rate", features=["u", "v", "w"], models=["flat", "axis"], n_bootstrap=0
    )
    assert result["best"].item() == "axis"
    found = result["value"].sel(model="axis", parameter=["a", "w1", "w2", "w3"]).to_numpy()[0]
    np.testing.assert_allclose(found, [1, 1, 2, -1], atol=1e-8)
