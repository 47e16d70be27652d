"""Numbers as a report prints them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from neurofer.studies.claims import ClaimRow

DASH = "–"
MINUS = "−"
PERCENT_DIGITS = 1
OTHER_DIGITS = 3


def digits_of(row: ClaimRow) -> int:
    """Return how many decimals a claim's measured numbers are printed with."""
    if row.digits is not None:
        return row.digits
    return PERCENT_DIGITS if row.unit == "%" else OTHER_DIGITS


def fixed(value: float | None, digits: int) -> str:
    """Return a number with so many decimals.

    >>> fixed(97.916, 1), fixed(-0.5, 2), fixed(None, 1)
    ('97.9', '−0.50', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}f}".replace("-", MINUS)


def measured(row: ClaimRow) -> str:
    """Return the measured number of a claim."""
    return fixed(row.measured, digits_of(row))


def interval(row: ClaimRow) -> str:
    """Return the interval of a claim, "92.8–99.4"; "−0.1 to 0.2" where one is negative."""
    if row.low is None or row.high is None:
        return DASH
    digits = digits_of(row)
    between = " to " if row.low < 0 else DASH
    return f"{fixed(row.low, digits)}{between}{fixed(row.high, digits)}"


def published(row: ClaimRow) -> str:
    """Return the published number as it was published."""
    return DASH if row.published is None else f"{row.published:g}"


def listed(words: Iterable[str], last: str = "and") -> str:
    """Join words as in a sentence.

    >>> listed(["human", "monkey", "cartoon"])
    'human, monkey and cartoon'
    """
    all_words = list(words)
    if len(all_words) < 2:
        return "".join(all_words)
    return f"{', '.join(all_words[:-1])} {last} {all_words[-1]}"


def counted(n: int, singular: str, plural: str = "") -> str:
    """Return a number and its noun: "1 image", "9 images".

    Args:
        n: how many.
        singular: the noun for one.
        plural: the noun for several; by default with an "s".
    """
    return f"{n} {singular if n == 1 else plural or singular + 's'}"
