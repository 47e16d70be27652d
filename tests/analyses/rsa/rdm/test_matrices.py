from __future__ import annotations

import numpy as np
from rsatoolbox.rdm.rdms import get_categorical_rdm

from neurofer.analyses.rsa.rdm.matrices import model_dissimilarities


def test_categorical_models_are_those_of_rsatoolbox():
    labels = np.array(["a", "b", "a", "c", "b"])
    expected = get_categorical_rdm(labels).get_matrices()[0]
    assert (model_dissimilarities(labels) == expected).all()
    numbers = model_dissimilarities(np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(numbers, [[0, 0.25, 1], [0.25, 0, 0.75], [1, 0.75, 0]])
