"""Cross-validation and bootstrap of tuning curves: identities are the independent units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from neurofer.analyses.inputs import IS_CONSTANT
from neurofer.analyses.statistics import (
    clusters_of,
    clusters_to_resample,
    deal,
    percentile_interval,
)
from neurofer.analyses.tuning.fitting import OK, fit, solve_units
from neurofer.analyses.tuning.models import choose
from neurofer.analyses.tuning.presentations import (
    Levels,
    baseline_of,
    by_level,
    check_arrays,
    check_trials,
    is_balanced,
    less_own_mean,
    status_of,
    weight_of,
)
from neurofer.errors import NeuroferError

# Means of resampled levels that are held at once: bounds the memory of a bootstrap.
BATCH = 250_000


def folds_of(identity: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Return (n,) the fold of each presentation: an identity lies in one fold as a whole.

    Args:
        identity: (n,) of each presentation.
        n_folds: number of folds; identities that are fewer make a fold each.
        seed: of the deal.

    Raises:
        NeuroferError: there are fewer than two folds or identities.
    """
    count = len(np.unique(identity))
    if n_folds < 2 or count < 2:
        raise NeuroferError(
            f"{n_folds} folds of {count} identities: leaving identities out needs two of each"
        )
    return deal(identity, min(n_folds, count), seed)


def held_out(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    model: str,
    *,
    likelihood: str = "gaussian",
    n_folds: int = 5,
    seed: int = 0,
    baseline: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n, units) predictions, each by a fit that has not seen the presentation's identity.

    Args:
        x: (n,) or (n, dimensions).
        responses: (n, units).
        identity: (n,).
        model: one of `MODELS`.
        likelihood: "gaussian" or "poisson".
        n_folds: as `folds_of`.
        seed: as `folds_of`.
        baseline: (n,) names. What a baseline is that no other identity has (its own) cannot be
            predicted: it is taken from the responses that are left out, and only what lies above
            it is predicted.
        trials: as `fit`.

    Raises:
        NeuroferError: as `fit` and `folds_of`.
    """
    x, responses = check_arrays(x, responses, choose(model))
    trials = check_trials(trials, responses)
    own, _ = baseline_of(baseline, len(x))
    names = None if own is None else own.astype(str)
    predicted = np.full(responses.shape, np.nan)
    live = status_of(responses, likelihood, trials, own) == OK
    folds = folds_of(identity, n_folds, seed)
    for fold in np.unique(folds):
        test = folds == fold
        if not live.any() or len(np.unique(x[~test], axis=0)) < 2:
            continue
        # A unit may be constant in what is left: then it is predicted as constant.
        shown = responses[~test][:, live]
        few = None if trials is None else _of_units(trials, live)
        rest = None if names is None else names[~test]
        weight = None if few is None else few[~test]
        one = fit(x[~test], shown, model, likelihood=likelihood, baseline=rest, trials=weight)
        part = one.predict(x[test], None if names is None else names[test])
        with np.errstate(invalid="ignore"):
            level = np.nanmean(shown, axis=0)
        still = np.isin(one.status, [IS_CONSTANT])
        part[:, still] = level[still]
        if names is not None:
            part += _unseen(responses[test][:, live] - part, names[test], one.groups)
        predicted[np.ix_(test, live)] = part
    return predicted


def _unseen(rest: np.ndarray, names: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (n, units) the mean residual of every baseline that the fit has not seen, else 0."""
    shift = rest - less_own_mean(rest, np.unique(names, return_inverse=True)[1].ravel())
    return np.where((~np.isin(names, seen))[:, None] & np.isfinite(shift), shift, 0.0)


