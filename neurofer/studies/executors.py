"""Where cells are worked on: one after the other here, or in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from neurofer.errors import unknown_choice
from neurofer.studies.cells import Bench, Cell, CellOutcome
from neurofer.studies.study import Study

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet


class Executor(Protocol):
    """Works on cells and yields their outcomes as they come."""

    def __call__(
        self,
        study: Study,
        cells: Sequence[Cell],
        cache: Path | None,
        stimuli: Mapping[str, StimulusSet],
    ) -> Iterator[CellOutcome]:
        """Yield one outcome a cell, in any order; `stimuli` are those that were loaded already."""


def serial(
    study: Study, cells: Sequence[Cell], cache: Path | None, stimuli: Mapping[str, StimulusSet]
) -> Iterator[CellOutcome]:
    """Work on one cell after the other in this process."""
    bench = Bench(study, cache, stimuli)
    for cell in cells:
        yield bench.work(cell)


def processes(
    study: Study, cells: Sequence[Cell], cache: Path | None, stimuli: Mapping[str, StimulusSet]
) -> Iterator[CellOutcome]:
    """Work in as many processes as there are cores; the cells of a subject stay together."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.subject, []).append(cell)
    workers = max(1, min(len(groups), os.cpu_count() or 1))
    # Spawned, not forked: a fork of a process that has run torch can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_work, study, group, cache, workers) for group in groups.values()]
        try:
            for job in as_completed(jobs):
                yield from job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


EXECUTORS: dict[str, Executor] = {"serial": serial, "processes": processes}


def find_executor(name: str) -> Executor:
    """Return the executor of that name; an unknown one raises a NeuroferError with the choices."""
    if name not in EXECUTORS:
        raise unknown_choice("executor", name, EXECUTORS)
    return EXECUTORS[name]


def _work(study: Study, cells: list[Cell], cache: Path | None, workers: int) -> list[CellOutcome]:
    # Read by torch when a subject imports it, which no cell of this fresh process has done yet.
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    bench = Bench(study, cache)
    return [bench.work(cell) for cell in cells]
