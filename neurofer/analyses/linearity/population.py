"""Linearity of a population: every unit's test of curvature, and mixed models."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import FEW_LEVELS, Responses, sorted_expressions, sorted_heads
from neurofer.analyses.linearity.curvature import (
    NOT_TESTABLE,
    VERDICTS,
    check_alpha,
    curvature_test,
    naka_rushton_advantage,
    verdicts,
)
from neurofer.analyses.linearity.mixed import MixedModel, mixed_model
from neurofer.analyses.linearity.series import Series, by_pattern, mean_of, measurable
from neurofer.analyses.statistics import false_discovery, wilson_interval
from neurofer.errors import unknown_choice

COMPARED = ("quadratic", "naka-rushton")
MIXED = ("population", "units", "none")
TESTS = ("slope_p", "curvature_p", "saturating_p", "accelerating_p", "lack_of_fit_p")
COLUMNS = ("coefficient", "low", "high", "p")

__all__ = [
    "NOT_TESTABLE",
    "check_options",
    "mixed_table",
    "population",
    "unit_table",
    "verdict_table",
]


def population(
    responses: Responses,
    series: list[Series],
    singles: Responses,
    *,
    saturation: str,
    mixed: str,
    random_slopes: bool,
    tested_over: str,
    alpha: float,
) -> xr.Dataset:
    """Return the tests of every unit, the part of units with each verdict, and the mixed models.

    A unit is tested on the series of the expression that it is labelled with or, without a label,
    that of its greatest slope, up or down. As that choice is made on the data that are tested, the
    slope is corrected for it. (Choosing on other people than are tested, and pooling, does not
    help: the folds depend on each other, and 7 to 25 % of flat units are then called tuned.)
    `singles` are the presentations one by one, for the mixed models of units.

    Args:
        responses: means over trials.
        series: of the responses.
        singles: the presentations one by one, for the mixed models of units.
        saturation: see `analysis.run`.
        mixed: see `analysis.run`.
        random_slopes: see `analysis.run`.
        tested_over: see `analysis.run`.
        alpha: level of the tests of single units.
    """
    own, n_choices = _own_expression(responses, series)
    tests = _tests(series, own, n_choices, saturation, tested_over, alpha)
    result = _corrected(tests, alpha)
    result = result.merge(_fractions(result, alpha), combine_attrs="drop_conflicts")
    if mixed != "none":
        result = result.merge(_mixed(series, own, random_slopes), combine_attrs="drop_conflicts")
    if mixed == "units":
        units = _mixed_units(singles, series, own, random_slopes)
        result = result.merge(units, combine_attrs="drop_conflicts")
    return result


def check_options(saturation: str, mixed: str, alpha: float) -> None:
    """Raise unless the options of `population` are known.

    Args:
        saturation: see `analysis.run`.
        mixed: see `analysis.run`.
        alpha: see `analysis.run`.
    """
    check_alpha(alpha)
    for name, value, allowed in (("saturation", saturation, COMPARED), ("mixed", mixed, MIXED)):
        if value not in allowed:
            raise unknown_choice(name, value, allowed)


def _own_expression(responses: Responses, series: list[Series]) -> tuple[np.ndarray, np.ndarray]:
    """Return (units,) the expression on which a unit is tested, and of how many it was chosen."""
    shown = sorted_expressions(one.expression for one in series)
    slopes = []
    for name in shown:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of units that lack an expression
            slopes.append(
                np.nanmean([_slope(one) for one in series if one.expression == name], axis=0)
            )
    steepest = np.array(shown)[np.nan_to_num(np.abs(slopes), nan=-1.0).argmax(axis=0)]
    labelled = np.isin(responses.unit, shown)
    own = np.where(labelled, responses.unit, steepest).astype(str)
    return own, np.where(labelled, 1, len(shown))


def _slope(one: Series) -> np.ndarray:
    """Return (units,) least-squares slopes along a series, NaN where a unit lacks some of it."""
    dx = one.strength - one.strength.mean()
    return np.asarray(dx @ one.activity / (dx @ dx))


def _tests(
    series: list[Series],
    own: np.ndarray,
    n_choices: np.ndarray,
    saturation: str,
    tested_over: str,
    alpha: float,
) -> xr.Dataset:
    found: dict[str, np.ndarray] = {}
    for expression, choices in sorted(set(zip(own.tolist(), n_choices.tolist(), strict=True))):
        chosen = [one for one in series if one.expression == expression]
        strength = np.concatenate([one.strength for one in chosen])
        name = np.repeat(range(len(chosen)), [len(one.strength) for one in chosen])
        units = np.flatnonzero((own == expression) & (n_choices == choices))
        activity = np.concatenate([one.activity[:, units] for one in chosen])
        usable = np.concatenate([np.tile(measurable(c), (len(c.strength), 1)) for c in chosen])
        shown = ~np.isnan(activity) & usable[:, units]
        for rows, some in by_pattern(shown):
            # A unit without any series keeps one of zeros, and its status says what it lacks.
            used = rows if rows.any() else name == 0
            part = np.nan_to_num(activity[np.ix_(used, some)]) * rows.any()
            at = (strength[used], part, name[used])
            tested = curvature_test(*at, alpha=alpha, over=tested_over, n_choices=choices)
            if not rows.any():
                tested["status"] = np.full(len(some), FEW_LEVELS)
                tested["verdict"] = np.full(len(some), NOT_TESTABLE)
            tested["n_identities_tested"] = np.full(len(some), float(len(set(name[rows]))))
            if saturation == "naka-rushton":
                tested["naka_rushton_advantage"] = naka_rushton_advantage(*at)
            for key, values in tested.items():
                kind: Any = "<U20" if values.dtype.kind == "U" else float
                found.setdefault(key, np.zeros(len(own), kind))[units[some]] = values
    names = {f"slope{end}": f"unit_slope{end}" for end in ("", "_low", "_high")}
    result = xr.Dataset({names.get(k, k): ("neuroid", values) for k, values in found.items()})
    return result.assign(
        tested_expression=("neuroid", own), n_expressions=("neuroid", n_choices.astype(float))
    )


def _corrected(result: xr.Dataset, alpha: float) -> xr.Dataset:
    """Add what remains of every test when it is corrected over units."""
    for name in TESTS:
        result[f"{name}_corrected"] = ("neuroid", false_discovery(result[name].to_numpy()))
    tested = {name: result[name].to_numpy() for name in ("curvature", "status")}
    tested["slope"] = result["unit_slope"].to_numpy()
    slope_p, curvature_p = (result[f"{name}_corrected"].to_numpy() for name in TESTS[:2])
    strict = verdicts(tested, slope_p, curvature_p, alpha)
    return result.assign(verdict_corrected=("neuroid", strict))


def _fractions(result: xr.Dataset, alpha: float) -> xr.Dataset:
    """Return how many units have each verdict, with Wilson's intervals over units."""
    verdict, strict = (result[n].to_numpy() for n in ("verdict", "verdict_corrected"))
    counts = np.array([(verdict == one).sum() for one in VERDICTS])
    low, high = np.array([wilson_interval(int(k), len(verdict)) for k in counts]).T
    data = {"shape_n": counts, "shape_fraction": counts / len(verdict)}
    data |= {"shape_fraction_low": low, "shape_fraction_high": high}
    data["shape_corrected_n"] = np.array([(strict == one).sum() for one in VERDICTS])
    data["shape_corrected_fraction"] = data["shape_corrected_n"] / len(verdict)
    # A sigmoid's curvatures cancel: it is not a line, though neither test of curvature says so.
    other = (verdict == "linear") & (result["lack_of_fit_p"].to_numpy() < alpha)
    said = {"n_linear_lacking_fit": int(other.sum())}
    sign = result["sign"].to_numpy()
    for word, way in (("rising", 1), ("falling", -1)):
        data[f"shape_n_{word}"] = np.array(
            [((verdict == k) & (sign == way)).sum() for k in VERDICTS]
        )
        said[f"n_{word}"] = int((sign == way).sum())
    return xr.Dataset({k: ("shape", v) for k, v in data.items()}, {"shape": list(VERDICTS)}, said)


