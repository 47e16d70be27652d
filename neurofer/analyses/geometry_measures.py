"""Geometry of patterns in Gram form: congruence, subspaces, dimension, CKA, alignment.

Every measure is a function of inner products between patterns, so that a recording is read once, a
block of units at a time, and what is kept has presentations on both sides and never units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.analyses.noise import blocks
from neurofer.errors import NeuroferError

FEWEST_FOR_CKA = 4  # the debiased estimator divides by n - 3
# A squared length below this part of the mean squared pattern is float32 rounding, not a feature.
ROUNDING = 1e-12
_RANK = 1e-10  # of the greatest eigenvalue


class Features(NamedTuple):
    """Inner products of identity- (u) and expression-distinguishing (v) features, and weights."""

    uu: np.ndarray
    vv: np.ndarray
    uv: np.ndarray
    weight: np.ndarray


def pattern_gram(activity: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the (n, n) inner products of patterns less their mean, and the mean squared pattern.

    Args:
        activity: (n, units) of any float type; one block of units at a time is made float64.
    """
    total, size = np.zeros((len(activity), len(activity))), 0.0
    for columns in blocks(activity):
        block = activity[:, columns].astype(np.float64)
        size += float(np.einsum("ij,ij->", block, block)) / len(activity)
        block -= block.mean(axis=0)
        total += block @ block.T
    return total, size


def congruence(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Tucker's congruence, sum(x y) / sqrt(sum(x^2) sum(y^2)), without centring.

    Args:
        first: (a, units).
        second: (b, units).

    Returns:
        (a, b) from -1 to 1; NaN for a vector of zeros. Tucker 1951.

    >>> congruence(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])).round(3)
    array([[0.707, 1.   ]])
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    squares = [np.einsum("ij,ij->i", one, one) for one in (first, second)]
    return cosines(squares[0], squares[1], first @ second.T)


def cosines(uu: np.ndarray, vv: np.ndarray, uv: np.ndarray, smallest: float = 0.0) -> np.ndarray:
    """Return (a, b) cosines from squared lengths (a,), (b,) and products (a, b).

    A vector whose squared length is not above `smallest` has none: NaN.
    """
    scale = np.where(np.outer(uu > smallest, vv > smallest), np.sqrt(np.abs(np.outer(uu, vv))), 0)
    found = np.divide(uv, scale, out=np.full(np.shape(uv), np.nan), where=scale > 0)
    return np.clip(found, -1, 1)


def participation_ratio(
    gram: np.ndarray, *, cluster: np.ndarray | None = None, counts: np.ndarray | None = None
) -> np.ndarray:
    """Return (sum lambda)^2 / sum lambda^2 of the covariance of patterns: how many dimensions.

    It is at most n - 1 and therefore too small where presentations are few.

    Args:
        gram: (n, n) inner products of patterns.
        cluster: (n,) index of each stimulus's cluster, from 0; its own by default.
        counts: (b, clusters) how often each cluster counts; once by default.

    Returns:
        (b,) values; NaN where patterns do not differ.

    >>> participation_ratio(np.eye(4)).round(6)
    array([3.])
    """
    cluster, counts = _weights(len(gram), cluster, counts)
    of = np.eye(counts.shape[1])[cluster]
    rows = np.einsum("bi,ij,bj->b", counts, of.T @ gram @ of, counts, optimize=True)
    total = counts @ (np.diag(gram) @ of) - rows / (counts @ of.sum(axis=0))
    # The squared norm of the centred inner products is their HSIC with themselves.
    squares = _hsic(gram, gram, cluster, counts, debiased=False)
    return np.divide(total**2, squares, out=np.full(len(counts), np.nan), where=squares > 0)


def cka(
    first: np.ndarray,
    second: np.ndarray,
    *,
    debiased: bool = False,
    cluster: np.ndarray | None = None,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Return linear centred kernel alignment of two sets of patterns of the same stimuli.

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)). Kornblith et al. 2019, ICML, Eq. 4; debiased: the
    unbiased HSIC of Song et al. 2012, JMLR 13:1393, Eq. 5, which is 0 on average for unrelated
    patterns however many units there are. There, weights generalise the double centring to the
    weighted least squares of an additive model of all pairs but those of a stimulus with itself.

    Args:
        first: (n, n) inner products of patterns.
        second: (n, n), of the same stimuli.
        debiased: the unbiased HSIC.
        cluster: (n,) index of each stimulus's cluster, from 0; its own by default.
        counts: (b, clusters) how often each cluster counts; once by default.

    Returns:
        (b,) values; NaN where patterns do not differ.

    Raises:
        NeuroferError: the shapes differ, or there are fewer than four stimuli to be debiased.
    """
    n = len(first)
    if first.shape != (n, n) or second.shape != (n, n):
        raise NeuroferError(
            f"CKA takes inner products of the same stimuli, (n, n) twice, not {first.shape} and "
            f"{second.shape}"
        )
    if debiased and n < FEWEST_FOR_CKA:
        raise NeuroferError(f"debiased CKA needs at least {FEWEST_FOR_CKA} stimuli, not {n}")
    cluster, counts = _weights(n, cluster, counts)
    kl, kk, ll = (
        _hsic(a, b, cluster, counts, debiased)
        for a, b in ((first, second), (first, first), (second, second))
    )
    scale = np.sqrt(np.maximum(kk, 0) * np.maximum(ll, 0))
    return np.divide(kl, scale, out=np.full(len(counts), np.nan), where=scale > 0)


def _weights(
    n: int, cluster: np.ndarray | None, counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the clusters and how often they count, by default each stimulus once."""
    cluster = np.arange(n) if cluster is None else np.asarray(cluster)
    counts = np.ones((1, cluster.max() + 1)) if counts is None else np.asarray(counts, float)
    return cluster, counts


