"""Mixed models of activity on strength x head, of a population's mean or of every unit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neurofer.analyses.inputs import CONSTANT
from neurofer.analyses.linearity.curvature import FEWEST_GROUPS

CONVERGED, NOT_CONVERGED = "converged", "not converged"
AT_BOUND = "a variance is zero"
UNSURE, NO_ERRORS = "standard errors are unsure", "no standard errors"
# Gradients vanish where a variance is zero, as it often is of a single unit: of 24 units with and
# without differing identities, statsmodels' own order (bfgs, lbfgs, cg) left 8 % without an answer,
# and with random slopes 29 %; Powell's search none. With slopes either search may miss the top.
SEARCHES = (("powell",), ("lbfgs", "powell"))
# What a warning of statsmodels says -> what `status` says; "" for what `converged` says already.
WORDS = {
    "boundary of the parameter space": AT_BOUND,
    "covariance is singular": AT_BOUND,
    "covariance matrix is singular": AT_BOUND,
    "invalid value encountered": "",  # at a step of the search
    "not positive definite": UNSURE,
    "failed to converge": "",
    "Retrying": "",
    "optimization failed": "",
}


@dataclass(frozen=True)
class MixedModel:
    """A linear mixed model, fitted by restricted maximum likelihood.

    Attributes:
        terms: a row a fixed effect, indexed by its name: coefficient, low, high (95 %) and p, by
            the normal distribution, as statsmodels; with random slopes by Student's t at as many
            degrees of freedom as there are identities more than heads, because all effects then
            vary between identities (of 15 the normal interval covers 93 %).
        identity_sd: of the random intercepts.
        slope_sd: of the random slopes; NaN without.
        residual_sd: of the noise.
        status: "converged", or in words what is wrong; then the numbers must not be trusted.
    """

    terms: pd.DataFrame
    identity_sd: float
    slope_sd: float
    residual_sd: float
    status: str


def mixed_model(
    activity: np.ndarray,
    strength: np.ndarray,
    head: np.ndarray,
    identity: np.ndarray,
    *,
    random_slopes: bool = False,
) -> MixedModel:
    """Fit activity ~ strength * head with identity as random effect, by statsmodels' MixedLM.

    Heads are coded as differences from the first that is named: "strength" is its slope,
    "strength x monkey" what the monkey's differs by.

    Args:
        activity: (n,).
        strength: (n,).
        head: (n,) names; the first row's is the reference.
        identity: (n,) groups of the random intercepts, named within their head.
        random_slopes: identities also differ in slope, with any covariance of the two.

    Returns:
        The model. What statsmodels warns of, and a fit that fails, stand in `status`.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    heads = list(dict.fromkeys(np.asarray(head).tolist()))
    x = np.asarray(strength, float)
    design: dict[str, np.ndarray] = {"intercept": np.ones_like(x), "strength": x}
    for name in heads[1:]:
        design[name] = (np.asarray(head) == name).astype(float)
        design[f"strength x {name}"] = x * design[name]
    y = np.asarray(activity, float)
    groups = len(np.unique(identity))
    if not np.isfinite(y).all():
        return _no_model(list(design), "activity is not finite")
    if groups < max(FEWEST_GROUPS, len(heads) + 1):
        fewest = max(FEWEST_GROUPS, len(heads) + 1)
        return _no_model(list(design), f"{groups} identities; random effects need {fewest}")
    if np.ptp(y) <= CONSTANT * np.abs(y).max():
        return _no_model(list(design), "activity is constant")
    columns = pd.DataFrame(design)
    line = np.linalg.lstsq(columns.to_numpy(), y, rcond=None)[0]
    # In units of the noise: the warnings of statsmodels compare variances with absolute numbers.
    scale = float(np.std(y - columns.to_numpy() @ line))
    if scale <= CONSTANT * np.abs(y).max():
        return _no_model(list(design), "activity follows strength and head exactly: no noise")
    random = columns[["intercept", "strength"][: 1 + random_slopes]]
    fit, status = _best(MixedLM(y / scale, columns, np.asarray(identity), random), random_slopes)
    if fit is None:
        return _no_model(list(design), status)
    freedom = groups - len(heads) if random_slopes else np.inf
    terms = _terms(fit, list(design), scale, freedom)
    if not np.isfinite(terms.to_numpy()).all():
        status = f"{status}; {NO_ERRORS}".removeprefix(f"{CONVERGED}; ")
    variances = [*np.diag(np.asarray(fit.cov_re)), *([] if random_slopes else [np.nan]), fit.scale]
    sd = np.sqrt(np.maximum(np.array(variances, float), 0)) * scale
    return MixedModel(terms, float(sd[0]), float(sd[1]), float(sd[2]), status)


def _best(model: Any, random_slopes: bool) -> tuple[Any, str]:
    """Return the fit of the greatest likelihood, and its status; None where none succeeds."""
    best, most, status = None, -np.inf, ""
    for methods in SEARCHES[: 1 + random_slopes]:
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                fit = model.fit(reml=True, method=list(methods))
        except (np.linalg.LinAlgError, ValueError) as error:
            status = status or f"{NOT_CONVERGED}: {error}"
            continue
        if best is None or fit.llf > most:
            most = fit.llf if np.isfinite(fit.llf) else -np.inf
            best, status = fit, _said(fit.converged, [str(one.message) for one in told])
    return best, status


def _said(converged: bool, told: list[str]) -> str:
    """Return statsmodels' warnings in a few fixed words; what is not known is said as it is."""
    found = [] if converged else [NOT_CONVERGED]
    for message in told:
        known = [word for mark, word in WORDS.items() if mark in message]
        found += known[:1] or [message.splitlines()[0]]
    return "; ".join(dict.fromkeys(word for word in found if word)) or CONVERGED


def _terms(fit: Any, names: list[str], scale: float, freedom: float) -> pd.DataFrame:
    from scipy.stats import t

    estimate, error = np.asarray(fit.fe_params), np.asarray(fit.bse_fe)
    half = float(t.ppf(0.975, freedom)) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * t.sf(np.abs(estimate / error), freedom)
    columns = {"coefficient": estimate, "low": estimate - half, "high": estimate + half}
    columns = {name: value * scale for name, value in columns.items()}
    return pd.DataFrame({**columns, "p": p}, index=names)


def _no_model(names: list[str], status: str) -> MixedModel:
    terms = pd.DataFrame(np.nan, index=names, columns=["coefficient", "low", "high", "p"])
    return MixedModel(terms, np.nan, np.nan, np.nan, status)
