"""Figure of linearity: activity against strength, as Figure 5 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    ABOVE,
    BELOW,
    EXPRESSION_COLOURS,
    EXPRESSION_MARKERS,
    HEAD_COLOURS,
    INK,
    SMALL,
    add_boxes,
    add_curve,
    beside,
    check_results,
    colour_of,
    marker_of,
    note_of,
    small,
    span,
    style,
    with_ends,
)
from neurofer.analyses.inputs import ALL, sorted_expressions, sorted_heads

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


SHIFT = 0.008  # of strength, between expressions that have error bars


def readout_figure(results: Mapping[str, xr.Dataset], *, normalise: bool = False) -> Figure:
    """Return the matching unit's activity over strength, one row per subject, one column per head.

    The dashed chord of each expression joins its neutral to its full strength: perfect linearity.
    Subjects recorded at a site without labels have no matching unit: they are named and, where no
    subject has one, the distribution of R2 over units is drawn, by head.
    """
    results = check_results(results)
    labelled = {name: one for name, one in results.items() if "readout" in one}
    if not labelled:
        return _distribution_figure(results)
    from plotly.subplots import make_subplots

    heads = sorted_heads(
        {str(h) for one in labelled.values() for h in one["head"].to_numpy()} - {ALL}
    )
    figure = make_subplots(
        rows=len(labelled),
        cols=len(heads),
        shared_xaxes=True,
        shared_yaxes="rows",
        horizontal_spacing=0.03,
        vertical_spacing=0.30 / len(labelled) if len(labelled) > 1 else 0,
        subplot_titles=[
            _panel_title(name, one, head, many=len(labelled) > 1)
            for name, one in labelled.items()
            for head in heads
        ],
    )
    for i, result in enumerate(labelled.values()):
        for j, head in enumerate(heads):
            if head in result["head"].to_numpy():
                _add_panel(figure, result.sel(head=head), i + 1, j + 1, normalise)
        unit = "Activity (1 at full strength)" if normalise else "Activity"
        figure.update_yaxes(title_text=unit, row=i + 1, col=1)
        # Plotly does not find the range of several rows of shared axes by itself.
        figure.update_yaxes(range=_range(figure, i + 1, len(heads)), row=i + 1)
    for j in range(len(heads)):
        figure.update_xaxes(title_text="Strength", row=len(labelled), col=j + 1)
    style(
        figure,
        title="Activity of the unit that matches the expression, against its strength",
        note=_note(labelled, [name for name in results if name not in labelled]),
        height=220 + 290 * len(labelled),
        top=64,
    )
    figure.update_xaxes(range=[-0.06, 1.08], dtick=0.25)
    figure.update_yaxes(zeroline=True, zerolinecolor="#d9d9d9")
    figure.update_annotations(font={"size": SMALL + 1})
    figure.update_layout(legend=BELOW, margin={"b": 110})
    return figure


def _add_panel(figure: Figure, result: xr.Dataset, row: int, column: int, normalise: bool) -> None:
    strength = result["strength"].to_numpy().astype(float)
    first = row == 1 and column == 1
    expressions = sorted_expressions(result["expression"].to_numpy())
    barred = bool(np.isfinite(result["readout_low"]).any())
    for k, expression in enumerate(expressions):
        value, low, high = with_ends(result.sel(expression=expression), "readout")
        shown = np.isfinite(value)
        if shown.sum() < 2:
            continue
        scale = value[shown][-1] if normalise and value[shown][-1] else 1.0
        x = strength[shown] + (beside(k, len(expressions), SHIFT) if barred else 0.0)
        value, low, high = value[shown] / scale, low[shown] / scale, high[shown] / scale
        colour = colour_of(expression, EXPRESSION_COLOURS, k)
        figure.add_scatter(
            x=x[[0, -1]],
            y=value[[0, -1]],
            mode="lines",
            line={"color": colour, "width": 1.3, "dash": "dash"},
            showlegend=False,
            hoverinfo="skip",
            row=row,
            col=column,
        )
        add_curve(
            figure,
            expression,
            x,
            (value, low, high),
            (colour, marker_of(expression, EXPRESSION_MARKERS, k)),
            said=f"{expression}, strength %{{customdata}}: %{{y:.3g}}",
            labels=strength[shown],
            marker_size=8,
            legendgroup=expression,
            showlegend=first,
            row=row,
            col=column,
        )
    if first:
        figure.add_scatter(
            name="chord (perfect linearity)",
            x=[None],
            y=[None],
            mode="lines",
            line={"color": INK, "width": 1.3, "dash": "dash"},
            row=row,
            col=column,
        )


def units_of(results: Mapping[str, xr.Dataset]) -> str:
    """Say how many units are counted, and how many were set aside: "9 units (1 set aside)"."""
    aside = [int(one.attrs["n_not_finite"]) for one in results.values()]
    whole = [int(one.attrs["n_units"]) for one in results.values()]
    used = span([n - k for n, k in zip(whole, aside, strict=True)])
    return f"{used} units" + (f" ({span(aside)} set aside: not finite)" if any(aside) else "")


def _range(figure: Figure, row: int, columns: int) -> list[float]:
    """Return the range of a row of panels, from the points and error bars that are drawn in it."""
    ends = [0.0]
    for column in range(1, columns + 1):
        for trace in figure.select_traces(row=row, col=column):
            value = np.array([np.nan if y is None else y for y in trace.y], float)
            bars = (trace.error_y.array, trace.error_y.arrayminus)
            up, down = (0 if one is None else np.nan_to_num(one) for one in bars)
            ends += [*(value + up)[np.isfinite(value)], *(value - down)[np.isfinite(value)]]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    return [min(ends) - margin, max(ends) + margin]


def _panel_title(name: str, result: xr.Dataset, head: str, *, many: bool) -> str:
    """Return head (and subject), and the median R2 with its interval."""
    title = f"{name}, {head}" if many else head
    if head not in result["head"].to_numpy():
        return f"{title}: not shown"
    cell = result.sel(head=head)
    low, high = float(cell["median_r2_low"]), float(cell["median_r2_high"])
    within = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    return f"{title}<br>" + small(f"median R<sup>2</sup> {float(cell['median_r2']):.2f}{within}")


def _note(results: Mapping[str, xr.Dataset], left_out: Sequence[str]) -> str:
    by_head = [one.drop_sel(head=ALL) for one in results.values()]
    n = span([int(k) for one in by_head for k in one["readout_n"].max(["expression", "strength"])])
    bars = "means without error bars, because their intervals need five identities"
    if any(bool(np.isfinite(one["readout_low"]).any()) for one in by_head):
        bars = "error bars: 95 %, bootstrap over identities"
    methods = {str(m) for one in results.values() for m in one["interval"].to_numpy()}
    # Of several subjects, the panels say the names.
    who = f"{next(iter(results))}; " if len(results) == 1 else ""
    note = note_of(
        results,
        f"{who}means of n = {n} {'identity' if n == '1' else 'identities'} per head; {bars}",
        f"in brackets: 95 % interval of the median, {' or '.join(sorted(methods))}",
    )
    if left_out:
        note += f"<br>without labelled units, and so not drawn: {', '.join(left_out)}"
    return note


def _distribution_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return boxes of R2 over units and series, by subject and head."""
    import plotly.graph_objects as go

    figure = go.Figure()
    found = [str(h) for one in results.values() for h in one["series_head"].to_numpy()]
    for k, head in enumerate(sorted_heads(found)):
        values = [
            one["r2"].to_numpy()[one["series_head"].to_numpy() == head] for one in results.values()
        ]
        add_boxes(figure, head, list(results), values, colour_of(head, HEAD_COLOURS, k))
    series = span([one.sizes["series"] for one in results.values()])
    note = note_of(
        results,
        f"n = {units_of(results)}, {series} series (head, identity, expression); "
        "box: quartiles; whiskers: 5 and 95 %",
    )
    title = "Linearity of all units in the strength of expressions"
    style(figure, title=title, note=note, height=480)
    figure.update_yaxes(title_text="R<sup>2</sup>", range=[0, 1.02])
    figure.update_layout(boxmode="group", legend=ABOVE)
    return figure
