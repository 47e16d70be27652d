"""The tests of shape and the mixed model, against statsmodels, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
import statsmodels.formula.api as smf
import xarray as xr
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.anova import anova_lm

from neurofer.analyses.linearity import analysis as linearity
from neurofer.analyses.linearity.curvature import (
    curvature_test,
    isotonic_r2,
    kendall,
    naka_rushton_advantage,
    norm_index,
)
from neurofer.analyses.linearity.mixed import AT_BOUND, UNSURE, _said, mixed_model
from neurofer.analyses.linearity.population import mixed_table, unit_table, verdict_table
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, norm_referenced_units, simulated_faces

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])


def _units(function, n_units, *, series=15, noise=1.0, seed=0):
    """Five strengths of so many series, each with its own offset and gain."""
    generator = np.random.default_rng(seed)
    x, name = np.tile(LEVELS, series), np.repeat(np.arange(series), len(LEVELS))
    gain = generator.uniform(0.5, 1.5, (series, n_units))[name]
    offset = generator.normal(size=(series, n_units))[name]
    y = offset + gain * function(x)[:, None] + noise * generator.normal(size=(len(x), n_units))
    return x, y, name


@pytest.mark.parametrize("ties", [False, True])
def test_isotonic_fits_and_kendall_are_those_of_scikit_learn_and_scipy(ties):
    activity = np.random.default_rng(0).normal(size=(5, 30))
    activity = activity.round() if ties else activity
    found, tau = isotonic_r2(activity), kendall(LEVELS, activity)
    for unit, y in enumerate(activity.T):
        rest = min(
            ((IsotonicRegression(increasing=way).fit_transform(LEVELS, y) - y) ** 2).sum()
            for way in (True, False)
        )
        assert found[unit] == pytest.approx(1 - rest / ((y - y.mean()) ** 2).sum())
        assert tau[unit] == pytest.approx(scipy.stats.kendalltau(LEVELS, y).statistic)


def test_the_norm_index_is_bounded():
    activity = np.array([[1.0, 0, 5, -1, 0], [9, 9, 9, 9, 9], [3, 2, 0, 1, 0]])
    assert norm_index(activity).tolist() == [0.5, 1, -1, 1, 0]


def test_f_tests_are_those_of_statsmodels():
    x, y, name = _units(lambda s: np.sqrt(s), 3, series=6, noise=0.5)
    found = curvature_test(x, y, name, over="presentations")
    for unit in range(3):
        data = pd.DataFrame({"x": x, "y": y[:, unit], "s": name})
        lines = [
            smf.ols(formula, data).fit()
            for formula in ("y ~ C(s)", "y ~ C(s) + x", "y ~ C(s) * x", "y ~ C(s) * x + I(x**2)")
        ]
        assert found["slope_p"][unit] == pytest.approx(anova_lm(*lines[:2])["Pr(>F)"][1])
        assert found["curvature_p"][unit] == pytest.approx(anova_lm(*lines[2:])["Pr(>F)"][1])
        assert found["slope"][unit] == pytest.approx(lines[1].params["x"])
        assert found["curvature"][unit] == pytest.approx(lines[3].params["I(x ** 2)"])


def test_one_sided_tests_lack_of_fit_and_intervals_are_those_of_statsmodels_and_scipy():
    """One side of the t test of the curvature; a mean a strength; a t interval over slopes."""
    x, y, name = _units(lambda s: np.sqrt(s), 4, series=6, noise=0.8)
    y[:, 1] *= -1
    # The ends have their means by the line.
    inner = "".join(f" + I((x == {level}) * 1.0)" for level in LEVELS[1:-1])
    found = curvature_test(x, y, name, over="presentations")
    for unit in range(4):
        data = pd.DataFrame({"x": x, "y": y[:, unit], "s": name})
        line, bent, free = (
            smf.ols(f"y ~ C(s) * x {more}", data).fit() for more in ("", "+ I(x**2)", inner)
        )
        t, df = bent.tvalues["I(x ** 2)"], bent.df_resid
        sign = np.sign(found["slope"][unit])
        assert found["saturating_p"][unit] == pytest.approx(scipy.stats.t.cdf(sign * t, df))
        assert found["accelerating_p"][unit] == pytest.approx(scipy.stats.t.sf(sign * t, df))
        theirs = anova_lm(line, free)["Pr(>F)"][1]
        assert found["lack_of_fit_p"][unit] == pytest.approx(theirs)
        slopes = [np.polyfit(x[name == s], y[name == s, unit], 1)[0] for s in range(6)]
        interval = scipy.stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
        assert (found["slope_low"][unit], found["slope_high"][unit]) == pytest.approx(interval)


def test_the_sandwich_of_unequal_series_is_that_of_statsmodels():
    x, y, name = _units(lambda s: s, 1, series=6)
    kept = np.arange(len(x)) % 7 != 3
    x, y, name = x[kept], y[kept], name[kept]
    found = curvature_test(x, y, name)
    data = pd.DataFrame({"x": x, "y": y[:, 0], "s": name})
    fit = smf.ols("y ~ C(s) + x", data).fit(
        cov_type="cluster", cov_kwds={"groups": name, "use_correction": False}
    )
    half = scipy.stats.t.ppf(0.975, 5) * fit.bse["x"] * np.sqrt(6 / 5)
    assert found["slope_high"][0] - found["slope"][0] == pytest.approx(half)


def test_a_sigmoid_that_no_curvature_shows_lacks_fit():
    """Its first half accelerates as its second saturates."""
    found = curvature_test(*_units(lambda s: 10 / (1 + np.exp(-12 * (s - 0.5))), 200, noise=0.7))
    assert (found["curvature_p"] < 0.05).mean() < 0.1
    assert (found["lack_of_fit_p"] < 0.05).mean() > 0.9


def test_sigmoids_among_the_units_called_linear_are_counted():
    """Simulated units of which the last two are sigmoids."""
    faces = simulated_faces(heads=("human",), expressions=("neutral", "fear"), n_identities=8)
    strength = faces.table["strength"].to_numpy()[:, None]
    activity = np.hstack([10 * strength] * 3 + [10 / (1 + np.exp(-15 * (strength - 0.5)))] * 2)
    activity += 0.5 * np.random.default_rng(0).normal(size=activity.shape)
    recording = coding_units(faces, "expression", 5).copy(data=activity.astype(np.float32))
    result = linearity.run(recording, None, mixed="none", alpha=0.001, n_bootstrap=20)
    assert (result["verdict"] == "linear").all()
    assert result.attrs["n_linear_lacking_fit"] == 2
    title = linearity.figure({"a": result}, units=True).layout.title.text
    assert "of the linear, 2 lack fit" in title


def test_linear_units_are_called_curved_at_the_level_of_the_test():
    """4000 units: 5 % within three standard errors, though identities differ in gain."""
    x, y, name = _units(lambda s: s, 4000, series=8)
    for alpha in (0.05, 0.01):
        rate = (curvature_test(x, y, name)["curvature_p"] < alpha).mean()
        assert rate == pytest.approx(alpha, abs=3 * np.sqrt(alpha * (1 - alpha) / 4000))
    flat = curvature_test(x, np.random.default_rng(1).normal(size=y.shape), name)
    assert (flat["slope_p"] < 0.05).mean() == pytest.approx(0.05, abs=0.0104)


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        (lambda s: 10 * s, "linear"),
        (lambda s: -10 * s, "linear"),
        (lambda s: 12 * s**2 / (s**2 + 0.09), "saturating"),
        (lambda s: -10 * s**0.4, "saturating"),
        (lambda s: 10 * s**3, "accelerating"),
        (lambda s: 0 * s, "flat"),
    ],
)
def test_the_shape_of_simulated_units_is_found(function, verdict):
    found = curvature_test(*_units(function, 200, noise=0.5))["verdict"]
    assert (found == verdict).mean() > 0.9


def test_the_part_of_the_slope_that_is_lost_is_recovered():
    """Of 10 x - 4 x^2 the slope falls from 10 to 2 at full strength: 80 % are lost."""
    found = curvature_test(*_units(lambda s: 10 * s - 4 * s**2, 300, noise=0.3))
    assert np.median(found["saturation"]) == pytest.approx(0.8, abs=0.02)
    assert np.median(found["curvature"]) == pytest.approx(-4, rel=0.05)


def test_naka_rushton_wins_where_the_truth_saturates():
    saturating = _units(lambda s: 12 * s**2 / (s**2 + 0.09), 8, noise=0.5)
    linear = _units(lambda s: 10 * s, 8, noise=0.5)
    assert (naka_rushton_advantage(*saturating) > 0).all()
    assert (naka_rushton_advantage(*linear) < 0).mean() >= 0.8


def test_units_that_cannot_be_tested_say_so():
    x, y, name = np.array([0, 0.5, 1.0]), np.array([[1.0, 2], [1, 3], [1, 5]]), np.zeros(3)
    found = curvature_test(x, y, name)
    assert found["status"].tolist() == ["constant", "too few levels"]
    assert found["verdict"].tolist() == ["flat", "not testable"]
    assert np.isnan(found["curvature_p"]).all()


def _population(seed=0):
    generator = np.random.default_rng(seed)
    head = np.repeat(["human", "monkey"], 40)
    identity = np.repeat(np.arange(16), 5).astype(str)
    x = np.tile(LEVELS, 16)
    y = 100 + 30 * x - 10 * x * (head == "monkey") + generator.normal(size=16)[identity.astype(int)]
    return y + generator.normal(size=80), x, head, identity


def test_the_mixed_model_is_statsmodels_own():
    y, x, head, identity = _population()
    found = mixed_model(y, x, head, identity)
    data = pd.DataFrame({"y": y, "x": x, "head": head, "identity": identity})
    theirs = smf.mixedlm("y ~ x * C(head)", data, groups="identity").fit()
    assert found.status == "converged"
    names = {"strength": "x", "strength x monkey": "x:C(head)[T.monkey]"}
    for ours, name in names.items():
        row = found.terms.loc[ours]
        assert row["coefficient"] == pytest.approx(theirs.params[name], rel=1e-4)
        assert row["low"] == pytest.approx(theirs.conf_int().loc[name, 0], rel=1e-3)
        assert row["p"] == pytest.approx(theirs.pvalues[name], abs=1e-6)
        assert row["low"] < {"x": 30, "x:C(head)[T.monkey]": -10}[name] < row["high"]
    assert found.residual_sd == pytest.approx(np.sqrt(theirs.scale), rel=1e-3)
    assert found.identity_sd == pytest.approx(np.sqrt(theirs.cov_re.iloc[0, 0]), rel=1e-2)


def test_random_slopes_are_statsmodels_own():
    generator = np.random.default_rng(2)
    y, x, head, identity = _population()
    y = y + 8 * generator.normal(size=16)[identity.astype(int)] * x
    found = mixed_model(y, x, head, identity, random_slopes=True)
    data = pd.DataFrame({"y": y, "x": x, "head": head, "identity": identity})
    theirs = smf.mixedlm("y ~ x * C(head)", data, groups="identity", re_formula="~x").fit()
    assert found.terms.loc["strength", "coefficient"] == pytest.approx(theirs.params["x"], rel=1e-3)
    row, t = found.terms.loc["strength"], theirs.tvalues["x"]
    half = scipy.stats.t.ppf(0.975, 16 - 2) * theirs.bse["x"]
    assert row["low"] == pytest.approx(theirs.params["x"] - half, rel=1e-2)
    assert row["p"] == pytest.approx(2 * scipy.stats.t.sf(abs(t), 14), rel=0.1, abs=1e-12)
    assert found.slope_sd == pytest.approx(np.sqrt(theirs.cov_re.iloc[1, 1]), rel=1e-2)
    # Slopes that differ widen the interval of their mean.
    fixed = mixed_model(y, x, head, identity)
    assert np.isnan(fixed.slope_sd)
    assert found.terms.loc["strength", "p"] > fixed.terms.loc["strength", "p"]


@pytest.mark.parametrize("random_slopes", [False, True])
def test_identities_that_do_not_differ_are_fitted_as_a_line(random_slopes):
    """Where the variance is zero the search of a gradient fails; the answer is least squares."""
    x, identity, head = np.tile(LEVELS, 15), np.repeat(np.arange(15), 5), np.full(75, "a")
    noise = np.random.default_rng(3).normal(size=(15, 5, 2))
    # Less variance between identities than independent noise would have.
    noise = (noise - noise.mean(axis=1, keepdims=True)).reshape(75, 2)
    for y in 10 * x + noise.T:
        found = mixed_model(y, x, head, identity, random_slopes=random_slopes)
        assert set(found.status.split("; ")) <= {AT_BOUND, UNSURE}
        assert found.terms.loc["strength", "coefficient"] == pytest.approx(np.polyfit(x, y, 1)[0])
        assert np.isfinite(found.terms.to_numpy()).all()


def test_a_warning_that_is_not_known_is_said_as_it_is():
    assert _said(True, ["The MLE may be on the boundary of the parameter space."] * 2) == AT_BOUND
    assert _said(True, ["Retrying MixedLM optimization with lbfgs"]) == "converged"
    assert _said(False, ["Never seen\nbefore"]) == "not converged; Never seen"


def test_tests_over_identities_are_t_tests_of_their_own_coefficients():
    """And Hotelling's of their deviations, by the definition."""
    x, y, name = _units(lambda s: np.sqrt(s), 4, series=7, noise=0.8)
    y[:, 1] *= -1
    found = curvature_test(x, y, name)
    blocks = y.reshape(7, 5, 4)
    for unit in range(4):
        slopes, bends = np.zeros(7), np.zeros(7)
        for k in range(7):
            slopes[k] = np.polyfit(LEVELS, blocks[k, :, unit], 1)[0]
            bends[k] = np.polyfit(LEVELS, blocks[k, :, unit], 2)[0]
        assert found["slope_p"][unit] == pytest.approx(scipy.stats.ttest_1samp(slopes, 0).pvalue)
        bent = scipy.stats.ttest_1samp(bends, 0)
        assert found["curvature"][unit] == pytest.approx(bends.mean())
        assert found["curvature_p"][unit] == pytest.approx(bent.pvalue)
        sign = np.sign(slopes.mean())
        one_sided = scipy.stats.t.cdf(sign * bent.statistic, 6)
        assert found["saturating_p"][unit] == pytest.approx(one_sided)
        assert found["sign"][unit] == (sign if found["slope_p"][unit] < 0.05 else 0)
        # Three contrasts that no line has.
        free = scipy.linalg.null_space(np.stack([np.ones(5), LEVELS]))
        z = blocks[:, :, unit] @ free
        t2 = 7 * z.mean(0) @ np.linalg.solve(np.cov(z.T), z.mean(0))
        p = scipy.stats.f.sf(4 / (3 * 6) * t2, 3, 4)
        assert found["lack_of_fit_p"][unit] == pytest.approx(p, rel=1e-6)


