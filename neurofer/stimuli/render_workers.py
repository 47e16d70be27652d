"""Render in several processes.

The processes are plain commands that read chunks of work from standard input: no fork beside
torch's threads, no pickle, and no `if __name__ == "__main__"` in the user's script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from neurofer.errors import NeuroferError
from neurofer.files import PACKAGE
from neurofer.stimuli.render_cache import RenderSpec, render_all


def render_in_processes(
    work: Sequence[Sequence[RenderSpec]],
    folder: Path,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Render chunks of images into the cache.

    Args:
        work: chunks; the images of one are rendered in one process, in order.
        folder: of the cache.
        workers: number of processes.
        advance: called with 1 after every image.

    Raises:
        NeuroferError: an image cannot be rendered, or a process died; what was finished is kept.
    """
    waiting = deque(work)
    lock = threading.Lock()
    stop = threading.Event()
    running: list[subprocess.Popen[str]] = []

    def step() -> None:
        with lock:
            advance(1)

    def serve() -> None:
        with tempfile.TemporaryFile("w+") as complaints:
            process = _start(folder, complaints)
            with lock:
                running.append(process)
            try:
                while not stop.is_set():
                    with lock:
                        if not waiting:
                            break
                        chunk = waiting.popleft()
                    _feed(process, chunk, step, complaints)
            except BaseException:
                stop.set()
                raise
            finally:
                _end(process, kill=stop.is_set())

    with ThreadPoolExecutor(min(workers, len(work))) as pool:
        serving = [pool.submit(serve) for _ in range(min(workers, len(work)))]
        try:
            for one in serving:
                one.result()
        except BaseException:
            stop.set()
            with lock:
                for process in running:
                    process.kill()
            raise


def main() -> None:
    """Read chunks from standard input, render them, answer a line an image."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        specs = [RenderSpec(**fields) for fields in json.loads(line)]
        try:
            for _ in render_all(specs, folder):
                print("{}", flush=True)  # noqa: T201 (the answer is the interface)
        except NeuroferError as error:
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201


def _start(folder: Path, complaints: IO[str]) -> subprocess.Popen[str]:
    # One thread each: the processes together already use every core.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
        ),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "neurofer.stimuli.render_workers", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        env=environment,
    )


def _feed(
    process: subprocess.Popen[str],
    chunk: Sequence[RenderSpec],
    step: Callable[[], None],
    complaints: IO[str],
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    answer = ""
    try:
        process.stdin.write(json.dumps([asdict(spec) for spec in chunk]) + "\n")
        process.stdin.flush()
        for _ in chunk:
            answer = process.stdout.readline()
            if not answer:
                break
            problem = json.loads(answer).get("error")
            if problem:
                raise NeuroferError(problem)
            step()
    except BrokenPipeError:
        answer = ""
    if not answer:
        status = process.wait()
        complaints.seek(0)
        said = complaints.read().strip().splitlines()[-3:]
        raise NeuroferError(
            f"a rendering process ended with status {status}: {' / '.join(said) or 'no message'}; "
            "what was finished is kept, load the set again to go on"
        )


def _end(process: subprocess.Popen[str], kill: bool) -> None:
    if kill:
        process.kill()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    main()
