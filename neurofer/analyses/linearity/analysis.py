"""Linearity: how the activity of a unit grows with the strength of an expression.

Norm-referenced units grow linearly with the distance from the neutral face (Figure 5 of Stettler,
Lappe, Taubert & Giese; Leopold, Bondar & Giese 2006, Nature 442:572). A series is one head,
identity and expression; its points are the neutral of the same head and identity (strength 0) and
every strength that was shown.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import (
    ALL,
    KEEP,
    NOT_FINITE,
    Responses,
    read_responses,
    sorted_expressions,
    sorted_heads,
    strength_name,
    subset,
)
from neurofer.analyses.linearity.population import NOT_TESTABLE, check_options, population
from neurofer.analyses.linearity.series import Series, fit_measurable, mean_of, split_series
from neurofer.analyses.provenance import ACTIVITY, with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import cluster_interval
from neurofer.options import Resamples, Seed, above

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MEASURES = (
    "r2", "slope", "monotonicity", "spearman", "chord_deviation", "isotonic", "kendall", "norm",
)  # fmt: skip
_IN_ACTIVITY = (
    "slope", "intercept", "curvature", "mixed_identity_sd", "mixed_residual_sd", "mixed_slope_sd",
)  # fmt: skip
_WITH_BOUNDS = (
    "median_slope",
    "readout",
    "unit_slope",
    "mixed_coefficient",
    "unit_mixed_coefficient",
)
UNITS = dict.fromkeys(
    [*_IN_ACTIVITY, *(name + end for name in _WITH_BOUNDS for end in ("", "_low", "_high"))],
    ACTIVITY,
)


def run(
    recording: xr.DataArray,
    site: str | None = "nre",
    *,
    saturation: Literal["quadratic", "naka-rushton"] = "quadratic",
    mixed: Literal["population", "units", "none"] = "population",
    random_slopes: bool = True,
    tested_over: Literal["identities", "presentations"] = "identities",
    alpha: Annotated[float, above(0, below=1)] = 0.05,
    n_bootstrap: Resamples = 2000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return how linearly every unit follows the strength of every expression.

    Args:
        recording: presentation x neuroid; every identity needs its neutral and at least two
            strengths of an expression. Trials are averaged. What a unit was not shown is NaN: it is
            measured on the series of which it has the neutral and two strengths (`n_missing`
            counts). Units that are infinite somewhere, or have none, are set aside whole: their
            `status` says so, and nothing else counts them.
        site: the site whose units are measured; None if the recording has one only.
        saturation: "quadratic" tests every unit's curvature (`curvature.curvature_test`);
            "naka-rushton" adds how much less AICc that function has than the line.
        mixed: "population" fits mean activity ~ strength x head with identity as random effect
            (`mixed.mixed_model`), "units" also fits each unit's activity, trial by trial
            where there are any (0.3 s per unit, 0.1 s without random slopes), "none" nothing.
        random_slopes: let identities differ in slope as well in the mixed models. Without, what
            differs between people is taken for common tuning.
        tested_over: "identities" tests what would hold of other people, "presentations" what holds
            of these only (`curvature.curvature_test`).
        alpha: of the tests of single units: of `verdict` uncorrected, of `verdict_corrected` after
            Benjamini & Hochberg over units.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        A Dataset. Medians are over the series of the expression that a unit is labelled with or,
        on a site without labels, over the medians of all units in each series (`attrs["over"]`).
        Heads end with "all". Intervals of medians are 95 %, by bootstrap over identities, or over
        series where identities are fewer than five. "activity" is the unit of the recording.

        slope, intercept (series, neuroid) [activity]: of the least-squares line; all measures of
            a series are those of `series.fit_series`.
        r2, monotonicity, spearman, chord_deviation, isotonic, kendall, norm (series, neuroid) [1]:
            how well the line describes the series.
        constant (series, neuroid) [truth]: activity does not vary with strength.
        n, n_constant (head) [1]: values behind a median, and how many of them are constant.
        median_slope, _low, _high (head) [activity]: median of the slope.
        median_r2, median_monotonicity, median_spearman, median_chord_deviation, median_isotonic,
            median_kendall, median_norm, _low, _high (head) [1]: medians of the other measures.
        interval (head) [text]: how the intervals of the medians were made.
        readout, _low, _high (head, expression, strength) [activity], if units have labels: mean
            activity of the matching unit; the interval needs five identities.
        readout_n (head, expression, strength) [1], if units have labels: identities behind it.
        tested_expression (neuroid) [text]: the expression whose series a unit is tested on.
        n_expressions (neuroid) [1]: among how many it was chosen; slope_p is corrected for it.
        n_identities_tested (neuroid) [1]: identities in the test.
        n_missing (neuroid) [1]: presentations that a unit was not recorded at.
        status (neuroid) [text]: "ok", "constant", "not finite", "too few levels" or "too few
            identities".
        unit_slope, _low, _high (neuroid) [activity]: slope of `curvature.curvature_test`.
        sign (neuroid) [1]: 1 rises, -1 falls, 0 neither.
        curvature (neuroid) [activity]: coefficient of the squared strength.
        saturation (neuroid) [1]: the part of the slope at 0 that is lost at full strength.
        slope_p, curvature_p, saturating_p, accelerating_p, lack_of_fit_p (neuroid) [1]: p-values.
        slope_p_corrected, curvature_p_corrected, saturating_p_corrected, accelerating_p_corrected,
            lack_of_fit_p_corrected (neuroid) [1]: the same after Benjamini & Hochberg.
        naka_rushton_advantage (neuroid) [1], if saturation="naka-rushton": AICc of the line less
            that of the Naka-Rushton function.
        verdict, verdict_corrected (neuroid) [text]: "linear", "saturating", "accelerating", "flat"
            or "not testable", by p-values as they are or corrected.
        shape_n, shape_n_rising, shape_n_falling, shape_corrected_n (shape) [1]: units with this
            verdict. `attrs["n_linear_lacking_fit"]` of the linear ones deviate in another shape.
        shape_fraction, _low, _high (shape) [1]: their fraction, with Wilson's interval.
        shape_corrected_fraction (shape) [1]: the fraction by the corrected verdict.
        mixed_coefficient, _low, _high (term) [activity], if mixed is not "none": of the model of
            mean activity; `attrs["mixed_status"]` says how the fit went.
        mixed_p (term) [1], if mixed is not "none": p-value of the coefficient.
        mixed_identity_sd, mixed_residual_sd () [activity], if mixed is not "none": SD of the
            identities' intercepts and of the rest.
        mixed_slope_sd () [activity], if random_slopes: SD of the identities' slopes.
        unit_mixed_coefficient, _low, _high (term, neuroid) [activity], if mixed="units": of the
            model of each unit.
        unit_mixed_p, unit_mixed_p_corrected (term, neuroid) [1], if mixed="units": p-values.
        unit_mixed_status (neuroid) [text], if mixed="units": how the fit went.

    Raises:
        NeuroferError: the site does not exist, no unit's activity is finite, an identity lacks its
            neutral, or a series has fewer than three strengths.

    >>> from neurofer.simulation import norm_referenced_units, simulated_faces
    >>> recording = norm_referenced_units(simulated_faces(heads=["human"]))
    >>> result = run(recording, mixed="none", n_bootstrap=50)
    >>> round(result["median_r2"].sel(head="all").item(), 3)
    1.0
    """
    check_options(saturation, mixed, alpha)
    options: dict[str, Any] = {
        "saturation": saturation,
        "mixed": mixed,
        "random_slopes": random_slopes,
        "tested_over": tested_over,
    }
    options |= {"alpha": alpha}
    everything = read_responses(recording, site, undefined=True)
    finite = ~np.isinf(everything.activity).any(axis=0)
    finite &= ~np.isnan(everything.activity).all(axis=0)
    if not finite.any():
        everything = read_responses(recording, site)  # says which and where, and raises
    responses = subset(everything, finite)
    series = split_series(responses)
    scale = np.nanmax(np.abs(responses.activity), axis=0)
    fits = [fit_measurable(one, scale) for one in series]
    result = xr.Dataset(
        {name: (("series", "neuroid"), np.stack([fit[name] for fit in fits])) for name in fits[0]},
        coords=_series_coordinates(series, responses),
    )
    result = result.merge(_medians(result, series, responses.unit, n_bootstrap, seed))
    if _matching(series, responses.unit).any():
        result = result.merge(_readout(series, responses.unit, n_bootstrap, seed))
    result.attrs["over"] = _over(_matching(series, responses.unit))
    singles = read_responses(recording, site, undefined=True, trials=KEEP)
    shape = population(responses, series, subset(singles, finite), **options)
    result = result.merge(shape).assign_attrs(shape.attrs)
    missing = np.isnan(responses.activity).sum(axis=0)
    result["n_missing"] = ("neuroid", missing.astype(float))
    result.attrs["n_units_missing"] = int((missing > 0).sum())
    result = _with_set_aside(result, everything, finite)
    options |= {"n_bootstrap": n_bootstrap, "seed": seed}
    return with_provenance(result, "linearity", recording, everything, options, UNITS)


