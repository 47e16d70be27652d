"""A laboratory's recording, read into the layout that models are recorded in.

    from neurofer.recording import read_neurons
    neurons = read_neurons("rates.csv", "stimuli.csv")
    analyse("linearity", neurons, site=None)

netCDF (neurofer's recordings, Brain-Score's assemblies), NWB (units and trials), tables (CSV, TSV,
a DataFrame) and MATLAB's .mat. What cannot be used is set aside, named and counted in `attrs`; the
rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_hash, expanded
from neurofer.options import checked
from neurofer.recording.layout import (
    NEUROID_INTEGERS,
    NEUROID_STRINGS,
    make_recording,
    presentation_coords,
    time_coords,
)
from neurofer.recording.neuron_arrays import mat_frame, netcdf_trials
from neurofer.recording.neuron_tables import WORDS, table_trials
from neurofer.recording.shown import with_stimuli
from neurofer.recording.store import load_recording, open_netcdf
from neurofer.recording.trials import MOST_NAMED, Trials, listed
from neurofer.recording.unit_choice import chosen_neurons
from neurofer.stimuli.table import COLUMNS
from neurofer.tables import SUFFIXES, as_text, numbers, plain_frame, read_table, suffix

NEURONS, SIMULATED = "neurons", "simulated"
NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
KINDS = (*NETCDF, ".nwb", ".mat", *SUFFIXES)
# Of a neuron's range: what rounding to float32 may change.
_ROUNDING = 1e-3


@checked
def read_neurons(
    path: str | os.PathLike[str] | pd.DataFrame,
    stimuli: pd.DataFrame | str | os.PathLike[str] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    neurons: Sequence[str] | None = None,
    units: Mapping[str, Any] | None = None,
    same_name: Literal["apart", "joined"] = "apart",
    trials: Literal["mean", "keep"] = "mean",
    incomplete: Literal["keep", "drop"] = "keep",
    window: tuple[float, float] | None = None,
    time_bins: Sequence[tuple[int, int]] | None = None,
    measure: Literal["rate", "count"] = "rate",
    intervals: str = "trials",
    subject: str | None = None,
) -> xr.DataArray:
    """Read recorded neurons as presentation x neuroid [x time_bin], float32.

    Args:
        path: netCDF with dims presentation x neuroid [x time_bin]; NWB with units and trials; a
            table (a file, also packed as .gz, a DataFrame or a .mat file), long (neuron,
            stimulus_id, response [, repeat, time in ms]) or wide (one row per presentation, one
            column per neuron).
        stimuli: table of stimulus_id, identity, expression and, if known, strength (0 neutral, 1
            full; by default 0 for neutral and 1 else) and head. Not needed where the recording
            has these columns itself.
        columns: the recording's names of neuron, stimulus_id, response, repeat, time, onset,
            recording_session and the stimulus columns, where they differ: {"neuron": "cell"}.
        constants: what holds for every stimulus and stands in no column: {"expression":
            "neutral", "head": "human"}.
        neurons: the neurons to take, by name; in a wide table by default all columns in which all
            that stands is numbers, except counters (trial, block, rt ...) and nameless ones.
        units: conditions on columns that describe neurons (NWB's units table, columns of a long
            table that are constant in each neuron): {"quality": "good", "snr": ">= 2"}; a list
            admits each of its values.
        same_name: of neurons with the same name in several sessions (one stimulus in several
            values of `session`, or `recording_session`), monkeys, probes ...: "apart" makes each
            a neuron, "joined" takes them for one.
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
        so); what the file says of the images' origin is `image_source`. With trials="mean",
        `n_averaged` (presentation x neuroid) counts the trials in each mean. attrs: n_set_aside
        and set_aside (columns, rows, trials, stimuli and neurons that could not be used), notes
        (what was assumed, and what looks like a mistake), n_trials, n_neurons_dropped, missing
        (presentations with a NaN). A netCDF file that already is a recording comes back as it is,
        less the neurons that were not asked for.

    Raises:
        NeuroferError: the file cannot be read, an option or column is unknown, or nothing is left.

    >>> faces = {"identity": "anna", "expression": ["neutral", "happy", "happy"]}
    >>> shown = pd.DataFrame({"stimulus_id": ["a", "b", "c"], "strength": [0, 0.5, 1]} | faces)
    >>> rates = pd.DataFrame({"stimulus_id": ["a", "b", "c"], "cell 1": [5.1, 9.8, 15.2]})
    >>> recording = read_neurons(rates, shown)
    >>> dict(recording.sizes), recording["neuroid_id"].item()
    ({'presentation': 3, 'neuroid': 1}, 'cell 1')
    """
    if not isinstance(path, (pd.DataFrame, str, os.PathLike)):
        raise NeuroferError(f"read_neurons takes a file or a DataFrame, not {type(path).__name__}")
    renamed = _renaming(columns)
    of_nwb = {"window": window, "time_bins": time_bins, "measure": measure, "intervals": intervals}
    of_table = isinstance(path, pd.DataFrame) or suffix(path) in (".mat", *SUFFIXES)
    where = "the table" if isinstance(path, pd.DataFrame) else Path(path).name
    found = _read(path, renamed, neurons, same_name, of_nwb)
    called = str(subject or "") or (
        "table" if isinstance(path, pd.DataFrame) else _stem(Path(path))
    )
    if isinstance(found, xr.DataArray):
        given = {"stimuli": stimuli, "columns": columns, "constants": constants}
        return _own(found, neurons, units, incomplete, subject, given)
    by_name = None if of_table else neurons  # a wide table needs the names to be read
    found = chosen_neurons(found, by_name, units, where)
    found = with_stimuli(found, stimuli, renamed, constants or {}, where)
    _check_left(found, called)
    found = _averaged(found) if trials == "mean" else found
    return _recording(found, incomplete, called)


def _read(
    path: str | os.PathLike[str] | pd.DataFrame,
    renamed: dict[str, str],
    neurons: Sequence[str] | None,
    same_name: str,
    of_nwb: Mapping[str, Any],
) -> Trials | xr.DataArray:
    """Return the trials of a file or table; a recording of neurofer's as it is."""
    if isinstance(path, pd.DataFrame):
        _refuse_nwb("a DataFrame", of_nwb)
        return table_trials(plain_frame(path), renamed, neurons, same_name, "the table")
    path = expanded(path)
    if not path.is_file():
        raise NeuroferError(f"there is no recording at {path}")
    kind = suffix(path)
    if kind == ".nwb":
        from neurofer.recording.nwb import nwb_trials

        return nwb_trials(path, renamed, **of_nwb)
    _refuse_nwb(path.name, of_nwb)
    if kind in NETCDF:
        dataset = open_netcdf(path)
        if "activity" in dataset and "in_training" in dataset.coords:
            return load_recording(path)
        return netcdf_trials(dataset, path, renamed)
    if kind == ".mat" or kind in SUFFIXES:
        table = mat_frame(path) if kind == ".mat" else read_table(path)
        return table_trials(table, renamed, neurons, same_name, path.name)
    raise NeuroferError(
        f"{path.name} is not one of {', '.join(KINDS)}; save a spreadsheet as CSV, a matrix of "
        "another program as a table with one row per presentation"
    )


