"""Fits of tuning models to all units at once, on arrays, and the criteria that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neurofer.analyses.inputs import FEW_LEVELS, IS_CONSTANT, OK
from neurofer.analyses.tuning.models import Model, choose
from neurofer.analyses.tuning.poisson import solve_poisson
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
from neurofer.analyses.tuning.solve import Solution, solve
from neurofer.errors import NeuroferError, unknown_choice

LIKELIHOODS = ("gaussian", "poisson")
# Residuals of less than this part of the sum of squares are rounding; models share the floor.
ROUNDING = 1e-24
# A value within this part of its range from an end is at the end.
AT_BOUND = 1e-4


@dataclass(frozen=True)
class Fit:
    """A tuning model fitted to every unit.

    Attributes:
        model: its name.
        likelihood: "gaussian" or "poisson".
        names: of the parameters of the mean, "a" first.
        values: (units, parameters); NaN where `status` is not "ok". Of several baselines "a" is
            the mean over presentations.
        status: (units,) "ok", "not finite" (infinite, or nothing recorded), "negative" or "not
            counts" (of counts: a mean times its trials is not a whole number), "constant" ("flat"
            has its value, all else is NaN), "too few levels" (fewer distinct x than parameters).
        rss: (units,) residual sum of squares.
        log_likelihood: (units,) at the maximum.
        r2: (units,) 1 - RSS / TSS, both about the baselines.
        n: (units,) number of presentations with a response; of counts, of trials.
        k: number of parameters, with baselines and the variance of Gaussian noise.
        groups: names of the baselines; none where all presentations share one.
        offset: (units, groups) by how much each baseline exceeds "a".
    """

    model: str
    likelihood: str
    names: list[str]
    values: np.ndarray
    status: np.ndarray
    rss: np.ndarray
    log_likelihood: np.ndarray
    r2: np.ndarray
    n: np.ndarray
    k: int
    groups: np.ndarray
    offset: np.ndarray

    @property
    def aic(self) -> np.ndarray:
        """(units,) 2 k - 2 log L."""
        return 2 * self.k - 2 * self.log_likelihood

    @property
    def aicc(self) -> np.ndarray:
        """(units,) AIC + 2 k (k + 1) / (n - k - 1), NaN where n - k - 1 <= 0.

        Hurvich & Tsai 1989, Biometrika 76:297.
        """
        rest = self.n - self.k - 1
        correction = 2 * self.k * (self.k + 1) / np.where(rest > 0, rest, np.nan)
        return np.asarray(self.aic + correction)

    @property
    def bic(self) -> np.ndarray:
        """(units,) k log n - 2 log L. Schwarz 1978, Annals of Statistics 6:461."""
        return self.k * np.log(np.maximum(self.n, 1)) - 2 * self.log_likelihood

    def predict(self, x: np.ndarray, baseline: np.ndarray | None = None) -> np.ndarray:
        """Return (n, units) predicted responses at (n,) strengths or (n, dimensions) features.

        `baseline` (n,) names whose baseline they have; without, and of names that the fit has not
        seen, it is the mean baseline.
        """
        return predict(self.model, np.asarray(x, float), self.values) + self.offsets(baseline)

    def offsets(self, baseline: np.ndarray | None) -> np.ndarray:
        """Return (n, units), or 0, by how much the baseline of each presentation exceeds "a"."""
        if baseline is None or not len(self.groups):
            return np.zeros((1, len(self.values)))
        names = np.asarray(baseline).astype(str)
        place = np.searchsorted(self.groups, names).clip(max=len(self.groups) - 1)
        known = self.groups[place] == names
        return np.where(known[:, None], self.offset.T[place], 0.0)


def fit(
    x: np.ndarray,
    responses: np.ndarray,
    model: str = "linear",
    *,
    likelihood: str = "gaussian",
    baseline: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> Fit:
    """Fit one tuning model to all units by maximum likelihood.

    As f depends on x alone, the means at distinct x (of each baseline) are all that the fit needs
    of the responses; `rss`, `log_likelihood` and `n` are those of the presentations.

    Args:
        x: (n,) strengths, or (n, dimensions) features as differences from the norm.
        responses: (n,) or (n, units); NaN where a unit was not recorded.
        model: of strength "flat", "linear", "rectified", "v-shape", "power", "sigmoid",
            "naka-rushton" or "gaussian"; of features "flat", "norm-direction", "axis" or
            "exemplar". `models.MODELS` has their equations and bounds.
        likelihood: "gaussian" with a common variance, or "poisson" with f as the mean count.
        baseline: (n,) names of heads, identities or sessions, each of which has an "a" of its own.
        trials: (n,) or (n, units) how many trials a response is the mean of: counts are then
            Poisson with that exposure, as if every trial stood by itself. Gaussian fits weigh
            every response alike.

    Returns:
        names and values (units, parameters), aic, aicc (NaN where n - k - 1 <= 0), bic, r2, rss,
        log_likelihood and status, each (units,), and `predict`. `Fit` has them all.

    Raises:
        NeuroferError: the model or likelihood is unknown, shapes do not match, or x is not finite,
            one value only, or negative where the model is a power.

    >>> one = fit(np.array([0, 0.5, 1.0]), np.array([1.0, 2.0, 3.0]), "linear")
    >>> dict(zip(one.names, one.values[0].round(6).tolist()))
    {'a': 1.0, 'b': 2.0}
    """
    chosen = choose(model)
    if likelihood not in LIKELIHOODS:
        raise unknown_choice("likelihood", likelihood, LIKELIHOODS)
    x, responses = check_arrays(x, responses, chosen)
    trials = check_trials(trials, responses)
    own, groups = baseline_of(baseline, len(x))
    status = status_of(responses, likelihood, trials, own)
    names = chosen.names(x.shape[1] if x.ndim == 2 else 1)
    # Of Gaussian noise means are not weighted by their trials: what differs between stimuli
    # beside the tuning, and is the same in all trials of one, is not known.
    weight = weight_of(responses, trials if likelihood == "poisson" else None)
    levels = by_level(x, own)
    few = _shown(x, levels, weight) < [[len(names)], [len(names) + max(len(groups) - 1, 0)]]
    status = np.where((status == OK) & few.any(axis=0), FEW_LEVELS, status)
    live = np.flatnonzero(status == OK)
    values = np.full((responses.shape[1], len(names)), np.nan)
    offset = np.full((responses.shape[1], len(groups)), np.nan)
    if len(live):
        part, own_weight = responses[:, live], weight if weight.shape[1] == 1 else weight[:, live]
        values[live], offset[live] = solve_baselines(
            chosen, x, part, own_weight, likelihood, own, len(groups)
        )
    if model == "flat":
        constant = status == IS_CONSTANT
        values[constant] = np.nanmean(responses[:, constant], axis=0)[:, None]
    found = _described(chosen, likelihood, values, offset, responses, x, own, weight, live)
    k = len(names) + (likelihood == "gaussian") + max(len(groups) - 1, 0)
    n = np.broadcast_to(weight.sum(axis=0), len(status))
    return Fit(model, likelihood, names, values, status, *found, n, k, groups, offset)


def _shown(x: np.ndarray, levels: Levels, weight: np.ndarray) -> np.ndarray:
    """Return (2, 1 or units) distinct x, and levels by baseline, that each unit was shown."""
    plain = levels if levels.baseline is None else by_level(x)
    return np.stack([(one.total(weight) > 0).sum(axis=0) for one in (plain, levels)])


def solve_baselines(
    model: Model,
    x: np.ndarray,
    responses: np.ndarray,
    weight: np.ndarray,
    likelihood: str,
    own: np.ndarray | None,
    n_groups: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (units, parameters) and (units, groups) offsets of units that can be fitted.

    Args:
        model: to fit.
        x: (n,) or (n, dimensions).
        responses: (n, units).
        weight: (n, units) or (n, 1) trials.
        likelihood: one of `LIKELIHOODS`.
        own: (n,) numbers of baselines; None: one for all.
        n_groups: number of baselines.
    """
    if own is not None and likelihood == "gaussian" and is_balanced(x, own, responses):
        # What all baselines were shown alike: the means of the baselines are all they differ in.
        shifts = responses - less_own_mean(responses, own)
        first = np.unique(own, return_index=True)[1]
        offset = (shifts[first] - responses.mean(axis=0)).T
        responses, own = responses - offset.T[own], None
    else:
        offset = None
    levels = by_level(x, own)
    means = torch.from_numpy(levels.mean(responses, weight))
    total = torch.from_numpy(levels.total(weight))
    found = solution(model, levels.x, means, total, likelihood, levels.groups)
    if offset is None:
        offset = np.asarray(found.offset.expand(n_groups, responses.shape[1]).T)
    return _outside(model, found), offset


