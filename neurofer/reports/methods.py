"""The methods of a study in words, generated from what was run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neurofer.labels import code, markdown
from neurofer.reports.blocks import Block, Bullets, Cell, Column, Paragraph, Section, Table
from neurofer.reports.numbers import counted, listed
from neurofer.reports.words import (
    identities_words,
    images_words,
    interval_methods,
    recording_words,
    values_words,
    weights_words,
)
from neurofer.studies.checks import unused_names
from neurofer.studies.descriptions import StimuliDescription, SubjectDescription
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import RECORDED, AnalysisSpec, StimuliSpec, TrainingSpec

ABOUT_IDENTITIES = (
    "Where an interval is over identities, these are the independent units, because the images of "
    "one identity share its peculiarities. It is about other identities of the same kind of head, "
    "not about other kinds of heads or images."
)
COLUMNS = (
    "In the tables **published** is the number of the paper and **measured** is what this run "
    "measured; the two are never mixed."
)
LETTERS = (
    "A letter in the column `Data` says below the table how the data measured here differ from the "
    "published ones."
)


def methods_sections(outcome: StudyOutcome) -> list[Section]:
    """Return the sections on stimuli, subjects, analyses and intervals."""
    overview = [_overview(outcome), _unused(outcome), _columns(outcome)]
    return [
        Section("Methods", tuple(Paragraph(text) for text in overview if text)),
        Section("Stimuli", _stimuli(outcome), level=2),
        Section("Subjects", _subjects(outcome), level=2),
        Section("Recordings", _recordings(outcome), level=2),
        Section("Analyses", (_analyses(outcome), *_intervals(outcome)), level=2),
    ]


def _overview(outcome: StudyOutcome) -> str:
    study = outcome.study
    subjects = {name for item in study.analyses for name in item.subjects}
    recorded = sum(study.subjects[name].recording is not None for name in subjects)
    shown = {name for item in study.analyses for name in item.stimuli}
    does = []
    if len(subjects) > recorded:
        sets = f"shows {counted(len(shown), 'set')} of stimuli to "
        does.append(sets + counted(len(subjects) - recorded, "subject"))
    if recorded:
        does.append(f"reads {counted(recorded, 'recording')}")
    return (
        f"The study {code(study.name)} {' and '.join(does)} and runs "
        f"{counted(len({item.analysis for item in study.analyses}), 'kind')} of analysis on what "
        f"was recorded: {counted(len(outcome.results), 'result')}. Random numbers come from the "
        f"seed {study.seed} wherever no option `seed` names another."
    )


def _unused(outcome: StudyOutcome) -> str:
    """Name what the study declares and no analysis uses: nothing was measured of it."""
    subjects, stimuli = unused_names(outcome.study)
    if not subjects and not stimuli:
        return ""
    parts = []
    for kind, names in (("subjects", subjects), ("stimuli", stimuli)):
        parts += [f"{kind} {listed(map(code, names))}"] if names else []
    return f"Named in the study, but used by no analysis: {' and '.join(parts)}."


def _columns(outcome: StudyOutcome) -> str:
    rows = outcome.claims.values()
    if not any(row.published is not None for row in rows):
        return ""
    marked = any(row.data and row.measured is not None for row in rows)
    return f"{COLUMNS} {LETTERS}" if marked else COLUMNS


def _intervals(outcome: StudyOutcome) -> tuple[Block, ...]:
    """Say how the intervals of every analysis were made, and what they are about."""
    used: dict[str, dict[str, None]] = {}
    for key, result in outcome.results.items():
        for method in interval_methods(result):
            used.setdefault(method, {})[key.analysis] = None
    if not used:
        return (Paragraph("None of these results has an interval."),)
    first = "Intervals are 95 % intervals, two-sided, made in these ways:"
    items = tuple(f"{markdown(how)}: {listed(map(code, names))}" for how, names in used.items())
    blocks: tuple[Block, ...] = (Paragraph(first), Bullets(items))
    if any("identit" in how or "people" in how for how in used):
        blocks += (Paragraph(ABOUT_IDENTITIES),)
    return blocks


def _stimuli(outcome: StudyOutcome) -> tuple[Block, ...]:
    items = []
    for name, spec in outcome.study.stimuli.items():
        if name in outcome.descriptions:
            items.append(_stimuli_words(name, spec, outcome.descriptions[name]))
    constructions = dict.fromkeys(_construction(spec) for spec in outcome.study.stimuli.values())
    words = [Paragraph(text) for text in constructions if text]
    return (*words, Bullets(tuple(items))) if items else ()


def _recordings(outcome: StudyOutcome) -> tuple[Block, ...]:
    """Return what was read of each recording, and what could not be used."""
    items = []
    for (subject, shown), made in outcome.subjects.items():
        if shown == RECORDED:
            items.append(_recording_words(outcome.study.label(subject), made))
    words = Paragraph(
        "Recordings are read from files, not made: every one is analysed on what it was shown. "
        "What the reader could not use is set aside."
    )
    return (words, Bullets(tuple(items))) if items else ()


def _recording_words(label: str, made: SubjectDescription) -> str:
    said = made.recorded
    aside = f"Columns, rows, trials and stimuli set aside: {markdown(said['n_set_aside'])}"
    aside += f" ({markdown(said['set_aside'])})." if said["set_aside"] else "."
    aside += f" Notes of the reader: {markdown(said['notes'])}." if said.get("notes") else ""
    parts = [
        f"{recording_words(f'**{markdown(label)}**', made)}; file {code(said['file'])}"
        + (f" with stimulus table {code(said['table'])}" if said["table"] else "")
        + f" ({code(made.identifier)}); trials: {markdown(said['n_trials'])}; "
        f"sites {values_words(made.sites)}; heads {values_words(said['heads'])}; "
        f"expressions {values_words(said['expressions'])}; "
        f"strengths {values_words(said['strengths'])}.",
        f"Options: {_written(made.options)}." if made.options else "",
        aside,
        f"Neurons dropped: {markdown(said['n_neurons_dropped'])}; presentations with a missing "
        f"response: {markdown(said['missing'])}.",
    ]
    return " ".join(part for part in parts if part)


def _strengths(shown: StimuliDescription) -> str:
    if len(shown.strengths) > 1 and not shown.graded:
        return f"strengths from {shown.strengths[0]:.2g} to {shown.strengths[-1]:.2g}, neutral 0"
    return f"strengths {values_words(shown.columns['strength'])}"


def _stimuli_words(name: str, spec: StimuliSpec, shown: StimuliDescription) -> str:
    columns = shown.columns
    sizes = {len(names) for names in shown.identities.values()}
    each = len(sizes) == 1 and len(shown.identities) > 1 and all(shown.identities)
    people = (
        f"{counted(sizes.pop(), 'identity', 'identities')} per head"
        if each
        else identities_words(shown.identities)
    )
    height, width = shown.size
    made_here = set(shown.kind.split(", ")) <= {"rendered", "simulated"}
    size = f"{width} × {height} pixels"
    parts = [
        f"**{markdown(name)}** ({code(shown.identifier)}): {images_words(shown)}"
        + (f" of {size}" if made_here else f", the first of {size}")
        + f"; heads {values_words(columns['head'])}; {people}; "
        f"expressions {values_words(columns['expression'])}; {_strengths(shown)}.",
        f"Parameters: {_written(spec.parameters)}." if spec.parameters else "",
        f"Selected: {_written(spec.select)}." if spec.select else "",
        f"A gray box covers the {markdown(spec.occluder)}." if spec.occluder else "",
        spec.about,
        f"How it differs from the published data: {spec.differs}." if spec.differs else "",
    ]
    return " ".join(part for part in parts if part)


def _construction(spec: StimuliSpec) -> str:
    if spec.set is None:
        return ""
    from neurofer.stimuli.catalogue import stimuli_card

    card = stimuli_card(spec.set)
    return f"**{card.title}.** {card.methods()}"


def _subjects(outcome: StudyOutcome) -> tuple[Block, ...]:
    from neurofer.stimuli.protocols import PROTOCOLS

    used = dict.fromkeys(
        s.training.protocol
        for s in outcome.study.subjects.values()
        if s.training is not None and not s.training.images
    )
    protocols = Bullets(tuple(f"**{markdown(name)}**: {PROTOCOLS.get(name, '')}." for name in used))
    words = Paragraph(
        "Every subject sees images alone; it is told a landmark or a head only where its options "
        "say so (`ground-truth`, `oracle`). Subjects are trained on the images of a protocol:"
    )
    columns = (
        Column("Subject", share=1.1),
        Column("Identifier and training", share=1.8),
        Column("All options", share=3),
    )
    rows = []
    first: dict[str, tuple[str, SubjectDescription]] = {}
    for subject in dict.fromkeys(name for name, s in outcome.subjects if s != RECORDED):
        made = {s: m for (name, s), m in outcome.subjects.items() if name == subject}
        some, label = next(iter(made.values())), outcome.study.label(subject)
        rows.append(
            (
                Cell(markdown(label)),
                Cell("; ".join(_training(outcome, subject, made))),
                Cell(_options(some, *first.setdefault(some.name, (label, some)))),
            )
        )
    caption = "A subject that was trained anew for other stimuli has an identifier for each."
    table = Table("subjects", "The subjects.", columns, tuple(rows), caption, small=True)
    if not rows:
        return ()
    return (words, protocols, table) if used else (table,)


def _training(
    outcome: StudyOutcome, subject: str, made: Mapping[str, SubjectDescription]
) -> list[str]:
    """Return every identifier of a subject, with what it was trained on there."""
    spec = outcome.study.subjects[subject].training
    sources: dict[str, list[str]] = {}
    for stimuli, one in made.items():
        where = "" if spec is None else spec.stimuli or stimuli
        said = sources.setdefault(one.identifier, [])
        said += [where] if where and where not in said else []
    some = next(iter(made.values()))
    weights = weights_words(outcome.study.subjects[subject].subject, some)
    if spec is None:
        training = "no training images in this study"
    else:
        chosen = "chosen by name from" if spec.images else f"{_protocol(spec)} of"
        training = f"{counted(some.n_training, 'image')}, {chosen} "
    about = f"{weights}; {training}" if weights else training
    return [
        f"{code(name)}: {about}{listed(map(markdown, where))}" for name, where in sources.items()
    ]


def _protocol(spec: TrainingSpec) -> str:
    """Return a protocol with its parameters, such as "twelve-first (head=ada)"."""
    said = ", ".join(f"{name}={value}" for name, value in spec.parameters.items())
    return f"{spec.protocol} ({said})" if said else spec.protocol


def _options(made: SubjectDescription, label: str, like: SubjectDescription) -> str:
    """Return all options; of a further subject of a kind, those that differ from the first."""
    if made is like or set(made.options) != set(like.options):
        return _written(made.options)
    other = {name: value for name, value in made.options.items() if like.options[name] != value}
    as_first = f"as {markdown(label)}"
    return f"{as_first}, but {_written(other)}" if other else as_first


def _analyses(outcome: StudyOutcome) -> Table:
    """Return one row per analysis, or one for each set of options where its subjects differ."""
    from neurofer.analyses import ANALYSES

    columns = (
        Column("Name", share=1),
        Column("Analysis", share=2),
        Column("Of", share=2),
        Column("On", share=1.2),
        Column("All options", share=2.2),
    )
    rows = []
    for item in outcome.study.analyses:
        chosen = f" Presentations: {_written(item.select)}." if item.select else ""
        names = [
            Cell(markdown(item.name)),
            Cell(f"{item.analysis}: {ANALYSES[item.analysis].summary}"),
        ]
        for options, subjects, stimuli in _asked(item, outcome):
            of = ", ".join(markdown(outcome.study.label(name)) for name in subjects)
            rows.append((*names, Cell(of), Cell(", ".join(stimuli)), Cell(options + chosen)))
            names = [Cell(""), Cell("")]
    return Table("analyses", "The analyses.", columns, tuple(rows), small=True)


def _asked(item: AnalysisSpec, outcome: StudyOutcome) -> list[tuple[str, list[str], list[str]]]:
    """Return (options as they were taken, subjects, stimuli) of an analysis, equal ones together.

    The default site is the subject's own, so that the options can differ between subjects.
    """
    groups: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for key, result in outcome.results.items():
        if key.analysis == item.name:
            stated = result.attrs.get("options", "")
            options = _written(json.loads(stated)) if stated else _written(item.options)
            subjects, stimuli = groups.setdefault(options, ({}, {}))
            subjects[key.subject] = None
            stimuli[key.stimuli] = None
    if not groups:
        said = f"{_written(item.options)}; there is no result"
        return [(said, list(item.subjects), list(item.stimuli or (RECORDED,)))]
    return [(options, list(of), list(on)) for options, (of, on) in groups.items()]


def _written(options: Any) -> str:
    """Write options as code: `seed=0` `held_out=True`."""
    return ", ".join(code(f"{name}={_value(value)}") for name, value in options.items()) or "none"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
