"""Figures of representational similarity: matrices beside their models, and maps of the stimuli."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurofer.analyses.figures import (
    EXPRESSION_COLOURS,
    GREY,
    HEAD_MARKERS,
    INK,
    PALE,
    SEQUENTIAL,
    SMALL,
    Ends,
    check_results,
    colour_of,
    error_bars,
    grid,
    marker_of,
    note_of,
    small,
    span,
    style,
    with_ends,
)
from neurofer.analyses.inputs import sorted_expressions, sorted_heads

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SPACING = 0.3
BAR, WITHIN_BAR = "#4477AA", "#AACCEE"
COMPARISONS = {
    "spearman": "Spearman's rho", "kendall": "Kendall's tau-b", "tau-a": "Kendall's tau-a",
    "rho-a": "rho-a", "cosine": "cosine", "corr": "Pearson's r", "cosine_cov": "whitened cosine",
    "corr_cov": "whitened Pearson's r",
}  # fmt: skip


def similarity_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return, one row per subject, its RDM and its similarity to the models.

    The bars on the left of a panel are over all stimuli. The shaded noise ceiling bounds only the
    bar inside it: a model of one identity's expressions.
    """
    from plotly.subplots import make_subplots

    results = check_results(results)
    rows = len(results)
    figure = make_subplots(
        rows=rows,
        cols=2,
        column_widths=[0.46, 0.54],
        horizontal_spacing=0.2,
        vertical_spacing=SPACING / rows if rows > 1 else 0,
        subplot_titles=[
            title
            for name, one in results.items()
            for title in (_name(name, one), "Similarity to models")
        ],
    )
    for k, (name, result) in enumerate(results.items()):
        _add_rdm(figure, result, name, k + 1, rows)
        _add_models(figure, result, k + 1)
    style(
        figure,
        title="Representational dissimilarity, and the models that resemble it",
        note=_note(results),
        height=220 + 340 * rows,
    )
    figure.update_xaxes(showline=False, ticks="", col=1)
    figure.update_yaxes(showline=False, ticks="", col=1)
    figure.update_yaxes(
        zeroline=True, zerolinecolor=INK, zerolinewidth=1, range=_range(results), col=2
    )
    figure.update_layout(bargap=0.35, showlegend=False)
    return figure


def mds_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return a two-dimensional map of the stimuli of each subject by metric scaling."""
    results = check_results(results)
    maps = {name: scaling(one["rdm"].to_numpy()) for name, one in results.items()}
    titles = [
        f"{_name(name, one)}<br>{small(f'stress {maps[name][1]:.2f}')}"
        for name, one in results.items()
    ]
    figure, places = grid(titles, columns=2)
    for place, (name, result) in zip(places, results.items(), strict=True):
        _add_map(figure, result, maps[name][0], place, first=place == places[0])
    note = note_of(
        results,
        f"n = {span([int(one['n']) for one in results.values()])} conditions; distance: "
        f"{_distances(results)}",
        "metric scaling (SMACOF) with Kruskal's stress; size: strength; no error bars",
    )
    title, height = "Stimuli as the population tells them apart", 180 + 400 * places[-1][0]
    style(figure, title=title, note=note, height=height)
    figure.update_xaxes(title_text="First axis", showticklabels=False, ticks="")
    figure.update_yaxes(title_text="Second axis", showticklabels=False, ticks="")
    for k in range(len(places)):
        figure.update_yaxes(
            scaleanchor=f"x{k + 1 if k else ''}", row=places[k][0], col=places[k][1]
        )
    return figure


def scaling(rdm: np.ndarray, dimensions: int = 2) -> tuple[np.ndarray, float]:
    """Return (n, dimensions) places whose distances are near the dissimilarities, and the stress.

    Metric scaling by scikit-learn's SMACOF, of the dissimilarities as they are (rsatoolbox's maps
    are of the same), from classical scaling as its start instead of random ones: there is nothing
    random in it. Negative dissimilarities count as 0. The stress is Kruskal's (1964, Psychometrika
    29:1) first formula: 0 is a faithful map, 0.2 a poor one.

    Args:
        rdm: (n, n).
        dimensions: of the map.
    """
    from sklearn.decomposition import KernelPCA
    from sklearn.manifold import smacof

    distance = np.maximum(rdm, 0.0)
    # Principal components of the centred kernel -d^2 / 2 are classical scaling.
    start = KernelPCA(dimensions, kernel="precomputed", eigen_solver="dense")
    first = start.fit_transform(-0.5 * distance**2)
    first = np.pad(first, ((0, 0), (0, dimensions - first.shape[1])))
    places, _ = smacof(
        distance, n_components=dimensions, init=first, n_init=1, eps=1e-6, normalized_stress=False
    )
    row, column = np.triu_indices(len(rdm), 1)
    found = np.sqrt(((places[row] - places[column]) ** 2).sum(axis=1))
    stress = np.sqrt(((found - distance[row, column]) ** 2).sum() / max((found**2).sum(), 1e-300))
    return places - places.mean(axis=0), float(stress)


def _add_rdm(figure: Figure, result: xr.Dataset, name: str, row: int, rows: int) -> None:
    rdm = result["rdm"].to_numpy()
    centres, labels, edges = _blocks(result)
    # The rows' height and place, as parts of the whole.
    gap = SPACING / rows if rows > 1 else 0
    height = (1 - gap * (rows - 1)) / rows
    names = _conditions(result)
    figure.add_heatmap(
        z=rdm,
        x=names,
        y=names,
        colorscale=SEQUENTIAL,
        colorbar={
            "title": {"text": "dissimilarity", "side": "right", "font": {"size": SMALL}},
            "thickness": 12,
            "len": 0.8 * height,
            "tickfont": {"size": SMALL},
            "x": 0.385,
            "y": 1 - (row - 1) * (height + gap) - height / 2,
        },
        hovertemplate=f"{name}<br>%{{x}}, %{{y}}: %{{z:.3f}}<extra></extra>",
        row=row,
        col=1,
    )
    for edge in edges:
        line = {"color": "white", "width": 1.5}
        figure.add_vline(x=edge, line=line, row=row, col=1)
        figure.add_hline(y=edge, line=line, row=row, col=1)
    ticks: dict[str, object] = {"tickvals": centres, "ticktext": labels}
    # Names on the axes, for the text under the pointer; ticks and edges stand at positions.
    ticks |= {"type": "category"} if names else {}
    figure.update_xaxes(**ticks, constrain="domain", row=row, col=1)
    figure.update_yaxes(
        **ticks,
        autorange="reversed",
        scaleanchor=f"x{2 * row - 1 if row > 1 else ''}",
        constrain="domain",
        tickangle=-90 if len(labels) <= 3 else 0,
        row=row,
        col=1,
    )


def _conditions(result: xr.Dataset) -> list[str] | None:
    """Return the names of an RDM's rows, none of them a number; None where one is twice."""
    names = [f"{name}\u200b" for name in result["stimulus"].to_numpy().astype(str).tolist()]
    return names if len(set(names)) == len(names) else None


