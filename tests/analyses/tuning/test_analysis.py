"""Recordings and tables of a user's own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses import analyse, tuning
from neurofer.analyses.tuning.families import EITHER
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, norm_referenced_units, simulated_faces

FAST = {"n_bootstrap": 20, "n_noise": 0, "models": ["flat", "linear", "power"]}


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
    result = tuning.run(norm, inputs="expression", n_bootstrap=0, n_folds=0, n_noise=0)
    assert result["model"].to_numpy().tolist() == ["flat", "norm-direction", "axis", "exemplar"]
    assert result.attrs["features"] == norm["unit"].to_numpy().tolist()
    assert np.isnan(result["interval"]).all()
    assert result.attrs["interval"] == "none"
    table = tuning.units(result)
    assert {"best", "r2", "cv_r2", "orthogonal"} <= set(table)
    # Expressions one by one do not tell a norm from an axis, and that is said.
    assert set(result["family"].to_numpy()) <= {EITHER, "exemplar"}
    assert "one sense only" in result.attrs["not_told_apart"]
    assert (result["sign"] == 1).all()
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
    monkeypatch.setattr("neurofer.analyses.tuning.parts.AT_ONCE", 2)
    xr.testing.assert_allclose(fitted, tuning.run(norm, **FAST))


def test_units_that_cannot_be_fitted_are_counted_and_the_others_stay(norm, fitted):
    broken = norm.copy()
    broken.values[0, 1], broken.values[0, 3] = np.inf, np.nan
    broken.values[:, 2] = 4.0
    result = tuning.run(broken, **FAST)
    assert result["status"].to_numpy()[1, [1, 2]].tolist() == ["not finite", "constant"]
    assert result["best"].to_numpy()[[1, 2]].tolist() == ["", "flat"]
    assert result.attrs["n_set_aside"] == 1
    assert int(result["n"].sum()) == 5
    assert result["status"].to_numpy()[1, 3] == "ok"
    assert result["n_missing"].to_numpy().tolist() == [0, 0, 0, 1, 0, 0]
    rest = [0, 4, 5]
    xr.testing.assert_identical(
        result["value"].isel(neuroid=rest), fitted["value"].isel(neuroid=rest)
    )
    drawn = tuning.figure({"a": result}).to_json()
    assert "1 set aside" in drawn
    assert "1 units lack some presentations" in drawn


def counted(means, trials):
    """The means of so many trials of counts each, as recordings hold them."""
    recording = norm_referenced_units(simulated_faces(heads=("human",), n_identities=8))
    generator = np.random.default_rng(4)
    n = np.full(len(recording), trials) if np.isscalar(trials) else trials
    mean = 5 + 20 * recording.to_numpy()
    if means:
        rates = generator.poisson(mean * n[:, None]) / n[:, None]
        found = recording.copy(data=rates.astype(np.float32))
        return found.assign_coords(n_trials=("presentation", n))
    place = np.repeat(np.arange(len(n)), n)
    single = recording.isel(presentation=place)
    found = single.copy(data=generator.poisson(mean[place]).astype(np.float32))
    repeat = np.concatenate([np.arange(k) for k in n])
    return found.assign_coords(repeat=("presentation", repeat))


def averaged(single):
    """The means of the trials of each stimulus, with their number."""
    ids = single["stimulus_id"].to_numpy()
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    n = np.bincount(place)
    sums = np.zeros((len(n), single.shape[1]))
    np.add.at(sums, place, single.to_numpy())
    found = single.isel(presentation=first).drop_vars("repeat")
    found = found.copy(data=(sums / n[:, None]).astype(np.float32))
    return found.assign_coords(n_trials=("presentation", n))


def test_single_trials_and_their_means_are_the_same_counts():
    """Unequal numbers of trials, Poisson: the same models are best, by the same margins."""
    n = np.random.default_rng(1).integers(2, 7, 200)
    single = counted(False, n)
    options = FAST | {"likelihood": "poisson", "n_folds": 0}
    one, many = tuning.run(single, **options), tuning.run(averaged(single), **options)
    assert one["best"].equals(many["best"])
    gaps = [r["bic"].sel(model="power") - r["bic"].sel(model="linear") for r in (one, many)]
    np.testing.assert_allclose(*gaps, atol=0.01)
    np.testing.assert_allclose(one["value"], many["value"], rtol=1e-3)
    assert one.attrs["trials"] == "single trials"
    assert "unequal" in many.attrs["trials"]


def test_means_that_are_no_counts_are_not_taken_for_counts():
    rates = counted(True, 4).drop_vars("n_trials")
    result = tuning.run(rates, likelihood="poisson", **FAST)
    assert set(result["status"].sel(model="linear").to_numpy()) == {"not counts"}
    assert result.attrs["n_set_aside"] == 6


def test_units_that_fall_are_fitted_along_what_suppresses_them(norm):
    """Without labels: the expression of the greatest change, whichever its sign."""
    blank = norm.assign_coords(unit=("neuroid", [""] * 6))
    result = tuning.run(blank.copy(data=10 - 3 * blank.to_numpy()), **FAST)
    assert (result["expression"] == norm["unit"].to_numpy()).all()
    assert (result["sign"] == -1).all()
    assert result.attrs["n_falling"] == 6
    assert int(result["family_n_falling"].sum()) == 6
    assert tuning.table(result)["n_falling"].sum() == 12  # families, then models
    assert (tuning.units(result)["sign"] == -1).all()
    assert "accelerating: power, falling" in tuning.figure({"a": result}).to_json()


@pytest.mark.parametrize(
    ("baseline", "r2"), [("head", 0.9), ("identity", 0.9), ("common", 0.5), (["head", "view"], 0.9)]
)
def test_a_head_has_a_baseline_of_its_own(norm, baseline, r2):
    step = {"human": 0.0, "monkey": 6.0, "cartoon": -3.0}
    shift = np.array([step[one] for one in norm["head"].to_numpy()], np.float32)[:, None]
    result = tuning.run(norm.copy(data=norm.to_numpy() + shift), baseline=baseline, **FAST)
    found = result["r2"].sel(model="power").to_numpy()
    assert (found > r2).all() if r2 > 0.5 else (found < r2).all()
    if baseline == "head":
        assert result.attrs["baseline"] == "one for each head (3)"
        assert (result["best"] == "power").all()
        mean = result["mean"].to_numpy()  # points are moved to the mean baseline
        assert np.abs(mean - result["predicted"]).max() < 0.2
        assert (result["spread"] < 0.2).all()


def test_a_baseline_is_that_of_a_column(norm):
    with pytest.raises(NeuroferError, match=r"baseline='haed'.*'head'"):
        tuning.run(norm, baseline="haed", **FAST)


def test_what_chance_calls_tuned_is_said(norm):
    """Of noise BIC calls few tuned, cross-validation half."""
    options = {"models": ["flat", "linear", "power"], "n_bootstrap": 0, "n_noise": 60}
    strict, loose = (
        tuning.run(norm, criterion=criterion, **options) for criterion in ("bic", "cv")
    )
    assert strict.attrs["noise_called_tuned"] < 0.25 < loose.attrs["noise_called_tuned"]
    n = loose.attrs["noise_called_tuned"] * 6
    title = tuning.figure({"a": loose}).layout.title.text
    assert f"of units of pure noise would be called tuned: {n:.0f} of 6" in title


def test_the_site_of_a_recording_that_has_one_is_taken(faces):
    recording = coding_units(faces, "expression", 3, noise=0.5)
    for name, few in (("tuning", {"n_noise": 6}), ("linearity", {})):
        assert analyse(name, recording, n_bootstrap=2, **few).attrs["site"] == "coding"


def test_neutrals_alone_are_refused(norm):
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
    assert result.attrs["interval"] == "bootstrap over presentations"
    assert "presentations, 95 %" in tuning.figure({"a": result}).layout.title.text
    assert result.attrs["n_identities"] == 40


def test_what_a_table_lacks_is_named(tmp_path):
    with pytest.raises(NeuroferError, match=r"column='rat' is not in table 'table'.*'rate'"):
        tuning.fit_table(monkeys(), response="rat")
    with pytest.raises(NeuroferError, match=r"no row .* can be used: row 0: no rate"):
        tuning.fit_table(monkeys().assign(rate="x"), response="rate")
    with pytest.raises(NeuroferError, match="there is no table at"):
        tuning.fit_table(tmp_path / "none.csv")


def test_a_table_of_features(faces):
    x = faces.difference[:, :3]
    data = pd.DataFrame(x, columns=["u", "v", "w"])
    data["rate"] = 1 + x @ [1.0, 2.0, -1.0]
    result = tuning.fit_table(
        data,
        response="rate",
        features=["u", "v", "w"],
        models=["flat", "axis"],
        n_bootstrap=0,
        n_noise=0,
    )
    assert result["best"].item() == "axis"
    found = result["value"].sel(model="axis", parameter=["a", "w1", "w2", "w3"]).to_numpy()[0]
    np.testing.assert_allclose(found, [1, 1, 2, -1], atol=1e-8)


def test_a_unit_with_gaps_in_its_column_is_fitted_to_what_it_has():
    table = monkeys(2).pivot_table(index=["monkey", "strength"], columns="cell", values="rate")
    table = table.reset_index()
    table.loc[[0, 8, 21], 1] = np.nan
    both = tuning.fit_table(table, response=[0, 1], identity="monkey", **FAST)
    alone = tuning.fit_table(table, response=1, identity="monkey", **FAST)
    assert both["n_missing"].to_numpy().tolist() == [0, 3]
    assert both["best"][1] == alone["best"][0]
    np.testing.assert_allclose(both["value"][:, 1], alone["value"][:, 0])
    assert alone.attrs["n_rows_set_aside"] == 3


@pytest.mark.parametrize(
    ("response", "message"),
    [(7, "column=7 is not in table"), ([], "names no column"), (("rate", 3), "column=3 is not")],
)
def test_a_response_is_a_column(response, message):
    with pytest.raises(NeuroferError, match=message):
        tuning.fit_table(monkeys(), response=response)


def test_a_table_is_read_as_it_was_written(tmp_path):
    """Semicolons, decimal commas, and monkeys whose names pandas takes for missing."""
    table = monkeys().replace({"monkey": {0: "NA", 1: "None", 2: "nan"}})
    table.to_csv(tmp_path / "RATES.CSV", sep=";", decimal=",", index=False)
    result = tuning.fit_table(
        tmp_path / "RATES.CSV", response="rate", strength="strength", identity="monkey", **FAST
    )
    assert result.attrs["n_identities"] == 8
    assert result.attrs["n_rows_set_aside"] == 0
    again = tuning.fit_table(monkeys(), response="rate", identity="monkey", **FAST)
    np.testing.assert_allclose(result["value"], again["value"], rtol=1e-6)


def test_counts_in_a_table_have_trials():
    generator = np.random.default_rng(0)
    table = monkeys()[["monkey", "strength"]]
    table["n"] = generator.integers(2, 9, len(table))
    table["rate"] = generator.poisson(table["n"] * (4 + 12 * table["strength"])) / table["n"]
    options = FAST | {"likelihood": "poisson", "identity": "monkey"}
    counted = tuning.fit_table(table, response="rate", trials="n", **options)
    assert counted["best"].item() == "linear"
    uncounted = tuning.fit_table(table, response="rate", **options)
    assert set(uncounted["status"].to_numpy().ravel()) == {"not counts"}
    sessions = table.assign(session=np.arange(len(table)) % 2)
    sessions["rate"] += 50 * sessions["session"]
    found = tuning.fit_table(sessions, response="rate", trials="n", baseline="session", **options)
    slope = found["value"].sel(model="linear", parameter="b").item()
    assert slope == pytest.approx(12, abs=4)


def test_work_that_takes_long_is_announced(monkeypatch, capsys, faces):
    from neurofer.analyses.tuning import estimate

    monkeypatch.setattr(estimate, "FEWEST_FITS", 10)
    monkeypatch.setattr(estimate, "LONG", 1e-6)
    x = faces.difference[:, :2]
    data = pd.DataFrame(x, columns=["u", "v"]).assign(
        rate=x @ [1.0, 2.0], who=faces.table["identity"]
    )
    options = {"response": "rate", "features": ["u", "v"], "identity": "who", "n_noise": 0}
    tuning.fit_table(data, models=["flat", "axis"], n_bootstrap=20, **options)
    said = capsys.readouterr().err
    assert "1 units with 20 resamples each will take about" in said
    assert "n_bootstrap=0 none" in said
    tuning.fit_table(data, models=["flat", "axis"], n_bootstrap=0, **options)
    assert capsys.readouterr().err == ""
