"""Recordings as subjects of a study: a laboratory's own neurons, or a model's, in a file.

A recording was shown what it was shown, whatever stimuli an analysis names for others: its results
stand under `RECORDED`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import code_hash, content_hash, sha256_file
from neurofer.studies.descriptions import SubjectDescription

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.studies.study import Study, SubjectSpec

RECORDED = "recorded"


def check_recordings(study: Study) -> None:
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


def check_options(name: str, spec: SubjectSpec) -> None:
    """Refuse options that `read_neurons` does not have."""
    known = _options()
    for option in spec.options:
        if option not in known:
            raise unknown_choice("option", option, known, f"subjects.{name}, a recording")


def read_recording(spec: SubjectSpec) -> xr.DataArray:
    """Read the file of a subject, with its stimulus table and options."""
    from neurofer.recording import read_neurons

    return read_neurons(_path(spec.recording), spec.stimuli, **spec.options)


def recording_key(spec: SubjectSpec) -> str:
    """Return a hash of all that decides what is read: both files, the options, the reader.

    Raises:
        NeuroferError: a file is missing.
    """
    files = [_path(spec.recording), *([] if spec.stimuli is None else [_path(spec.stimuli)])]
    said = repr(sorted(spec.options.items()))
    # The name of the file is that of the subject in the result.
    return content_hash(
        files[0].name,
        *map(sha256_file, files),
        said,
        code_hash("recording", "tables.py", "hdf5.py"),
    )


def describe_recording(spec: SubjectSpec, recording: xr.DataArray) -> SubjectDescription:
    """Describe a recording: what was recorded, of what, and what `read_neurons` set aside."""
    columns: dict[str, list[Any]] = {
        name: list(dict.fromkeys(recording[name].to_numpy().tolist()))
        for name in ("head", "expression", "strength", "source", "site")
    }
    pairs = zip(recording["head"].to_numpy(), recording["identity"].to_numpy(), strict=True)
    said = {name: str(recording.attrs.get(name, "not stated")) for name in COUNTS}
    path = _path(spec.recording)
    recorded = {
        "file": path.name,
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
        identifier=f"{recording.attrs.get('subject', path.stem)}-{recording_key(spec)[:8]}",
        options=dict(spec.options),
        sites=tuple(map(str, columns["site"])),
        recorded=recorded,
    )


COUNTS = ("n_set_aside", "n_neurons_dropped", "missing", "n_trials")


def site_options(options: Mapping[str, Any], recording: xr.DataArray) -> dict[str, Any]:
    """Return the options of an analysis, without the site where a recording has one only.

    Sites name layers of models: those of the analysis's default, or of the models beside it.
    """
    one = len(set(recording["site"].to_numpy().tolist())) == 1
    return {**options, **({"site": None} if one else {})}


def _path(path: Path | None) -> Path:
    assert path is not None
    if not path.is_file():
        raise NeuroferError(f"there is no file {path}")
    return path


def _options() -> list[str]:
    from neurofer.recording import read_neurons

    return list(inspect.signature(read_neurons).parameters)[2:]
