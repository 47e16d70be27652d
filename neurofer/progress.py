"""Progress of work that takes over two seconds: on a terminal only, silent elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 2.0  # seconds without a bar


class _Silent:
    def __call__(self, steps: int = 1) -> None:
        return None


class _Bar:
    """A rich bar that appears once the work has taken `patience` seconds."""

    def __init__(self, text: str, total: int, forced: bool) -> None:
        self._text, self._total, self._forced = text, total, forced
        self._patience = 0.0 if forced else PATIENCE
        self._start, self._done = time.monotonic(), 0
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, steps: int = 1) -> None:
        self._done += steps
        if self._bar is None and time.monotonic() - self._start >= self._patience:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

            self._bar = Progress(
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True, force_terminal=self._forced or None),
                transient=True,
            )
            self._task = self._bar.add_task(self._text, total=self._total)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress_of(text: str, total: int, progress: bool | None = None) -> Iterator[Any]:
    """Yield a function to call with the number of steps done.

    `progress` None shows a bar after two seconds if stderr is a terminal, True shows it at once,
    False never. Without rich installed nothing is shown.

    Args:
        text: in front of the bar.
        total: number of steps.
        progress: None shows a bar after two seconds if stderr is a terminal, True at once, False
            never.
    """
    shown = sys.stderr.isatty() if progress is None else progress
    if shown:
        try:
            import rich  # noqa: F401
        except ImportError:  # a bare compute node
            shown = False
    if not shown:
        yield _Silent()
        return
    bar = _Bar(text, total, forced=progress is True)
    try:
        yield bar
    finally:
        bar.stop()
