from __future__ import annotations

import pytest

from neurofer.studies.claims import ClaimRow, claim_row, judge
from neurofer.studies.results import Number
from neurofer.studies.study import ClaimSpec


def row(name: str, value: float | None, low: float | None = None, high: float | None = None,
        criterion: str = "") -> ClaimRow:  # fmt: skip
    return ClaimRow(name, name, measured=value, low=low, high=high, criterion=criterion)


@pytest.mark.parametrize(
    ("one", "holds", "words"),
    [
        (row("a", 96.0, criterion="at least 95"), True, "holds"),
        (row("a", 95.0, criterion="at least 95"), True, "holds"),
        (row("a", 94.999, criterion="at least 95"), False, "does not hold (at least 95)"),
        (row("a", 0.7, criterion="at most 0.8"), True, "holds"),
        (row("a", None, criterion="at least 95"), None, "not measured here"),
        (row("a", 5.0), None, ""),
        (row("a", 50, 40, 60, "clearly below other"), True, "holds"),
        (row("a", 50, 40, 75, "clearly below other"), False, "intervals overlap"),
        (row("a", 50, 40, 70, "clearly below other"), False, "intervals overlap"),
        (row("a", 85, 80, 89, "clearly below other"), False, "not below other"),
        (row("a", 80, 75, 85, "clearly below other"), False, "not below other"),
        (row("a", 50, None, None, "clearly below other"), False, "interval is missing"),
        (row("a", 79, 10, 99, "below other"), True, "holds"),
        (row("a", 95, 92, 97, "clearly above other"), True, "holds"),
        (row("a", 95, 89, 97, "clearly above other"), False, "intervals overlap"),
        (row("a", 5, criterion="below unmeasured"), None, "unmeasured was not measured"),
    ],
)
def test_judge(one: ClaimRow, holds: bool | None, words: str) -> None:
    rows = {"a": one, "other": row("other", 80, 70, 90), "unmeasured": row("unmeasured", None)}
    found = judge(rows)["a"]
    assert found.holds is holds
    assert words in found.verdict


def test_a_claim_keeps_its_own_unit_and_data() -> None:
    claim = ClaimSpec(id="a", published=1, unit="px", data="own words", source="Table 1")
    made = claim_row(claim, Number(2, 1, 3, 7, "%"), "results/x.csv", "the set's words")
    assert (made.unit, made.data, made.n, made.file) == ("px", "own words", 7, "results/x.csv")
    plain = claim_row(ClaimSpec(id="a"), Number(2, unit="%"), "f", "the set's words")
    assert (plain.unit, plain.data) == ("%", "the set's words")


def test_not_a_number_is_not_measured() -> None:
    assert claim_row(ClaimSpec(id="a"), Number(float("nan"))).measured is None
    infinite = claim_row(ClaimSpec(id="a"), Number(1.0, float("nan"), float("inf")))
    assert (infinite.low, infinite.high) == (None, None)