def fit_all(
    x: np.ndarray,
    responses: np.ndarray,
    models: Sequence[str],
    *,
    likelihood: str = "gaussian",
    baseline: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> dict[str, Fit]:
    """Fit several models, as `fit` does one; models with the same name are an error.

    Args:
        x: (n,) strengths or (n, dimensions) features.
        responses: (n, units).
        models: names, each once.
        likelihood: one of `LIKELIHOODS`.
        baseline: as for `fit`.
        trials: as for `fit`.
    """
    if len(set(models)) < len(models) or not models:
        raise NeuroferError(f"models={list(models)} must name at least one model, each once")
    return {
        name: fit(x, responses, name, likelihood=likelihood, baseline=baseline, trials=trials)
        for name in models
    }


def solution(
    model: Model,
    x: np.ndarray,
    means: torch.Tensor,
    weights: torch.Tensor,
    likelihood: str,
    groups: torch.Tensor | None = None,
) -> Solution:
    """Return the fits of (levels, batch) means.

    Args:
        model: to fit.
        x: (levels,) or (levels, dimensions).
        means: (levels, batch) mean responses.
        weights: (levels, batch) or (levels, 1) trials behind a mean.
        likelihood: one of `LIKELIHOODS`.
        groups: (groups, levels) which levels share a baseline; None: all do.
    """
    solver = solve if likelihood == "gaussian" else solve_poisson
    return solver(model, torch.from_numpy(x), means, weights, groups)


def solve_units(
    model: Model,
    x: np.ndarray,
    means: torch.Tensor,
    weights: torch.Tensor,
    likelihood: str,
    groups: torch.Tensor | None = None,
) -> np.ndarray:
    """Return (batch, parameters) as the user reads them, of (levels, batch) means.

    Args:
        model: to fit.
        x: (levels,) or (levels, dimensions).
        means: (levels, batch) mean responses.
        weights: (levels, batch) or (levels, 1) trials behind a mean.
        likelihood: one of `LIKELIHOODS`.
        groups: (groups, levels) which levels share a baseline; None: all do.
    """
    return _outside(model, solution(model, x, means, weights, likelihood, groups))


def predict(name: str, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (n, units) responses of a model at x with (units, parameters) values.

    Args:
        name: of the model.
        x: (n,) or (n, dimensions).
        values: (units, parameters), as `fit` returns them.
    """
    model = choose(name)
    linear, theta = _inside(model, x, values)
    phi = model.columns(torch.from_numpy(np.asarray(x, float)), theta)[0]
    return np.asarray(linear[0] + (linear[1:, None] * phi).sum(0))


def at_bound(name: str, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (units, parameters) whether a fitted value is the model's bound, not the data's.

    Args:
        name: of the model.
        x: (n,) or (n, dimensions) that was fitted.
        values: (units, parameters), as `fit` returns them.
    """
    model = choose(name)
    linear, theta = _inside(model, x, values)
    box = model.box(torch.from_numpy(np.asarray(x, float)))
    near = AT_BOUND * (box[:, 1:] - box[:, :1]).clamp(max=1e300)
    at = (theta <= box[:, :1] + near) | (theta >= box[:, 1:] - near)
    at &= torch.isfinite(box).all(dim=1, keepdim=True)
    none = (linear <= 0) & model.positive
    none[0] = False
    return np.asarray(torch.cat([none, at]).T)


def _inside(model: Model, x: np.ndarray, values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a and b (1 + m, units), and theta (p, units) with its logarithms."""
    names = _theta_names(model, x.shape[1] if x.ndim == 2 else 1)
    inside = torch.from_numpy(np.asarray(values, float).T.copy())
    linear, theta = inside[: len(inside) - len(names)], inside[len(inside) - len(names) :]
    for i, label in enumerate(names):
        if label in model.logarithmic:
            theta[i] = theta[i].log()
    return linear, theta


def _theta_names(model: Model, dimensions: int) -> list[str]:
    names = model.names(dimensions)
    linear = dimensions if model.features and "w" in model.linear else len(model.linear)
    return names[1 + linear :]


def _outside(model: Model, found: Solution) -> np.ndarray:
    """Return (batch, parameters): logarithms undone, a and b of every fit."""
    batch = len(found.a)
    theta = found.theta.clone().expand(-1, batch).clone()
    n_theta = len(theta)
    for i, label in enumerate(model.nonlinear):
        if label in model.logarithmic:
            # Of a vector and a number, the number comes last.
            place = n_theta - 1 if model.features else i
            theta[place] = theta[place].exp()
    return np.asarray(torch.cat([found.a[None], found.b.expand(-1, batch), theta]).T)


def _described(
    model: Model,
    likelihood: str,
    values: np.ndarray,
    offset: np.ndarray,
    responses: np.ndarray,
    x: np.ndarray,
    own: np.ndarray | None,
    weight: np.ndarray,
    live: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (units,) rss, log likelihood and R2 of the units that were fitted."""
    rss, log_likelihood, r2 = (np.full(responses.shape[1], np.nan) for _ in range(3))
    if not len(live):
        return rss, log_likelihood, r2
    shown = responses[:, live]
    levels = by_level(x)
    fitted = predict(model.name, levels.x, values[live])[levels.index]
    if own is not None:
        fitted = fitted + offset[live].T[own]
    total = np.nansum(less_own_mean(shown, own) ** 2, axis=0)
    rss[live] = np.maximum(np.nansum((shown - fitted) ** 2, axis=0), ROUNDING * total)
    r2[live] = 1 - rss[live] / total
    if likelihood == "gaussian":
        n = (~np.isnan(shown)).sum(axis=0)
        log_likelihood[live] = -n / 2 * (np.log(2 * np.pi * rss[live] / n) + 1)
    else:
        own_weight = weight if weight.shape[1] == 1 else weight[:, live]
        log_likelihood[live] = _poisson(shown, fitted, own_weight)
    return rss, log_likelihood, r2


def _poisson(shown: np.ndarray, fitted: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return (units,) log likelihoods of the sums of counts, of so many trials each."""
    from scipy.special import gammaln, xlogy

    mean = np.maximum(fitted, np.finfo(float).tiny) * trials
    total = np.where(np.isnan(shown), 0.0, shown) * trials
    return np.asarray((xlogy(total, mean) - mean - gammaln(total + 1)).sum(axis=0, where=mean > 0))
