from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurofer.analyses.linearity import analysis as linearity
from neurofer.analyses.linearity.series import fit_series
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, norm_referenced_units, simulated_faces

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
SENSIBLE = st.floats(-100, 100).map(lambda v: round(v, 3))


@pytest.mark.parametrize("strength", [LEVELS, np.array([0, 0.1, 1.0])])
def test_lines_are_those_of_statsmodels_and_ranks_those_of_scipy(strength):
    activity = np.random.default_rng(0).normal(size=(len(strength), 30))
    fit = fit_series(strength, activity)
    for unit, y in enumerate(activity.T):
        line = sm.OLS(y, sm.add_constant(strength)).fit()
        assert fit["intercept"][unit] == pytest.approx(line.params[0])
        assert fit["slope"][unit] == pytest.approx(line.params[1])
        assert fit["r2"][unit] == pytest.approx(line.rsquared)
        rho = scipy.stats.spearmanr(strength, y).statistic
        assert fit["spearman"][unit] == pytest.approx(rho)


@given(arrays(np.float64, (5, 3), elements=SENSIBLE), SENSIBLE, st.floats(0.01, 100))
def test_measures_do_not_depend_on_offset_and_scale(activity, offset, scale):
    fit, moved = fit_series(LEVELS, activity), fit_series(LEVELS, scale * activity + offset)
    alike = fit["constant"] == moved["constant"]  # a great offset may drown a small activity
    for name in ("r2", "monotonicity", "chord_deviation"):
        np.testing.assert_allclose(fit[name][alike], moved[name][alike], atol=1e-4)
    np.testing.assert_allclose(scale * fit["slope"][alike], moved["slope"][alike], atol=1e-3)


@given(arrays(np.float64, (5, 3), elements=SENSIBLE))
def test_measures_stay_in_their_ranges(activity):
    fit = fit_series(LEVELS, activity)
    for name, low in (("r2", 0), ("chord_deviation", 0), ("monotonicity", -1), ("spearman", -1)):
        assert np.isfinite(fit[name]).all()
        assert (fit[name] >= low - 1e-9).all()
        assert (fit[name] <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("activity", "monotonicity", "chord"),
    [
        ([0, 1, 2, 3, 4], 1, 0),
        ([4, 3, 2, 1, 0], -1, 0),
        ([0, 2, 4, 2, 0], 0, 1),
        ([0, 2, 1, 3, 4], 4 / 6, 0.25),
        ([0, 1, 1, 1, 1], 1, 0.75),
        ([0, 0, 0, 0, 5], 1, 0.75),
    ],
)
def test_monotonicity_and_chord_by_hand(activity, monotonicity, chord):
    fit = fit_series(LEVELS, np.array(activity, float)[:, None])
    assert fit["monotonicity"][0] == pytest.approx(monotonicity)
    assert fit["chord_deviation"][0] == pytest.approx(chord)


@pytest.mark.parametrize("level", [0.0, 3.0, -1e-30, 1e20])
def test_a_constant_unit_follows_strength_as_badly_as_can_be(level):
    fit = fit_series(LEVELS, np.full((5, 1), level))
    assert fit["constant"][0]
    for name, value in (("r2", 0), ("slope", 0), ("monotonicity", 0), ("spearman", 0)):
        assert fit[name][0] == value
    assert fit["chord_deviation"][0] == 1
    assert fit["intercept"][0] == pytest.approx(level)


def test_rounding_at_rest_is_no_tuning():
    """A unit that is driven to 10 by its expression and rests at 1e-15 for another."""
    rest = 1e-15 * LEVELS[:, None]
    assert fit_series(LEVELS, rest, scale=np.array([10.0]))["constant"][0]
    assert not fit_series(LEVELS, rest)["constant"][0]


def test_rounding_is_no_tuning_and_small_activity_is():
    flat = np.float32(1000) + np.array([[0], [1], [0], [1], [0]], np.float32) * 6e-5
    assert fit_series(LEVELS, flat)["constant"][0]
    small = 1e-200 * LEVELS[:, None]
    fit = fit_series(LEVELS, small)
    assert not fit["constant"][0]
    assert fit["r2"][0] == pytest.approx(1)
    assert fit["slope"][0] == pytest.approx(1e-200)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (12.5, 3.0)])
def test_linear_units_are_recovered(faces, slope, intercept):
    recording = norm_referenced_units(faces, slope=slope, intercept=intercept)
    result = linearity.run(recording, n_bootstrap=50)
    for head in ("human", "monkey", "cartoon", "all"):
        cell = result.sel(head=head)
        assert float(cell["median_r2"]) == pytest.approx(1, abs=1e-6)
        assert float(cell["median_slope"]) == pytest.approx(slope, rel=1e-5)
        assert float(cell["median_chord_deviation"]) == pytest.approx(0, abs=1e-5)
        assert float(cell["median_monotonicity"]) == pytest.approx(1)
        readout = cell["readout"].sel(expression="fear").to_numpy()
        np.testing.assert_allclose(readout, intercept + slope * LEVELS, rtol=1e-5, atol=1e-6)
    assert (result["n"] == [30, 30, 30, 90]).all()
    assert (result["n_constant"] == 0).all()
    assert result.attrs["over"] == "matching units"


