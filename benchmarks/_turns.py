"""Two sides measured in turns, so that what disturbs one disturbs the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def interleaved(rounds: int, *functions: Callable[[], Any]) -> list[float]:
    """Return each function's best time in seconds over rounds in which they take turns."""
    best = [float("inf")] * len(functions)
    for function in functions:
        function()
    for _ in range(rounds):
        for i, function in enumerate(functions):
            best[i] = min(best[i], _seconds(function))
    return best


def around(short: Callable[[], Any], long: Callable[[], Any], turns: int = 5) -> list[float]:
    """Return the median time in seconds of `short`, before and after `long`, and that of `long`.

    For a peer that takes so long that its one run averages over what disturbs the machine.
    """
    short()
    before = [_seconds(short) for _ in range(turns)]
    once = _seconds(long)
    return [statistics.median([*before, *(_seconds(short) for _ in range(turns))]), once]


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