def _of_units(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the columns of some units; one column stands for all."""
    return values if values.shape[1] == 1 else values[:, units]


def cross_validate(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    model: str,
    *,
    likelihood: str = "gaussian",
    trials: np.ndarray | None = None,
    **options: Any,
) -> np.ndarray:
    """Return (units,) the part of the flat model's error that a model explains out of sample.

    1 - E(model) / E(flat), both with identities left out; E is the sum of squares or, for counts,
    the Poisson deviance. 0 for "flat" by definition, negative where a model predicts worse; NaN
    where a unit or a fold cannot be fitted.

    Args:
        x: as for `held_out`, here and below.
        responses: (n, units).
        identity: (n,) what is left out.
        model: its name.
        likelihood: "gaussian" or "poisson".
        trials: that a response is the mean of.
        options: what else `held_out` takes.
    """
    options |= {"likelihood": likelihood, "trials": trials}
    own, flat = (held_out(x, responses, identity, m, **options) for m in (model, "flat"))
    responses = np.asarray(responses, float).reshape(flat.shape)
    weight = weight_of(responses, check_trials(trials, responses))
    error, base = (_error(responses, one, likelihood, weight) for one in (own, flat))
    return np.divide(base - error, base, out=np.full_like(base, np.nan), where=base > 0)


def bootstrap(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    model: str,
    *,
    likelihood: str = "gaussian",
    n_bootstrap: int = 1000,
    seed: int = 0,
    baseline: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n_bootstrap, units, parameters) of fits to resampled identities.

    Identities are drawn with replacement within their stratum, all with their presentations. NaN
    for units that cannot be fitted.

    Args:
        x: (n,) or (n, dimensions).
        responses: (n, units).
        identity: (n,); one identity lies in one stratum.
        strata: (n,) head.
        model: one of `MODELS`.
        likelihood: "gaussian" or "poisson".
        n_bootstrap: number of resamples.
        seed: of the resampling.
        baseline: as `fit`.
        trials: as `fit`.
    """
    chosen = choose(model)
    x, responses = check_arrays(x, responses, chosen)
    trials = check_trials(trials, responses)
    own, _ = baseline_of(baseline, len(x))
    names = chosen.names(x.shape[1] if x.ndim == 2 else 1)
    found = np.full((n_bootstrap, responses.shape[1], len(names)), np.nan)
    live = np.flatnonzero(status_of(responses, likelihood, trials, own) == OK)
    if len(by_level(x).x) < len(names) or not len(live):
        return found
    shown = responses[:, live]
    weight = weight_of(shown, _of_units(trials, live) if trials is not None else None)
    weight = weight if likelihood == "poisson" else weight_of(shown)
    shift = None
    if own is not None and likelihood == "gaussian" and is_balanced(x, own, shown):
        # As in `fit`: the tuning of centred responses; the mean baseline is that of those drawn.
        shift = shown - less_own_mean(shown, own) - shown.mean(axis=0)
        shown, own = shown - shift, None
    levels = by_level(x, own)
    options = {"n_bootstrap": n_bootstrap, "seed": seed}
    parts = [
        solve_units(chosen, levels.x, means, weights, likelihood, levels.groups).reshape(
            n_bootstrap, -1, len(names)
        )
        for means, weights in resampled(levels, shown, weight, identity, strata, **options)
    ]
    found[:, live] = np.concatenate(parts, axis=1)
    if shift is not None:
        found[:, live, 0] += mean_of_drawn(shift, identity, strata, **options)
    return found


def mean_of_drawn(
    values: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    *,
    n_bootstrap: int,
    seed: int,
) -> np.ndarray:
    """Return (n_bootstrap, units) means over the presentations of resampled identities.

    Args:
        values: (n, units).
        identity: (n,) what is resampled.
        strata: (n,) within which it is resampled.
        n_bootstrap: number of resamples.
        seed: of the draws.
    """
    people = clusters_of(identity, strata)
    times = people.times(n_bootstrap, seed)
    n = times @ people.sums(np.ones((len(values), 1)))
    return np.asarray((times @ people.sums(values)) / n)


def resampled(
    levels: Levels,
    responses: np.ndarray,
    weight: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    *,
    n_bootstrap: int,
    seed: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield means and weights, (levels, n_bootstrap x units) each, of some units after others.

    Weights are (levels, 1) if identities were shown the same, so that all resamples have them.

    Args:
        levels: the presentations by what was shown.
        responses: (n, units).
        weight: (n, units) or (n, 1) trials.
        identity: (n,) what is resampled.
        strata: (n,) within which it is resampled.
        n_bootstrap: number of resamples.
        seed: of the draws.
    """
    people = clusters_of(identity, strata)
    times = people.times(n_bootstrap, seed)
    cell = people.index * len(levels.x) + levels.index
    n_cells, shape = times.shape[1] * len(levels.x), (times.shape[1], len(levels.x), -1)

    def drawn(values: np.ndarray) -> np.ndarray:
        """Return (levels, n_bootstrap, units) sums over the identities that were drawn."""
        sums = np.zeros((n_cells, values.shape[1]))
        np.add.at(sums, cell, values)
        return np.einsum("bi,ilu->lbu", times, sums.reshape(shape), optimize=True)

    step = max(1, BATCH // (n_bootstrap * len(levels.x)))
    for i in range(0, responses.shape[1], step):
        part = responses[:, i : i + step]
        own = weight if weight.shape[1] == 1 else weight[:, i : i + step]
        n = drawn(own)
        totals = drawn(np.where(own > 0, part * own, 0.0))
        means = totals / np.maximum(n, 1e-300)
        same = n.shape[2] == 1 and np.ptp(n, axis=(1, 2)).max() == 0
        weights = n[:, :1, 0] if same else np.broadcast_to(n, totals.shape).reshape(len(n), -1)
        yield (
            torch.from_numpy(means.reshape(len(n), -1)),
            torch.from_numpy(np.array(weights)),
        )


def intervals(
    replicates: np.ndarray, identity: np.ndarray, strata: np.ndarray, confidence: float = 0.95
) -> np.ndarray:
    """Return (2, units, parameters) percentile intervals of bootstrap replicates.

    The percentiles are expanded for the number of identities (see `statistics`); all NaN with
    fewer than five identities, or one alone in its stratum.

    Args:
        replicates: (n_bootstrap, units, parameters).
        identity: (n,) what was resampled.
        strata: (n,) within which it was resampled.
        confidence: of the intervals.
    """
    people = clusters_to_resample(np.asarray(strata), np.asarray(identity))
    if people is None or not len(replicates):
        return np.full((2, *replicates.shape[1:]), np.nan)
    return np.stack(percentile_interval(replicates, people.strata, confidence=confidence))


def _error(
    responses: np.ndarray, predicted: np.ndarray, likelihood: str, weight: np.ndarray
) -> np.ndarray:
    """Return (units,) errors; NaN where something that was recorded is not predicted."""
    shown = ~np.isnan(responses)
    if likelihood == "gaussian":
        return np.asarray(((responses - predicted) ** 2).sum(axis=0, where=shown))
    from scipy.special import xlogy

    most = np.where(shown, responses, 0.0).max(axis=0)
    mean = np.maximum(predicted, 1e-5 * np.maximum(most, 1e-300))
    deviance = weight * (xlogy(responses, responses / mean) - responses + mean)
    return np.asarray(2 * deviance.sum(axis=0, where=shown))
