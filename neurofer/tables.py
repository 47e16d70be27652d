"""One reader for every table of text: what stands in the file, and nothing that pandas made of it.

table = read_table("rates.csv")          # every cell a string, None where it is empty
rates = numbers(table["rate"], table)    # float64, NaN where there is no number
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import expanded

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
SEPARATORS = (",", "\t", ";", "|")
MOST_BYTES = 2**30
"""Of text, unpacked: a small .gz can unpack to more than a machine holds."""
MISSING = frozenset({"nan", "na", "n/a", "<na>", "null", "none"})
"""Words that mean "no value" among numbers. Among text they are text: a person may be called NA."""

_MOST_NAMED = 5
_SAMPLE = 50
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
        rows were skipped, `lines` (of the file, one a row).

    Raises:
        NeuroferError: the file is missing, is not text, is too large, has no rows, has a column
            twice or lacks one, or its rows differ in length.
    """
    path = expanded(path)
    text = _text(path)
    separator, text = _separator(text)
    header, rows, lines = _rows(text, separator, path)
    names = _names(header, path)
    _check_lengths(len(names), rows, lines, path)
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
    """Return a column as (rows,) float64, NaN where it is empty or holds no finite number.

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
        said = ", ".join(f"{cells[i]!r} in line {line(table, i)}" for i in wrong[:_MOST_NAMED])
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
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


def _text(path: Path) -> str:
    """Return the text of a file, unpacked and decoded, within `MOST_BYTES`."""
    if not path.is_file():
        raise NeuroferError(f"there is no table at {path}")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NeuroferError(f"{path} cannot be read as a table: {error}") from error
    if len(raw) > MOST_BYTES:
        raise NeuroferError(f"{path} holds more than {MOST_BYTES >> 20} MiB of text; split it")
    if raw.startswith(b"PK\x03\x04"):
        raise NeuroferError(
            f"{path} cannot be read as a table: it is a spreadsheet or a zip file; "
            "save it as CSV (UTF-8)"
        )
    encoding = _encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        where = raw[: error.start].count(b"\n") + 1
        raise NeuroferError(
            f"{path} cannot be read as a table: line {where} is not {encoding}; save it as UTF-8"
        ) from error
    if "\x00" in text:
        raise NeuroferError(f"{path} cannot be read as a table: it is not text")
    if not text.strip():
        raise NeuroferError(f"{path} cannot be read as a table: it is empty")
    return text.removeprefix("\ufeff")


def _encoding(raw: bytes) -> str:
    """Return the encoding: by the byte order mark, or by where the zeros of UTF-16 stand."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = raw[:200]
    pairs = len(start) // 2
    for encoding, zeros, letters in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if pairs and zeros.count(0) > 0.9 * pairs and letters.count(0) == 0:
            return encoding
    return "utf-8"


def _separator(text: str) -> tuple[str, str]:
    """Return what parts the columns, and the text without Excel's line that says it.

    It is the one that parts the header and, of several, that gives every row as many cells.
    """
    first, _, rest = text.partition("\n")
    stated = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)
    if stated and stated[1] in SEPARATORS:
        return stated[1], rest
    sample = text[:200_000].splitlines(keepends=True)[:_SAMPLE]
    best, most = ",", (False, 1)
    for mark in SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=mark) if row]
        except csv.Error:
            continue
        if widths and widths[0] > 1 and (len(set(widths)) == 1, widths[0]) > most:
            best, most = mark, (len(set(widths)) == 1, widths[0])
    return best, text


def _rows(text: str, separator: str, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows that have content, and the line at which each ends."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    rows, lines = [], []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise NeuroferError(
            f"{path} cannot be read as a table: line {reader.line_num}: {error}"
        ) from error
    if len(rows) < 2:
        raise NeuroferError(f"{path} cannot be read as a table: it has a header and no rows")
    return rows[0], rows[1:], lines[1:]


def _names(header: list[str], path: Path) -> list[str]:
    """Return the names of the columns, each once."""
    places: dict[str, list[str]] = {}
    for j, name in enumerate(header):
        places.setdefault(name, []).append(str(j + 1))
    twice = [name for name, where in places.items() if name and len(where) > 1]
    if twice:
        said = ", ".join(
            f"{name!r} (columns {' and '.join(places[name])})" for name in twice[:_MOST_NAMED]
        )
        raise NeuroferError(f"{path} has a column more than once: {said}; rename one of them")
    return [name or f"Unnamed: {j}" for j, name in enumerate(header)]


def _check_lengths(n: int, rows: list[list[str]], lines: list[int], path: Path) -> None:
    """Refuse rows of another length than the header; empty cells at the end may be too many."""
    wrong = [
        (where, row) for where, row in zip(lines, rows, strict=True) if len(row) < n or any(row[n:])
    ]
    if not wrong:
        return
    said = ", ".join(f"line {where} has {len(row)}" for where, row in wrong[:_MOST_NAMED])
    more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    hint = "put text that holds a separator into quotes"
    if all(len(row) == n + 1 for row in rows):
        hint = "every row has one more: give the first column (row names?) a name in the header"
    raise NeuroferError(
        f"{path} cannot be read as a table: the header has {n} columns, {said}{more}; {hint}"
    )


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
