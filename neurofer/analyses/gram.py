"""Inner products of patterns, read a block of units at a time.

A recording in float32 may fill a third of the memory; only a block of its units is ever float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurofer.analyses.patterns import Noisy, Patterns, height

# Numbers in a block of units: 4 MB of float64.
BLOCK = 2**19


def blocks(activity: Patterns | Noisy) -> Iterator[slice]:
    """Yield slices of units whose activity in float64 fills a block."""
    step = max(16, BLOCK // height(activity))
    for start in range(0, activity.shape[1], step):
        yield slice(start, start + step)


def pattern_gram(activity: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the (n, n) inner products of patterns less their mean, and the mean squared pattern.

    A constant unit contributes exactly nothing to the inner products.

    Args:
        activity: (n, units) of any float type.
    """
    total, size = np.zeros((len(activity), len(activity))), 0.0
    for columns in blocks(activity):
        block = activity[:, columns].astype(np.float64)
        size += float(np.einsum("ij,ij->", block, block)) / len(activity)
        constant = block.max(axis=0) == block.min(axis=0)
        block -= block.mean(axis=0)
        block[:, constant] = 0
        total += block @ block.T
        del block  # before the next one is made
    return total, size


def gram_matrix(activity: np.ndarray) -> np.ndarray:
    """Return (n, n) float64 inner products of (n, units) patterns, each unit centred over all."""
    return pattern_gram(activity)[0]
