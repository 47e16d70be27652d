"""What the analyses find in simulated data, beside what is known of them.

One file an analysis, each with `SUMMARY`, `DEFAULT_N` and `recover`. `neurofer validate` runs them
and writes one table, so that anyone can see what an analysis can be trusted with, and check it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from neurofer.errors import unknown_choice

IN, UNCLEAR, OUT = "in", "unclear", "out"


@dataclass(frozen=True)
class Recovered:
    """What was found of one truth.

    Attributes:
        name: such as "tuning.family.linear".
        what: one sentence, with units.
        measured: the share or number found.
        low: of the 95 % interval of the simulation itself.
        high: of the same.
        n: simulated units or data sets.
        goal: the least and the greatest `measured` that is as it should be; None: no goal.
    """

    name: str
    what: str
    measured: float
    low: float
    high: float
    n: int
    goal: tuple[float, float] | None = None

    @property
    def status(self) -> str:
        """`IN` the goal, `OUT` of it, `UNCLEAR` if only the interval reaches it, "" without."""
        if self.goal is None:
            return ""
        least, greatest = self.goal
        if least <= self.measured <= greatest:
            return IN
        return UNCLEAR if self.low <= greatest and self.high >= least else OUT


def share(
    name: str, what: str, hits: np.ndarray, goal: tuple[float, float] | None = None
) -> Recovered:
    """Return the share of (n,) hits with Wilson's interval.

    Args:
        name: of the quantity.
        what: it says, in words.
        hits: (n,) truth values.
        goal: the interval that the share should lie in.
    """
    from neurofer.analyses.statistics import wilson_interval

    low, high = wilson_interval(float(np.sum(hits)), len(hits))
    return Recovered(name, what, float(np.mean(hits)), low, high, len(hits), goal)


def mean(
    name: str, what: str, values: np.ndarray, goal: tuple[float, float] | None = None
) -> Recovered:
    """Return the mean of (n,) independent values with Student's interval.

    Args:
        name: of the quantity.
        what: it says, in words.
        values: (n,) independent values.
        goal: the interval that the mean should lie in.
    """
    from scipy.stats import t

    centre, n = float(np.mean(values)), len(values)
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Recovered(name, what, centre, centre - half, centre + half, n, goal)


def names() -> list[str]:
    """Return the names of the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))


def module(name: str) -> ModuleType:
    """Return a module of this folder; NeuroferError lists them if there is none of the name."""
    if name not in names():
        raise unknown_choice("validation", name, names())
    return import_module(f"neurofer.simulation.recovery.{name}")


def recover(name: str, n: int | None = None, seed: int = 0) -> Iterator[Recovered]:
    """Yield what one analysis finds in `n` simulations (the module's `DEFAULT_N` by default).

    Args:
        name: of the analysis.
        n: number of simulations.
        seed: of the simulations.
    """
    chosen = module(name)
    yield from chosen.recover(chosen.DEFAULT_N if n is None else n, seed)
