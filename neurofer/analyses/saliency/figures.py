"""Figures of saliency: its density on the parts of the face, and the maps over the faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    INK,
    OTHER_COLOURS,
    OTHER_MARKERS,
    PALE,
    SEQUENTIAL,
    SMALL,
    WIDTH,
    colour_of,
    counted,
    data_of,
    draw_view,
    error_bars,
    grid,
    marker_of,
    note_of,
    small,
    span,
    style,
    with_ends,
)
from neurofer.analyses.inputs import ALL
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_PICTURES = 12
_AXIS = "Share of saliency / of what is seen"
_LABELS, _SCALE = 64, 72  # pixels left and right of the pictures
_STRENGTH = 0.7  # of the colour over the face


def draw(results: Mapping[str, xr.Dataset], view: str) -> Figure:
    """Return a view of results, or of differences of pairs of them, see `saliency.figure`."""
    views = {"parts": _parts, "answers": _answers, "differences": _differences, "maps": _pictures}
    return draw_view(results, view, views, "analysis 'saliency'")


def _parts(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return one row per part of the face, one marker per subject, and a line at a density of 1."""
    cells = {name: result.sel(head=ALL, answers=ALL) for name, result in results.items()}
    figure = _rows(cells, _AXIS, 1.0)
    figure.update_xaxes(rangemode="tozero")
    return _styled(figure, results, "Saliency on the parts of the face", len(results))


def _differences(pairs: Mapping[str, xr.Dataset]) -> Figure:
    """Return one row per part, one marker per pair of subjects, and a line at no difference."""
    cells = {name: result.sel(head=ALL) for name, result in pairs.items()}
    figure = _rows(cells, "Difference of density, over the same images", 0.0)
    return _styled(figure, pairs, "Difference of saliency between subjects", len(pairs))


def _rows(cells: Mapping[str, xr.Dataset], axis: str, line: float) -> Figure:
    from plotly.graph_objects import Figure

    figure, parts = Figure(), next(iter(cells.values()))["part"].to_numpy().tolist()
    figure.add_vline(x=line, line={"color": GREY, "dash": "dash", "width": 1.5})
    for k in range(1, len(parts)):
        figure.add_hline(y=k - 0.5, line={"color": PALE, "width": 1})
    for k, (name, cell) in enumerate(cells.items()):
        offset = 0.76 * ((k + 0.5) / len(cells) - 0.5)
        symbol = marker_of(name, {}, k) + ("-open" if k >= len(OTHER_MARKERS) else "")
        _markers(figure, cell, offset, name, symbol, colour_of(name, {}, k))
    figure.update_xaxes(title_text=axis)
    _part_axis(figure, parts)
    return figure


