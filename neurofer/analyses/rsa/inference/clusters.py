"""Intervals of the similarity of one RDM with models, by bootstrap over clusters of stimuli."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from neurofer.analyses.rsa.rdm.compare import PLAIN, TAUS, compare_present, tied
from neurofer.analyses.rsa.rdm.conditions import column_values
from neurofer.analyses.statistics import (
    NO_INTERVAL,
    can_resample,
    resample,
    standard_error_interval,
)
from neurofer.errors import unknown_choice


def similarity_intervals(
    found: np.ndarray,
    vector: np.ndarray,
    models: np.ndarray,
    conditions: pd.DataFrame,
    comparison: str,
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, str]:
    """Return (models, 2) intervals of similarities, and in words over what they are.

    Over identities or, where these are too few, over expressions; NaN where neither can be drawn.

    Args:
        found: (models,) similarities.
        vector: (pairs of n conditions,) dissimilarities.
        models: (models, pairs).
        conditions: n rows.
        comparison: one of `COMPARISONS`.
        n_bootstrap: number of resamples.
        seed: of the resampling.
    """
    clusters, strata, unit = _resampled(conditions)
    nothing = np.full((len(models), 2), np.nan)
    if clusters is None:
        return nothing, NO_INTERVAL
    replicates = bootstrap_similarities(
        vector, models, clusters, strata, comparison, n_bootstrap=n_bootstrap, seed=seed
    )
    if len(replicates) < n_bootstrap / 2:
        return nothing, f"{NO_INTERVAL}: a model is constant in most resamples of {unit}"
    first = np.unique(clusters, return_index=True)[1]
    intervals = [
        standard_error_interval(float(estimate), column, strata[first])
        for estimate, column in zip(found, replicates.T, strict=True)
    ]
    return np.clip(intervals, -1, 1), f"t with the bootstrap's standard error over {unit}"


def _resampled(conditions: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Return what is drawn with replacement, within what, and its name."""
    one = np.zeros(len(conditions))
    if "identity" in conditions:
        identity, head = column_values(conditions, "identity"), column_values(conditions, "head")
        if can_resample(identity, head):
            return identity, head, "identities"
    if "expression" in conditions:
        expression = column_values(conditions, "expression")
        if can_resample(expression, one):
            return expression, one, "expressions"
    return None, one, ""


