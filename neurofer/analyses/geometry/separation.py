"""Congruence and angles between what distinguishes identities and what distinguishes expressions.

All resamples are worked on together: small matrices one by one cost more in calls than in sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.analyses.geometry.measures import cosines, principal_cosines

_BLOCK = 2**22  # numbers in the largest array of a block of resamples


class Features(NamedTuple):
    """Inner products of identity- (u) and expression-distinguishing (v) features, and weights.

    Attributes:
        uu: (b, identities, identities); zeros for an identity that does not count.
        vv: (b, expressions, expressions).
        uv: (b, identities, expressions).
        weight: (b, identities) how often each counts; 0 where it is alone on its head.
    """

    uu: np.ndarray
    vv: np.ndarray
    uv: np.ndarray
    weight: np.ndarray


class Separation(NamedTuple):
    """What is found of each resample.

    Attributes:
        congruence: (b,) mean absolute Tucker coefficient of all pairs.
        overlap: (b,) mean squared cosine of the principal angles.
        angle: (b,) the smallest of them, degrees.
        n_pairs: (b,) pairs of features that count.
    """

    congruence: np.ndarray
    overlap: np.ndarray
    angle: np.ndarray
    n_pairs: np.ndarray


def separation(
    cells: np.ndarray,
    head: np.ndarray,
    weights: np.ndarray,
    *,
    differences: bool = False,
    smallest: float = 0.0,
) -> Separation:
    """Return congruence and principal angles of identity- and expression-distinguishing features.

    Args:
        cells: (identities, expressions, identities, expressions) inner products of patterns.
        head: (identities,) index of the head, from 0.
        weights: (b, identities) how often each counts.
        differences: congruence is of the differences of any two features of a kind (of identities:
            of one head); they span the same subspaces.
        smallest: squared length at or below which a feature is none.
    """
    n, e = cells.shape[:2]
    largest = max(e * n * e, n * n, (n * n * e * e) // 4 if differences else 0)
    step = max(1, _BLOCK // largest)
    same, blocks = head[:, None] == head[None, :], []
    for start in range(0, len(weights), step):
        found = distinguishing(cells, head, weights[start : start + step])
        congruent = mean_congruence(found, same, smallest, differences=differences)
        blocks.append((*congruent, *_angles(found, smallest)))
    value, pairs, overlap, angle = (np.concatenate(one) for one in zip(*blocks, strict=True))
    return Separation(value, overlap, angle, pairs)


def distinguishing(cells: np.ndarray, head: np.ndarray, weights: np.ndarray) -> Features:
    """Return the inner products of identity- and expression-distinguishing features.

    An identity's feature is its mean pattern over expressions less the mean of its head's
    identities; an expression's is its mean over identities less the grand mean.

    Args:
        cells: (identities, expressions, identities, expressions) inner products of patterns.
        head: (identities,) index of the head, from 0.
        weights: (b, identities) how often each counts.
    """
    n, e = cells.shape[:2]
    same = head[:, None] == head[None, :]
    in_head = weights @ same
    own = cells.mean(axis=3)  # (identities, expressions, identities) with a mean pattern
    counts = (weights > 0) & (in_head > weights)
    mean = same * weights[:, None, :] / np.maximum(in_head, 1e-300)[:, :, None]
    left = (np.eye(n) - mean) * counts[:, :, None]
    right = np.eye(e) - 1 / e
    share = weights / weights.sum(axis=1, keepdims=True)
    uu = left @ own.mean(axis=1) @ left.transpose(0, 2, 1)
    with_expression = np.tensordot(share, own, (1, 0)).transpose(0, 2, 1)
    uv = left @ with_expression @ right
    summed = (share @ cells.reshape(n, -1)).reshape(-1, e, n, e)
    vv = right @ np.einsum("beif,bi->bef", summed, share) @ right
    return Features(uu, vv, uv, weights * counts)


def mean_congruence(
    features: Features, same: np.ndarray, smallest: float, *, differences: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return (b,) mean absolute congruence of all pairs of features, and how many pairs count.

    Args:
        features: of b sets of cells.
        same: (identities, identities) whether two belong to one head.
        smallest: squared length up to which a feature has no direction.
        differences: take pairwise differences of features.
    """
    uu, vv = (np.diagonal(one, axis1=1, axis2=2) for one in features[:2])
    uv, weight = features.uv, features.weight
    if differences:
        i, j = np.nonzero(np.triu(same, 1))
        k, m = np.triu_indices(vv.shape[1], 1)
        uu = uu[:, i] + uu[:, j] - 2 * features.uu[:, i, j]
        vv = vv[:, k] + vv[:, m] - 2 * features.vv[:, k, m]
        uv = uv[:, i] - uv[:, j]
        uv, weight = uv[:, :, k] - uv[:, :, m], weight[:, i] * weight[:, j]
    # An identity that does not count has no length.
    found = np.abs(cosines(np.where(weight > 0, uu, 0), vv, uv, smallest))
    counts = np.isfinite(found) * weight[:, :, None]
    total, pairs = counts.sum(axis=(1, 2)), (counts > 0).sum(axis=(1, 2))
    value = np.divide(
        np.einsum("bij,bij->b", np.nan_to_num(found), counts),
        total,
        out=np.full(len(total), np.nan),
        where=pairs > 0,
    )
    return value, pairs


def _angles(features: Features, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (b,) overlap and smallest angle in degrees; NaN where a kind has no features."""
    longest = [np.diagonal(one, axis1=1, axis2=2).max(axis=1) for one in features[:2]]
    known = np.minimum(*longest) > smallest
    found = principal_cosines(*features[:3])[known]
    overlap, angle = np.full((2, len(known)), np.nan)
    overlap[known] = np.nanmean(found**2, axis=1)
    angle[known] = np.degrees(np.arccos(found[:, 0]))
    return overlap, angle
