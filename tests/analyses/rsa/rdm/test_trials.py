"""Distances of single trials against rsatoolbox, and recordings that are unequal as in life."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm_unbalanced

from neurofer.analyses.rsa.rdm.distances import condition_residuals, crossnobis
from neurofer.analyses.rsa.rdm.noise import shrunk_noise
from neurofer.analyses.rsa.rdm.trials import (
    DIAGONAL,
    SHRUNK,
    complete,
    crossnobis_of_trials,
    trial_noise,
    trial_variance,
)
from neurofer.errors import NeuroferError

UNITS, CONDITIONS = 6, 7


def _trials(seed=0, *, least=2, most=6, baseline=20.0):
    """(n, units) trials of unequal repeats in any order, their condition and their session."""
    generator = np.random.default_rng(seed)
    condition = np.repeat(np.arange(CONDITIONS), generator.integers(least, most + 1, CONDITIONS))
    generator.shuffle(condition)
    patterns = baseline + generator.normal(size=(CONDITIONS, UNITS))
    mixing = generator.normal(size=(UNITS, UNITS))
    trials = patterns[condition] + generator.normal(size=(len(condition), UNITS)) @ mixing
    session = np.array(["b", "a", "c"])[generator.integers(0, 3, len(condition))]
    return trials, condition, session


def _reference(trials, condition, fold, precision=None):
    """Rsatoolbox's, of responses less their mean, on which its distances over folds depend."""
    dataset = Dataset(
        np.ascontiguousarray(trials - trials.mean(axis=0)),
        obs_descriptors={"condition": condition, "fold": np.unique(fold, return_inverse=True)[1]},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = calc_rdm_unbalanced(
            dataset,
            method="crossnobis",
            descriptor="condition",
            cv_descriptor="fold",
            noise=precision,
        )
    # Conditions stand in the order in which they were first shown.
    order = np.argsort(found.pattern_descriptors["condition"])
    return found.get_matrices()[0][np.ix_(order, order)]


@pytest.mark.parametrize("folds", [None, "session"])
@pytest.mark.parametrize("with_noise", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_unequal_repeats_are_weighted_as_by_rsatoolbox(folds, with_noise, seed):
    trials, condition, session = _trials(seed, least=5, most=9)
    noise, precision = None, None
    if with_noise:
        noise, kind = trial_noise(trials, condition)
        assert kind == SHRUNK
        precision = noise.precision()
    fold = np.arange(len(trials)) if folds is None else session
    expected = _reference(trials, condition, fold, precision)
    found = crossnobis_of_trials(trials, condition, None if folds is None else session, noise=noise)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    assert (found == found.T).all()


@pytest.mark.parametrize("folds", [None, "session"])
def test_a_units_mean_response_cancels_out(folds):
    trials, condition, session = _trials(1, least=5, most=9)
    fold = None if folds is None else session
    found = crossnobis_of_trials(trials, condition, fold)
    shifted = crossnobis_of_trials(trials + 1e4 * np.arange(UNITS), condition, fold)
    np.testing.assert_allclose(shifted, found, atol=1e-7)


@pytest.mark.parametrize("folds", [None, "session"])
def test_units_of_their_own_trials_are_averaged(folds):
    """Of one unit, rsatoolbox's distance is that of its own trials; ours is their mean."""
    trials, condition, session = _trials(2, least=30, most=40)
    trials[np.random.default_rng(0).random(trials.shape) < 0.5] = np.nan
    fold = None if folds is None else session
    each = []
    for unit in range(UNITS):
        shown = np.isfinite(trials[:, unit])
        of_unit = np.arange(shown.sum()) if fold is None else session[shown]
        each.append(_reference(trials[shown, unit][:, None], condition[shown], of_unit))
    np.testing.assert_allclose(
        crossnobis_of_trials(trials, condition, fold), np.mean(each, axis=0), atol=1e-10
    )
    noise, kind = trial_noise(trials, condition)
    assert kind == DIAGONAL
    scaled = np.mean([one / v for one, v in zip(each, noise.variance, strict=True)], axis=0)
    np.testing.assert_allclose(
        crossnobis_of_trials(trials, condition, fold, noise=noise), scaled, atol=1e-10
    )


def test_balanced_folds_give_the_distances_of_averages():
    """Where every condition is in every session as often, it is the crossnobis of sessions."""
    condition, session = np.tile(np.arange(CONDITIONS), 6), np.repeat([0, 1, 2], 2 * CONDITIONS)
    trials = np.random.default_rng(3).normal(size=(len(condition), UNITS))
    np.testing.assert_allclose(
        crossnobis_of_trials(trials, condition, session),
        crossnobis(trials, condition, session),
        atol=1e-12,
    )


@pytest.mark.parametrize("together", [True, False])
def test_equal_patterns_have_no_distance_on_average(together):
    """Although repeats are unequal, so that plain distances grow with what was shown rarely."""
    generator = np.random.default_rng(4)
    condition = np.repeat(np.arange(4), [2, 3, 12, 40])
    found = []
    for _ in range(200):
        trials = 5 + generator.normal(size=(len(condition), 40))
        if not together:
            trials[4, ::2] = np.nan
        noise, _ = trial_noise(trials, condition)
        distances = crossnobis_of_trials(trials, condition, noise=noise)
        found.append(distances[np.triu_indices(4, 1)])
    error = np.std(found, axis=0) / np.sqrt(200)
    assert (np.abs(np.mean(found, axis=0)) < 4 * error).all()


def test_noise_of_trials_is_that_of_their_residuals():
    trials, condition, _ = _trials(5)
    noise, _ = trial_noise(trials, condition)
    residuals, freedom = condition_residuals(trials, condition)
    expected = shrunk_noise(residuals, freedom=freedom)
    np.testing.assert_array_equal(noise.precision(), expected.precision())
    own = [trials[condition == k] for k in range(CONDITIONS)]
    squares = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in own)
    np.testing.assert_allclose(
        trial_variance(trials, condition), squares / (len(trials) - CONDITIONS)
    )


def test_units_without_noise_are_named():
    trials, condition, _ = _trials(6)
    trials[0, 0] = np.nan
    trials[:, 2] = 0.1
    once = np.unique(condition, return_index=True)[1]
    only = trials[once, 4]
    trials[:, 4] = np.nan
    trials[once, 4] = only
    found = trial_variance(trials, condition)
    assert found[2] == 0
    assert np.isnan(found[4])
    assert (np.delete(found, [2, 4]) > 0).all()
    with pytest.raises(NeuroferError, match=r"2 units do not vary .* \(c, e\): leave those"):
        trial_noise(trials, condition, names="abcdef")


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (None, "condition a has no two trials of different folds"),
        (np.zeros(5), "condition a has no two"),
        (np.array([0, 1, 0, 0, 1]), r"conditions? \w.* no two trials"),
    ],
)
def test_trials_that_do_not_cross_are_named(fold, message):
    condition = np.array([0, 1, 1, 2, 2])
    with pytest.raises(NeuroferError, match=message):
        crossnobis_of_trials(np.eye(5), condition, fold, names="abc")


