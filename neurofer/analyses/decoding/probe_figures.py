"""Figures of the probe: bars per subject, curves by layer, confusion matrices, data efficiency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    OTHER_COLOURS,
    PALE,
    SEQUENTIAL,
    SMALL,
    add_confusion,
    add_curve,
    beside,
    check_results,
    colour_of,
    counted,
    draw_view,
    error_bars,
    grid,
    marker_of,
    note_of,
    style,
    with_ends,
)
from neurofer.analyses.inputs import ALL

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALE_BLUE = OTHER_COLOURS[6]  # error bars must be seen on it
_MOST_CELLS = 15  # values of a confusion matrix whose counts can be written into it
_BARS = "error bars: 95 %, over people"
_READ = {"expression": "Expressions", "identity": "Identities", "head": "Heads"}


def draw(results: Mapping[str, xr.Dataset], view: str) -> Figure:
    """Return one of `DRAWINGS`, or that which suits the results where `view` is "".

    Raises:
        NeuroferError: an unknown view, or no results.
    """
    several = any(one.sizes["site"] > 1 for one in results.values())
    return draw_view(results, view or ("layers" if several else "bars"), DRAWINGS)


def accuracy_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return horizontal bars of accuracy over all images, the first subject at the top."""
    from plotly.graph_objects import Figure

    sites = _by_site(results)
    names = list(sites)
    cells = [with_ends(cell.sel(view=ALL), "accuracy") for cell in sites.values()]
    value, low, high = np.array(cells).T
    figure = Figure()
    figure.add_bar(
        x=value,
        y=names,
        orientation="h",
        error_x=error_bars(value, low, high),
        marker={"color": PALE_BLUE, "line": {"width": 0}},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        showlegend=False,
    )
    chance = _chance(results)
    figure.add_vline(x=chance, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        {"text": f"chance {chance:.1f} %", "x": chance, "yref": "paper", "y": 1},
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
    note = _note(results, _BARS)
    style(figure, title=_title(results), note=note, height=260 + 34 * len(names))
    figure.update_annotations(font={"size": SMALL, "color": GREY})
    figure.update_xaxes(range=[0, 105], title_text="Correct (%)", dtick=20)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(bargap=0.35)
    return figure


def layer_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return accuracy over the sites of each subject, one line per subject.

    A subject with one site (pixels) is a dashed line across; the grey band holds 95 % of the
    permutations, where there are any. Subjects whose sites differ are aligned by position.
    """
    from plotly.graph_objects import Figure

    layered = {name: one for name, one in results.items() if one.sizes["site"] > 1}
    sites = [one["site"].to_numpy().tolist() for one in layered.values()]
    longest = max(sites, key=len, default=[""])
    shared = all(one == longest for one in sites)
    ticks = longest if shared else [str(k + 1) for k in range(len(longest))]
    figure, last = Figure(), len(ticks) - 1
    _add_chance(figure, results)
    for k, (name, result) in enumerate(results.items()):
        look = colour_of("", {}, k), marker_of("", {}, k)
        cell = result.sel(view=ALL)
        ends = with_ends(cell, "accuracy")
        if name not in layered:
            figure.add_scatter(
                name=name,
                x=[-0.3, last + 0.3],
                y=[ends[0][0]] * 2,
                mode="lines",
                line={"color": look[0], "width": 2, "dash": "dash"},
                hovertemplate=f"{name}: %{{y:.1f}} %<extra></extra>",
            )
            continue
        x = np.arange(len(ends[0])) + beside(k, len(results), 0.05)
        said = f"{name}, %{{customdata}}: %{{y:.1f}} %"
        add_curve(figure, name, x, ends, look, said=said, labels=cell["site"].to_numpy())
    note = _note(results, *_of_lines(results))
    style(figure, title=f"{_title(results)}, by layer", note=note, height=560)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(
        tickvals=list(range(len(ticks))), ticktext=ticks, range=[-0.3, last + 0.3],
        title_text="Layer" if shared else "Layer, counted from the first", tickangle=-30,
    )  # fmt: skip
    figure.update_yaxes(range=[0, 105], title_text="Correct (%)", dtick=20)
    return figure


def confusion_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the confusion matrix of each subject, in percent, of the site that is read best."""
    best = {}
    for name, result in results.items():
        site = result["site"].to_numpy()[result["accuracy"].sel(view=ALL).to_numpy().argmax()]
        best[f"{name}, {site}"] = result.sel(site=site)
    figure, places = grid(list(best), columns=2)
    for place, (name, result) in zip(places, best.items(), strict=True):
        counts = result["confusion"]
        percent = 100 * counts / counts.sum("answer")
        written = max(percent.shape) <= _MOST_CELLS
        add_confusion(figure, percent, name, place, scale=place == places[0], written=written)
    note = f"percent of the images of a value, at the site that is read best<br>{_note(results)}"
    rows = places[-1][0]
    style(figure, title=f"{_title(results)} and not", note=note, height=160 + 400 * rows)
    figure.update_yaxes(autorange="reversed", title_text="Shown")
    figure.update_xaxes(title_text="Answered", tickangle=-45)
    return figure


def efficiency_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return accuracy over the number of training images, one line per subject and site."""
    from plotly.graph_objects import Figure

    results, figure = check_results(results), Figure()
    for k, (name, cell) in enumerate(_by_site(results).items()):
        add_curve(
            figure,
            name,
            cell["trained_with"].to_numpy() * 1.02 ** (k - 1),
            with_ends(cell, "accuracy"),
            (colour_of("", {}, k), marker_of("", {}, k)),
            said=f"{name}, %{{customdata}}: %{{y:.1f}} %",
            labels=cell["images"].to_numpy(),
            line_dash="solid" if k < 8 else "dot",
        )
    _add_chance(figure, results)
    draws = f"mean of {counted(results, 'draws')} draws of training images"
    note = _note(results, draws, *_of_lines(results))
    style(figure, title=f"{_title(results)}, by training images", note=note, height=520)
    longest = max(results.values(), key=lambda one: one.sizes["images"]).isel(site=0)
    figure.update_xaxes(
        type="log", title_text="Training images of a value", ticktext=_levels(longest),
        tickvals=longest["trained_with"].to_numpy(),
    )  # fmt: skip
    figure.update_yaxes(range=[0, 105], title_text="Correct (%)", dtick=20)
    figure.update_layout(showlegend=True)
    return figure


def kappa_figure(pairs: pd.DataFrame, results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the matrix of error consistencies of pairs of subjects, as `consistency_table`."""
    from plotly.graph_objects import Figure

    names = list(dict.fromkeys([*pairs["one"], *pairs["other"]]))
    matrix = np.full((len(names), len(names)), np.nan)
    text = np.full(matrix.shape, "", dtype=object)
    for row in pairs.to_dict("records"):
        place = names.index(row["other"]), names.index(row["one"])
        matrix[place] = row["kappa"]
        text[place] = "undefined"
        if np.isfinite(row["kappa"]):
            between = f"{row['kappa_low']:.2f} to {row['kappa_high']:.2f}"
            text[place] = f"{row['kappa']:.2f}<br>{between}"
    figure = Figure()
    figure.add_heatmap(
        x=names[:-1],
        y=names[1:],
        z=matrix[1:, :-1],
        text=text[1:, :-1],
        texttemplate="%{text}",
        textfont={"size": SMALL},
        zmin=0,
        zmax=1,
        colorscale=SEQUENTIAL,
        colorbar={"title": {"text": "kappa", "side": "right"}, "thickness": 14, "len": 0.6},
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
    )
    read = "0: as many as two accuracies make by chance; 1: all; below: 95 %, over people"
    note = f"{read}<br>{_note(results)}"
    style(figure, title="Errors in common", note=note, height=260 + 70 * len(names))
    figure.update_yaxes(autorange="reversed")
    return figure


def _by_site(results: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return each site of each subject, by the subject's name or, of several, both names."""
    return {
        name if one.sizes["site"] == 1 else f"{name}, {site}": one.sel(site=site)
        for name, one in results.items()
        for site in one["site"].to_numpy().tolist()
    }


def _levels(result: xr.Dataset) -> list[str]:
    """Return the numbers of training images; of "all" the mean, alone where it needs the room."""
    names, means = result["images"].to_numpy(), result["trained_with"].to_numpy()
    return [
        f"all ({mean:.0f})" if name == ALL else name if mean < 0.6 * means[-1] else ""
        for name, mean in zip(names, means, strict=True)
    ]


def _add_chance(figure: Figure, results: Mapping[str, xr.Dataset]) -> None:
    """Add chance: a line, and the band of the permutations."""
    shuffled = [one for one in results.values() if _has_chance(one)]
    if shuffled:
        low = min(float(one["chance_low"].min()) for one in shuffled)
        high = max(float(one["chance_high"].max()) for one in shuffled)
        figure.add_hrect(y0=low, y1=high, fillcolor=PALE, line_width=0, layer="below")
    figure.add_hline(y=_chance(results), line={"color": GREY, "dash": "dot", "width": 1.5})


def _has_chance(result: xr.Dataset) -> bool:
    """Return whether permutations exchanged anything, at every site."""
    return "chance_low" in result and bool(np.isfinite(result["chance_low"]).all())


def _chance(results: Mapping[str, xr.Dataset]) -> float:
    return float(np.mean([one.attrs["chance"] for one in results.values()]))


def _title(results: Mapping[str, xr.Dataset]) -> str:
    targets = list(dict.fromkeys(one.attrs["target"] for one in results.values()))
    read = _READ.get(targets[0], targets[0].capitalize()) if len(targets) == 1 else "What is"
    return f"{read} read correctly"


def _note(results: Mapping[str, xr.Dataset], *said: str) -> str:
    """Return n, what training and test never share, what else is said, and the data."""
    apart = {
        "identity": "no decoder has seen who it is tested on",
        "image": "no decoder has seen an image that it is tested on",
        "": "nothing is fitted",
    }
    columns = dict.fromkeys(one.attrs["by"] for one in results.values())
    splits = [apart.get(by, f"no decoder has seen the {by} that it is tested on") for by in columns]
    n = f"n = {counted(results, 'n_tested')} images of {counted(results, 'n_identities')} people"
    return note_of(results, "; ".join([n, *splits]), "; ".join(said))


def _of_lines(results: Mapping[str, xr.Dataset]) -> list[str]:
    """Return what is said of error bars, chance and the band of the permutations."""
    shuffled = any(_has_chance(one) for one in results.values())
    band = ["grey band: 95 % of permutations"] if shuffled else []
    nothing = any("chance_low" in one and not _has_chance(one) for one in results.values())
    band += ["permutations exchange nothing"] if nothing else []
    return [_BARS, f"dotted line: chance, {_chance(results):.1f} %", *band]


DRAWINGS: dict[str, Callable[[Mapping[str, xr.Dataset]], Figure]] = {
    "bars": accuracy_figure,
    "layers": layer_figure,
    "confusion": confusion_figure,
}
"""The views of a probe by name."""
