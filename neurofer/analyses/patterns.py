"""Means of presentations and residuals from them, computed for a block of units at a time.

A recording may fill a third of the memory, and its means or residuals in float64 would fill twice
that: `means[:, columns]` computes those of some units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class _Grouped:
    """What stands in the place of an array, of groups of presentations.

    Attributes:
        activity: (n, units), one row per presentation.
        rows: (members,) rows of the first group's presentations, of the second's, and so on.
        sizes: (groups,) numbers of members, each at least 1.
    """

    activity: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, activity: np.ndarray, groups: Sequence[np.ndarray]) -> Self:
        """Return it for (n, units) activity and groups of row numbers."""
        return cls(activity, np.concatenate(groups), np.array([len(group) for group in groups]))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, units)."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """2, as of an array."""
        return 2

    def _members(self, key: tuple[slice, slice]) -> np.ndarray:
        rows, columns = key
        if rows != slice(None):
            raise IndexError("only units can be chosen, all rows of them: use [:, columns]")
        return self.activity[self.rows, columns]

    def _means(self, members: np.ndarray) -> np.ndarray:
        """Return the (groups, columns) means of (members, columns) activity in float64."""
        starts = np.r_[0, np.cumsum(self.sizes)[:-1]]
        sums = np.add.reduceat(members.astype(np.float64), starts, axis=0)
        return np.asarray(sums / self.sizes[:, None])


class Means(_Grouped):
    """Mean patterns of groups of presentations, as a (groups, units) array."""

    @property
    def shape(self) -> tuple[int, int]:
        """(groups, units)."""
        return len(self.sizes), self.activity.shape[1]

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Return the (groups, columns) means of `[:, columns]`, in float64 if they are any."""
        members = self._members(key)
        return members if (self.sizes == 1).all() else self._means(members)


class Residuals(_Grouped):
    """Residuals of presentations from the mean of their group, as a (members, units) array."""

    @property
    def shape(self) -> tuple[int, int]:
        """(members, units)."""
        return len(self.rows), self.activity.shape[1]

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Return the (members, columns) residuals of `[:, columns]` in float64."""
        members = self._members(key)
        return members - np.repeat(self._means(members), self.sizes, axis=0)


Patterns = np.ndarray | Means
Noisy = np.ndarray | Residuals


def height(patterns: Patterns | Noisy) -> int:
    """Return how many rows of activity a block of the patterns takes."""
    return len(patterns.rows) if isinstance(patterns, _Grouped) else len(patterns)
