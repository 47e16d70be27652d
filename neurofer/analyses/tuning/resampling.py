"""Cross-validation and bootstrap of tuning curves: identities are the independent units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from neurofer.analyses.folds import deal
from neurofer.analyses.statistics import can_resample, expanded_tail, resample
from neurofer.analyses.tuning.fitting import (
    OK,
    Levels,
    by_level,
    check_arrays,
    fit,
    predict,
    solve_units,
    status_of,
)
from neurofer.analyses.tuning.models import choose
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

    Raises:
        NeuroferError: as `fit` and `folds_of`.
    """
    x, responses = check_arrays(x, responses, choose(model))
    predicted = np.full(responses.shape, np.nan)
    live = status_of(responses, likelihood) == OK
    folds = folds_of(identity, n_folds, seed)
    for fold in np.unique(folds):
        test = folds == fold
        if not live.any() or len(np.unique(x[~test], axis=0)) < 2:
            continue
        # A unit may be constant in what is left: then it is predicted as constant.
        shown = responses[~test][:, live]
        one = fit(x[~test], shown, model, likelihood=likelihood)
        part = predict(model, x[test], one.values)
        still = np.ptp(shown, axis=0) == 0
        part[:, still] = shown[0, still]
        predicted[np.ix_(test, live)] = part
    return predicted


def cross_validate(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    model: str,
    *,
    likelihood: str = "gaussian",
    n_folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Return (units,) the part of the flat model's error that a model explains out of sample.

    1 - E(model) / E(flat), both with identities left out; E is the sum of squares or, for counts,
    the Poisson deviance. 0 for "flat" by definition, negative where a model predicts worse; NaN
    where a unit or a fold cannot be fitted. Arguments as `held_out`.
    """
    options = {"n_folds": n_folds, "seed": seed, "likelihood": likelihood}
    own = held_out(x, responses, identity, model, **options)  # type: ignore[arg-type]
    flat = held_out(x, responses, identity, "flat", **options)  # type: ignore[arg-type]
    responses = np.asarray(responses, float).reshape(flat.shape)
    error, base = (_error(responses, one, likelihood) for one in (own, flat))
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
    """
    chosen = choose(model)
    x, responses = check_arrays(x, responses, chosen)
    levels = by_level(x)
    names = chosen.names(x.shape[1] if x.ndim == 2 else 1)
    found = np.full((n_bootstrap, responses.shape[1], len(names)), np.nan)
    live = np.flatnonzero(status_of(responses, likelihood) == OK)
    if len(levels.x) < len(names):
        return found
    parts = [
        solve_units(chosen, levels.x, means, weights, likelihood).reshape(
            n_bootstrap, -1, len(names)
        )
        for means, weights in resampled(
            levels, responses[:, live], identity, strata, n_bootstrap=n_bootstrap, seed=seed
        )
    ]
    if parts:
        found[:, live] = np.concatenate(parts, axis=1)
    return found


def resampled(
    levels: Levels,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    *,
    n_bootstrap: int,
    seed: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield means and weights, (levels, n_bootstrap x units) each, of some units after others.

    Weights are (levels, 1) if identities were shown the same, so that all resamples have them.
    """
    _, first, who = np.unique(identity, return_index=True, return_inverse=True)
    drawn = resample(np.asarray(strata)[first], n_bootstrap, seed)
    times = np.stack([np.bincount(row, minlength=len(first)) for row in drawn]).astype(float)
    cell = who.ravel() * len(levels.x) + levels.index
    shape = (len(first), len(levels.x))
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    n = times @ counts
    step = max(1, BATCH // (n_bootstrap * shape[1]))
    for i in range(0, responses.shape[1], step):
        part = responses[:, i : i + step]
        sums = np.zeros((shape[0] * shape[1], part.shape[1]))
        np.add.at(sums, cell, part)
        totals = np.einsum("bi,ilu->lbu", times, sums.reshape(*shape, -1), optimize=True)
        means = totals / np.maximum(n.T, 1)[:, :, None]
        weights = np.repeat(n.T, part.shape[1], axis=1) if np.ptp(n) else n.T[:, :1]
        yield (
            torch.from_numpy(means.reshape(shape[1], -1)),
            torch.from_numpy(np.ascontiguousarray(weights)),
        )


def intervals(
    replicates: np.ndarray, identity: np.ndarray, strata: np.ndarray, confidence: float = 0.95
) -> np.ndarray:
    """Return (2, units, parameters) percentile intervals of bootstrap replicates.

    The percentiles are expanded for the number of identities (see `statistics`); all NaN with
    fewer than five identities, or one alone in its stratum.
    """
    if not can_resample(np.asarray(identity), np.asarray(strata)) or not len(replicates):
        return np.full((2, *replicates.shape[1:]), np.nan)
    first = np.unique(identity, return_index=True)[1]
    tail = expanded_tail(np.asarray(strata)[first], confidence)
    return np.quantile(replicates, [tail, 1 - tail], axis=0)


def _error(responses: np.ndarray, predicted: np.ndarray, likelihood: str) -> np.ndarray:
    if likelihood == "gaussian":
        return ((responses - predicted) ** 2).sum(axis=0)
    from scipy.special import xlogy

    mean = np.maximum(predicted, 1e-5 * np.maximum(responses.max(axis=0), 1e-300))
    return 2 * (xlogy(responses, responses / mean) - responses + mean).sum(axis=0)
