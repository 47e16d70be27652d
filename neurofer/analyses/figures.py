"""The one look of all figures: colours, type, and what a caption must say.

Colours can be told apart by the colour-blind and, with the markers, in grey print: expressions
from Okabe & Ito, heads from Paul Tol's high-contrast set. A figure 900 pixels wide, printed 17 cm
wide, has its smallest letters at 6.5 points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
EXPRESSION_COLOURS = {
    "neutral": "#767676",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "angry": "#D55E00",
    "fear": "#CC79A7",
    "disgust": "#009E73",
    "surprise": "#56B4E9",
    "contempt": "#000000",
}
EXPRESSION_MARKERS = {
    "neutral": "circle-open",
    "happy": "circle",
    "sad": "square",
    "angry": "diamond",
    "fear": "triangle-up",
    "disgust": "triangle-down",
    "surprise": "star",
    "contempt": "x",
}
HEAD_COLOURS = {"human": "#004488", "monkey": "#BB5566", "cartoon": "#DDAA33", "all": "#444444"}
HEAD_MARKERS = {"human": "circle", "monkey": "square", "cartoon": "diamond", "all": "x"}
# For subjects, heads and expressions that have no colour of their own: Paul Tol's muted set.
OTHER_COLOURS = (
    "#332288", "#117733", "#882255", "#44AA99", "#AA4499", "#999933", "#88CCEE", "#CC6677",
)  # fmt: skip
OTHER_MARKERS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "star",
    "x",
    "cross",
)
SEQUENTIAL = "Cividis"
FONT = "Arial, Helvetica, Liberation Sans, DejaVu Sans, sans-serif"
WIDTH, SIZE, SMALL = 900, 15, 13
# Places of a legend: in the middle under the panels, or on the right over them.
BELOW = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yref": "container"}
ABOVE = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}
BOX = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles: whiskers, quartiles and median
Ends = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values, and the low and high ends of their intervals."""


