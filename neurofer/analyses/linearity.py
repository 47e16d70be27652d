"""Linearity: how the activity of a unit grows with the strength of an expression.

Norm-referenced units grow linearly with the distance from the neutral face (Figure 5 of Stettler,
Lappe, Taubert & Giese; Leopold, Bondar & Giese 2006, Nature 442:572). A series is one head,
identity and expression; its points are the neutral of the same head and identity (strength 0) and
every strength that was shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import (
    ALL,
    Responses,
    read_responses,
    sorted_expressions,
    sorted_heads,
    strength_name,
)
from neurofer.analyses.linearity_models import isotonic_r2, kendall, norm_index
from neurofer.analyses.linearity_population import population
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import cluster_interval
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FEWEST_LEVELS = 3
# float32 activity that varies by less than this part of a unit's scale is constant up to rounding.
CONSTANT = 1e-6
MEASURES = (
    "r2", "slope", "monotonicity", "spearman", "chord_deviation", "isotonic", "kendall", "norm",
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """One head, identity and expression.

    Attributes:
        head, identity, expression: of the series.
        strength: (k,) increasing, 0 first.
        activity: (k, units), averaged over presentations of the same strength.
    """

    head: str
    identity: str
    expression: str
    strength: np.ndarray
    activity: np.ndarray


def run(
    recording: xr.DataArray,
    site: str | None = "nre",
    *,
    saturation: str = "quadratic",
    mixed: str = "population",
    alpha: float = 0.05,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Return how linearly every unit follows the strength of every expression.

    Args:
        recording: presentation x neuroid; every identity needs its neutral and at least two
            strengths of an expression.
        site: the site whose units are measured; None if the recording has one only.
        saturation: "quadratic" tests every unit's curvature (`linearity_models.curvature_test`);
            "naka-rushton" adds how much less AICc that function has than the line.
        mixed: "population" fits mean activity ~ strength x head with identity as random intercept
            (`linearity_models.mixed_model`), "none" does not.
        alpha: of the tests of single units, which are not corrected for their number.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        slope, intercept, r2, monotonicity, spearman, kendall, chord_deviation, isotonic, norm and
        constant (series, neuroid) as `fit_series` defines them. Medians by head, with the entry
        "all": median_r2 and the like, over the series of the expression that a unit is labelled
        with or, on a site without labels, over the medians of all units in each series
        (`attrs["over"]` says which), with `_low` and `_high` (95 % bootstrap over identities, over
        series where identities are fewer than five; `interval` says which), n values and
        n_constant of them constant. On a
        labelled site readout (head, expression, strength): the mean activity of the matching unit,
        with readout_n identities and, where these are at least five, an interval over them. By
        neuroid unit_slope, curvature, slope_p, curvature_p, saturation, test_status and verdict on
        the tested_expression; by shape (verdict) shape_n and shape_fraction of the units, with
        Wilson's interval; by term mixed_coefficient and mixed_p; `attrs["mixed_status"]`.

    Raises:
        NeuroferError: the site does not exist, activity is not finite, an identity lacks its
            neutral, or a series has fewer than three strengths.
    """
    responses = read_responses(recording, site)
    series = split_series(responses)
    scale = np.abs(responses.activity).max(axis=0)
    fits = [fit_series(one.strength, one.activity, scale) for one in series]
    result = xr.Dataset(
        {name: (("series", "neuroid"), np.stack([fit[name] for fit in fits])) for name in fits[0]},
        coords=_series_coordinates(series, responses),
    )
    result = result.merge(_medians(result, series, responses.unit, n_bootstrap, seed))
    if _matching(series, responses.unit).any():
        result = result.merge(_readout(series, responses.unit, n_bootstrap, seed))
    result.attrs["over"] = _over(_matching(series, responses.unit))
    shape = population(responses, series, saturation=saturation, mixed=mixed, alpha=alpha)
    result = result.merge(shape).assign_attrs(shape.attrs)
    options = {"saturation": saturation, "mixed": mixed, "alpha": alpha}
    options |= {"n_bootstrap": n_bootstrap, "seed": seed}
    return with_provenance(result, "linearity", recording, responses, options)


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


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return the medians by head: head, n, n_constant, each median with low and high, interval."""
    rows = []
    for head in result["head"].to_numpy().tolist():
        cell = result.sel(head=head)
        row: dict[str, Any] = {"head": head, "n": int(cell["n"])}
        row["n_constant"] = int(cell["n_constant"])
        for name in MEASURES:
            for suffix in ("", "_low", "_high"):
                row[name + suffix] = round(float(cell[f"median_{name}{suffix}"]), 3)
        rows.append({**row, "interval": str(cell["interval"].item())})
    return pd.DataFrame(rows)


def figure(
    results: Mapping[str, xr.Dataset], *, normalise: bool = False, units: bool = False
) -> Figure:
    """Return activity against strength for each expression with its chord, by head (Figure 5).

    With `normalise`, the activity of every unit is divided by its activity at full strength. With
    `units`, its population version: how many units are linear, and how their indices spread.
    """
    from neurofer.analyses.linearity_figures import readout_figure

    if units:
        from neurofer.analyses.linearity_population_figures import population_figure

        return population_figure(results)
    return readout_figure(results, normalise=normalise)


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
    activity = np.stack(
        [
            responses.activity[rows & (strength == level)].mean(axis=0, dtype=np.float64)
            for level in levels
        ]
    )
    return Series(head, identity, expression, levels, activity)


def _rank_correlation(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return (units,) Spearman correlations of (k,) with (k, units); 0 where a rank is constant."""
    from scipy.stats import rankdata

    ranks = rankdata(z, axis=0)
    dx = rankdata(x) - (len(x) + 1) / 2
    dr = ranks - (len(x) + 1) / 2
    size = np.sqrt((dx @ dx) * (dr**2).sum(axis=0))
    return np.divide(dx @ dr, size, out=np.zeros(z.shape[1]), where=size > 0)


