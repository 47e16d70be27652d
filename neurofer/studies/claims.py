"""Claims: the numbers of a study, published beside measured, and whether they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurofer.studies.criteria import fulfils, parse_criterion
from neurofer.studies.results import Number, finite
from neurofer.studies.study import ClaimSpec, Study

DERIVED_FILE = "results/derived.csv"
NOT_MEASURED = "not measured here"


@dataclass(frozen=True)
class ClaimRow:
    """A claim after the run: a row of `summary.json`.

    `file` is the result file that holds the number, relative to the report, and `value` with
    `select` the place in it. `holds` is None where nothing was measured or nothing is demanded.
    """

    id: str
    label: str
    published: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    source: str = ""
    data: str = ""
    criterion: str = ""
    holds: bool | None = None
    verdict: str = ""
    file: str = ""
    value: str = ""
    select: Mapping[str, Any] | None = None
    digits: int | None = None
    interval: str = ""
    compared: str = ""


def claim_row(claim: ClaimSpec, number: Number | None, file: str = "", data: str = "") -> ClaimRow:
    """Put a claim and what was measured of it into a row; `holds` is judged later.

    Args:
        claim: of the study.
        number: what was measured; None where nothing was.
        file: that holds it.
        data: what the stimuli are, such as "rendered".
    """
    criterion = parse_criterion(claim.holds, f"claim {claim.id!r}")
    row = ClaimRow(
        id=claim.id,
        label=claim.label,
        published=claim.published,
        unit=claim.unit,
        source=claim.source,
        data=claim.data or data,
        criterion=str(criterion) if criterion else "",
        digits=claim.digits,
    )
    if number is None or math.isnan(number.value):
        return row
    return replace(
        row,
        measured=number.value,
        low=finite(number.low),
        high=finite(number.high),
        n=number.n,
        interval=number.interval,
        unit=claim.unit or number.unit,
        file=file,
        value=claim.value or "",
        select=dict(claim.select),
    )


def derived_rows(study: Study, rows: Mapping[str, ClaimRow]) -> list[ClaimRow]:
    """Return the rows of the claims that are statistics over other claims.

    A statistic over claims of which one was not measured is not measured either.
    """
    found = []
    for claim in study.claims:
        if not claim.of:
            continue
        parts = [rows[part.id] for part in study.claims_like(claim.of) if not part.of]
        values = [part.measured for part in parts if part.measured is not None]
        if not values or len(values) < len(parts):
            found.append(claim_row(claim, None))
            continue
        assert claim.statistic is not None
        number = Number(_statistic(claim.statistic, values), n=len(values), unit=parts[0].unit)
        data = claim.data or "; ".join(dict.fromkeys(part.data for part in parts if part.data))
        row = claim_row(claim, number, DERIVED_FILE, data)
        found.append(replace(row, value=claim.id))
    return found


def judge(rows: Mapping[str, ClaimRow]) -> dict[str, ClaimRow]:
    """Return the rows with `holds` and the verdict in words."""
    return {name: _judged(row, rows) for name, row in rows.items()}


def _judged(row: ClaimRow, rows: Mapping[str, ClaimRow]) -> ClaimRow:
    criterion = parse_criterion(row.criterion)
    if row.measured is None:
        return replace(row, verdict=row.verdict or NOT_MEASURED)
    if criterion is None:
        return row
    if criterion.number is not None:
        holds = fulfils(criterion.relation, row.measured, criterion.number)
        words = "holds" if holds else f"does not hold ({criterion})"
        return replace(row, holds=holds, verdict=words)
    other = rows[criterion.other or ""]
    if other.measured is None:
        return replace(row, verdict=f"not judged: {other.label} was not measured")
    return _compared(row, other, criterion.relation)


def _compared(row: ClaimRow, other: ClaimRow, relation: str) -> ClaimRow:
    assert row.measured is not None
    assert other.measured is not None
    row = replace(row, compared=other.label)
    side = relation.removeprefix("clearly ")
    if not fulfils(side, row.measured, other.measured):
        return replace(row, holds=False, verdict=f"does not hold (not {side} {other.label})")
    if side == relation:
        return replace(row, holds=True, verdict="holds")
    bounds = (row.low, row.high, other.low, other.high)
    if any(bound is None for bound in bounds):
        return replace(row, holds=False, verdict="does not hold (an interval is missing)")
    apart = (
        fulfils(side, row.high, other.low)
        if side == "below"
        else fulfils(side, row.low, other.high)
    )
    words = "holds" if apart else f"does not hold ({side} {other.label}, but the intervals overlap)"
    return replace(row, holds=apart, verdict=words)


def _statistic(name: str, values: list[float]) -> float:
    if name == "sd":
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    if name == "mean":
        return float(np.mean(values))
    return min(values) if name == "min" else max(values)
