"""Figures of geometry: curves over sites, alignment of all subjects or head x head, CKA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    INK,
    PALE,
    SEQUENTIAL,
    SIZE,
    SMALL,
    add_curve,
    beside,
    colour_of,
    counted,
    error_bars,
    grid,
    marker_of,
    note_of,
    span,
    style,
    with_ends,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_CURVES = {
    "congruence": "Congruence of identity<br>and expression (absolute)",
    "mean_alignment": "Alignment of expressions<br>across heads (cosine)",
    "participation_ratio": "Participation ratio<br>(dimensions)",
}
_ALIGNED = (
    "alignment",
    "alignment_ceiling",
    "alignment_chance_low",
    "alignment_chance_high",
    "alignment_corrected",
    "alignment_corrected_low",
    "alignment_corrected_high",
)
_BARS = "error bars: 95 %, "
_LEGEND = {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}


def layers_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return congruence, alignment and dimension over sites, a line per subject, chance dotted."""
    shown = [name for name in _CURVES if any(name in one for one in results.values())]
    sites = list(dict.fromkeys(str(s) for one in results.values() for s in one["site"].to_numpy()))
    shared = all(one["site"].to_numpy().tolist() == sites for one in results.values())
    figure, places = grid([_CURVES[name] for name in shown], columns=3)
    for name, (row, column) in zip(shown, places, strict=True):
        for k, (subject, result) in enumerate(results.items()):
            if name in result:
                _add_curve(figure, result, name, subject, k, len(results), row, column)
    figure.update_yaxes(rangemode="tozero")
    style(
        figure,
        title="Geometry of identity and expression",
        note=note_of(
            results,
            f"{_counts(results)}; {_bars(results)}",
            "dotted: chance; dashed: ceiling, what the noise of few identities leaves of equal "
            "directions",
        ),
        height=520 + 22 * (len(results) > 1) * -(-len(results) // 4),
        top=72,
    )
    if shared:
        figure.update_xaxes(tickvals=list(range(len(sites))), ticktext=sites, tickangle=-45)
        figure.update_xaxes(range=[-0.5, len(sites) - 0.5])
    else:
        figure.update_xaxes(title_text="Site, in the order of the recording", tickformat="d")
    figure.update_annotations(font={"size": SIZE - 1})
    figure.update_layout(showlegend=len(results) > 1, legend=_LEGEND, margin={"b": 120})
    return figure


def alignment_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the alignment of every subject and site, a row each, with its ceiling and chance."""
    many = len(results) > 1
    rows = [
        (", ".join([name] * many + [str(site)] * (not many or one.sizes["site"] > 1)), cell)
        for name, one in results.items()
        if "mean_alignment" in one
        for site in one["site"].to_numpy().tolist()
        for cell in [one.sel(site=site)]
    ]
    figure, _ = grid(["" if rows else "not measured"], columns=1)
    labels = [name for name, _ in rows]
    read = {key: np.array([float(cell[f"mean_{key}"]) for _, cell in rows]) for key in _ALIGNED}
    low, high = read["alignment_chance_low"], read["alignment_chance_high"]
    figure.add_bar(
        x=high - low, base=low, y=labels, orientation="h", width=0.7, name="chance, central 95 %",
        marker={"color": PALE}, hoverinfo="skip",
    )  # fmt: skip
    for key, name, symbol in (
        ("alignment_ceiling", "ceiling", "line-ns-open"),
        ("alignment", "as measured", "circle-open"),
    ):
        marker = {"symbol": symbol, "size": 10, "color": GREY, "line": {"width": 2}}
        figure.add_scatter(x=read[key], y=labels, mode="markers", name=name, marker=marker)
    corrected = [read[f"alignment_corrected{suffix}"] for suffix in ("", "_low", "_high")]
    figure.add_scatter(
        x=corrected[0],
        y=labels,
        error_x=error_bars(*corrected),
        mode="markers",
        name="corrected for the noise of few identities",
        marker={"symbol": "circle", "size": 9, "color": INK},
    )
    style(
        figure,
        title="Does an expression point the same way on every head?",
        note=note_of(
            results,
            "cosine of tuning vectors, mean over expressions and pairs of heads",
            f"{_counts(results)}; {_bars(results)}",
        ),
        height=300 + 26 * max(len(rows), 4),
        top=40,
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title_text="Cosine", zeroline=True, zerolinecolor=PALE)
    figure.update_layout(legend=_LEGEND, margin={"b": 110})
    return figure


def heads_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return alignment head x head: every site of one subject, or the last of each of many."""
    panels = [
        (f"{name}, {site}" if len(results) > 1 else str(site), one.sel(site=site))
        for name, one in results.items()
        if "alignment" in one
        for site in (one["site"].to_numpy() if len(results) == 1 else one["site"].to_numpy()[-1:])
    ]
    return _heatmaps(
        results,
        [(title, one["head"].to_numpy().tolist(), _by_head(one)) for title, one in panels],
        title="Does an expression point the same way on every head?",
        note="mean cosine over expressions; diagonal: reliability of a head",
    )


def cka_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return debiased linear CKA of every site with every other, a panel per subject."""
    panels = [
        (name, [str(s) for s in one["site"].to_numpy()], one["cka_debiased"].to_numpy())
        for name, one in results.items()
    ]
    return _heatmaps(
        results, panels, title="Similarity of sites", note="linear CKA, debiased", tilt=True
    )


def _add_curve(
    figure: Figure,
    result: xr.Dataset,
    name: str,
    subject: str,
    position: int,
    subjects: int,
    row: int,
    column: int,
) -> None:
    colour = colour_of(subject, {}, position)
    ends = with_ends(result, name)
    x = np.arange(len(ends[0]))
    for suffix, dash in (("_chance", "dot"), ("_ceiling", "dash")):
        if f"{name}{suffix}" in result:
            figure.add_scatter(
                x=x,
                y=result[f"{name}{suffix}"].to_numpy(),
                mode="lines+markers" if len(x) == 1 else "lines",
                line={"dash": dash, "color": GREY if subjects == 1 else colour, "width": 1.5},
                marker={"symbol": "line-ew-open", "size": 26, "color": GREY},
                name=suffix[1:],
                showlegend=False,
                row=row,
                col=column,
            )
    add_curve(
        figure,
        subject,
        x + beside(position, subjects, 0.08),
        ends,
        (colour, marker_of(subject, {}, position)),
        said=f"{subject}, %{{customdata}}: %{{y:.2f}}",
        labels=result["site"].to_numpy(),
        showlegend=column == 1,
        legendgroup=subject,
        row=row,
        col=column,
    )


def _by_head(result: xr.Dataset) -> np.ndarray:
    """Return the (heads, heads) alignment, with the reliability on the diagonal."""
    heads = [str(head) for head in result["head"].to_numpy()]
    matrix = np.diag(result["reliability"].to_numpy())
    for pair, value in zip(result["pair"].to_numpy(), result["alignment"].to_numpy(), strict=True):
        i, j = (heads.index(head) for head in str(pair).split(" - "))
        matrix[i, j] = matrix[j, i] = value
    return matrix


def _heatmaps(
    results: Mapping[str, xr.Dataset],
    panels: list[tuple[str, list[str], np.ndarray]],
    *,
    title: str,
    note: str,
    tilt: bool = False,
) -> Figure:
    figure, places = grid([name for name, _, _ in panels] or ["not measured"], columns=3)
    for place, (name, labels, values) in zip(places, panels, strict=False):
        figure.add_heatmap(
            x=labels,
            y=labels,
            z=values,
            zmin=0,
            zmax=1,
            colorscale=SEQUENTIAL,
            texttemplate="%{z:.2f}" if len(labels) <= 5 else "",
            textfont={"size": SMALL},
            colorbar={"thickness": 14, "len": 0.6},
            showscale=place == places[0],
            hovertemplate=f"{name}<br>%{{x}}, %{{y}}: %{{z:.3f}}<extra></extra>",
            row=place[0],
            col=place[1],
        )
    # A heat map has no error bars; the table and the curves do.
    text = note_of(results, f"{_counts(results)}; {note}", "95 % intervals in the table")
    style(figure, title=title, note=text, height=200 + 300 * places[-1][0], top=48)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-45 if tilt else 0)
    figure.update_annotations(font={"size": SIZE - 1})
    return figure


def _counts(results: Mapping[str, xr.Dataset]) -> str:
    people, kinds = (counted(results, f"n_{name}") for name in ("identities", "expressions"))
    aside = span([int(one.attrs.get("n_set_aside", 0)) for one in results.values()])
    left = "" if aside == "0" else f" ({aside} units left out: they lack a stimulus)"
    return f"n = {people} identities, {kinds} expressions{left}"


def _bars(results: Mapping[str, xr.Dataset]) -> str:
    return _BARS + " or ".join(
        dict.fromkeys(str(one.attrs["interval"]) for one in results.values())
    )


VIEWS: dict[str, Callable[[Mapping[str, xr.Dataset]], Figure]] = {
    "layers": layers_figure,
    "alignment": alignment_figure,
    "heads": heads_figure,
    "cka": cka_figure,
}
