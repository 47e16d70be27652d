"""Tables and the figure of tuning curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.figures import (
    GREY,
    INK,
    SMALL,
    check_results,
    data_of,
    error_bars,
    small,
    span,
    style,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe & Ito's blue and vermilion: apart for the colour-blind, and dark and light in grey print.
BAR, CURVE = "#0072B2", "#D55E00"
PANELS, ROWS_ALONE = 3, 2


def model_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a model: the units that it describes best, and how well."""
    best = result["best"].to_numpy()
    rows = []
    for name in result["model"].to_numpy().tolist():
        cell, own = result.sel(model=name), best == name
        row: dict[str, Any] = {"model": name, "n": int(cell["n"])}
        for column in ("fraction", "fraction_low", "fraction_high"):
            row[column] = round(float(cell[column]), 3)
        for column in ("r2", "cv_r2", "weight"):
            values = cell[column].to_numpy()[own]
            values = values[np.isfinite(values)]
            row[f"median_{column}"] = round(float(np.median(values)), 3) if len(values) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def unit_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a unit: its best model, how well it fits, and parameters with intervals."""
    models = result["model"].to_numpy().tolist()
    best = result["best"].to_numpy().astype(str)
    place = np.array([models.index(name) if name else 0 for name in best])
    at = (place, np.arange(len(best)))
    columns: dict[str, Any] = {"neuroid": result["neuroid"].to_numpy()}
    for name in ("unit", "expression"):
        if name in result.coords:
            columns[name] = result[name].to_numpy()
    columns |= {"best": best, "status": result["status"].to_numpy()[at].astype(str)}
    for name in ("r2", "cv_r2", "aicc", "bic", "weight"):
        columns[name] = np.where(best == "", np.nan, result[name].to_numpy()[at])
    values, ends = result["value"].to_numpy()[at], result["interval"].to_numpy()
    for k, name in enumerate(result["parameter"].to_numpy().tolist()):
        if np.isfinite(values[best != "", k]).any():
            columns[name] = np.where(best == "", np.nan, values[:, k])
            columns[f"{name}_low"], columns[f"{name}_high"] = ends[0, :, k], ends[1, :, k]
    return pd.DataFrame(columns)


def tuning_figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return a row a subject: units by their best model, and the curves of the best units."""
    from plotly.subplots import make_subplots

    results = check_results(results)
    rows = ROWS_ALONE if len(results) == 1 else 1
    n_rows = rows * len(results)
    chosen = {name: _shown(one, PANELS * rows) for name, one in results.items()}
    figure = make_subplots(
        rows=n_rows,
        cols=1 + PANELS,
        column_widths=[0.28, *[0.24] * PANELS],
        horizontal_spacing=0.075,
        vertical_spacing=0.54 / n_rows if n_rows > 1 else 0,
        specs=_specs(rows, len(results)),
        subplot_titles=_titles(results, chosen, rows),
    )
    for i, (name, result) in enumerate(results.items()):
        _add_counts(figure, result, 1 + i * rows)
        for k, unit in enumerate(chosen[name]):
            place = (1 + i * rows + k // PANELS, 2 + k % PANELS)
            _add_unit(figure, result, unit, *place, legend=i == 0 and k == 0)
    style(
        figure,
        title="Which tuning model describes the units best",
        note=_note(results),
        height=210 + 235 * max(n_rows, 2),
        top=64,
    )
    figure.update_annotations(font={"size": SMALL})
    figure.update_xaxes(tickfont={"size": SMALL}, title={"font": {"size": SMALL}})
    figure.update_yaxes(tickfont={"size": SMALL}, title={"font": {"size": SMALL}})
    figure.update_layout(
        legend={"orientation": "h", "x": 0.62, "xanchor": "center", "y": 0, "yref": "container"},
        margin={"b": 104},
    )
    return figure


def _specs(rows: int, subjects: int) -> list[list[dict[str, int] | None]]:
    first: list[dict[str, int] | None] = [{"rowspan": rows}, *[{}] * PANELS]
    return ([first] + [[None, *[{}] * PANELS]] * (rows - 1)) * subjects


def _titles(
    results: Mapping[str, xr.Dataset], chosen: Mapping[str, np.ndarray], rows: int
) -> list[str]:
    titles = []
    for name, result in results.items():
        units = [_unit_title(result, unit) for unit in chosen[name]]
        units += [""] * (PANELS * rows - len(units))
        titles += [f"{name}<br>{small(_counted(result))}", *units]
    return titles


def _counted(result: xr.Dataset) -> str:
    aside = int(result.attrs["n_set_aside"])
    return f"{int(result['n'].sum())} units" + (f", {aside} set aside" if aside else "")


def _unit_title(result: xr.Dataset, unit: int) -> str:
    one = result.isel(neuroid=unit)
    label = str(one["unit"].item()) if "unit" in one.coords else ""
    label = label or f"unit {str(one['neuroid'].item()).rsplit('.', 1)[-1]}"
    best = str(one["best"].item())
    r2 = float(one["r2"].sel(model=best))
    return f"{label}<br>" + small(f"{best}, R<sup>2</sup> {r2:.2f}")


def _shown(result: xr.Dataset, most: int) -> np.ndarray:
    """Return the units that their best model explains best, those with tuning first."""
    models = result["model"].to_numpy().tolist()
    best = result["best"].to_numpy().astype(str)
    place = np.array([models.index(name) if name else 0 for name in best])
    r2 = result["r2"].to_numpy()[place, np.arange(len(best))]
    usable = np.flatnonzero((best != "") & np.isfinite(r2))
    return usable[np.argsort(-r2[usable], kind="stable")][:most]


def _add_counts(figure: Figure, result: xr.Dataset, row: int) -> None:
    shown = result.isel(model=slice(None, None, -1))
    value, low, high = (
        100 * shown[name].to_numpy() for name in ("fraction", "fraction_low", "fraction_high")
    )
    figure.add_bar(
        x=value,
        y=shown["model"].to_numpy().astype(str),
        orientation="h",
        marker={"color": BAR},
        error_x=error_bars(value, low, high),
        showlegend=False,
        row=row,
        col=1,
    )
    figure.update_xaxes(title_text="Units (%)", range=[0, 104], dtick=50, row=row, col=1)


def _add_unit(
    figure: Figure, result: xr.Dataset, unit: int, row: int, column: int, *, legend: bool
) -> None:
    one = result.isel(neuroid=unit)
    mean, half = one["mean"].to_numpy(), one["spread"].to_numpy()
    strengths = result["level"].dtype.kind == "f"
    shown = np.isfinite(mean)
    x = result["level"].to_numpy() if strengths else one["predicted"].to_numpy()
    at, curve = _curve(one, x[shown]) if strengths else (np.sort(x[shown]),) * 2
    figure.add_scatter(
        x=at,
        y=curve,
        mode="lines",
        name="best model" if strengths else "prediction = mean",
        line={"color": CURVE, "width": 2},
        showlegend=legend,
        row=row,
        col=column,
    )
    figure.add_scatter(
        x=x[shown],
        y=mean[shown],
        error_y={**error_bars(mean, mean - half, mean + half), "color": GREY}
        if np.isfinite(half).any()
        else None,
        mode="markers",
        name="mean response",
        marker={"color": INK, "size": 6},
        showlegend=legend,
        row=row,
        col=column,
    )
    label = "Strength" if strengths else "Predicted response"
    figure.update_xaxes(title_text=label, row=row, col=column)
    if column == 2:
        figure.update_yaxes(title_text="Response", row=row, col=column)


def _curve(one: xr.Dataset, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from neurofer.analyses.tuning.fitting import predict
    from neurofer.analyses.tuning.models import MODELS

    best = str(one["best"].item())
    values = one["value"].sel(model=best, parameter=MODELS[best].names()).to_numpy()
    at = np.unique(np.concatenate([np.linspace(levels.min(), levels.max(), 101), levels]))
    return at, predict(best, at, values[None])[:, 0]


def _note(results: Mapping[str, xr.Dataset]) -> str:
    n = span([int(one.attrs["n_units"]) for one in results.values()])
    identities = span([int(one["n_identities"].max()) for one in results.values()])
    criteria = " or ".join(dict.fromkeys(str(one.attrs["criterion"]) for one in results.values()))
    points = f"points: means of {identities} identities, error bars: 95 % interval (t)"
    if not any(bool(np.isfinite(one["spread"]).any()) for one in results.values()):
        points = "points: mean responses, without error bars (one identity)"
    return "<br>".join(
        [
            f"n = {n} units, model by {criteria.upper()}; bars: 95 %, Wilson, units as independent",
            points,
            data_of(results),
        ]
    )
