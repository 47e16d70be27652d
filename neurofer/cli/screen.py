"""What all commands share: how they speak to a terminal, and the options that several of them have.

A name from a file or a study may hold codes that colour, move or retitle a terminal. `say` shows
them instead of sending them.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from neurofer.labels import printable

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]

STOPPED = "stopped; what was finished is kept, run it again to go on"


class StoppedError(BaseException):
    """Ctrl-C or SIGTERM came; as KeyboardInterrupt, it is not an Exception.

    The command line library would turn a KeyboardInterrupt into an exit without a word.
    """

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(number)
        self.number = number


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line, on standard error if `err`; codes that steer a terminal are shown."""
    typer.echo(printable(text), err=err)


def say_json(value: Any) -> None:
    """Print a value as JSON, in which every code is escaped."""
    typer.echo(json.dumps(value, indent=2, default=str))


def say_list(summaries: Mapping[str, str], as_json: bool) -> None:
    """Print names and a line about each, or the same as JSON."""
    if as_json:
        say_json([{"name": name, "about": about} for name, about in summaries.items()])
        return
    width = max(map(len, summaries), default=0)
    for name, about in summaries.items():
        say(f"{name:{width}}  {about}")


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise StoppedError in this block when Ctrl-C or SIGTERM comes.

    A training takes the signals itself, to write a checkpoint first.
    """

    def stop(number: int, _: object) -> None:
        raise StoppedError(number)

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # only the main thread may handle signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
