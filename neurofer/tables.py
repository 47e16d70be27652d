"""One reader for every table of text: what stands in the file, and nothing that pandas made of it.

table = read_table("rates.csv")          # every cell a string, None where it is empty
rates = numbers(table["rate"], table)    # float64, NaN where there is no number
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.delimited import (
    MOST_NAMED,
    check_lengths,
    names_of,
    rows_of,
    separator_of,
    text_of,
)
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import expanded

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
MISSING = frozenset({"nan", "na", "n/a", "<na>", "null", "none"})
"""Words that mean "no value" among numbers. Among text they are text: a person may be called NA."""

_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMAS = re.compile(r"[+-]?[\d.]*,[\d.,]*(e[+-]?\d+)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_NAMELESS = re.compile(r"(Unnamed: \d+)?")


def suffix(path: str | os.PathLike[str]) -> str:
    """Return the last suffix of a file in small letters, the one before a .gz.

    >>> suffix("RATES.CSV"), suffix("rates.tsv.gz"), suffix("a.b/rates")
    ('.csv', '.tsv', '')
    """
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def read_table(path: str | os.PathLike[str], needed: Iterable[str] = ()) -> pd.DataFrame:
    """Return a table as it was written: strings without blanks around them, None for empty cells.

    The separator (comma, tab, semicolon or bar) is found; UTF-8 or UTF-16, with or without a byte
    order mark; packed by gzip or not. Rows without any content are skipped. A column without a name
    is called "Unnamed: 0", by its position.

    Args:
        path: of the file; its suffix does not matter.
        needed: columns that must be there.

    Returns:
        The table. attrs: `separator`, `decimal` ("," where numbers are written like 5,13) and, if
        rows were skipped, `lines` (of the file, one per row).

    Raises:
        NeuroferError: the file is missing, is not text, is too large, has no rows, has a column
            twice or lacks one, or its rows differ in length.
    """
    path = expanded(path)
    text = text_of(path)
    separator, text = separator_of(text)
    header, rows, lines = rows_of(text, separator, path)
    names = names_of(header, path)
    check_lengths(len(names), rows, lines, path)
    cells = [[_cell(row, j) for row in rows] for j in range(len(names))]
    kept = [j for j, name in enumerate(header[: len(names)]) if name or any(cells[j])]
    table = pd.DataFrame(
        {names[j]: pd.Series(cells[j], dtype=object) for j in kept}, index=range(len(rows))
    )
    table.attrs |= {"separator": separator, "decimal": _decimal(cells, separator)}
    if lines != list(range(2, len(lines) + 2)):
        table.attrs["lines"] = lines
    for name in needed:
        if name not in table:
            raise unknown_choice("column", name, table.columns, path.name)
    return table


def line(table: pd.DataFrame, row: int) -> int:
    """Return the line of the file in which row `row` (from 0) of a table stands."""
    return int(table.attrs["lines"][row]) if "lines" in table.attrs else row + 2


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in memory as `read_table` returns one; columns of numbers stay numbers.

    An index that has a name becomes a column. Blanks around text are stripped, what is empty, None
    or NaN is None.

    Raises:
        NeuroferError: a column occurs twice, or there are no rows.
    """
    named = [name is not None for name in frame.index.names]
    plain = frame.reset_index(drop=not all(named))
    plain.columns = pd.Index([str(name).strip() for name in plain.columns])
    twice = plain.columns[plain.columns.duplicated()]
    if len(twice):
        raise NeuroferError(f"the table has the column {twice[0]!r} more than once; rename one")
    if plain.empty:
        raise NeuroferError("the table has no rows")
    made = {}
    for name in plain:
        column = plain[name]
        numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
        made[name] = column if numeric else pd.Series(map(_stripped, column), dtype=object)
    return pd.DataFrame(made)


def as_text(column: pd.Series) -> pd.Series:
    """Return a column of names as text, None where empty; the number 7.0 is "7".

    A column of whole numbers in which one is missing holds floats in pandas.
    """
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        return column.astype(object).where(column.notna(), None)
    return pd.Series([_as_text(cell) for cell in column], index=column.index, dtype=object)


def nameless(name: object) -> bool:
    """Return whether a column has no name of its own, such as the index that pandas writes.

    >>> nameless("Unnamed: 0"), nameless(""), nameless("cell 0")
    (True, True, False)
    """
    return _NAMELESS.fullmatch(str(name).strip()) is not None


