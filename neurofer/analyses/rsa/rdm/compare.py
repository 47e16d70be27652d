"""Similarities of dissimilarities: plain, whitened, and the noise ceiling of raters.

The numbers are those of rsatoolbox (Nili et al. 2014, PLOS Comput. Biol. 10:e1003553; Diedrichsen
et al. 2021, Neurons Behav. Data Anal. Theory 5:3 for the whitened ones), which the tests hold
them to. Vectors hold the n (n - 1) / 2 dissimilarities above the diagonal, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurofer.analyses.rsa.rdm.matrices import n_conditions
from neurofer.errors import NeuroferError, unknown_choice

COMPARISONS = (
    "spearman", "kendall", "tau-a", "rho-a", "cosine", "corr", "cosine_cov", "corr_cov",
)  # fmt: skip
RANKED = ("spearman", "rho-a", "kendall", "tau-a")
TAUS = ("kendall", "tau-a")
GRAM = ("cosine", "corr")
WHITENED = ("cosine_cov", "corr_cov")
PLAIN = tuple(name for name in COMPARISONS if name not in WHITENED)
# Dissimilarities that differ by less than this part of the greatest differ by rounding.
ROUNDING = 1e-12


def compare(
    vectors: np.ndarray,
    others: np.ndarray,
    comparison: str,
    *,
    names: Sequence[str] | None = None,
    other_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return (a, b) similarities of (a, pairs) dissimilarities with (b, pairs).

    Dissimilarities that are equal but for rounding are equal, also in rank (`tied`).

    Args:
        vectors: (a, pairs).
        others: (b, pairs).
        comparison: one of `COMPARISONS`; "kendall" is tau-b, "corr" Pearson's r, and "corr_cov"
            and "cosine_cov" are whitened by the covariance of dissimilarities of independent,
            equally noisy patterns.
        names: (a,) for messages.
        other_names: (b,) for messages.

    Raises:
        NeuroferError: the comparison is unknown, the vectors differ in length or (whitened) are not
            those of an RDM, or one is constant or not finite.
    """
    if comparison not in COMPARISONS:
        raise unknown_choice("comparison", comparison, COMPARISONS)
    vectors, others = np.atleast_2d(vectors), np.atleast_2d(others)
    if vectors.shape[1] != others.shape[1]:
        raise NeuroferError(
            f"{vectors.shape[1]} dissimilarities cannot be compared with {others.shape[1]}: both "
            "must be of the same conditions"
        )
    _check(vectors, comparison, names)
    _check(others, comparison, other_names)
    if comparison in RANKED:
        vectors, others = tied(vectors), tied(others)
    return compare_present(vectors, others, comparison, _all_present(vectors, comparison))


def compare_present(
    vectors: np.ndarray, others: np.ndarray, comparison: str, present: np.ndarray | None
) -> np.ndarray:
    """Return `compare`'s similarities, unchecked, of RDMs in which pairs may be absent.

    Args:
        vectors: (a, pairs that are present).
        others: (b, pairs that are present).
        comparison: one of `COMPARISONS`.
        present: (n, n) truth values, symmetric, which pairs are; whitened comparisons need it.
    """
    if comparison in TAUS:
        from rsatoolbox.rdm import compare as reference

        return np.asarray(reference(vectors, others, method=comparison))
    a, b = (_comparable(one, comparison, present) for one in (vectors, others))
    products = a @ b.T
    if comparison == "rho-a":
        n = vectors.shape[1]
        return 12 * products / (n**3 - n)
    norms = [np.sqrt(np.einsum("ij,ij->i", one, one)) for one in (a, b)]
    return products / norms[0][:, None] / norms[1]


def influences(vectors: np.ndarray, others: np.ndarray, comparison: str) -> np.ndarray:
    """Return (b, a, pairs) how much each pair of conditions moves each similarity of `compare`.

    They are the derivatives by the weight of a pair, a b - r (a^2 + b^2) / 2 for the centred and
    normalised dissimilarities a and b whose product is the similarity r, and sum to 0. Not for
    taus, which are not products.

    Args:
        vectors: (a, pairs).
        others: (b, pairs).
        comparison: one of `COMPARISONS`, not of `TAUS`.
    """
    present = _all_present(vectors, comparison)
    a, b = (_comparable(one, comparison, present) for one in (vectors, others))
    a, b = (one / np.sqrt(np.einsum("ij,ij->i", one, one))[:, None] for one in (a, b))
    half = (b @ a.T)[:, :, None] / 2
    found = b[:, None] * a - half * (a**2 + b[:, None] ** 2)
    if present is None:
        return found
    # Whitened dissimilarities are matrices, of which every pair is in two places.
    row, column = np.triu_indices(len(present), 1)
    return 2 * found.reshape(*found.shape[:2], *present.shape)[..., row, column]


