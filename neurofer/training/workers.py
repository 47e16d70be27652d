"""Work in several processes: plain commands that read numbers and answer a line each.

No fork beside torch's threads, and no `if __name__ == "__main__"` in the user's script.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

from neurofer.errors import NeuroferError
from neurofer.files import PACKAGE
from neurofer.stimuli.images import cores


def run_in_processes(
    module: str, arguments: Sequence[str], numbers: Sequence[int], advance: Callable[[], None]
) -> None:
    """Give each number to a process `python -m module arguments...` and wait for its answer.

    Args:
        module: reads a number a line from standard input and answers each with a line.
        arguments: of the command.
        numbers: the work; each process takes the next one when it is free.
        advance: called after each.

    Raises:
        NeuroferError: a process ended early; the message holds the last line that it wrote.
    """
    waiting, lock = list(reversed(numbers)), Lock()

    def take() -> int | None:
        with lock:
            return waiting.pop() if waiting else None

    def answered() -> None:
        with lock:
            advance()

    def stop() -> None:
        with lock:
            waiting.clear()

    count = min(cores(), len(numbers))
    with ThreadPoolExecutor(count) as pool:
        command = [sys.executable, "-m", module, *arguments]
        serving = [pool.submit(_serve, command, take, answered, stop) for _ in range(count)]
        try:
            for one in serving:
                one.result()
        finally:
            stop()


def _serve(
    command: list[str],
    take: Callable[[], int | None],
    answered: Callable[[], None],
    stop: Callable[[], None],
) -> None:
    """Start a process and feed it numbers until none is left; stop all where it ends early."""
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            while (number := take()) is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(f"{number}\n")
                    process.stdin.flush()
                if not process.stdout.readline():
                    stop()
                    break
                answered()
        if process.returncode:
            complaints.seek(0)
            said = complaints.read().strip().splitlines()
            raise NeuroferError(
                f"{' '.join(command[1:3])} ended with status {process.returncode}: "
                f"{said[-1] if said else 'no message'}; what was finished is kept"
            )


def _environment() -> dict[str, str]:
    path = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        # One thread each: the processes together already use every core.
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
