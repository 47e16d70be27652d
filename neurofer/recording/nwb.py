"""Recorded neurons in NWB files: spike times of units, counted relative to the trials' onsets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.hdf5 import check_hdf5
from neurofer.recording.trials import Trials

MEASURES = ("rate", "count")


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

    Raises:
        NeuroferError: pynwb is not installed, the file cannot be read or lacks units or trials.
    """
    if measure not in MEASURES:
        raise unknown_choice("measure", measure, MEASURES)
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
    start, end, wrong = _edges(trials, window, time_bins)
    aside = [f"trial {i + 1}: {said}" for i, said in enumerate(wrong) if said]
    good = wrong == ""
    counts = np.stack(
        [_counts(one, start[good], end[good], was) for one, was in zip(spikes, held, strict=True)],
        axis=1,
    )
    if measure == "rate":
        counts = counts / (end - start)[good][:, None, :]
    shown = trials[good].drop(columns=["start_time", "stop_time", "onset"], errors="ignore")
    shown = shown[[name for name in shown if _plain(shown[name])]].reset_index(drop=True)
    bins = None if time_bins is None else [(int(a), int(b)) for a, b in time_bins]
    return Trials(counts if bins else counts[:, :, 0], shown, units, bins, aside)


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
    # Electrodes and waveforms stay in the file: a table of units needs names and regions only.
    named = {"neuroid_id": np.asarray(units.id[:]).astype(str)}
    for name in ("region", "location", "brain_area"):
        if name in units.colnames and "region" not in named:
            named["region"] = np.asarray([str(one) for one in units[name][:]])
    return tables[intervals].to_dataframe(), pd.DataFrame(named), spikes, held


def _edges(
    trials: pd.DataFrame,
    window: tuple[float, float] | None,
    time_bins: Sequence[tuple[int, int]] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (trials, bins) starts and ends in s, and (trials,) what is wrong with each."""
    onset = pd.to_numeric(trials.get("onset", trials["start_time"]), errors="coerce").to_numpy()
    if window is None and time_bins is None:
        start = onset.astype(float)[:, None]
        end = trials["stop_time"].to_numpy(float)[:, None]
    else:
        bins = np.asarray(time_bins if time_bins is not None else [window], float) / 1000
        if bins.ndim != 2 or bins.shape[1] != 2 or (bins[:, 0] >= bins[:, 1]).any():
            raise NeuroferError(
                f"window={window}, time_bins={time_bins}: each is (start, end) in ms after onset"
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
    """Return whether a column holds one string or number a trial."""
    return all(isinstance(item, (str, int, float, np.generic)) for item in values)
