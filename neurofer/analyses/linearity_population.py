"""Linearity of a population: every unit's test of curvature, and the mixed model of their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import Responses, sorted_expressions, sorted_heads
from neurofer.analyses.linearity_models import (
    VERDICTS,
    check_alpha,
    curvature_test,
    mixed_model,
    naka_rushton_advantage,
)
from neurofer.analyses.statistics import wilson_interval
from neurofer.errors import unknown_choice

if TYPE_CHECKING:
    from neurofer.analyses.linearity import Series

COMPARED = ("quadratic", "naka-rushton")
MIXED = ("population", "none")


def population(
    responses: Responses, series: list[Series], *, saturation: str, mixed: str, alpha: float
) -> xr.Dataset:
    """Return the tests of every unit, the part of units with each verdict, and the mixed model.

    A unit is tested on the series of the expression that it is labelled with or, without a label,
    that of its greatest mean activity at full strength: of noise that choice favours acceleration.
    """
    check_alpha(alpha)
    if saturation not in COMPARED:
        raise unknown_choice("saturation", saturation, COMPARED)
    if mixed not in MIXED:
        raise unknown_choice("mixed", mixed, MIXED)
    own = _own_expression(responses, series)
    result = _tests(series, own, saturation, alpha)
    result = result.merge(_fractions(result["verdict"].to_numpy()))
    if mixed == "population":
        result = result.merge(_mixed(series, own), combine_attrs="drop_conflicts")
    return result


def _own_expression(responses: Responses, series: list[Series]) -> np.ndarray:
    """Return (units,) the expression on which a unit is tested."""
    shown = sorted_expressions(one.expression for one in series)
    peaks = [
        np.mean([one.activity[-1] for one in series if one.expression == name], axis=0)
        for name in shown
    ]
    strongest = np.array(shown)[np.argmax(peaks, axis=0)]
    return np.where(np.isin(responses.unit, shown), responses.unit, strongest).astype(str)


def _tests(series: list[Series], own: np.ndarray, saturation: str, alpha: float) -> xr.Dataset:
    found: dict[str, np.ndarray] = {}
    for expression in np.unique(own):
        units = own == expression
        chosen = [one for one in series if one.expression == expression]
        strength = np.concatenate([one.strength for one in chosen])
        activity = np.concatenate([one.activity[:, units] for one in chosen])
        name = np.repeat(range(len(chosen)), [len(one.strength) for one in chosen])
        tested = curvature_test(strength, activity, name, alpha=alpha)
        if saturation == "naka-rushton":
            tested["naka_rushton_advantage"] = naka_rushton_advantage(strength, activity, name)
        for key, values in tested.items():
            kind: Any = "<U16" if values.dtype.kind == "U" else float
            found.setdefault(key, np.zeros(len(own), kind))[units] = values
    names = {"slope": "unit_slope", "status": "test_status"}
    result = xr.Dataset({names.get(k, k): ("neuroid", values) for k, values in found.items()})
    return result.assign(tested_expression=("neuroid", own))


def _fractions(verdict: np.ndarray) -> xr.Dataset:
    """Return how many units have each verdict, with Wilson's intervals over units."""
    counts = np.array([(verdict == one).sum() for one in VERDICTS])
    low, high = np.array([wilson_interval(int(k), len(verdict)) for k in counts]).T
    data = {"shape_n": counts, "shape_fraction": counts / len(verdict)}
    data |= {"shape_fraction_low": low, "shape_fraction_high": high}
    return xr.Dataset({k: ("shape", v) for k, v in data.items()}, {"shape": list(VERDICTS)})


def mean_response(series: list[Series], own: np.ndarray) -> pd.DataFrame:
    """Return head, identity, strength and the mean activity of the units that are tested there.

    One row a head, identity and strength: a neutral face that begins several series is one.
    """
    rows = [
        (one.head, f"{one.head}/{one.identity}", strength, activity)
        for one in series
        if (own == one.expression).any()
        for strength, activity in zip(
            one.strength, one.activity[:, own == one.expression].mean(axis=1), strict=True
        )
    ]
    points = pd.DataFrame(rows, columns=["head", "identity", "strength", "activity"])
    return points.groupby(["head", "identity", "strength"], as_index=False, sort=True).mean()


def _mixed(series: list[Series], own: np.ndarray) -> xr.Dataset:
    points = mean_response(series, own)
    order = {head: i for i, head in enumerate(sorted_heads(points["head"]))}
    points = points.sort_values("head", key=lambda heads: heads.map(order), kind="stable")
    model = mixed_model(
        *(points[c].to_numpy() for c in ("activity", "strength", "head", "identity"))
    )
    data: dict[str, Any] = {
        "mixed_coefficient": ("term", model.terms["coefficient"].to_numpy()),
        "mixed_coefficient_low": ("term", model.terms["low"].to_numpy()),
        "mixed_coefficient_high": ("term", model.terms["high"].to_numpy()),
        "mixed_p": ("term", model.terms["p"].to_numpy()),
        "mixed_identity_sd": model.identity_sd,
        "mixed_residual_sd": model.residual_sd,
    }
    said = {"mixed_status": model.status, "mixed_n": len(points)}
    return xr.Dataset(data, {"term": list(model.terms.index)}, said)


def verdict_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a verdict: n and fraction of the units, with low and high."""
    names = ("n", "fraction", "fraction_low", "fraction_high")
    table = {name: result[f"shape_{name}"].to_numpy() for name in names}
    return pd.DataFrame({"verdict": result["shape"].to_numpy().astype(str), **table})


def mixed_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a fixed effect of the mixed model, and its status."""
    names = ("mixed_coefficient", "mixed_coefficient_low", "mixed_coefficient_high", "mixed_p")
    table = {name.removeprefix("mixed_"): result[name].to_numpy() for name in names}
    terms = result["term"].to_numpy().astype(str)
    return pd.DataFrame({"term": terms, **table, "status": result.attrs["mixed_status"]})
