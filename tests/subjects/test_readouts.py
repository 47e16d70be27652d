from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from neurofer.errors import NeuroferError
from neurofer.subjects.readouts import (
    DenseNre,
    distances,
    fit_linear,
    fit_nearest_mean,
    fit_svm,
)

CLASSES = ("neutral", "happy", "sad", "angry")  # not in alphabetical order
LABELS = ["neutral", "happy", "neutral", "angry", "sad", "neutral"]
HEADS = ["human", "human", "monkey", "human", "human", "cartoon"]
IDENTITIES = ["h1", "h1", "m1", "h1", "h1", "c1"]


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(2, 3, (6, 20))


@pytest.fixture
def shown() -> np.ndarray:
    random = np.random.default_rng(1)
    near = np.repeat(np.random.default_rng(0).normal(2, 3, (6, 20)), 3, 0)
    return np.concatenate([near + random.normal(0, 1, near.shape), random.normal(2, 3, (22, 20))])


def answers(evidence: np.ndarray) -> list[str]:
    return [CLASSES[i] for i in evidence.argmax(1)]


def test_logistic_is_the_minimum_of_its_loss(features, shown):
    # The closed form of the gradient vanishes at the fit: for each class, w_c = C * sum over the
    # images of (1[label = c] - p_c) z, with the mean loss of scikit-learn written as a sum.
    read = fit_linear(features, LABELS, CLASSES)
    mean, deviation = features.mean(0), features.std(0)
    z = (shown - mean) / deviation
    evidence = read(shown)
    design = np.column_stack([z, np.ones(len(z))])
    weights, *_ = np.linalg.lstsq(design, evidence, rcond=None)
    np.testing.assert_allclose(design @ weights, evidence, atol=1e-8)  # linear in z
    z_train = (features - mean) / deviation
    logits = np.column_stack([z_train, np.ones(6)]) @ weights
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    target = np.array([[label == name for name in CLASSES] for label in LABELS], float)
    np.testing.assert_allclose(weights[:-1], z_train.T @ (target - p), atol=2e-3)


@pytest.mark.parametrize(
    ("read", "model", "scaled"),
    [
        (lambda x: fit_linear(x, LABELS, CLASSES), LogisticRegression(max_iter=1000), True),
        (lambda x: fit_linear(x, LABELS, CLASSES, "ridge"), RidgeClassifier(), True),
        (lambda x: fit_svm(x, LABELS, CLASSES), SVC(kernel="linear", break_ties=True), True),
        (lambda x: fit_svm(x, LABELS, CLASSES, "rbf"), SVC(kernel="rbf", break_ties=True), True),
        (
            lambda x: fit_svm(x, LABELS, CLASSES, "rbf", False),
            SVC(kernel="rbf", break_ties=True),
            False,
        ),
        (lambda x: fit_nearest_mean(x, LABELS, CLASSES), NearestCentroid(), False),
    ],
    ids=["logistic", "ridge", "svm", "svm-rbf", "svm-rbf-raw", "nearest-mean"],
)
def test_the_largest_unit_is_what_scikit_learn_answers(features, shown, read, model, scaled):
    scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(features)
    expected = model.fit(scaler.transform(features), LABELS).predict(scaler.transform(shown))
    assert answers(read(features)(shown)) == list(expected)
    assert len(set(expected)) > 1


def test_ridge_is_its_closed_form(features, shown):
    mean, deviation = features.mean(0), features.std(0)
    z, z_shown = (features - mean) / deviation, (shown - mean) / deviation
    target = np.array([[1.0 if label == c else -1.0 for c in CLASSES] for label in LABELS])
    centred = target - target.mean(0)
    weights = np.linalg.solve(z.T @ z + np.eye(20), z.T @ centred)
    found = fit_linear(features, LABELS, CLASSES, "ridge")(shown)
    np.testing.assert_allclose(found, z_shown @ weights + target.mean(0), atol=1e-8)


def test_nearest_mean_by_hand():
    features = np.array([[0.0], [2.0], [10.0]])
    read = fit_nearest_mean(features, ["neutral", "neutral", "happy"], ("neutral", "happy"))
    np.testing.assert_allclose(read(np.array([[4.0], [9.0]])), [[-3, -6], [-8, -1]])


@pytest.mark.parametrize("fit", [fit_linear, fit_svm])
def test_unknown_kind_names_the_choices(features, fit):
    with pytest.raises(NeuroferError, match=r"is unknown; choose from (logistic|linear)"):
        fit(features, LABELS, CLASSES, "cubic")


