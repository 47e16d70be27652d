"""Recorded neurons in tables: long, one row per response, or wide, one column per neuron."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.layout import TAKEN
from neurofer.recording.trials import Trials, listed
from neurofer.recording.unit_choice import chosen_neurons
from neurofer.stimuli.table import COLUMNS
from neurofer.tables import as_text, comma_numbers, line, nameless, not_numbers, numbers

SESSION = "recording_session"
WORDS = ("neuron", "response", "repeat", "time", "onset", SESSION)
LONG = ("neuron", "stimulus_id", "response")
SYNONYMS = {"neuroid_id": "neuron", "stimulus": "stimulus_id", "image_id": "stimulus_id"}
RESERVED = "the name of what a recording says of neurons or trials; give it another to keep it"
# Columns of a long table that part neurons which have the same name in each.
PLACES = (
    *("monkey", "animal", "subject", "array", "probe", "hemisphere", "region", "area", "site"),
    *("electrode", "channel"),
)
# Columns that part them where one stimulus has several of their values: they may be the stimuli's.
SESSIONS = (
    *("session", "session_id", "rec_session", "recording", "date", "day", "experiment"),
    *("penetration", "file"),
)
# Columns of a wide table that are never neurons, whatever numbers they hold.
COUNTERS = frozenset(
    {"trial", "block", "run", "index", "order", "position", "row", "line", "number", "counter"}
    | {"rt", "reaction_time", "trial_number", "trial_index", "trial_id", "block_number"}
    | {"run_number", "presentation", "correct", "choice", "rep", "repetition"}
    | {*SESSIONS}
)
# Parts of names after which whole numbers are rather counted than recorded.
COUNTING = frozenset(
    {"trial", "trials", "block", "blocks", "run", "runs", "rt", "index", "rep", "reps", "date"}
)
_UNITS_OF_TIME = r"[\W_]*[(\[]?\b(ms|msec|s|sec|seconds|milliseconds)[)\]]?\s*$"
_FEWEST_ROWS = 8  # from here on chance does not sort a neuron's responses
_MOST_CELLS = 2**28


def table_trials(
    data: pd.DataFrame,
    renamed: dict[str, str],
    neurons: Sequence[str] | None,
    same_name: str,
    where: str,
) -> Trials:
    """Return the trials of a table of responses; `read_neurons` says which columns it has.

    Args:
        data: as `tables.read_table` or `tables.plain_frame` returns it.
        renamed: their name -> our name.
        neurons: names of the neurons to take; None to find the columns of a wide table that are
            neurons, and for all of a long one.
        same_name: "apart" or "joined": neurons of the same name in several sessions.
        where: the table's name, for messages.

    Raises:
        NeuroferError: the table is neither long nor wide, or holds numbers that cannot be read.
    """
    for theirs, ours in renamed.items():
        if theirs not in data and ours in WORDS:
            raise unknown_choice(f"columns: {ours}", theirs, data.columns, where)
    data = data.rename(columns=renamed)
    for theirs, ours in SYNONYMS.items():
        data = data.rename(columns={} if ours in data else {theirs: ours})
    twice = data.columns[data.columns.duplicated()]
    if len(twice):
        raise NeuroferError(f"{where} has two columns {twice[0]!r} after columns= is applied")
    if set(LONG) <= {*data}:
        return chosen_neurons(_long(data, same_name, where), neurons, None, where)
    if "stimulus_id" not in data:
        raise NeuroferError(
            f"{where} has the columns {listed(data.columns, 20)}: a long table has "
            f"{', '.join(LONG)}, a wide one stimulus_id and one column per neuron; say with "
            "columns= which of yours they are"
        )
    return _wide(data, neurons, same_name, where)


def _long(data: pd.DataFrame, same_name: str, where: str) -> Trials:
    """Return one trial per stimulus and repeat; repeats without a number are those in sequence."""
    text = [name for name in ("neuron", "stimulus_id", "repeat", SESSION) if name in data]
    data = data.assign(**{name: as_text(data[name]) for name in text})
    response = _readable(data, "response", where)
    time = _readable(data, "time", where) if "time" in data else np.zeros(len(data))
    bad = {name: data[name].isna().to_numpy() for name in text if name != SESSION}
    bad |= {"response": np.isnan(response), "time": np.isnan(time)}
    wrong = np.any(list(bad.values()), axis=0)
    aside = [
        f"line {line(data, i)}: "
        + " and ".join(_lack(data, name, i) for name in bad if bad[name][i])
        for i in np.flatnonzero(wrong)
    ]
    used = data.assign(response=response, time=time)[~wrong]
    if used.empty:
        raise NeuroferError(f"no response of {where} can be used: {'; '.join(aside[:3])}")
    used, notes = _parted(used, same_name)
    key = ["neuron", "stimulus_id", "time"]
    if "repeat" not in used:
        used["repeat"] = used.groupby(key, sort=False).cumcount().astype(str)
        if (used["repeat"] != "0").any():
            notes.append(
                "no column 'repeat': the trials of a stimulus are numbered in the order of rows, "
                "for each neuron by itself; they need not be simultaneous"
            )
    again = used.duplicated([*key, "repeat"]).to_numpy()
    aside += [
        f"line {line(data, i)}: neuron {used['neuron'][i]!r}, stimulus {used['stimulus_id'][i]!r}, "
        f"repeat {used['repeat'][i]!r} is there already"
        for i in used.index[again]
    ]
    return _cube(used[~again], aside, notes, "time" in data, where)


def _lack(data: pd.DataFrame, name: str, i: int) -> str:
    cell = data[name].iloc[i]
    said = name in ("response", "time") and isinstance(cell, str)
    return f"{name} {cell!r} is not a number" if said else f"no {name}"


def _readable(data: pd.DataFrame, name: str, where: str) -> np.ndarray:
    """Return a column of numbers; refuse commas of which it is not clear what they mean."""
    values = numbers(data[name], data)
    _refuse_commas(data, name, values, where)
    return values


def _refuse_commas(data: pd.DataFrame, name: str, values: np.ndarray, where: str) -> None:
    unclear = np.flatnonzero(comma_numbers(data[name], values))
    if len(unclear):
        said = listed([f"{data[name].iloc[i]!r} in line {line(data, i)}" for i in unclear], 3)
        raise NeuroferError(
            f"column {name!r} of {where} has numbers with commas ({said}): decimals or thousands? "
            "Write decimal points, or decimal commas throughout with semicolons between columns"
        )


def _parted(used: pd.DataFrame, same_name: str) -> tuple[pd.DataFrame, list[str]]:
    """Give neurons that share a name, in several sessions or places, names of their own.

    A column `session` is the recording's if one stimulus is shown in several sessions; if not, it
    may be a property of the stimuli (two sessions of photographs), and a note says so.
    """
    used, notes = _with_session(used.copy()), []
    if SESSION not in used and "session" in used and _several(used, "neuron", "session"):
        notes.append(
            "'session' differs between stimuli only and is taken for theirs; if it is the "
            f"recording's, say columns={{{SESSION!r}: 'session'}}: neurons of the same name "
            "then stay apart"
        )
    places = [name for name in map(str, used) if name == SESSION or name.lower() in PLACES]
    parting = [name for name in places if _several(used, "neuron", name)]
    notes += [
        f"{name!r} differs within neurons ({listed(names, 4)}); if these are several neurons of "
        f"the same name, say columns={{{SESSION!r}: {name!r}}}"
        for name in map(str, used)
        if name not in (*places, *COLUMNS, *WORDS) and _words(used[name])
        if (names := _several(used, "neuron", name)) and _several(used, "stimulus_id", name)
    ]
    if same_name == "joined" and parting:
        notes.append(f"neurons of the same name in several {listed(parting)}s are joined")
        return used, notes
    if parting:
        used["place"] = used[parting].fillna("?").astype(str).agg("/".join, axis=1)
        names = _several(used, "neuron", "place")
        several = used["neuron"].isin(names)
        notes.append(
            f"{len(names)} neurons have the same name in several {listed(parting)}s and are kept "
            f"apart ({listed(names, 4)}); same_name='joined' takes each for one neuron"
        )
        used["neuron"] = used["neuron"].where(~several, used["place"] + "/" + used["neuron"])
        used = used.drop(columns="place")
    return used, notes


def _with_session(table: pd.DataFrame) -> pd.DataFrame:
    """Call the column of the recording's sessions `recording_session`, if there is one."""
    for name in map(str, table) if SESSION not in table else ():
        if name.lower() in SESSIONS and _several(table, "stimulus_id", name):
            return table.rename(columns={name: SESSION})
    return table


