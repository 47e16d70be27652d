"""Two sides measured in turns, so that what disturbs one disturbs the other."""

from __future__ import annotations

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
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best
