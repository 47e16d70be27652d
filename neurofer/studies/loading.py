"""The stimuli that a study names, loaded: what is shown, and what a subject is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.studies.study import StimuliSpec, SubjectSpec

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet

OPTIMIZED = "twelve-optimized"  # the protocol that needs a score, which is the subject's own


def load_spec(spec: StimuliSpec, progress: bool | None = False) -> StimulusSet:
    """Return the stimuli that a study's specification names."""
    from neurofer.stimuli import load_stimuli, read_stimuli

    if spec.folder is not None:
        stimuli = read_stimuli(spec.folder)
    else:
        stimuli = load_stimuli(str(spec.set), progress=progress, **spec.parameters)
    if spec.select:
        stimuli = stimuli.select(**spec.select)
    if spec.occluder:
        from neurofer.stimuli.occlusion import occlude

        stimuli = occlude(stimuli, spec.occluder)
    return stimuli


def training_stimuli(stimuli: StimulusSet, spec: SubjectSpec) -> StimulusSet:
    """Return the training images of a subject, named one by one or by a protocol.

    Where the protocol chooses images by a score, that is the subject's own, or that of the subject
    which `parameters` name as `chosen_by`.

    Raises:
        NeuroferError: an image or a protocol is unknown, or the protocol needs a score that this
            kind of subject does not have.
    """
    from neurofer.stimuli import protocol

    training = spec.training
    assert training is not None
    if training.images:
        return _named(stimuli, training.images)
    parameters = dict(training.parameters)
    if training.protocol == OPTIMIZED:
        head = parameters.get("head") or str(stimuli.table["head"].iloc[0])
        chooser = parameters.pop("chosen_by", spec.subject)
        parameters["score"] = _score(chooser, head, spec.options)
    return protocol(stimuli, training.protocol, **parameters)


def decides_training(spec: SubjectSpec) -> dict[str, Any]:
    """Return what of a subject decides its training images, besides the stimuli."""
    training = spec.training
    assert training is not None
    # Only the search for templates looks at the subject itself.
    own = [spec.subject, spec.options] if training.protocol == OPTIMIZED else []
    return {**training.model_dump(mode="json"), "own": repr(own)}


def _score(name: str, head: str, options: Mapping[str, Any]) -> Any:
    from neurofer.subjects.registry import subject_factory

    factory = subject_factory(name)
    score = getattr(factory, "training_score", None)
    if score is None:
        raise NeuroferError(
            f"protocol {OPTIMIZED!r} chooses images by a subject's own score, which {name!r} does "
            "not have; name the subject that chooses (chosen_by: md-nre), or the images themselves"
        )
    return score(head, **options)


def _named(stimuli: StimulusSet, images: Sequence[str]) -> StimulusSet:
    """Return the stimuli of these ids, in this order."""
    ids = stimuli.table["stimulus_id"].tolist()
    for name in images:
        if name not in ids:
            raise unknown_choice("stimulus_id", name, ids, f"stimulus set {stimuli.name!r}")
    return stimuli.take([ids.index(name) for name in images])
