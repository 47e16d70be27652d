"""Figure of the linearity of a population: how many units are linear, and how far from a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    INK,
    PALE,
    check_results,
    colour_of,
    data_of,
    error_bars,
    span,
    style,
)
from neurofer.analyses.inputs import NOT_FINITE
from neurofer.analyses.linearity.figures import units_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHAPE_COLOURS = {
    "linear": "#0072B2",
    "saturating": "#D55E00",
    "accelerating": "#E69F00",
    "flat": GREY,
    "not testable": PALE,
}
INDICES = {
    "r2": "R<sup>2</sup>",
    "isotonic": "isotonic index",
    "chord_deviation": "chord index",
    "norm": "norm index",
    "spearman": "Spearman",
    "kendall": "Kendall",
}


def population_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return for each subject the part of units with each verdict, and boxes of the indices.

    An index of a unit is its median over the series of the expression on which it is tested.
    """
    results = check_results(results)
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=2,
        cols=1,
        subplot_titles=["Shape of the growth with strength", "Indices of linearity"],
        vertical_spacing=0.2,
    )
    many = len(results) > 1
    for k, (name, result) in enumerate(results.items()):
        value, low, high = (
            result[f"shape_fraction{suffix}"].to_numpy() for suffix in ("", "_low", "_high")
        )
        shapes = result["shape"].to_numpy().astype(str)
        colour = colour_of(name, {}, k)
        figure.add_bar(
            name=name,
            legendgroup=name,
            offsetgroup=name,
            showlegend=many,
            x=shapes,
            y=value,
            error_y=error_bars(value, low, high),
            marker={"color": colour if many else [SHAPE_COLOURS[one] for one in shapes]},
            customdata=result["shape_n"].to_numpy(),
            hovertemplate="%{x}: %{customdata} units, %{y:.1%}<extra></extra>",
            row=1,
            col=1,
        )
        figure.add_scatter(
            name="corrected",
            showlegend=False,
            offsetgroup=name,
            x=shapes,
            y=result["shape_corrected_fraction"].to_numpy(),
            mode="markers",
            cliponaxis=False,
            marker={"symbol": "diamond", "size": 9, "color": "white"}
            | {"line": {"color": INK, "width": 1.5}},
            customdata=result["shape_corrected_n"].to_numpy(),
            hovertemplate="%{x}, corrected: %{customdata} units, %{y:.1%}<extra></extra>",
            row=1,
            col=1,
        )
        _add_boxes(figure, name, result, colour)
    alpha = {float(_option(one, "alpha")) for one in results.values()}
    level = ", ".join(f"{100 * one:g} %" for one in sorted(alpha))
    other = [int(one.attrs["n_linear_lacking_fit"]) for one in results.values()]
    who = "" if many else f"{next(iter(results))}; "
    note = (
        f"{who}n = {units_of(results)}; bars: tests over {_over(results)} at {level}, uncorrected, "
        f"with Wilson's 95 % over units;<br>{_signs(results)}; diamonds: "
        f"corrected over units (Benjamini-Hochberg);<br>of the linear, "
        f"{span(other)} lack fit in another shape, as sigmoids do;<br>boxes: quartiles over units; "
        f"whiskers: 5 and 95 %<br>{data_of(results)}"
    )
    style(figure, title="Linearity in strength, unit by unit", note=note, height=784, top=56)
    figure.update_yaxes(title_text="Part of the units", range=[0, 1.04], row=1, col=1)
    falling = any(min(box.lowerfence) < 0 for box in figure.select_traces({"type": "box"}))
    figure.update_yaxes(title_text="Index", range=[-1.04 * falling, 1.04], row=2, col=1)
    figure.add_hline(y=0, line={"color": INK, "width": 0.6}, row=2, col=1)
    legend = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yref": "container"}
    figure.update_layout(
        margin={"b": 64 + 40 * many},
        barmode="group",
        scattermode="group",
        boxmode="group",
        legend=legend,
    )
    return figure


def _add_boxes(figure: Figure, name: str, result: xr.Dataset, colour: str) -> None:
    tested = result["tested_expression"].to_numpy().astype(str)
    finite = result["status"].to_numpy() != NOT_FINITE
    own = result["series_expression"].to_numpy().astype(str)[:, None] == tested
    ends = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = []
    for index in INDICES:
        values = np.where(own, result[index].to_numpy(), np.nan)
        found.append(np.nanquantile(np.nanmedian(values[:, finite], axis=0), ends))
    low, q1, median, q3, high = np.array(found).T
    figure.add_box(
        name=name,
        legendgroup=name,
        showlegend=False,
        x=list(INDICES.values()),
        lowerfence=low,
        q1=q1,
        median=median,
        q3=q3,
        upperfence=high,
        marker={"color": colour},
        row=2,
        col=1,
    )


def _option(result: xr.Dataset, name: str) -> float:
    import json

    return float(json.loads(result.attrs["options"])[name])


def _over(results: Mapping[str, xr.Dataset]) -> str:
    import json

    found = [str(json.loads(one.attrs["options"])["tested_over"]) for one in results.values()]
    return " or ".join(dict.fromkeys(found))


def _signs(results: Mapping[str, xr.Dataset]) -> str:
    """Say how many units rise with strength and how many fall."""
    rising, falling = (
        span([int(one.attrs[f"n_{word}"]) for one in results.values()])
        for word in ("rising", "falling")
    )
    return f"{rising} units rise, {falling} fall"
