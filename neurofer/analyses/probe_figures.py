"""The figure of the probe: a bar a subject, the chance level, the people behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    OTHER_COLOURS,
    SMALL,
    check_results,
    data_of,
    error_bars,
    span,
    style,
)
from neurofer.analyses.inputs import ALL

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALE_BLUE = OTHER_COLOURS[6]  # error bars must be seen on it


def accuracy_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return horizontal bars of accuracy over all images, the first subject at the top."""
    from plotly.graph_objects import Figure

    results = check_results(results)
    cells = [one.sel(view=ALL) for one in results.values()]
    value, low, high = (
        np.array([float(cell[f"accuracy{suffix}"]) for cell in cells])
        for suffix in ("", "_low", "_high")
    )
    figure = Figure()
    figure.add_bar(
        x=value,
        y=list(results),
        orientation="h",
        error_x=error_bars(value, low, high),
        marker={"color": PALE_BLUE, "line": {"width": 0}},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        showlegend=False,
    )
    chance = float(np.mean([one.attrs["chance"] for one in results.values()]))
    figure.add_vline(x=chance, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        {"text": f"chance {chance:.1f} %", "x": chance, "yref": "paper", "y": 1},
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
    images = span([one.attrs["n_tested"] for one in results.values()])
    people = span([one.attrs["n_identities"] for one in results.values()])
    note = (
        f"n = {images} images of {people} people; no decoder has seen who it is tested on; "
        f"error bars: 95 %, over people<br>{data_of(results)}"
    )
    style(figure, title="Expressions read correctly", note=note, height=260 + 34 * len(results))
    figure.update_annotations(font={"size": SMALL, "color": GREY})
    figure.update_xaxes(range=[0, 105], title_text="Correct (%)", dtick=20)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(bargap=0.35)
    return figure