def _refuse_nwb(where: str, given: Mapping[str, Any]) -> None:
    """Refuse options that count spikes where there are no spikes, rather than ignore them."""
    defaults = {"window": None, "time_bins": None, "measure": "rate", "intervals": "trials"}
    for name, value in given.items():
        if value != defaults[name]:
            raise NeuroferError(
                f"{name}={value!r} counts the spikes of NWB files; {where} has responses already"
            )


def _stem(path: Path) -> str:
    name = path.name
    name = name[: -len(".gz")] if name.lower().endswith(".gz") else name
    return Path(name).stem


def _own(
    recording: xr.DataArray,
    neurons: Sequence[str] | None,
    units: Mapping[str, Any] | None,
    incomplete: str,
    subject: str | None,
    given: Mapping[str, Any],
) -> xr.DataArray:
    """Return a recording of neurofer's as it is, with the neurons that are asked for."""
    for name, value in given.items():
        if value is not None:
            raise NeuroferError(
                f"the file already is a recording, which says what was shown; leave out {name}="
            )
    names = [str(n) for n, c in recording.coords.items() if c.dims == ("neuroid",)]
    frame = pd.DataFrame({name: recording[name].to_numpy() for name in names})
    chosen = chosen_neurons(
        Trials(np.arange(len(frame))[None], pd.DataFrame(index=[0]), frame, None),
        neurons,
        units,
        "the recording",
    ).activity[0]
    everyone = np.array_equal(chosen, np.arange(len(frame)))
    made = recording if everyone else recording.isel(neuroid=chosen)
    if incomplete == "drop":
        axes = tuple(i for i, dim in enumerate(made.dims) if dim != "neuroid")
        seen = np.isfinite(made.to_numpy()).all(axis=axes)
        made = made if seen.all() else made.isel(neuroid=seen)
    if subject is not None:
        made = made.assign_attrs(subject=subject)
    return made