def _words(column: pd.Series) -> bool:
    """Return whether a column holds text and no number."""
    return column.dtype.kind not in "fiub" and not np.isfinite(numbers(column)).any()


def _several(table: pd.DataFrame, by: str, name: str) -> list[str]:
    """Return the values of column `by` with which several values of column `name` occur."""
    pairs = table[[by, name]].dropna().drop_duplicates()
    return [str(one) for one in pairs[by][pairs[by].duplicated()].unique()]


def _cube(
    used: pd.DataFrame, aside: list[str], notes: list[str], timed: bool, where: str
) -> Trials:
    names = pd.unique(used["neuron"])
    trials = used[["stimulus_id", "repeat"]].drop_duplicates()
    start = np.unique(used["time"])
    shape = (len(trials), len(names), len(start))
    if int(np.prod(shape, dtype=object)) > _MOST_CELLS:
        raise NeuroferError(
            f"{where} has {len(trials)} different trials (stimulus and repeat) of {len(names)} "
            "neurons: number the repeats of each stimulus from 0, or leave the column out"
        )
    places = pd.MultiIndex.from_frame(trials)
    row = places.get_indexer(pd.MultiIndex.from_frame(used[["stimulus_id", "repeat"]]))
    cube = np.full(shape, np.nan)
    unit = pd.Index(names).get_indexer(pd.Index(used["neuron"]))
    cube[row, unit, np.searchsorted(start, used["time"])] = used["response"]
    known = [name for name in used if name in COLUMNS or name == "repeat"]
    shown = used.loc[trials.index, known].reset_index(drop=True)
    units = _units(used, [str(name) for name in used if name not in (*known, *LONG, "time")])
    bins = _bins(start) if timed else None
    return Trials(cube if timed else cube[:, :, 0], shown, units, bins, aside, notes)


