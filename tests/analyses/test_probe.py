"""The probe: its ridge against the primal form and scikit-learn, its splits, its claims."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses import analyse, probe
from neurofer.analyses.decoders import ridge_scores
from neurofer.analyses.folds import deal
from neurofer.analyses.ridge import gram_matrix, kernel_ridge_scores
from neurofer.errors import NeuroferError


@pytest.fixture(scope="module")
def problem():
    """Twelve people, three classes in four images each, 40 units that carry class and person."""
    rng = np.random.default_rng(0)
    people = np.repeat([f"p{k}" for k in range(12)], 12)
    classes = np.tile(np.repeat(["a", "b", "c"], 4), 12)
    means = {name: rng.normal(size=40) for name in "abc"}
    own = {name: rng.normal(size=40) for name in np.unique(people)}
    activity = np.stack(
        [
            means[c] + 2 * own[p] + 1.5 * rng.normal(size=40)
            for c, p in zip(classes, people, strict=True)
        ]
    )
    return activity, classes, people


@pytest.mark.parametrize("units", [5, 40])
def test_the_dual_form_is_ridge_regression(problem, units):
    activity, classes, _ = problem
    activity = activity[:, :units]
    targets = np.eye(3)[np.unique(classes, return_inverse=True)[1]]
    training, tested = np.arange(0, 100), np.arange(100, 144)
    gram = gram_matrix(activity)
    penalties = np.array([1e-3, 0.1, 10])
    found = kernel_ridge_scores(gram, targets, training, tested, penalties)
    centred = activity[training] - activity[training].mean(axis=0)
    for scores, penalty in zip(found, penalties, strict=True):
        absolute = penalty * (centred**2).sum()
        expected = ridge_scores(activity[training], targets[training], activity[tested], absolute)
        np.testing.assert_allclose(scores, expected, atol=1e-9)
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=absolute).fit(activity[training], targets[training])
        np.testing.assert_allclose(scores, model.predict(activity[tested]), atol=1e-8)


@given(st.lists(st.integers(0, 9), min_size=3, max_size=40), st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_nobody_is_in_two_folds_and_folds_are_even(numbers, folds, seed):
    people = np.array([f"p{k}" for k in numbers])
    dealt = deal(people, folds, seed)
    assert all(len(np.unique(dealt[people == name])) == 1 for name in np.unique(people))
    sizes = np.bincount([dealt[people == name][0] for name in np.unique(people)], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_who_is_tested_changes_no_answer_by_their_labels(problem):
    """Labels of one person are shuffled: answers to that person stay, so none were trained on."""
    activity, classes, people = problem
    answers, _ = probe.held_out_answers(activity, classes, people)
    dealt = deal(people, 5, 0)
    tested = dealt == dealt[0]
    other = classes.copy()
    other[tested] = np.random.default_rng(1).permutation(classes[tested])
    again, _ = probe.held_out_answers(activity, other, people)
    np.testing.assert_array_equal(again[tested], answers[tested])
    assert (again[~tested] != answers[~tested]).any()


def test_what_the_units_carry_is_read_and_what_they_do_not_is_not(problem):
    activity, classes, people = problem
    rng = np.random.default_rng(2)
    answers, penalties = probe.held_out_answers(activity, classes, people)
    assert (answers == classes).mean() > 0.8
    assert penalties.shape == (5,)
    identity_only = np.stack([activity[people == p].mean(axis=0) for p in people])
    identity_only += 0.1 * rng.normal(size=activity.shape)
    answers, _ = probe.held_out_answers(identity_only, classes, people)
    assert (answers == classes).mean() < 0.5


def test_scale_of_the_units_does_not_matter(problem):
    activity, classes, people = problem
    one, _ = probe.held_out_answers(activity, classes, people)
    two, _ = probe.held_out_answers(1e4 * activity + 7, classes, people)
    np.testing.assert_array_equal(one, two)


def test_results_count_what_was_answered(recording):
    result = analyse("probe", recording, site="coding", n_bootstrap=30)
    correct = result["answered"].values[0] == result["shown"].values
    assert float(result["accuracy"].sel(view="all")) == pytest.approx(100 * correct.mean())
    assert float(result["accuracy_by_category"].sel(category="all")) == pytest.approx(
        100 * correct.mean()
    )
    assert int(result["confusion"].sum()) == len(correct) == int(result["n"].sel(view="all"))
    assert result.attrs["chance"] == pytest.approx(100 / 7)
    views = np.where(np.arange(recording.sizes["presentation"]) % 2, "frontal", "half-left")
    result = analyse(
        "probe",
        recording.assign_coords(view=("presentation", views)),
        site="coding",
        n_bootstrap=30,
    )
    assert result["view"].values.tolist() == ["half-left", "frontal", "all"]
    assert int(result["n"].sel(view="frontal")) == recording.sizes["presentation"] // 2


def test_labelled_units_answer_without_being_fitted(recording):
    result = analyse("probe", recording, site="decision", decoder="argmax", n_bootstrap=30)
    rows = recording["site"].values == "decision"
    largest = recording["unit"].values[rows][recording.values[:, rows].argmax(axis=1)]
    expected = (largest == recording["expression"].values).mean()
    assert float(result["accuracy"].sel(view="all")) == pytest.approx(100 * expected)
    assert np.isnan(result["penalty"]).all()


def test_mistakes_are_named(recording):
    with pytest.raises(NeuroferError, match="decoder='svm'"):
        analyse("probe", recording, site="coding", decoder="svm")
    with pytest.raises(NeuroferError, match="no labels"):
        analyse("probe", recording, site="noise", decoder="argmax")
    few = recording.isel(presentation=recording["identity"].values == "human-1")
    few = few if few.sizes["presentation"] else recording.isel(presentation=slice(0, 7))
    with pytest.raises(NeuroferError, match="too few"):
        analyse("probe", few, site="coding")
    with pytest.raises(NeuroferError, match="folds=1 are too few"):
        analyse("probe", recording, site="coding", folds=1)
