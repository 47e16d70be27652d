"""Series of one head, identity and expression, and how linearly activity grows along each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofer.analyses.inputs import (
    CONSTANT,
    Responses,
    sorted_expressions,
    sorted_heads,
    strength_name,
)
from neurofer.analyses.linearity.curvature import isotonic_r2, kendall, norm_index
from neurofer.errors import NeuroferError

FEWEST_LEVELS = 3


@dataclass(frozen=True)
class Series:
    """One head, identity and expression.

    Attributes:
        head, identity, expression: of the series.
        strength: (k,) increasing, 0 first.
        activity: (k, units), averaged over the presentations of the same strength that a unit
            has; NaN where it has none.
    """

    head: str
    identity: str
    expression: str
    strength: np.ndarray
    activity: np.ndarray


def split_series(responses: Responses) -> list[Series]:
    """Return the series of a site, sorted by head, identity and expression.

    Presentations of the same series and strength (views, sessions) are averaged.

    Raises:
        NeuroferError: there is no expression, an identity lacks its neutral, or a series has fewer
            than three strengths.
    """
    columns = [responses.column(name) for name in ("head", "identity", "expression")]
    strength = responses.column("strength").astype(float)
    found = []
    for head in sorted_heads(columns[0]):
        for identity in np.unique(columns[1][columns[0] == head]).tolist():
            own = (columns[0] == head) & (columns[1] == identity)
            neutral = own & (strength == 0)
            shown = sorted_expressions(columns[2][own & (strength > 0)])
            if shown and not neutral.any():
                raise NeuroferError(
                    f"head {head!r}, identity {identity!r} has no neutral (strength 0), from which "
                    "the strength of an expression is measured: record it as well"
                )
            for expression in shown:
                rows = neutral | (own & (columns[2] == expression) & (strength > 0))
                found.append(_series(responses, rows, head, identity, expression))
    if not found:
        raise NeuroferError(
            "the recording shows neutral faces only: there is no strength to follow"
        )
    return found


def fit_series(
    strength: np.ndarray, activity: np.ndarray, scale: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return measures of linearity of activity against strength, each (units,).

    slope, intercept, r2: of the least-squares line, r2 = 1 - RSS / TSS. monotonicity: the sum of
    the steps from each strength to the next over the sum of their sizes, 1 for increasing, -1 for
    decreasing activity. spearman: rank correlation. chord_deviation: the greatest distance from
    the chord between the weakest and the strongest stimulus, over the range of the activity; 0 on
    the chord, at most 1. isotonic: r2 over that of the best monotone function, rising or falling:
    1 where nothing monotone is better than a line. kendall: tau-b. norm: (full - neutral) /
    (|full| + |neutral|). constant: whether the activity does not vary with strength at all. Such a
    unit follows strength as badly as can be, and says so instead of 0 / 0: r2, slope, monotonicity,
    spearman, kendall, isotonic and norm are 0 and chord_deviation is 1.

    Args:
        strength: (k,) increasing.
        activity: (k, units) finite.
        scale: (units,) greatest absolute activity of a unit in all series, of which variation is
            measured in parts; that of this series by default.

    >>> fit = fit_series(np.array([0.0, 0.5, 1.0]), np.array([[1.0], [2.0], [3.0]]))
    >>> {name: float(fit[name][0]) for name in ("slope", "intercept", "r2", "chord_deviation")}
    {'slope': 2.0, 'intercept': 1.0, 'r2': 1.0, 'chord_deviation': 0.0}
    """
    x, y = np.asarray(strength, np.float64), np.asarray(activity, np.float64)
    extent = np.ptp(y, axis=0)
    constant = extent <= CONSTANT * (np.abs(y).max(axis=0) if scale is None else scale)
    safe = np.where(constant, 1.0, extent)
    # Scaled to range 1, so that squares of very small activities do not vanish.
    z = (y - y[0]) / safe
    dx, dz = x - x.mean(), z - z.mean(axis=0)
    slope = dx @ dz / (dx @ dx)
    total = (dz**2).sum(axis=0)
    rest = ((dz - dx[:, None] * slope) ** 2).sum(axis=0)
    steps = np.diff(z, axis=0)
    travelled = np.abs(steps).sum(axis=0)
    chord = ((x - x[0]) / (x[-1] - x[0]))[:, None] * z[-1]
    live = ~constant
    slope = np.where(constant, 0.0, slope * safe)
    return {
        "slope": slope,
        "intercept": y.mean(axis=0) - slope * x.mean(),
        "r2": np.divide(total - rest, total, out=np.zeros_like(total), where=live),
        "monotonicity": np.divide(z[-1], travelled, out=np.zeros_like(total), where=live),
        "spearman": np.where(constant, 0.0, _rank_correlation(x, z)),
        "chord_deviation": np.where(constant, 1.0, np.abs(z - chord).max(axis=0)),
        "isotonic": _part(total - rest, total, isotonic_r2(z), live),
        "kendall": np.where(constant, 0.0, kendall(x, z)),
        "norm": np.where(constant, 0.0, norm_index(y)),
        "constant": constant,
    }