def _series_coordinates(series: list[Series], responses: Responses) -> dict[str, Any]:
    return {
        "series": [f"{one.head}/{one.identity}/{one.expression}" for one in series],
        "series_head": ("series", [one.head for one in series]),
        "series_identity": ("series", [one.identity for one in series]),
        "series_expression": ("series", [one.expression for one in series]),
        "neuroid": responses.neuroid,
        "unit": ("neuroid", responses.unit),
    }


def _matching(series: list[Series], unit: np.ndarray) -> np.ndarray:
    """Return (series, units) truth values: whether a unit is labelled with what is shown."""
    return np.array([one.expression for one in series])[:, None] == unit[None, :]


def _over(matching: np.ndarray) -> str:
    return "matching units" if matching.any() else "medians over all units of a series"


def _medians(
    result: xr.Dataset, series: list[Series], unit: np.ndarray, n_bootstrap: int, seed: int
) -> xr.Dataset:
    """Return the medians by head, their intervals and counts."""
    matching = _matching(series, unit)
    labelled = matching.any()
    # One value a matching unit, or one a series: its median over all units.
    row = np.nonzero(matching)[0] if labelled else np.arange(len(series))
    head = np.array([one.head for one in series])[row]
    identity = np.array([f"{one.head}/{one.identity}" for one in series])[row]
    names = result["series"].to_numpy().astype(str)[row]
    constant = result["constant"].to_numpy()
    n_constant = constant[matching] if labelled else constant.sum(axis=1)
    heads = [*sorted_heads(head), ALL]
    rows = [(head == name) | (name == ALL) for name in heads]
    data: dict[str, Any] = {
        "n": ("head", [int(chosen.sum()) for chosen in rows]),
        "n_constant": ("head", [int(n_constant[chosen].sum()) for chosen in rows]),
    }
    for name in MEASURES:
        every = result[name].to_numpy()
        values = every[matching] if labelled else np.median(every, axis=1)
        cells = [
            cluster_interval(
                np.nanmedian,
                values[chosen],
                head[chosen],
                identity[chosen],
                names[chosen],
                n_bootstrap=n_bootstrap,
                seed=seed,
            )
            for chosen in rows
        ]
        data[f"median_{name}"] = ("head", [float(np.median(values[chosen])) for chosen in rows])
        data[f"median_{name}_low"] = ("head", [cell.low for cell in cells])
        data[f"median_{name}_high"] = ("head", [cell.high for cell in cells])
        data["interval"] = ("head", [cell.method for cell in cells])
    return xr.Dataset(data, {"head": heads})


def _readout(series: list[Series], unit: np.ndarray, n_bootstrap: int, seed: int) -> xr.Dataset:
    """Return the mean activity of the matching unit by head, expression and strength."""
    points = _points(series, unit)
    heads = [*sorted_heads(points["head"]), ALL]
    expressions = sorted_expressions(points["expression"])
    levels = np.unique(points["strength"].to_numpy())
    shape = (len(heads), len(expressions), len(levels))
    found = {name: np.full(shape, np.nan) for name in ("readout", "readout_low", "readout_high")}
    found["readout_n"] = np.zeros(shape, np.int64)
    for i, j, k in np.ndindex(shape):
        chosen = (points["expression"] == expressions[j]) & (points["strength"] == levels[k])
        chosen &= (points["head"] == heads[i]) | (heads[i] == ALL)
        values, head, identity = (
            points.loc[chosen, name].to_numpy() for name in ("activity", "head", "identity")
        )
        found["readout_n"][i, j, k] = len(values)
        if len(values):
            interval = cluster_interval(
                np.nanmean, values, head, identity, identity, n_bootstrap=n_bootstrap, seed=seed
            )
            found["readout"][i, j, k] = values.mean()
            found["readout_low"][i, j, k] = interval.low
            found["readout_high"][i, j, k] = interval.high
    coords = {
        "head": heads,
        "expression": expressions,
        "strength": [strength_name(level) for level in levels],
    }
    dims = ("head", "expression", "strength")
    return xr.Dataset({name: (dims, values) for name, values in found.items()}, coords)


def _points(series: list[Series], unit: np.ndarray) -> pd.DataFrame:
    """Return head, identity, expression, strength and the activity of the matching unit(s)."""
    rows = [
        (one.head, f"{one.head}/{one.identity}", one.expression, strength, activity)
        for one in series
        if (unit == one.expression).any()
        for strength, activity in zip(
            one.strength, one.activity[:, unit == one.expression].mean(axis=1), strict=True
        )
    ]
    return pd.DataFrame(rows, columns=["head", "identity", "expression", "strength", "activity"])


ANALYSIS = Analysis(
    name="linearity",
    summary="activity against expression strength, for every unit and head (Figure 5)",
    run=run,
    table=table,
    figure=figure,
)
