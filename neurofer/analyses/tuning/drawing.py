"""Tables and the figure of tuning curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.figures import (
    BELOW,
    GREY,
    INK,
    SMALL,
    check_results,
    counted,
    error_bars,
    note_of,
    small,
    span,
    style,
    with_ends,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe & Ito's blue and vermilion: apart for the colour-blind, and dark and light in grey print.
BAR, CURVE = "#0072B2", "#D55E00"
PANELS, ROWS_ALONE = 3, 2
ANY = "any"


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per family, of any model, then one per model: the units that it describes.

    Columns: family, model, n, n_rising, n_falling, fraction with its interval, and the median over
    those units of the best model's r2, cv_r2 and weight.
    """
    place = _place_of_best(result)
    of_best = {
        name: result[name].to_numpy()[place, np.arange(len(place))]
        for name in ("r2", "cv_r2", "weight")
    }
    rows = []
    for kind, prefix, dim in (("family", "family_", "families"), ("model", "", "model")):
        own = result["family" if kind == "family" else "best"].to_numpy()
        for name in result[dim].to_numpy().tolist():
            cell = result.sel({dim: name})
            row: dict[str, Any] = {"family": ANY, "model": ANY, "n": int(cell[f"{prefix}n"])}
            row[kind] = name
            for column in ("n_rising", "n_falling"):
                row[column] = int(cell[prefix + column])
            for column in ("fraction", "fraction_low", "fraction_high"):
                row[column] = round(float(cell[prefix + column]), 3)
            for column, values in of_best.items():
                shown = values[(own == name) & np.isfinite(values)]
                row[f"median_{column}"] = round(float(np.median(shown)), 3) if len(shown) else None
            rows.append(row)
    return pd.DataFrame(rows).astype({f"median_{column}": float for column in of_best})


def _place_of_best(result: xr.Dataset) -> np.ndarray:
    """Return (units,) the place of the best model, 0 where there is none."""
    models = result["model"].to_numpy().tolist()
    return np.array([models.index(name) if name else 0 for name in result["best"].to_numpy()])


