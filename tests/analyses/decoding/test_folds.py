"""The folds of a probe: nothing that is tested is trained or tuned on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses.decoding.folds import check_classes, make_folds
from neurofer.analyses.statistics import deal
from neurofer.errors import NeuroferError

ROWS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 25)), min_size=4, max_size=40
)


def groups_from(rows):
    people, views, pictures = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "identity": np.array([f"p{k}" for k in people]),
        "view": np.array([f"v{k}" for k in views]),
        "image": np.array([f"i{k}" for k in pictures]),
    }


def made_or_refused(groups, by, folds, seed):
    try:
        return make_folds(groups, by, folds=folds, seed=seed, images=groups["image"])
    except NeuroferError as error:
        return str(error)


@given(ROWS, st.sampled_from(["identity", "view", "image"]), st.integers(2, 6), st.integers(0, 9))
@settings(max_examples=80)
def test_no_group_and_no_picture_is_both_tested_and_learned_from(rows, by, folds, seed):
    groups = groups_from(rows)
    made = made_or_refused(groups, by, folds, seed)
    if isinstance(made, str):  # only where there is one group, or every picture is tested as well
        assert len(np.unique(groups[by])) < 2 or "no image that is not tested" in made
        return
    tested = np.concatenate([fold.tested for fold in made])
    assert sorted(tested) == list(range(len(rows)))
    for fold in made:
        assert len(fold.training)
        for name in (by, "image"):
            assert not np.isin(groups[name][fold.tested], groups[name][fold.training]).any()
        # Within the training part, no group is in two parts of the tuning.
        keeps = groups[fold.tuned_by][fold.training]
        assert len(fold.parts) == len(fold.training)
        assert all(len(np.unique(fold.parts[keeps == one])) == 1 for one in np.unique(keeps))
        assert fold.parts.max() < 3
        # ... and no picture, as trials of one stimulus in two sessions would be.
        pictures = groups["image"][fold.training]
        assert all(len(np.unique(fold.parts[pictures == one])) == 1 for one in np.unique(pictures))
        several = len(np.unique(groups[by][fold.training])) > 1
        alone = all(len(np.unique(groups[by][fold.training][pictures == p])) == 1 for p in pictures)
        if several and alone:
            assert fold.tuned_by == by


def test_people_are_dealt_and_other_columns_left_out_value_by_value():
    groups = groups_from([(k % 7, k % 4, k) for k in range(28)])
    by_person = make_folds(groups, "identity", folds=3)
    assert [fold.name for fold in by_person] == ["1", "2", "3"]
    by_view = make_folds(groups, "view", folds=3)
    assert [fold.name for fold in by_view] == ["v0", "v1", "v2", "v3"]
    for fold in by_view:
        assert set(groups["view"][fold.tested]) == {fold.name}


def test_tuning_falls_back_on_people_and_then_on_images():
    two_views = groups_from([(k % 7, k % 2, k) for k in range(28)])
    assert {fold.tuned_by for fold in make_folds(two_views, "view")} == {"identity"}
    one_person = groups_from([(0, k % 2, k) for k in range(28)])
    assert {fold.tuned_by for fold in make_folds(one_person, "view")} == {"image"}


@given(st.lists(st.integers(0, 9), min_size=3, max_size=40), st.integers(2, 6), st.integers(0, 50))
@settings(max_examples=50)
def test_nobody_is_in_two_folds_and_folds_are_even(numbers, folds, seed):
    people = np.array([f"p{k}" for k in numbers])
    dealt = deal(people, folds, seed)
    assert all(len(np.unique(dealt[people == name])) == 1 for name in np.unique(people))
    sizes = np.bincount([dealt[people == name][0] for name in np.unique(people)], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_the_seed_decides_who_is_dealt_where():
    """Other seeds deal otherwise, the same seed alike; chance alone decides who shares a fold."""
    people = np.array([f"p{k}" for k in range(10)])
    dealt = np.array([deal(people, 5, seed) for seed in range(400)])
    assert len(np.unique(dealt, axis=0)) > 300
    np.testing.assert_array_equal(dealt[7], deal(people, 5, 7))
    # Two of ten people share one of five folds of two in one of nine deals.
    together = (dealt[:, :1] == dealt[:, 1:]).mean(axis=0)
    assert (np.abs(together - 1 / 9) < 4 * np.sqrt(1 / 9 * 8 / 9 / 400)).all()
    groups = {"identity": people, "image": np.arange(10)}
    folds = [
        [fold.tested.tolist() for fold in make_folds(groups, "identity", seed=s)] for s in (0, 1)
    ]
    assert folds[0] != folds[1]
    assert folds[0] == [f.tested.tolist() for f in make_folds(groups, "identity", seed=0)]
    # The parts of the tuning are dealt anew as well.
    parts = [make_folds(groups, "image", folds=2, seed=s)[0].parts.tolist() for s in range(9)]
    assert len({tuple(one) for one in parts}) > 3


def test_a_class_that_is_tested_and_not_trained_is_named():
    groups = groups_from([(k % 3, k % 2, k) for k in range(12)])
    classes = np.where(groups["view"] == "v0", "sad", "happy")
    with pytest.raises(NeuroferError, match=r"fold 'v0' of by='view' tests expression sad"):
        check_classes(make_folds(groups, "view"), classes, "expression", "view")
    check_classes(make_folds(groups, "identity"), classes, "expression", "identity")


def test_too_few_groups_are_named():
    groups = groups_from([(0, 0, k) for k in range(5)])
    with pytest.raises(NeuroferError, match="1 values of 'identity'"):
        make_folds(groups, "identity")
    same = groups_from([(k, k % 2, 0) for k in range(6)])
    with pytest.raises(NeuroferError, match="no image that is not tested"):
        make_folds(same, "view", images=same["image"])
