"""RDMs as matrices and as vectors of their pairs, and those of simple models."""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError


def model_dissimilarities(values: np.ndarray) -> np.ndarray:
    """Return (n, n): 0 for equal strings and 1 for others, or absolute differences of numbers.

    >>> model_dissimilarities(np.array(["sad", "sad", "fear"]))[0].tolist()
    [0.0, 0.0, 1.0]
    """
    values = np.asarray(values)
    if values.dtype.kind in "iuf":
        return np.abs(values[:, None] - values[None, :]).astype(np.float64)
    return (values[:, None] != values[None, :]).astype(np.float64)


def upper(rdm: np.ndarray) -> np.ndarray:
    """Return the (n (n - 1) / 2,) dissimilarities above the diagonal, row by row."""
    return rdm[np.triu_indices(len(rdm), 1)]


def square(vector: np.ndarray) -> np.ndarray:
    """Return the (n, n) matrix of (n (n - 1) / 2,) dissimilarities, zero on its diagonal.

    >>> square(np.array([1.0, 2.0, 3.0])).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
    """
    n = n_conditions(len(vector))
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n, 1)] = vector
    return matrix + matrix.T


def n_conditions(pairs: int) -> int:
    """Return the number of conditions that make so many pairs.

    >>> n_conditions(6)
    4
    """
    n = round((1 + np.sqrt(1 + 8 * pairs)) / 2)
    if n * (n - 1) // 2 != pairs or pairs == 0:
        raise NeuroferError(
            f"{pairs} dissimilarities do not make an RDM: n conditions have n (n - 1) / 2"
        )
    return n
