"""Identities left out and resampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_poisson_deviance

from neurofer.analyses import tuning
from neurofer.analyses.tuning.fitting import predict
from neurofer.analyses.tuning.resampling import (
    bootstrap,
    cross_validate,
    folds_of,
    held_out,
    intervals,
)
from neurofer.errors import NeuroferError

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
X, WHO = np.tile(LEVELS, 15), np.repeat(np.arange(15), 5)
ONE = np.zeros(75)
# The signal-to-noise ratio is the SD of the tuning over the SD of the noise of a presentation.
SNR = 3
TRUTH = {"linear": [5.0, 10.0], "sigmoid": [3.0, 10.0, 0.4, 12.0]}


def simulated(name, units, seed=0):
    mean = predict(name, X, np.array([TRUTH[name]]))
    return mean + mean.std() / SNR * np.random.default_rng(seed).normal(size=(len(X), units))


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.integers(2, 12), st.integers(0, 9))
def test_an_identity_lies_in_one_fold(identity, n_folds, seed):
    identity = np.array(identity)
    n = len(np.unique(identity))
    if n < 2:
        with pytest.raises(NeuroferError, match="needs two of each"):
            folds_of(identity, n_folds, seed)
        return
    folds = folds_of(identity, n_folds, seed)
    for one in np.unique(identity):
        assert len(np.unique(folds[identity == one])) == 1
    assert len(np.unique(folds)) == min(n, n_folds)
    sizes = [len(np.unique(identity[folds == fold])) for fold in np.unique(folds)]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=3)
@given(st.integers(0, 14), st.sampled_from(["linear", "rectified", "gaussian"]), st.integers(0, 9))
def test_what_is_predicted_of_an_identity_does_not_depend_on_its_responses(who, model, seed):
    """The leak test: its own fold's predictions stay, whatever the identity does."""
    y = simulated("linear", 2)
    changed = y.copy()
    changed[who == WHO] = 1000 * np.random.default_rng(seed).normal(size=(5, 2))
    first, second = (held_out(X, one, WHO, model, seed=seed) for one in (y, changed))
    fold = folds_of(WHO, 5, seed)
    own = fold == fold[who == WHO][0]
    assert (first[own] == second[own]).all()
    assert (first[~own] != second[~own]).any()


def test_error_left_out_is_that_of_a_loop():
    y = simulated("linear", 3)
    fold = folds_of(WHO, 5, 2)
    error, flat = np.zeros(3), np.zeros(3)
    for k in range(5):
        test = fold == k
        for unit in range(3):
            line = np.polyfit(X[~test], y[~test, unit], 1)
            error[unit] += ((y[test, unit] - np.polyval(line, X[test])) ** 2).sum()
            flat[unit] += ((y[test, unit] - y[~test, unit].mean()) ** 2).sum()
    found = cross_validate(X, y, WHO, "linear", seed=2)
    np.testing.assert_allclose(found, 1 - error / flat)
    assert (cross_validate(X, y, WHO, "flat", seed=2) == 0).all()


def test_counts_are_cross_validated_by_deviance():
    y = np.random.default_rng(0).poisson(5 + 20 * X[:, None], size=(75, 4))
    found = cross_validate(X, y, WHO, "linear", likelihood="poisson")
    assert ((found > 0.5) & (found < 1)).all()
    left_out = [held_out(X, y, WHO, name, likelihood="poisson") for name in ("linear", "flat")]
    for unit in range(4):
        own, flat = (mean_poisson_deviance(y[:, unit], one[:, unit]) for one in left_out)
        assert found[unit] == pytest.approx(1 - own / flat)


def test_units_that_are_not_finite_have_no_cross_validated_error():
    y = simulated("linear", 3)
    y[0, 1] = np.inf
    assert np.isnan(cross_validate(X, y, WHO, "linear")).tolist() == [False, True, False]


def test_what_is_missing_is_left_out_of_the_error():
    y = simulated("linear", 2)
    y[[3, 17, 18], 1] = np.nan
    kept = np.isfinite(y[:, 1])
    alone = cross_validate(X[kept], y[kept, 1:], WHO[kept], "linear", seed=2)
    np.testing.assert_allclose(cross_validate(X, y, WHO, "linear", seed=2)[1:], alone)


def test_a_bootstrap_is_that_of_a_loop_over_resampled_identities():
    """Also where identities were not shown everything."""
    from neurofer.analyses.statistics import resample

    for kept in (np.ones(75, bool), np.random.default_rng(0).uniform(size=75) < 0.8):
        x, who, y = X[kept], WHO[kept], simulated("sigmoid", 2)[kept]
        found = bootstrap(x, y, who, ONE[kept], "power", n_bootstrap=4, seed=3)
        for k, drawn in enumerate(resample(np.zeros(15), 4, 3)):
            rows = np.concatenate([np.flatnonzero(who == one) for one in drawn])
            again = tuning.fit(x[rows], y[rows], "power").values
            np.testing.assert_allclose(found[k], again, rtol=1e-3)


def test_intervals_need_five_identities():
    replicates = np.random.default_rng(0).normal(size=(50, 3, 2))
    assert np.isfinite(intervals(replicates, WHO, ONE)).all()
    assert np.isnan(intervals(replicates, WHO % 4, ONE)).all()
    assert np.isnan(intervals(replicates[:0], WHO, ONE)).all()


def test_baselines_of_identities_widen_the_interval_of_the_mean_baseline_only():
    """The slope's replicates are those of responses without them."""
    generator = np.random.default_rng(1)
    y = 10 * X[:, None] + generator.normal(size=(75, 2))
    moved = y + 20 * generator.normal(size=(15, 1))[WHO]
    one, other = (
        bootstrap(X, v, WHO, ONE, "linear", n_bootstrap=50, baseline=WHO) for v in (y, moved)
    )
    np.testing.assert_allclose(one[..., 1], other[..., 1], atol=1e-8)
    assert other[..., 0].std() > 10 * one[..., 0].std()
    # Where identities were not shown the same, the general solution is the same loop.
    kept = np.arange(75) != 7
    found = bootstrap(
        X[kept], moved[kept], WHO[kept], ONE[kept], "linear", n_bootstrap=3, baseline=WHO[kept]
    )
    from neurofer.analyses.statistics import resample

    for k, drawn in enumerate(resample(np.zeros(15), 3, 0)):
        rows = np.concatenate([np.flatnonzero((one == WHO) & kept) for one in drawn])
        again = tuning.fit(X[rows], moved[rows], "linear", baseline=WHO[rows]).values
        np.testing.assert_allclose(found[k], again, rtol=1e-6)


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_baseline_that_no_other_identity_has_is_not_predicted(likelihood):
    """What lies above it is: with steps of 100 between identities a line explains nearly all."""
    generator = np.random.default_rng(2)
    mean = 20 + 100 * WHO[:, None] + 50 * X[:, None]
    y = (
        generator.poisson(mean)
        if likelihood == "poisson"
        else mean + generator.normal(size=(75, 1))
    )
    options = {"likelihood": likelihood}
    assert cross_validate(X, y, WHO, "linear", baseline=WHO, **options)[0] > 0.4
    assert cross_validate(X, y, WHO, "linear", **options)[0] < 0.01
