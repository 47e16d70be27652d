"""Trials: what every kind of file of recorded neurons is read into."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

MOST_NAMED = 20


@dataclass(frozen=True)
class Trials:
    """Recorded trials, before they are put into the layout of a recording.

    Attributes:
        activity: (trials, neurons) or (trials, neurons, bins); NaN where not recorded.
        shown: one row per trial: `stimulus_id` and what else is known of it.
        neurons: one row per neuron: `neuroid_id` and what else is known of it.
        time_bins: (start, end) in ms, or None.
        aside: what could not be used, in words.
        notes: what was assumed or renamed, and what looks like a mistake, in words.
        counts: (trials, neurons) trials in each mean; None for single trials.
    """

    activity: np.ndarray
    shown: pd.DataFrame
    neurons: pd.DataFrame
    time_bins: list[tuple[int, int]] | None
    aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: np.ndarray | None = None

    def kept(self, rows: np.ndarray, aside: list[str]) -> Trials:
        """Return the trials of these rows; `aside` says why the others are not used."""
        shown = self.shown[rows].reset_index(drop=True)
        return replace(self, activity=self.activity[rows], shown=shown, aside=[*self.aside, *aside])

    def of_neurons(self, chosen: np.ndarray, aside: list[str] | None = None) -> Trials:
        """Return these neurons (a mask or positions); `aside` says why others are not used."""
        return replace(
            self,
            activity=self.activity[:, chosen],
            neurons=self.neurons.iloc[chosen].reset_index(drop=True),
            aside=[*self.aside, *(aside or [])],
        )

    def with_shown(self, shown: pd.DataFrame) -> Trials:
        """Return the trials with another table of what was shown, row for row."""
        return replace(self, shown=shown)


def listed(names: object, most: int = 8) -> str:
    """Return the first names, and how many there are beyond them.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = [str(name) for name in names]  # type: ignore[attr-defined]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")