def mean_response(series: list[Series], own: np.ndarray) -> pd.DataFrame:
    """Return head, identity, strength and the mean activity of the units that are tested there.

    One row per head, identity and strength: a neutral face that begins several series is one.
    """
    rows = [
        (one.head, f"{one.head}/{one.identity}", strength, activity)
        for one in series
        if (own == one.expression).any()
        for strength, activity in zip(
            one.strength, mean_of(one.activity[:, own == one.expression].T), strict=True
        )
        if np.isfinite(activity)
    ]
    points = pd.DataFrame(rows, columns=["head", "identity", "strength", "activity"])
    return points.groupby(["head", "identity", "strength"], as_index=False, sort=True).mean()


def _mixed(series: list[Series], own: np.ndarray, random_slopes: bool) -> xr.Dataset:
    points = mean_response(series, own)
    order = {head: i for i, head in enumerate(sorted_heads(points["head"]))}
    points = points.sort_values("head", key=lambda heads: heads.map(order), kind="stable")
    columns = [points[c].to_numpy() for c in ("activity", "strength", "head", "identity")]
    model = mixed_model(*columns, random_slopes=random_slopes)
    names = ("mixed_coefficient", "mixed_coefficient_low", "mixed_coefficient_high", "mixed_p")
    data: dict[str, Any] = {
        name: ("term", model.terms[column].to_numpy())
        for name, column in zip(names, COLUMNS, strict=True)
    }
    data |= {"mixed_identity_sd": model.identity_sd, "mixed_residual_sd": model.residual_sd}
    if random_slopes:
        data["mixed_slope_sd"] = model.slope_sd
    said = {"mixed_status": model.status, "mixed_n": len(points)}
    return xr.Dataset(data, {"term": list(model.terms.index)}, said)


