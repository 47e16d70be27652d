"""Figures of saliency: its density on the parts of the face, and the maps over the faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    INK,
    PALE,
    SEQUENTIAL,
    SMALL,
    check_results,
    colour_of,
    data_of,
    error_bars,
    marker_of,
    span,
    style,
)
from neurofer.analyses.inputs import ALL
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STRENGTH = 0.65  # of the colour over the face where a map is greatest


def density_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return one row a part of the face, one marker a subject, and a line at a density of 1."""
    from plotly.graph_objects import Figure

    results = check_results(results)
    figure, parts = Figure(), next(iter(results.values()))["part"].to_numpy().tolist()
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5})
    for k in range(1, len(parts)):
        figure.add_hline(y=k - 0.5, line={"color": PALE, "width": 1})
    for k, (name, result) in enumerate(results.items()):
        cell = result.sel(head=ALL)
        value, low, high = (cell[f"density{suffix}"].to_numpy() for suffix in ("", "_low", "_high"))
        offset = 0.7 * ((k + 0.5) / len(results) - 0.5)
        figure.add_scatter(
            x=value,
            y=np.arange(len(parts)) + offset,
            error_x=error_bars(value, low, high),
            mode="markers",
            name=name,
            marker={"symbol": marker_of(name, {}, k), "color": colour_of(name, {}, k), "size": 9},
            customdata=np.stack([100 * cell["share"], 100 * cell["area"]], 1),
            hovertemplate="%{x:.2f} (%{customdata[0]:.1f} % of the map on "
            "%{customdata[1]:.1f} % of what is seen)",
        )
    figure.add_annotation(
        {"text": "as everywhere", "x": 1, "yref": "paper", "y": 1},
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
    images = span([int((one["n"] - one["n_empty"]).sel(head=ALL)) for one in results.values()])
    people = span([one.attrs["n_identities"] for one in results.values()])
    note = (
        f"n = {images} images of {people} people; Grad-CAM++; error bars: 95 %, over people"
        f"<br>{data_of(results)}"
    )
    height = 240 + len(parts) * max(30, 16 * len(results))
    style(figure, title="Where the answer comes from", note=note, height=height)
    figure.update_annotations(font={"size": SMALL, "color": GREY})
    figure.update_xaxes(title_text="Share of saliency / share of what is seen", rangemode="tozero")
    figure.update_yaxes(
        tickvals=list(range(len(parts))), ticktext=parts, range=[len(parts) - 0.5, -0.5]
    )
    return figure


def maps_figure(images: np.ndarray, maps: Mapping[str, np.ndarray], *, data: str) -> Figure:
    """Return maps over the faces that they explain: a row a subject, a column an image.

    Args:
        images: (n, H, W, 3) uint8.
        maps: subject -> (n, H, W) at least 0; each is scaled to its own greatest value.
        data: what the images are, such as "bfs (rendered)".

    Raises:
        NeuroferError: there is nothing to draw, or maps and images are not of one shape.
    """
    from plotly.graph_objects import Image
    from plotly.subplots import make_subplots

    for name, one in maps.items():
        if one.shape != images.shape[:3]:
            raise NeuroferError(
                f"maps of {name!r} have shape {one.shape}, images {images.shape[:3]}; give one an "
                "image at its size"
            )
    if not maps or not len(images):
        raise NeuroferError("there are no maps to draw: give at least one subject's")
    rows = {"": None, **maps}
    figure = make_subplots(
        rows=len(rows),
        cols=len(images),
        row_titles=["", *maps],
        horizontal_spacing=0.01,
        vertical_spacing=0.06 / len(rows),
    )
    for row, found in enumerate(rows.values(), start=1):
        for column, image in enumerate(images, start=1):
            shown = image if found is None else overlay(image, found[column - 1])
            figure.add_trace(Image(z=shown), row=row, col=column)
    side = 860 // len(images)
    note = f"n = {len(images)} images; Grad-CAM++, each map scaled to its greatest value<br>{data}"
    style(figure, title="Where the answer comes from", note=note, height=150 + side * len(rows))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_annotations(font={"size": SMALL, "color": INK})
    figure.update_layout(margin={"l": 16, "r": 44, "b": 16})
    return figure


def overlay(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Return a face in grey with its map in colour over it, (H, W, 3) uint8.

    Args:
        image: (H, W, 3) uint8.
        saliency: (H, W) at least 0.
    """
    from plotly.colors import get_colorscale, sample_colorscale

    levels = sample_colorscale(
        get_colorscale(SEQUENTIAL), np.linspace(0, 1, 256), colortype="tuple"
    )
    scaled = saliency / max(float(saliency.max()), 1e-12)
    colour = 255 * np.array(levels)[np.rint(255 * scaled).astype(int)]
    grey = image.astype(float).mean(2, keepdims=True)
    weight = _STRENGTH * scaled[..., None]
    return np.rint((1 - weight) * grey + weight * colour).clip(0, 255).astype(np.uint8)
