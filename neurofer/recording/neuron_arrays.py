"""Recorded neurons in files of arrays: another program's netCDF, and MATLAB's .mat."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.hdf5 import check_declared
from neurofer.recording.trials import Trials, listed
from neurofer.tables import plain_frame

# What the netCDF library holds where nothing was written, if the file names no fill value.
_FILLS = {
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
}


def netcdf_trials(dataset: xr.Dataset, path: Path, renamed: dict[str, str]) -> Trials:
    """Return the trials of a netCDF file: its one array of presentation x neuroid [x time_bin].

    Coordinates and one-dimensional variables on these dims say what was shown and recorded.

    Args:
        dataset: the content of the file.
        path: of the file, for messages.
        renamed: the file's name -> ours.

    Raises:
        NeuroferError: there is no such array, there are several, or time bins have no edges.
    """
    array = _response(dataset, path)
    frames = {str(dim): _frame(dataset, str(dim), renamed) for dim in array.dims}
    bins = None
    if "time_bin" in array.dims:
        edges = frames["time_bin"]
        if not {"time_bin_start", "time_bin_end"} <= {*edges}:
            raise NeuroferError(f"{path}: time_bin needs time_bin_start and time_bin_end, in ms")
        bins = list(zip(edges["time_bin_start"], edges["time_bin_end"], strict=True))
    order = ("presentation", "neuroid", "time_bin")[: array.ndim]
    units = frames["neuroid"].drop(columns="neuroid", errors="ignore")
    if "neuron" in units and "neuroid_id" not in units:
        units = units.rename(columns={"neuron": "neuroid_id"})
    if "neuroid_id" not in units:
        units["neuroid_id"] = [f"{i}" for i in range(len(units))]
    if "layer" in units:
        units = units.rename(columns={} if "site" in units else {"layer": "site"})
    shown = frames["presentation"].drop(columns="presentation", errors="ignore")
    if "stimulus_id" not in shown and "image_id" in shown:
        shown = shown.rename(columns={"image_id": "stimulus_id"})
    activity = _written(array.transpose(*order))
    notes = []
    never = int(np.isnan(activity).sum() - np.isnan(array.to_numpy().astype(float)).sum())
    if never:
        notes.append(f"{never} values were never written to {path.name} and are missing")
    return Trials(activity, shown, units, bins, [], notes)


def _response(dataset: xr.Dataset, path: Path) -> xr.DataArray:
    fitting = [
        name
        for name, variable in dataset.data_vars.items()
        if {"presentation", "neuroid"} <= {*variable.dims}
    ]
    if len(fitting) != 1:
        said = listed(fitting or dataset.data_vars) or "no variables"
        raise NeuroferError(
            f"{path} must hold one variable of presentation x neuroid [x time_bin]; it holds {said}"
        )
    array = dataset[fitting[0]]
    extra = {*array.dims} - {"presentation", "neuroid", "time_bin"}
    if extra or array.dtype.kind not in "iuf":
        raise NeuroferError(
            f"{path}: {fitting[0]!r} has dims {', '.join(map(str, array.dims))} and holds "
            f"{array.dtype}; a recording is numbers on presentation x neuroid [x time_bin]"
        )
    return array


def _frame(dataset: xr.Dataset, dim: str, renamed: dict[str, str]) -> pd.DataFrame:
    """Return what lies on a dim alone, coordinates and variables, a column each."""
    columns = {
        renamed.get(str(name), str(name)): _column(variable)
        for name, variable in dataset.variables.items()
        if variable.dims == (dim,)
    }
    return pd.DataFrame(columns, index=range(dataset.sizes[dim]))


def _column(variable: Any) -> np.ndarray:
    """Return a variable as numbers, or as text without the blanks that pad arrays of letters."""
    values = variable.values
    if values.dtype.kind in "iufb":
        return (
            _written(variable)
            if values.dtype.kind in "iuf" and _unwritten(variable).any()
            else values
        )
    frame = plain_frame(pd.DataFrame({"value": values.astype(object)}))
    return frame["value"].to_numpy(dtype=object)


def _unwritten(variable: Any) -> np.ndarray:
    """Return where a variable holds the library's default fill, none being named in the file."""
    values = np.asarray(variable.values)
    kind = np.dtype(variable.encoding.get("dtype", values.dtype))
    fill = _FILLS.get(f"{kind.kind}{kind.itemsize}")
    if fill is None or "_FillValue" in {*variable.encoding, *variable.attrs}:
        return np.zeros(values.shape, bool)
    return values == kind.type(fill)


def _written(variable: Any) -> np.ndarray:
    """Return numbers as float64, NaN where nothing was written."""
    return np.where(_unwritten(variable), np.nan, np.asarray(variable.values, dtype=np.float64))


def mat_frame(path: Path) -> pd.DataFrame:
    """Return what a .mat file (version 7 or older) holds as one table, long or wide.

    It holds columns (vectors and cell arrays of text of the same length, in variables of their own
    or in the fields of one struct) and perhaps one matrix with as many rows, whose columns become
    "<name> 1", "<name> 2" ...

    Raises:
        NeuroferError: the file cannot be read, is of version 7.3, holds objects, or its parts
            differ in length.
    """
    parts = _mat_parts(path)
    lengths = {name: len(values) for name, values in parts.items()}
    n = max(lengths.values(), default=0)
    for name, length in lengths.items():
        if length != n:
            raise NeuroferError(
                f"{path.name}: {name!r} has {length} rows, others {n}: one table has one length"
            )
    columns: dict[str, Any] = {}
    for name, values in parts.items():
        if values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name} {j + 1}": values[:, j] for j in range(values.shape[1])}
    return plain_frame(pd.DataFrame(columns))


def _mat_parts(path: Path) -> dict[str, np.ndarray]:
    """Return the variables of a .mat file, or the fields of its one struct, as arrays."""
    from scipy.io import loadmat, whosmat

    how = "save it with -v7, tables by table2struct(T, 'ToScalar', true)"
    try:
        size = path.stat().st_size
        for name, shape, _ in whosmat(str(path)):
            check_declared(path, name, 8 * math.prod(map(int, shape)), size)
        found = loadmat(str(path), simplify_cells=True, chars_as_strings=True)
    except NeuroferError:
        raise
    except NotImplementedError as error:
        raise NeuroferError(f"{path} is a .mat file of version 7.3; {how}") from error
    except Exception as error:  # scipy raises ValueError, TypeError, OSError, zlib.error, ...
        raise NeuroferError(f"{path} cannot be read as a .mat file: {error}") from error
    found = {name: value for name, value in found.items() if not name.startswith("__")}
    if len(found) == 1 and isinstance(next(iter(found.values())), dict):
        found = next(iter(found.values()))
    parts = {}
    for name, value in found.items():
        made = np.atleast_1d(np.asarray(value))
        plain = made.dtype.kind in "iufbU" or (
            made.dtype == object and all(isinstance(one, (str, int, float)) for one in made.flat)
        )
        if not plain or made.ndim > 2:
            raise NeuroferError(
                f"{path.name}: {name!r} is neither numbers nor text ({type(value).__name__}), an "
                f"object or a struct in a struct; {how}"
            )
        parts[name] = made
    if not parts:
        raise NeuroferError(f"{path.name} holds no variables")
    return parts
