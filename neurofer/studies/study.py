"""A study file: what it may say.

A study names stimuli, subjects and analyses; the claims that it makes of them, each beside the
published number; and the tables and figures in which they are shown. It is a YAML file, which
`reading` reads into the pydantic models below; they refuse what they do not know.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from neurofer.schema import Strict

Names = tuple[str, ...]
RECORDED = "recorded"  # what recordings were shown; their results stand under this name


class StudyPart(Strict):
    """A part of a study file."""

    model_config = ConfigDict(str_strip_whitespace=True)


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class StimuliSpec(StudyPart):
    """Stimuli of a study: a named set with its parameters, or a folder; perhaps a part of it.

    `occluder` draws a gray box on every image (see `neurofer.stimuli.occlusion`). `differs` says
    how these data differ from the published ones.
    """

    set: str | None = None
    folder: Path | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    select: dict[str, Any] = Field(default_factory=dict)
    occluder: str = ""
    about: str = ""
    differs: str = ""


class TrainingSpec(StudyPart):
    """The images that a subject is trained on; without `stimuli`, those of the tested set.

    `images` names them one by one, by their `stimulus_id`, instead of by a protocol. `parameters`
    are the protocol's own ("head"); for "twelve-optimized" also `chosen_by`, the subject whose
    score chooses the images, by default the subject itself.
    """

    stimuli: str | None = None
    protocol: str = "nine"
    parameters: dict[str, Any] = Field(default_factory=dict)
    images: Names = ()


class SubjectSpec(StudyPart):
    """A subject of a study: its name in the registry, its training images, its options.

    Or a `recording`, a file that `neurofer.recording.read_neurons` reads with its stimulus table
    `stimuli`; then the options are those of `read_neurons`.
    """

    subject: str = ""
    label: str | None = None
    training: TrainingSpec | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    recording: Path | None = None
    stimuli: Path | None = None


class AnalysisSpec(StudyPart):
    """An analysis of each of the subjects, shown each of the stimuli.

    `select` keeps the presentations whose coordinates have the given values. Recordings are
    analysed on what they were shown: without others, there are no `stimuli` to be named.
    """

    name: str
    analysis: str
    stimuli: Names = ()
    subjects: Names
    options: dict[str, Any] = Field(default_factory=dict)
    select: dict[str, Any] = Field(default_factory=dict)

    _names = field_validator("stimuli", "subjects", mode="before")(_as_names)


class ClaimSpec(StudyPart):
    """One number, published beside measured.

    It is a `value` of an analysis's result at the coordinates `select` (those left out are read at
    "all"), or, with `minus`, by how much it exceeds that of another subject over the same stimuli,
    or a `statistic` over other claims (`of`), or only published. Where `subject` or
    `stimuli` is a list, the claim is made of each, and `{subject}`, `{stimuli}` and `{label}` in
    `id` and `label` stand for it.
    """

    id: str
    label: str = ""
    analysis: str | None = None
    stimuli: str | Names | None = None
    subject: str | Names | None = None
    minus: str | None = None
    value: str | None = None
    select: dict[str, Any] = Field(default_factory=dict)
    of: Names = ()
    statistic: Literal["mean", "min", "max", "sd"] | None = None
    published: float | None = None
    source: str = ""
    unit: str = ""
    digits: int | None = Field(default=None, ge=0, le=6)
    data: str = ""
    holds: str = ""

    _names = field_validator("of", mode="before")(_as_names)


class RowSpec(StudyPart):
    """A row of a table with several columns: one claim per column."""

    label: str
    claims: Names

    _names = field_validator("claims", mode="before")(_as_names)


class TableSpec(StudyPart):
    """A table of claims: a list of them (patterns with * allowed), or rows by columns.

    `heading` stands over the first column.
    """

    name: str
    title: str
    heading: str = ""
    caption: str = ""
    claims: Names = ()
    columns: Names = ()
    rows: tuple[RowSpec, ...] = ()

    _names = field_validator("claims", mode="before")(_as_names)


class FigureSpec(StudyPart):
    """A figure of an analysis on one set of stimuli, for some of its subjects (all by default).

    `beside` names further analyses of that kind, whose subjects are drawn in the same figure.
    """

    name: str
    title: str
    analysis: str
    stimuli: str | None = None
    subjects: Names = ()
    caption: str = ""
    beside: Names = ()
    options: dict[str, Any] = Field(default_factory=dict)

    _names = field_validator("subjects", "beside", mode="before")(_as_names)


class Study(StudyPart):
    """A study: what is shown to whom, how it is analysed, what is claimed and where it is shown.

    `highlights` are the claims at the top of the report, `sheets` the stimuli that it shows (all,
    where none is named).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    title: str
    paper: str = ""
    about: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    highlights: Names = ()
    sheets: Names = ()
    stimuli: dict[str, StimuliSpec] = Field(default_factory=dict)
    subjects: dict[str, SubjectSpec]
    analyses: tuple[AnalysisSpec, ...]
    claims: tuple[ClaimSpec, ...] = ()
    tables: tuple[TableSpec, ...] = ()
    figures: tuple[FigureSpec, ...] = ()

    _names = field_validator("highlights", "sheets", mode="before")(_as_names)

    def analysis(self, name: str) -> AnalysisSpec:
        """Return the analysis of that name."""
        return next(item for item in self.analyses if item.name == name)

    def shown(self, item: AnalysisSpec, subject: str) -> Names:
        """Return the names of the stimuli of which an analysis has results of a subject."""
        return item.stimuli if self.subjects[subject].recording is None else (RECORDED,)

    def label(self, subject: str) -> str:
        """Return the name of a subject as it is printed."""
        return self.subjects[subject].label or subject

    def claims_like(self, patterns: Names) -> list[ClaimSpec]:
        """Return the claims whose ids match the patterns, in the order of the patterns."""
        found: dict[str, ClaimSpec] = {}
        for pattern in patterns:
            found |= {c.id: c for c in self.claims if fnmatchcase(c.id, pattern)}
        return list(found.values())
