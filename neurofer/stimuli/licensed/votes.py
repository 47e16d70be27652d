"""From several persons' votes on an image's expression to one target: the rules of FER+.

The rules are those of the set's own code (Barsoum, Zhang, Canton Ferrer and Zhang 2016). A single
vote counts as an outlier and is dropped first. An image whose strongest vote is for "unknown" or
"no face" has no target.
"""

from __future__ import annotations

import numpy as np

RULES = ("majority", "distribution", "multi-target")
_ENOUGH = 0.75  # the strongest expressions are gathered until they hold this share of the votes
_MOST = 3  # and no more than so many expressions
_SHARE = 0.3  # of the votes makes an expression one of several targets


def targets(votes: np.ndarray, expressions: int, rule: str) -> np.ndarray:
    """Return each image's target over the expressions.

    Args:
        votes: (n, k) counts; the first `expressions` columns are expressions, the others stand for
            "unknown" and "no face".
        expressions: how many columns are expressions.
        rule: "majority" needs more than half of the votes for one expression; "distribution"
            shares out the strongest; "multi-target" takes all with 30 % or more.

    Returns:
        (n, expressions) float64; each row sums to 1, or is 0 where the image has no target.
    """
    counted = np.where(votes > 1, votes, 0).astype(np.float64)
    rules = {"majority": _majority, "distribution": _strongest, "multi-target": _shared}
    kept = np.stack([rules[rule](row, expressions) for row in counted])
    # Where an expression and "unknown" are level, the expression stands first and wins.
    valid = (kept.sum(axis=1) > 0) & (kept.argmax(axis=1) < expressions)
    kept = np.where(valid[:, np.newaxis], kept[:, :expressions], 0.0)
    sums = kept.sum(axis=1, keepdims=True)
    return np.divide(kept, sums, out=np.zeros_like(kept), where=sums > 0)


def _majority(votes: np.ndarray, expressions: int) -> np.ndarray:
    first = np.arange(len(votes)) == votes.argmax()
    return np.where(first, votes, 0.0) if votes.max() > 0.5 * votes.sum() else np.zeros_like(votes)


def _strongest(votes: np.ndarray, expressions: int) -> np.ndarray:
    """Gather the votes from the strongest on; those that are level are gathered together."""
    kept = np.zeros_like(votes)
    gathered, taken = 0.0, 0
    for level in np.unique(votes[votes > 0])[::-1]:
        if gathered >= _ENOUGH * votes.sum() or taken >= _MOST:
            break
        level_with = np.flatnonzero(votes == level)
        named = level_with[level_with < expressions]
        unnamed = level_with[level_with >= expressions][:1]
        kept[named] = level
        gathered, taken = gathered + level * len(named), taken + len(named)
        if len(unnamed):  # "unknown" ends the search, and counts only if nothing came before it
            if not kept.any():
                kept[unnamed] = level
            break
    return kept if kept.sum() > 0.5 * votes.sum() and taken <= _MOST else np.zeros_like(votes)


def _shared(votes: np.ndarray, expressions: int) -> np.ndarray:
    kept = np.where(votes >= _SHARE * votes.sum(), votes, 0.0)
    return kept if kept.sum() > 0.5 * votes.sum() else np.zeros_like(votes)
