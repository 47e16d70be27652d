"""Do tuning vectors of an expression point the same way on every head?

A tuning vector is the mean over the identities of a head of the pattern of an expression less that
of the neutral (Stettler, Lappe, Taubert & Giese, section 3). Of few identities it is noisy, and the
cosine of two noisy vectors is too small, by their reliabilities (Spearman 1904, Am. J. Psychol.
15:72): the geometric mean of these is the ceiling, and the cosine over it the corrected one.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from neurofer.analyses.geometry.measures import cosines


class Alignment(NamedTuple):
    """What is found of each resample; NaN where it is undefined.

    Attributes:
        cosine: (b, pairs, expressions).
        aligned: (b, pairs) mean over expressions.
        reliability: (b, heads).
        ceiling: (b, pairs).
        corrected: (b, pairs).
    """

    cosine: np.ndarray
    aligned: np.ndarray
    reliability: np.ndarray
    ceiling: np.ndarray
    corrected: np.ndarray


def tuning_products(cells: np.ndarray, neutral: int) -> np.ndarray:
    """Return (identities, e, identities, e) inner products of patterns less the neutral's.

    Args:
        cells: (identities, expressions, identities, expressions) inner products of patterns.
        neutral: index of the neutral, which is left out.
    """
    step = cells - cells[:, [neutral]]
    return np.delete(np.delete(step - step[:, :, :, [neutral]], neutral, 1), neutral, 3)


def alignment(moves: np.ndarray, weights: np.ndarray, smallest: float = 0.0) -> Alignment:
    """Return the alignment of the tuning vectors of the same expression on every pair of heads.

    The reliability of a head is the cosine that tuning vectors of two independent sets of as many
    identities would have: the squared length of a mean vector without noise, which is the mean
    product of different identities (what split halves estimate, of all splits), over that with it;
    the mean over expressions, at least 0.

    Args:
        moves: (identities, e, identities, e) of `tuning_products`.
        weights: (b, heads, identities) how often each counts; 0 on other heads.
        smallest: squared length at or below which a vector is none.
    """
    same = np.stack([moves[:, k, :, k] for k in range(moves.shape[1])])
    weights = np.asarray(weights, float)
    total = weights.sum(axis=2)[:, None]
    w = weights[:, None]
    products = w @ same @ w.swapaxes(2, 3) / (total[..., :, None] * total[..., None, :])
    squares = np.diagonal(products, axis1=2, axis2=3)
    cosine = cosines(squares, squares, products, smallest)
    own = (w**2) @ np.diagonal(same, axis1=1, axis2=2)[None, :, :, None]
    others = total**2 - (w**2).sum(axis=3)
    signal = _ratio(total**2 * squares - own[..., 0], others, others > 0)
    found = defined_mean(_ratio(signal, squares, squares > smallest), axis=1)
    reliability = np.maximum(found, 0.0)
    pairs = list(combinations(range(weights.shape[1]), 2))
    by_pair = np.stack([cosine[:, :, a, b] for a, b in pairs], axis=1)
    ceiling = np.stack([np.sqrt(reliability[:, a] * reliability[:, b]) for a, b in pairs], axis=1)
    aligned = defined_mean(by_pair, axis=2)
    return Alignment(by_pair, aligned, reliability, ceiling, _ratio(aligned, ceiling, ceiling > 0))


def cross_cosines(moves: np.ndarray, weights: np.ndarray, smallest: float = 0.0) -> np.ndarray:
    """Return (pairs, e, e) cosines of all tuning vectors of one head with all of another.

    Args:
        moves: (identities, e, identities, e) of `tuning_products`.
        weights: (heads, identities) how often each counts.
        smallest: squared length at or below which a vector is none.
    """
    share = weights / weights.sum(axis=1, keepdims=True)
    products = np.einsum("ai,iejf,bj->aebf", share, moves, share, optimize=True)
    squares = np.einsum("aeae->ae", products)
    return np.stack(
        [
            cosines(squares[a], squares[b], products[a, :, b], smallest)
            for a, b in combinations(range(len(weights)), 2)
        ]
    )


def chance_alignment(cosine: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return (n, pairs) mean cosines with the names of expressions shuffled, alike in all pairs.

    Args:
        cosine: (pairs, e, e) of `cross_cosines`.
        n: permutations.
        generator: of their order.
    """
    names = np.arange(cosine.shape[1])
    order = np.array([generator.permutation(names) for _ in range(n)], int).reshape(n, len(names))
    return defined_mean(cosine[:, names, order], axis=2).T


def defined_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is defined, NaN where nothing is."""
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis), defined.sum(axis), defined.any(axis))


def _ratio(over: np.ndarray, under: np.ndarray, where: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(np.shape(over), np.shape(under), np.shape(where))
    return np.divide(over, under, out=np.full(shape, np.nan), where=np.broadcast_to(where, shape))
