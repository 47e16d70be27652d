"""What a report must say of the stimuli and subjects, kept beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.files import write_whole
from neurofer.recording.sites import all_sites

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet


_FEW = 8  # strengths that a reader would want to see listed


@dataclass(frozen=True)
class SubjectDescription:
    """A subject as it was made: identifier, every option, what it was trained on.

    `recorded` says of a recording what it holds and what could not be used of it.
    """

    name: str
    identifier: str
    options: Mapping[str, Any]
    training: str = ""
    n_training: int = 0
    sites: tuple[str, ...] = ()
    default_sites: tuple[str, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StimuliDescription:
    """Stimuli as they were shown: identifier, number, and what occurs in each column."""

    identifier: str
    n: int
    columns: Mapping[str, tuple[Any, ...]]
    identities: Mapping[str, tuple[str, ...]]
    size: tuple[int, int]

    @property
    def kind(self) -> str:
        """What the images are: "rendered", "photograph", "simulated"."""
        return ", ".join(source for source in self.columns["source"] if source) or "not stated"

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths above 0 that occur, ascending."""
        return tuple(sorted(strength for strength in self.columns["strength"] if strength))

    @property
    def graded(self) -> bool:
        """Whether expressions are shown at a few strengths, and not each image at its own."""
        return 1 < len(self.strengths) <= _FEW


def describe_subject(subject: Any, training: StimulusSet | None) -> SubjectDescription:
    """Describe a subject as it was made; its sites with those that are recorded where named."""
    return SubjectDescription(
        name=subject.name,
        identifier=subject.identifier,
        options=dict(subject.options),
        training="" if training is None else training.identifier,
        n_training=0 if training is None else len(training),
        sites=tuple(all_sites(subject)),
        default_sites=tuple(subject.default_sites),
    )


def describe_stimuli(stimuli: StimulusSet) -> StimuliDescription:
    """Describe stimuli: the values in each column, identities by head, the first image's size."""
    table = stimuli.table
    columns: dict[str, tuple[Any, ...]] = {
        name: tuple(dict.fromkeys(table[name].tolist()))
        for name in ("head", "expression", "strength", "view", "source")
    }
    identities: dict[str, tuple[str, ...]] = {}
    for head, identity in zip(table["head"], table["identity"], strict=True):
        seen = identities.get(str(head), ())
        if str(identity) not in seen:
            identities[str(head)] = (*seen, str(identity))
    height, width = stimuli.image(0).shape[:2]
    return StimuliDescription(
        stimuli.identifier, len(stimuli), columns, identities, (int(height), int(width))
    )


def write_description(description: SubjectDescription, path: Path) -> None:
    """Write a description as JSON, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(asdict(description), default=str), encoding="utf-8")


def read_description(path: Path) -> SubjectDescription | None:
    """Read a description; None where there is none, or none that can be read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        sites = {name: tuple(raw[name]) for name in ("sites", "default_sites")}
        return SubjectDescription(**{**raw, **sites})
    except (OSError, ValueError, TypeError, KeyError):
        return None
