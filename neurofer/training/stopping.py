"""How a training is asked to stop: by SIGTERM, as clusters send it before a kill, or by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """Raised by a signal where nothing has to be finished first."""


class Stop:
    """Whether a signal has asked the training to stop.

    While steps are taken a signal only leaves word, so that the step is finished and a checkpoint
    written; a second one, and any at other times (stimuli are rendered, the net is evaluated),
    raises `Stopped` at once.

    Attributes:
        signal: the number of the signal that came; 0 before.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._in_steps = False

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.signal != 0

    @contextmanager
    def after_the_step(self) -> Iterator[None]:
        """Let a signal wait for the end of the step."""
        self._in_steps = True
        try:
            yield
        finally:
            self._in_steps = False

    def _come(self, number: int, _: Any) -> None:
        again = self.asked
        self.signal = number
        if again or not self._in_steps:
            raise Stopped


@contextmanager
def stopping() -> Iterator[Stop]:
    """Yield a `Stop` that SIGTERM and SIGINT reach; only the main thread may handle signals."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._come) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
