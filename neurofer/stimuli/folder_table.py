"""The tables of a folder of stimuli: table.csv, saved or made by hand, and landmarks.csv."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.table import COLUMNS
from neurofer.tables import line, not_numbers, numbers, read_table, strict_numbers

if TYPE_CHECKING:
    from neurofer.stimuli.stimulus_set import StimulusSet

_TRUTH = {"True": True, "False": False}
_READ: Mapping[str, Callable[[str | None], Any]] = {
    "string": lambda cell: cell or "",
    "boolean": lambda cell: _TRUTH[str(cell)],
    "integer": lambda cell: int(str(cell)),
    "number": lambda cell: np.nan if cell is None else float(cell),
}
# Python's `int` takes 1_000, and 01 is more likely a name than a number.
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)")
_PADDED = re.compile(r"[+-]?0\d.*")


def saved(path: Path, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return a table that was saved, each column of the kind that it had.

    Raises:
        NeuroferError: a column is missing, or a cell is not of its column's kind.
    """
    table = read_columns(path, kinds)
    return pd.DataFrame({name: _of_kind(table, name, kind, path) for name, kind in kinds.items()})


def read_columns(path: Path, needed: Iterable[str]) -> pd.DataFrame:
    """Return a table of text (`read_table`); a column that it lacks is named with the file."""
    table = read_table(path)
    for name in needed:
        if name not in table:
            raise unknown_choice("column", name, table.columns, str(path))
    return table


def _of_kind(table: pd.DataFrame, name: str, kind: str, path: Path) -> pd.Series:
    values = []
    for i, cell in enumerate(table[name].tolist()):
        try:
            values.append(_READ[kind](cell))
        except (KeyError, ValueError) as error:
            raise NeuroferError(
                f"{path}, line {line(table, i)}: {name} {cell!r} is not of the kind {kind}; "
                "restore the file, or save the set again"
            ) from error
    types = {"string": object, "boolean": np.bool_, "integer": np.int64, "number": np.float64}
    return pd.Series(values, dtype=types[kind])


def made_by_hand(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `read_table` with the kinds that its cells look like.

    The columns of every stimulus set keep their text, with "" where nothing is stated; `strength`
    is a number. Of the others, one whose cells are all whole numbers, numbers or truth values is
    so; numbers with zeros in front ("01") are text.

    Raises:
        NeuroferError: a stimulus has no id or one that came before, or a strength is not a number.
    """
    made = {str(name): _by_hand(table, str(name)) for name in table.columns}
    seen: dict[str, int] = {}
    for i, one in enumerate(made["stimulus_id"].tolist()):
        if not one:
            raise NeuroferError(f"table.csv, line {line(table, i)}: the stimulus_id is empty")
        if one in seen:
            raise NeuroferError(
                f"table.csv: stimulus_id={one!r} stands in the lines {line(table, seen[one])} and "
                f"{line(table, i)}; every stimulus needs an id of its own"
            )
        seen[one] = i
    return pd.DataFrame(made)


def _by_hand(table: pd.DataFrame, name: str) -> pd.Series:
    cells = table[name].tolist()
    text = pd.Series([cell or "" for cell in cells], dtype=object)
    if name == "strength":
        return pd.Series(strict_numbers(table, name, "table.csv"))
    if name in COLUMNS or any(_PADDED.fullmatch(cell) for cell in text):
        return text
    if all(_WHOLE.fullmatch(cell) and len(cell) < 19 for cell in text):
        return text.map(int)
    if all(cell.capitalize() in _TRUTH for cell in text):
        return text.map(lambda cell: _TRUTH[cell.capitalize()])
    values = numbers(table[name], table)
    if np.isfinite(values).any() and not not_numbers(table[name], values).any():
        return pd.Series(values)
    return text


def landmark_columns() -> list[str]:
    """Return the columns of landmarks: x and y of each of the thirteen, in their order."""
    from neurofer.faces import LANDMARKS, POSITION_LANDMARKS

    return [f"{name}.{axis}" for name in (*LANDMARKS, *POSITION_LANDMARKS) for axis in "xy"]


def write_landmarks(path: Path, table: pd.DataFrame, landmarks: np.ndarray) -> None:
    """Write (n, 13, 2) landmarks beside the table of a set; NaN becomes an empty cell.

    Args:
        path: of the file.
        table: n rows, with `stimulus_id`.
        landmarks: (n, 13, 2) pixels.
    """
    frame = pd.DataFrame(landmarks.reshape(len(landmarks), -1), columns=landmark_columns())
    frame.insert(0, "stimulus_id", table["stimulus_id"])
    frame.to_csv(path, index=False)


def read_landmarks(path: Path, table: pd.DataFrame) -> np.ndarray | None:
    """Return the landmarks beside a table, (n, 13, 2) float64; None where there is no file.

    Raises:
        NeuroferError: the file is damaged or is not of the table's stimuli.
    """
    if not path.is_file():
        return None
    ids, found = landmark_table(path)
    if ids != table["stimulus_id"].tolist():
        raise NeuroferError(
            f"{path} does not fit table.csv: it needs the same stimuli in the same order"
        )
    return found


def add_landmarks(stimuli: StimulusSet, path: str | os.PathLike[str]) -> StimulusSet:
    """Return a set with the landmarks of a file, whose rows are found by their stimulus_id.

    Stimuli that the file lacks have none (a warning says how many), and of other stimuli the file
    may tell as well.

    Raises:
        NeuroferError: the file is not a table of landmarks, or names no stimulus of the set.
    """
    known, found = landmark_table(Path(path))
    rows = {one: i for i, one in enumerate(known)}
    ids = stimuli.table["stimulus_id"].tolist()
    lacking = [one for one in ids if one not in rows]
    if len(lacking) == len(ids):
        raise NeuroferError(
            f"{path} holds landmarks of {known[0]!r} and others, and stimulus set "
            f"{stimuli.name!r} has {ids[0]!r} and others: no stimulus_id is in both"
        )
    if lacking:
        warnings.warn(
            f"{len(lacking)} of {len(ids)} stimuli of {stimuli.name!r} have no landmarks in "
            f"{path} ({lacking[0]!r}{', ...' if len(lacking) > 1 else ''})",
            stacklevel=3,
        )
    nowhere = np.full(found.shape[1:], np.nan)
    return stimuli.with_landmarks(
        np.stack([found[rows[one]] if one in rows else nowhere for one in ids])
    )


def landmark_table(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the stimuli of a file of landmarks, and (n, 13, 2) float64, NaN where a cell is empty.

    Raises:
        NeuroferError: the file is not a table, lacks a column, names a stimulus twice, or holds
            something that is not a number.
    """
    columns = landmark_columns()
    frame = read_columns(path, ["stimulus_id", *columns])
    values = [strict_numbers(frame, name, str(path)) for name in columns]
    ids = [cell or "" for cell in frame["stimulus_id"].tolist()]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise NeuroferError(f"{path} names the stimulus {twice!r} more than once")
    return ids, np.stack(values, axis=1).reshape(len(frame), -1, 2)
