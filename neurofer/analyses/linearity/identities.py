"""Tests over identities: whether what a unit shows would hold of other people.

Every identity gives one slope, one curvature and one deviation of another shape; what is tested is
their mean over identities, by how they differ. An F test of presentations takes what differs
between people for common tuning: without any, and with slopes that differ as much as the noise,
28 % of slopes are "significant".
"""

from __future__ import annotations

import numpy as np

from neurofer.analyses.inputs import CONSTANT

FEWEST_IDENTITIES = 3


def mean_test(
    column: np.ndarray, rest: np.ndarray, index: np.ndarray, scale: np.ndarray, n_choices: int = 1
) -> dict[str, np.ndarray]:
    """Test whether the coefficient of a column is 0 on average over identities.

    Where all identities were shown the same, this is Student's t test of their own coefficients,
    and that of a mixed model with random slopes; else the sandwich over identities (Liang & Zeger
    1986, Biometrika 73:13), with n / (n - 1) and n - 1 degrees of freedom.

    Args:
        column: (n,) less what each identity's intercept (and line) explains of it.
        rest: (n, units) responses, less the same.
        index: (n,) number of the identity.
        scale: (units,) greatest absolute response: what is rounding beside it is none.
        n_choices: among how many expressions this one was chosen for its slope: p is multiplied,
            and the interval widened, so that both hold for the chosen one (Bonferroni).

    Returns:
        value, p (two-sided), t, low and high (95 %), each (units,); NaN below three identities.
    """
    from scipy.stats import t

    size = float(column @ column)
    own = np.bincount(index, column**2)
    n, units = int((own > 0).sum()), rest.shape[1]
    nothing = np.full(units, np.nan)
    if not size > 1e-12:
        return {name: nothing.copy() for name in ("value", "p", "t", "low", "high")}
    value = column @ rest / size
    if n < FEWEST_IDENTITIES:
        return {"value": value} | {name: nothing.copy() for name in ("p", "t", "low", "high")}
    scores = np.zeros((len(own), units))
    np.add.at(scores, index, column[:, None] * (rest - column[:, None] * value))
    error = np.sqrt((scores**2).sum(axis=0) * n / (n - 1)) / size
    rounding = CONSTANT * scale * np.sqrt(len(rest) / size)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(np.abs(value) > rounding, value / error, 0.0)
    p = np.minimum(1.0, n_choices * 2 * t.sf(np.abs(statistic), n - 1))
    half = float(t.ppf(1 - 0.025 / n_choices, n - 1)) * error
    return {"value": value, "p": p, "t": statistic, "low": value - half, "high": value + half}


def shape_test(
    strength: np.ndarray, rest: np.ndarray, index: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return (units,) p of a deviation from a line, of any shape, that identities have in common.

    Hotelling's T2 of every identity's deviations from its own line. NaN where identities were shown
    different strengths, or are not more than the deviations (three of five strengths).

    Args:
        strength: (n,).
        rest: (n, units) responses less each identity's own line.
        index: (n,) number of the identity.
        scale: (units,) greatest absolute response.
    """
    from scipy.stats import f

    n = int(index.max()) + 1
    order = np.lexsort([strength, index])
    nothing = np.full(rest.shape[1], np.nan)
    if len(order) % n or (np.bincount(index) != len(order) // n).any():
        return nothing
    levels = strength[order].reshape(n, -1)
    design = np.stack([np.ones(levels.shape[1]), levels[0]], axis=1)
    free = np.linalg.svd(design)[0][:, 2:]
    q = free.shape[1]
    if np.ptp(levels, axis=0).max() > 0 or q < 1 or n <= q:
        return nothing
    deviation = np.einsum("lq,nlu->unq", free, rest[order].reshape(n, levels.shape[1], -1))
    mean = deviation.mean(axis=1)
    centred = deviation - mean[:, None]
    covariance = np.einsum("unq,unp->uqp", centred, centred) / (n - 1)
    rounding = (CONSTANT * scale) ** 2
    covariance += (rounding + np.finfo(float).tiny)[:, None, None] * np.eye(q)
    value = n * np.einsum("uq,uq->u", mean, np.linalg.solve(covariance, mean[..., None])[..., 0])
    p = f.sf((n - q) / (q * (n - 1)) * value, q, n - q)
    return np.where((mean**2).sum(axis=1) > len(rest) * rounding, p, 1.0)