@pytest.mark.parametrize("exponent", [0.4, 2.5])
def test_saturating_and_accelerating_units_are_not_linear(faces, exponent):
    result = linearity.run(norm_referenced_units(faces, exponent=exponent), n_bootstrap=50)
    powers = LEVELS**exponent
    expected = np.corrcoef(LEVELS, powers)[0, 1] ** 2
    assert float(result["median_r2"].sel(head="all")) == pytest.approx(expected, abs=1e-5)
    chord = np.abs(powers - LEVELS).max()
    found = float(result["median_chord_deviation"].sel(head="all"))
    assert found == pytest.approx(chord, abs=1e-5)
    assert float(result["median_spearman"].sel(head="all")) == pytest.approx(1)


def test_slopes_of_noisy_units_are_unbiased_and_covered(faces):
    recording = norm_referenced_units(faces, slope=2.0, noise=0.2, seed=5)
    result = linearity.run(recording)
    cell = result.sel(head="all")
    assert float(cell["median_slope_low"]) < 2.0 < float(cell["median_slope_high"])
    assert float(cell["median_slope"]) == pytest.approx(2.0, rel=0.1)
    assert (result["interval"] == "bootstrap over identities").all()


def test_units_of_other_expressions_do_not_enter_the_medians(faces):
    """Six units match one of six series of an identity; the 30 others are constant."""
    result = linearity.run(norm_referenced_units(faces), n_bootstrap=50)
    matching = result["series_expression"].to_numpy()[:, None] == result["unit"].to_numpy()
    assert matching.sum() == 90
    assert result["constant"].to_numpy()[~matching].all()
    assert not result["constant"].to_numpy()[matching].any()


def test_a_matching_unit_that_is_silent_is_counted(faces):
    recording = norm_referenced_units(faces)
    silent = recording.copy()
    silent.values[recording["head"].to_numpy() == "monkey", 1] = 0
    result = linearity.run(silent, n_bootstrap=50)
    assert result["n_constant"].to_numpy().tolist() == [0, 5, 0, 5]
    r2 = result["r2"].sel(series="monkey/3/sad").to_numpy()
    assert r2[1] == 0
    assert np.isfinite(result["median_r2"]).all()


def test_a_site_without_labels_is_summarised_over_all_units(faces):
    recording = coding_units(faces, "expression", 20, noise=0.5)
    result = linearity.run(recording, "coding", n_bootstrap=50)
    assert result.attrs["over"] == "medians over all units of a series"
    assert "readout" not in result
    series = np.median(result["r2"].to_numpy(), axis=1)
    human = result["series_head"].to_numpy() == "human"
    assert float(result["median_r2"].sel(head="human")) == pytest.approx(np.median(series[human]))


def test_one_identity_a_head_is_resampled_by_series(one_identity):
    result = linearity.run(norm_referenced_units(one_identity, noise=0.1), n_bootstrap=200)
    assert (result["interval"] == "bootstrap over series").all()
    assert (result["median_r2_low"] < result["median_r2_high"]).all()
    assert result["readout_low"].isnull().all()  # stated: intervals need five identities
    assert (result["readout_n"] == np.array([1, 1, 1, 3])[:, None, None]).all()


def test_presentations_of_the_same_strength_are_averaged(faces):
    recording = norm_referenced_units(faces)
    again = norm_referenced_units(faces, intercept=1.0)
    again = again.assign_coords(
        stimulus_id=("presentation", np.char.add(again["stimulus_id"].to_numpy(), "-left"))
    )
    import xarray as xr

    both = xr.concat([recording, again], dim="presentation", coords="different")
    result = linearity.run(both, n_bootstrap=50)
    cell = result.sel(head="all")
    assert float(cell["median_r2"]) == pytest.approx(1, abs=1e-6)
    readout = cell["readout"].sel(expression="sad", strength="0")
    assert float(readout) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda r: ~((r["head"] == "monkey") & (r["strength"] == 0)), "'monkey', identity '1' has"),
        (lambda r: r["strength"].isin([0, 1]), "shown at strengths 0, 1 only"),
        (lambda r: r["strength"] == 0, "neutral faces only"),
    ],
)
def test_missing_strengths_are_named(faces, keep, message):
    recording = norm_referenced_units(faces)
    with pytest.raises(NeuroferError, match=message):
        linearity.run(recording.isel(presentation=np.flatnonzero(keep(recording))))


def test_series_may_differ_in_their_strengths():
    """A missing intermediate strength leaves a series of four, and a cell with fewer identities."""
    faces = simulated_faces(n_identities=5)
    recording = norm_referenced_units(faces)
    lost = recording["stimulus_id"].to_numpy() == "human-2-fear-0.5"
    assert lost.sum() == 1
    result = linearity.run(recording.isel(presentation=np.flatnonzero(~lost)), n_bootstrap=50)
    place = {"head": "human", "expression": "fear"}
    assert result["readout_n"].sel(place).to_numpy().tolist() == [5, 5, 4, 5, 5]
    assert float(result["median_r2"].sel(head="human")) == pytest.approx(1, abs=1e-6)


def test_the_table_holds_the_medians(recording):
    table = linearity.table(linearity.run(recording, n_bootstrap=50))
    assert table["head"].tolist() == ["human", "monkey", "cartoon", "all"]
    assert table["n"].tolist() == [30, 30, 30, 90]
    assert (table["r2"] > 0.95).all()
    assert {"r2_low", "slope_high", "n_constant", "interval"} <= set(table)
