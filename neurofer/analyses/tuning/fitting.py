"""Fits of tuning models to all units at once, on arrays, and the criteria that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neurofer.analyses.tuning.models import MODELS, Model, choose
from neurofer.analyses.tuning.poisson import solve_poisson
from neurofer.analyses.tuning.solve import Solution, solve
from neurofer.analyses.unit_status import CONSTANT, FEW_LEVELS, IS_CONSTANT, NOT_FINITE, OK
from neurofer.errors import NeuroferError, unknown_choice

LIKELIHOODS = ("gaussian", "poisson")
CRITERIA = ("bic", "aicc", "aic", "cv")
NEGATIVE = "negative"
# Residuals of less than this part of the sum of squares are rounding; models share the floor.
ROUNDING = 1e-24
# A value within this part of its range from an end is at the end.
AT_BOUND = 1e-4


@dataclass(frozen=True)
class Levels:
    """Presentations by what was shown.

    Attributes:
        x: (levels,) or (levels, dimensions), distinct.
        index: (n,) level of each presentation.
    """

    x: np.ndarray
    index: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """(levels,) number of presentations."""
        return np.bincount(self.index, minlength=len(self.x))

    def mean(self, responses: np.ndarray) -> np.ndarray:
        """Return (levels, units) means of (n, units)."""
        sums = np.zeros((len(self.x), responses.shape[1]))
        np.add.at(sums, self.index, responses)
        return sums / self.count[:, None]


@dataclass(frozen=True)
class Fit:
    """A tuning model fitted to every unit.

    Attributes:
        model: its name.
        likelihood: "gaussian" or "poisson".
        names: of the parameters of the mean, "a" first.
        values: (units, parameters); NaN where `status` is not "ok".
        status: (units,) "ok", "not finite", "negative" (for counts), "constant" ("flat" has its
            value, all else is NaN), "too few levels" (fewer distinct x than parameters).
        rss: (units,) residual sum of squares.
        log_likelihood: (units,) at the maximum.
        r2: (units,) 1 - RSS / TSS.
        n: number of presentations.
        k: number of parameters, with the variance of Gaussian noise.
    """

    model: str
    likelihood: str
    names: list[str]
    values: np.ndarray
    status: np.ndarray
    rss: np.ndarray
    log_likelihood: np.ndarray
    r2: np.ndarray
    n: int
    k: int

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
        if rest <= 0:
            return np.full_like(self.aic, np.nan)
        return self.aic + 2 * self.k * (self.k + 1) / rest

    @property
    def bic(self) -> np.ndarray:
        """(units,) k log n - 2 log L. Schwarz 1978, Annals of Statistics 6:461."""
        return self.k * np.log(self.n) - 2 * self.log_likelihood

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return (n, units) predicted responses at (n,) strengths or (n, dimensions) features."""
        return predict(self.model, np.asarray(x, float), self.values)


def fit(
    x: np.ndarray,
    responses: np.ndarray,
    model: str = "linear",
    *,
    likelihood: str = "gaussian",
) -> Fit:
    """Fit one tuning model to all units by maximum likelihood.

    As f depends on x alone, the means at distinct x are all that the fit needs of the responses;
    `rss`, `log_likelihood` and `n` are those of the presentations.

    Args:
        x: (n,) strengths, or (n, dimensions) features as differences from the norm.
        responses: (n,) or (n, units).
        model: one of `MODELS`.
        likelihood: "gaussian" with a common variance, or "poisson" with f as the mean count.

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
    levels = by_level(x)
    status = status_of(responses, likelihood)
    names = chosen.names(x.shape[1] if x.ndim == 2 else 1)
    if len(levels.x) < len(names):
        status = np.where(status == OK, FEW_LEVELS, status)
    live = status == OK
    values = np.full((responses.shape[1], len(names)), np.nan)
    if live.any():
        means = torch.from_numpy(levels.mean(responses[:, live]))
        weights = torch.from_numpy(levels.count.astype(float))[:, None]
        values[live] = solve_units(chosen, levels.x, means, weights, likelihood)
    if model == "flat":
        constant = status == IS_CONSTANT
        values[constant] = responses[:, constant].mean(axis=0)[:, None]
    return _described(chosen, likelihood, names, values, status, responses, levels)


def fit_all(
    x: np.ndarray,
    responses: np.ndarray,
    models: Sequence[str],
    *,
    likelihood: str = "gaussian",
) -> dict[str, Fit]:
    """Fit several models, as `fit` does one; models with the same name are an error."""
    if len(set(models)) < len(models) or not models:
        raise NeuroferError(f"models={list(models)} must name at least one model, each once")
    return {name: fit(x, responses, name, likelihood=likelihood) for name in models}


def solve_units(
    model: Model, x: np.ndarray, means: torch.Tensor, weights: torch.Tensor, likelihood: str
) -> np.ndarray:
    """Return (batch, parameters) as the user reads them, of (levels, batch) means."""
    solver = solve if likelihood == "gaussian" else solve_poisson
    return _outside(model, solver(model, torch.from_numpy(x), means, weights))


def predict(name: str, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (n, units) responses of a model at x with (units, parameters) values."""
    model = choose(name)
    linear, theta = _inside(model, x, values)
    phi = model.columns(torch.from_numpy(np.asarray(x, float)), theta)[0]
    return np.asarray(linear[0] + (linear[1:, None] * phi).sum(0))


