"""Figure of the linearity of a population: how many units are linear, and how far from a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    BELOW,
    GREY,
    INK,
    PALE,
    add_boxes,
    check_results,
    colour_of,
    counted,
    error_bars,
    note_of,
    style,
    with_ends,
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
        colour = colour_of(name, {}, k)
        _add_shapes(figure, name, result, colour if many else "")
        _add_boxes(figure, name, result, colour)
    note = _note(results)
    style(figure, title="Linearity in strength, unit by unit", note=note, height=784, top=56)
    figure.update_yaxes(title_text="Part of the units", range=[0, 1.04], row=1, col=1)
    falling = any(min(box.lowerfence) < 0 for box in figure.select_traces({"type": "box"}))
    figure.update_yaxes(title_text="Index", range=[-1.04 * falling, 1.04], row=2, col=1)
    figure.add_hline(y=0, line={"color": INK, "width": 0.6}, row=2, col=1)
    modes = dict.fromkeys(("barmode", "scattermode", "boxmode"), "group")
    figure.update_layout(margin={"b": 64 + 40 * many}, legend=BELOW, **modes)
    return figure


def _add_shapes(figure: Figure, name: str, result: xr.Dataset, colour: str) -> None:
    """Add a bar a verdict, of the subject's colour or the verdict's own, and corrected diamonds."""
    shapes = result["shape"].to_numpy().astype(str)
    ends = with_ends(result, "shape_fraction")
    place = {"x": shapes, "offsetgroup": name, "row": 1, "col": 1}
    figure.add_bar(
        name=name,
        legendgroup=name,
        showlegend=bool(colour),
        y=ends[0],
        error_y=error_bars(*ends),
        marker={"color": colour or [SHAPE_COLOURS[one] for one in shapes]},
        customdata=result["shape_n"].to_numpy(),
        hovertemplate="%{x}: %{customdata} units, %{y:.1%}<extra></extra>",
        **place,
    )
    figure.add_scatter(
        name="corrected",
        showlegend=False,
        y=result["shape_corrected_fraction"].to_numpy(),
        mode="markers",
        cliponaxis=False,
        marker={"symbol": "diamond", "size": 9, "color": "white"}
        | {"line": {"color": INK, "width": 1.5}},
        customdata=result["shape_corrected_n"].to_numpy(),
        hovertemplate="%{x}, corrected: %{customdata} units, %{y:.1%}<extra></extra>",
        **place,
    )


def _add_boxes(figure: Figure, name: str, result: xr.Dataset, colour: str) -> None:
    tested = result["tested_expression"].to_numpy().astype(str)
    finite = result["status"].to_numpy() != NOT_FINITE
    own = result["series_expression"].to_numpy().astype(str)[:, None] == tested
    values = [
        np.nanmedian(np.where(own, result[index].to_numpy(), np.nan)[:, finite], axis=0)
        for index in INDICES
    ]
    more = {"legendgroup": name, "showlegend": False, "row": 2, "col": 1}
    add_boxes(figure, name, list(INDICES.values()), values, colour, **more)


def _note(results: Mapping[str, xr.Dataset]) -> str:
    alpha = {float(one) for one in _option(results, "alpha")}
    level = ", ".join(f"{100 * one:g} %" for one in sorted(alpha))
    over = " or ".join(dict.fromkeys(map(str, _option(results, "tested_over"))))
    who = "" if len(results) > 1 else f"{next(iter(results))}; "
    rising, falling = (counted(results, f"n_{word}") for word in ("rising", "falling"))
    return note_of(
        results,
        f"{who}n = {units_of(results)}; bars: tests over {over} at {level}, uncorrected, "
        "with Wilson's 95 % over units;",
        f"{rising} units rise, {falling} fall; diamonds: corrected over units "
        "(Benjamini-Hochberg);",
        f"of the linear, {counted(results, 'n_linear_lacking_fit')} lack fit in another shape, as "
        "sigmoids do;",
        "boxes: quartiles over units; whiskers: 5 and 95 %",
    )


def _option(results: Mapping[str, xr.Dataset], name: str) -> list[Any]:
    """Return an option of the analysis, one per subject."""
    return [json.loads(one.attrs["options"])[name] for one in results.values()]
