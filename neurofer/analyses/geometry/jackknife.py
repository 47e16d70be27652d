"""Intervals and bias of geometry, by leaving out one identity at a time.

Congruence, dimension and CKA are functions of pairs of stimuli. A bootstrap draws identities twice,
which no sample of other identities does: with five identities on each of three heads its 95 %
intervals held the truth of congruence in 99 % of simulations, of debiased CKA in 84 to 96 % and of
the participation ratio in 35 to 74 %; the jackknife's in 95 to 97, 94 to 96 and 90 to 95 %.
Quenouille 1956, Biometrika 43:353; Tukey 1958, Ann. Math. Stat. 29:614.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.analyses.statistics import CONFIDENCE, can_resample


class Estimate(NamedTuple):
    """A value with the ends of its interval; NaN where there is none."""

    value: float
    low: float
    high: float


def leave_one_out(strata: np.ndarray, *, balanced: bool = False) -> np.ndarray | None:
    """Return (identities, identities) how often each counts, with one left out a row.

    None where identities are fewer than five or a stratum has one.

    Args:
        strata: (identities,) the head of each.
        balanced: the others of a head count for the one that is left out, so that heads keep their
            share.

    >>> leave_one_out(np.array([0, 0, 0, 1, 1]), balanced=True)[0]
    array([0. , 1.5, 1.5, 1. , 1. ])
    """
    strata = np.asarray(strata)
    if not can_resample(np.arange(len(strata)), strata):
        return None
    same = strata[:, None] == strata[None, :]
    sizes = same.sum(axis=1, keepdims=True)
    weights = np.where(same & balanced, sizes / (sizes - 1), 1.0)
    np.fill_diagonal(weights, 0.0)
    return weights


def jackknifed(
    value: float,
    replicates: np.ndarray | None,
    strata: np.ndarray,
    ends: tuple[float, float],
    *,
    corrected: bool = False,
) -> Estimate:
    """Return value -+ t SE within the ends; NaN where a replicate is undefined.

    Args:
        value: of all identities.
        replicates: (identities,) values without each.
        strata: (identities,) the head of each.
        ends: the least and the greatest that can be.
        corrected: the value less its jackknife estimate of bias, for which identities must be
            independent draws within heads and replicates `balanced`.
    """
    from scipy.stats import t

    if replicates is None or not np.isfinite(value) or not np.isfinite(replicates).all():
        return Estimate(np.nan if corrected else value, np.nan, np.nan)
    variance = bias = 0.0
    names = np.unique(strata)
    for name in names:
        members = replicates[strata == name]
        n = len(members)
        bias += (n - 1) * (float(members.mean()) - value)
        variance += (n - 1) / n * float(((members - members.mean()) ** 2).sum())
    if corrected:
        value -= bias
    quantile = t.ppf(0.5 + CONFIDENCE / 2, len(strata) - len(names))
    half = float(quantile) * np.sqrt(variance)
    low, high = ends
    return Estimate(value, max(value - half, min(value, low)), min(value + half, max(value, high)))
