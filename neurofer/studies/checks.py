"""Whether a study makes sense: names that refer to something, and things that exist."""

from __future__ import annotations

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.options import check_options
from neurofer.schema import unique
from neurofer.studies.criteria import parse_criterion
from neurofer.studies.file_names import check_file_names
from neurofer.studies.study import RECORDED, ClaimSpec, Names, Study, SubjectSpec, TableSpec


def check_names(study: Study) -> None:
    """Refuse sets, protocols, subjects, analyses and options that do not exist, before any work.

    Raises:
        NeuroferError: names the thing and the choices.
    """
    from neurofer.analyses import ANALYSES
    from neurofer.stimuli import list_stimuli
    from neurofer.stimuli.cards import find_card
    from neurofer.stimuli.protocols import check_protocol
    from neurofer.subjects import list_subjects

    check_file_names(study)
    for name, stimuli in study.stimuli.items():
        if stimuli.set is not None and stimuli.set.lower().endswith((".yaml", ".yml")):
            find_card(stimuli.set)
        elif stimuli.set is not None and stimuli.set not in list_stimuli():
            raise unknown_choice("set", stimuli.set, list_stimuli(), f"stimuli.{name}")
    for name, subject in study.subjects.items():
        if subject.recording is not None:
            _check_reader_options(name, subject)
            continue
        if subject.subject not in list_subjects():
            raise unknown_choice("subject", subject.subject, list_subjects(), f"subjects.{name}")
        if subject.training is not None:
            check_protocol(subject.training.protocol, subject.training.parameters)
    for item in study.analyses:
        where = f"analyses, {item.name!r}"
        if item.analysis not in ANALYSES:
            raise unknown_choice("analysis", item.analysis, ANALYSES, where)
        check_options(ANALYSES[item.analysis].run, item.options, where)
    pairing = [name for name, one in ANALYSES.items() if one.difference is not None]
    for claim in study.claims:
        if claim.minus and study.analysis(str(claim.analysis)).analysis not in pairing:
            raise NeuroferError(f"claim {claim.id!r}: 'minus' is for {', '.join(pairing)} only")


def unused_names(study: Study) -> tuple[list[str], list[str]]:
    """Return the subjects and the stimuli of a study that no analysis uses.

    Stimuli are used where they are shown, or where a subject that is used is trained on them.
    """
    subjects = {name for item in study.analyses for name in item.subjects}
    stimuli = {name for item in study.analyses for name in item.stimuli}
    for name in subjects:
        training = study.subjects[name].training
        stimuli |= {training.stimuli} if training and training.stimuli else set()
    return (
        [name for name in study.subjects if name not in subjects],
        [name for name in study.stimuli if name not in stimuli],
    )


def check_study(study: Study) -> None:
    """Refuse names that refer to nothing, and names given twice.

    Raises:
        NeuroferError: names the thing, its place and the choices.
    """
    for name, spec in study.stimuli.items():
        if (spec.set is None) == (spec.folder is None):
            raise NeuroferError(f"stimuli.{name} must have either 'set' or 'folder'")
    for name, subject in study.subjects.items():
        training = subject.training
        if training is not None and training.stimuli is not None:
            check_choice("stimuli", training.stimuli, study.stimuli, f"subjects.{name}.training")
    if not study.analyses:
        raise NeuroferError("'analyses' is empty: a study needs at least one")
    _check_recordings(study)
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
    check_file_names(study)
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


def _check_recordings(study: Study) -> None:
    """Refuse subjects that are neither or both, and analyses that show nothing to a model.

    Raises:
        NeuroferError: names the subject or the analysis.
    """
    recorded = {name for name, one in study.subjects.items() if one.recording is not None}
    for name, one in study.subjects.items():
        if bool(one.subject) == (name in recorded):
            raise NeuroferError(f"subjects.{name} must have either 'subject' or 'recording'")
        if name in recorded and one.training is not None:
            raise NeuroferError(f"subjects.{name} is a recording, which has no 'training'")
        if name not in recorded and one.stimuli is not None:
            raise NeuroferError(
                f"subjects.{name} has 'stimuli', the stimulus table of a recording, and no "
                "'recording'; what a model is shown stands in its analyses"
            )
    if recorded and RECORDED in study.stimuli:
        raise NeuroferError(f"stimuli.{RECORDED}: that is the name of what recordings were shown")
    for item in study.analyses:
        if not item.stimuli and not set(item.subjects) <= recorded:
            raise NeuroferError(f"analyses, {item.name!r} lacks the key 'stimuli'")


def _check_reader_options(name: str, spec: SubjectSpec) -> None:
    """Refuse options that `read_neurons` does not have, and values that it does not take."""
    from neurofer.recording import read_neurons

    check_options(read_neurons, spec.options, f"subjects.{name}, a recording", skip=2)
