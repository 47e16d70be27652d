from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neurofer.errors import NeuroferError
from neurofer.training.tasks.verification import verification_auc


def test_it_is_the_area_under_the_curve_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    people = np.repeat(["a", "b", "c", "d"], 6)
    features = random.normal(size=(4, 10)).repeat(6, axis=0) + random.normal(size=(24, 10))
    centred = features - features.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    first, second = np.triu_indices(24, 1)
    expected = roc_auc_score(people[first] == people[second], (centred @ centred.T)[first, second])
    assert verification_auc(features, people) == pytest.approx(expected, abs=1e-12)
    assert 0.6 < expected < 1


def test_features_that_know_nothing_are_at_chance() -> None:
    random = np.random.default_rng(4)
    found = [
        verification_auc(random.normal(size=(30, 5)), np.repeat(np.arange(10), 3))
        for _ in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("people", [["a", "b", "c"], ["a", "a", "a"]])
def test_pairs_of_both_kinds_are_needed(people: list[str]) -> None:
    with pytest.raises(NeuroferError, match="pairs of one person and pairs of two"):
        verification_auc(np.eye(3), np.array(people))