def test_covariances_are_not_taken_to_trials_that_lack_units():
    trials, condition, _ = _trials(7)
    noise, _ = trial_noise(trials, condition)
    trials[0, 0] = np.nan
    with pytest.raises(NeuroferError, match="some lack units"):
        crossnobis_of_trials(trials, condition, noise=noise)


def test_two_sessions_of_other_pictures_leave_one():
    counts = np.zeros((8, 6), int)
    counts[:4, :3] = counts[4:, 3:] = 2
    rows, columns = complete(counts, 1)
    assert (int(rows.sum()), int(columns.sum())) == (4, 3)


@pytest.mark.parametrize(
    ("gaps", "rows", "columns"),
    [
        ([], 5, 4),
        ([(0, 2), (1, 2), (2, 2), (3, 2)], 5, 3),  # a unit that was not shown most
        ([(1, 0), (1, 1), (1, 2)], 4, 4),  # a picture that most units were not shown
        ([(0, 0), (1, 1)], 5, 2),
        ([(1, 0), (1, 1), (2, 2)], 5, 1),
    ],
)
def test_what_lacks_most_is_left_out(gaps, rows, columns):
    counts = np.full((5, 4), 3)
    for gap in gaps:
        counts[gap] = 0
    kept = complete(counts, 1)
    assert [int(one.sum()) for one in kept] == [rows, columns]
    assert (counts[np.ix_(*kept)] >= 1).all()