def numbers(column: pd.Series, table: pd.DataFrame | None = None) -> np.ndarray:
    """Return a column as (rows,) float64, NaN where it is empty or does not hold a finite number.

    Args:
        column: of strings, of numbers or of both.
        table: that it comes from, as `read_table` made it: says whether 5,13 is a number. In a
            column that has decimal points, commas are not decimal.
    """
    if column.dtype.kind in "iuf":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan)
    cells = column.tolist()
    decimal = "." if table is None else table.attrs.get("decimal", ".")
    commas = decimal == "," and not any(isinstance(c, str) and _pointed(c) for c in cells)
    values = np.array([_number(cell, commas) for cell in cells], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def not_numbers(column: pd.Series, values: np.ndarray) -> np.ndarray:
    """Return (rows,) where a column holds something that `numbers` did not take for a number.

    Empty cells and the words in `MISSING` are not counted: they say that there is no number.
    """
    held = [_stripped(cell) for cell in column.tolist()]
    said = [cell is not None and str(cell).lower() not in MISSING for cell in held]
    return np.asarray(said, dtype=bool) & np.isnan(values)


def comma_numbers(column: pd.Series, values: np.ndarray) -> np.ndarray:
    """Return (rows,) where `numbers` left out a number with a comma: decimals, or thousands?"""
    found = [
        isinstance(c, str) and _COMMAS.fullmatch(c.strip()) is not None for c in column.tolist()
    ]
    return np.asarray(found, dtype=bool) & np.isnan(values)


def strict_numbers(table: pd.DataFrame, name: str, where: str) -> np.ndarray:
    """Return a column as (rows,) float64, NaN only where it is empty or says so ("NA").

    Args:
        table: that holds the column.
        name: of the column.
        where: names the table, for messages.

    Raises:
        NeuroferError: the table lacks the column, or a cell is not a number: the first are named.
    """
    if name not in table:
        raise unknown_choice("column", name, table.columns, where)
    values = numbers(table[name], table)
    wrong = np.flatnonzero(not_numbers(table[name], values))
    if len(wrong):
        cells = table[name].tolist()
        said = ", ".join(f"{cells[i]!r} in line {line(table, i)}" for i in wrong[:MOST_NAMED])
        more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise NeuroferError(f"column {name!r} of {where} holds what is not a number: {said}{more}")
    return values


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of numbers are float64; the others stay text.

    A column is one of numbers if every cell that is not empty is one, and at least one is.
    """
    made = table.copy()
    for name in table:
        values = numbers(table[name], table)
        if np.isfinite(values).any() and not not_numbers(table[name], values).any():
            made[name] = values
    return made


def same_number(unknown: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return, of each unknown id, the known one that is the same number written otherwise.

    >>> same_number(["1.0", "001", "face"], ["1", "2"])
    {'1.0': '1', '001': '1'}
    """
    written: dict[float, str] = {}
    for one in known:
        value = _number(one, commas=False)
        if np.isfinite(value):
            written.setdefault(value, one)
    values = {one: _number(one, commas=False) for one in unknown}
    return {one: written[value] for one, value in values.items() if value in written}


def _stripped(cell: Any) -> Any:
    """Return a cell without blanks around it, None where there is nothing in it."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    if isinstance(cell, (float, np.floating)) and np.isnan(cell):
        return None
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if isinstance(cell, str):
        return cell.strip().strip("\0").strip() or None
    return cell


def _as_text(cell: Any) -> str | None:
    cell = _stripped(cell)
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return None if cell is None else str(cell)


def _cell(row: list[str], j: int) -> str | None:
    return row[j] or None


def _decimal(cells: list[list[str | None]], separator: str) -> str:
    """Return "," where numbers have decimal commas.

    1,234 may be a thousand; between semicolons, which are written where the comma is decimal, it
    is not.
    """
    if separator == ",":
        return "."
    with_comma = [c for column in cells for c in column if c and "," in c and _COMMA.fullmatch(c)]
    if separator != ";" and all(_THOUSANDS.fullmatch(cell) for cell in with_comma):
        return "."
    return "," if with_comma else "."


def _pointed(cell: str) -> bool:
    """Return whether a cell is a number with a decimal point."""
    return "." in cell and not np.isnan(_number(cell, commas=False))


def _number(cell: Any, commas: bool) -> float:
    """Return a cell as a number, NaN for what is none; truth values are none."""
    if isinstance(cell, (bool, np.bool_)) or cell is None or cell is pd.NA:
        return np.nan
    if isinstance(cell, str):
        cell = cell.strip().replace("\N{MINUS SIGN}", "-")
        if "_" in cell:  # Python reads 1_000 as a thousand
            return np.nan
        if commas and _COMMA.fullmatch(cell):
            cell = cell.replace(",", ".")
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan
