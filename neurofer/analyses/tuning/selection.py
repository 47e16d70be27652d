"""Which of several fitted models describes a unit best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurofer.analyses.inputs import IS_CONSTANT
from neurofer.analyses.tuning.fitting import Fit
from neurofer.errors import unknown_choice

CRITERIA = ("bic", "aicc", "aic", "cv")


def akaike_weights(criterion: np.ndarray) -> np.ndarray:
    """Return (models, units) Akaike weights exp(-D / 2) / sum exp(-D / 2); 0 where undefined.

    Burnham & Anderson 2002, section 2.9. NaN for units for which no model has a criterion.
    """
    shown = np.isfinite(criterion)
    best = np.where(shown, criterion, np.inf).min(axis=0)
    best = np.where(np.isfinite(best), best, 0.0)
    likelihood = np.where(shown, np.exp(-(np.where(shown, criterion, 0.0) - best) / 2), 0.0)
    total = likelihood.sum(axis=0)
    return np.divide(likelihood, total, out=np.full_like(likelihood, np.nan), where=total > 0)


def select(fits: Mapping[str, Fit], criterion: str = "bic") -> np.ndarray:
    """Return (units,) the name of the model with the least criterion; "flat" for constant units.

    "" where no model has a criterion. Among equals the first wins.
    """
    if criterion not in CRITERIA[:3]:
        raise unknown_choice("criterion", criterion, CRITERIA[:3])
    names = np.array(list(fits))
    values = np.stack([getattr(one, criterion) for one in fits.values()])
    return winners(names, values, next(iter(fits.values())).status)


def winners(names: np.ndarray, values: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Return (units,) the name of the model of the least of (models, units) values, as `select`.

    Args:
        names: (models,) names.
        values: (models, units) of the criterion; NaN where a model was not fitted.
        status: (models, units) of the fits.
    """
    shown = np.isfinite(values)
    best = names[np.where(shown, values, np.inf).argmin(axis=0)]
    best = np.where(shown.any(axis=0), best, "")
    return np.where((status == IS_CONSTANT) & np.isin("flat", names), "flat", best)
