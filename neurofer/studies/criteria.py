"""What a claim must fulfil: a bound, or a comparison with another claim."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from neurofer.errors import NeuroferError

Relation = Literal["at least", "at most", "above", "below", "clearly above", "clearly below"]
_SIGNS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
_PATTERN = re.compile(
    r"(at least|at most|clearly above|clearly below|above|below|>=|<=|>|<)\s*(\S+)"
)


@dataclass(frozen=True)
class Criterion:
    """What a claim must fulfil: a relation to a number or to another claim."""

    relation: Relation
    number: float | None = None
    other: str | None = None

    def __str__(self) -> str:
        target = self.other if self.number is None else f"{self.number:g}"
        return f"{self.relation} {target}"


def parse_criterion(text: str, where: str = "") -> Criterion | None:
    """Read a criterion: "at least 95" or ">= 95", "below CLAIM", "clearly below CLAIM".

    "clearly" demands that the two 95 % intervals do not overlap. An empty text is not a criterion.

    >>> str(parse_criterion(">= 95"))
    'at least 95'
    >>> parse_criterion("clearly below bfs.md-nre.accuracy").other
    'bfs.md-nre.accuracy'
    """
    if not text:
        return None
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise NeuroferError(
            f"holds={text!r} {f'of {where} ' if where else ''}is not a criterion; write for "
            "example 'at least 95', 'at most 0.8', 'below CLAIM' or 'clearly below CLAIM'"
        )
    relation: Any = _SIGNS.get(match[1], match[1])
    try:
        number = float(match[2])
    except ValueError:
        return Criterion(relation, other=match[2])
    if relation.startswith("clearly"):
        raise NeuroferError(f"holds={text!r}: 'clearly' compares with another claim, not a number")
    return Criterion(relation, number=number)


def fulfils(relation: str, value: float | None, bound: float | None) -> bool:
    """Tell whether a value stands in the relation to the bound.

    Args:
        relation: "at least", "at most", "above" or "below".
        value: on its left.
        bound: on its right.
    """
    assert value is not None
    assert bound is not None
    return {
        "at least": value >= bound,
        "at most": value <= bound,
        "above": value > bound,
        "below": value < bound,
    }[relation]
