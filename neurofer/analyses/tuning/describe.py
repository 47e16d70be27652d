"""From arrays to a result: all models fitted, compared, cross-validated, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr

from neurofer.analyses.provenance import ACTIVITY
from neurofer.analyses.statistics import wilson_interval
from neurofer.analyses.tuning.axis import orthogonal_tuning
from neurofer.analyses.tuning.families import FALLS, RISES, families_of, signs_of
from neurofer.analyses.tuning.fitting import (
    LIKELIHOODS,
    OK,
    Fit,
    at_bound,
    fit_all,
    predict,
)
from neurofer.analyses.tuning.models import FEATURE_MODELS, STRENGTH_MODELS, choose
from neurofer.analyses.tuning.presentations import by_level, weight_of
from neurofer.analyses.tuning.resampling import bootstrap, cross_validate, intervals
from neurofer.analyses.tuning.selection import CRITERIA, akaike_weights, winners
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import MOST_RESAMPLES, within

Likelihood = Literal["gaussian", "poisson"]
Criterion = Literal["bic", "aicc", "aic", "cv"]
NoneOrSeveral = Literal[0] | Annotated[int, within(2, MOST_RESAMPLES)]
# In what the variables of a result are measured; the others are pure numbers.
UNITS = {
    **dict.fromkeys(("mean", "predicted", "spread"), ACTIVITY),
    **dict.fromkeys(("value", "interval"), "of the parameter"),
    "log_likelihood": "nat",
}
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


@dataclass(frozen=True)
class Job:
    """Units that are described together, because they were shown the same stimuli.

    Attributes:
        x: (n,) strengths or (n, dimensions) features.
        responses: (n, units); NaN where a unit was not recorded.
        identity: (n,) what is resampled and left out.
        strata: (n,) head: within which it is resampled.
        neuroid: (units,) names.
        baseline: (n,) names of what has a baseline of its own, or None.
        trials: (n, units) or (n, 1) trials that each response is a mean of, or None: one.
    """

    x: np.ndarray
    responses: np.ndarray
    identity: np.ndarray
    strata: np.ndarray
    neuroid: np.ndarray
    baseline: np.ndarray | None = None
    trials: np.ndarray | None = None

    def of(self, units: np.ndarray) -> Job:
        """Return the job of some of the units."""
        trials = self.trials
        if trials is not None and trials.shape[1] > 1:
            trials = trials[:, units]
        return replace(
            self, responses=self.responses[:, units], neuroid=self.neuroid[units], trials=trials
        )

    def options(self) -> dict[str, Any]:
        """Return what fits take besides x and responses."""
        return {"baseline": self.baseline, "trials": self.trials}


def settings_of(
    models: Sequence[str] | None, features: bool, likelihood: str, criterion: str, **rest: int
) -> Settings:
    """Return checked settings; by default all models of strengths, or of features.

    Args:
        models: names, or None for all.
        features: whether the models are of feature vectors, not of strengths.
        likelihood: one of `LIKELIHOODS`.
        criterion: one of `CRITERIA`.
        rest: n_folds, n_bootstrap and seed.

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


def describe(job: Job, settings: Settings) -> xr.Dataset:
    """Return the comparison of models for units that were shown the same stimuli."""
    x, responses = job.x, job.responses
    fits = fit_all(x, responses, settings.models, likelihood=settings.likelihood, **job.options())
    cross = np.stack([_cross(job, name, settings) for name in fits])
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
            ("bound", "neuroid", "parameter"), _intervals(job, fits, best, parameters, settings),
        ),
        "n_missing": ("neuroid", np.isnan(responses).sum(axis=0)),
    }  # fmt: skip
    data |= _points(job, fits, best)
    data |= _family(x, fits, best, cross, data["predicted"][1])
    data["at_bound"] = ("neuroid", _at_bounds(x, fits, best))
    if "axis" in fits:
        data |= _orthogonal(job, fits["axis"], settings)
    coords = {
        "model": list(fits),
        "neuroid": job.neuroid,
        "parameter": parameters,
        "bound": ["low", "high"],
        "level": level_names(x),
    }
    return xr.Dataset(data, coords)


def _family(
    x: np.ndarray,
    fits: dict[str, Fit],
    best: np.ndarray,
    cross: np.ndarray,
    predicted: np.ndarray,
) -> dict[str, Any]:
    """Return family and sign of every unit."""
    own, gain = np.full(len(best), np.nan), np.full(len(best), np.nan)
    for k, (name, one) in enumerate(fits.items()):
        units = best == name
        own[units] = cross[k, units]
        if "b" in one.names:
            gain[units] = one.values[units, one.names.index("b")]
    distinct = by_level(x).x
    family = families_of(distinct, best, predicted, own)
    sign = signs_of(distinct, best, family, predicted, gain)
    return {"family": ("neuroid", family.astype(str)), "sign": ("neuroid", sign)}


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


