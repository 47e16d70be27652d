"""Trials: what every kind of file of recorded neurons is read into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

MOST_NAMED = 20


@dataclass(frozen=True)
class Trials:
    """Recorded trials, before they are put into the layout of a recording.

    Attributes:
        activity: (trials, neurons) or (trials, neurons, bins); NaN where not recorded.
        shown: a row a trial: `stimulus_id` and what else is known of it.
        neurons: a row a neuron: `neuroid_id` and what else is known of it.
        time_bins: (start, end) in ms, or None.
        aside: what could not be used, in words.
    """

    activity: np.ndarray
    shown: pd.DataFrame
    neurons: pd.DataFrame
    time_bins: list[tuple[int, int]] | None
    aside: list[str]

    def kept(self, rows: np.ndarray, aside: list[str]) -> Trials:
        """Return the trials of these rows; `aside` says why the others are not used."""
        shown = self.shown[rows].reset_index(drop=True)
        return replace(self, activity=self.activity[rows], shown=shown, aside=[*self.aside, *aside])

    def with_shown(self, shown: pd.DataFrame) -> Trials:
        """Return the trials with another table of what was shown, row for row."""
        return replace(self, shown=shown)