def check_results(results: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return the results, at least one.

    Raises:
        NeuroferError: there is nothing to draw.
    """
    if not results:
        raise NeuroferError("there are no results to draw: give at least one subject's")
    return dict(results)


def draw_view(
    results: Mapping[str, xr.Dataset],
    view: str,
    views: Mapping[str, Callable[[Mapping[str, xr.Dataset]], Figure]],
    where: str = "",
) -> Figure:
    """Return one of several figures of results.

    Args:
        results: by subject, at least one.
        view: which.
        views: the figures by name.
        where: what has these views, for the message.

    Raises:
        NeuroferError: there is nothing to draw, or no such view.
    """
    if view not in views:
        raise unknown_choice("view", view, views, where)
    return views[view](check_results(results))


def colour_of(name: str, known: Mapping[str, str], position: int = 0) -> str:
    """Return the fixed colour of a name, or one by its position among names without.

    Args:
        name: of a head, an expression, a subject.
        known: name -> colour.
        position: among the names without a fixed colour.
    """
    return known.get(name, OTHER_COLOURS[position % len(OTHER_COLOURS)])


def marker_of(name: str, known: Mapping[str, str], position: int = 0) -> str:
    """Return the fixed marker of a name, or one by its position among names without.

    Args:
        name: of a head, an expression, a subject.
        known: name -> marker.
        position: among the names without a fixed marker.
    """
    return known.get(name, OTHER_MARKERS[position % len(OTHER_MARKERS)])


def data_of(results: Mapping[str, xr.Dataset]) -> str:
    """Return the data sets in words, with what they are: "bfs-rendered-1a2b3c4d (rendered)".

    >>> data_of({"a": xr.Dataset(attrs={"stimuli": "bfs", "data": "photograph"})})
    'bfs (photograph)'
    """
    sets = [f"{one.attrs['stimuli']} ({one.attrs['data']})" for one in results.values()]
    return ", ".join(dict.fromkeys(sets))


def span(values: list[int]) -> str:
    """Return a count over subjects: one number, or the range.

    >>> span([96, 96]), span([90, 96])
    ('96', '90 to 96')
    """
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def counted(results: Mapping[str, xr.Dataset], name: str) -> str:
    """Return an attribute that counts something, over subjects: one number, or the range."""
    return span([int(one.attrs[name]) for one in results.values()])


def note_of(results: Mapping[str, xr.Dataset], *lines: str) -> str:
    """Return the lines of a note, those that say something, and last the data."""
    return "<br>".join([*(line for line in lines if line), data_of(results)])


def style(
    figure: Figure, *, title: str, note: str, height: int, width: int = WIDTH, top: int = 40
) -> Figure:
    """Give a figure the look: a title, and under it, smaller, n, error bars and data.

    `note` may hold several lines, joined by "<br>"; `top` is the space between it and the panels.

    Args:
        figure: is changed.
        title: one line.
        note: one line or several, joined by "<br>".
        height: in pixels.
        width: in pixels.
        top: pixels between the note and the panels.
    """
    lines = 1 + note.count("<br>")
    figure.update_layout(
        template="none",
        width=width,
        height=height,
        font={"family": FONT, "size": SIZE, "color": INK},
        title={
            "text": f"<b>{title}</b><br>{small(note)}",
            "font": {"size": SIZE + 3},
            "x": 16 / width,
            "xref": "container",
            "xanchor": "left",
            "y": 1 - 26 / height,
            "yref": "container",
            "yanchor": "top",
        },
        margin={"l": 80, "r": 24, "t": top + 36 + 24 * lines, "b": 64},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={"font": {"size": SIZE - 1}, "bgcolor": "rgba(0,0,0,0)"},
        hoverlabel={"font": {"family": FONT}},
    )
    axis = {"showline": True, "linecolor": INK, "linewidth": 1, "ticks": "outside"}
    axis |= {"showgrid": False, "zeroline": False, "automargin": True}
    axis |= {"tickfont": {"size": SIZE - 1}, "title": {"font": {"size": SIZE}, "standoff": 10}}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_annotations(font={"family": FONT, "size": SIZE, "color": INK})
    return figure


def small(text: str) -> str:
    """Return the text in small grey letters."""
    return f"<span style='font-size:{SMALL}px;color:{GREY}'>{text}</span>"


def error_bars(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, object]:
    """Return plotly's asymmetric error bars of values with intervals; none where there is none.

    A missing interval stays NaN, of which plotly draws nothing; 0 would be drawn as a certainty.

    Args:
        value: of any shape.
        low: lower ends, of its shape.
        high: upper ends, of its shape.
    """
    return {
        "type": "data",
        "symmetric": False,
        "array": np.maximum(np.asarray(high - value, float), 0),
        "arrayminus": np.maximum(np.asarray(value - low, float), 0),
        "thickness": 1.2,
        "width": 3,
        "color": INK,
    }


def with_ends(cell: xr.Dataset, name: str) -> Ends:
    """Return a variable with the low and high ends of its interval."""
    return cell[name].to_numpy(), cell[f"{name}_low"].to_numpy(), cell[f"{name}_high"].to_numpy()


def beside(k: int, n: int, step: float) -> float:
    """Return by how much the k-th of n curves is moved, so that no error bar hides another.

    Args:
        k: which, from 0.
        n: how many there are.
        step: from one to the next.
    """
    return step * (k - (n - 1) / 2)


def add_curve(
    figure: Figure,
    name: str,
    x: np.ndarray,
    ends: Ends,
    look: tuple[str, str],
    *,
    said: str,
    labels: Sequence[Any] | np.ndarray | None = None,
    **more: Any,
) -> None:
    """Add a line with markers and error bars of its colour.

    Args:
        figure: to which.
        name: in the legend.
        x: (n,) where the values stand.
        ends: (n,) values, low and high ends.
        look: colour and marker.
        said: of a point under the pointer, a template of plotly.
        labels: (n,) what the template calls `customdata`.
        more: what else plotly is told, such as `row` and `line_dash`.
    """
    colour, symbol = look
    figure.add_scatter(
        name=name,
        x=x,
        y=ends[0],
        error_y={**error_bars(*ends), "color": colour},
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"symbol": symbol, "size": 9},
        customdata=labels,
        hovertemplate=f"{said}<extra></extra>",
        **more,
    )


def add_boxes(
    figure: Figure,
    name: str,
    x: Sequence[str],
    values: Sequence[np.ndarray],
    colour: str,
    **more: Any,
) -> None:
    """Add boxes of quantiles (`BOX`): of 200,000 units not every value need be in the file.

    Args:
        figure: to which.
        name: in the legend.
        x: names of the boxes.
        values: numbers of each box; what is NaN does not count.
        colour: of all.
        more: what else plotly is told, such as `row`.
    """
    low, q1, median, q3, high = np.array([np.nanquantile(one, BOX) for one in values]).T
    figure.add_box(
        name=name,
        x=x,
        lowerfence=low,
        q1=q1,
        median=median,
        q3=q3,
        upperfence=high,
        marker={"color": colour},
        **more,
    )


def add_confusion(
    figure: Figure,
    percent: xr.DataArray,
    name: str,
    place: tuple[int, int],
    *,
    scale: bool,
    written: bool = True,
) -> None:
    """Add a confusion matrix, in percent of what was shown, to a panel of a grid.

    Args:
        figure: of `grid`.
        percent: (shown, answer), with both as coordinates.
        name: whose it is, for the text under the pointer.
        place: row and column.
        scale: whether the colours are explained beside it.
        written: whether the numbers stand in the cells.
    """
    figure.add_heatmap(
        x=percent["answer"].to_numpy(),
        y=percent[percent.dims[0]].to_numpy(),
        z=percent.to_numpy(),
        zmin=0,
        zmax=100,
        texttemplate="%{z:.0f}" if written else None,
        textfont={"size": SMALL},
        colorscale=SEQUENTIAL,
        colorbar={"ticksuffix": " %", "thickness": 14, "len": 0.6},
        showscale=scale,
        hovertemplate=f"{name}<br>shown %{{y}}, answered %{{x}}: %{{z:.1f}} %<extra></extra>",
        row=place[0],
        col=place[1],
    )


def grid(titles: list[str], *, columns: int) -> tuple[Figure, list[tuple[int, int]]]:
    """Return a figure with one panel a title, and the (row, column) of each."""
    from plotly.subplots import make_subplots

    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=titles,
        horizontal_spacing=0.16 / columns * min(columns, 2),
        vertical_spacing=0.32 / rows if rows > 1 else 0,
    )
    return figure, [(1 + k // columns, 1 + k % columns) for k in range(len(titles))]
