"""The methods of a study in words, generated from what was run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neurofer.reports.blocks import Block, Bullets, Cell, Column, Paragraph, Section, Table
from neurofer.reports.figures import recording_words
from neurofer.reports.numbers import counted, listed
from neurofer.studies.descriptions import StimuliDescription, SubjectDescription
from neurofer.studies.recorded import RECORDED
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import StimuliSpec, TrainingSpec

INTERVALS = (
    "Intervals are 95 % intervals, two-sided, with identities as the independent units: the images "
    "of one identity share its peculiarities. How each was made stands below the tables and in the "
    "result files. An interval is about other identities of the same kind of head, not about other "
    "kinds of heads or images."
)
COLUMNS = (
    "In the tables **published** is the number of the paper and **measured** is what this run "
    "measured; the two are never mixed. A letter in the column `Data` says below the table how the "
    "data measured here differ from the published ones."
)


def methods_sections(outcome: StudyOutcome) -> list[Section]:
    """Return the sections on stimuli, subjects, analyses and intervals."""
    return [
        Section("Methods", (Paragraph(_overview(outcome)), Paragraph(COLUMNS))),
        Section("Stimuli", _stimuli(outcome), level=2),
        Section("Subjects", _subjects(outcome), level=2),
        Section("Recordings", _recordings(outcome), level=2),
        Section("Analyses", (_analyses(outcome), Paragraph(INTERVALS)), level=2),
    ]


def _overview(outcome: StudyOutcome) -> str:
    study = outcome.study
    recorded = sum(one.recording is not None for one in study.subjects.values())
    does = []
    if len(study.subjects) > recorded:
        sets = f"shows {counted(len(outcome.descriptions), 'set')} of stimuli to "
        does.append(sets + counted(len(study.subjects) - recorded, "subject"))
    if recorded:
        does.append(f"reads {counted(recorded, 'recording')}")
    return (
        f"The study `{study.name}` {' and '.join(does)} and runs "
        f"{counted(len({item.analysis for item in study.analyses}), 'kind')} of analysis on what "
        f"was recorded: {counted(len(outcome.results), 'result')}. All random numbers come from "
        f"the seed {study.seed}."
    )


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
    aside = f"Rows, trials and stimuli set aside: {said['n_set_aside']}"
    aside += f" ({said['set_aside']})." if said["set_aside"] else "."
    parts = [
        f"{recording_words(f'**{label}**', made)}; file `{said['file']}`"
        + (f" with stimulus table `{said['table']}`" if said["table"] else "")
        + f" (`{made.identifier}`); trials: {said['n_trials']}; sites {listed(made.sites)}; "
        f"heads {listed(map(str, said['heads']))}; {listed(map(str, said['expressions']))}; "
        f"strengths {listed(f'{s:g}' for s in said['strengths'])}.",
        f"Options: {_written(made.options)}." if made.options else "",
        aside,
        f"Neurons dropped: {said['n_neurons_dropped']}; presentations with a missing response: "
        f"{said['missing']}.",
    ]
    return " ".join(part for part in parts if part)


def _strengths(shown: StimuliDescription) -> str:
    if len(shown.strengths) > 1 and not shown.graded:
        return f"strengths from {shown.strengths[0]:.2g} to {shown.strengths[-1]:.2g}, neutral 0"
    return f"strengths {listed(f'{s:g}' for s in shown.columns['strength'])}"


def _stimuli_words(name: str, spec: StimuliSpec, shown: StimuliDescription) -> str:
    columns = shown.columns
    per_head = {len(names) for names in shown.identities.values()}
    identities = (
        f"{counted(per_head.pop(), 'identity', 'identities')} a head"
        if len(per_head) == 1
        else listed(f"{len(names)} of {head}" for head, names in shown.identities.items())
    )
    height, width = shown.size
    parts = [
        f"**{name}** (`{shown.identifier}`): {counted(shown.n, shown.kind + ' image')} "
        f"of {width} × {height} pixels; heads {listed(map(str, columns['head']))}; {identities}; "
        f"{listed(map(str, columns['expression']))}; "
        f"{_strengths(shown)}.",
        f"Parameters: {_written(spec.parameters)}." if spec.parameters else "",
        f"Selected: {_written(spec.select)}." if spec.select else "",
        f"A gray box covers the {spec.occluder}." if spec.occluder else "",
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
    protocols = Bullets(tuple(f"**{name}**: {PROTOCOLS.get(name, '')}." for name in used))
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
                Cell(label),
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
    images = "untrained"
    if spec is not None:
        chosen = "chosen by name from" if spec.images else f"{_protocol(spec)} of"
        images = f"{counted(some.n_training, 'image')}, {chosen} "
    return [f"`{name}`: {images}{listed(where)}" for name, where in sources.items()]


def _protocol(spec: TrainingSpec) -> str:
    """Return a protocol with its parameters, such as "twelve-first (head=ada)"."""
    said = ", ".join(f"{name}={value}" for name, value in spec.parameters.items())
    return f"{spec.protocol} ({said})" if said else spec.protocol


def _options(made: SubjectDescription, label: str, like: SubjectDescription) -> str:
    """Return all options; of a further subject of a kind, those that differ from the first."""
    if made is like:
        return _written(made.options)
    other = {name: value for name, value in made.options.items() if like.options[name] != value}
    return f"as {label}, but {_written(other)}" if other else f"as {label}"


def _analyses(outcome: StudyOutcome) -> Table:
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
        made = [result for key, result in outcome.results.items() if key.analysis == item.name]
        options = made[0].attrs.get("options", "") if made else ""
        written = _written(json.loads(options)) if options else _written(item.options)
        chosen = f" Presentations: {_written(item.select)}." if item.select else ""
        rows.append(
            (
                Cell(item.name),
                Cell(f"{item.analysis}: {ANALYSES[item.analysis].summary}"),
                Cell(", ".join(outcome.study.label(name) for name in item.subjects)),
                Cell(", ".join(item.stimuli or (RECORDED,))),
                Cell(written + chosen),
            )
        )
    return Table("analyses", "The analyses.", columns, tuple(rows), small=True)


def _written(options: Any) -> str:
    """Write options as code: `seed=0` `held_out=True`."""
    return ", ".join(f"`{name}={_value(value)}`" for name, value in options.items()) or "none"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
