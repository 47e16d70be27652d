"""Work in several processes: plain commands that read work from standard input and answer it.

A line of work is a JSON value. It is answered by a line for every step of it and one for its end,
or by one that says what is wrong. No fork beside torch's threads, no pickle, and no
`if __name__ == "__main__"` in the user's script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Lock
from typing import IO, Any

from neurofer.closure import closure_hash
from neurofer.errors import NeuroferError
from neurofer.files import PACKAGE

_CODE = "NEUROFER_CODE"  # a worker's module and the hash of its source, as the sender has it


def cores() -> int:
    """Return how many cores this process may use (containers and SLURM allow fewer than exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(work: Callable[[Any], Iterable[object]]) -> None:
    """Answer the work that `run_in_processes` sends to this process.

    Args:
        work: called with a piece of work; what it yields are its steps. A NeuroferError that it
            raises is raised in the process that sent the work.
    """
    changed = _changed()
    for line in sys.stdin:
        try:
            if changed:
                raise NeuroferError(changed)
            for _ in work(json.loads(line)):
                _answer(step=1)
            _answer(done=True)
        except NeuroferError as error:
            _answer(error=str(error))


def run_in_processes(
    module: str,
    arguments: Sequence[str],
    work: Iterable[Any],
    advance: Callable[[], None],
    *,
    workers: int | None = None,
) -> None:
    """Give pieces of work to processes `python -m module arguments...`, in order, and wait.

    Args:
        module: calls `serve` where it is run.
        arguments: of the command.
        work: JSON values; each process takes the next one when it is free.
        advance: called after each step of each piece.
        workers: processes; default: as many as the cores.

    Raises:
        NeuroferError: the work cannot be done, or a process ended early; the message holds the
            last lines that it wrote. The other processes are stopped.
    """
    waiting = deque(work)
    if not waiting:
        return
    crew = _Crew([sys.executable, "-m", module, *arguments], waiting, advance, _environment(module))
    count = min(cores() if workers is None else workers, len(waiting))
    with ThreadPoolExecutor(max(1, count)) as pool:
        serving = [pool.submit(crew.feed) for _ in range(count)]
        try:
            for one in serving:
                one.result()
        except BaseException:
            crew.stop()
            raise


class _Crew:
    """The processes that do a list of work."""

    def __init__(
        self,
        command: list[str],
        waiting: deque[Any],
        advance: Callable[[], None],
        environment: dict[str, str],
    ) -> None:
        self._command, self._waiting, self._advance = command, waiting, advance
        self._environment = environment
        self._lock, self._stopped = Lock(), Event()
        self._running: list[subprocess.Popen[str]] = []

    def feed(self) -> None:
        """Start a process and feed it until no work is left."""
        with tempfile.TemporaryFile("w+") as complaints:
            process = self._start(complaints)
            try:
                while (piece := self._take()) is not None:
                    self._wait_for(process, piece[0], complaints)
            except BaseException:
                self.stop()
                raise
            finally:
                _end(process, kill=self._stopped.is_set())

    def stop(self) -> None:
        """End all processes now."""
        self._stopped.set()
        with self._lock:
            for process in self._running:
                process.kill()

    def _start(self, complaints: IO[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=self._environment,
        )
        with self._lock:
            self._running.append(process)
        return process

    def _take(self) -> tuple[Any] | None:
        with self._lock:
            if self._stopped.is_set() or not self._waiting:
                return None
            return (self._waiting.popleft(),)

    def _wait_for(self, process: subprocess.Popen[str], piece: Any, complaints: IO[str]) -> None:
        """Send a piece of work and read its answers to the end."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # the process has ended: it has no answer
            process.stdin.write(json.dumps(piece) + "\n")
            process.stdin.flush()
        while line := process.stdout.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise NeuroferError(answer["error"])
            if "done" in answer:
                return
            with self._lock:
                self._advance()
        if self._stopped.is_set():  # another's failure is the one to tell
            return
        status = process.wait()
        complaints.seek(0)
        said = complaints.read().strip().splitlines()[-3:]
        raise NeuroferError(
            f"{' '.join(self._command[1:3])} ended with status {status}: "
            f"{' / '.join(said) or 'no message'}; what was finished is kept, do the same again to "
            "go on"
        )


def _answer(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201 (the answer is the interface)


def _end(process: subprocess.Popen[str], kill: bool) -> None:
    if kill:
        process.kill()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _changed() -> str:
    """Return what is wrong where this process runs other code than that which sent the work."""
    module, _, code = os.environ.get(_CODE, "").partition(" ")
    if not module or closure_hash(module) == code:
        return ""
    return f"the source of {module} has changed since Python was started; start it again"


def _environment(module: str) -> dict[str, str]:
    ours = module.split(".")[0] == PACKAGE.name
    path = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        # One thread each: the processes together already use every core.
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        _CODE: f"{module} {closure_hash(module)}" if ours else "",
    }
