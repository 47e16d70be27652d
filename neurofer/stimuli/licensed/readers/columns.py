"""From the raw values of a folder to the columns of a stimulus table, as a card says."""

from __future__ import annotations

import math
from string import Formatter
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from neurofer.errors import NeuroferError
from neurofer.schema import Strict
from neurofer.stimuli.licensed.readers.rows import Rows, called
from neurofer.stimuli.licensed.readers.walk import Problem

_TRUTH = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


class Column(Strict):
    """How a column of the table is made of the reader's fields.

    Attributes:
        of: text with fields in braces, "{sex}{number}".
        map: value -> canonical value; capitals do not matter, and a value that is lacking is an
            error of the image.
        kind: what the column holds.
        unknown: the number that stands for one that is not known; it becomes NaN, as "" does.
        span: the set's least and greatest number, which become -1 and 1.
    """

    of: str
    map: dict[str, str] | None = None
    kind: Literal["string", "number", "integer", "boolean"] = "string"
    unknown: str = ""
    span: tuple[float, float] | None = None

    @field_validator("of")
    @classmethod
    def _plain_names(cls, template: str) -> str:
        for _, name, spec, conversion in Formatter().parse(template):
            if name is not None and (
                not name.replace(" ", "").isidentifier() or spec or conversion
            ):
                raise ValueError(f"{{{name}}} in {template!r} is not the name of a field")
        return template

    def values(self, rows: Rows) -> tuple[list[Any], dict[int, str]]:
        """Return the value of every row, and what is wrong with those that have none."""
        raw = filled(self.of, rows)
        if self.map is not None:
            known = {key.casefold(): value for key, value in self.map.items()}
            made: list[Any] = [known.get(value.casefold()) for value in raw]
        elif self.kind == "boolean":
            made = [_TRUTH.get(value.strip().lower()) for value in raw]
        elif self.kind == "string":
            return raw, {}
        else:
            made = [self._number(value) for value in raw]
        wrong = {i: raw[i] for i, value in enumerate(made) if value is None}
        return made, wrong

    def filler(self) -> Any:
        """Return what stands in a row whose value is wrong (it is set aside)."""
        return {"string": "", "boolean": False, "integer": 0, "number": math.nan}[self.kind]

    def _number(self, text: str) -> float | int | None:
        try:
            number = float(text) if text.strip() else math.nan
            if self.unknown and number == float(self.unknown):
                number = math.nan
            if self.kind == "integer":
                return int(number) if number.is_integer() else None
        except ValueError:
            return None
        if self.span is not None:
            low, high = self.span
            if not low <= number <= high and not math.isnan(number):
                return None
            return (2 * number - low - high) / (high - low)
        return number


class Lookup(Strict):
    """A list of further values, one row per key; where its file is lacking they are empty.

    Attributes:
        files: names of the CSV file, one of which may exist.
        key: its column.
        of: text with fields in braces that is looked up in that column.
        fields: new field -> column.
    """

    files: tuple[str, ...] = Field(min_length=1)
    key: str
    of: str
    fields: dict[str, str]


def filled(template: str, rows: Rows) -> list[str]:
    """Return a template filled with each row's fields; an unknown field is a NeuroferError."""
    parts = list(Formatter().parse(template))
    for _, name, _, _ in parts:
        if name is not None and name not in rows.values and rows.files:
            raise NeuroferError(
                f"the card's {template!r} names {name!r}, which the folder's lists and names do "
                f"not state; they state {', '.join(rows.values)}"
            )
    if len(parts) == 1 and parts[0][1] is not None and not parts[0][0]:
        return list(rows.values.get(parts[0][1], []))
    texts = [""] * len(rows.files)
    for text, name, _, _ in parts:
        texts = [before + text for before in texts] if text else texts
        if name is not None:
            values = rows.values.get(name, [])
            texts = [before + value for before, value in zip(texts, values, strict=True)]
    return texts


def look_up(lookup: Lookup, table: list[dict[str, str]], rows: Rows) -> None:
    """Add a lookup's fields to the rows; `table` is what its file holds.

    Args:
        lookup: of the card.
        table: rows of the looked-up file.
        rows: to which the fields are added.
    """
    found = {row.get(lookup.key, "").strip(): row for row in table}
    keys = filled(lookup.of, rows)
    for field, column in lookup.fields.items():
        rows.values[field] = [found.get(key, {}).get(column, "").strip() for key in keys]


def make_columns(
    columns: dict[str, Column], rows: Rows
) -> tuple[dict[str, Any], np.ndarray, list[Problem]]:
    """Return the columns, which rows are sound (bool, one per row), and the problems of the others.

    A row is set aside whose value no map knows or no number is, or whose stimulus_id came before.
    """
    sound = np.ones(len(rows.files), dtype=bool)
    problems = []
    ids, _ = columns["stimulus_id"].values(rows)
    names = [called(*image) for image in zip(rows.files, rows.items, ids, strict=True)]
    made: dict[str, Any] = {}
    for name, column in columns.items():
        values, wrong = column.values(rows)
        for i, value in wrong.items():
            values[i] = column.filler()
            if sound[i]:
                problems.append(Problem(names[i], "unknown label", f"{name} {value!r}"))
            sound[i] = False
        made[name] = values
    seen: dict[str, int] = {}
    for i, stimulus_id in enumerate(ids):
        first = seen.setdefault(stimulus_id, i)
        if first != i and sound[i]:
            detail = f"the same stimulus as {names[first]}"
            problems.append(Problem(names[i], "duplicate name", detail))
            sound[i] = False
    return made, sound, problems
