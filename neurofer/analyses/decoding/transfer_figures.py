"""Figures of transfer: accuracy by head and strength, and confusion matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.decoding.decoders import TIE, UNDEFINED
from neurofer.analyses.figures import (
    ABOVE,
    GREY,
    HEAD_COLOURS,
    HEAD_MARKERS,
    SIZE,
    SMALL,
    add_confusion,
    add_curve,
    beside,
    colour_of,
    counted,
    error_bars,
    grid,
    marker_of,
    note_of,
    style,
)
from neurofer.analyses.inputs import ALL, sorted_heads

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SPACING = 0.2


def accuracy_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return bars of accuracy by subject and head and, for graded stimuli, lines over strength."""
    from plotly.subplots import make_subplots

    graded = any(len(_levels(one)) > 2 for one in results.values())
    figure = make_subplots(
        rows=1 + graded, cols=1, vertical_spacing=SPACING, row_heights=[0.55, 0.45][: 1 + graded]
    )
    _add_bars(figure, results)
    if graded:
        _add_lines(figure, results)
        figure.update_xaxes(title_text="Strength of the expression", row=2, col=1)
    chance = float(np.mean([one.attrs["chance"] for one in results.values()]))
    figure.add_hline(y=chance, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        {"text": f"chance<br>{chance:.1f} %", "xref": "paper", "x": 1.005, "y": chance},
        xanchor="left",
        yanchor="middle",
        showarrow=False,
    )
    methods = {str(m) for one in results.values() for m in one["interval"].to_numpy().ravel()}
    n = f"n = {counted(results, 'n_tested')} images"
    note = note_of(results, f"{n}; error bars: 95 %, {_methods(methods)}")
    title, height = "Expressions recognised, by head", 480 + 300 * graded
    style(figure, title=title, note=note, height=height)
    figure.update_annotations(font={"size": SMALL, "color": GREY})
    figure.update_yaxes(range=[0, 105], title_text="Correct (%)", dtick=20)
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05, margin={"r": 80})
    return figure


def confusion_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the confusion matrix of each subject, in percent of what was shown."""
    figure, places = grid(list(results), columns=2)
    for place, (name, result) in zip(places, results.items(), strict=True):
        counts = _without_empty(result["confusion"])
        shown = counts.sum("answer")
        percent = (100 * counts / shown.where(shown > 0)).transpose("expression", "answer")
        add_confusion(figure, percent, name, place, scale=place == places[0])
    rows = places[-1][0]
    n = f"n = {counted(results, 'n_tested')} images"
    note = note_of(results, f"{n}; percent of the images of an expression")
    style(figure, title="Answers to every expression", note=note, height=140 + 400 * rows)
    figure.update_yaxes(autorange="reversed", title_text="Shown")
    figure.update_xaxes(title_text="Answered", tickangle=-45)
    return figure


def _add_bars(figure: Figure, results: Mapping[str, xr.Dataset]) -> None:
    names = list(results)
    for k, head in enumerate(_heads(results)):
        value, low, high = np.array([_cell(one, head, ALL) for one in results.values()]).T
        figure.add_bar(
            name=_head_label(head),
            x=names,
            y=value,
            error_y=error_bars(value, low, high),
            # Hatched, because it is as dark as that of the humans in grey print.
            marker={"color": colour_of(head, HEAD_COLOURS, k), "line": {"width": 0}}
            | {"pattern": {"shape": "/" if head == ALL else "", "fillmode": "overlay", "size": 8}},
            # A head that could not be tested has no bar, which must not read as 0 %.
            text=["" if np.isfinite(v) else "not tested" for v in value],
            textangle=-90,
            hovertemplate=f"%{{x}}, {head}: %{{y:.1f}} %<extra></extra>",
            row=1,
            col=1,
        )
    figure.update_layout(legend=ABOVE)


def _add_lines(figure: Figure, results: Mapping[str, xr.Dataset]) -> None:
    """Add accuracy over strength: of all subjects over all heads, or of one subject by head."""
    if len(results) == 1:
        (result,) = results.values()
        lines = {
            head: (result, head, colour_of(head, HEAD_COLOURS, k), marker_of(head, HEAD_MARKERS, k))
            for k, head in enumerate(_heads(results)[:-1])
        }
    else:
        lines = {
            name: (one, ALL, colour_of("", {}, k), marker_of("", {}, k))
            for k, (name, one) in enumerate(results.items())
        }
    # The table has all intervals; more than a few of them in one panel hide the lines.
    barred = len(lines) <= 4
    for k, (name, (result, head, *look)) in enumerate(lines.items()):
        levels = _levels(result)
        value, low, high = np.array([_cell(result, head, level) for level in levels]).T
        add_curve(
            figure,
            name,
            np.array(levels, float) + (beside(k, len(lines), 0.012) if barred else 0),
            (value, low, high),
            (look[0], look[1]),
            said=f"{name}, strength %{{customdata}}: %{{y:.1f}} %",
            labels=levels,
            error_y_visible=barred,
            line_dash="solid" if k < 8 else "dot",
            cliponaxis=False,  # at 0 % the axis hides half of a symbol
            legend="legend2",
            row=2,
            col=1,
        )
    what = "by head" if len(results) == 1 else "all heads"
    figure.update_layout(
        legend2={
            **ABOVE,
            "title": {"text": f"{what}:", "font": {"size": SIZE - 1}},
            "font": {"size": SIZE - 1},
            "y": 0.45 * (1 - SPACING) + 0.01,
        }
    )
    figure.update_xaxes(dtick=0.25, row=2, col=1)


def _cell(result: xr.Dataset, head: str, strength: str) -> tuple[float, float, float]:
    """Return accuracy, low and high; NaN where a subject has no such cell."""
    if head not in result["head"].to_numpy() or strength not in result["strength"].to_numpy():
        return np.nan, np.nan, np.nan
    cell = result.sel(head=head, strength=strength)
    return tuple(float(cell[f"accuracy{suffix}"]) for suffix in ("", "_low", "_high"))  # type: ignore[return-value]


def _heads(results: Mapping[str, xr.Dataset]) -> list[str]:
    found = {str(head) for one in results.values() for head in one["head"].to_numpy()}
    return [*sorted_heads(found - {ALL}), ALL]


def _levels(result: xr.Dataset) -> list[str]:
    return [str(level) for level in result["strength"].to_numpy() if level != ALL]


def _head_label(head: str) -> str:
    return "all heads" if head == ALL else head


def _methods(methods: set[str]) -> str:
    """Say in short how intervals were made; the table says it of each."""
    short = []
    if any("bootstrap" in method for method in methods):
        short.append("bootstrap over identities")
    if any("Wilson" in method for method in methods):
        short.append("Wilson score")
    return " or ".join(short) or "none"


def _without_empty(confusion: xr.DataArray) -> xr.DataArray:
    """Drop the answers "tie" and "undefined" where nobody gave them."""
    answers = confusion["answer"].to_numpy().astype(str)
    given = confusion.sum("expression").to_numpy() > 0
    return confusion.isel(answer=np.flatnonzero(given | ~np.isin(answers, [TIE, UNDEFINED])))


VIEWS: dict[str, Callable[[Mapping[str, xr.Dataset]], Figure]] = {
    "accuracy": accuracy_figure,
    "confusion": confusion_figure,
}
