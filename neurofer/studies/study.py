"""A study file: what it may say, and how it is read.

A study names stimuli, subjects and analyses; the claims that it makes of them, each beside the
published number; and the tables and figures in which they are shown. It is a YAML file, read into
the pydantic models below, which refuse what they do not know.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, field_validator

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.files import content_folder
from neurofer.schema import Strict, dump_yaml, load_yaml, unique, validated
from neurofer.studies.criteria import parse_criterion
from neurofer.studies.recorded import RECORDED, check_recordings

Names = tuple[str, ...]
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+=-]*")


class StudyPart(Strict):
    """A part of a study file."""

    model_config = ConfigDict(str_strip_whitespace=True)


Part = TypeVar("Part", bound=StudyPart)


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
    are the protocol's own ("head"); the score of "twelve-optimized" is
    `neurofer.subjects.norm_referenced.template_choice.template_score`.
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
    """A row of a table with several columns: one claim a column."""

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
    seed: int = 0
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


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read a study file, or one of those that come with the package by its name.

    Raises:
        NeuroferError: the file is missing or no YAML, a key is unknown, a value is of the wrong
            kind, or a name refers to nothing; the message names the key, its place and the choices.
    """
    file = find_study(path)
    study = validated(Study, load_yaml(file), str(file))
    study = study.model_copy(update={"claims": tuple(_expanded(study))})
    try:
        _check(study)
    except NeuroferError as error:
        raise NeuroferError(f"{file}: {error}") from None
    base = file.resolve().parent
    stimuli = {name: _anchored(spec, base) for name, spec in study.stimuli.items()}
    subjects = {name: _anchored(spec, base) for name, spec in study.subjects.items()}
    return study.model_copy(update={"stimuli": stimuli, "subjects": subjects})


def find_study(path: str | os.PathLike[str]) -> Path:
    """Return the path of a study: the file itself, or the packaged study of that name."""
    file = Path(path)
    if file.is_file():
        return file
    packaged = {study.stem: study for study in sorted(content_folder("analyses").glob("*.yaml"))}
    if str(path) in packaged:
        return packaged[str(path)]
    if file.suffix in (".yaml", ".yml") and file.stem in packaged and len(file.parts) <= 2:
        return packaged[file.stem]
    listed = ", ".join(packaged)
    raise NeuroferError(f"there is no study file {str(path)!r}; the packaged studies are {listed}")


def dump_study(study: Study) -> str:
    """Return the study as YAML, as it was run (lists of claims expanded)."""
    plain = study.model_dump(mode="json", exclude_defaults=True)
    return dump_yaml(plain)


def _anchored(spec: Part, base: Path) -> Part:
    """Make relative paths relative to the study file, not to where the command is run."""
    paths = {name: value for name, value in spec if isinstance(value, Path)}
    update = {name: base / value.expanduser() for name, value in paths.items()}
    return spec.model_copy(update=update) if paths else spec


def _expanded(study: Study) -> Iterator[ClaimSpec]:
    """Make one claim of each subject and each set of stimuli that a claim lists."""
    for claim in study.claims:
        subjects = claim.subject if isinstance(claim.subject, tuple) else (claim.subject,)
        stimuli = claim.stimuli if isinstance(claim.stimuli, tuple) else (claim.stimuli,)
        for subject, shown in itertools.product(subjects, stimuli):
            known = subject in study.subjects
            words = {
                "{subject}": subject or "",
                "{stimuli}": shown or "",
                "{label}": study.label(subject) if subject and known else subject or "",
            }
            update: dict[str, Any] = {"subject": subject, "stimuli": shown}
            update["id"] = _filled(claim.id, words)
            update["label"] = _filled(claim.label, words) or update["id"]
            yield claim.model_copy(update=update)


