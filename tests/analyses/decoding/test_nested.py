"""Nested cross-validation, against plain loops of scikit-learn; permutations and their p."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from neurofer.analyses.decoding.folds import make_folds
from neurofer.analyses.decoding.nested import grid, nested_answers, permuted
from neurofer.analyses.gram import gram_matrix
from neurofer.errors import NeuroferError

PEOPLE = np.repeat([f"p{k}" for k in range(9)], 6)
LABELS = np.tile(np.arange(3), 18)


def population(units, strength=1.0, seed=0):
    rng = np.random.default_rng(seed)
    means, own = rng.normal(size=(3, units)), rng.normal(size=(9, units))
    person = np.unique(PEOPLE, return_inverse=True)[1]
    noise = 1.5 * rng.normal(size=(54, units))
    return strength * means[LABELS] / np.sqrt(units / 8) + own[person] + noise


def folds(seed=0):
    groups = {"identity": PEOPLE, "image": np.arange(54)}
    return make_folds(groups, "identity", folds=3, seed=seed)


def scikit_learn(decoder, penalty, spread, n):
    if decoder == "ridge":
        return RidgeClassifier(alpha=penalty * spread)
    if decoder == "logistic":
        return LogisticRegression(C=1 / (penalty * n), max_iter=2000)
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=penalty / (1 + penalty))


def plain_answers(decoder, activity, training, tested, penalty):
    centred = activity - activity[training].mean(axis=0)
    spread = (centred[training] ** 2).sum()
    if decoder != "ridge":
        centred = centred / np.sqrt(spread / len(training))
    model = scikit_learn(decoder, penalty, spread, len(training))
    return model.fit(centred[training], LABELS[training]).predict(centred[tested])


@pytest.mark.parametrize(
    ("decoder", "units"), [("ridge", 8), ("ridge", 100), ("logistic", 8), ("logistic", 100),
                           ("lda", 8)],
)  # fmt: skip
def test_answers_and_chosen_penalties_are_those_of_a_plain_loop(decoder, units):
    activity, made = population(units), folds()
    answers, chosen = nested_answers(gram_matrix(activity), LABELS[None], made, decoder)
    for f, fold in enumerate(made):
        correct = []
        for penalty in grid(decoder):
            right = 0
            for part in np.unique(fold.parts):
                fitted, asked = fold.training[fold.parts != part], fold.training[fold.parts == part]
                given = plain_answers(decoder, activity, fitted, asked, penalty)
                right += (given == LABELS[asked]).sum()
            correct.append(right)
        best = max(k for k, right in enumerate(correct) if right == max(correct))
        assert chosen[0, f] == grid(decoder)[best]
        expected = plain_answers(decoder, activity, fold.training, fold.tested, chosen[0, f])
        np.testing.assert_array_equal(answers[0, fold.tested], expected)
    assert len(np.unique(chosen)) > 1  # the population is such that folds differ


def test_permutations_are_answered_as_if_each_were_alone():
    gram, made = gram_matrix(population(20)), folds()
    labels, _ = permuted(LABELS, PEOPLE, PEOPLE, 400, 0)  # more than are worked on at once
    together, penalties = nested_answers(gram, labels, made)
    for k in (0, 1, 399):
        alone, penalty = nested_answers(gram, labels[[k]], made)
        np.testing.assert_array_equal(alone[0], together[k])
        np.testing.assert_array_equal(penalty[0], penalties[k])


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_permutations_keep_what_is_not_asked(seed):
    together, how = permuted(LABELS, PEOPLE, PEOPLE, 5, seed)
    assert how == "within identities, images of a value together"
    apart, how = permuted(LABELS, PEOPLE, np.arange(54) % 2, 5, seed)
    assert how == "within identities"
    for one in (*together, *apart):
        for person in np.unique(PEOPLE):
            rows = person == PEOPLE
            assert sorted(one[rows]) == sorted(LABELS[rows])
    series = [(person == PEOPLE) & (k == LABELS) for person in np.unique(PEOPLE) for k in range(3)]
    assert all(len(np.unique(one[rows])) == 1 for one in together for rows in series)
    assert any(len(np.unique(one[rows])) > 1 for one in apart for rows in series)
    person = np.unique(PEOPLE, return_inverse=True)[1]
    view = np.arange(54) % 2
    identity, how = permuted(person, PEOPLE, view, 5, seed)
    assert how == "within the values of the split"
    assert all(sorted(one[view == 1]) == sorted(person[view == 1]) for one in identity)
    head = person // 3
    between, how = permuted(head, PEOPLE, PEOPLE, 5, seed)
    assert how == "between identities"
    for one in between:
        assert len(np.unique(np.stack([person, one]), axis=1).T) == 9
        np.testing.assert_array_equal(np.bincount(one), np.bincount(head))


def test_values_change_places_with_those_of_as_many_images():
    """One neutral image per person and three of each of two expressions: neutral stays neutral."""
    people = np.repeat(["a", "b", "c"], 7)
    labels = np.tile([0, 1, 1, 1, 2, 2, 2], 3)
    found, how = permuted(labels, people, people, 50, 0)
    assert "together" in how
    np.testing.assert_array_equal(found[:, labels == 0], 0)
    assert set(found[:, 1]) == {1, 2}
    # Where no two values have as many images, single images change places.
    odd = np.tile([0, 1, 1, 2, 2, 2, 2], 3)
    found, how = permuted(odd, people, people, 50, 0)
    assert how == "within identities"
    assert set(found[:, 0]) == {0, 1, 2}


def test_errors_in_series_are_permuted_in_series():
    """People with patterns of their own, six images each: by single images chance looks narrow."""
    rng = np.random.default_rng(4)
    person, label, _ = np.indices((9, 3, 6)).reshape(3, -1)
    activity = 2 * rng.normal(size=(9, 3, 20))[person, label] + rng.normal(size=(162, 20))
    names, gram = person.astype(str), gram_matrix(activity)
    made = make_folds({"identity": names, "image": np.arange(162)}, "identity", folds=3)
    spread = []
    for domain in (names, np.arange(162)):
        labels, _ = permuted(label, names, domain, 80, 0)
        spread.append((nested_answers(gram, labels, made)[0] == labels).mean(axis=1).std())
    assert spread[0] > 1.5 * spread[1]


def test_p_is_uniform_where_there_is_nothing_to_read():
    """Rank of the observed accuracy among 19 permutations, ties broken by chance."""
    rng, made, ranks = np.random.default_rng(5), folds(), []
    for k in range(60):
        gram = gram_matrix(population(12, strength=0.0, seed=100 + k))
        shuffled, _ = permuted(LABELS, PEOPLE, PEOPLE, 19, k)
        labels = np.vstack([LABELS[None], shuffled])
        accuracy = (nested_answers(gram, labels, made)[0] == labels).mean(axis=1)
        above, same = accuracy[1:] > accuracy[0] + 1e-12, np.isclose(accuracy[1:], accuracy[0])
        ranks.append((above.sum() + rng.integers(0, same.sum() + 1)) / 20 + rng.uniform(0, 0.05))
    from scipy.stats import kstest

    assert kstest(ranks, "uniform").pvalue > 0.01


def test_what_is_always_one_class_in_training_is_that_class():
    made = folds()
    labels = np.zeros(54, dtype=int)
    labels[made[0].tested[0]] = 1  # shown in the tested part of one fold only
    for decoder in ("ridge", "logistic", "lda"):
        answers, _ = nested_answers(gram_matrix(population(8)), labels[None], made[:1], decoder)
        assert (answers[0, made[0].tested] == 0).all()
        assert (answers[0, made[0].training] == -1).all()


def test_unknown_decoders_are_named():
    with pytest.raises(NeuroferError, match=r"decoder='svm' is unknown.*lda"):
        nested_answers(np.eye(54), LABELS[None], folds(), "svm")
