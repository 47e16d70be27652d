"""Ridge in its dual form, against scikit-learn's at every penalty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifier

from neurofer.analyses.decoding.ridge import (
    PENALTIES,
    RidgePath,
    span_coordinates,
)
from neurofer.analyses.gram import gram_matrix
from neurofer.errors import NeuroferError


def population(units, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(60) % 4
    activity = rng.normal(size=(4, units))[labels] + 2 * rng.normal(size=(60, units))
    return activity * rng.gamma(1.0, size=units) + 3, labels, np.arange(40), np.arange(40, 60)


@pytest.mark.parametrize("units", [6, 300])
def test_scores_and_answers_are_those_of_scikit_learn_at_each_penalty(units):
    activity, labels, training, tested = population(units)
    targets = np.eye(4)[labels]
    path = RidgePath(gram_matrix(activity), training, tested)
    found = path.scores(targets[training], PENALTIES)
    spread = ((activity[training] - activity[training].mean(axis=0)) ** 2).sum()
    for scores, penalty in zip(found, PENALTIES, strict=True):
        model = Ridge(alpha=penalty * spread).fit(activity[training], targets[training])
        np.testing.assert_allclose(scores, model.predict(activity[tested]), rtol=0, atol=1e-8)
        classifier = RidgeClassifier(alpha=penalty * spread).fit(
            activity[training], labels[training]
        )
        np.testing.assert_array_equal(scores.argmax(axis=1), classifier.predict(activity[tested]))


def test_one_penalty_is_solved_as_all_are():
    activity, labels, training, tested = population(50)
    gram, targets = gram_matrix(activity), np.eye(4)[labels][training]
    together = RidgePath(gram, training, tested).scores(targets, PENALTIES)
    for k, penalty in enumerate(PENALTIES):
        alone = RidgePath(gram, training, tested).scores(targets, np.array([penalty]))
        np.testing.assert_allclose(alone[0], together[k], rtol=0, atol=1e-9)


def test_inner_products_are_made_in_blocks_and_constant_units_are_nothing(monkeypatch):
    activity = population(50)[0].astype(np.float32)
    whole = gram_matrix(activity)
    monkeypatch.setattr("neurofer.analyses.gram.BLOCK", 7)
    np.testing.assert_allclose(gram_matrix(activity), whole, atol=1e-9)
    large = np.full((60, 9), 1e7, np.float32)  # its mean is rounded
    np.testing.assert_allclose(gram_matrix(np.hstack([activity, large])), whole, atol=1e-9)


@pytest.mark.parametrize("units", [6, 300])
def test_coordinates_keep_all_inner_products_with_the_training_part(units):
    activity, _, training, tested = population(units)
    train, test = span_coordinates(gram_matrix(activity), training, tested)
    centred = activity - activity[training].mean(axis=0)
    scale = (centred[training] ** 2).sum() / len(training)
    np.testing.assert_allclose(
        train @ train.T, centred[training] @ centred[training].T / scale, atol=1e-8
    )
    np.testing.assert_allclose(
        test @ train.T, centred[tested] @ centred[training].T / scale, atol=1e-8
    )
    assert (train**2).sum() / len(training) == pytest.approx(1)


def test_units_that_do_not_vary_in_training_are_refused():
    activity = np.zeros((6, 3))
    activity[5] = 1
    with pytest.raises(NeuroferError, match="no unit varies over a training part of 4"):
        RidgePath(gram_matrix(activity), np.arange(4), np.arange(4, 6))
