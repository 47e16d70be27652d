"""Likelihoods, criteria, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses import tuning
from neurofer.analyses.tuning.fitting import at_bound, fit_all, predict
from neurofer.analyses.tuning.models import MODELS, STRENGTH_MODELS
from neurofer.analyses.tuning.selection import akaike_weights, select
from neurofer.errors import NeuroferError

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
X = np.tile(LEVELS, 15)


def noisy(units=6, seed=0):
    generator = np.random.default_rng(seed)
    return 5 + 10 * X[:, None] + generator.normal(size=(len(X), units))


def test_criteria_are_those_of_statsmodels_with_the_variance_counted():
    y = noisy()
    found = tuning.fit(X, y, "linear")
    assert found.k == 3
    for unit in range(y.shape[1]):
        line = sm.OLS(y[:, unit], sm.add_constant(X)).fit()
        np.testing.assert_allclose(found.values[unit], line.params, rtol=1e-10)
        assert found.rss[unit] == pytest.approx(line.ssr)
        assert found.r2[unit] == pytest.approx(line.rsquared)
        assert found.log_likelihood[unit] == pytest.approx(line.llf)
        # statsmodels does not count the variance.
        assert found.aic[unit] == pytest.approx(line.aic + 2)
        assert found.bic[unit] == pytest.approx(line.bic + np.log(75))
        closed = 75 * np.log(2 * np.pi * line.ssr / 75) + 75 + 6 + 2 * 3 * 4 / (75 - 3 - 1)
        assert found.aicc[unit] == pytest.approx(closed)


@pytest.mark.parametrize("name", ["flat", "linear", "axis"])
def test_counts_are_fitted_as_by_statsmodels(name):
    generator = np.random.default_rng(1)
    x = np.stack([X, np.tile([0, 0, 1, 0, 1], 15)], axis=1) if name == "axis" else X
    y = generator.poisson(5 + 10 * X[:, None], size=(75, 5))
    design = np.ones((75, 1)) if name == "flat" else sm.add_constant(x)
    found = tuning.fit(x, y, name, likelihood="poisson")
    assert found.k == design.shape[1]
    family = sm.families.Poisson(sm.families.links.Identity())
    for unit in range(5):
        with pytest.warns(sm.tools.sm_exceptions.DomainWarning):
            glm = sm.GLM(y[:, unit], design, family=family).fit(tol=1e-12)
        np.testing.assert_allclose(found.values[unit], glm.params, rtol=1e-4)
        assert found.log_likelihood[unit] == pytest.approx(glm.llf, abs=1e-8)
        assert found.aic[unit] == pytest.approx(glm.aic)


@pytest.mark.parametrize("name", STRENGTH_MODELS[1:])
def test_counts_have_a_greater_likelihood_than_at_least_squares(name):
    generator = np.random.default_rng(2)
    y = generator.poisson(2 + 12 * X[:, None] ** 2, size=(75, 20)).astype(float)
    counts, squares = (tuning.fit(X, y, name, likelihood=k) for k in ("poisson", "gaussian"))
    mean = squares.predict(X)
    sound = (mean > 1e-3).all(axis=0)
    mean = np.maximum(mean, 1e-3)
    from scipy.stats import poisson

    likelihood = poisson.logpmf(y, mean).sum(axis=0)
    assert sound.sum() > 10
    assert (counts.log_likelihood[sound] >= likelihood[sound] - 1e-6).all()
    assert (counts.rss >= squares.rss * (1 - 1e-6)).all()


def test_silent_levels_do_not_make_the_likelihood_infinite():
    """No count at all below a threshold: means stay at 0."""
    y = np.random.default_rng(0).poisson(40 * np.maximum(X - 0.5, 0))[:, None]
    for name in STRENGTH_MODELS:
        found = tuning.fit(X, y, name, likelihood="poisson")
        assert np.isfinite(found.log_likelihood).all()
        assert found.predict(LEVELS).min() > -0.01 * y.max()
    assert select(fit_all(X, y, ["linear", "rectified"], likelihood="poisson"))[0] == "rectified"


def test_aicc_is_undefined_where_it_is_undefined():
    """Five points: a line has n - k - 1 = 1, a power 0."""
    fits = fit_all(LEVELS, noisy()[:5], ["linear", "power", "sigmoid"])
    assert np.isfinite(fits["linear"].aicc).all()
    assert np.isnan(fits["power"].aicc).all()
    assert np.isnan(fits["sigmoid"].aicc).all()
    assert (select(fits, "aicc") == "linear").all()
    assert np.isfinite(fits["power"].bic).all()


def test_weights_are_those_of_the_definition():
    criterion = np.array([[10.0, np.nan, np.nan], [12.0, 3.0, np.nan]])
    weights = akaike_weights(criterion)
    np.testing.assert_allclose(weights[:, 0], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    assert weights[:, 1].tolist() == [0, 1]
    assert np.isnan(weights[:, 2]).all()


@settings(max_examples=4)
@given(st.floats(0.01, 100), st.floats(-100, 100), st.integers(0, 5))
def test_a_fit_follows_the_scale_and_offset_of_responses(scale, offset, seed):
    y = noisy(2, seed)
    for name in ("linear", "v-shape", "sigmoid"):
        first, moved = tuning.fit(X, y, name), tuning.fit(X, scale * y + offset, name)
        np.testing.assert_allclose(first.r2, moved.r2, atol=1e-4)
        gap = first.bic - tuning.fit(X, y, "flat").bic
        same = moved.bic - tuning.fit(X, scale * y + offset, "flat").bic
        np.testing.assert_allclose(gap, same, atol=0.05)


def test_all_units_at_once_is_each_unit_alone():
    y = np.random.default_rng(4).normal(size=(75, 4)).cumsum(axis=0)
    for name in STRENGTH_MODELS:
        together = tuning.fit(X, y, name)
        alone = np.array([tuning.fit(X, y[:, u], name).rss[0] for u in range(4)])
        np.testing.assert_allclose(together.rss, alone, rtol=1e-6)


def test_units_that_cannot_be_fitted_say_why():
    y = noisy(4)
    y[:, 0], y[5, 1] = np.nan, np.inf
    y[:, 2] = 7.0
    fits = fit_all(X, y, ["flat", "linear"])
    for one in fits.values():
        assert one.status.tolist() == ["not finite", "not finite", "constant", "ok"]
        assert np.isnan(one.bic[:3]).all()
        assert np.isfinite(one.bic[3])
    assert fits["flat"].values[2].tolist() == [7.0]
    assert np.isnan(fits["linear"].values[:3]).all()
    assert select(fits).tolist() == ["", "", "flat", "linear"]
    np.testing.assert_allclose(fits["linear"].values[3], tuning.fit(X, y[:, 3]).values[0])


def test_negative_counts_are_set_aside():
    counts = np.stack([4 * X + 1, 4 * X - 2, X + 1], axis=1)
    found = tuning.fit(X, counts, "linear", likelihood="poisson")
    assert found.status.tolist() == ["ok", "negative", "not counts"]
    # Quarters are whole counts of four trials each.
    found = tuning.fit(X, counts, "linear", likelihood="poisson", trials=np.full(75, 4))
    assert found.status.tolist() == ["ok", "negative", "ok"]


def poisson_trials(seed=3):
    """One to six trials of each of 75 presentations, of three units that grow with strength."""
    generator = np.random.default_rng(seed)
    n = generator.integers(1, 7, 75)
    single = generator.poisson(3 + 10 * np.repeat(X, n)[:, None] ** 2, size=(n.sum(), 3))
    place = np.repeat(np.arange(75), n)
    mean = np.stack([np.bincount(place, one) for one in single.T], axis=1) / n[:, None]
    return n, place, single, mean.astype(np.float32)


@pytest.mark.parametrize("name", ["flat", "linear", "power"])
def test_means_of_counts_are_fitted_as_their_single_trials(name):
    """Unequal numbers of trials: parameters, and what criteria say of models, are the same."""
    n, place, single, mean = poisson_trials()
    options = {"likelihood": "poisson"}
    one = tuning.fit(X[place], single, name, **options)
    many = tuning.fit(X, mean, name, trials=n, **options)
    np.testing.assert_allclose(many.values, one.values, rtol=1e-4)
    assert many.n.tolist() == one.n.tolist() == [n.sum()] * 3
    flat = [tuning.fit(X[place], single, "flat", **options)]
    flat.append(tuning.fit(X, mean, "flat", trials=n, **options))
    np.testing.assert_allclose(many.bic - flat[1].bic, one.bic - flat[0].bic, atol=1e-3)


def test_the_exposure_is_that_of_statsmodels():
    n, _, _, mean = poisson_trials()
    found = tuning.fit(X, mean, "linear", likelihood="poisson", trials=n)
    total = mean.astype(float) * n[:, None]
    # Of sums over n trials with identity link, the design is n times that of one trial.
    family = sm.families.Poisson(sm.families.links.Identity())
    for unit in range(3):
        design = n[:, None] * sm.add_constant(X)
        with pytest.warns(sm.tools.sm_exceptions.DomainWarning):
            glm = sm.GLM(total[:, unit], design, family=family).fit(tol=1e-12)
        np.testing.assert_allclose(found.values[unit], glm.params, rtol=1e-4)
        assert found.log_likelihood[unit] == pytest.approx(glm.llf, abs=1e-6)
        assert found.bic[unit] == pytest.approx(2 * np.log(n.sum()) - 2 * glm.llf)


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_unit_that_lacks_presentations_is_fitted_to_the_rest(likelihood):
    generator = np.random.default_rng(5)
    y = generator.poisson(5 + 20 * X[:, None], size=(75, 3)).astype(float)
    y[[0, 7, 31], 1] = np.nan
    y[X == 1, 2] = np.nan
    for name in ("linear", "rectified"):
        found = tuning.fit(X, y, name, likelihood=likelihood)
        assert found.n.tolist() == [75, 72, 60]
        for unit in (1, 2):
            kept = np.isfinite(y[:, unit])
            alone = tuning.fit(X[kept], y[kept, unit], name, likelihood=likelihood)
            if name == "linear":  # the bounds of a threshold are those of all strengths
                np.testing.assert_allclose(found.values[unit], alone.values[0], rtol=1e-5)
                assert found.bic[unit] == pytest.approx(alone.bic[0])
                assert found.r2[unit] == pytest.approx(alone.r2[0])
    few = np.where(X[:, None] > 0.25, np.nan, y[:, :1])
    assert tuning.fit(X, few, "power", likelihood=likelihood).status.tolist() == ["too few levels"]


HEADS = np.repeat(["human", "monkey", "cartoon"], 25)


@pytest.mark.parametrize("kept", [1.0, 0.8])
def test_baselines_are_those_of_dummies_in_statsmodels(kept):
    """Balanced, where centring is enough, and not."""
    generator = np.random.default_rng(6)
    shown = generator.uniform(size=75) < kept
    x, head = X[shown], HEADS[shown]
    names, group = np.unique(head, return_inverse=True)
    y = 5 * group[:, None] + 4 * x[:, None] + generator.normal(size=(len(x), 2))
    found = tuning.fit(x, y, "linear", baseline=head)
    design = np.column_stack([group == k for k in range(3)] + [x]).astype(float)
    for unit in range(2):
        line = sm.OLS(y[:, unit], design).fit()
        own = found.values[unit, 0] + found.offset[unit]
        np.testing.assert_allclose([*own, found.values[unit, 1]], line.params, rtol=1e-8)
        assert found.rss[unit] == pytest.approx(line.ssr)
        assert found.bic[unit] == pytest.approx(line.bic + np.log(len(x)))
        flat = sm.OLS(y[:, unit], design[:, :3]).fit()
        assert found.r2[unit] == pytest.approx(1 - line.ssr / flat.ssr)
    assert found.groups.tolist() == names.tolist()
    np.testing.assert_allclose(
        found.predict(x, head)[:, 0], sm.OLS(y[:, 0], design).fit().fittedvalues
    )


def test_baselines_of_counts_are_those_of_dummies_in_statsmodels():
    generator = np.random.default_rng(7)
    group = np.unique(HEADS, return_inverse=True)[1]
    y = generator.poisson(4 + 6 * group + 8 * X)
    found = tuning.fit(X, y, "linear", likelihood="poisson", baseline=HEADS)
    design = np.column_stack([group == k for k in range(3)] + [X]).astype(float)
    family = sm.families.Poisson(sm.families.links.Identity())
    with pytest.warns(sm.tools.sm_exceptions.DomainWarning):
        glm = sm.GLM(y, design, family=family).fit(tol=1e-12)
    own = found.values[0, 0] + found.offset[0]
    np.testing.assert_allclose([*own, found.values[0, 1]], glm.params, rtol=1e-4)
    assert found.log_likelihood[0] == pytest.approx(glm.llf, abs=1e-6)
    assert found.k == 4


@pytest.mark.parametrize("name", ["sigmoid", "v-shape", "power"])
def test_unbalanced_baselines_are_found_beside_a_curve(name):
    """Without noise the curve comes back, whatever the baselines are."""
    truth = {"sigmoid": [3, 10, 0.4, 12], "v-shape": [5, 20, 15, 0.4], "power": [5, -10, 2]}[name]
    kept = np.random.default_rng(8).uniform(size=75) < 0.8
    x, head = X[kept], HEADS[kept]
    step = {"human": 0.0, "monkey": 30.0, "cartoon": -12.0}
    y = predict(name, x, np.array([truth], float))[:, 0] + [step[one] for one in head]
    found = tuning.fit(x, y, name, baseline=head)
    assert found.r2[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found.values[0, 1:], truth[1:], rtol=1e-2)
    assert np.ptp(found.offset[0]) == pytest.approx(42, rel=1e-3)


def test_baselines_alone_are_no_tuning():
    y = np.stack([np.unique(HEADS, return_inverse=True)[1].astype(float)], axis=1)
    found = tuning.fit(X, y, "flat", baseline=HEADS)
    assert found.status.tolist() == ["constant"]
    with pytest.raises(NeuroferError, match=r"baseline has shape \(3,\)"):
        tuning.fit(X, y, "flat", baseline=np.array(["a", "b", "c"]))


@pytest.mark.parametrize(
    ("trials", "message"),
    [(np.ones(3), r"trials has shape \(3,\)"), (np.zeros(75), "not positive")],
)
def test_trials_are_checked(trials, message):
    with pytest.raises(NeuroferError, match=message):
        tuning.fit(X, 4 * X, likelihood="poisson", trials=trials)


def test_fewer_levels_than_parameters_are_not_fitted():
    three = X[X <= 0.5]
    y = noisy()[X <= 0.5]
    for name in STRENGTH_MODELS:
        found = tuning.fit(three, y, name)
        enough = len(MODELS[name].names()) <= 3
        assert set(found.status) == {"ok" if enough else "too few levels"}
        assert np.isfinite(found.values).all() == enough


@pytest.mark.parametrize(
    ("x", "y", "model", "message"),
    [
        (X, noisy(), "linaer", "model='linaer' is unknown.*'linear'"),
        (X[:-1], noisy(), "linear", r"x has shape \(74,\) and responses \(75, 6\)"),
        (X, noisy(), "axis", "takes feature vectors"),
        (np.stack([X, X], 1), noisy(), "power", r"takes strengths \(n,\)"),
        (np.where(X == 1, np.nan, X), noisy(), "linear", "15 values that are not finite"),
        (np.ones(75), noisy(), "linear", "all 75 presentations show the same x"),
    ],
)
def test_what_cannot_be_fitted_is_named(x, y, model, message):
    with pytest.raises(NeuroferError, match=message):
        tuning.fit(x, y, model)
    with pytest.raises(NeuroferError, match="likelihood='binomial'"):
        tuning.fit(X, noisy(), "linear", likelihood="binomial")


def test_predictions_at_new_strengths():
    found = tuning.fit(X, 5 + 10 * X, "linear")
    np.testing.assert_allclose(found.predict(np.array([2.0])), [[25.0]])
    assert predict("linear", LEVELS, np.array([[1, 2], [3, 4]])).shape == (5, 2)


@pytest.mark.parametrize(
    ("name", "values", "at"),
    [
        ("linear", [5, -10], []),
        ("power", [5, -10, 8], ["n"]),
        ("power", [5, -10, 7.9], []),
        ("sigmoid", [3, 10, 0.4, 60], ["k"]),
        ("sigmoid", [3, 10, 1.0, 12], ["x0"]),
        ("v-shape", [5, 0, 15, 0.4], ["b_left"]),
        ("gaussian", [3, 10, 0.0, 2.0], ["mu", "s"]),
    ],
)
def test_values_that_are_bounds_are_named(name, values, at):
    """The steepness of a step between two strengths is not in the data."""
    found = at_bound(name, LEVELS, np.array([values], float))[0]
    assert np.array(MODELS[name].names())[found].tolist() == at
    if name == "sigmoid" and at == ["k"]:
        step = tuning.fit(X, np.where(X > 0.4, 5.0, 3.0), name)
        assert at_bound(name, LEVELS, step.values)[0].tolist() == [False, False, False, True]


def test_directions_have_no_bounds_and_exemplars_lie_among_the_stimuli():
    x = np.eye(3)
    assert not at_bound("axis", x, np.array([[1.0, 2, 3, 4]])).any()
    assert at_bound("norm-direction", x, np.array([[1.0, 2, 0.6, 0.8, 0, 8]])).sum() == 1
    assert at_bound("exemplar", x, np.array([[1.0, 2, 0, 1, 0.5, 0.4]])).tolist() == [
        [False, False, True, True, False, False]
    ]