def _blocks(result: xr.Dataset) -> tuple[list[float], list[str], list[float]]:
    """Return centres, names and inner edges of the blocks of conditions: heads, or expressions."""
    for column in ("head", "expression", "identity"):
        if column in result.coords:
            names = result[column].to_numpy().astype(str)
            break
    else:
        return [], [], []
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    ends = np.r_[starts[1:], len(names)]
    return ((starts + ends - 1) / 2).tolist(), names[starts].tolist(), (starts[1:] - 0.5).tolist()


def _add_models(figure: Figure, result: xr.Dataset, row: int) -> None:
    models = result["model"].to_numpy().astype(str).tolist()
    within = []
    if "similarity_within" in result:
        within = result["model_within"].to_numpy().astype(str).tolist()
    ceiling = "noise_ceiling_low" in result
    labels = models + [f"{name}<br>within<br>identities" for name in within]
    if ceiling and not within:
        labels.append("agreement<br>of identities")
    for names, variable, colour, start in (
        (models, "similarity", BAR, 0),
        (within, "similarity_within", WITHIN_BAR, len(models)),
    ):
        if names:
            ends = with_ends(result, variable)
            add_bars(figure, names, ends, {"row": row, "col": 2}, colour=colour, start=start)
    for kind, start, end in (
        ("repeats_ceiling", 0, len(models)),
        ("noise_ceiling", len(models), len(labels)),
    ):
        if f"{kind}_low" in result:
            figure.add_shape(
                type="rect",
                x0=start - 0.46,
                x1=end - 0.54,
                y0=float(result[f"{kind}_low"]),
                y1=float(result[f"{kind}_high"]),
                fillcolor=GREY,
                # Of two bounds that meet, the line is left.
                opacity=0.6,
                line={"width": 2, "color": GREY},
                layer="above",
                row=row,
                col=2,
            )
    figure.update_xaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        tickangle=0,
        range=[-0.6, len(labels) - 0.4],
        row=row,
        col=2,
    )
    figure.update_yaxes(title_text=comparison_name(result.attrs["comparison"]), row=row, col=2)


