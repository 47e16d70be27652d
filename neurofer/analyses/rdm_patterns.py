"""Patterns that are means of presentations, computed for a block of units at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Means:
    """Mean patterns of groups of presentations, in the place of a (groups, units) array.

    A recording may fill a third of the memory, and its means in float64 would fill twice that:
    `means[:, columns]` computes those of some units.

    Attributes:
        activity: (n, units), one row a presentation.
        rows: (members,) rows of the first group's presentations, of the second's, and so on.
        sizes: (groups,) numbers of members, each at least 1.
    """

    activity: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, activity: np.ndarray, groups: Sequence[np.ndarray]) -> Means:
        """Return the means of (n, units) activity over groups of row numbers."""
        return cls(activity, np.concatenate(groups), np.array([len(group) for group in groups]))

    @property
    def shape(self) -> tuple[int, int]:
        """(groups, units)."""
        return len(self.sizes), self.activity.shape[1]

    @property
    def ndim(self) -> int:
        """2, as of an array."""
        return 2

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.sizes)

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Return the (groups, columns) means of `[:, columns]`, in float64 if there are any."""
        rows, columns = key
        if rows != slice(None):
            raise IndexError("means are taken of all groups: use means[:, columns]")
        members = self.activity[self.rows, columns]
        if (self.sizes == 1).all():
            return members
        starts = np.r_[0, np.cumsum(self.sizes)[:-1]]
        sums = np.add.reduceat(members.astype(np.float64), starts, axis=0)
        return np.asarray(sums / self.sizes[:, None])


Patterns = np.ndarray | Means


def height(patterns: Patterns) -> int:
    """Return how many rows of activity a block of the patterns takes."""
    return len(patterns.rows) if isinstance(patterns, Means) else len(patterns)
