"""Which modules of the package have functions that ran, to hold the keys of caches against."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from neurofer.closure import PACKAGE


@contextmanager
def executed() -> Iterator[set[str]]:
    """Yield a set that fills with the modules whose functions run, in this and new threads.

    What runs when a module is imported does not count.
    """
    codes = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        # Returns nothing, so that lines are not traced: functions of Python only, no C.
        codes.add(frame.f_code)

    found: set[str] = set()
    before = sys.gettrace()
    threading.settrace(watch)
    sys.settrace(watch)
    try:
        yield found
    finally:
        sys.settrace(before)
        threading.settrace(before)
        for code in codes:
            # Class bodies have no CO_OPTIMIZED flag, modules neither.
            path = Path(code.co_filename)
            if code.co_flags & 1 and path.is_relative_to(PACKAGE):
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                found.add(".".join(parts).removesuffix(".__init__"))
