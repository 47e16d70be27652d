"""Linear or saturating? Tests of a unit's curvature, and mixed models of a population's mean.

Pure functions on arrays; `linearity` runs them on recordings.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError

VERDICTS = ("linear", "saturating", "accelerating", "flat", "not testable")
TESTED, FEW, CONSTANT_UNIT = "ok", "too few strengths", "constant"
FEWEST_GROUPS = 3


@dataclass(frozen=True)
class MixedModel:
    """A linear mixed model, fitted by restricted maximum likelihood.

    Attributes:
        terms: a row a fixed effect, indexed by its name: coefficient, low, high (95 %, normal), p.
        identity_sd: of the random intercepts.
        residual_sd: of the noise.
        status: "converged", or in words what is wrong; then the numbers must not be trusted.
    """

    terms: pd.DataFrame
    identity_sd: float
    residual_sd: float
    status: str


def isotonic_r2(activity: np.ndarray) -> np.ndarray:
    """Return (units,) R2 of the best monotone function, rising or falling, of (k, units) activity.

    The isotonic fit is max over a <= i of min over b >= i of the mean of a to b, for all units at
    once (Robertson, Wright & Dykstra 1988, theorem 1.4.4). 0 for constant units.

    >>> isotonic_r2(np.array([[0.0, 2.0], [2.0, 1.0], [1.0, 0.0]])).round(3).tolist()
    [0.75, 1.0]
    """
    y = np.asarray(activity, np.float64)
    y = y - y.mean(axis=0)
    total = (y**2).sum(axis=0)
    rest = np.minimum(*(((z - _rising(z)) ** 2).sum(axis=0) for z in (y, -y)))
    return np.divide(total - rest, total, out=np.zeros_like(total), where=total > 0)


def _rising(y: np.ndarray) -> np.ndarray:
    k = len(y)
    sums = np.concatenate([np.zeros((1, *y.shape[1:])), y.cumsum(axis=0)])
    fitted = np.full(y.shape, -np.inf)
    for i in range(k):
        for a in range(i + 1):
            counts = np.arange(i + 1 - a, k + 1 - a)[:, None]
            fitted[i] = np.maximum(fitted[i], ((sums[i + 1 :] - sums[a]) / counts).min(axis=0))
    return fitted


def kendall(strength: np.ndarray, activity: np.ndarray) -> np.ndarray:
    """Return (units,) Kendall's tau-b of (k,) strengths with (k, units); 0 for constant units.

    >>> kendall(np.array([0.0, 0.5, 1.0]), np.array([[1.0], [3.0], [2.0]])).round(3).tolist()
    [0.333]
    """
    first, second = np.triu_indices(len(strength), 1)
    x = np.sign(np.asarray(strength, float)[second] - np.asarray(strength, float)[first])
    y = np.sign(activity[second] - activity[first])
    size = np.sqrt((x != 0).sum() * (y != 0).sum(axis=0))
    return np.divide(x @ y, size, out=np.zeros(y.shape[1]), where=size > 0)


def norm_index(activity: np.ndarray) -> np.ndarray:
    """Return (units,) (full - neutral) / (|full| + |neutral|) of the (k, units) activity.

    1 for units that are silent at the norm, 0 for those that do not tell it from full strength (or
    are silent at both), -1 for those that respond to the norm only.

    >>> norm_index(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
    [0.5, 0.0]
    """
    full, neutral = np.asarray(activity[-1], float), np.asarray(activity[0], float)
    size = np.abs(full) + np.abs(neutral)
    return np.divide(full - neutral, size, out=np.zeros_like(size), where=size > 0)


def curvature_test(
    strength: np.ndarray, activity: np.ndarray, series: np.ndarray, *, alpha: float = 0.05
) -> dict[str, np.ndarray]:
    """Test for every unit whether its activity is linear in strength, or curved.

    Nested F tests. slope_p: one slope, common to all series, against none, each series with its
    own intercept. curvature_p: a curvature common to all series against none, each series with its
    own line, so that identities may differ in gain. Residuals are taken to be independent and of
    equal variance.

    Args:
        strength: (n,) strengths.
        activity: (n, units).
        series: (n,) head, identity and expression.
        alpha: of both tests; nothing is corrected for the number of units.

    Returns:
        Each (units,): slope, curvature (of c in a + b x + c x^2), slope_p, curvature_p,
        saturation (the part of the slope at 0 that is lost at full strength, -2 c x / b at the
        greatest strength x, where b is the slope at 0), status ("ok", "constant", "too few
        strengths") and verdict: "linear" (slope, no curvature), "saturating" (curvature against the
        slope), "accelerating" (with it), "flat" (neither), "not testable". p is NaN unless "ok".
    """
    x, y = np.asarray(strength, float), np.asarray(activity, float)
    index = np.unique(series, return_inverse=True)[1].ravel()
    scale = np.abs(y).max(axis=0, initial=0.0)
    dx, dy = _centred(x, index), _centred(y, index)
    slope, slope_p = _partial(dx, dy, len(x) - index.max() - 2, scale)
    # What of x^2 and of the activity each series' own line leaves.
    square = _off_line(_centred(x**2, index), dx, index)
    rest = _off_line(dy, dx, index)
    own = np.bincount(index, dx**2) > 0
    freedom = len(x) - len(own) - int(own.sum()) - 1
    curvature, curvature_p = _partial(square, rest, freedom, scale)
    constant = np.ptp(y, axis=0) <= 1e-6 * scale
    few = np.full(y.shape[1], freedom < 1 or (square**2).sum() <= 1e-12)
    status = np.select([constant, few], [CONSTANT_UNIT, FEW], TESTED)
    live = status == TESTED
    both = {"slope_p": slope_p, "curvature_p": curvature_p}
    both = {name: np.where(live, value, np.nan) for name, value in both.items()}
    mean_x = float((dx @ _centred(x**2, index)) / (dx @ dx)) if (dx @ dx) > 0 else np.nan
    at_zero = slope - curvature * mean_x
    lost = np.divide(
        -2 * curvature * x.max(), at_zero, out=np.full_like(slope, np.nan), where=at_zero != 0
    )
    return {
        "slope": slope,
        "curvature": np.where(live, curvature, np.nan),
        **both,
        "saturation": np.where(live, lost, np.nan),
        "status": status,
        "verdict": _verdicts(slope, curvature, both, alpha, constant, live),
    }


def _verdicts(
    slope: np.ndarray,
    curvature: np.ndarray,
    p: dict[str, np.ndarray],
    alpha: float,
    constant: np.ndarray,
    live: np.ndarray,
) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        curved, sloped = p["curvature_p"] < alpha, p["slope_p"] < alpha
    against = slope * curvature < 0
    conditions = [constant, ~live, curved & against, curved, sloped]
    return np.select(
        conditions, ["flat", "not testable", "saturating", "accelerating", "linear"], "flat"
    )


def _centred(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return values less the mean of their series."""
    total = np.zeros((index.max() + 1, *values.shape[1:]))
    np.add.at(total, index, values)
    count = np.bincount(index).reshape(-1, *[1] * (values.ndim - 1))
    return values - (total / count)[index]


def _off_line(values: np.ndarray, dx: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return centred values less the least-squares line on centred x of their own series."""
    size = np.bincount(index, dx**2)
    column = dx.reshape(-1, *[1] * (values.ndim - 1))
    along = np.zeros((index.max() + 1, *values.shape[1:]))
    np.add.at(along, index, column * values)
    size = np.where(size > 0, size, 1.0).reshape(-1, *[1] * (values.ndim - 1))
    return values - column * (along / size)[index]


def _partial(
    column: np.ndarray, rest: np.ndarray, freedom: int, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (units,) the coefficient of one more column, and p of its F test."""
    from scipy.stats import f

    size = float(column @ column)
    if freedom < 1 or size <= 1e-12:
        nothing = np.full(rest.shape[1], np.nan)
        return nothing, nothing.copy()
    coefficient = column @ rest / size
    left = ((rest - column[:, None] * coefficient) ** 2).sum(axis=0)
    # What float32 rounds of a recording is neither noise nor curvature.
    explained = coefficient**2 * size
    rounding = len(rest) * (1e-6 * scale) ** 2
    value = freedom * explained / np.maximum(left, rounding + np.finfo(float).tiny)
    return coefficient, np.where(explained > rounding, f.sf(value, 1, freedom), 1.0)


def naka_rushton_advantage(
    strength: np.ndarray, activity: np.ndarray, series: np.ndarray
) -> np.ndarray:
    """Return (units,) AICc of the line less that of the Naka-Rushton function: > 0 where it wins.

    Both are fitted by `tuning.fit`, after each series was moved to the common mean. NaN where the
    AICc of either is undefined or a unit cannot be fitted.
    """
    from neurofer.analyses import tuning

    y = np.asarray(activity, float)
    index = np.unique(series, return_inverse=True)[1].ravel()
    moved = _centred(y, index) + y.mean(axis=0)
    line, curve = (tuning.fit(strength, moved, name).aicc for name in ("linear", "naka-rushton"))
    return np.asarray(line - curve)


def mixed_model(
    activity: np.ndarray, strength: np.ndarray, head: np.ndarray, identity: np.ndarray
) -> MixedModel:
    """Fit activity ~ strength * head with identity as random intercept, by statsmodels' MixedLM.

    Heads are coded as differences from the first that is named: "strength" is its slope,
    "strength x monkey" what the monkey's differs by.

    Args:
        activity: (n,).
        strength: (n,).
        head: (n,) names; the first row's is the reference.
        identity: (n,) groups of the random intercepts, named within their head.

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
    if groups < FEWEST_GROUPS:
        return _no_model(list(design), f"{groups} identities; random effects need {FEWEST_GROUPS}")
    if np.ptp(y) <= 1e-6 * np.abs(y).max():
        return _no_model(list(design), "activity is constant")
    columns = pd.DataFrame(design)
    line = np.linalg.lstsq(columns.to_numpy(), y, rcond=None)[0]
    # In units of the noise: the warnings of statsmodels compare variances with absolute numbers.
    scale = float(np.std(y - columns.to_numpy() @ line))
    if scale <= 1e-6 * np.abs(y).max():
        return _no_model(list(design), "activity follows strength and head exactly: no noise")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fit = MixedLM(y / scale, columns, groups=np.asarray(identity)).fit(reml=True)
            terms = _terms(fit, list(design), scale)
    except (np.linalg.LinAlgError, ValueError) as error:
        return _no_model(list(design), f"not fitted: {error}")
    said = [str(one.message).splitlines()[0] for one in told]
    if not fit.converged:
        said.insert(0, "not converged")
    sd = np.sqrt(np.maximum([float(np.asarray(fit.cov_re)[0, 0]), fit.scale], 0)) * scale
    status = "; ".join(dict.fromkeys(said)) or "converged"
    return MixedModel(terms, float(sd[0]), float(sd[1]), status)


def _terms(fit: Any, names: list[str], scale: float) -> pd.DataFrame:
    interval = np.asarray(fit.conf_int())[: len(names)] * scale
    columns = {"coefficient": np.asarray(fit.fe_params) * scale, "low": interval[:, 0]}
    columns |= {"high": interval[:, 1], "p": np.asarray(fit.pvalues)[: len(names)]}
    return pd.DataFrame(columns, index=names)


def _no_model(names: list[str], status: str) -> MixedModel:
    terms = pd.DataFrame(np.nan, index=names, columns=["coefficient", "low", "high", "p"])
    return MixedModel(terms, np.nan, np.nan, status)


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is a level of significance."""
    if not 0 < alpha < 1:
        raise NeuroferError(f"alpha={alpha} must lie between 0 and 1")
