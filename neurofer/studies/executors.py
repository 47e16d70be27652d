"""Where cells are worked on: one after the other here, or in several processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from neurofer.closure import package_hash
from neurofer.errors import unknown_choice
from neurofer.labels import printable
from neurofer.studies.bench import Bench
from neurofer.studies.cell import Cell, CellOutcome, Failure
from neurofer.studies.study import Study

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet

MEMORY_OF_A_WORKER = 2e9  # bytes: torch, a VGG, features of a batch; 1.1e9 were measured
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Executor(Protocol):
    """Works on cells and yields their outcomes as they come."""

    def __call__(
        self,
        study: Study,
        cells: Sequence[Cell],
        cache: Path | None,
        stimuli: Mapping[str, StimulusSet],
    ) -> Iterator[CellOutcome]:
        """Yield one outcome per cell, in any order; `stimuli` are those loaded already."""


def serial(
    study: Study, cells: Sequence[Cell], cache: Path | None, stimuli: Mapping[str, StimulusSet]
) -> Iterator[CellOutcome]:
    """Work on one cell after the other in this process.

    Args:
        study: that the cells belong to.
        cells: to work on.
        cache: folder of results; None for none.
        stimuli: name in the study -> set.
    """
    bench = Bench(study, cache, stimuli)
    for cell in cells:
        yield bench.work(cell)


def processes(
    study: Study, cells: Sequence[Cell], cache: Path | None, stimuli: Mapping[str, StimulusSet]
) -> Iterator[CellOutcome]:
    """Work in as many processes as there are cores and memory for, one thread each.

    Cells whose subjects learn from the same images stay together, so that each process makes its
    own subjects. What is in the cache is read here, without any process.

    Args:
        study: that the cells belong to.
        cells: to work on.
        cache: folder of results; None for none.
        stimuli: name in the study -> set.
    """
    bench = Bench(study, cache, stimuli)
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        try:
            found, kin = bench.read(cell), bench.kinship(cell)
        except Exception:
            # The same error comes again where the cell is worked on, and is named there.
            found, kin = bench.work(cell), ("", None)
        if found is not None:
            yield found
        else:
            groups.setdefault(kin, []).append(cell)
    names = {cell.stimuli for group in groups.values() for cell in group}
    sizes = {name: bench.size(name) for name in names}
    shares = share_out(list(groups.values()), sizes, _most_workers())
    if len(shares) > 1:
        yield from _in_processes(study, shares, cache, min(len(shares), _most_workers()))
    else:
        yield from (bench.work(cell) for share in shares for cell in share)


def share_out(
    groups: Sequence[Sequence[Cell]], sizes: Mapping[str, int], workers: int
) -> list[list[Cell]]:
    """Return lists of cells for processes: groups, cut where one is more than a worker's share.

    The longest comes first, so that no core is left with it at the end.

    Args:
        groups: cells that should stay together.
        sizes: number of stimuli by name.
        workers: number of processes.
    """
    total = sum(sizes[cell.stimuli] for group in groups for cell in group)
    shares: list[list[Cell]] = []
    for group in groups:
        held = workers * total  # more than any share: the first cell opens one
        for cell in group:
            if (held + sizes[cell.stimuli] / 2) * workers > total:
                shares.append([])
                held = 0
            shares[-1].append(cell)
            held += sizes[cell.stimuli]
    return sorted(shares, key=lambda share: -sum(sizes[cell.stimuli] for cell in share))


EXECUTORS: dict[str, Executor] = {"processes": processes, "serial": serial}


def find_executor(name: str) -> Executor:
    """Return the executor of that name; an unknown one raises a NeuroferError with the choices."""
    if name not in EXECUTORS:
        raise unknown_choice("executor", name, EXECUTORS)
    return EXECUTORS[name]


def _in_processes(
    study: Study, groups: list[list[Cell]], cache: Path | None, workers: int
) -> Iterator[CellOutcome]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    others = set(active_children())
    # Spawned, not forked: a fork of a process that has run torch can hang.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
    )
    try:
        with _one_thread():
            jobs = {
                pool.submit(_work, study, group, cache, package_hash()): group for group in groups
            }
        for job in as_completed(jobs):
            try:
                yield from job.result()
            except BrokenProcessPool:
                yield from (_lost(cell) for cell in jobs[job])
    except BaseException:
        for worker in set(active_children()) - others:
            worker.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _work(study: Study, cells: list[Cell], cache: Path | None, source: str) -> list[CellOutcome]:
    if package_hash() != source:
        words = "the source of neurofer changed while it was running; run it again"
        return [CellOutcome(cell, failures=[Failure(str(cell), words)]) for cell in cells]
    bench = Bench(study, cache)
    return [bench.work(cell) for cell in cells]


def _lost(cell: Cell) -> CellOutcome:
    words = "its process died, perhaps for want of memory; run again with --executor serial"
    return CellOutcome(cell, failures=[Failure(str(cell), words)])


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning as the command line says it, without the line of code it comes from."""
    return f"neurofer: {printable(str(message))}\n"


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, warn in plain lines, and end when the parent is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.formatwarning = _one_line
    _die_with_parent()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent: at once, and also in the midst of a long step.

    Elsewhere, and where the parent died before, the thread that watches the parent does it.
    """
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started in this block compute with one thread each.

    Two processes of one thread record twice as fast as one process of two threads.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _most_workers() -> int:
    """Return how many processes the cores and the memory allow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        memory = int(2 * MEMORY_OF_A_WORKER)
    return max(1, min(cores or 1, int(memory // MEMORY_OF_A_WORKER)))
