"""Likelihoods, criteria, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses import tuning
from neurofer.analyses.tuning.fitting import akaike_weights, at_bound, fit_all, predict, select
from neurofer.analyses.tuning.models import MODELS, STRENGTH_MODELS
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
    y[3, 0], y[5, 1] = np.nan, np.inf
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
    found = tuning.fit(X, np.stack([X + 1, X - 0.5], axis=1), "linear", likelihood="poisson")
    assert found.status.tolist() == ["ok", "negative"]


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