def test_a_mixed_model_with_random_slopes_says_the_same():
    x, y, name = _units(lambda s: 2 * s, 2, series=12, noise=0.3)
    found = curvature_test(x, y, name)
    for unit in range(2):
        model = mixed_model(y[:, unit], x, np.full(60, "a"), name, random_slopes=True)
        row = model.terms.loc["strength"]
        assert found["slope"][unit] == pytest.approx(row["coefficient"], rel=1e-4)
        assert found["slope_p"][unit] == pytest.approx(row["p"], rel=0.05)
        assert found["slope_low"][unit] == pytest.approx(row["low"], rel=0.02)


def test_people_who_differ_are_no_common_tuning():
    """2000 units without any, whose slopes (and curvatures) differ between twelve people."""
    generator = np.random.default_rng(0)
    x, name = np.tile(LEVELS, 12), np.repeat(np.arange(12), 5)
    slopes, bends = generator.normal(size=(2, 12, 2000))
    y = slopes[name] * x[:, None] + bends[name] * (x**2)[:, None]
    y += generator.normal(size=y.shape)
    error = 3 * np.sqrt(0.05 * 0.95 / 2000)
    over = {k: curvature_test(x, y, name, over=k) for k in ("identities", "presentations")}
    for test in ("slope_p", "curvature_p", "lack_of_fit_p"):
        rate = (over["identities"][test] < 0.05).mean()
        assert rate == pytest.approx(0.05, abs=error), test
    assert (over["presentations"]["slope_p"] < 0.05).mean() > 0.1


