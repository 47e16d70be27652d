"""Cells: one subject, shown one set of stimuli, put through its analyses."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from neurofer.errors import NeuroferError
from neurofer.studies.descriptions import SubjectDescription
from neurofer.studies.study import Study


@dataclass(frozen=True)
class ResultKey:
    """Which result of a study: the analysis as named there, on which stimuli, of which subject."""

    analysis: str
    stimuli: str
    subject: str

    @property
    def stem(self) -> str:
        """The name of its files, without suffix."""
        return f"{self.analysis}.{self.stimuli}.{self.subject}"

    def __str__(self) -> str:
        return f"{self.analysis} of {self.subject} on {self.stimuli}"


@dataclass(frozen=True)
class Failure:
    """Something that failed and was set aside, in the user's words; `detail` is a traceback."""

    place: str
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Cell:
    """A subject of the study, stimuli of the study, and the names of the analyses."""

    subject: str
    stimuli: str
    analyses: tuple[str, ...]

    @property
    def keys(self) -> list[ResultKey]:
        """The results of the cell, one for each analysis."""
        return [ResultKey(name, self.stimuli, self.subject) for name in self.analyses]

    def __str__(self) -> str:
        return f"{self.subject} on {self.stimuli}"


@dataclass
class CellOutcome:
    """What became of a cell: one file for each result, and how much had to be computed."""

    cell: Cell
    results: dict[ResultKey, Path] = field(default_factory=dict)
    description: SubjectDescription | None = None
    failures: list[Failure] = field(default_factory=list)
    recorded: int = 0
    analysed: int = 0


def plan_cells(study: Study) -> list[Cell]:
    """Return the cells of a study, those of a subject together."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for subject in study.subjects:
        for item in study.analyses:
            for stimuli in study.shown(item, subject) if subject in item.subjects else ():
                wanted.setdefault((subject, stimuli), []).append(item.name)
    return [Cell(subject, stimuli, tuple(names)) for (subject, stimuli), names in wanted.items()]


def failure_of(place: str, error: BaseException) -> Failure:
    """Return a failure; an error that is not the user's keeps its traceback."""
    if isinstance(error, NeuroferError):
        return Failure(place, str(error))
    detail = "".join(traceback.format_exception(error))
    return Failure(place, f"{type(error).__name__}: {error}", detail)
