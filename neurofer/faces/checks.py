"""The check that every number from outside passes."""

from __future__ import annotations

from neurofer.errors import NeuroferError


def check_number(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [low, high], and nan.

    Args:
        name: of the argument.
        value: that was passed.
        low: the least that is allowed.
        high: the greatest that is allowed.

    Raises:
        NeuroferError: it names the number and its limits.

    >>> check_number("zoom", 1.5, 0.1, 10)
    """
    if not low <= value <= high:
        raise NeuroferError(f"{name}={value!r} is not allowed; choose from {low} to {high}")
