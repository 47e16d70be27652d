"""Geometry of patterns in Gram form: congruence, subspaces, dimension, CKA, alignment.

Every measure is a function of inner products between patterns, so that a recording is read once, a
block of units at a time, and what is kept has presentations on both sides and never units.
"""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError

FEWEST_FOR_CKA = 4  # the debiased estimator divides by n - 3
# A squared length below this part of the mean squared pattern is float32 rounding, not a feature.
ROUNDING = 1e-12
_RANK = 1e-10  # of the greatest eigenvalue


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
    """Return (..., a, b) cosines from squared lengths (..., a), (..., b) and their products.

    A vector whose squared length is not above `smallest` has none: NaN.

    Args:
        uu: (..., a) squared lengths.
        vv: (..., b) squared lengths.
        uv: (..., a, b) inner products.
        smallest: squared length up to which a vector has no direction.
    """
    left, right = (
        np.divide(1.0, np.sqrt(np.abs(one)), out=np.full(one.shape, np.nan), where=one > smallest)
        for one in (uu, vv)
    )
    return np.clip(uv * left[..., :, None] * right[..., None, :], -1, 1)


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
        uu: (..., a, a) of the vectors of one subspace.
        vv: (..., b, b) of the other.
        uv: (..., a, b) of both.

    Returns:
        (..., min(a, b)); NaN after as many as the smaller subspace has dimensions.
    """
    (left, rank), (right, other) = _whitening(uu), _whitening(vv)
    found = np.linalg.svd(left @ uv @ np.swapaxes(right, -1, -2), compute_uv=False)
    known = np.arange(found.shape[-1]) < np.minimum(rank, other)[..., None]
    return np.where(known, np.clip(found, 0, 1), np.nan)


def _whitening(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (..., a, a) weights that make vectors orthonormal, or 0, and their (...) rank."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK * np.maximum(values[..., -1:], 0.0)
    scale = np.divide(1.0, np.sqrt(np.abs(values)), out=np.zeros_like(values), where=kept)
    return np.swapaxes(vectors * scale[..., None, :], -1, -2), kept.sum(axis=-1)
