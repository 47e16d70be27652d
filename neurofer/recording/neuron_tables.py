"""Recorded neurons in tables: long, a row a response, or wide, a column a neuron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.trials import Trials
from neurofer.stimuli.table import COLUMNS

WORDS = ("neuron", "response", "repeat", "time", "onset")
LONG = ("neuron", "stimulus_id", "response")
SYNONYMS = {"neuroid_id": "neuron", "stimulus": "stimulus_id"}


def table_trials(path: Path, renamed: dict[str, str], neurons: Sequence[str] | None) -> Trials:
    """Read a table of responses; `read_neurons` says which columns.

    Raises:
        NeuroferError: the file is no table, or it is neither long nor wide.
    """
    data = read_table(path).rename(columns=renamed)
    data = data.rename(columns={k: v for k, v in SYNONYMS.items() if v not in data})
    if set(LONG) <= {*data}:
        return _long(data)
    if "stimulus_id" not in data:
        raise NeuroferError(
            f"{path.name} has the columns {', '.join(data.columns)}: a long table has "
            f"{', '.join(LONG)}, a wide one stimulus_id and a column a neuron; say with columns= "
            "which of yours they are"
        )
    return _wide(data, neurons, path.name)


def read_table(path: Path) -> pd.DataFrame:
    """Return a table as text, so that the id "007" stays what it is.

    Columns are parted by commas, tabs (.tsv) or, where the header has no comma, semicolons, whose
    numbers may have decimal commas.

    Raises:
        NeuroferError: the file cannot be read as a table.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        counts = {mark: header.count(mark) for mark in ("\t", ",", ";")}
        mark = max(counts, key=lambda one: counts[one])
        table = pd.read_csv(path, sep=mark, dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise NeuroferError(f"{path} cannot be read as a table: {error}") from error
    if mark == ";":
        table = table.apply(lambda c: c.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True))
    table.columns = table.columns.str.strip()
    return table.astype(object).where(table.notna(), None)


def numbers(values: pd.Series) -> np.ndarray:
    """Return a column as float64, NaN for what is no finite number."""
    made = pd.to_numeric(values, errors="coerce").to_numpy(float)
    return np.where(np.isfinite(made), made, np.nan)


def _long(data: pd.DataFrame) -> Trials:
    """Return a trial a stimulus and repeat; repeats without a number are those in sequence."""
    response = numbers(data["response"])
    time = numbers(data["time"]) if "time" in data else np.zeros(len(data))
    bad = {
        "neuron": data["neuron"].isna().to_numpy(),
        "stimulus_id": data["stimulus_id"].isna().to_numpy(),
        "response": np.isnan(response),
        "time": np.isnan(time),
    }
    if "repeat" in data:
        bad["repeat"] = data["repeat"].isna().to_numpy()
    wrong = np.any(list(bad.values()), axis=0)
    aside = [
        f"line {i + 2}: no {' and no '.join(name for name in bad if bad[name][i])}"
        for i in np.flatnonzero(wrong)
    ]
    used = data[~wrong].assign(response=response[~wrong], time=time[~wrong])
    key = ["neuron", "stimulus_id", "time"]
    if "repeat" not in used:
        used["repeat"] = used.groupby(key, sort=False).cumcount().astype(str)
    again = used.duplicated([*key, "repeat"]).to_numpy()
    aside += [
        f"line {i + 2}: neuron {used['neuron'][i]!r}, stimulus {used['stimulus_id'][i]!r}, repeat "
        f"{used['repeat'][i]!r} is there already"
        for i in used.index[again]
    ]
    if used.empty:
        raise NeuroferError(f"no response of the table can be used: {'; '.join(aside[:3])}")
    return _cube(used[~again], aside, "time" in data)


def _cube(used: pd.DataFrame, aside: list[str], timed: bool) -> Trials:
    names = pd.unique(used["neuron"])
    trials = used[["stimulus_id", "repeat"]].drop_duplicates()
    places = pd.MultiIndex.from_frame(trials)
    row = places.get_indexer(pd.MultiIndex.from_frame(used[["stimulus_id", "repeat"]]))
    start = np.unique(used["time"])
    cube = np.full((len(trials), len(names), len(start)), np.nan)
    unit = pd.Index(names).get_indexer(pd.Index(used["neuron"]))
    cube[row, unit, np.searchsorted(start, used["time"])] = used["response"]
    known = [name for name in used if name in COLUMNS or name == "repeat"]
    shown = used.loc[trials.index, known].reset_index(drop=True)
    regions = {
        name: used.drop_duplicates("neuron")[name].fillna("").to_numpy()
        for name in ("region", "site")
        if name in used
    }
    units = pd.DataFrame({"neuroid_id": names, **regions})
    return Trials(cube if timed else cube[:, :, 0], shown, units, _bins(start, timed), aside)


def _bins(start: np.ndarray, timed: bool) -> list[tuple[int, int]] | None:
    """Return time bins that begin at these ms; the last is as long as the one before it."""
    if not timed:
        return None
    if (start != np.round(start)).any():
        raise NeuroferError("column 'time' holds the start of each time bin in whole ms")
    last = start[-1] + (start[-1] - start[-2] if len(start) > 1 else 1)
    edges = [int(one) for one in (*start, last)]
    return list(pairwise(edges))


def _wide(data: pd.DataFrame, neurons: Sequence[str] | None, where: str) -> Trials:
    taken = {*COLUMNS, "repeat", "time", "in_training", "n_trials", "image_source"}
    values = {str(name): numbers(data[name]) for name in data if name not in taken}
    chosen = list(neurons or [n for n, v in values.items() if np.isfinite(v).mean() >= 0.5])
    for name in chosen:
        if name not in values:
            raise unknown_choice("neurons", name, values, where)
    if not chosen:
        raise NeuroferError(f"{where} has no column of numbers that could be a neuron")
    activity = np.stack([values[name] for name in chosen], axis=1)
    said = data[chosen].notna().to_numpy() & np.isnan(activity)
    aside = [
        f"line {i + 2}: {chosen[j]} is {data[chosen[j]][i]!r}, no number"
        for i, j in zip(*np.nonzero(said), strict=True)
    ]
    empty = np.isnan(activity).all(axis=1)
    no_id = data["stimulus_id"].isna().to_numpy()
    aside += [f"line {i + 2}: no neuron has a response" for i in np.flatnonzero(empty & ~no_id)]
    aside += [f"line {i + 2}: no stimulus_id" for i in np.flatnonzero(no_id)]
    shown = data[[name for name in data if name not in chosen]]
    units = pd.DataFrame({"neuroid_id": chosen})
    trials = Trials(activity, shown, units, None, [])
    return trials.kept(~(empty | no_id), aside)
