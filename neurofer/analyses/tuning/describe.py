"""From arrays to a result: all models fitted, compared, cross-validated, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.statistics import wilson_interval
from neurofer.analyses.tuning.axis import orthogonal_tuning
from neurofer.analyses.tuning.families import families_of
from neurofer.analyses.tuning.fitting import (
    CRITERIA,
    LIKELIHOODS,
    OK,
    Fit,
    akaike_weights,
    at_bound,
    by_level,
    fit_all,
    predict,
    winners,
)
from neurofer.analyses.tuning.models import FEATURE_MODELS, STRENGTH_MODELS, choose
from neurofer.analyses.tuning.resampling import bootstrap, cross_validate, intervals
from neurofer.errors import NeuroferError, unknown_choice

# Units whose replicates are held at once.
RESAMPLED_AT_ONCE = 1000


@dataclass(frozen=True)
class Settings:
    """What a comparison of models is made with; see `run`."""

    models: tuple[str, ...]
    features: bool = False
    likelihood: str = "gaussian"
    criterion: str = "bic"
    n_folds: int = 5
    n_bootstrap: int = 1000
    seed: int = 0


def settings_of(
    models: Sequence[str] | None, features: bool, likelihood: str, criterion: str, **rest: int
) -> Settings:
    """Return checked settings; by default all models of strengths, or of features.

    Raises:
        NeuroferError: a model, the likelihood or the criterion is unknown.
    """
    known = FEATURE_MODELS if features else STRENGTH_MODELS
    chosen = known if models is None else tuple(models)
    for name in chosen:
        choose(name)
        if name not in known:
            kind = "feature vectors" if features else "strength"
            raise unknown_choice("model", name, known, f"the models of {kind}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise NeuroferError(f"models={list(chosen)} must name at least one model, each once")
    if likelihood not in LIKELIHOODS:
        raise unknown_choice("likelihood", likelihood, LIKELIHOODS)
    if criterion not in CRITERIA:
        raise unknown_choice("criterion", criterion, CRITERIA)
    return Settings(chosen, features, likelihood, criterion, **rest)


def describe(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    neuroid: np.ndarray,
    settings: Settings,
) -> xr.Dataset:
    """Return the comparison of models for units that were shown the same stimuli.

    Args:
        x: (n,) strengths or (n, dimensions) features.
        responses: (n, units).
        identity: (n,).
        strata: (n,) head.
        neuroid: (units,) names.
        settings: of the comparison.
    """
    fits = fit_all(x, responses, settings.models, likelihood=settings.likelihood)
    cross = np.stack([_cross(x, responses, identity, name, settings) for name in fits])
    criteria = {
        "aicc": np.stack([one.aicc for one in fits.values()]),
        "bic": np.stack([one.bic for one in fits.values()]),
        "aic": np.stack([one.aic for one in fits.values()]),
        "cv": -cross,
    }
    status = np.stack([one.status for one in fits.values()])
    # A unit is as fit as its best model: too few levels for some are enough for others.
    unit_status = np.where((status == OK).any(axis=0), OK, status[0])
    best = winners(np.array(list(fits)), criteria[settings.criterion], unit_status)
    parameters = _parameter_names(fits)
    per_model = ("model", "neuroid")
    data: dict[str, Any] = {
        "aicc": (per_model, criteria["aicc"]),
        "bic": (per_model, criteria["bic"]),
        "cv_r2": (per_model, cross),
        "weight": (per_model, akaike_weights(criteria["aicc"])),
        "r2": (per_model, np.stack([one.r2 for one in fits.values()])),
        "log_likelihood": (per_model, np.stack([one.log_likelihood for one in fits.values()])),
        "status": (per_model, status.astype(str)),
        "value": (
            ("model", "neuroid", "parameter"),
            np.stack([_spread(one.values, one.names, parameters) for one in fits.values()]),
        ),
        "best": ("neuroid", best.astype(str)),
        "interval": (
            ("bound", "neuroid", "parameter"),
            _intervals(x, responses, identity, strata, fits, best, parameters, settings),
        ),
    }
    data |= _points(x, responses, identity, fits, best)
    family = families_of(by_level(x).x, best, data["predicted"][1])
    data["family"] = ("neuroid", family.astype(str))
    data["at_bound"] = ("neuroid", _at_bounds(x, fits, best))
    if "axis" in fits:
        data |= _orthogonal(x, responses, identity, strata, settings)
    coords = {
        "model": list(fits),
        "neuroid": neuroid,
        "parameter": parameters,
        "bound": ["low", "high"],
        "level": level_names(x),
    }
    return xr.Dataset(data, coords)


def _at_bounds(x: np.ndarray, fits: dict[str, Fit], best: np.ndarray) -> np.ndarray:
    """Return (units,) names of the parameters of the best model that lie at a bound, "" if none."""
    named = np.full(len(best), "", dtype=object)
    for name, one in fits.items():
        own = np.flatnonzero(best == name)
        at = at_bound(name, by_level(x).x, one.values[own])
        for unit in np.flatnonzero(at.any(axis=1)):
            named[own[unit]] = ", ".join(np.array(one.names)[at[unit]])
    return named.astype(str)


def level_names(x: np.ndarray) -> np.ndarray:
    """Return the distinct strengths or, of features, their values as "0.5,0,0"."""
    distinct = by_level(np.asarray(x, float)).x
    if distinct.ndim == 1:
        return distinct
    return np.array([",".join(f"{value:g}" for value in row) for row in distinct])


def population(labels: np.ndarray, names: Sequence[str], dim: str, prefix: str) -> dict[str, Any]:
    """Return by name: n of the (units,) with that label, their fraction and its interval.

    The interval is Wilson's and takes units as independent.
    """
    n = np.array([int((labels == name).sum()) for name in names])
    compared = int(n.sum())
    ends = [wilson_interval(k, compared) if compared else (0.0, 1.0) for k in n.tolist()]
    low, high = np.array(ends).T
    return {
        f"{prefix}n": (dim, n),
        f"{prefix}fraction": (dim, n / max(compared, 1)),
        f"{prefix}fraction_low": (dim, low),
        f"{prefix}fraction_high": (dim, high),
    }


def _orthogonal(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    settings: Settings,
) -> dict[str, Any]:
    value, ends = orthogonal_tuning(
        x, responses, identity, strata, n_bootstrap=settings.n_bootstrap, seed=settings.seed
    )
    return {
        "orthogonal": ("neuroid", value),
        "orthogonal_interval": (("bound", "neuroid"), ends),
    }


def _cross(
    x: np.ndarray, responses: np.ndarray, identity: np.ndarray, name: str, settings: Settings
) -> np.ndarray:
    if settings.n_folds < 2 or len(np.unique(identity)) < 2:
        return np.full(responses.shape[1], np.nan)
    return cross_validate(
        x,
        responses,
        identity,
        name,
        likelihood=settings.likelihood,
        n_folds=settings.n_folds,
        seed=settings.seed,
    )


def _intervals(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    fits: dict[str, Fit],
    best: np.ndarray,
    parameters: list[str],
    settings: Settings,
) -> np.ndarray:
    """Return (2, units, parameters) intervals of the best model's parameters."""
    found = np.full((2, responses.shape[1], len(parameters)), np.nan)
    for name, one in fits.items():
        own = np.flatnonzero((best == name) & (one.status == OK))
        if settings.n_bootstrap < 2:
            continue
        for start in range(0, len(own), RESAMPLED_AT_ONCE):
            units = own[start : start + RESAMPLED_AT_ONCE]
            replicates = bootstrap(
                x,
                responses[:, units],
                identity,
                strata,
                name,
                likelihood=settings.likelihood,
                n_bootstrap=settings.n_bootstrap,
                seed=settings.seed,
            )
            ends = intervals(replicates, identity, strata)
            for i in range(2):
                found[i, units] = _spread(ends[i], one.names, parameters)
    return found