def test_a_choice_among_expressions_widens_what_is_said_of_the_slope():
    x, y, name = _units(lambda s: s, 3, series=8)
    one, six = (curvature_test(x, y, name, n_choices=k) for k in (1, 6))
    np.testing.assert_allclose(six["slope_p"], np.minimum(1, 6 * one["slope_p"]))
    assert (six["slope_low"] < one["slope_low"]).all()
    np.testing.assert_array_equal(six["curvature_p"], one["curvature_p"])


def test_a_unit_without_noise_is_tested_beyond_rounding():
    x, _, name = _units(lambda s: s, 1, series=5)
    gain = np.linspace(1, 2, 5)[name]
    y = np.stack([gain * x, gain * np.sqrt(x), gain * (1 - x), 3 + 1e-9 * gain], axis=1)
    found = curvature_test(x, y.astype(np.float32), name)
    assert found["verdict"].tolist() == ["linear", "saturating", "linear", "flat"]
    assert found["sign"].tolist() == [1, 1, -1, 0]


def test_two_identities_are_too_few_to_speak_of_others():
    x, y, name = _units(lambda s: 10 * s, 2, series=2, noise=0.1)
    found = curvature_test(x, y, name)
    assert found["status"].tolist() == ["too few identities"] * 2
    assert found["verdict"].tolist() == ["not testable"] * 2
    assert (curvature_test(x, y, name, over="presentations")["verdict"] == "linear").all()


