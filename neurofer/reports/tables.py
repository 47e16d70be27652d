"""The tables of a report: published beside measured, and where every number stands."""

from __future__ import annotations

from collections.abc import Sequence

from neurofer.labels import code, markdown
from neurofer.reports.blocks import Cell, Column, Table
from neurofer.reports.numbers import DASH, interval, listed, measured, published
from neurofer.studies.claims import NOT_MEASURED, ClaimRow
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import TableSpec


def claim_table(spec: TableSpec, outcome: StudyOutcome) -> Table:
    """Return a table of a study, in whichever of its two forms."""
    return _grid(spec, outcome) if spec.rows else _list(spec, outcome)


def _list(spec: TableSpec, outcome: StudyOutcome) -> Table:
    """Return one row per claim: published, measured, interval, n, data, criterion, verdict."""
    rows = [outcome.claims[claim.id] for claim in outcome.study.claims_like(spec.claims)]
    marks = _marks(rows)
    any_published = any(row.published is not None for row in rows)
    any_criterion = any(row.criterion for row in rows)
    unit = _common_unit(rows)
    columns = [Column(spec.heading, share=2.2)]
    columns += [Column("Published", "right")] if any_published else []
    columns += [Column("Measured", "right"), Column("95 % interval", "right"), Column("n", "right")]
    columns += [Column("Data", "center")] if any(marks.values()) else []
    columns += [Column("Criterion", share=1.6)] if any_criterion else []
    cells = []
    for row in rows:
        line = [Cell(markdown(row.label))]
        line += [_published_cell(row, unit)] if any_published else []
        line += [_measured_cell(row, unit), Cell(interval(row)), Cell(_count(row))]
        line += [Cell(marks[row.data])] if any(marks.values()) else []
        line += [_verdict(row)] if any_criterion else []
        cells.append(tuple(line))
    caption = _caption(spec.caption, rows, marks, unit)
    return Table(spec.name, _sentence(spec.title), tuple(columns), tuple(cells), caption)


def _grid(spec: TableSpec, outcome: StudyOutcome) -> Table:
    """Return models by columns; each model has a row published and a row measured."""
    rows = [outcome.claims[claim] for line in spec.rows for claim in line.claims]
    marks, unit = _marks(rows), _common_unit(rows)
    columns = (
        Column(spec.heading, share=1.4),
        Column(""),
        *(Column(c, "right") for c in spec.columns),
    )
    cells: list[tuple[Cell, ...]] = []
    for line in spec.rows:
        claims = [outcome.claims[claim] for claim in line.claims]
        label = Cell(markdown(line.label))
        if any(row.published is not None for row in claims):
            head = (label, Cell("published", "muted"))
            cells.append((*head, *(_published_cell(row, unit) for row in claims)))
            label = Cell("")
        if all(row.measured is None for row in claims):
            empty = [Cell(DASH, "muted") for _ in claims]
            cells.append((label, Cell(NOT_MEASURED, "muted"), *empty))
            continue
        cells.append((label, Cell("measured"), *(_grid_cell(row, unit) for row in claims)))
        if any(row.low is not None for row in claims):
            bounds = [Cell(interval(row), "muted") for row in claims]
            cells.append((Cell(""), Cell("95 % interval", "muted"), *bounds))
        if any(row.n is not None for row in claims):
            cells.append(
                (Cell(""), Cell("n", "muted"), *(Cell(_count(r), "muted") for r in claims))
            )
    caption = _caption(spec.caption, rows, marks, unit)
    return Table(spec.name, _sentence(spec.title), columns, tuple(cells), caption)


def trace_table(outcome: StudyOutcome) -> Table:
    """Return where the number of every claim stands: file, variable and place in it."""
    columns = (
        Column("Claim", share=2),
        Column("Measured", "right"),
        Column("File", share=2.4),
        Column("Value at", share=2),
    )
    rows = tuple(
        (
            Cell(code(row.id)),
            Cell(measured(row) + (f" {row.unit}" if row.unit else "")),
            Cell(code(row.file), link=row.file),
            Cell(_place(row)),
        )
        for row in outcome.claims.values()
        if row.measured is not None
    )
    caption = (
        "A coordinate that is not named is read at `all`. The netCDF file of the same name holds "
        "the whole result; `summary.json` holds these rows."
    )
    return Table("trace", "The file behind every number.", columns, rows, caption, small=True)


def _place(row: ClaimRow) -> str:
    chosen = [f"{name}={value}" for name, value in (row.select or {}).items()]
    return code(row.value) + (f" at {code(', '.join(chosen))}" if chosen else "")


def _published_cell(row: ClaimRow, unit: str) -> Cell:
    return Cell(_with_unit(published(row), row, unit))


def _with_unit(number: str, row: ClaimRow, unit: str) -> str:
    """Return a number with its unit, unless that of all stands in the caption."""
    return f"{number} {row.unit}" if row.unit and not unit and number != DASH else number


def _measured_cell(row: ClaimRow, unit: str) -> Cell:
    if row.measured is None:
        return Cell(markdown(row.verdict or NOT_MEASURED), "muted")
    return Cell(_with_unit(measured(row), row, unit))


def _grid_cell(row: ClaimRow, unit: str) -> Cell:
    cell = _measured_cell(row, unit)
    return Cell(cell.text, "bad") if row.holds is False else cell


def _verdict(row: ClaimRow) -> Cell:
    if row.holds is None:
        return Cell(DASH, "muted")
    if row.holds:
        return Cell(markdown(f"holds ({_short(row)})"), "good")
    return Cell(markdown(row.verdict), "bad")


def _short(row: ClaimRow) -> str:
    """Return the criterion; of a comparison only the relation, as the caption names the other."""
    words = row.criterion.rsplit(" ", 1)
    try:
        float(words[1])
    except ValueError:
        return f"{words[0]} {row.compared}" if row.compared else row.criterion
    return f"{row.criterion}{' %' if row.unit == '%' else ''}"


def _count(row: ClaimRow) -> str:
    return DASH if row.n is None else str(row.n)


def _marks(rows: Sequence[ClaimRow]) -> dict[str, str]:
    """Return a letter for every way in which data differ; none for claims without data."""
    notes = dict.fromkeys(row.data for row in rows if row.data and row.measured is not None)
    letters = {note: "abcdefghijklmnopqrstuvwxyz"[i % 26] for i, note in enumerate(notes)}
    return {row.data: letters.get(row.data, "") for row in rows}


def _common_unit(rows: Sequence[ClaimRow]) -> str:
    """Return the unit of every number that is shown; none where one differs or has none."""
    units = {row.unit for row in rows if row.measured is not None or row.published is not None}
    return units.pop() if len(units) == 1 else ""


def _caption(text: str, rows: Sequence[ClaimRow], marks: dict[str, str], unit: str) -> str:
    parts = [text, f"Values in {unit}." if unit else ""]
    sources = dict.fromkeys(row.source for row in rows if row.source and row.published is not None)
    parts.append(f"Published: {listed(map(_source, sources))}." if sources else "")
    methods = dict.fromkeys(row.interval for row in rows if row.interval and row.low is not None)
    parts.append(f"95 % intervals: {'; '.join(methods)}." if methods else "")
    parts += [f"Data {mark}: {_sentence(note)}" for note, mark in marks.items() if mark]
    return " ".join(part for part in parts if part)


def _source(source: str) -> str:
    """Return where a number was published; tables here have numbers of their own."""
    own = source.startswith(("Table ", "Figure ", "Fig. "))
    return f"{source} of the paper" if own and "paper" not in source else source


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".?!" else f"{text}."
