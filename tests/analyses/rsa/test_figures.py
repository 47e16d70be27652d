from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses.rsa.figures import scaling
from neurofer.analyses.rsa.rdm.distances import dissimilarities


def test_scaling_recovers_a_plane():
    points = np.random.default_rng(6).normal(size=(15, 2)) * [3, 1]
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    places, stress = scaling(distance)
    again = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(again, distance, atol=1e-6)
    assert stress == pytest.approx(0, abs=1e-6)


def test_scaling_is_no_worse_than_random_starts_and_always_the_same():
    from sklearn.manifold import smacof

    rdm = dissimilarities(np.random.default_rng(7).normal(size=(20, 6)), "euclidean")
    places, stress = scaling(rdm)
    np.testing.assert_array_equal(scaling(rdm)[0], places)
    other, _ = smacof(rdm, n_components=2, n_init=4, random_state=0, normalized_stress=False)
    found = np.sqrt(((other[:, None] - other[None]) ** 2).sum(axis=2))
    assert stress < 1.1 * np.sqrt(((found - rdm) ** 2).sum() / (found**2).sum())


def test_a_line_has_a_map_of_two_dimensions():
    line = np.arange(5.0)
    places, _ = scaling(np.abs(line[:, None] - line))
    assert places.shape == (5, 2)
    np.testing.assert_allclose(np.ptp(places, axis=0), [4, 0], atol=1e-6)