@pytest.mark.parametrize("sign", [1, -1])
def test_units_without_a_label_are_tested_where_they_change_most(sign):
    """Suppressed ones too: with a minus, their sign is the answer."""
    faces = simulated_faces(heads=("human",), n_identities=8)
    recording = norm_referenced_units(faces, noise=0.05)
    labels = recording["unit"].to_numpy()
    bare = recording.assign_coords(unit=("neuroid", np.full(6, "")))
    bare = bare.copy(data=10 + sign * bare.to_numpy())
    result = linearity.run(bare, n_bootstrap=20, mixed="none")
    assert (result["tested_expression"].to_numpy() == labels).all()
    assert (result["verdict"] != "flat").all()
    assert (result["sign"] == sign).all()
    assert (result["n_expressions"] == 6).all()
    table = verdict_table(result)
    assert table["n_rising" if sign > 0 else "n_falling"].sum() == 6
    said = "6 units rise, 0 fall" if sign > 0 else "0 units rise, 6 fall"
    assert said in linearity.figure({"a": result}, units=True).layout.title.text


def test_a_unit_that_lacks_presentations_is_measured_on_the_rest():
    """A strength of one series, and the neutral of another identity, which loses its series."""
    faces = simulated_faces(heads=("human",), n_identities=6)
    recording = norm_referenced_units(faces, slope=3, noise=0.05)
    ids = recording["stimulus_id"].to_numpy()
    broken = recording.copy()
    broken.values[np.isin(ids, ["human-2-happy-0.5", "human-4-neutral-0"]), 0] = np.nan
    unit = str(recording["unit"].to_numpy()[0])
    result = linearity.run(broken, n_bootstrap=20, mixed="units")
    whole = linearity.run(recording, n_bootstrap=20, mixed="units")
    assert result["n_missing"].to_numpy().tolist() == [2, 0, 0, 0, 0, 0]
    assert result["n_identities_tested"].to_numpy().tolist() == [5, 6, 6, 6, 6, 6]
    assert (result["status"] == "ok").all()
    assert result["verdict"][0] == "linear"
    xr.testing.assert_equal(result["curvature_p"][1:], whole["curvature_p"][1:])
    own = result["r2"].sel(series=[f"human/{k}/{unit}" for k in range(1, 7)])[:, 0].to_numpy()
    assert np.isnan(own).tolist() == [False, False, False, True, False, False]
    # What is left is what is measured where the rest was never recorded.
    kept = recording.isel(presentation=np.isfinite(broken.values[:, 0])).isel(neuroid=[0])
    kept = kept.isel(presentation=kept["identity"].to_numpy() != "4")
    alone = linearity.run(kept, n_bootstrap=20, mixed="units")
    for name in ("unit_slope", "slope_p", "curvature_p", "saturation"):
        np.testing.assert_allclose(
            result[name].isel(neuroid=0), alone[name].isel(neuroid=0), rtol=1e-3, atol=1e-6
        )