def _part(
    explained: np.ndarray, total: np.ndarray, best: np.ndarray, live: np.ndarray
) -> np.ndarray:
    """Return the R2 of the line over the best, at most 1 but for rounding; 0 where `best` is."""
    size = total * best
    return np.divide(explained, size, out=np.zeros_like(total), where=live & (size > 0))


def _series(
    responses: Responses, rows: np.ndarray, head: str, identity: str, expression: str
) -> Series:
    strength = responses.column("strength").astype(float)
    levels = np.unique(strength[rows])
    if len(levels) < FEWEST_LEVELS:
        shown = ", ".join(strength_name(level) for level in levels)
        raise NeuroferError(
            f"{expression!r} of head {head!r}, identity {identity!r} is shown at strengths {shown} "
            f"only; linearity needs at least {FEWEST_LEVELS} with the neutral: use stimuli graded "
            "in strength, such as 'bfs-l'"
        )
    activity = np.stack([mean_of(responses.activity[rows & (strength == k)]) for k in levels])
    return Series(head, identity, expression, levels, activity)


def _rank_correlation(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return (units,) Spearman correlations of (k,) with (k, units); 0 where a rank is constant."""
    from scipy.stats import rankdata

    ranks = rankdata(z, axis=0)
    dx = rankdata(x) - (len(x) + 1) / 2
    dr = ranks - (len(x) + 1) / 2
    size = np.sqrt((dx @ dx) * (dr**2).sum(axis=0))
    return np.divide(dx @ dr, size, out=np.zeros(z.shape[1]), where=size > 0)


def mean_of(activity: np.ndarray) -> np.ndarray:
    """Return (units,) means over the rows that each unit has, NaN where it has none."""
    shown = ~np.isnan(activity)
    if shown.all():
        return np.asarray(activity.mean(axis=0, dtype=np.float64))
    total = np.where(shown, activity, 0.0).sum(axis=0, dtype=np.float64)
    count = shown.sum(axis=0)
    return np.divide(total, count, out=np.full(activity.shape[1], np.nan), where=count > 0)


def measurable(one: Series) -> np.ndarray:
    """Return (units,) whether a unit has the neutral and two more strengths of a series."""
    shown = ~np.isnan(one.activity)
    return np.asarray(shown[0] & (shown.sum(axis=0) >= FEWEST_LEVELS))


def by_pattern(shown: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (k,) truth values and indices of the units that have the same of (k, units)."""
    if shown.all():
        return [(np.ones(len(shown), bool), np.arange(shown.shape[1]))]
    patterns, index = np.unique(shown, axis=1, return_inverse=True)
    index = index.ravel()
    return [(patterns[:, k], np.flatnonzero(index == k)) for k in range(patterns.shape[1])]


def fit_measurable(one: Series, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Return `fit_series` of what each unit has of a series; NaN where that is too little."""
    usable = measurable(one)
    if usable.all() and not np.isnan(one.activity).any():
        return fit_series(one.strength, one.activity, scale)
    shown = ~np.isnan(one.activity) & usable
    found: dict[str, np.ndarray] = {}
    for rows, units in by_pattern(shown):
        part = fit_series(
            one.strength[rows] if rows.any() else one.strength,
            one.activity[np.ix_(rows, units)] if rows.any() else np.zeros((len(rows), len(units))),
            scale[units],
        )
        for name, values in part.items():
            empty = np.zeros(len(scale), values.dtype)
            place = found.setdefault(name, empty)
            place[units] = values if rows.any() else _nothing(values)
    return found


def _nothing(values: np.ndarray) -> np.ndarray:
    return np.zeros_like(values) if values.dtype == bool else np.full_like(values, np.nan)