def _points(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    fits: dict[str, Fit],
    best: np.ndarray,
) -> dict[str, Any]:
    """Return mean, 95 % half-width over identities, and the best model's prediction by level."""
    from scipy.stats import t

    levels = by_level(np.asarray(x, float))
    _, who = np.unique(identity, return_inverse=True)
    n_who, shape = who.max() + 1, (len(levels.x), responses.shape[1])
    spread, n = np.full(shape, np.nan), np.zeros(len(levels.x), np.int64)
    for level in range(len(levels.x)):
        rows = levels.index == level
        times = np.bincount(who.ravel()[rows], minlength=n_who).astype(float)
        sums = np.zeros((n_who, responses.shape[1]))
        np.add.at(sums, who.ravel()[rows], responses[rows])
        means = sums[times > 0] / times[times > 0, None]
        n[level] = len(means)
        if len(means) > 1:
            error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
            spread[level] = float(t.ppf(0.975, len(means) - 1)) * error
    predicted = np.full(shape, np.nan)
    for name, one in fits.items():
        units = best == name
        if units.any():
            predicted[:, units] = predict(name, levels.x, one.values[units])
    return {
        "mean": (("level", "neuroid"), levels.mean(responses)),
        "spread": (("level", "neuroid"), spread),
        "predicted": (("level", "neuroid"), predicted),
        "n_identities": (("level", "neuroid"), np.repeat(n[:, None], shape[1], axis=1)),
    }


def _parameter_names(fits: dict[str, Fit]) -> list[str]:
    return list(dict.fromkeys(name for one in fits.values() for name in one.names))


def _spread(values: np.ndarray, names: list[str], parameters: list[str]) -> np.ndarray:
    """Return (units, all parameters), NaN for those that the model does not have."""
    found = np.full((len(values), len(parameters)), np.nan)
    found[:, [parameters.index(name) for name in names]] = values
    return found
