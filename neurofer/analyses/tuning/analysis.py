"""Tuning curves: which function of strength, or of features, a unit's response follows.

    from neurofer.analyses import tuning
    result = tuning.fit_table("rates.csv", response="rate", strength="strength", identity="monkey")
    print(tuning.units(result))

All units are fitted at once (`solve` says how), by least squares or as Poisson counts, and
compared by AICc, BIC or the error at identities left out. Models overlap, so that a unit also has
a `family`, the shape of its curve (`families`); `neurofer.simulation.recovery.tuning.confusion`
simulates how often model and family are found in a design of your own.

What a unit cannot show is said, not hidden: `status` names units that are not finite, constant,
negative counts, or were shown fewer distinct stimuli than a model has parameters.
"""

from __future__ import annotations

from neurofer.analyses.registry import Analysis
from neurofer.analyses.tuning.drawing import figure, table, units
from neurofer.analyses.tuning.fitting import fit
from neurofer.analyses.tuning.recordings import run
from neurofer.analyses.tuning.tables import fit_table

__all__ = ["ANALYSIS", "figure", "fit", "fit_table", "run", "table", "units"]

ANALYSIS = Analysis(
    name="tuning",
    summary="the tuning model that describes every unit best, with its parameters",
    run=run,
    table=table,
    figure=figure,
    quick={"models": ("flat", "linear"), "n_noise": 5},
)