def test_mixed_models_of_units_take_single_trials():
    """Three trials of each presentation, one by one: the interval is not that of the means."""
    faces = simulated_faces(heads=("human",), expressions=("neutral", "fear"), n_identities=6)
    recording = norm_referenced_units(faces, slope=5)
    generator = np.random.default_rng(0)
    n = recording.sizes["presentation"]
    trials = recording.isel(presentation=np.tile(np.arange(n), 3))
    trials = trials.copy(
        data=(trials + generator.normal(size=trials.shape)).astype(np.float32).data
    )
    trials = trials.assign_coords(repeat=("presentation", np.repeat([0, 1, 2], n)))
    result = linearity.run(trials, mixed="units", n_bootstrap=20)
    y, x, who = (
        trials.to_numpy()[:, 0],
        trials["strength"].to_numpy(),
        trials["identity"].to_numpy(),
    )
    reference = mixed_model(y.astype(float), x, np.full(len(x), "h"), who, random_slopes=True)
    np.testing.assert_allclose(
        result["unit_mixed_coefficient"][:, 0], reference.terms["coefficient"], rtol=1e-3
    )
    assert result.attrs["trials"] == "means over 3 trials of a stimulus"


@pytest.fixture(scope="module")
def by_unit():
    """Two linear units, a silent one and a broken one, on two heads, with all mixed models."""
    faces = simulated_faces(heads=("human", "monkey"), expressions=("neutral", "fear", "sad"))
    recording = coding_units(faces, "expression", 4)
    activity = np.tile(faces.table["strength"].to_numpy()[:, None], 4) * [10, 10, 0, 10]
    activity += np.random.default_rng(0).normal(size=activity.shape) * [1, 1, 0, 1]
    activity[3, 3] = np.inf
    recording = recording.copy(data=activity.astype(np.float32))
    return recording, linearity.run(recording, None, mixed="units", n_bootstrap=20)