def at_bound(name: str, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (units, parameters) whether a fitted value is the model's bound, not the data's."""
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


def by_level(x: np.ndarray) -> Levels:
    """Return presentations by their distinct x."""
    distinct, index = np.unique(x, axis=0, return_inverse=True)
    return Levels(distinct, index.ravel())


def check_arrays(
    x: np.ndarray, responses: np.ndarray, model: Model
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and (n, units) responses as float64, or say what is wrong with them."""
    x, responses = np.asarray(x, np.float64), np.asarray(responses, np.float64)
    responses = responses[:, None] if responses.ndim == 1 else responses
    if responses.ndim != 2 or x.ndim not in (1, 2) or len(x) != len(responses):
        raise NeuroferError(
            f"x has shape {x.shape} and responses {responses.shape}; x must be (n,) or "
            "(n, dimensions) and responses (n, units) of the same n"
        )
    if (model.features and x.ndim == 1) or (not model.features and x.ndim == 2 and model.linear):
        wanted = "feature vectors (n, dimensions)" if model.features else "strengths (n,)"
        raise NeuroferError(f"model {model.name!r} takes {wanted}; x has shape {x.shape}")
    if not np.isfinite(x).all():
        raise NeuroferError(f"x holds {int((~np.isfinite(x)).sum())} values that are not finite")
    if len(x) == 0 or (x == x[0]).all():
        raise NeuroferError(f"all {len(x)} presentations show the same x: there is no tuning to it")
    return x, responses


def status_of(responses: np.ndarray, likelihood: str) -> np.ndarray:
    """Return (units,) what can be done with each unit."""
    with np.errstate(invalid="ignore"):
        extent = responses.max(axis=0) - responses.min(axis=0)
        constant = extent <= CONSTANT * np.abs(responses).max(axis=0)
        negative = (responses < 0).any(axis=0) & (likelihood == "poisson")
    finite = np.isfinite(responses).all(axis=0)
    conditions = [~finite, negative, constant]
    return np.select(conditions, [NOT_FINITE, NEGATIVE, IS_CONSTANT], OK)


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
    names: list[str],
    values: np.ndarray,
    status: np.ndarray,
    responses: np.ndarray,
    levels: Levels,
) -> Fit:
    n, live = len(responses), status == OK
    nothing = np.full(len(status), np.nan)
    rss, log_likelihood, r2 = nothing, nothing.copy(), nothing.copy()
    if live.any():
        shown = responses[:, live]
        fitted = predict(model.name, levels.x, values[live])[levels.index]
        total = ((shown - shown.mean(axis=0)) ** 2).sum(axis=0)
        rss[live] = np.maximum(((shown - fitted) ** 2).sum(axis=0), ROUNDING * total)
        r2[live] = 1 - rss[live] / total
        log_likelihood[live] = _log_likelihood(likelihood, shown, fitted, rss[live])
    k = len(names) + (likelihood == "gaussian")
    return Fit(model.name, likelihood, names, values, status, rss, log_likelihood, r2, n, k)


def _log_likelihood(
    likelihood: str, shown: np.ndarray, fitted: np.ndarray, rss: np.ndarray
) -> np.ndarray:
    from scipy.special import gammaln, xlogy

    n = len(shown)
    if likelihood == "gaussian":
        return -n / 2 * (np.log(2 * np.pi * rss / n) + 1)
    mean = np.maximum(fitted, np.finfo(float).tiny)
    return (xlogy(shown, mean) - mean - gammaln(shown + 1)).sum(axis=0)


def criterion_of(fit: Fit, criterion: str) -> np.ndarray:
    """Return (units,) aic, aicc or bic: less is better."""
    if criterion not in CRITERIA[:3]:
        raise unknown_choice("criterion", criterion, CRITERIA[:3])
    return np.asarray(getattr(fit, criterion))


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
    names = np.array(list(fits))
    values = np.stack([criterion_of(one, criterion) for one in fits.values()])
    return winners(names, values, next(iter(fits.values())).status)


def winners(names: np.ndarray, values: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Return (units,) the name of the model of the least of (models, units) values, as `select`."""
    shown = np.isfinite(values)
    best = names[np.where(shown, values, np.inf).argmin(axis=0)]
    best = np.where(shown.any(axis=0), best, "")
    return np.where((status == IS_CONSTANT) & np.isin("flat", names), "flat", best)


__all__ = ["CRITERIA", "LIKELIHOODS", "MODELS", "Fit", "Levels", "fit", "fit_all", "predict"]
