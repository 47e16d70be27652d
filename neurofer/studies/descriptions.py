"""What a report must say of the stimuli and subjects, kept beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.recording.sites import all_sites
from neurofer.sealed import DamagedError, read_sealed, write_sealed
from neurofer.studies.study import RECORDED, SubjectSpec

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.stimuli import StimulusSet


_FEW = 8  # strengths that a reader would want to see listed


@dataclass(frozen=True)
class SubjectDescription:
    """A subject as it was made: identifier, every option, what it was trained on.

    `recorded` says of a recording what it holds and what could not be used of it. `source` is a
    hash of the code that decides its responses, None where that is not known; `files` are the
    weights that it was made from, with their SHA-256.
    """

    name: str
    identifier: str
    options: Mapping[str, Any]
    training: str = ""
    n_training: int = 0
    sites: tuple[str, ...] = ()
    default_sites: tuple[str, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any]) -> SubjectDescription:
        """Return the description that was written as JSON."""
        sites = {name: tuple(raw[name]) for name in ("sites", "default_sites")}
        return cls(**{**raw, **sites})


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
    """Write a description as sealed JSON, whole or not at all."""
    with write_sealed(path) as partial:
        partial.write_text(plain(description), encoding="utf-8")


def read_description(path: Path) -> SubjectDescription:
    """Read a description.

    Raises:
        DamagedError: it is not what was written.
        OSError: there is none, or none that can be read.
    """
    try:
        return SubjectDescription.from_plain(json.loads(read_sealed(path)))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{path} is damaged: it does not describe a subject ({error})") from None


def plain(description: SubjectDescription) -> str:
    """Return a description as JSON."""
    return json.dumps(asdict(description), default=str)


COUNTS = ("n_set_aside", "n_neurons_dropped", "missing", "n_trials")


def describe_recording(spec: SubjectSpec, recording: xr.DataArray, key: str) -> SubjectDescription:
    """Describe a recording: what was recorded, of what, and what `read_neurons` set aside.

    Args:
        spec: the subject in the study.
        recording: as it was read.
        key: a hash of all that decides it.
    """
    columns: dict[str, list[Any]] = {
        name: list(dict.fromkeys(recording[name].to_numpy().tolist()))
        for name in ("head", "expression", "strength", "source", "site")
    }
    pairs = zip(recording["head"].to_numpy(), recording["identity"].to_numpy(), strict=True)
    said = {name: str(recording.attrs.get(name, "not stated")) for name in COUNTS}
    assert spec.recording is not None
    recorded = {
        "file": spec.recording.name,
        "table": "" if spec.stimuli is None else spec.stimuli.name,
        "kind": " and ".join(sorted(map(str, columns["source"]))),
        "stimuli": str(recording.attrs.get("stimuli", "not stated")),
        "presentations": recording.sizes["presentation"],
        "neurons": recording.sizes["neuroid"],
        "identities": len(set(pairs)),
        "heads": columns["head"],
        "expressions": columns["expression"],
        "strengths": sorted(columns["strength"]),
        "set_aside": str(recording.attrs.get("set_aside", "")),
        "notes": str(recording.attrs.get("notes", "")),
        **said,
    }
    return SubjectDescription(
        name=RECORDED,
        identifier=f"{recording.attrs.get('subject', spec.recording.stem)}-{key[:8]}",
        options=dict(spec.options),
        sites=tuple(map(str, columns["site"])),
        recorded=recorded,
        source=key,
    )
