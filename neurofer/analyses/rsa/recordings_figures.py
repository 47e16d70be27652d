"""Figures of models against recordings: evaluations with tests, and maps by site and time."""

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
    SIZE,
    SMALL,
    check_results,
    grid,
    note_of,
    span,
    style,
    with_ends,
)
from neurofer.analyses.rsa.figures import add_bars, comparison_name, left_out

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DOT = "#222222"
LEVEL = 0.05
# More brackets than these hide the bars: the smallest p-values are drawn, and the note says so.
MOST_BRACKETS = 10
CORRECTIONS = {
    "holm": "corrected by Holm",
    "bonferroni": "corrected by Bonferroni",
    "benjamini-hochberg": "false discovery rate by Benjamini & Hochberg",
    "none": "not corrected",
}


def evaluation_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return, one panel per result, the similarity of models with every subject's and their tests.

    A star is a similarity above zero and a bracket a difference, both at a corrected p below
    0.05; the grey band is the noise ceiling.
    """
    results = check_results(results)
    figure, places = grid(list(results), columns=1 if len(results) == 1 else 2)
    panels = zip(places, results.values(), strict=True)
    tops = [_add_evaluation(figure, one, place) for place, one in panels]
    low = min(_least(one) for one in results.values())
    figure.update_yaxes(
        range=[low - 0.06 * (max(tops) - low), max(tops)], tickvals=_ticks(low, max(tops))
    )
    first = next(iter(results.values()))
    hidden = any(len(_differences(one)) > MOST_BRACKETS for one in results.values())
    style(
        figure,
        title="Models against the subjects' dissimilarities",
        note=_note(results, hidden=hidden),
        height=210 + 360 * places[-1][0],
    )
    figure.update_yaxes(zeroline=True, zerolinecolor=INK, zerolinewidth=1)
    for place in places:
        if place[1] == 1:
            name = comparison_name(str(first.attrs["comparison"]))
            figure.update_yaxes(title_text=name, row=place[0], col=place[1])
    figure.update_layout(bargap=0.4, showlegend=False)
    return figure


def map_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return, one row per result and a column per model, similarity by site and time."""
    results = check_results(results)
    models = list(dict.fromkeys(str(m) for one in results.values() for m in one["model"].values))
    titles = [
        f"{name}<br>{model}" if len(results) > 1 else model for name in results for model in models
    ]
    figure, places = grid(titles, columns=len(models))
    values = np.concatenate([one["similarity"].to_numpy().ravel() for one in results.values()])
    ends = [float(np.nanmin(values)), float(np.nanmax(values))]
    panels = [(one, model) for one in results.values() for model in models]
    for k, (place, (result, model)) in enumerate(zip(places, panels, strict=True)):
        if model in result["model"].to_numpy():
            _add_map(figure, result.sel(model=model), place, ends, scale=k == 0)
    rows = places[-1][0]
    sites = max(one.sizes["site"] for one in results.values())
    n = span([int(one["n"]) for one in results.values()])
    first = next(iter(results.values()))
    style(
        figure,
        title="Similarity to models by site and time",
        note=note_of(
            results,
            f"n = {n} conditions; dissimilarity: {first.attrs['distance']}; "
            f"{comparison_name(first.attrs['comparison'])}",
            "no error bars; grey: the site tells no conditions apart at that time",
        ),
        height=230 + rows * (90 + 34 * sites),
        top=60,
    )
    figure.update_yaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=True, col=1)
    figure.update_xaxes(showticklabels=False, tickangle=-45)
    named = "time (ms)" if "time_bin_start" in first.coords else "time bin"
    figure.update_xaxes(showticklabels=True, title_text=named, row=rows)
    return figure


def _add_evaluation(figure: Figure, result: xr.Dataset, place: tuple[int, int]) -> float:
    """Add bars, dots, stars, brackets and the ceiling; return where they end."""
    models = result["model"].to_numpy().astype(str).tolist()
    at = {"row": place[0], "col": place[1]}
    value, low, high = with_ends(result, "similarity")
    each = result["similarity_each"].to_numpy()
    positions = np.arange(len(models))
    add_bars(figure, models, (value, low, high), at)
    _add_subjects(figure, result, at)
    end = float(np.nanmax([value.max(), np.nanmax(high), each.max()]))
    if "noise_ceiling_low" in result:
        ends = [float(result[f"noise_ceiling_{end}"]) for end in ("low", "high")]
        figure.add_hrect(
            y0=ends[0], y1=ends[1], fillcolor=GREY, opacity=0.35, line_width=0, layer="below", **at
        )
        end = max(end, ends[1])
    step = 0.07 * (end - min(_least(result), 0.0))
    _add_stars(figure, result, end + 0.5 * step, at)
    number = _add_brackets(figure, result, end, step, at)
    figure.update_xaxes(
        tickvals=positions.tolist(),
        ticktext=models,
        tickangle=0 if max(map(len, models)) * len(models) < 60 else -30,
        range=[-0.6, len(models) - 0.4],
        **at,
    )
    return end + (2.3 + number) * step


