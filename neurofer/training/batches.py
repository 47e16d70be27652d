"""Which items a step sees: a new order every epoch, a function of seed and step alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def batch_positions(items: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Return the positions of a step's batch, (batch_size,); an epoch's remainder is left out.

    Args:
        items: number of items.
        batch_size: items of a step.
        seed: of the order.
        step: number of the step, from 0.

    >>> [sorted(batch_positions(4, 2, seed=0, step=s).tolist()) for s in (0, 1)]
    [[0, 2], [1, 3]]
    """
    batch_size = min(batch_size, items)
    epoch, place = divmod(step, items // batch_size)
    order = _order(items, seed, epoch)
    return order[place * batch_size : (place + 1) * batch_size]


@lru_cache(maxsize=2)
def _order(items: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(items)
