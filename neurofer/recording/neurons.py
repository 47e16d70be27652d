"""A laboratory's recording, read into the layout that models are recorded in.

    from neurofer.recording import read_neurons
    neurons = read_neurons("rates.csv", "stimuli.csv")
    analyse("linearity", neurons, site=None)

netCDF (neurofer's recordings, Brain-Score's assemblies), NWB (units and trials) and tables (CSV,
TSV). What cannot be used is set aside, named and counted in `attrs`; the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_hash
from neurofer.recording.layout import (
    NEUROID_INTEGERS,
    NEUROID_STRINGS,
    make_recording,
    presentation_coords,
    time_coords,
)
from neurofer.recording.neuron_tables import WORDS, read_table, table_trials
from neurofer.recording.store import load_recording, open_netcdf
from neurofer.recording.trials import MOST_NAMED, Trials
from neurofer.stimuli.table import COLUMNS

NEURONS, SIMULATED = "neurons", "simulated"
TABLES = (".csv", ".tsv", ".txt")
KINDS = (".nc", ".nwb", *TABLES)
NEEDED = ("stimulus_id", "identity", "expression")


def read_neurons(
    path: str | os.PathLike[str],
    stimuli: pd.DataFrame | str | os.PathLike[str] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    neurons: Sequence[str] | None = None,
    trials: str = "mean",
    incomplete: str = "keep",
    window: tuple[float, float] | None = None,
    time_bins: Sequence[tuple[int, int]] | None = None,
    measure: str = "rate",
    intervals: str = "trials",
    subject: str | None = None,
) -> xr.DataArray:
    """Read recorded neurons as presentation x neuroid [x time_bin], float32.

    Args:
        path: netCDF with dims presentation x neuroid [x time_bin]; NWB with units and trials; or
            a table, long (neuron, stimulus_id, response [, repeat, time in ms]) or wide (a row a
            presentation, a column a neuron).
        stimuli: table of stimulus_id, identity, expression and, if known, strength (0 neutral, 1
            full; by default 0 for neutral and 1 else) and head. Not needed where the recording
            has these columns itself.
        columns: the recording's names of neuron, stimulus_id, response, repeat, time, onset and
            the stimulus columns, where they differ: {"neuron": "cell", "onset": "image_on"}.
        neurons: columns of a wide table that are neurons; by default all columns of numbers that
            are not columns of stimuli.
        trials: "mean" averages repeats of a stimulus (over those in which a neuron was recorded),
            "keep" has a presentation for each, with a coordinate `repeat`.
        incomplete: "keep" neurons that were not shown every stimulus (their activity is NaN there)
            or "drop" them.
        window: of NWB, in ms from `onset` (the start of the trial); by default the whole trial.
        time_bins: of NWB, (start, end) in ms from onset, instead of a window.
        measure: of NWB, "rate" in spikes per second or "count".
        intervals: of NWB, the table of presentations.
        subject: name in results; by default the file's.

    Returns:
        A recording. `source` of every presentation is "neurons" ("simulated" where the file says
        so); what the file says of the images' origin is `image_source`. attrs: n_set_aside and
        set_aside (rows, trials and stimuli that could not be used), n_trials, n_neurons_dropped,
        missing (presentations with a NaN). A netCDF file that already is a recording comes back
        as it is.

    Raises:
        NeuroferError: the file cannot be read, an option or column is unknown, or nothing is left.
    """
    path = Path(path)
    for name, value, allowed in (
        ("trials", trials, ("mean", "keep")),
        ("incomplete", incomplete, ("keep", "drop")),
    ):
        if value not in allowed:
            raise unknown_choice(name, value, allowed)
    if not path.is_file():
        raise NeuroferError(f"there is no recording at {path}")
    renamed = _renaming(columns)
    if path.suffix == ".nc":
        found = _netcdf(path, renamed)
        if isinstance(found, xr.DataArray):
            return found
    elif path.suffix == ".nwb":
        from neurofer.recording.nwb import nwb_trials

        found = nwb_trials(path, renamed, window, time_bins, measure, intervals)
    elif path.suffix in TABLES:
        found = table_trials(path, renamed, neurons)
    else:
        raise NeuroferError(
            f"{path.name} is none of {', '.join(KINDS)}; save a spreadsheet as CSV, a matrix of "
            "another program as a table with a row a presentation"
        )
    found = _with_stimuli(found, stimuli, renamed, path)
    found = _averaged(found) if trials == "mean" else found
    return _recording(found, incomplete, subject or path.stem)


def _renaming(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return their name -> our name."""
    for name in columns or {}:
        if name not in (*WORDS, *COLUMNS):
            raise unknown_choice("columns", name, dict.fromkeys((*WORDS, *COLUMNS)))
    return {theirs: ours for ours, theirs in (columns or {}).items()}