def _add_subjects(figure: Figure, result: xr.Dataset, at: Mapping[str, int]) -> None:
    each = result["similarity_each"].transpose("subject", "model").to_numpy()
    shift = np.linspace(-0.16, 0.16, len(each)) if len(each) > 1 else np.array([0.16])
    figure.add_scatter(
        x=(np.arange(each.shape[1])[None] + shift[:, None]).ravel(),
        y=each.ravel(),
        mode="markers",
        marker={"color": PALE, "size": 6, "line": {"color": DOT, "width": 1}},
        text=np.repeat(result["subject"].to_numpy().astype(str), each.shape[1]),
        hovertemplate="%{text}: %{y:.3f}<extra></extra>",
        **at,
    )


def _add_brackets(
    figure: Figure, result: xr.Dataset, end: float, step: float, at: Mapping[str, int]
) -> int:
    """Add a bracket over every two models that differ, the narrow ones below; return how many."""
    shown = sorted(_differences(result))[:MOST_BRACKETS]
    for k, (_, i, j) in enumerate(sorted(shown, key=lambda one: one[2] - one[1])):
        y = end + (2.1 + k) * step
        figure.add_scatter(
            x=[i, i, j, j],
            y=[y - 0.3 * step, y, y, y - 0.3 * step],
            mode="lines",
            line={"color": INK, "width": 1.2},
            hoverinfo="skip",
            **at,
        )
    return len(shown)


def _ticks(low: float, top: float) -> list[float]:
    """Return values at which similarities are written: none above 1, where brackets stand."""
    step = next((one for one in (0.02, 0.05, 0.1) if top - low < 7 * one), 0.2)
    return np.round(np.arange(np.ceil(low / step), min(top, 1.0) / step + 1e-9) * step, 2).tolist()


def _add_stars(figure: Figure, result: xr.Dataset, y: float, at: Mapping[str, int]) -> None:
    if "p_zero_corrected" not in result:
        return
    above = np.flatnonzero(result["p_zero_corrected"].to_numpy() < LEVEL)
    figure.add_scatter(
        x=above,
        y=np.full(len(above), y),
        mode="text",
        text=["*"] * len(above),
        textfont={"size": SIZE + 5, "color": INK},
        hoverinfo="skip",
        **at,
    )


def _differences(result: xr.Dataset) -> list[tuple[float, int, int]]:
    """Return (p, first, second) of the pairs of models that differ."""
    p = result["p_difference_corrected"].to_numpy()
    pairs = zip(*np.triu_indices(len(p), 1), strict=True)
    return [(float(p[i, j]), int(i), int(j)) for i, j in pairs if p[i, j] < LEVEL]


def _least(result: xr.Dataset) -> float:
    values = [result[name].to_numpy() for name in ("similarity_low", "similarity_each")]
    return min(0.0, *(float(np.nanmin(one)) for one in values))


def _note(results: Mapping[str, xr.Dataset], *, hidden: bool) -> str:
    first = next(iter(results.values()))
    subjects = span([int(one["n_subjects"]) for one in results.values()])
    stimuli = span([int(one["n_stimuli"]) for one in results.values()])
    nuisance = first.attrs["nuisance"]
    less = "" if nuisance == "none" else f"; taken out: {nuisance}"
    band = "grey band: noise ceiling, " if "noise_ceiling_low" in first else "noise ceiling "
    stars = "star: above zero, " if "p_zero" in first else ""
    lines = [
        f"n = {subjects} subjects (dots), {stimuli} stimuli; {first.attrs['distance']}{less}",
        f"bars: mean; error bars: 95 %, t over {first.attrs['resampled']}; "
        f"{band}{first.attrs['noise_ceiling']}",
        f"{stars}bracket: difference, p < {LEVEL}, t tests, "
        f"{CORRECTIONS[first.attrs['correction']]}"
        + (f"; the {MOST_BRACKETS} clearest" if hidden else ""),
    ]
    few = dict.fromkeys(str(one.attrs.get("few", "")) for one in results.values())
    return note_of(results, *lines, *left_out(results), *few)


def _add_map(
    figure: Figure, result: xr.Dataset, place: tuple[int, int], ends: list[float], *, scale: bool
) -> None:
    values = result["similarity"].transpose("site", "time_bin").to_numpy()
    times = [str(k) for k in range(values.shape[1])]
    if "time_bin_start" in result.coords:
        bounds = [result[f"time_bin_{end}"].to_numpy().tolist() for end in ("start", "end")]
        times = [f"{a:g}\u2013{b:g}" for a, b in zip(*bounds, strict=True)]
    sites = result["site"].to_numpy().astype(str).tolist()
    at = {"row": place[0], "col": place[1]}
    figure.add_heatmap(
        x=times,
        y=sites,
        z=np.zeros(values.shape),
        colorscale=[[0, PALE], [1, PALE]],
        showscale=False,
        hoverinfo="skip",
        **at,
    )
    figure.add_heatmap(
        x=times,
        y=sites,
        z=values,
        zmin=ends[0],
        zmax=ends[1],
        colorscale=SEQUENTIAL,
        texttemplate="%{z:.2f}" if values.size <= 60 and values.shape[1] <= 6 else None,
        textfont={"size": SMALL},
        colorbar={
            "title": {"text": "similarity", "side": "right", "font": {"size": SMALL}},
            "thickness": 14,
            "tickfont": {"size": SMALL},
        },
        showscale=scale,
        hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>",
        **at,
    )
    # The first site, the earliest of a network, stands on top.
    figure.update_yaxes(autorange="reversed", **at)
