"""Reader of lists: CSV files that name image files and say what they show."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from neurofer.errors import NeuroferError
from neurofer.schema import Strict
from neurofer.stimuli.licensed.readers.names import Base
from neurofer.stimuli.licensed.readers.rows import WHOLE, Rows
from neurofer.stimuli.licensed.readers.walk import Problem, Walk

csv.field_size_limit(1 << 24)


class List(Strict):
    """One CSV file.

    Attributes:
        files: its names, one of which exists.
        values: fields that all its rows share ({split: train}).
        header: names of its columns, where its first line does not say them.
        separator: what stands between values.
    """

    files: tuple[str, ...] = Field(min_length=1)
    values: dict[str, str] = Field(default_factory=dict)
    header: tuple[str, ...] = ()
    separator: str = Field(default=",", min_length=1, max_length=1)

    def rows(self, root: Path) -> Iterator[dict[str, str]]:
        """Yield the rows; raises a NeuroferError where the file is missing or no CSV."""
        path = find(root, self.files)
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            lines = csv.reader(file, delimiter=self.separator, skipinitialspace=True)
            header = self.header or [name.strip() for name in next(lines, [])]
            for number, line in enumerate(lines, start=1 if self.header else 2):
                if not line:
                    continue
                if len(line) != len(header):
                    raise NeuroferError(
                        f"{path}, line {number}: {len(line)} values for {len(header)} columns "
                        f"({', '.join(header)}); copy the file again from its source"
                    )
                yield {**dict(zip(header, line, strict=True)), **self.values}


class Lists(Base):
    """Images that CSV files name.

    Attributes:
        lists: the CSV files.
        images: names of the image below the set's folder, with columns in braces; one of them
            exists.
        ignore: columns that are not kept: those that no card reads and that are long.
    """

    reader: Literal["lists"]
    lists: tuple[List, ...] = Field(min_length=1)
    images: tuple[str, ...] = Field(min_length=1)
    ignore: tuple[str, ...] = ()

    def read(self, files: Walk, progress: bool | None = None) -> Rows:
        """Read the lists; images that they name and that are not there are set aside."""
        rows = Rows()
        for one in self.lists:
            for row in one.rows(files.root):
                names = [_filled(template, row, one) for template in self.images]
                found = next((name for name in names if name in files.position), None)
                if found is None:
                    rows.problems.append(Problem(names[0], "missing file", "named in a list"))
                else:
                    kept = {key: value for key, value in row.items() if key not in self.ignore}
                    rows.add(found, WHOLE, kept)
        return rows


def find(root: Path, names: tuple[str, ...]) -> Path:
    """Return the first of these files that exists, or raise a NeuroferError."""
    for name in names:
        if (root / name).is_file():
            return root / name
    raise NeuroferError(f"{root} has no {' and no '.join(names)}; copy it there from its source")


def _filled(template: str, row: dict[str, str], one: List) -> str:
    try:
        return template.format_map(row)
    except KeyError as error:
        raise NeuroferError(
            f"{one.files[0]} has no column {error}; it has {', '.join(row)}"
        ) from error