def _netcdf(path: Path, renamed: dict[str, str]) -> xr.DataArray | Trials:
    """Return a recording of neurofer's as it is, another's as trials."""
    dataset = open_netcdf(path)
    fitting = [n for n, v in dataset.data_vars.items() if {"presentation", "neuroid"} <= {*v.dims}]
    if len(fitting) != 1:
        said = ", ".join(map(str, dataset.data_vars)) or "no variables"
        raise NeuroferError(
            f"{path} must hold one variable of presentation x neuroid [x time_bin]; it holds {said}"
        )
    if fitting == ["activity"] and "in_training" in dataset.coords:
        return load_recording(path)
    array = dataset[fitting[0]]
    frames = {
        dim: pd.DataFrame(
            {
                renamed.get(str(name), str(name)): coord.to_numpy()
                for name, coord in array.coords.items()
                if coord.dims == (dim,)
            },
            index=range(array.sizes[dim]),
        )
        for dim in array.dims
    }
    bins = None
    if "time_bin" in array.dims:
        edges = frames["time_bin"]
        if not {"time_bin_start", "time_bin_end"} <= {*edges}:
            raise NeuroferError(f"{path}: time_bin needs time_bin_start and time_bin_end, in ms")
        bins = list(zip(edges["time_bin_start"], edges["time_bin_end"], strict=True))
    order = ("presentation", "neuroid", "time_bin")[: array.ndim]
    units = frames["neuroid"].drop(columns="neuroid", errors="ignore")
    if "neuroid_id" not in units:
        units["neuroid_id"] = [f"{i}" for i in range(len(units))]
    if "layer" in units:
        units = units.rename(columns={} if "site" in units else {"layer": "site"})
    shown = frames["presentation"].drop(columns="presentation", errors="ignore")
    if "stimulus_id" not in shown and "image_id" in shown:
        shown = shown.rename(columns={"image_id": "stimulus_id"})
    return Trials(array.transpose(*order).to_numpy(), shown, units, bins, [])


def _with_stimuli(
    found: Trials,
    stimuli: pd.DataFrame | str | os.PathLike[str] | None,
    renamed: dict[str, str],
    path: Path,
) -> Trials:
    """Join the stimulus table and set aside what has no usable stimulus."""
    shown = found.shown
    if "stimulus_id" not in shown:
        raise unknown_choice("column", "stimulus_id", shown.columns, str(path.name))
    shown["stimulus_id"] = shown["stimulus_id"].astype(str)
    if stimuli is not None:
        table, aside = _stimulus_table(stimuli, renamed)
        own = [name for name in shown if name == "stimulus_id" or name not in table]
        known = shown["stimulus_id"].isin(table["stimulus_id"])
        unknown = dict.fromkeys(shown["stimulus_id"][~known])
        aside += [f"stimulus {one!r}: not in the stimulus table" for one in unknown]
        found = found.kept(known.to_numpy(), aside)
        shown = found.shown[own].merge(table, on="stimulus_id", how="left", validate="m:1")
    lacking = [name for name in NEEDED if name not in shown]
    if lacking:
        raise NeuroferError(
            f"{path.name} does not say the {' and '.join(lacking)} of its stimuli: give "
            f"stimuli=, a table with {', '.join(NEEDED)} and, if known, strength and head"
        )
    if "strength" not in shown:
        shown["strength"] = np.where(shown["expression"] == "neutral", 0.0, 1.0)
    shown["strength"] = pd.to_numeric(shown["strength"], errors="coerce")
    wrong = _wrong_stimuli(shown)
    for label in dict.fromkeys(
        f"stimulus {k!r}: {w}"
        for k, w in zip(shown["stimulus_id"][wrong != ""], wrong[wrong != ""], strict=True)
    ):
        found.aside.append(label)
    return found.with_shown(shown).kept(wrong == "", [])


def _wrong_stimuli(shown: pd.DataFrame) -> np.ndarray:
    """Return (trials,) what is wrong with the stimulus of each, "" for nothing."""
    strength = shown["strength"].to_numpy(float)
    empty = {name: shown[name].isna() | (shown[name].astype(str) == "") for name in NEEDED}
    with np.errstate(invalid="ignore"):
        conditions = [
            *(empty[name].to_numpy() for name in NEEDED),
            ~np.isfinite(strength),
            strength < 0,
            (shown["expression"] == "neutral").to_numpy() & (strength != 0),
        ]
    said = [*(f"no {name}" for name in NEEDED)]
    said += ["strength is no number", "strength is negative", "neutral at a strength that is not 0"]
    return np.select(conditions, said, "")


