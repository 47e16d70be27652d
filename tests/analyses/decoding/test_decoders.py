from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from neurofer.analyses.decoding.decoders import (
    DECODERS,
    fit_and_answer,
    largest_unit,
    rotate,
    standardise,
)
from neurofer.errors import NeuroferError

REFERENCES = {
    "ridge": lambda: RidgeClassifier(alpha=2.0),
    "logistic": lambda: LogisticRegression(C=0.5, max_iter=2000),
    "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=2 / 3),
    # The mean variance is that of the 60 dimensions that 60 presentations span, not of 300.
    "lda of 300": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=10 / 11),
    "svm": lambda: SVC(kernel="linear", C=0.5),
    "nearest-mean": NearestCentroid,
}


def _population(n_units, seed=0):
    """Overlapping classes, so that decoders err, with units of very different scales."""
    generator = np.random.default_rng(seed)
    classes = np.array(["sad", "fear", "happy"])[np.arange(90) % 3]
    centres = {name: generator.normal(size=n_units) for name in np.unique(classes)}
    scale = generator.gamma(1.0, size=n_units)
    x = (
        np.stack(
            [2 / np.sqrt(n_units) * centres[c] + generator.normal(size=n_units) for c in classes]
        )
        * scale
    )
    return x[:60], classes[:60], x[60:], classes[60:]


@pytest.mark.parametrize("decoder", list(DECODERS))
@pytest.mark.parametrize("n_units", [5, 40, 300])
def test_decoders_answer_as_scikit_learn_does(decoder, n_units):
    train, classes, test, truth = _population(n_units)
    model = REFERENCES.get(f"{decoder} of {n_units}", REFERENCES[decoder])()
    reference = make_pipeline(StandardScaler(), model).fit(train, classes)
    answers = fit_and_answer(train, classes, test, decoder, penalty=2.0)
    assert (answers == reference.predict(test)).all()
    assert 0.3 < (answers == truth).mean() < 1.0


def test_every_decoder_has_a_reference():
    assert {name.split()[0] for name in REFERENCES} == set(DECODERS)


def test_rotation_keeps_the_inner_products_of_the_training_part():
    generator = np.random.default_rng(2)
    train, test = generator.normal(size=(10, 500)), generator.normal(size=(4, 500))
    small, other = rotate(train, test)
    assert small.shape == (10, 10)
    np.testing.assert_allclose(small @ small.T, train @ train.T, atol=1e-10)
    np.testing.assert_allclose(other @ small.T, test @ train.T, atol=1e-10)


def test_standardisation_is_fitted_to_the_training_part_and_drops_constant_units():
    generator = np.random.default_rng(3)
    train = generator.normal(5, 3, size=(30, 4))
    train[:, 2] = 7.1
    test = generator.normal(size=(10, 4)) * 100
    found, other = standardise(train, test)
    keep = [0, 1, 3]
    scaler = StandardScaler().fit(train[:, keep])
    np.testing.assert_allclose(found, scaler.transform(train[:, keep]), atol=1e-12)
    np.testing.assert_allclose(other, scaler.transform(test[:, keep]), atol=1e-12)


def test_the_largest_unit_answers_and_ties_are_named():
    labels = np.array(["sad", "fear", "sad"])
    activity = np.array(
        [
            [1.0, 2.0, 0.0],
            [3.0, 2.0, 0.0],
            [2.0, 2.0, 0.0],  # sad and fear
            [2.0, 1.0, 2.0],  # both of sad: no tie
            [0.0, 0.0, 0.0],
            [np.nan, 2.0, 0.0],
            [np.nan, np.nan, np.nan],
            [-1.0, -2.0, -3.0],
        ]
    )
    expected = ["fear", "sad", "tie", "sad", "tie", "undefined", "undefined", "sad"]
    assert largest_unit(activity, labels).tolist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": "svn"}, "did you mean 'svm'"),
        ({"classes": np.full(60, "sad")}, "two classes"),
        ({"train": np.ones((60, 5))}, "no unit varies"),
        ({"penalty": 0.0}, "penalty=0.0"),
    ],
)
def test_what_cannot_be_fitted_is_named(change, message):
    train, classes, test, _ = _population(5)
    arguments = {"train": train, "classes": classes, "test": test, "decoder": "ridge"}
    with pytest.raises(NeuroferError, match=message):
        fit_and_answer(**(arguments | change))