def add_bars(
    figure: Figure,
    names: list[str],
    ends: Ends,
    at: Mapping[str, int],
    *,
    colour: str = BAR,
    start: int = 0,
) -> None:
    """Add a bar a model: its similarity with the interval.

    Args:
        figure: with panels.
        names: of the models, for the text under the pointer.
        ends: (models,) values, low and high.
        at: row and column of the panel.
        colour: of the bars.
        start: place of the first.
    """
    figure.add_bar(
        x=np.arange(len(names)) + start,
        y=ends[0],
        error_y=error_bars(*ends),
        marker={"color": colour},
        customdata=names,
        hovertemplate="%{customdata}: %{y:.3f}<extra></extra>",
        **at,
    )


def _range(results: Mapping[str, xr.Dataset]) -> list[float]:
    """Return one range for all panels; shapes do not count for that which plotly finds."""
    ends = [0.0]
    for result in results.values():
        for variable in ("similarity", "similarity_within", "noise_ceiling", "repeats_ceiling"):
            for suffix in ("", "_low", "_high"):
                if variable + suffix in result:
                    values = np.ravel(result[variable + suffix].to_numpy())
                    ends += values[np.isfinite(values)].tolist()
    margin = 0.06 * (max(ends) - min(ends))
    return [min(ends) - margin * (min(ends) < 0), max(ends) + margin]


def _add_map(
    figure: Figure, result: xr.Dataset, axes: np.ndarray, place: tuple[int, int], *, first: bool
) -> None:
    n = len(axes)
    columns = {
        name: result[name].to_numpy().astype(str) if name in result.coords else np.full(n, "")
        for name in ("head", "expression")
    }
    strength = result["strength"].to_numpy() if "strength" in result.coords else np.ones(n)
    for i, head in enumerate(sorted_heads(columns["head"])):
        for k, expression in enumerate(sorted_expressions(columns["expression"])):
            rows = (columns["head"] == head) & (columns["expression"] == expression)
            figure.add_scatter(
                x=axes[rows, 0],
                y=axes[rows, 1],
                mode="markers",
                marker={
                    "symbol": marker_of(head, HEAD_MARKERS, i),
                    "color": colour_of(expression, EXPRESSION_COLOURS, k),
                    "size": 6 + 5 * strength[rows],
                    "opacity": 0.85,
                    "line": {"color": "white", "width": 0.5},
                },
                text=result["stimulus"].to_numpy()[rows],
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
                row=place[0],
                col=place[1],
            )
    if first:
        _add_keys(figure, columns)


def _add_keys(figure: Figure, columns: Mapping[str, np.ndarray]) -> None:
    """Add one key per colour and one per symbol, instead of one per combination."""
    for k, expression in enumerate(sorted_expressions(columns["expression"])):
        colour = colour_of(expression, EXPRESSION_COLOURS, k)
        marker = {"color": colour, "symbol": "circle", "size": 10}
        figure.add_scatter(x=[None], y=[None], name=expression, mode="markers", marker=marker)
    for k, head in enumerate(sorted_heads(columns["head"])):
        marker = {"color": PALE, "symbol": marker_of(head, HEAD_MARKERS, k), "size": 10}
        marker |= {"line": {"color": INK, "width": 1}}
        figure.add_scatter(x=[None], y=[None], name=head, mode="markers", marker=marker)


def _name(subject: str, result: xr.Dataset) -> str:
    """Return the subject, and the site unless the name has it."""
    site = str(result.attrs["site"])
    return subject if site in subject else f"{subject} ({site})"


def comparison_name(comparison: str) -> str:
    """Return a comparison as it stands at an axis.

    >>> comparison_name("semipartial kendall")
    "semipartial Kendall's tau-b"
    """
    *kind, name = comparison.split(" ")
    return " ".join([*kind, COMPARISONS.get(name, name)])


def _distances(results: Mapping[str, xr.Dataset]) -> str:
    return ", ".join(dict.fromkeys(str(one.attrs["distance"]) for one in results.values()))


def _note(results: Mapping[str, xr.Dataset]) -> str:
    n = span([int(one["n"]) for one in results.values()])
    intervals = dict.fromkeys(str(one.attrs["interval"]) for one in results.values())
    first = f"n = {n} conditions; dissimilarity: {_distances(results)}"
    second = (
        f"error bars: 95 %, {' or '.join(intervals)}; grey band: noise ceiling across identities"
    )
    if any("repeats_ceiling_low" in one for one in results.values()):
        second += "<br>grey band over the models: noise ceiling of repeats"
    return note_of(results, first, second, *left_out(results))


def left_out(results: Mapping[str, xr.Dataset]) -> list[str]:
    """Return a line on the models that are constant on the stimuli, if there are any."""
    said = dict.fromkeys(str(one.attrs.get("left_out", "none")) for one in results.values())
    left = [escape(one) for one in said if one not in ("", "none")]
    return [f"models left out: {'; '.join(left)}"] if left else []


VIEWS: dict[str, Callable[[Mapping[str, xr.Dataset]], Figure]] = {
    "similarity": similarity_figure,
    "mds": mds_figure,
}