def _stimulus_table(
    stimuli: pd.DataFrame | str | os.PathLike[str], renamed: dict[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with one row a stimulus, and what was set aside."""
    if isinstance(stimuli, pd.DataFrame):
        table = stimuli.reset_index(drop=True).rename(columns=renamed)
    else:
        table = read_table(Path(stimuli)).rename(columns=renamed)
    table = table.rename(columns={} if "stimulus_id" in table else {"stimulus": "stimulus_id"})
    if "stimulus_id" not in table:
        raise unknown_choice("column", "stimulus_id", table.columns, "the stimulus table")
    empty = table["stimulus_id"].isna()
    table["stimulus_id"] = table["stimulus_id"].astype(str)
    twice = table["stimulus_id"].duplicated() & ~empty
    aside = [f"stimulus table, row {i + 1}: no stimulus_id" for i in np.flatnonzero(empty)]
    aside += [
        f"stimulus table, row {i + 1}: {table['stimulus_id'][i]!r} is there already"
        for i in np.flatnonzero(twice)
    ]
    return table[~empty & ~twice].reset_index(drop=True), aside


def _averaged(found: Trials) -> Trials:
    """Return the mean over the trials of each stimulus, NaN where a neuron was never recorded."""
    ids, first, index = np.unique(
        found.shown["stimulus_id"].to_numpy().astype(str), return_index=True, return_inverse=True
    )
    index = index.ravel()
    finite = np.isfinite(found.activity)
    total = np.zeros((len(ids), *found.activity.shape[1:]))
    count = np.zeros(total.shape)
    np.add.at(total, index, np.where(finite, found.activity, 0))
    np.add.at(count, index, finite)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    order = np.argsort(first)  # stimuli in the order in which they were first shown
    shown = found.shown.iloc[first[order]].drop(columns="repeat", errors="ignore")
    shown = shown.reset_index(drop=True)
    shown["n_trials"] = np.bincount(index)[order]
    return Trials(mean[order], shown, found.neurons, found.time_bins, found.aside)


def _recording(found: Trials, incomplete: str, subject: str) -> xr.DataArray:
    activity, units = found.activity.astype(np.float32), found.neurons
    seen = np.isfinite(activity)
    whole = seen.all(axis=tuple(i for i in range(activity.ndim) if i != 1))
    if incomplete == "drop":
        activity, units = activity[:, whole], units[whole].reset_index(drop=True)
    if 0 in activity.shape:
        raise NeuroferError(
            f"nothing of {subject!r} can be used: {activity.shape[0]} presentations, "
            f"{activity.shape[1]} neurons are left; {'; '.join(found.aside[:3]) or 'no data'}"
        )
    from neurofer import __version__

    shown = _canonical(found.shown)
    coords: dict[str, Any] = presentation_coords(shown, frozenset())
    coords |= _neuroid_coords(units, len(activity[0]))
    if found.time_bins is not None:
        coords |= time_coords(found.time_bins)
    nan = np.isnan(activity).any(axis=tuple(range(1, activity.ndim)))
    attributes = {
        "subject": subject,
        "stimuli": f"{subject}-stimuli-{content_hash(shown.to_csv())[:8]}",
        "neurofer": __version__,
        "missing": str(int(nan.sum())),
        "n_trials": str(int(shown["n_trials"].sum() if "n_trials" in shown else len(shown))),
        "n_neurons_dropped": str(int((~whole).sum() if incomplete == "drop" else 0)),
        "n_set_aside": str(len(found.aside)),
        "set_aside": "; ".join(found.aside[:MOST_NAMED]),
    }
    return make_recording(activity, coords, attributes)


def _canonical(shown: pd.DataFrame) -> pd.DataFrame:
    """Return every column of the layout first; those that are not stated "", `source` neurons."""
    shown = shown.copy()
    images = shown["source"].fillna("").astype(str) if "source" in shown else None
    shown["source"] = NEURONS
    if images is not None:
        shown["source"] = np.where(images == SIMULATED, SIMULATED, NEURONS)
        shown["image_source"] = images
    defaults = {"split": "test", "head": "not stated"}
    for name in COLUMNS:
        if name == "strength":
            continue
        given = shown[name] if name in shown else pd.Series(defaults.get(name, ""), shown.index)
        shown[name] = given.fillna("").astype(str).astype(object)
    return shown[[*COLUMNS, *(name for name in shown if name not in (*COLUMNS, "in_training"))]]


def _neuroid_coords(units: pd.DataFrame, n: int) -> dict[str, tuple[str, np.ndarray]]:
    coords: dict[str, tuple[str, np.ndarray]] = {}
    defaults: dict[str, Any] = {"model": NEURONS, "site": NEURONS, "neuroid_num": np.arange(n)}
    for name in (*NEUROID_STRINGS, *NEUROID_INTEGERS):
        kind: Any = np.str_ if name in NEUROID_STRINGS else np.int64
        value = defaults.get(name, "" if kind is np.str_ else -1)
        values = units[name].to_numpy() if name in units else np.broadcast_to(value, n)
        coords[name] = ("neuroid", values.astype(kind))
    return coords
