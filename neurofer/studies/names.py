"""Whether all that a study names exists: sets, protocols, subjects, analyses and their options."""

from __future__ import annotations

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.studies.recorded import check_options
from neurofer.studies.study import Study


def check_names(study: Study) -> None:
    """Refuse sets, protocols, subjects, analyses and options that do not exist, before any work.

    Raises:
        NeuroferError: names the thing and the choices.
    """
    from neurofer.analyses import ANALYSES
    from neurofer.stimuli import list_stimuli
    from neurofer.stimuli.protocols import check_protocol
    from neurofer.subjects import list_subjects

    for name, stimuli in study.stimuli.items():
        if stimuli.set is not None and stimuli.set not in list_stimuli():
            raise unknown_choice("set", stimuli.set, list_stimuli(), f"stimuli.{name}")
    for name, subject in study.subjects.items():
        if subject.recording is not None:
            check_options(name, subject)
            continue
        if subject.subject not in list_subjects():
            raise unknown_choice("subject", subject.subject, list_subjects(), f"subjects.{name}")
        if subject.training is not None:
            check_protocol(subject.training.protocol, subject.training.parameters)
    for item in study.analyses:
        where = f"analyses, {item.name!r}"
        if item.analysis not in ANALYSES:
            raise unknown_choice("analysis", item.analysis, ANALYSES, where)
        known = ANALYSES[item.analysis].options()
        for option in item.options:
            if option not in known:
                raise unknown_choice("option", option, known, where)
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
