"""Where the recording of a cell comes from: a subject that is shown stimuli, or a file.

Every source has a key (a hash of all that decides its recording), a description and a recording;
the rest of a study does not ask which kind it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from neurofer.closure import closure_hash
from neurofer.errors import NeuroferError
from neurofer.files import content_hash, files_read, sha256_file
from neurofer.recording.store import RecordingStore, response_source
from neurofer.sealed import cached
from neurofer.studies.descriptions import (
    SubjectDescription,
    describe_recording,
    describe_subject,
    plain,
    read_description,
    write_description,
)
from neurofer.studies.loading import decides_training, training_stimuli
from neurofer.studies.study import RECORDED, SubjectSpec

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.stimuli import StimulusSet

MOST_SUBJECTS = 3  # kept in memory at once; each may hold a network


class Source(Protocol):
    """Makes or reads the recordings of one subject of a study."""

    def kinship(self, shown: str) -> tuple[str, str | None]:
        """Return what cells have in common that should be worked on by one process."""

    def described(self, shown: str) -> SubjectDescription | None:
        """Return the description from the cache; None where it is to be made."""

    def describe(self, shown: str) -> SubjectDescription:
        """Return the description, made and kept where the cache does not have it."""

    def content(self, shown: str) -> list[str]:
        """Return what, besides the description, decides the recording of these stimuli."""

    def record(self, shown: str, sites: Sequence[str]) -> tuple[xr.DataArray, int]:
        """Return the recording, and how many sites had to be recorded for it."""

    def options(self, options: Mapping[str, Any], recording: xr.DataArray) -> dict[str, Any]:
        """Return the options of an analysis as they fit what the recording holds."""


class Shown:
    """A subject of the registry, which is shown the stimuli of the study."""

    def __init__(
        self,
        spec: SubjectSpec,
        stimuli: Callable[[str], StimulusSet],
        cache: Path,
        made: dict[str, Any],
        trained: dict[str, StimulusSet],
    ) -> None:
        """Make recordings of a subject.

        Args:
            spec: the subject in the study.
            stimuli: returns stimuli of the study by their name.
            cache: the folder of descriptions and recordings.
            made: subjects in memory, by key; shared by the sources of a bench.
            trained: training images in memory, by key; shared as well.
        """
        self.spec, self.cache = spec, cache
        self._stimuli, self._made, self._trained = stimuli, made, trained

    def training(self, shown: str) -> StimulusSet | None:
        """Return what the subject is trained on when it is tested on these stimuli."""
        if self.spec.training is None:
            return None
        source = self.spec.training.stimuli or shown
        key = content_hash(source, decides_training(self.spec))
        if key not in self._trained:
            self._trained[key] = training_stimuli(self._stimuli(source), self.spec)
        return self._trained[key]

    def kinship(self, shown: str) -> tuple[str, str | None]:
        """Return what cells have in common that should be worked on by one process."""
        training = self.training(shown)
        return self.spec.subject, None if training is None else training.content

    def described(self, shown: str) -> SubjectDescription | None:
        """Return the description from the cache; None where it is to be made."""
        key = self._key(shown)
        found = None if key is None else cached(self._path(key), read_description)
        return found if found is None or _unchanged(found.files) else None

    def describe(self, shown: str) -> SubjectDescription:
        """Return the description, made and kept where the cache does not have it."""
        found = self.described(shown)
        if found is not None:
            return found
        self._made.pop(self._memory_key(shown), None)  # made again, to see which files it reads
        with files_read() as files:
            subject = self._load(shown)
            description = describe_subject(subject, self.training(shown))
        hashes = {str(path): sha256_file(path) for path in sorted(files)}
        description = replace(description, files=hashes, source=response_source(type(subject)))
        key = self._key(shown)
        if key is not None and description.source is not None:
            write_description(description, self._path(key))
        # As it is read from now on: a tuple among the options is a list in JSON.
        return SubjectDescription.from_plain(json.loads(plain(description)))

    def content(self, shown: str) -> list[str]:
        """Return what, besides the description, decides the recording of these stimuli."""
        stimuli = self._stimuli(shown)
        return [stimuli.identifier, stimuli.content]

    def record(self, shown: str, sites: Sequence[str]) -> tuple[xr.DataArray, int]:
        """Return the recording, and how many sites had to be recorded for it."""
        stimuli = self._stimuli(shown)
        store = RecordingStore(self.cache / "recordings")
        # To read what was recorded before, the store needs a subject's name and sites only.
        subject: Any = self.describe(shown)
        lacking = store.lacking(subject, stimuli, sites)
        if lacking:
            subject = self._load(shown)
        return store.record(subject, stimuli, sites=sites, progress=False), len(lacking)

    def options(self, options: Mapping[str, Any], recording: xr.DataArray) -> dict[str, Any]:
        """Return the options of an analysis as they fit what the recording holds."""
        return dict(options)

    def _path(self, key: str) -> Path:
        return self.cache / "subjects" / f"{key}.json"

    def _key(self, shown: str) -> str | None:
        """Return a hash of all that decides the subject but the files that it reads.

        Those are listed in its description. None where a user's subject has no source.
        """
        from neurofer.subjects.registry import subject_source

        source = response_source(subject_source(self.spec.subject))
        if source is None:
            return None
        training = self.training(shown)
        content = None if training is None else training.content
        files = {name: _file_state(value) for name, value in self.spec.options.items()}
        return content_hash(self.spec.subject, self.spec.options, files, content, source)

    def _memory_key(self, shown: str) -> str:
        training = self.training(shown)
        content = None if training is None else training.content
        return content_hash(self.spec.subject, repr(sorted(self.spec.options.items())), content)

    def _load(self, shown: str) -> Any:
        from neurofer.subjects import load_subject

        key = self._memory_key(shown)
        if key not in self._made:
            while len(self._made) >= MOST_SUBJECTS:
                del self._made[next(iter(self._made))]
            options = self.spec.options
            self._made[key] = load_subject(
                self.spec.subject, training=self.training(shown), **options
            )
        return self._made[key]


class Recorded:
    """A file of recorded neurons, read with its stimulus table and the options of the reader."""

    def __init__(self, spec: SubjectSpec, cache: Path, read: dict[str, xr.DataArray]) -> None:
        """Read the recording of a subject.

        Args:
            spec: the subject in the study.
            cache: the folder of descriptions.
            read: the recording that was read last, by key; shared by the sources of a bench.
        """
        self.spec, self.cache, self._read = spec, cache, read

    def kinship(self, shown: str) -> tuple[str, str | None]:
        """Return what cells have in common that should be worked on by one process."""
        return RECORDED, self._key()

    def described(self, shown: str) -> SubjectDescription | None:
        """Return the description from the cache; None where it is to be made."""
        return cached(self._path(), read_description)

    def describe(self, shown: str) -> SubjectDescription:
        """Return the description, made and kept where the cache does not have it."""
        found = self.described(shown)
        if found is None:
            found = describe_recording(self.spec, self._recording(), self._key())
            write_description(found, self._path())
        return SubjectDescription.from_plain(json.loads(plain(found)))

    def content(self, shown: str) -> list[str]:
        """Return what, besides the description, decides the recording of these stimuli."""
        return [self._key()]

    def record(self, shown: str, sites: Sequence[str]) -> tuple[xr.DataArray, int]:
        """Return the recording, and how many sites had to be recorded for it."""
        return self._recording(), 0

    def options(self, options: Mapping[str, Any], recording: xr.DataArray) -> dict[str, Any]:
        """Return the options, without the site where the recording has one only.

        Sites name layers of models: those of the analysis's default, or of the models beside it.
        """
        one = len(set(recording["site"].to_numpy().tolist())) == 1
        return {**options, **({"site": None} if one else {})}

    def _recording(self) -> xr.DataArray:
        from neurofer.recording import read_neurons

        key = self._key()
        if key not in self._read:
            self._read.clear()
            path = existing(self.spec.recording)
            self._read[key] = read_neurons(path, self.spec.stimuli, **self.spec.options)
        return self._read[key]

    def _key(self) -> str:
        """Return a hash of all that decides what is read: both files, the options, the reader."""
        files = [existing(self.spec.recording)]
        files += [] if self.spec.stimuli is None else [existing(self.spec.stimuli)]
        said = repr(sorted(self.spec.options.items()))
        code = closure_hash("neurofer.recording.neurons")
        # The name of the file is that of the subject in the result.
        return content_hash(files[0].name, *map(sha256_file, files), said, code)

    def _path(self) -> Path:
        return self.cache / "subjects" / f"{self._key()}.json"


def existing(path: Path | None) -> Path:
    """Return the path of a file that a study names; a NeuroferError where there is none."""
    assert path is not None
    if not path.is_file():
        raise NeuroferError(f"there is no file {path}")
    return path


def _unchanged(files: Mapping[str, str]) -> bool:
    """Whether the weights that a subject was made from are still what they were."""
    return all(Path(name).is_file() and sha256_file(name) == was for name, was in files.items())


def _file_state(value: Any) -> str | None:
    """Return the hash of a file that an option names, so that a changed file is noticed."""
    if not isinstance(value, (str, Path)) or len(str(value)) > 1000:
        return None
    return sha256_file(value) if Path(value).is_file() else None