def loop_nre(features, shown, reference_of):
    """Eq. 3 with whole feature vectors, one image and one unit at a time."""
    rows = []
    for number, x in enumerate(shown):
        values = []
        for name in CLASSES[1:]:
            own = LABELS.index(name)
            t = features[own] - features[0]
            n = t / np.sqrt((t**2).sum())
            values.append(max(0.0, float(((x - reference_of(number)) * n).sum())))
        rows.append(values)
    return np.array(rows)


def test_dense_nre_with_recognised_heads_is_the_plain_loop(features, shown):
    nre = DenseNre.fit(features, LABELS, CLASSES[1:], HEADS, IDENTITIES)
    chosen = nre.choose_references(shown, [""] * 40, [""] * 40)
    neutral = [0, 2, 5]

    def nearest(number):
        gap = [((features[i] - shown[number]) ** 2).sum() for i in neutral]
        return features[neutral[int(np.argmin(gap))]]

    np.testing.assert_allclose(nre.activity(shown, chosen), loop_nre(features, shown, nearest))
    assert len(set(chosen)) > 1


def test_dense_nre_with_an_oracle_is_the_plain_loop(features, shown):
    heads = [HEADS[i % 6] for i in range(40)]
    nre = DenseNre.fit(features, LABELS, CLASSES[1:], HEADS, IDENTITIES)
    chosen = nre.choose_references(shown, heads, [""] * 40, head="oracle")
    place = {"human": 0, "monkey": 2, "cartoon": 5}
    expected = loop_nre(features, shown, lambda number: features[place[heads[number]]])
    np.testing.assert_allclose(nre.activity(shown, chosen), expected)


def test_dense_nre_answers_its_training_images(features):
    nre = DenseNre.fit(features, LABELS, CLASSES[1:], HEADS, IDENTITIES)
    chosen = nre.choose_references(features, HEADS, IDENTITIES, head="oracle")
    evidence = nre.decide(nre.activity(features, chosen), 0.1)
    assert answers(evidence) == LABELS
    np.testing.assert_array_equal(evidence[:, 0], [1, 0, 1, 0, 0, 1])


def test_reference_by_identity_takes_the_neutral_image_of_the_same_one():
    features = np.array([[0.0, 0.0], [5.0, 1.0], [0.0, 9.0]])
    nre = DenseNre.fit(
        features,
        ["neutral", "neutral", "happy"],
        ["happy"],
        ["human", "human", "human"],
        ["h1", "h2", "h1"],
    )
    shown = np.array([[5.0, 3.0]])
    assert nre.choose_references(shown, ["human"], ["h1"]).tolist() == [0]
    assert nre.choose_references(shown, ["human"], ["h1"], "identity").tolist() == [1]
    assert nre.choose_references(shown, ["human"], ["h1"], "identity", "oracle").tolist() == [0]
    # An identity without a neutral image falls back on the head's first.
    assert nre.choose_references(shown, ["human"], ["h7"], "identity", "oracle").tolist() == [0]


@pytest.mark.parametrize(("threshold", "answer"), [(0.1, [0, 1]), (0.5, [1, 0])])
def test_neutral_where_no_unit_is_over_its_threshold(threshold, answer):
    features = np.array([[0.0, 0.0], [10.0, 0.0]])
    nre = DenseNre.fit(features, ["neutral", "happy"], ["happy"], ["human"] * 2, ["h1"] * 2)
    evidence = nre.decide(nre.activity(np.array([[3.0, 8.0]]), np.array([0])), threshold)
    assert (evidence[0] > 0).astype(int).tolist() == answer


def test_dense_nre_refuses_what_it_cannot_reference(features):
    with pytest.raises(NeuroferError, match="no neutral image of head 'robot'"):
        DenseNre.fit(features, LABELS, CLASSES[1:], [*HEADS[:4], "robot", "cartoon"], IDENTITIES)
    nre = DenseNre.fit(features, LABELS, CLASSES[1:], HEADS, IDENTITIES)
    with pytest.raises(NeuroferError, match="head='cat' is not in the neutral images; it has"):
        nre.choose_references(features[:1], ["cat"], [""], head="oracle")


def test_distances_by_hand():
    assert distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])).tolist() == [
        [5.0, 1.0]
    ]