def _hsic(
    k: np.ndarray, j: np.ndarray, cluster: np.ndarray, counts: np.ndarray, debiased: bool
) -> np.ndarray:
    """Return (b,) weighted HSIC up to a factor that depends on the weights only."""
    if debiased:
        k, j = (one - np.diag(np.diag(one)) for one in (k, j))
    of = np.eye(counts.shape[1])[cluster]
    w = of @ counts.T
    total = w.sum(axis=0)
    product = np.einsum("bi,ij,bj->b", counts, of.T @ (k * j) @ of, counts, optimize=True)
    row_k, row_j = (one @ of @ counts.T for one in (k, j))
    if not debiased:
        both = (w * row_k * row_j).sum(axis=0)
        means = (w * row_k).sum(axis=0) * (w * row_j).sum(axis=0)
        return product - 2 * both / total + means / total**2
    # The additive model solves (total - 2 w_i) a_i + sum_j w_j a_j = row_i.
    pivot = total - 2 * w
    shift = (w * row_k / pivot).sum(axis=0) / (1 + (w / pivot).sum(axis=0))
    return product - 2 * (w * (row_k - shift) / pivot * row_j).sum(axis=0)


def principal_cosines(uu: np.ndarray, vv: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return the cosines of the principal angles between two subspaces, greatest first.

    Bjorck and Golub 1973, Math. Comp. 27:579, from inner products of vectors that span them.

    Args:
        uu: (a, a) of the vectors of one subspace.
        vv: (b, b) of the other.
        uv: (a, b) of both.

    Returns:
        As many as the smaller subspace has dimensions; none where one has none.
    """
    left, right = _whitening(uu), _whitening(vv)
    if 0 in (*left.shape, *right.shape):
        return np.empty(0)
    return np.clip(np.linalg.svd(left @ uv @ right.T, compute_uv=False), 0, 1)


def _whitening(gram: np.ndarray) -> np.ndarray:
    """Return (rank, a) weights that make vectors with these inner products orthonormal."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK * max(values.max(initial=0.0), 0.0)
    return vectors[:, kept].T / np.sqrt(values[kept])[:, None]


def distinguishing(
    cells: np.ndarray, head: np.ndarray, weights: np.ndarray, *, differences: bool = False
) -> Features:
    """Return the inner products of identity- and expression-distinguishing features.

    An identity's feature is its mean pattern over expressions less the mean of its head's
    identities; an expression's is its mean over identities less the grand mean. With
    `differences` they are the differences between these means of any two identities of a head, and
    of any two expressions.

    Args:
        cells: (identities, expressions, identities, expressions) inner products of patterns.
        head: (identities,) index of the head, from 0.
        weights: (identities,) how often each counts.
        differences: pairwise.
    """
    n_expressions = cells.shape[1]
    same = head[:, None] == head[None, :]
    in_head = same @ weights
    own = cells.mean(axis=3)  # with an identity's mean pattern
    # Of identities that count, less the mean of their head.
    chosen = np.flatnonzero((weights > 0) & (in_head > weights))
    left = np.eye(len(head))[chosen] - same[chosen] * weights / in_head[chosen, None]
    right = np.eye(n_expressions) - 1 / n_expressions
    weight = weights[chosen].astype(float)
    if differences:
        left, weight = _pairs(left, weight, head[chosen])
        right, _ = _pairs(right, np.ones(n_expressions), np.zeros(n_expressions, int))
    share = weights / weights.sum()
    uu = left @ own.mean(axis=1) @ left.T
    uv = left @ np.einsum("jfi,j->if", own, share) @ right.T
    vv = right @ _between(cells, share[None])[0, :, 0] @ right.T
    return Features(uu, vv, uv, weight)


def _pairs(
    contrasts: np.ndarray, weight: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of any two rows of one group, and the product of their weights."""
    i, j = np.triu_indices(len(contrasts), 1)
    kept = group[i] == group[j]
    i, j = i[kept], j[kept]
    return contrasts[i] - contrasts[j], weight[i] * weight[j]


def mean_congruence(features: Features, smallest: float) -> tuple[float, int]:
    """Return the mean absolute congruence of all pairs of features, and how many pairs count."""
    found = np.abs(cosines(np.diag(features.uu), np.diag(features.vv), features.uv, smallest))
    weight = np.where(np.isfinite(found), features.weight[:, None], 0.0)
    n = int((weight > 0).sum())
    value = (np.nan_to_num(found) * weight).sum() / weight.sum() if n else np.nan
    return float(value), n


def aligned(moves: np.ndarray, groups: np.ndarray, smallest: float) -> np.ndarray:
    """Return (groups, expressions, groups, expressions) cosines of groups' mean tuning vectors.

    A tuning vector is the mean over a group's identities of the pattern of an expression less that
    of the neutral (Stettler, Lappe, Taubert & Giese, section 3).

    Args:
        moves: (identities, e, identities, e) inner products of patterns less the neutral's.
        groups: (groups, identities) weight of each identity in each group.
        smallest: squared length at or below which a vector is none: NaN.
    """
    products = _between(moves, groups / groups.sum(axis=1, keepdims=True))
    n = products.shape[0] * products.shape[1]
    flat = products.reshape(n, n)
    return cosines(np.diag(flat), np.diag(flat), flat, smallest).reshape(products.shape)


def _between(products: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (a, e, a, e) inner products of weighted sums over identities, weights (a, i)."""
    left = np.tensordot(weights, products, (1, 0))
    return np.moveaxis(np.tensordot(left, weights, (2, 1)), 3, 2)
