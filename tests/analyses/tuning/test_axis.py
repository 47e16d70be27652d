"""Tuning orthogonal to the axis, against least squares one unit at a time."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses.statistics import expanded_tail, resample
from neurofer.analyses.tuning.axis import orthogonal_tuning

CUBE = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3).astype(float)
X, WHO = np.tile(CUBE, (6, 1)), np.repeat(np.arange(6), 27)
ONE = np.zeros(len(X))
WEIGHT = np.array([3.0, -2.0, 0.5])


def responses(noise=1.0):
    """An axis, an exemplar, and a unit that grows away from its axis."""
    generator = np.random.default_rng(0)
    exemplar = 10 * np.exp(-((X - [0.5, 0.2, 0.1]) ** 2).sum(1) / (2 * 0.8**2))
    mean = np.stack([1 + X @ WEIGHT, exemplar, 2 * X[:, 0] + X[:, 1] ** 2 + X[:, 2] ** 2], axis=1)
    return mean + noise * generator.normal(size=mean.shape)


def one_unit(x, y):
    """Return the measure by ordinary least squares, term after term."""
    design = np.column_stack([np.ones(len(x)), x])
    axis = np.linalg.lstsq(design, y, rcond=None)[0][1:]
    centred = x - x.mean(axis=0)
    p = centred @ axis / np.linalg.norm(axis)
    q2 = (centred**2).sum(axis=1) - p**2
    without, with_q2 = np.column_stack([design, p**2]), np.column_stack([design, p**2, q2])
    fitted = [d @ np.linalg.lstsq(d, y, rcond=None)[0] for d in (without, with_q2)]
    sign = np.sign(np.linalg.lstsq(with_q2, y, rcond=None)[0][-1])
    return sign * np.std(fitted[1] - fitted[0]) / np.std(x @ axis)


def test_the_measure_is_that_of_least_squares_term_after_term():
    y = responses()
    found, _ = orthogonal_tuning(X, y, WHO, ONE, n_bootstrap=0)
    np.testing.assert_allclose(found, [one_unit(X, one) for one in y.T], rtol=1e-9)
    assert found[1] < -0.2 < 0.2 < found[2]
    exact, _ = orthogonal_tuning(X, responses(0.0), WHO, ONE, n_bootstrap=0)
    assert abs(exact[0]) < 1e-12


@pytest.mark.parametrize("kept", [1.0, 0.9])
def test_intervals_are_those_of_a_loop_over_resampled_identities(kept):
    """Also where identities were not shown everything."""
    shown = np.random.default_rng(1).uniform(size=len(X)) < kept
    x, y, who = X[shown], responses()[shown], WHO[shown]
    _, ends = orthogonal_tuning(x, y, who, ONE[shown], n_bootstrap=20, seed=3)
    again = []
    for drawn in resample(np.zeros(6), 20, 3):
        rows = np.concatenate([np.flatnonzero(who == one) for one in drawn])
        again.append([one_unit(x[rows], one) for one in y[rows].T])
    tail = expanded_tail(np.zeros(6))
    np.testing.assert_allclose(ends, np.quantile(again, [tail, 1 - tail], axis=0), rtol=1e-8)
    assert ends[1, 1] < 0 < ends[0, 2]


def test_what_has_no_distance_from_an_axis_is_not_measured():
    y = responses()
    y[0, 0], y[:, 1] = np.inf, 4.0
    found, ends = orthogonal_tuning(X, y, WHO, ONE, n_bootstrap=5)
    assert np.isnan(found).tolist() == [True, True, False]
    assert np.isnan(ends[:, :2]).all()
    assert np.isnan(orthogonal_tuning(X[:, :1], responses(), WHO, ONE, n_bootstrap=5)[0]).all()
    # Three expressions at full strength, and the neutral: four places on which any plane lies.
    corners = np.tile(np.concatenate([np.zeros((1, 3)), np.eye(3)]), (6, 1))
    found, _ = orthogonal_tuning(corners, y[:24], WHO[:24], ONE[:24], n_bootstrap=0)
    assert np.isnan(found).all()
