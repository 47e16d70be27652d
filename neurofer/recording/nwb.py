"""Recorded neurons in NWB files: spike times of units, counted relative to the trials' onsets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.hdf5 import check_hdf5
from neurofer.recording.trials import Trials, listed
from neurofer.tables import numbers

# Columns of the units table that are long, or are read by themselves.
_LEFT = frozenset(
    {"spike_times", "obs_intervals", "electrodes", "electrode_group"}
    | {"waveforms", "waveform_mean", "waveform_sd"}
)
_SHORTEST = 1e-3  # of a window, in s
# How many of these make a second.
_UNITS = {1e3: "milliseconds", 1e6: "microseconds", 3e4: "samples at about 30 kHz"}


def nwb_trials(
    path: Path,
    renamed: dict[str, str],
    window: tuple[float, float] | None,
    time_bins: Sequence[tuple[int, int]] | None,
    measure: str,
    intervals: str,
) -> Trials:
    """Read the units' spikes in the trials of an NWB file; `read_neurons` says how.

    A neuron is NaN in trials outside its `obs_intervals`, if it has them: it was not held then.

    Args:
        path: of the file.
        renamed: the file's name -> ours.
        window: milliseconds after onset, from and to.
        time_bins: several windows instead of one.
        measure: "rate" or "count".
        intervals: the table of presentations.

    Raises:
        NeuroferError: pynwb is not installed, the file cannot be read or lacks units or trials.
    """
    if window is not None and time_bins is not None:
        raise NeuroferError("give a window or time_bins, not both")
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise NeuroferError(
            "NWB files are read by pynwb, which is not installed; run pip install "
            "'neurofer[neurons]'"
        ) from error
    try:
        check_hdf5(path)
        with NWBHDF5IO(str(path), "r") as file:
            trials, units, spikes, held = _contents(file.read(), path, intervals)
    except NeuroferError:
        raise
    except Exception as error:  # pynwb, hdmf and h5py raise OSError, KeyError, TypeError, ...
        raise NeuroferError(f"{path} cannot be read as an NWB file: {error}") from error
    trials = trials.rename(columns=renamed).reset_index(drop=True)
    for theirs, ours in renamed.items():
        if ours == "onset" and ours not in trials:
            raise unknown_choice("columns: onset", theirs, trials.columns, path.name)
    start, end, wrong = _edges(trials, window, time_bins)
    aside = [f"trial {i + 1}: {said}" for i, said in enumerate(wrong) if said]
    good = wrong == ""
    if not good.any():
        raise NeuroferError(f"{path.name} has no trial that can be used: {'; '.join(aside[:3])}")
    if not spikes:
        raise NeuroferError(f"{path.name} has no units")
    notes = check_times(spikes, units["neuroid_id"].tolist(), start[good], end[good], path.name)
    counts = np.stack(
        [_counts(one, start[good], end[good], was) for one, was in zip(spikes, held, strict=True)],
        axis=1,
    )
    if measure == "rate":
        counts = counts / (end - start)[good][:, None, :]
    shown = trials[good].drop(columns=["start_time", "stop_time", "onset"], errors="ignore")
    shown = shown[[name for name in shown if _plain(shown[name])]].reset_index(drop=True)
    bins = None if time_bins is None else [(int(a), int(b)) for a, b in time_bins]
    return Trials(counts if bins else counts[:, :, 0], shown, units, bins, aside, notes)


def _contents(
    file: Any, path: Path, intervals: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[np.ndarray], list[np.ndarray | None]]:
    """Return trials, units, spike times and observed intervals (None where not stated), in s."""
    tables = dict(file.intervals or {})
    if file.trials is not None:
        tables["trials"] = file.trials
    if intervals not in tables:
        raise unknown_choice("intervals", intervals, tables, path.name)
    if file.units is None or "spike_times" not in file.units.colnames:
        raise NeuroferError(f"{path.name} has no units with spike times")
    units = file.units
    spikes = [np.sort(np.asarray(units.get_unit_spike_times(i), float)) for i in range(len(units))]
    held: list[np.ndarray | None] = [None] * len(units)
    if "obs_intervals" in units.colnames:
        held = [np.asarray(units.get_unit_obs_intervals(i), float) for i in range(len(units))]
    return tables[intervals].to_dataframe(), _units(units), spikes, held


def _units(units: Any) -> pd.DataFrame:
    """Return one row per unit: its id, region and all columns with one plain value in each.

    The region is the unit's own, or that of its electrodes. Waveforms stay in the file.
    """
    named: dict[str, Any] = {"neuroid_id": np.asarray(units.id[:]).astype(str)}
    for name in units.colnames:
        if (
            name in _LEFT
            or name in named
            or not isinstance(units[name].data[:1], (np.ndarray, list))
        ):
            continue
        values = np.asarray(units[name][:] if name + "_index" not in units.colnames else [None])
        if values.shape == (len(units),) and _plain(pd.Series([*values])):
            named[name] = values
    for name in ("location", "brain_area"):
        if name in named:
            named.setdefault("region", named[name])
    if "electrodes" in units.colnames and "region" not in named:
        named["region"] = [_locations(units["electrodes"][i]) for i in range(len(units))]
    return pd.DataFrame(named)


def _locations(electrodes: pd.DataFrame) -> str:
    """Return where the electrodes of a unit lie, each place once."""
    if "location" not in electrodes:
        return ""
    return "+".join(dict.fromkeys(str(one) for one in electrodes["location"]))


def check_times(
    spikes: Sequence[np.ndarray],
    names: Sequence[str],
    start: np.ndarray,
    end: np.ndarray,
    where: str,
) -> list[str]:
    """Refuse spike times that do not fit the trials; return notes on units without a spike there.

    Args:
        spikes: (spikes,) sorted times of each unit.
        names: of the units.
        start: (trials, bins) in the trials' unit, which is s in NWB.
        end: (trials, bins).
        where: the file's name.

    Raises:
        NeuroferError: no spike falls into any trial, or the spikes' times span a hundred times as
            much, or as little, as the trials: they are in another unit.
    """
    every = np.concatenate([one[np.isfinite(one)] for one in spikes])
    if not every.size:
        raise NeuroferError(f"{where} has units but no spikes")
    first, last = float(start.min()), float(end.max())
    low, high = float(every.min()), float(every.max())
    inside = [int(_counts(one, start, end, None).sum()) for one in spikes]
    ratio = max(abs(low), abs(high)) / max(abs(first), abs(last), 1e-9)
    said = f"{where}: spikes lie from {low:g} to {high:g}, trials from {first:g} to {last:g}"
    cause = "spike times and trials must be in seconds of one clock"
    for factor, words in _UNITS.items():
        if factor / 3 < ratio < factor * 3:
            cause = f"spike times look like {words}; {cause}"
        elif factor / 3 < 1 / max(ratio, 1e-12) < factor * 3:
            cause = f"trials look like {words} and spike times like seconds; {cause}"
    share = sum(inside) / every.size
    apart = ratio < 0.01 or (ratio > 100 and share < 0.05)
    if not any(inside) or (len(start) > 1 and apart):
        raise NeuroferError(f"{said}: {sum(inside)} of {every.size} spikes are in a trial; {cause}")
    notes = []
    outside = int(((every < first) | (every > last)).sum())
    if outside:
        notes.append(
            f"{outside} of {every.size} spikes lie before the first or after the last trial"
        )
    silent = [name for name, n in zip(names, inside, strict=True) if n == 0]
    if silent:
        notes.append(f"{len(silent)} units have no spike in any trial ({listed(silent)})")
    return notes


def _edges(
    trials: pd.DataFrame,
    window: tuple[float, float] | None,
    time_bins: Sequence[tuple[int, int]] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (trials, bins) starts and ends in s, and (trials,) what is wrong with each."""
    onset = numbers(trials["onset"] if "onset" in trials else trials["start_time"])
    if window is None and time_bins is None:
        start = onset.astype(float)[:, None]
        end = trials["stop_time"].to_numpy(float)[:, None]
    else:
        bins = np.asarray(time_bins if time_bins is not None else [window], float) / 1000
        if bins.ndim != 2 or bins.shape[1] != 2 or (bins[:, 0] >= bins[:, 1]).any():
            raise NeuroferError(
                f"window={window}, time_bins={time_bins}: each is (start, end) in ms after onset"
            )
        if np.diff(bins).min() < _SHORTEST:
            raise NeuroferError(
                f"window={window}, time_bins={time_bins}: less than a millisecond long; they are "
                "in ms after onset, not in seconds"
            )
        start, end = onset[:, None] + bins[:, 0], onset[:, None] + bins[:, 1]
    finite = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    ordered = (end > start).all(axis=1)
    wrong = np.select([~finite, ~ordered], ["no onset or end", "it ends before it starts"], "")
    return start, end, wrong


def _counts(
    spikes: np.ndarray, start: np.ndarray, end: np.ndarray, held: np.ndarray | None
) -> np.ndarray:
    """Return (trials, bins) spikes in start <= t < end, NaN where the neuron was not held."""
    count = np.searchsorted(spikes, end, "left") - np.searchsorted(spikes, start, "left")
    if held is None:
        return count.astype(float)
    inside = (held[:, 0] <= start[..., None]) & (end[..., None] <= held[:, 1])
    return np.where(inside.any(axis=-1), count, np.nan)


def _plain(values: pd.Series) -> bool:
    """Return whether a column holds one string or number per trial."""
    return all(isinstance(item, (str, int, float, np.generic)) for item in values)