def similarities(vector: np.ndarray, models: np.ndarray, comparison: str) -> np.ndarray:
    """Return (models,) similarities of (pairs,) dissimilarities with (models, pairs).

    Args:
        vector: (pairs,) dissimilarities.
        models: (models, pairs) dissimilarities.
        comparison: one of `COMPARISONS`.
    """
    return compare(vector[None], models, comparison)[0]


def noise_ceiling(raters: np.ndarray, comparison: str) -> tuple[float, float]:
    """Return the lower and upper noise ceiling of (raters, pairs) dissimilarities.

    Lower: the mean similarity of each rater with the mean of the others; upper: with the mean of
    all. For rank comparisons the mean is over ranks. Nili et al. 2014.
    """
    raters = np.atleast_2d(raters)
    if comparison in GRAM:
        own = compare(raters, raters, comparison)
        low, high = linear_ceilings(own[None], np.ones((1, len(own))))[0]
        return float(low), float(high)
    _check(raters, comparison)
    raters = tied(raters) if comparison in RANKED else raters
    return pooled_ceilings(
        raters, np.ones(len(raters)), comparison, _all_present(raters, comparison)
    )


def pooled_ceilings(
    vectors: np.ndarray, weight: np.ndarray, comparison: str, present: np.ndarray | None
) -> tuple[float, float]:
    """Return the noise ceilings of raters that were drawn so often; copies are left out together.

    Args:
        vectors: (raters, pairs that are present), tied where they are ranked.
        weight: (raters,) numbers of draws.
        comparison: one of `COMPARISONS`.
        present: (n, n) which pairs are present, of whitened comparisons.
    """
    shown = np.flatnonzero(weight)
    own, places = vectors[shown], np.arange(len(shown))
    poolable = _poolable(vectors, comparison)
    pool = weight @ poolable
    others = np.tile(pool, (len(shown), 1))
    if len(shown) > 1:
        others -= weight[shown, None] * poolable[shown]
    if comparison in TAUS:
        high = compare_present(pool[None], own, comparison, None)[0]
        low = np.array(
            [
                compare_present(other[None], one[None], comparison, None)[0, 0]
                for other, one in zip(others, own, strict=True)
            ]
        )
        return float(low.mean()), float(high.mean())
    if comparison in WHITENED:
        found = compare_present(np.vstack([pool, others]), own, comparison, present)
        return float(found[places + 1, places].mean()), float(found[0].mean())
    a, b, c = (_comparable(one, comparison, present) for one in (others, own, pool[None]))
    # Ranks of two that are opposite make a pool that is constant: NaN, as in rsatoolbox.
    with np.errstate(invalid="ignore"):
        low, high = (np.einsum("ij,ij->i", one, b) / _scale(one, b, comparison) for one in (a, c))
    return float(low.mean()), float(high.mean())


def tied(vectors: np.ndarray, level: float | None = None) -> np.ndarray:
    """Return vectors in which values that differ by rounding are equal, along the last axis.

    Neighbours in order that differ by `level` or less become the least of them.

    Args:
        vectors: (..., pairs), finite.
        level: what counts as rounding; None: `ROUNDING` times the greatest absolute value of each.

    >>> tied(np.array([0.1 + 0.2, 0.3, 1.0])).tolist()
    [0.3, 0.3, 1.0]
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim > 1:
        return np.stack([tied(one, level) for one in vectors]) if len(vectors) else vectors
    if level is None:
        level = ROUNDING * float(np.abs(vectors).max(initial=0.0))
    ordered = np.sort(vectors)
    gaps = np.diff(ordered)
    if not ((gaps > 0) & (gaps <= level)).any():
        return vectors
    order = np.argsort(vectors, kind="stable")
    first = np.r_[True, gaps > level]
    least = np.flatnonzero(first)[np.cumsum(first) - 1]
    found = vectors.copy()
    found[order] = ordered[least]
    return found


def linear_ceilings(agreement: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (resamples, 2) lower and upper noise ceilings of linear comparisons.

    The similarity with a pool is that with the sum of its RDMs, each of length 1, and a subject's
    copies are left out of the others with it.

    Args:
        agreement: (resamples, subjects, subjects) similarities.
        weights: (resamples, subjects) numbers of draws.
    """
    shown = weights > 0
    products = np.einsum("rs,rst->rt", weights, agreement)
    lengths = np.einsum("rs,rs->r", products, weights)
    own = np.einsum("rss->rs", agreement)
    high = products / np.sqrt(lengths)[:, None]
    left = products - weights * own
    rest = lengths[:, None] - 2 * weights * products + weights**2 * own
    # One subject alone has no others, and is compared with itself.
    alone = shown.sum(axis=1) < 2
    low = np.where(alone[:, None], high, left / np.sqrt(np.where(shown & ~alone[:, None], rest, 1)))
    number = shown.sum(axis=1)
    return np.stack([(one * shown).sum(axis=1) / number for one in (low, high)], axis=1)


