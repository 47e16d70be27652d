"""Dissimilarities of models, bootstrap over clusters of stimuli, and pictures; on plain arrays."""

from __future__ import annotations

import numpy as np

from neurofer.analyses.rdm_compare import PLAIN, TAUS, compare_present, n_conditions, tied
from neurofer.analyses.statistics import resample
from neurofer.errors import unknown_choice


def model_dissimilarities(values: np.ndarray) -> np.ndarray:
    """Return (n, n): 0 for equal strings and 1 for others, or absolute differences of numbers.

    >>> model_dissimilarities(np.array(["sad", "sad", "fear"]))[0].tolist()
    [0.0, 0.0, 1.0]
    """
    values = np.asarray(values)
    if values.dtype.kind in "iuf":
        return np.abs(values[:, None] - values[None, :]).astype(np.float64)
    return (values[:, None] != values[None, :]).astype(np.float64)


def bootstrap_similarities(
    rdm: np.ndarray,
    models: np.ndarray,
    clusters: np.ndarray,
    strata: np.ndarray,
    comparison: str,
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Return (valid resamples, models) similarities over resampled clusters of stimuli.

    A cluster that is drawn twice is not compared with its copy: within and between clusters would
    be mixed, and a model of the clusters would seem better or worse than it is. A resample in
    which the RDM or a model is constant is left out.

    Args:
        rdm: (n, n).
        models: (models, n, n).
        clusters: (n,) what is drawn with replacement.
        strata: (n,) within which it is drawn.
        comparison: one of `COMPARISONS`.
        n_bootstrap: number of resamples.
        seed: of the resampling.
    """
    names, first, inverse = np.unique(clusters, return_index=True, return_inverse=True)
    row, column = np.triu_indices(len(rdm), 1)
    row_cluster, column_cluster = inverse.ravel()[row], inverse.ravel()[column]
    weighted = WeightedSimilarity(upper(rdm), models[:, row, column], comparison)
    found = []
    for draw in resample(np.asarray(strata)[first], n_bootstrap, seed):
        times = np.bincount(draw, minlength=len(names))
        # How often a pair occurs: with each copy of its cluster, or of both its clusters.
        between = times[row_cluster] * times[column_cluster]
        similarity = weighted(np.where(row_cluster == column_cluster, times[row_cluster], between))
        if similarity is not None:
            found.append(similarity)
    return np.array(found).reshape(len(found), len(models))


class WeightedSimilarity:
    """Similarities of dissimilarities of which each counts a whole number of times.

    Equal to `similarities` of vectors in which every pair is repeated that often. All but tau are
    computed from sums over equal values, which are sorted once for all weights.
    """

    def __init__(self, vector: np.ndarray, models: np.ndarray, comparison: str) -> None:
        """Prepare (pairs,) dissimilarities and (models, pairs) for any weights."""
        if comparison not in PLAIN:
            raise unknown_choice("comparison", comparison, PLAIN, "a bootstrap over clusters")
        self.comparison = comparison
        vector, models = tied(vector), tied(models)
        # Neighbours in rank are then neighbours in memory.
        order = np.argsort(vector, kind="stable")
        self.order = order
        self.vectors = [vector[order], *models[:, order]]
        found = [np.unique(one, return_inverse=True) for one in self.vectors]
        self.values = [values for values, _ in found]
        self.places = [place.ravel() for _, place in found]

    def __call__(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (models,) similarities for (pairs,) weights, or None if a vector is constant."""
        counts = weights[self.order]
        weights = counts.astype(np.float64)
        sizes = [
            np.bincount(place, weights, len(values))
            for place, values in zip(self.places, self.values, strict=True)
        ]
        if any(np.count_nonzero(size) < 2 for size in sizes):
            return None
        if self.comparison in TAUS:
            vector, *models = (np.repeat(one, counts) for one in self.vectors)
            return compare_present(vector[None], np.stack(models), self.comparison, None)[0]
        scores = self._scores(sizes)
        weighted = weights * scores[0][self.places[0]]
        products = np.array(
            [
                np.bincount(place, weighted, len(score)) @ score
                for place, score in zip(self.places[1:], scores[1:], strict=True)
            ]
        )
        if self.comparison == "rho-a":
            return 12 * products / (weights.sum() ** 3 - weights.sum())
        squares = [size @ score**2 for size, score in zip(sizes, scores, strict=True)]
        return products / np.sqrt(squares[0] * np.array(squares[1:]))

    def _scores(self, sizes: list[np.ndarray]) -> list[np.ndarray]:
        """Return what stands for every distinct value: itself or its mean rank, centred or not."""
        if self.comparison == "cosine":
            return self.values
        scores = self.values
        if self.comparison != "corr":
            scores = [np.cumsum(size) - (size - 1) / 2 for size in sizes]
        total = sizes[0].sum()
        return [score - size @ score / total for score, size in zip(scores, sizes, strict=True)]


def scaling(rdm: np.ndarray, dimensions: int = 2) -> tuple[np.ndarray, float]:
    """Return (n, dimensions) places whose distances are near the dissimilarities, and the stress.

    Metric scaling by scikit-learn's SMACOF, of the dissimilarities as they are (rsatoolbox's maps
    are of the same), from classical scaling as its start instead of random ones: there is nothing
    random in it. Negative dissimilarities count as 0. The stress is Kruskal's (1964, Psychometrika
    29:1) first formula: 0 is a faithful map, 0.2 a poor one.

    Args:
        rdm: (n, n).
        dimensions: of the map.
    """
    from sklearn.decomposition import KernelPCA
    from sklearn.manifold import smacof

    distance = np.maximum(rdm, 0.0)
    # Principal components of the centred kernel -d^2 / 2 are classical scaling.
    start = KernelPCA(dimensions, kernel="precomputed", eigen_solver="dense")
    first = start.fit_transform(-0.5 * distance**2)
    first = np.pad(first, ((0, 0), (0, dimensions - first.shape[1])))
    places, _ = smacof(
        distance, n_components=dimensions, init=first, n_init=1, eps=1e-6, normalized_stress=False
    )
    row, column = np.triu_indices(len(rdm), 1)
    found = np.sqrt(((places[row] - places[column]) ** 2).sum(axis=1))
    stress = np.sqrt(((found - distance[row, column]) ** 2).sum() / max((found**2).sum(), 1e-300))
    return places - places.mean(axis=0), float(stress)


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