def population(
    labels: np.ndarray, sign: np.ndarray, names: Sequence[str], dim: str, prefix: str
) -> dict[str, Any]:
    """Return by name: n of the (units,) with that label, their fraction and its interval.

    The interval is Wilson's and takes units as independent. n_rising and n_falling are those whose
    sign says so.

    Args:
        labels: (units,) names of models or of families.
        sign: (units,) 1 where a unit rises, -1 where it falls.
        names: that are counted.
        dim: the dimension of the names.
        prefix: of the variables, such as "family_".
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
    } | {
        f"{prefix}n_{word}": (dim, [int(((labels == one) & (sign == way)).sum()) for one in names])
        for word, way in (("rising", RISES), ("falling", FALLS))
    }


def _orthogonal(job: Job, axis: Fit, settings: Settings) -> dict[str, Any]:
    value, ends = orthogonal_tuning(
        job.x,
        job.responses - axis.offsets(job.baseline),
        job.identity,
        job.strata,
        n_bootstrap=settings.n_bootstrap,
        seed=settings.seed,
    )
    return {
        "orthogonal": ("neuroid", value),
        "orthogonal_interval": (("bound", "neuroid"), ends),
    }


def _cross(job: Job, name: str, settings: Settings) -> np.ndarray:
    if settings.n_folds < 2 or len(np.unique(job.identity)) < 2:
        return np.full(job.responses.shape[1], np.nan)
    return cross_validate(
        job.x,
        job.responses,
        job.identity,
        name,
        likelihood=settings.likelihood,
        n_folds=settings.n_folds,
        seed=settings.seed,
        **job.options(),
    )


def _intervals(
    job: Job, fits: dict[str, Fit], best: np.ndarray, parameters: list[str], settings: Settings
) -> np.ndarray:
    """Return (2, units, parameters) intervals of the best model's parameters."""
    found = np.full((2, len(best), len(parameters)), np.nan)
    for name, one in fits.items():
        own = np.flatnonzero((best == name) & (one.status == OK))
        if settings.n_bootstrap < 2:
            continue
        for start in range(0, len(own), RESAMPLED_AT_ONCE):
            units = own[start : start + RESAMPLED_AT_ONCE]
            part = job.of(units)
            replicates = bootstrap(
                part.x,
                part.responses,
                part.identity,
                part.strata,
                name,
                likelihood=settings.likelihood,
                n_bootstrap=settings.n_bootstrap,
                seed=settings.seed,
                **part.options(),
            )
            ends = intervals(replicates, job.identity, job.strata)
            for i in range(2):
                found[i, units] = _spread(ends[i], one.names, parameters)
    return found


def _points(job: Job, fits: dict[str, Fit], best: np.ndarray) -> dict[str, Any]:
    """Return mean, 95 % half-width over identities, and the best model's prediction by level.

    Where baselines differ, responses are moved to the mean baseline.
    """
    from scipy.stats import t

    levels = by_level(np.asarray(job.x, float))
    _, who = np.unique(job.identity, return_inverse=True)
    n_who, shape = who.max() + 1, (len(levels.x), len(best))
    responses, predicted = job.responses.copy(), np.full(shape, np.nan)
    for name, one in fits.items():
        units = best == name
        if units.any():
            predicted[:, units] = predict(name, levels.x, one.values[units])
            responses[:, units] -= np.nan_to_num(one.offsets(job.baseline)[:, units])
    weight = np.broadcast_to(weight_of(responses, job.trials), responses.shape)
    spread, n = np.full(shape, np.nan), np.zeros(shape, np.int64)
    for level in range(len(levels.x)):
        rows = levels.index == level
        times, sums = np.zeros((2, n_who, len(best)))
        np.add.at(times, who.ravel()[rows], weight[rows])
        part = np.where(weight[rows] > 0, responses[rows] * weight[rows], 0.0)
        np.add.at(sums, who.ravel()[rows], part)
        means = sums / np.where(times > 0, times, np.nan)
        n[level] = count = (times > 0).sum(axis=0)
        several = count > 1
        if several.any():
            with np.errstate(invalid="ignore"):  # of units that are not finite
                error = np.nanstd(means[:, several], axis=0, ddof=1) / np.sqrt(count[several])
            spread[level, several] = t.ppf(0.975, count[several] - 1) * error
    with np.errstate(invalid="ignore"):
        mean = np.where(n > 0, levels.mean(responses, weight), np.nan)
    return {
        "mean": (("level", "neuroid"), mean),
        "spread": (("level", "neuroid"), spread),
        "predicted": (("level", "neuroid"), predicted),
        "n_identities": (("level", "neuroid"), n),
    }


def _parameter_names(fits: dict[str, Fit]) -> list[str]:
    return list(dict.fromkeys(name for one in fits.values() for name in one.names))


def _spread(values: np.ndarray, names: list[str], parameters: list[str]) -> np.ndarray:
    """Return (units, all parameters), NaN for those that the model does not have."""
    found = np.full((len(values), len(parameters)), np.nan)
    found[:, [parameters.index(name) for name in names]] = values
    return found