def _with_set_aside(result: xr.Dataset, responses: Responses, finite: np.ndarray) -> xr.Dataset:
    """Return the result with a place for every unit: NaN, and a status, for those set aside."""
    result.attrs["n_not_finite"] = int((~finite).sum())
    if finite.all():
        return result
    words = {"status": NOT_FINITE, "verdict": NOT_TESTABLE, "verdict_corrected": NOT_TESTABLE}
    words["unit_mixed_status"] = NOT_FINITE
    whole = result.drop_dims("neuroid")
    for name, variable in result.data_vars.items():
        if "neuroid" not in variable.dims:
            continue
        kind = variable.dtype
        empty: Any = np.nan if kind.kind == "f" else kind.type(words.get(str(name), ""))
        shape = [len(finite) if dim == "neuroid" else variable.sizes[dim] for dim in variable.dims]
        values = np.full(shape, empty, np.result_type(kind, np.asarray(empty).dtype))
        values[..., finite] = variable.transpose(..., "neuroid").to_numpy()
        whole[name] = (variable.dims, values)
    return whole.assign_coords(neuroid=responses.neuroid, unit=("neuroid", responses.unit))


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

    Args:
        results: subject -> result of `run`.
        normalise: divide the activity of every unit by its activity at full strength.
        units: draw the population instead: how many units are linear, and how their indices spread.
    """
    from neurofer.analyses.linearity.figures import readout_figure

    if units:
        from neurofer.analyses.linearity.population_figures import population_figure

        return population_figure(results)
    return readout_figure(results, normalise=normalise)


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
    # One value per matching unit, or one per series: its median over all units.
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
        values = every[matching] if labelled else _median(every)
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
        data[f"median_{name}"] = (
            "head",
            [float(_median(values[chosen][None])[0]) for chosen in rows],
        )
        data[f"median_{name}_low"] = ("head", [cell.low for cell in cells])
        data[f"median_{name}_high"] = ("head", [cell.high for cell in cells])
        data["interval"] = ("head", [cell.method for cell in cells])
    return xr.Dataset(data, {"head": heads})


def _median(values: np.ndarray) -> np.ndarray:
    """Return (n,) medians of what there is of (n, k); NaN where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=1))


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
            one.strength, mean_of(one.activity[:, unit == one.expression].T), strict=True
        )
        if np.isfinite(activity)
    ]
    return pd.DataFrame(rows, columns=["head", "identity", "expression", "strength", "activity"])


ANALYSIS = Analysis(
    name="linearity",
    summary="activity against expression strength, for every unit and head",
    run=run,
    table=table,
    figure=figure,
    # Units without noise have no variance of slopes, which searches find only roughly.
    quick={"random_slopes": False},
)