def _answers(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return one panel per subject: a row per part, correct and wrong answers beside all."""
    counts = {
        name: ", ".join(
            f"{answers} {int((one['n'] - one['n_empty']).sel(head=ALL, answers=answers))}"
            for answers in one["answers"].to_numpy().tolist()
            if answers != ALL
        )
        for name, one in results.items()
    }
    titles = [f"{name}<br>{small(said or 'names no expressions')}" for name, said in counts.items()]
    figure, places = grid(titles, columns=3)
    looks = {
        ALL: ("all answers", "circle", INK),
        "correct": ("correct", "triangle-up", OTHER_COLOURS[1]),
        "wrong": ("wrong", "x", OTHER_COLOURS[2]),
    }
    named: set[str] = set()
    for result, (row, column) in zip(results.values(), places, strict=True):
        for k, (answers, (words, symbol, colour)) in enumerate(looks.items()):
            if answers not in result["answers"].to_numpy():
                continue
            cell = result.sel(head=ALL, answers=answers)
            place = {"row": row, "col": column, "showlegend": words not in named}
            _markers(figure, cell, 0.27 * (k - 1), words, symbol, colour, **place)
            named.add(words)
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5})
    _part_axis(figure, next(iter(results.values()))["part"].to_numpy().tolist())
    figure.update_yaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=True, col=1)
    figure.update_xaxes(rangemode="tozero", matches="x", title_text=_AXIS)
    title, height = "Saliency of right and wrong answers", 190 + 400 * places[-1][0]
    style(figure, title=title, note=_note(results), height=height, top=100)
    legend = {"orientation": "h", "x": 0, "y": 1 - 96 / height, "yref": "container"}
    return figure.update_layout(legend={**legend, "yanchor": "top"})


def _markers(
    figure: Figure,
    cell: xr.Dataset,
    offset: float,
    name: str,
    symbol: str,
    colour: str,
    **place: object,
) -> None:
    ends = with_ends(cell, "density")
    figure.add_scatter(
        x=ends[0],
        y=np.arange(len(ends[0])) + offset,
        error_x=error_bars(*ends),
        mode="markers",
        name=name,
        legendgroup=name,
        marker={"symbol": symbol, "color": colour, "size": 9},
        customdata=100 * cell["share"].to_numpy(),
        hovertemplate="%{x:.2f} (share of the map %{customdata:.1f} %)",
        **place,
    )


def _part_axis(figure: Figure, parts: list[str]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(parts))), ticktext=parts, range=[len(parts) - 0.5, -0.5]
    )


def _styled(figure: Figure, results: Mapping[str, xr.Dataset], title: str, many: int) -> Figure:
    parts = next(iter(results.values())).sizes["part"]
    height = 240 + parts * max(30, 16 * many)
    return style(figure, title=title, note=_note(results), height=height)


def _note(results: Mapping[str, xr.Dataset]) -> str:
    counts = []
    for one in results.values():
        n = one["n"] - one["n_empty"] if "n_empty" in one else one["n"]
        counts.append(int(n.sel(dict.fromkeys(n.dims, ALL))))
    return note_of(
        results,
        f"n = {span(counts)} images of {counted(results, 'n_identities')} people; Grad-CAM++ of "
        f"{_explained(results)}, maps of {counted(results, 'places')} places; error bars: 95 %, "
        "over people",
    )


def _explained(results: Mapping[str, xr.Dataset]) -> str:
    return ", ".join(dict.fromkeys(one.attrs["explains"] for one in results.values()))


def _pictures(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the maps that results hold over their faces."""
    for name, result in results.items():
        if "map" not in result:
            raise NeuroferError(
                f"the result of {name!r} holds no maps: analyse it with site=['saliency', "
                "'saliency-map'], of a few images"
            )
    first = next(iter(results.values()))
    for name, result in results.items():
        if not np.array_equal(result["stimulus_id"], first["stimulus_id"]):
            raise NeuroferError(f"{name!r} was shown other images than the first subject")
    if first.sizes["image"] > MOST_PICTURES:
        raise NeuroferError(
            f"{first.sizes['image']} images do not fit beside each other; give at most "
            f"{MOST_PICTURES}, with 'select' in a study"
        )
    faces = np.rint(first["face"].to_numpy()).clip(0, 255).astype(np.uint8)
    images = np.repeat(faces[..., None], 3, axis=3)
    maps = {name: result["map"].to_numpy() for name, result in results.items()}
    explained = _explained(results)
    titles = [
        str(series).rpartition("/")[2] for series in first["image_series"].to_numpy().tolist()
    ]
    return maps_figure(images, maps, data=data_of(results), explains=explained, titles=titles)


def maps_figure(
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    data: str,
    explains: str = "the answer",
    titles: Sequence[str] = (),
) -> Figure:
    """Return maps over the faces that they explain: a row per subject, a column per image.

    Args:
        images: (n, H, W, 3) uint8.
        maps: subject -> (n, H, W) at least 0; each is scaled to its own greatest value.
        data: what the images are, such as "bfs (rendered)".
        explains: which output the maps explain.
        titles: of the columns.

    Raises:
        NeuroferError: there is nothing to draw, or maps and images are not of one shape.
    """
    from plotly.graph_objects import Image
    from plotly.subplots import make_subplots

    for name, one in maps.items():
        if one.shape != images.shape[:3]:
            raise NeuroferError(
                f"maps of {name!r} have shape {one.shape}, images {images.shape[:3]}; give one per "
                "image at its size"
            )
    if not maps or not len(images):
        raise NeuroferError("there are no maps to draw: give at least one subject's")
    rows = {"": None, **maps}
    figure = make_subplots(
        rows=len(rows),
        cols=len(images),
        column_titles=list(titles) or None,
        horizontal_spacing=0.006,
        vertical_spacing=0.04 / len(rows),
    )
    for row, (name, found) in enumerate(rows.items(), start=1):
        for column, image in enumerate(images, start=1):
            shown = image if found is None else overlay(image, found[column - 1])
            figure.add_trace(Image(z=shown), row=row, col=column)
        figure.update_yaxes(title_text=_broken(name), row=row, col=1)
    side = (WIDTH - _LABELS - _SCALE) / len(images) * images.shape[1] / images.shape[2]
    bar = {"thickness": 14, "len": min(240, side * len(rows)), "lenmode": "pixels"}
    bar |= {"y": 1, "yanchor": "top", "tickvals": [0, 0.5, 1], "tickfont": {"size": SMALL}}
    scale = {"colorscale": SEQUENTIAL, "cmin": 0, "cmax": 1, "color": [0], "colorbar": bar}
    figure.add_scatter(x=[None], y=[None], mode="markers", showlegend=False, marker=scale)
    note = (
        f"n = {len(images)} images; Grad-CAM++ of {explains}, each map scaled to its greatest "
        f"value; white line: half of it<br>{data}"
    )
    top = 40 + 36 + 24 * (1 + note.count("<br>"))  # as `style` leaves above the panels
    height = round(top + 16 + side * len(rows))
    style(figure, title="Saliency over the faces", note=note, height=height)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(showline=False, ticks="", showticklabels=False, automargin=False)
    figure.update_yaxes(title={"font": {"size": SMALL}, "standoff": 6})
    figure.update_annotations(font={"size": SMALL, "color": INK})
    figure.update_layout(margin={"l": _LABELS, "r": _SCALE, "b": 16})
    return figure


def _broken(name: str, most: int = 13) -> str:
    """Return a name in lines that fit beside a picture.

    >>> _broken("VGG, untrained")
    'VGG,<br>untrained'
    """
    import textwrap

    return "<br>".join(textwrap.wrap(name, most, break_long_words=False))


def overlay(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Return a face in grey with its map in colour over it, (H, W, 3) uint8.

    A white line runs inside the places where the map is at least half of its greatest value, so
    that they are seen in grey print as well, where the face's own light and dark mix with the map.

    Args:
        image: (H, W, 3) uint8.
        saliency: (H, W) at least 0.
    """
    from plotly.colors import get_colorscale, sample_colorscale
    from scipy.ndimage import binary_erosion

    levels = sample_colorscale(
        get_colorscale(SEQUENTIAL), np.linspace(0, 1, 256), colortype="tuple"
    )
    scaled = saliency / max(float(saliency.max()), 1e-12)
    colour = 255 * np.array(levels)[np.rint(255 * scaled).astype(int)]
    grey = image.astype(float).mean(2, keepdims=True)
    shown = (1 - _STRENGTH) * grey + _STRENGTH * colour
    half = scaled >= 0.5
    shown[half & ~binary_erosion(half, border_value=1)] = 255
    return np.rint(shown).clip(0, 255).astype(np.uint8)