def _units(used: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return one row per neuron: its name and every column that is constant in each neuron."""
    grouped = used.groupby("neuron", sort=False)
    constant = [name for name in names if not _several(used, "neuron", name)]
    units = grouped[constant].first() if constant else grouped.size().to_frame()[[]]
    return units.rename_axis("neuroid_id").reset_index()


def _bins(start: np.ndarray) -> list[tuple[int, int]]:
    """Return time bins that begin at these ms; the last is as long as the one before it."""
    if (start != np.round(start)).any():
        raise NeuroferError("column 'time' holds the start of each time bin in whole ms")
    last = start[-1] + (start[-1] - start[-2] if len(start) > 1 else 1)
    edges = [int(one) for one in (*start, last)]
    return list(pairwise(edges))


def _wide(data: pd.DataFrame, neurons: Sequence[str] | None, same_name: str, where: str) -> Trials:
    taken = {*COLUMNS, *WORDS, *TAKEN, "n_trials", "image_source"}
    values = {str(name): numbers(data[name], data) for name in data if name not in taken}
    aside: list[str] = []
    notes: list[str] = []
    for name in neurons or ():
        if name not in values:
            raise unknown_choice("neurons", name, values, where)
    chosen = [*map(str, neurons)] if neurons else []
    if not chosen:
        chosen, aside, notes = _neuron_columns(data, values, where)
    for name in chosen:
        _refuse_commas(data, name, values[name], where)
    if not chosen:
        raise NeuroferError(
            f"{where} has no column of numbers that could be a neuron; {'; '.join(aside[:3])}"
        )
    described = [name for name in data if name in TAKEN]
    aside += [f"column {name!r}: {RESERVED}" for name in described]
    activity = np.stack([values[name] for name in chosen], axis=1)
    said = np.stack([not_numbers(data[name], values[name]) for name in chosen], axis=1)
    aside += [
        f"line {line(data, i)}: {chosen[j]} is {data[chosen[j]].iloc[i]!r}, not a number"
        for i, j in zip(*np.nonzero(said), strict=True)
    ]
    empty = np.isnan(activity).all(axis=1)
    ids = as_text(data["stimulus_id"])
    no_id = ids.isna().to_numpy()
    aside += [
        f"line {line(data, i)}: no neuron has a response" for i in np.flatnonzero(empty & ~no_id)
    ]
    aside += [f"line {line(data, i)}: no stimulus_id" for i in np.flatnonzero(no_id)]
    shown = data.drop(columns=[*chosen, *described]).assign(stimulus_id=ids)
    shown = shown.drop(columns=[name for name in shown if nameless(name)])
    if "time" in shown:
        notes.append("column 'time': a wide table has no time bins, every row is a trial")
    trials = Trials(activity, shown, pd.DataFrame({"neuroid_id": chosen}), None, [], notes)
    return _wide_sessions(trials.kept(~(empty | no_id), aside), same_name)


def _neuron_columns(
    data: pd.DataFrame, values: dict[str, np.ndarray], where: str
) -> tuple[list[str], list[str], list[str]]:
    """Return the columns that are neurons, those set aside and notes, in words.

    A column is a neuron if everything in it is a number, be it in one row; if at least half of
    what it holds are numbers, the rest is named. Counters and columns without a name are not.
    """
    chosen: list[str] = []
    aside: list[str] = []
    doubtful: dict[str, list[str]] = {words: [] for words in _DOUBTS}
    for name, column in values.items():
        held = np.isfinite(column)
        wrong = not_numbers(data[name], column)
        _refuse_commas(data, name, column, where)
        if not held.any():
            if not wrong.any():
                aside.append(f"column {name!r}: it is empty")
        elif nameless(name):
            aside.append(f"column {name!r}: it has no name (an index, written with the table?)")
        elif _counts(name, column):
            aside.append(
                f"column {name!r}: by its name or content it counts trials; neurons= takes it"
            )
        elif held.sum() >= wrong.sum():
            chosen.append(name)
            if doubt := _doubt(name, column[held]):
                doubtful[doubt].append(name)
        else:
            aside.append(
                f"column {name!r}: {held.sum()} of {(held | wrong).sum()} cells are numbers, it is "
                "taken for text"
            )
    notes = [
        f"{listed(names)}: {words}, taken for neurons; if they are not, choose with neurons="
        for words, names in doubtful.items()
        if names
    ]
    return chosen, aside, notes


_DOUBTS = (
    "whole numbers under the name of a counter",
    "numbers that grow from row to row, as times do",
    "the same number in every row",
)


def _doubt(name: str, held: np.ndarray) -> str:
    """Return which of the doubts there is that a column is a neuron, or ""."""
    if _like_counter(name) and (held == np.round(held)).all():
        return _DOUBTS[0]
    if len(held) >= _FEWEST_ROWS and (np.diff(held) > 0).all():
        return _DOUBTS[1]
    same = len(held) >= _FEWEST_ROWS and held[0] != 0 and (held == held[0]).all()
    return _DOUBTS[2] if same else ""


def _counts(name: str, values: np.ndarray) -> bool:
    """Return whether a column is called like a counter, or counts the rows from 0 or 1."""
    plain = re.sub(_UNITS_OF_TIME, "", name.strip().lower().replace("_", " "))
    words = re.split(r"[\s\-.]+", plain.strip(" -."))
    if "_".join("number" if word in ("no", "nr", "num") else word for word in words) in COUNTERS:
        return True
    n = len(values)
    return n >= _FEWEST_ROWS and any(
        np.array_equal(values, np.arange(first, first + n)) for first in (0, 1)
    )


def _like_counter(name: str) -> bool:
    """Return whether a part of a name is that of a counter, as in `trial_nr` or `rtMs`."""
    words = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*", name)
    return any(word.lower() in COUNTING for word in words)


def _wide_sessions(found: Trials, same_name: str) -> Trials:
    """Keep a column that has values in several sessions of one recording apart, as in long ones."""
    shown = _with_session(found.shown)
    if SESSION not in shown:
        return found
    session = as_text(shown[SESSION]).fillna("?")
    rows = {name: (session == name).to_numpy() for name in session.unique()}
    seen = np.isfinite(found.activity)
    several = sum(seen[of].any(axis=0).astype(int) for of in rows.values()) > 1
    names = found.neurons["neuroid_id"].tolist()
    if not several.any():
        return found.with_shown(shown)
    if same_name == "joined":
        said = f"{several.sum()} neurons have values in several sessions and are taken for one each"
        found.notes.append(said)
        return found.with_shown(shown)
    made: dict[str, np.ndarray] = {}
    for j, name in enumerate(names):
        column = found.activity[:, j]
        if not several[j]:
            made[name] = column
            continue
        for place, of in rows.items():
            if seen[of, j].any():
                made[f"{place}/{name}"] = np.where(of, column, np.nan)
    found.notes.append(
        f"{several.sum()} neurons have the same name in several sessions and are kept apart "
        f"({listed(np.asarray(names)[several], 4)}); same_name='joined' takes each for one neuron"
    )
    units = pd.DataFrame({"neuroid_id": list(made)})
    return Trials(np.stack([*made.values()], axis=1), shown, units, None, found.aside, found.notes)
