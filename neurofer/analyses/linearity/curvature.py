"""Linear or saturating? Indices of a unit's shape, and tests of its curvature.

Pure functions on arrays; `linearity` runs them on recordings.
"""

from __future__ import annotations

import numpy as np

from neurofer.analyses.inputs import CONSTANT, FEW_LEVELS, IS_CONSTANT, OK
from neurofer.analyses.linearity.identities import FEWEST_IDENTITIES, mean_test, shape_test
from neurofer.errors import NeuroferError

NOT_TESTABLE = "not testable"
VERDICTS = ("linear", "saturating", "accelerating", "flat", NOT_TESTABLE)
FEWEST_GROUPS = 3
FEW_IDENTITIES = "too few identities"
IDENTITIES, PRESENTATIONS = "identities", "presentations"


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
    strength: np.ndarray,
    activity: np.ndarray,
    series: np.ndarray,
    *,
    alpha: float = 0.05,
    over: str = IDENTITIES,
    n_choices: int = 1,
) -> dict[str, np.ndarray]:
    """Test for every unit whether its activity is linear in strength, or curved.

    slope_p: whether the slope, common to all series, is 0, each series with its own intercept.
    curvature_p: whether a curvature common to all series is 0, each series with its own line.
    saturating_p and accelerating_p: the same test with one side, curvature against the slope and
    with it; in a balanced design the curvature is estimated independently of the slope, so that the
    slope's sign may be taken from the data. lack_of_fit_p: a deviation of any shape common to all
    series, which also finds sigmoids, whose curvatures cancel.

    Args:
        strength: (n,) strengths.
        activity: (n, units).
        series: (n,) head, identity and expression.
        alpha: of the verdict; nothing is corrected for the number of units.
        over: "identities" asks of other people: series are the independent units, whose slopes and
            curvatures may differ (`linearity_identities`). "presentations" asks of these people
            only: F tests with residuals taken to be independent and of equal variance.
        n_choices: of how many expressions this one was chosen for its slope; slope_p and the
            interval hold for the chosen one. The choice does not bear on the curvature.

    Returns:
        Each (units,): slope, with slope_low and slope_high (95 %, Student's t over series, so that
        identities may differ in gain; NaN below three series), sign (1 rises, -1 falls; 0 where
        slope_p is not below alpha), curvature (of c in a + b x + c x^2), the five p, saturation
        (the part of the slope at 0 that is lost at full strength, -2 c x / b at the greatest
        strength x, where b is the slope at 0), status ("ok", "constant", "too few levels", "too few
        identities": three) and verdict: "linear" (slope, no curvature), "saturating" (curvature
        against the slope), "accelerating" (with it), "flat" (neither), "not testable". p is NaN
        unless "ok"; lack_of_fit_p also where too few series share their strengths.
    """
    x, y = np.asarray(strength, float), np.asarray(activity, float)
    index = np.unique(series, return_inverse=True)[1].ravel()
    scale = np.abs(y).max(axis=0, initial=0.0)
    dx, dy = _centred(x, index), _centred(y, index)
    common = mean_test(dx, dy, index, scale, n_choices)
    # What of x^2 and of the activity each series' own line leaves.
    square = _off_line(_centred(x**2, index), dx, index)
    rest = _off_line(dy, dx, index)
    own = np.bincount(index, dx**2) > 0
    freedom = len(x) - len(own) - int(own.sum())
    if over == IDENTITIES:
        slope, slope_p, bent = common["value"], common["p"], mean_test(square, rest, index, scale)
        curvature, curvature_p = bent["value"], bent["p"]
        lack_of_fit = shape_test(x, rest, index, scale)
    else:
        slope, slope_p = _partial(dx, dy, len(x) - index.max() - 2, scale)
        slope_p = np.minimum(1.0, n_choices * slope_p)
        curvature, curvature_p = _partial(square, rest, freedom - 1, scale)
        lack_of_fit = _lack_of_fit(x, rest, dx, index, freedom, scale)
    constant = np.ptp(y, axis=0) <= CONSTANT * scale
    few = np.full(y.shape[1], freedom < 2 or (square**2).sum() <= 1e-12)
    lone = np.full(y.shape[1], over == IDENTITIES and own.sum() < FEWEST_IDENTITIES)
    status = np.select([constant, few, lone], [IS_CONSTANT, FEW_LEVELS, FEW_IDENTITIES], OK)
    live = status == OK
    against = slope * curvature < 0
    saturating_p = np.where(against, curvature_p / 2, 1 - curvature_p / 2)
    mean_x = float((dx @ _centred(x**2, index)) / (dx @ dx)) if (dx @ dx) > 0 else np.nan
    at_zero = slope - curvature * mean_x
    lost = np.divide(
        -2 * curvature * x.max(), at_zero, out=np.full_like(slope, np.nan), where=at_zero != 0
    )
    tested = {
        "curvature": curvature,
        "slope_p": slope_p,
        "curvature_p": curvature_p,
        "saturating_p": saturating_p,
        "accelerating_p": 1 - saturating_p,
        "lack_of_fit_p": lack_of_fit,
        "saturation": lost,
    }
    found = {"slope": slope, "slope_low": common["low"], "slope_high": common["high"]}
    found |= {name: np.where(live, value, np.nan) for name, value in tested.items()}
    found["status"] = status
    with np.errstate(invalid="ignore"):
        found["sign"] = np.where(live & (slope_p < alpha), np.sign(slope), 0.0)
    return found | {"verdict": verdicts(found, found["slope_p"], found["curvature_p"], alpha)}