def test_every_units_mixed_model_is_that_of_its_own_activity(by_unit):
    recording, result = by_unit
    shown = recording["expression"].to_numpy()
    for unit in range(2):
        own = str(result["tested_expression"][unit].item())
        rows = (shown == own) | (shown == "neutral")
        order = np.argsort(recording["head"].to_numpy()[rows], kind="stable")
        columns = [
            recording.to_numpy()[rows][order, unit],
            recording["strength"].to_numpy()[rows][order],
            recording["head"].to_numpy()[rows][order],
            np.char.add(recording["head"].to_numpy(), recording["identity"].to_numpy())[rows][
                order
            ],
        ]
        reference = mixed_model(*columns, random_slopes=True)
        found = result["unit_mixed_coefficient"].isel(neuroid=unit).to_numpy()
        np.testing.assert_allclose(found, reference.terms["coefficient"], rtol=1e-4, atol=1e-4)
        assert str(result["unit_mixed_status"][unit].item()) == reference.status


def test_units_that_cannot_be_measured_say_so_and_do_not_count(by_unit):
    recording, result = by_unit
    assert result["status"].to_numpy().tolist() == ["ok", "ok", "constant", "not finite"]
    assert result["verdict"].to_numpy().tolist()[2:] == ["flat", "not testable"]
    assert result["unit_mixed_status"].to_numpy().tolist()[2:] == [
        "activity is constant", "not finite",
    ]  # fmt: skip
    assert result.attrs["n_not_finite"] == 1
    assert result.attrs["n_units"] == 4
    assert int(result["shape_n"].sum()) == 3
    # What is said of the others is what is said of them without it.
    alone = linearity.run(recording[:, :3], None, n_bootstrap=20)
    xr.testing.assert_equal(alone["median_r2"], result["median_r2"])
    np.testing.assert_array_equal(alone["r2"], result["r2"][:, :3])
    assert np.isfinite(result["r2"][:, :3]).all()
    assert np.isnan(result["r2"][:, 3]).all()
    for units in (False, True):
        figure = linearity.figure({"a": result}, units=units)
        assert "3 units (1 set aside: not finite)" in figure.layout.title.text
    with pytest.raises(NeuroferError, match=r"1 of 1 units .* not finite"):
        linearity.run(recording[:, 3:], None)


def test_tests_are_corrected_over_units(by_unit):
    _, result = by_unit
    table = unit_table(result)
    assert table["neuroid"].tolist() == result["neuroid"].to_numpy().tolist()
    for name in ("slope_p", "curvature_p", "saturating_p", "lack_of_fit_p", "mixed_p"):
        p = table[name].to_numpy()
        tested = np.isfinite(p)
        assert tested.tolist() == [True, True, False, False]
        theirs = scipy.stats.false_discovery_control(p[tested])
        np.testing.assert_allclose(table[f"{name}_corrected"][tested], theirs)
    assert (table["unit_slope_low"] < table["unit_slope"])[:2].all()
    assert (verdict_table(result)["corrected_n"].sum()) == 3