def bootstrap_similarities(
    vector: np.ndarray,
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
    which the RDM or a model is constant is left out. The time is that of `n_bootstrap` passes over
    the pairs of stimuli; a bar on a terminal says how long that is.

    Args:
        vector: (pairs of n stimuli,) dissimilarities.
        models: (models, pairs).
        clusters: (n,) what is drawn with replacement.
        strata: (n,) within which it is drawn.
        comparison: one of `COMPARISONS`.
        n_bootstrap: number of resamples.
        seed: of the resampling.
    """
    from neurofer.progress import progress_of

    names, first, inverse = np.unique(clusters, return_index=True, return_inverse=True)
    weighted = WeightedSimilarity(vector, models, comparison)
    row, column = np.triu_indices(len(clusters), 1)
    # Where in a table of clusters by clusters the weight of each pair stands.
    place = (inverse.ravel() * len(names))[row] + inverse.ravel()[column]
    place = place[weighted.order]
    del row, column
    found = []
    with progress_of("resampling the RDM", n_bootstrap) as step:
        for draw in resample(np.asarray(strata)[first], n_bootstrap, seed):
            times = np.bincount(draw, minlength=len(names)).astype(np.float64)
            # How often a pair occurs: with each copy of its cluster, or of both its clusters.
            table = np.outer(times, times)
            np.fill_diagonal(table, times)
            similarity = weighted.of_ordered(table.ravel().take(place))
            if similarity is not None:
                found.append(similarity)
            step()
    return np.array(found).reshape(len(found), len(models))


class WeightedSimilarity:
    """Similarities of dissimilarities of which each counts a whole number of times.

    Equal to `similarities` of vectors in which every pair is repeated that often. All but tau are
    computed from sums over equal values, which are sorted once for all weights. The commonest
    value of a model is what its others leave, so that a model of two categories costs as much as
    the smaller.

    Attributes:
        order: (pairs,) the order of the dissimilarities, in which `of_ordered` takes weights.
    """

    def __init__(self, vector: np.ndarray, models: np.ndarray, comparison: str) -> None:
        """Prepare (pairs,) dissimilarities and (models, pairs) for any weights."""
        if comparison not in PLAIN:
            raise unknown_choice("comparison", comparison, PLAIN, "a bootstrap over clusters")
        self.comparison = comparison
        vector, models = tied(vector), tied(models)
        # Neighbours in rank are then neighbours in memory.
        self.order = np.argsort(vector, kind="stable")
        self.vector = vector[self.order]
        self.models = [_Levels.of(one[self.order]) for one in models]
        self.start = np.flatnonzero(np.r_[True, self.vector[1:] != self.vector[:-1]])
        self.ties = len(self.start) < len(self.vector)

    def __call__(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (models,) similarities for (pairs,) weights, or None if a vector is constant."""
        return self.of_ordered(np.asarray(weights)[self.order].astype(np.float64))

    def of_ordered(self, weights: np.ndarray) -> np.ndarray | None:
        """Return the same for weights in `order`, in float64."""
        total = float(weights.sum())
        size = np.add.reduceat(weights, self.start) if self.ties else weights
        sizes = [one.sums(weights, total) for one in self.models]
        if any(np.count_nonzero(one) < 2 for one in (size, *sizes)):
            return None
        if self.comparison in TAUS:
            counts = weights.astype(np.intp)
            models = np.stack([np.repeat(one.values, counts) for one in self.models])
            return compare_present(
                np.repeat(self.vector, counts)[None], models, self.comparison, None
            )[0]
        score, square = self._scores(self.vector[self.start], size, total)
        if self.ties:
            score = np.repeat(score, np.diff(np.r_[self.start, len(self.vector)]))
        score = weights * score
        whole, products, squares = float(score.sum()), [], []
        for model, own in zip(self.models, sizes, strict=True):
            level, squared = self._scores(model.levels, own, total)
            products.append(model.sums(score, whole) @ level)
            squares.append(squared)
        if self.comparison == "rho-a":
            return 12 * np.array(products) / (total**3 - total)
        return np.array(products) / np.sqrt(square * np.array(squares))

    def _scores(
        self, values: np.ndarray, size: np.ndarray, total: float
    ) -> tuple[np.ndarray, float]:
        """Return what stands for every distinct value, itself or its mean rank, and its square.

        Both are centred, but for "cosine"; the square is the sum over all pairs.
        """
        if self.comparison in ("cosine", "corr"):
            scores = values if self.comparison == "cosine" else values - size @ values / total
            return scores, float(size @ scores**2)
        scores = np.cumsum(size)
        scores -= 0.5 * size
        scores -= total / 2
        # The variance of ranks, less what ties take from it.
        return scores, float(total**3 - (size * size) @ size) / 12


@dataclass(frozen=True)
class _Levels:
    """A vector by its distinct values.

    Attributes:
        values: (pairs,).
        levels: (levels,) the distinct values in order.
        commonest: which of them is the commonest.
        place: where the others are, level by level.
        start: (levels - 1,) where in `place` each begins.
    """

    values: np.ndarray
    levels: np.ndarray
    commonest: int
    place: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Return it for (pairs,) values."""
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        sizes = np.diff(np.r_[start, len(values)])
        commonest = int(np.argmax(sizes))
        first = start[commonest]
        place = np.delete(order, slice(first, first + sizes[commonest]))
        others = np.delete(sizes, commonest)
        return cls(values, ordered[start], commonest, place, np.cumsum(others) - others)

    def sums(self, weights: np.ndarray, total: float) -> np.ndarray:
        """Return (levels,) sums of (pairs,) weights whose sum is `total`."""
        if len(self.levels) == 1:
            return np.array([total])
        others = np.add.reduceat(weights.take(self.place), self.start)
        return np.insert(others, self.commonest, total - others.sum())