def _mixed_units(
    singles: Responses, series: list[Series], own: np.ndarray, random_slopes: bool
) -> xr.Dataset:
    """Return the mixed model of every unit, on the presentations of its expression, one by one."""
    heads = sorted_heads(one.head for one in series)
    fitted: list[MixedModel] = []
    head, name = singles.column("head"), singles.column("expression")
    strength, who = singles.column("strength").astype(float), singles.identity
    order = np.argsort([heads.index(one) if one in heads else -1 for one in head], kind="stable")
    for unit, expression in enumerate(own):
        shown = {f"{s.head}/{s.identity}" for s in series if s.expression == expression}
        y = singles.activity[:, unit].astype(float)
        rows = np.isin(who, sorted(shown)) & ((name == expression) | (strength == 0))
        rows = order[(rows & ~np.isnan(y))[order]]
        model = mixed_model(
            y[rows], strength[rows], head[rows], who[rows], random_slopes=random_slopes
        )
        chosen = [s for s in series if s.expression == expression]
        fitted.append(_comparable(model, heads, [one.head for one in chosen]))
    terms = ["intercept", "strength"] + [t for h in heads[1:] for t in (h, f"strength x {h}")]
    values = np.stack(
        [one.terms.reindex(terms)[list(COLUMNS)].to_numpy() for one in fitted], axis=1
    )
    names = ("coefficient", "coefficient_low", "coefficient_high", "p")
    data: dict[str, Any] = {
        f"unit_mixed_{name}": (("term", "neuroid"), values[..., k]) for k, name in enumerate(names)
    }
    corrected = false_discovery(values[..., 3].T).T
    data["unit_mixed_p_corrected"] = (("term", "neuroid"), corrected)
    data["unit_mixed_status"] = ("neuroid", np.array([one.status for one in fitted]))
    return xr.Dataset(data, {"term": terms})


def _comparable(model: MixedModel, heads: list[str], shown: list[str]) -> MixedModel:
    """Return the model, without numbers where its terms do not mean what those of others do."""
    lacking = [head for head in heads if head not in shown]
    if not lacking:
        return model
    status = f"its expression is not shown on {', '.join(lacking)}"
    return replace(model, terms=model.terms * np.nan, status=status)


def verdict_table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per verdict: n (rising, falling) and fraction of the units, and corrected."""
    names = (
        "n",
        "n_rising",
        "n_falling",
        "fraction",
        "fraction_low",
        "fraction_high",
        "corrected_n",
        "corrected_fraction",
    )
    table = {name: result[f"shape_{name}"].to_numpy() for name in names}
    return pd.DataFrame({"verdict": result["shape"].to_numpy().astype(str), **table})


def mixed_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a fixed effect of the mixed model, and its status."""
    names = ("mixed_coefficient", "mixed_coefficient_low", "mixed_coefficient_high", "mixed_p")
    table = {name.removeprefix("mixed_"): result[name].to_numpy() for name in names}
    terms = result["term"].to_numpy().astype(str)
    return pd.DataFrame({"term": terms, **table, "status": result.attrs["mixed_status"]})


def unit_table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit: status, verdicts, slope, every test with its correction.

    Of `mixed="units"` also the slope of the mixed model, mixed_slope, with p and status.
    """
    names = ["unit", "tested_expression", "n_expressions", "n_identities_tested", "n_missing"]
    names += ["status", "verdict", "verdict_corrected", "sign", "unit_slope"]
    names += ["unit_slope_low", "unit_slope_high", "curvature", "saturation"]
    names += [name + end for name in TESTS for end in ("", "_corrected")]
    table = {"neuroid": result["neuroid"].to_numpy()}
    table |= {name: result[name].to_numpy() for name in names}
    if "unit_mixed_p" in result:
        slope = result.sel(term="strength")
        for name in ("coefficient", "coefficient_low", "coefficient_high", "p", "p_corrected"):
            column = "mixed_" + name.replace("coefficient", "slope")
            table[column] = slope[f"unit_mixed_{name}"].to_numpy()
        table["mixed_status"] = result["unit_mixed_status"].to_numpy()
    return pd.DataFrame(table)
