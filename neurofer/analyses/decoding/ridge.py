"""Ridge regression of labels in its dual form: presentations by presentations, however many units.

One matrix of inner products serves every fold, and one eigendecomposition of a training part every
penalty and every set of labels. The decoders of scikit-learn see the same inner products as
coordinates, which changes no answer of a decoder that is indifferent to rotations.
"""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError

# Relative to the mean variance that a training presentation contributes; half-decades.
PENALTIES = 10.0 ** np.arange(-5, 1.01, 0.5)


class RidgePath:
    """Ridge regression fitted to one part and asked another, for any labels and penalties.

    With an unpenalised intercept. A penalty is relative: 1 is the training part's summed squared
    distance from its centre, so that units may be on any scale.
    """

    def __init__(self, gram: np.ndarray, training: np.ndarray, tested: np.ndarray) -> None:
        """Take the parts out of (n, n) inner products and centre them on the training part.

        Raises:
            NeuroferError: no unit varies over the training part.
        """
        self._within, self._across = centred_products(gram, training, tested)
        self.scale = float(np.trace(self._within))
        self._values: np.ndarray | None = None

    def scores(self, targets: np.ndarray, penalties: np.ndarray) -> np.ndarray:
        """Return (penalties, tested, columns) predictions of (training, columns) targets."""
        offset = targets.mean(axis=0)
        centred = targets - offset
        if len(penalties) == 1 and self._values is None:
            return self._solved(centred, float(penalties[0]))[None] + offset
        if self._values is None:
            self._values, vectors = np.linalg.eigh(self._within)
            self._values = np.maximum(self._values, 0)
            self._vectors, self._seen = vectors, self._across @ vectors
        rotated = self._vectors.T @ centred
        added = penalties * self.scale
        shrunk = [rotated / (self._values + one)[:, None] for one in added]
        return np.stack([self._seen @ one for one in shrunk]) + offset

    def _solved(self, centred: np.ndarray, penalty: float) -> np.ndarray:
        """Solve for one penalty, at a tenth of the cost of a decomposition."""
        from scipy.linalg import solve

        matrix = self._within + penalty * self.scale * np.eye(len(self._within))
        return np.asarray(self._across @ solve(matrix, centred, assume_a="pos"))


def centred_products(
    gram: np.ndarray, training: np.ndarray, tested: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner products within training and of tested with it, about training's centre.

    Args:
        gram: (n, n) inner products of all presentations.
        training: numbers of the presentations trained with.
        tested: numbers of the presentations tested.

    Raises:
        NeuroferError: no unit varies over the training part.
    """
    within, across = gram[np.ix_(training, training)], gram[np.ix_(tested, training)]
    size = float(np.trace(within))
    mean = within.mean(axis=0)
    across = across - across.mean(axis=1, keepdims=True) - mean + mean.mean()
    within = within - mean - mean[:, None] + mean.mean()
    if np.trace(within) <= 1e-12 * size:
        raise NeuroferError(
            f"no unit varies over a training part of {len(training)} presentations: there is "
            "nothing to decode"
        )
    return within, across


def span_coordinates(
    gram: np.ndarray, training: np.ndarray, tested: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both parts as coordinates in the space that the training part spans.

    Centred on the training part and scaled so that its mean squared distance from there is 1.

    Args:
        gram: (n, n) inner products.
        training: indices of the presentations that are fitted to.
        tested: indices of those that are answered.
    """
    within, across = centred_products(gram, training, tested)
    values, vectors = np.linalg.eigh(within)
    kept = values > 1e-10 * values[-1]
    lengths = np.sqrt(values[kept])
    scale = np.sqrt(np.trace(within) / len(training))
    return vectors[:, kept] * lengths / scale, across @ vectors[:, kept] / lengths / scale