def units(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit: its best model, how well it fits, and parameters with intervals."""
    best = result["best"].to_numpy().astype(str)
    at = (_place_of_best(result), np.arange(len(best)))
    columns: dict[str, Any] = {"neuroid": result["neuroid"].to_numpy()}
    for name in ("unit", "expression"):
        if name in result.coords:
            columns[name] = result[name].to_numpy()
    columns |= {"family": result["family"].to_numpy().astype(str), "best": best}
    columns["sign"] = result["sign"].to_numpy()
    columns["n_missing"] = result["n_missing"].to_numpy()
    columns["at_bound"] = result["at_bound"].to_numpy().astype(str)
    columns |= {"status": result["status"].to_numpy()[at].astype(str)}
    for name in ("r2", "cv_r2", "aicc", "bic", "weight"):
        columns[name] = np.where(best == "", np.nan, result[name].to_numpy()[at])
    values, ends = result["value"].to_numpy()[at], result["interval"].to_numpy()
    for k, name in enumerate(result["parameter"].to_numpy().tolist()):
        if np.isfinite(values[best != "", k]).any():
            columns[name] = np.where(best == "", np.nan, values[:, k])
            columns[f"{name}_low"], columns[f"{name}_high"] = ends[0, :, k], ends[1, :, k]
    if "orthogonal" in result:
        columns["orthogonal"] = result["orthogonal"].to_numpy()
        low, high = result["orthogonal_interval"].to_numpy()
        columns |= {"orthogonal_low": low, "orthogonal_high": high}
    return pd.DataFrame(columns)


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return one row per subject: units by the family of their tuning, and the best units' curves.

    Of one subject also units by model, which many strengths are needed to tell apart.
    """
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
        subplot_titles=_titles(results, chosen, rows),
    )
    for i, (name, result) in enumerate(results.items()):
        _add_counts(figure, result, "families", 1 + i * rows)
        if rows > 1 and "orthogonal" in result:
            _add_orthogonal(figure, result, 2 + i * rows)
        elif rows > 1:
            _add_counts(figure, result, "model", 2 + i * rows)
        for k, unit in enumerate(chosen[name]):
            place = (1 + i * rows + k // PANELS, 2 + k % PANELS)
            _add_unit(figure, result, unit, *place, legend=i == 0 and k == 0)
    style(
        figure,
        title="How units are tuned",
        note=_note(results),
        height=210 + 235 * max(n_rows, 2),
        top=64,
    )
    figure.update_annotations(font={"size": SMALL})
    figure.update_xaxes(tickfont={"size": SMALL}, title={"font": {"size": SMALL}})
    figure.update_yaxes(tickfont={"size": SMALL}, title={"font": {"size": SMALL}})
    figure.update_layout(legend=BELOW | {"x": 0.62}, margin={"b": 104})
    return figure


def _titles(
    results: Mapping[str, xr.Dataset], chosen: Mapping[str, np.ndarray], rows: int
) -> list[str]:
    titles = []
    for name, result in results.items():
        units = [_unit_title(result, unit) for unit in chosen[name]]
        units += [""] * (PANELS * rows - len(units))
        titles += [f"{name}<br>{small(_counted(result))}", *units[:PANELS]]
        if rows > 1:
            second = "across the axis" if "orthogonal" in result else "by model"
            titles += [second, *units[PANELS:]]
    return titles


def _counted(result: xr.Dataset) -> str:
    said = [f"{int(result['n'].sum())} units"]
    for name, word in (("n_falling", "falling"), ("n_set_aside", "set aside")):
        if int(result.attrs[name]):
            said.append(f"{int(result.attrs[name])} {word}")
    return ", ".join(said)


def _unit_title(result: xr.Dataset, unit: int) -> str:
    one = result.isel(neuroid=unit)
    label = str(one["unit"].item()) if "unit" in one.coords else ""
    label = label or f"unit {str(one['neuroid'].item()).rsplit('.', 1)[-1]}"
    best = str(one["best"].item())
    r2 = float(one["r2"].sel(model=best))
    return f"{label}<br>" + small(f"{_kind(one)}, R<sup>2</sup> {r2:.2f}")


def _kind(one: xr.Dataset) -> str:
    """Return "family: model", or the model where it is the family."""
    family, best = str(one["family"].item()), str(one["best"].item())
    kind = best if family == best else f"{family}: {best}"
    return f"{kind}, falling" if int(one["sign"]) < 0 else kind


def _shown(result: xr.Dataset, most: int) -> np.ndarray:
    """Return units to draw: of each family the best explained, commonest first, then the next."""
    best = result["best"].to_numpy().astype(str)
    r2 = result["r2"].to_numpy()[_place_of_best(result), np.arange(len(best))]
    usable = np.flatnonzero((best != "") & np.isfinite(r2))
    family = result["family"].to_numpy()[usable]
    names, index, count = np.unique(family, return_inverse=True, return_counts=True)
    order = np.argsort(-r2[usable], kind="stable")
    rank = np.empty(len(usable), int)
    for k in range(len(names)):
        own = order[index.ravel()[order] == k]
        rank[own] = np.arange(len(own))
    # What is flat has nothing to show while others have.
    places = np.lexsort((-r2[usable], -count[index.ravel()], rank, family == "flat"))
    return usable[places][:most]


def _add_counts(figure: Figure, result: xr.Dataset, dim: str, row: int) -> None:
    shown = result.isel({dim: slice(None, None, -1)})
    prefix = "family_" if dim == "families" else ""
    value, low, high = (100 * end for end in with_ends(shown, f"{prefix}fraction"))
    figure.add_bar(
        x=value,
        y=shown[dim].to_numpy().astype(str),
        orientation="h",
        marker={"color": BAR},
        error_x=error_bars(value, low, high),
        showlegend=False,
        row=row,
        col=1,
    )
    figure.update_xaxes(title_text="Units (%)", range=[0, 104], dtick=50, row=row, col=1)
    figure.update_yaxes(dtick=1, row=row, col=1)


def _add_orthogonal(figure: Figure, result: xr.Dataset, row: int) -> None:
    """Add, by family, how much units change with the distance from their axis, if they have one."""
    for name in [one for one in result["families"].to_numpy()[::-1].tolist() if one != "flat"]:
        values = result["orthogonal"].to_numpy()[result["family"].to_numpy() == name]
        figure.add_box(
            x=values[np.isfinite(values)],
            name=name,
            orientation="h",
            boxpoints="outliers",
            marker={"color": BAR, "size": 4},
            line={"width": 1.5},
            showlegend=False,
            row=row,
            col=1,
        )
    figure.update_xaxes(title_text="Change across / along", row=row, col=1)


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
    identities = span([int(one["n_identities"].max()) for one in results.values()])
    criteria = " or ".join(dict.fromkeys(str(one.attrs["criterion"]) for one in results.values()))
    named = all("not stated" not in str(one.attrs.get("identities")) for one in results.values())
    points = f"points: means of {identities} {'identities' if named else 'presentations'}, "
    points += "95 % interval (t)"
    if not any(bool(np.isfinite(one["spread"]).any()) for one in results.values()):
        points = "points: mean responses, without error bars (one identity)"
    drawn = "drawn: the unit of the greatest R<sup>2</sup> of each family, commonest first; "
    across = len(results) == 1 and any("orthogonal" in one for one in results.values())
    missing = [int(one.attrs.get("n_units_missing", 0)) for one in results.values()]
    lacking = f"{span(missing)} units lack some presentations and are fitted to the rest"
    return note_of(
        results,
        f"n = {counted(results, 'n_units')} units, best model by {criteria.upper()}; error bars of "
        "shares: 95 %, Wilson, units as independent",
        *_chance(results),
        drawn + points,
        "across the axis: median, quartiles, and values beyond; 0 is flat" if across else "",
        lacking if any(missing) else "",
    )


def _chance(results: Mapping[str, xr.Dataset]) -> list[str]:
    """Say how many of so many units of noise would be called tuned."""
    parts = []
    for name, one in results.items():
        if "noise_called_tuned" not in one.attrs:
            continue
        n = int(one["n"].sum())
        said = f"{float(one.attrs['noise_called_tuned']) * n:.0f} of {n}"
        parts.append(said if len(results) == 1 else f"{name} {said}")
    if not parts:
        return []
    return [f"of units of pure noise would be called tuned: {', '.join(parts)}"]
