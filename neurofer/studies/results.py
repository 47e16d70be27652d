"""Results as a study reads and writes them: one number, or a long table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.store import open_netcdf, write_netcdf

# Larger variables (dissimilarity matrices, raw activity) stand in the netCDF file only.
MOST_CSV_ROWS = 20_000


@dataclass(frozen=True)
class Number:
    """A value of a result, its 95 % interval, how that was made, and the number behind it."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    interval: str = ""


def coordinate_choices(variable: xr.DataArray, dim: str) -> list[str]:
    """Return the entries of a dimension, as they are written in a study."""
    if dim not in variable.coords:
        return [str(index) for index in range(variable.sizes[dim])]
    return [_written(entry) for entry in variable.coords[dim].to_numpy().tolist()]


def read_number(dataset: xr.Dataset, value: str, select: Mapping[str, Any]) -> Number:
    """Read one number of a result, with `<value>_low`, `<value>_high` and `n` where it has them.

    A dimension that `select` leaves out is read at its entry "all".

    Args:
        dataset: the result.
        value: name of a variable.
        select: dimension -> entry.

    Raises:
        NeuroferError: the value, a dimension or an entry does not exist; the choices are listed.
    """
    if value not in dataset.data_vars:
        raise unknown_choice("value", value, sorted(map(str, dataset.data_vars)), "the result")
    variable = dataset[value]
    for dim in select:
        if dim not in variable.dims:
            raise unknown_choice("coordinate", dim, map(str, variable.dims), f"value {value!r}")
    position = {
        str(dim): _position(variable, str(dim), select.get(str(dim), "all"))
        for dim in variable.dims
    }
    return Number(
        value=float(variable.isel(position)),
        low=_beside(dataset, f"{value}_low", position),
        high=_beside(dataset, f"{value}_high", position),
        n=_count(dataset, value, position),
        unit=_unit(variable),
        interval=_method(dataset, value, position),
    )


def tidy(dataset: xr.Dataset) -> pd.DataFrame:
    """Return a result as a long table: variable, one column per dimension, value, low, high, n."""
    parts = []
    names = {str(name) for name in dataset.data_vars}
    for name in sorted(names):
        variable = dataset[name]
        beside = name.endswith(("_low", "_high")) and name.rsplit("_", 1)[0] in names
        if beside or name == "n" or variable.size > MOST_CSV_ROWS:
            continue
        if variable.dtype.kind not in "fiub":
            continue
        parts.append(_tidy_variable(dataset, name))
    if not parts:
        return pd.DataFrame(columns=["variable", "value", "low", "high", "n"])
    table = pd.concat(parts, ignore_index=True)
    last = ["value", "low", "high", "n"]
    return table[[*[column for column in table if column not in last], *last]]


def _unit(variable: xr.DataArray) -> str:
    """Return the unit that is written behind a number; "1" marks a pure one."""
    return str(variable.attrs.get("units", "")).removeprefix("1")


def _position(variable: xr.DataArray, dim: str, wanted: Any) -> int:
    choices = coordinate_choices(variable, dim)
    written = _written(wanted)
    if written in choices:
        return choices.index(written)
    if len(choices) == 1 and wanted == "all":
        return 0
    raise unknown_choice(dim, wanted, choices, f"value {variable.name!r}")


def _written(entry: Any) -> str:
    """Write a coordinate's entry so that 1, 1.0 and "1" are the same."""
    try:
        return f"{float(entry):g}"
    except (TypeError, ValueError):
        return str(entry)


def _beside(dataset: xr.Dataset, name: str, position: Mapping[str, int]) -> float | None:
    if name not in dataset.data_vars:
        return None
    variable = dataset[name]
    return finite(float(variable.isel({d: i for d, i in position.items() if d in variable.dims})))


def _count(dataset: xr.Dataset, value: str, position: Mapping[str, int]) -> int | None:
    for name in (f"{value}_n", "n"):
        if name in dataset.data_vars and set(dataset[name].dims) <= set(position):
            variable = dataset[name]
            return int(variable.isel({d: i for d, i in position.items() if d in variable.dims}))
    return None


def _method(dataset: xr.Dataset, value: str, position: Mapping[str, int]) -> str:
    """Return how the interval was made, in words, where the result says it."""
    for name in (f"{value}_interval", "interval"):
        if name in dataset.data_vars and set(dataset[name].dims) <= set(position):
            variable = dataset[name]
            at = {d: i for d, i in position.items() if d in variable.dims}
            return str(variable.isel(at).item())
    return str(dataset.attrs.get("interval", ""))


def write_result(result: xr.Dataset, path: Path, *, named: bool = False) -> None:
    """Write a result as sealed netCDF, whole or not at all.

    Args:
        result: of an analysis.
        path: of the file.
        named: it is valid under this name only, as in a cache.
    """
    write_netcdf(result, path, named=named)


def read_result(path: Path, *, named: bool = False) -> xr.Dataset:
    """Read a result, every byte checked; its strings come back as numpy strings, as they were.

    Raises:
        NeuroferError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise NeuroferError(f"there is no result at {path}")
    result = open_netcdf(path, named=named)
    strings = {
        name: (coord.dims, np.asarray([str(item) for item in coord.to_numpy()]))
        for name, coord in result.coords.items()
        if coord.dtype.kind == "O" and coord.ndim == 1
    }
    return result.assign_coords(strings)


def finite(value: float | None) -> float | None:
    """Return the value, or None where it is not a number: JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else value


def _tidy_variable(dataset: xr.Dataset, name: str) -> pd.DataFrame:
    variable = dataset[name]
    columns: dict[str, Any] = {"variable": name}
    dims = [str(dim) for dim in variable.dims]
    grid = np.indices(variable.shape).reshape(len(dims), variable.size)
    for dim, index in zip(dims, grid, strict=True):
        entries = (
            variable.coords[dim].to_numpy()
            if dim in variable.coords
            else np.arange(index.max() + 1)
        )
        columns[dim] = entries[index]
    columns["value"] = variable.to_numpy().ravel()
    for bound in ("low", "high"):
        columns[bound] = _broadcast(dataset, f"{name}_{bound}", variable)
    count = f"{name}_n" if f"{name}_n" in dataset.data_vars else "n"
    columns["n"] = _broadcast(dataset, count, variable)
    return pd.DataFrame(columns, index=range(variable.size))


def _broadcast(dataset: xr.Dataset, name: str, like: xr.DataArray) -> Any:
    if name not in dataset.data_vars or not set(dataset[name].dims) <= set(like.dims):
        return np.nan
    return dataset[name].broadcast_like(like).transpose(*like.dims).to_numpy().ravel()
