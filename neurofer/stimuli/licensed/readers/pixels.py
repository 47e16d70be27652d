"""Reader of a CSV file whose rows hold the pixels of an image as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.stimuli.images import Stamp
from neurofer.stimuli.licensed.readers.lists import List, find
from neurofer.stimuli.licensed.readers.names import Base
from neurofer.stimuli.licensed.readers.rows import Rows
from neurofer.stimuli.licensed.readers.walk import Walk


class Pixels(Base):
    """Grey images in one CSV file, a row each, and lists with further columns in the same order.

    Attributes:
        table: names of the CSV file, one of which exists.
        stem: what an image is called; {row} is its number from 0 on, seven digits.
        pixels: its column of pixels, numbers from 0 to 255 with blanks between, row by row.
        beside: CSV files with as many rows; their columns join those of the table.
        agree: columns of the table and of the files beside it that must be equal.
        present: rows in which one of these columns is empty are not part of the set.
    """

    reader: Literal["pixels"]
    table: tuple[str, ...]
    stem: str
    pixels: str
    beside: tuple[List, ...] = ()
    agree: tuple[str, ...] = ()
    present: tuple[str, ...] = ()

    def only(self) -> Sequence[str]:
        """Return the CSV files."""
        return [*self.table, *(name for one in self.beside for name in one.files)]

    def read(self, files: Walk, progress: bool | None = None) -> Rows:
        """Read all but the pixels; an item is the byte at which a row begins."""
        rows = Rows()
        path = find(files.root, self.table)
        name = path.relative_to(files.root).as_posix()
        others = [list(one.rows(files.root)) for one in self.beside]
        number = -1
        for number, (offset, row) in enumerate(self._lines(path)):
            joined = {**row, "stem": self.stem.format(row=f"{number:07d}")}
            for one, other in zip(self.beside, others, strict=True):
                if number < len(other):
                    self._compare(row, other[number], path, one, number)
                    joined |= {key: value for key, value in other[number].items() if key not in row}
            if all(joined.get(column, "").strip() for column in self.present):
                rows.add(name, offset, joined)
        for one, other in zip(self.beside, others, strict=True):
            if len(other) != number + 1:
                raise NeuroferError(
                    f"{path} has {number + 1} rows and {one.files[0]} beside it {len(other)}; "
                    "they must name the same images in the same order"
                )
        return rows

    def _lines(self, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
        with path.open("rb") as file:
            header = [name.strip() for name in next(csv.reader([file.readline().decode()]), [])]
            if self.pixels not in header:
                raise NeuroferError(f"{path} has no column {self.pixels!r}; it has {header}")
            offset = file.tell()
            for line in file:
                # Only few fields beside the pixels are kept: the text of all is hundreds of MB.
                values = next(csv.reader([line.decode("utf-8", "replace")]), [])
                if values:
                    padded = values + [""] * (len(header) - len(values))
                    row = dict(zip(header, padded, strict=False))
                    row.pop(self.pixels)
                    yield offset, row
                offset += len(line)

    def _compare(
        self, row: dict[str, str], other: dict[str, str], path: Path, one: List, number: int
    ) -> None:
        for column in self.agree:
            if row.get(column) != other.get(column):
                raise NeuroferError(
                    f"row {number} of {path} has {column} {row.get(column)!r}, and in "
                    f"{one.files[0]} {other.get(column)!r}; they must name the same images in the "
                    "same order"
                )


class PixelRow(NamedTuple):
    """A `Picture` that is a row of a CSV file: a square of grey values."""

    path: str
    stamp: Stamp
    offset: int

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return the pixels three times, (side, side, 3) uint8; raise a NeuroferError if wrong."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                fields = next(csv.reader([file.readline().decode("utf-8", "replace")]), [""])
            values = _numbers(max(fields, key=len))  # the pixels are by far the longest field
        except (OSError, ValueError) as error:
            raise NeuroferError(
                f"the image of stimulus {stimulus_id!r} cannot be read: {self} ({error}); copy the "
                "file again from its source"
            ) from error
        side = round(len(values) ** 0.5)
        if side * side != len(values) or not len(values):
            raise NeuroferError(
                f"the image of stimulus {stimulus_id!r} is truncated: {self} has {len(values)} "
                "pixels, which do not make a square"
            )
        if values.min() < 0 or values.max() > 255:
            raise NeuroferError(
                f"the image of stimulus {stimulus_id!r} has values from {values.min()} to "
                f"{values.max()}: {self}; a pixel lies in 0..255"
            )
        grey = values.astype(np.uint8).reshape(side, side, 1)
        return np.repeat(grey, 3, axis=2)

    def unchanged(self) -> bool:
        """Compare size and time of change of the file."""
        return self.stamp.holds(self.path)

    def __str__(self) -> str:
        return f"{self.path}, byte {self.offset}"


def _numbers(text: str) -> np.ndarray:
    """Return numbers that are written with blanks between; raise a ValueError for other things."""
    # Five times as fast as a list of words, but it stops silently at what is not a number.
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) != len(text.split()):
        raise ValueError(f"the value after {len(values)} others is not a number")
    return values