def test_a_unit_whose_expression_lacks_a_head_has_no_comparable_model():
    faces = simulated_faces(heads=("human", "monkey"), expressions=("neutral", "fear", "sad"))
    recording = norm_referenced_units(faces, noise=0.1)
    lost = (recording["head"] == "human") & (recording["expression"] == "sad")
    part = recording.isel(presentation=np.flatnonzero(~lost))
    result = linearity.run(part, mixed="units", n_bootstrap=20)
    sad = (result["unit"] == "sad").to_numpy()
    said = str(result["unit_mixed_status"].to_numpy()[sad][0])
    assert said == "its expression is not shown on human"
    assert np.isnan(result["unit_mixed_p"].to_numpy()[:, sad]).all()
    assert np.isfinite(result["unit_mixed_p"].to_numpy()[:, ~sad]).all()


@pytest.mark.parametrize(
    ("activity", "identity", "status"),
    [
        (np.ones(20), np.arange(20) // 5, "activity is constant"),
        (np.full(20, np.nan), np.arange(20) // 5, "activity is not finite"),
        (np.arange(20.0), np.arange(20) // 10, "2 identities; random effects need 3"),
    ],
)
def test_a_mixed_model_that_cannot_be_fitted_says_so(activity, identity, status):
    found = mixed_model(activity, np.tile(LEVELS, 4), np.full(20, "human"), identity)
    assert found.status == status
    assert found.terms.isna().all().all()


def test_activity_without_noise_has_no_mixed_model():
    """The likelihood has no maximum there."""
    found = mixed_model(
        np.tile(LEVELS, 4), np.tile(LEVELS, 4), np.full(20, "a"), np.arange(20) // 5
    )
    assert "no noise" in found.status


def test_a_variance_of_identities_at_its_bound_is_reported():
    """Identities that do not differ at all."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(4, 5))
    noise -= noise.mean(axis=1, keepdims=True)
    y = np.tile(LEVELS, 4) + noise.ravel()
    found = mixed_model(y, np.tile(LEVELS, 4), np.full(20, "a"), np.arange(20) // 5)
    assert found.status != "converged"


@pytest.mark.parametrize(("exponent", "verdict"), [(1.0, "linear"), (0.4, "saturating")])
def test_a_recording_has_its_units_tested(exponent, verdict):
    faces = simulated_faces(heads=("human", "monkey"))
    recording = norm_referenced_units(faces, exponent=exponent, noise=0.05)
    result = linearity.run(recording, n_bootstrap=20)
    table = verdict_table(result).set_index("verdict")
    assert table["n"].sum() == 6
    assert table.loc[verdict, "n"] >= 5
    assert (result["tested_expression"].to_numpy() == recording["unit"].to_numpy()).all()
    terms = mixed_table(result).set_index("term")["coefficient"]
    if exponent == 1:
        assert terms["strength"] == pytest.approx(1, abs=0.1)
    assert terms["strength x monkey"] == pytest.approx(0, abs=0.1)
    assert result.attrs["mixed_n"] == 2 * 5 * 5  # a neutral face is one, not one per expression


def test_naka_rushton_is_beside_where_it_is_asked_for():
    faces = simulated_faces(heads=("human",))
    recording = norm_referenced_units(faces, noise=0.05)
    result = linearity.run(recording, n_bootstrap=20, mixed="none", saturation="naka-rushton")
    assert "mixed_p" not in result
    assert result["naka_rushton_advantage"].sizes == {"neuroid": 6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saturation": "cubic"}, "saturation='cubic' is unknown"),
        ({"mixed": "unit"}, "mixed='unit' is unknown; choose from population, units, none"),
        ({"alpha": 1.5}, "alpha=1.5 must lie between 0 and 1"),
    ],
)
def test_options_are_checked(recording, options, message):
    with pytest.raises(NeuroferError, match=message):
        linearity.run(recording, n_bootstrap=20, **options)


@pytest.mark.parametrize("subjects", [1, 3])
def test_the_population_figure_says_n_and_data(subjects):
    faces = simulated_faces(heads=("human",))
    result = linearity.run(coding_units(faces, "expression", 9, noise=0.5), None, n_bootstrap=20)
    figure = linearity.figure({f"s{k}": result for k in range(subjects)}, units=True)
    assert len(figure.data) == 3 * subjects  # bars, corrected, boxes
    for words in ("n = 9 units", "95 %", "5 %", "(simulated)"):
        assert words in figure.layout.title.text
    parts = [float(value) for value in figure.data[0].y]
    assert sum(parts) == pytest.approx(1)