def _all_present(vectors: np.ndarray, comparison: str) -> np.ndarray | None:
    """Return (n, n) that every pair of (a, pairs) dissimilarities is there, if it must be known."""
    if comparison not in WHITENED:
        return None
    return np.ones((n_conditions(vectors.shape[1]),) * 2, bool)


def _comparable(vectors: np.ndarray, comparison: str, present: np.ndarray | None) -> np.ndarray:
    """Return vectors whose products, normalised, are the similarities."""
    vectors = np.asarray(vectors, np.float64)
    if comparison in RANKED:
        vectors = ranks(vectors)
    if comparison not in ("cosine", "cosine_cov"):
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    if comparison in WHITENED:
        if present is None:
            raise NeuroferError(f"comparison={comparison!r} needs to know which pairs are present")
        vectors = _whitened(vectors, present)
    return vectors


def ranks(vectors: np.ndarray) -> np.ndarray:
    """Return the mean ranks of every row, of values as they are (`tied` makes equal ones equal)."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(vectors, axis=1))


def _poolable(vectors: np.ndarray, comparison: str) -> np.ndarray:
    """Return what rsatoolbox averages: ranks, or RDMs of equal size."""
    if comparison in RANKED:
        return ranks(vectors)
    if comparison in ("corr", "corr_cov"):
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.sqrt((vectors**2).mean(axis=1, keepdims=True))


def _scale(a: np.ndarray, b: np.ndarray, comparison: str) -> np.ndarray | float:
    """Return what a sum of products of comparable vectors is divided by, row by row."""
    if comparison == "rho-a":
        n = a.shape[1]
        return (n**3 - n) / 12
    return np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))


def _whitened(vectors: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return (a, n * n) vectors whose products are those of RDMs whitened by their covariance.

    They are second moments: the RDMs, over -2, less the best sum of a row's and a column's term.
    Without absent pairs that is double centring, and the product linear CKA (Diedrichsen 2021).
    """
    n = len(present)
    above = np.triu(present, 1)
    moments = np.zeros((len(vectors), n, n))
    moments[:, above] = -0.5 * vectors
    moments += moments.transpose(0, 2, 1)
    off = present & ~np.eye(n, dtype=bool)
    system = 0.5 * off + np.diag(0.5 * off.sum(axis=1) + 1)
    terms = np.linalg.solve(system, moments.sum(axis=2).T).T
    moments -= 0.5 * (terms[:, :, None] + terms[:, None, :])
    # The diagonal is present: there the RDM is 0.
    moments[:, ~(off | np.eye(n, dtype=bool))] = 0
    return moments.reshape(len(vectors), -1)


def _check(vectors: np.ndarray, comparison: str, names: Sequence[str] | None = None) -> None:
    def name(which: np.ndarray) -> str:
        first = int(np.argmax(which))
        number = f"number {first + 1} of {len(vectors)} RDMs"
        return number if names is None else f"{str(names[first])!r}, {number},"

    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise NeuroferError(
            f"{name(~finite)} holds dissimilarities that are not finite: leave out the pairs"
        )
    if vectors.shape[1] < 2:
        raise NeuroferError(
            f"{vectors.shape[1]} dissimilarities are too few to be compared: give 4 conditions"
        )
    flat = constant(vectors, comparison)
    if flat.any():
        raise NeuroferError(
            f"{name(flat)} is constant, so that nothing can be similar to it: leave it out"
        )


def constant(vectors: np.ndarray, comparison: str = "corr") -> np.ndarray:
    """Return (a,) whether (a, pairs) dissimilarities do not vary, or are all 0 for a cosine."""
    vectors = np.atleast_2d(vectors)
    if comparison in ("cosine", "cosine_cov"):
        return np.asarray(~vectors.any(axis=1))
    return np.asarray(np.ptp(vectors, axis=1) <= ROUNDING * np.abs(vectors).max(axis=1))