def _renaming(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return their name -> our name."""
    for name in columns or {}:
        if name not in (*WORDS, *COLUMNS):
            raise unknown_choice("columns", name, dict.fromkeys((*WORDS, *COLUMNS)))
    return {theirs: ours for ours, theirs in (columns or {}).items()}


def _averaged(found: Trials) -> Trials:
    """Return the mean over the trials of each stimulus, NaN where a neuron was never recorded."""
    ids, first, index = np.unique(
        found.shown["stimulus_id"].to_numpy().astype(str), return_index=True, return_inverse=True
    )
    index = index.ravel()
    finite = np.isfinite(found.activity)
    weight = _weights(found)
    total = np.zeros((len(ids), *found.activity.shape[1:]))
    count = np.zeros(total.shape)
    np.add.at(total, index, np.where(finite, found.activity * weight, 0))
    np.add.at(count, index, finite * weight)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    order = np.argsort(first)  # stimuli in the order in which they were first shown
    shown = found.shown.iloc[first[order]].drop(columns="repeat", errors="ignore")
    shown = shown.reset_index(drop=True)
    counts = count[order].reshape(*count.shape[:2], -1).max(axis=-1).astype(np.int64)
    # As many as the neuron with the most has: trials of neurons need not be simultaneous.
    shown["n_trials"] = counts.max(axis=1, initial=0)
    return replace(found, activity=mean[order], shown=shown, counts=counts)


def _weights(found: Trials) -> np.ndarray:
    """Return (trials, 1 ...) how many trials each row is the mean of: `n_trials`, where stated."""
    n = numbers(found.shown["n_trials"]) if "n_trials" in found.shown else np.ones(len(found.shown))
    if not ((n >= 1) & (n == np.round(n))).all():
        raise NeuroferError(
            "column 'n_trials' says how many trials each row is the mean of: whole numbers from 1"
        )
    return n.reshape(-1, *(1,) * (found.activity.ndim - 1))


def _recording(found: Trials, incomplete: str, subject: str) -> xr.DataArray:
    others = tuple(i for i in range(found.activity.ndim) if i != 1)
    seen = np.isfinite(found.activity)
    ever, whole = seen.any(axis=others), seen.all(axis=others)
    never = [f"neuron {name!r}: no response" for name in found.neurons["neuroid_id"][~ever]]
    taken = whole if incomplete == "drop" else ever
    found = replace(
        found.of_neurons(taken, never),
        counts=None if found.counts is None else found.counts[:, taken],
    )
    activity, units = _single(found), found.neurons
    _check_left(found, subject)
    from neurofer import __version__

    shown = _canonical(found.shown)
    coords: dict[str, Any] = presentation_coords(shown, frozenset())
    coords |= _neuroid_coords(units, len(activity[0]))
    if found.counts is not None:
        coords["n_averaged"] = (("presentation", "neuroid"), found.counts)
    if found.time_bins is not None:
        coords |= time_coords(found.time_bins)
    nan = np.isnan(activity).any(axis=tuple(range(1, activity.ndim)))
    attributes = {
        "subject": subject,
        "stimuli": f"{subject}-stimuli-{content_hash(shown.to_csv())[:8]}",
        "neurofer": __version__,
        "missing": str(int(nan.sum())),
        "n_trials": str(int(shown["n_trials"].sum() if "n_trials" in shown else len(shown))),
        "n_neurons_dropped": str(int((ever & ~whole).sum() if incomplete == "drop" else 0)),
        "n_set_aside": str(len(found.aside)),
        "set_aside": _told(found.aside[:MOST_NAMED]),
        "notes": _told(found.notes),
    }
    return make_recording(activity, coords, attributes)


def _check_left(found: Trials, subject: str) -> None:
    """Refuse a recording of which nothing is left."""
    if 0 in found.activity.shape:
        columns = [said for said in found.aside if said.startswith("column ")]
        rest = [said for said in found.aside if said not in columns]
        raise NeuroferError(
            f"nothing of {subject!r} can be used: {found.activity.shape[0]} presentations, "
            f"{found.activity.shape[1]} neurons are left; "
            f"{'; '.join([*rest, *columns][:3]) or 'no data'}"
        )


def _told(items: list[str]) -> str:
    """Join what is said by semicolons, which stand nowhere else in it."""
    return "; ".join(item.replace("; ", ", ") for item in items)


def _single(found: Trials) -> np.ndarray:
    """Return the activity as float32; refuse it where that would change what neurons differ in."""
    wide = found.activity
    with np.errstate(over="ignore", invalid="ignore"):
        activity = wide.astype(np.float32)
        error = np.abs(wide - activity)  # inf where it does not fit
    error[np.isnan(wide)] = 0
    others = tuple(i for i in range(wide.ndim) if i != 1)
    if wide.size:
        low = np.min(wide, axis=others, where=~np.isnan(wide), initial=np.inf)
        high = np.max(wide, axis=others, where=~np.isnan(wide), initial=-np.inf)
        lost = error.max(axis=others) > _ROUNDING * (high - low)
        lost &= (high > low) | ~np.isfinite(error.max(axis=others))
        if lost.any():
            raise NeuroferError(
                f"the activity of {listed(found.neurons['neuroid_id'][lost])} does not fit into "
                "float32 (too large, or differences too small beside the mean): subtract a "
                "baseline or choose another unit of measurement"
            )
    return activity


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
        values = np.broadcast_to(value, n)
        if name in units and kind is np.str_:
            values = as_text(units[name]).fillna("").to_numpy()
        elif name in units:
            whole = numbers(units[name])  # of channels that have names, no number is known
            values = np.where(whole == np.round(whole), whole, -1)
        coords[name] = ("neuroid", values.astype(kind))
    return coords