def _filled(text: str, words: Mapping[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def _check(study: Study) -> None:
    """Refuse names that refer to nothing, and names given twice."""
    for name, spec in study.stimuli.items():
        if (spec.set is None) == (spec.folder is None):
            raise NeuroferError(f"stimuli.{name} must have either 'set' or 'folder'")
    for name, subject in study.subjects.items():
        training = subject.training
        if training is not None and training.stimuli is not None:
            check_choice("stimuli", training.stimuli, study.stimuli, f"subjects.{name}.training")
    if not study.analyses:
        raise NeuroferError("'analyses' is empty: a study needs at least one")
    check_recordings(study)
    unique("analyses", [item.name for item in study.analyses])
    for item in study.analyses:
        for stimuli in item.stimuli:
            check_choice("stimuli", stimuli, study.stimuli, f"analyses, {item.name!r}")
        for name in item.subjects:
            check_choice("subject", name, study.subjects, f"analyses, {item.name!r}")
    unique("claims", [claim.id for claim in study.claims])
    for claim in study.claims:
        _check_claim(study, claim)
    for name in study.sheets:
        check_choice("stimuli", name, study.stimuli, "sheets")
    for name in study.highlights:
        check_choice("claim", name, [claim.id for claim in study.claims], "highlights")
    for name in (*study.stimuli, *study.subjects, *(item.name for item in study.analyses)):
        if not _FILE_NAME.fullmatch(name):
            raise NeuroferError(
                f"the name {name!r} becomes part of a file's name: use letters, digits and - _ + ="
            )
    unique("tables", [table.name for table in study.tables])
    for table in study.tables:
        _check_table(study, table)
    unique("figures", [figure.name for figure in study.figures])
    for figure in study.figures:
        _check_place(study, figure.analysis, figure.stimuli, figure.subjects, figure.name)
        shown = figure.stimuli or next(iter(study.analysis(figure.analysis).stimuli), None)
        for name in figure.beside:
            _check_place(study, name, shown, (), f"'beside' of {figure.name}")


def _check_claim(study: Study, claim: ClaimSpec) -> None:
    where = f"claim {claim.id!r}"
    criterion = parse_criterion(claim.holds, where)
    if criterion is not None and criterion.other is not None:
        check_choice("claim", criterion.other, [c.id for c in study.claims], f"'holds' of {where}")
    if claim.of:
        if claim.statistic is None or claim.analysis is not None:
            raise NeuroferError(f"{where}: 'of' needs a 'statistic' and no 'analysis'")
        _check_patterns(study, claim.of, f"'of' of {where}")
        return
    if claim.analysis is None:
        if claim.published is None:
            raise NeuroferError(f"{where} has neither 'analysis', 'of' nor 'published'")
        return
    if claim.value is None or claim.subject is None:
        raise NeuroferError(f"{where} needs 'value' and 'subject' beside 'analysis'")
    assert not isinstance(claim.subject, tuple)
    assert not isinstance(claim.stimuli, tuple)
    subjects = (claim.subject, claim.minus) if claim.minus else (claim.subject,)
    _check_place(study, claim.analysis, claim.stimuli, subjects, where)


def _check_place(
    study: Study, analysis: str, stimuli: str | None, subjects: Names, where: str
) -> None:
    check_choice("analysis", analysis, [item.name for item in study.analyses], where)
    item = study.analysis(analysis)
    for subject in subjects:
        check_choice("subject", subject, item.subjects, f"{where} (analysis {analysis!r})")
    if stimuli is not None:
        check_choice("stimuli", stimuli, item.stimuli, f"{where} (analysis {analysis!r})")
    elif len(item.stimuli) > 1 and any(
        study.shown(item, one) == item.stimuli for one in subjects or item.subjects
    ):
        listed = ", ".join(item.stimuli)
        raise NeuroferError(f"{where} must name its 'stimuli': {analysis!r} has {listed}")


def _check_table(study: Study, table: TableSpec) -> None:
    where = f"table {table.name!r}"
    if bool(table.claims) == bool(table.rows):
        raise NeuroferError(f"{where} must have either 'claims' or 'rows'")
    _check_patterns(study, table.claims, where)
    for row in table.rows:
        for claim in row.claims:
            check_choice(
                "claim", claim, [c.id for c in study.claims], f"{where}, row {row.label!r}"
            )
        if len(row.claims) != len(table.columns):
            raise NeuroferError(
                f"{where}, row {row.label!r} has {len(row.claims)} claims for "
                f"{len(table.columns)} columns"
            )


def _check_patterns(study: Study, patterns: Names, where: str) -> None:
    for pattern in patterns:
        if not study.claims_like((pattern,)):
            raise unknown_choice("claim", pattern, [c.id for c in study.claims], where)
