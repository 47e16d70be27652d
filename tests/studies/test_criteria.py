from __future__ import annotations

import pytest

from neurofer.errors import NeuroferError
from neurofer.studies.criteria import fulfils, parse_criterion


@pytest.mark.parametrize(
    ("text", "relation", "number", "other"),
    [
        ("at least 95", "at least", 95, None),
        (">= 95", "at least", 95, None),
        (">=95", "at least", 95, None),
        ("at most 0.8", "at most", 0.8, None),
        ("<= 0.8", "at most", 0.8, None),
        ("> 1", "above", 1, None),
        ("< 1e3", "below", 1000, None),
        ("below bfs.md-nre.accuracy", "below", None, "bfs.md-nre.accuracy"),
        ("clearly below a.b", "clearly below", None, "a.b"),
        ("clearly above a.b", "clearly above", None, "a.b"),
    ],
)
def test_parse(text: str, relation: str, number: float | None, other: str | None) -> None:
    found = parse_criterion(text)
    assert found is not None
    assert (found.relation, found.number, found.other) == (relation, number, other)
    assert parse_criterion(str(found)) == found


def test_no_criterion() -> None:
    assert parse_criterion("") is None


@pytest.mark.parametrize("text", ["95", "about 95", "at least", "at least 9 5", "clearly below 3"])
def test_no_such_criterion(text: str) -> None:
    with pytest.raises(NeuroferError, match="holds="):
        parse_criterion(text, "claim 'x'")


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [
        ("at least", False, True, True),
        ("at most", True, True, False),
        ("above", False, False, True),
        ("below", True, False, False),
    ],
)
def test_fulfils(relation: str, below: bool, equal: bool, above: bool) -> None:
    assert [fulfils(relation, value, 2.0) for value in (1.0, 2.0, 3.0)] == [below, equal, above]
