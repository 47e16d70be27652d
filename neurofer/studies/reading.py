"""How a study file is found, read, expanded and written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from neurofer.errors import NeuroferError
from neurofer.files import content_folder, expanded
from neurofer.schema import dump_yaml, load_yaml, validated
from neurofer.studies.checks import check_study
from neurofer.studies.study import ClaimSpec, Study, StudyPart

Part = TypeVar("Part", bound=StudyPart)


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
        check_study(study)
    except NeuroferError as error:
        raise NeuroferError(f"{file}: {error}") from None
    base = file.resolve().parent
    stimuli = {name: _anchored(spec, base) for name, spec in study.stimuli.items()}
    subjects = {name: _anchored(spec, base) for name, spec in study.subjects.items()}
    return study.model_copy(update={"stimuli": stimuli, "subjects": subjects})


def find_study(path: str | os.PathLike[str]) -> Path:
    """Return the path of a study: the file itself, or the packaged study of that name."""
    file = expanded(path)
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