def verdicts(
    tested: dict[str, np.ndarray], slope_p: np.ndarray, curvature_p: np.ndarray, alpha: float
) -> np.ndarray:
    """Return (units,) verdicts of `curvature_test`'s estimates, at these p-values.

    Args:
        tested: name -> (units,) estimates of `curvature_test`.
        slope_p: (units,) p-values of the slope.
        curvature_p: (units,) p-values of the curvature.
        alpha: level of the tests.
    """
    with np.errstate(invalid="ignore"):
        curved, sloped = curvature_p < alpha, slope_p < alpha
        against = tested["slope"] * tested["curvature"] < 0
    constant, few = tested["status"] == IS_CONSTANT, tested["status"] != OK
    conditions = [constant, few, curved & against, curved, sloped]
    return np.select(
        conditions, ["flat", NOT_TESTABLE, "saturating", "accelerating", "linear"], "flat"
    )


def _lack_of_fit(
    x: np.ndarray,
    rest: np.ndarray,
    dx: np.ndarray,
    index: np.ndarray,
    freedom: int,
    scale: np.ndarray,
) -> np.ndarray:
    """Return (units,) p of F: a mean of its own for every strength, beyond each series' line."""
    from scipy.stats import f

    levels = (x[:, None] == np.unique(x)).astype(float)
    bent = _off_line(_centred(levels, index), dx, index)
    basis, size, _ = np.linalg.svd(bent, full_matrices=False)
    basis = basis[:, size > 1e-9]
    freedom -= basis.shape[1]
    if freedom < 1 or not basis.shape[1]:
        return np.full(rest.shape[1], np.nan)
    explained = ((basis.T @ rest) ** 2).sum(axis=0)
    left = (rest**2).sum(axis=0) - explained
    rounding = len(rest) * (CONSTANT * scale) ** 2
    value = freedom / basis.shape[1] * explained
    value = value / np.maximum(left, rounding + np.finfo(float).tiny)
    return np.where(explained > rounding, f.sf(value, basis.shape[1], freedom), 1.0)


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
    rounding = len(rest) * (CONSTANT * scale) ** 2
    value = freedom * explained / np.maximum(left, rounding + np.finfo(float).tiny)
    return coefficient, np.where(explained > rounding, f.sf(value, 1, freedom), 1.0)


def naka_rushton_advantage(
    strength: np.ndarray, activity: np.ndarray, series: np.ndarray
) -> np.ndarray:
    """Return (units,) AICc of the line less that of the Naka-Rushton function: > 0 where it wins.

    Both are fitted by `tuning.fit`, after each series was moved to the common mean. NaN where the
    AICc of either is undefined or a unit cannot be fitted.

    Args:
        strength: (n,) strengths.
        activity: (n, units) responses.
        series: (n,) the series of each presentation.
    """
    from neurofer.analyses import tuning

    y = np.asarray(activity, float)
    index = np.unique(series, return_inverse=True)[1].ravel()
    moved = _centred(y, index) + y.mean(axis=0)
    line, curve = (tuning.fit(strength, moved, name).aicc for name in ("linear", "naka-rushton"))
    return np.asarray(line - curve)


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is a level of significance."""
    if not 0 < alpha < 1:
        raise NeuroferError(f"alpha={alpha} must lie between 0 and 1")
