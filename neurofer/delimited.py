"""Delimited text: from the bytes of a file to a header and rows of cells; `tables` reads those."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

from neurofer.errors import NeuroferError

SEPARATORS = (",", "\t", ";", "|")
MOST_BYTES = 2**30
"""Of text, unpacked: a small .gz can unpack to more than a machine holds."""
MOST_NAMED = 5
_SAMPLE = 50


def text_of(path: Path) -> str:
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


def separator_of(text: str) -> tuple[str, str]:
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


def rows_of(text: str, separator: str, path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows that have content, and the line at which each ends.

    Args:
        text: of the file.
        separator: between cells.
        path: of the file, for messages.
    """
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


def names_of(header: list[str], path: Path) -> list[str]:
    """Return the names of the columns, each once."""
    places: dict[str, list[str]] = {}
    for j, name in enumerate(header):
        places.setdefault(name, []).append(str(j + 1))
    twice = [name for name, where in places.items() if name and len(where) > 1]
    if twice:
        said = ", ".join(
            f"{name!r} (columns {' and '.join(places[name])})" for name in twice[:MOST_NAMED]
        )
        raise NeuroferError(f"{path} has a column more than once: {said}; rename one of them")
    return [name or f"Unnamed: {j}" for j, name in enumerate(header)]


def check_lengths(n: int, rows: list[list[str]], lines: list[int], path: Path) -> None:
    """Refuse rows of another length than the header; empty cells at the end may be too many.

    Args:
        n: columns of the header.
        rows: cells of each row.
        lines: at which each row ends.
        path: of the file, for messages.
    """
    wrong = [
        (where, row) for where, row in zip(lines, rows, strict=True) if len(row) < n or any(row[n:])
    ]
    if not wrong:
        return
    said = ", ".join(f"line {where} has {len(row)}" for where, row in wrong[:MOST_NAMED])
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    hint = "put text that holds a separator into quotes"
    if all(len(row) == n + 1 for row in rows):
        hint = "every row has one more: give the first column (row names?) a name in the header"
    raise NeuroferError(
        f"{path} cannot be read as a table: the header has {n} columns, {said}{more}; {hint}"
    )
