from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses import gram
from neurofer.analyses.patterns import Means, height
from neurofer.analyses.rsa.rdm.distances import OF_PATTERNS, dissimilarities
from neurofer.errors import NeuroferError

ACTIVITY = np.random.default_rng(0).gamma(2.0, size=(9, 40)).astype(np.float32)
GROUPS = [np.array(group) for group in ([4, 0], [1], [2, 3, 8], [7, 6], [5])]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(gram, "BLOCK", 1)


def _means():
    return np.stack([ACTIVITY[group].mean(axis=0, dtype=np.float64) for group in GROUPS])


def test_means_are_those_of_the_groups():
    means = Means.of(ACTIVITY, GROUPS)
    assert (means.shape, len(means), height(means)) == ((5, 40), 5, 9)
    np.testing.assert_allclose(means[:, 3:7], _means()[:, 3:7], atol=1e-14)
    alone = Means.of(ACTIVITY, [np.array([k]) for k in (3, 1)])
    np.testing.assert_array_equal(alone[:, :], ACTIVITY[[3, 1]])
    with pytest.raises(IndexError, match="only units can be chosen"):
        means[1:, :]


@pytest.mark.parametrize("distance", OF_PATTERNS)
def test_their_dissimilarities_are_those_of_the_array(distance):
    found = dissimilarities(Means.of(ACTIVITY, GROUPS), distance)
    np.testing.assert_allclose(found, dissimilarities(_means(), distance), atol=1e-12)


@pytest.mark.parametrize(
    ("value", "rows", "distance", "message"),
    [
        (np.nan, [2], "euclidean", r"1 patterns hold .* in 1 units \(c\)"),
        (-9.0, [1], "poisson", r"1 patterns hold negative ones \(b\)"),
    ],
)
def test_bad_means_are_named(value, rows, distance, message):
    activity = ACTIVITY.copy()
    activity[rows, 3] = value
    with pytest.raises(NeuroferError, match=message):
        dissimilarities(Means.of(activity, GROUPS), distance, "abcde")


def test_constant_means_are_named():
    activity = ACTIVITY.copy()
    activity[1] = 7.0
    with pytest.raises(NeuroferError, match=r"1 of 5 patterns are constant .*\(b\)"):
        dissimilarities(Means.of(activity, GROUPS), names="abcde")
