"""Cells: one subject, shown one set of stimuli, put through its analyses; cached by content.

A cell that was computed before is read from the cache, without the subject being made. What decides
its content decides its key: the identifiers of subject and stimuli (hashes of weights, options,
training images and pixels), the analysis with all its options, the package's source and the
versions of the libraries. Every entry is written whole, so that a run can be killed anywhere and
goes on where it was.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import PACKAGE, cache_folder, code_hash, content_hash, sha256_file
from neurofer.recording.store import RESPONSE_CODE
from neurofer.studies.descriptions import (
    SubjectDescription,
    describe_subject,
    read_description,
    write_description,
)
from neurofer.studies.recorded import (
    RECORDED,
    describe_recording,
    read_recording,
    recording_key,
    site_options,
)
from neurofer.studies.results import write_result
from neurofer.studies.selection import selected, sites_of
from neurofer.studies.study import AnalysisSpec, StimuliSpec, Study, TrainingSpec

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.stimuli import StimulusSet

OPTIMIZED = "twelve-optimized"  # the protocol that needs a score
MOST_SUBJECTS = 3  # kept in memory at once; each may hold a network
# Libraries whose version can change a result.
LIBRARIES = ("numpy", "scipy", "torch", "scikit-learn", "statsmodels", "rsatoolbox", "pillow")


@dataclass(frozen=True)
class ResultKey:
    """Which result of a study: the analysis as named there, on which stimuli, of which subject."""

    analysis: str
    stimuli: str
    subject: str

    @property
    def stem(self) -> str:
        """The name of its files, without suffix."""
        return f"{self.analysis}.{self.stimuli}.{self.subject}"

    def __str__(self) -> str:
        return f"{self.analysis} of {self.subject} on {self.stimuli}"


@dataclass(frozen=True)
class Failure:
    """Something that failed and was set aside, in the user's words; `detail` is a traceback."""

    place: str
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Cell:
    """A subject of the study, stimuli of the study, and the names of the analyses."""

    subject: str
    stimuli: str
    analyses: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.subject} on {self.stimuli}"


@dataclass
class CellOutcome:
    """What became of a cell: a file a result, and how much had to be computed."""

    cell: Cell
    results: dict[ResultKey, Path] = field(default_factory=dict)
    description: SubjectDescription | None = None
    failures: list[Failure] = field(default_factory=list)
    recorded: int = 0
    analysed: int = 0


def plan_cells(study: Study) -> list[Cell]:
    """Return the cells of a study, those of a subject together."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for subject in study.subjects:
        for item in study.analyses:
            for stimuli in study.shown(item, subject) if subject in item.subjects else ():
                wanted.setdefault((subject, stimuli), []).append(item.name)
    return [Cell(subject, stimuli, tuple(names)) for (subject, stimuli), names in wanted.items()]


class Bench:
    """Where the cells of a study are worked on: stimuli and subjects are kept between cells."""

    def __init__(
        self,
        study: Study,
        cache: Path | None = None,
        stimuli: Mapping[str, StimulusSet] | None = None,
    ) -> None:
        """Work on this study; `cache` is a folder (default: the user's cache).

        `stimuli` are those of the study that were loaded before.
        """
        self.study = study
        self.cache = cache_folder("studies") if cache is None else cache
        self._stimuli: dict[str, StimulusSet] = dict(stimuli or {})
        self._training: dict[tuple[str, str], StimulusSet | None] = {}
        self._subjects: dict[str, Any] = {}
        self._recordings: dict[str, xr.DataArray] = {}  # the last that was read

    def stimuli(self, name: str) -> StimulusSet:
        """Return stimuli of the study."""
        if name not in self._stimuli:
            self._stimuli[name] = load_spec(self.study.stimuli[name])
        return self._stimuli[name]

    def training(self, subject: str, stimuli: str) -> StimulusSet | None:
        """Return what a subject is trained on when it is tested on `stimuli`."""
        spec = self.study.subjects[subject].training
        if spec is None:
            return None
        source = spec.stimuli or stimuli
        # Only the search for templates looks at the subject's options.
        options = self.study.subjects[subject].options if spec.protocol == OPTIMIZED else {}
        said = repr(sorted(options.items()))
        key = (source, content_hash(spec.images, spec.protocol, spec.parameters, said))
        if key not in self._training:
            self._training[key] = _trained_on(self.stimuli(source), spec, options)
        return self._training[key]

    def size(self, stimuli: str) -> int:
        """Return how many stimuli there are to be shown; recordings are read, not shown."""
        return 1 if stimuli == RECORDED else len(self.stimuli(stimuli))

    def kinship(self, cell: Cell) -> tuple[str, str | None]:
        """Return what cells have in common that should be worked on by one process."""
        if self._recorded(cell.subject):
            return RECORDED, cell.subject
        training = self.training(cell.subject, cell.stimuli)
        kind = self.study.subjects[cell.subject].subject
        return kind, None if training is None else training.content

    def read(self, cell: Cell) -> CellOutcome | None:
        """Return a cell from the cache; None where any of its results is not there."""
        description = read_description(self._description_path(cell))
        if description is None:
            return None
        paths = self._paths(cell, description)
        if not all(path.is_file() for path in paths.values()):
            return None
        return CellOutcome(cell, paths, description)

    def work(self, cell: Cell) -> CellOutcome:
        """Read or compute every result of a cell; what fails is named in it, the rest goes on."""
        outcome = CellOutcome(cell)
        try:
            outcome.description = self._describe(cell)
            paths = self._paths(cell, outcome.description)
            lacking = [key for key, path in paths.items() if not path.is_file()]
            recording = self._record(cell, lacking, outcome) if lacking else None
        except Exception as error:
            outcome.failures.append(failure_of(str(cell), error))
            return outcome
        for key, path in paths.items():
            try:
                if key in lacking:
                    assert recording is not None
                    write_result(self._analyse(key, recording), path)
                    outcome.analysed += 1
                outcome.results[key] = path
            except Exception as error:
                outcome.failures.append(failure_of(str(key), error))
        return outcome

    def _recorded(self, subject: str) -> bool:
        return self.study.subjects[subject].recording is not None

    def _recording(self, subject: str) -> xr.DataArray:
        if subject not in self._recordings:
            self._recordings = {subject: read_recording(self.study.subjects[subject])}
        return self._recordings[subject]

    def _paths(self, cell: Cell, description: SubjectDescription) -> dict[ResultKey, Path]:
        keys = [ResultKey(name, cell.stimuli, cell.subject) for name in cell.analyses]
        return {key: self._path(key, description) for key in keys}

    def _description_path(self, cell: Cell) -> Path:
        return self.cache / "subjects" / f"{self._subject_key(cell)}.json"

    def _describe(self, cell: Cell) -> SubjectDescription:
        """Return what is known of the subject, from the cache where it was made before."""
        path = self._description_path(cell)
        description = read_description(path)
        if description is None and self._recorded(cell.subject):
            recording = self._recording(cell.subject)
            description = describe_recording(self.study.subjects[cell.subject], recording)
            write_description(description, path)
            description = read_description(path) or description
        elif description is None:
            training = self.training(cell.subject, cell.stimuli)
            description = describe_subject(self._load(cell), training)
            write_description(description, path)
            # As it is read from now on: a tuple among the options is a list in JSON.
            description = read_description(path) or description
        return description

    def _subject_key(self, cell: Cell) -> str:
        spec = self.study.subjects[cell.subject]
        if self._recorded(cell.subject):
            return recording_key(spec)
        training = self.training(cell.subject, cell.stimuli)
        content = None if training is None else training.content
        files = {name: _file_state(value) for name, value in spec.options.items()}
        code = code_hash(*RESPONSE_CODE)
        return content_hash(spec.subject, spec.options, files, content, _weights(), code)

    def _load(self, cell: Cell) -> Any:
        from neurofer.subjects import load_subject

        key = self._subject_key(cell)
        if key not in self._subjects:
            spec = self.study.subjects[cell.subject]
            training = self.training(cell.subject, cell.stimuli)
            while len(self._subjects) >= MOST_SUBJECTS:
                del self._subjects[next(iter(self._subjects))]
            self._subjects[key] = load_subject(spec.subject, training=training, **spec.options)
        return self._subjects[key]

    def _record(self, cell: Cell, keys: Iterable[ResultKey], outcome: CellOutcome) -> xr.DataArray:
        """Record the union of the sites that the analyses read, in one pass."""
        if self._recorded(cell.subject):
            return self._recording(cell.subject)
        from neurofer.recording import RecordingStore

        stimuli = self.stimuli(cell.stimuli)
        items = [self.study.analysis(key.analysis) for key in keys]
        sites = list(
            dict.fromkeys(s for item in items for s in sites_of(item, outcome.description))
        )
        store = RecordingStore(self.cache / "recordings")
        # To read what was recorded before, the store needs a subject's name and sites only.
        subject: Any = outcome.description
        lacking = sum(not store.path(subject, stimuli, site).is_file() for site in sites)
        if lacking:
            subject = self._load(cell)
        outcome.recorded += lacking
        return store.record(subject, stimuli, sites=sites, progress=False)

    def _analyse(self, key: ResultKey, recording: xr.DataArray) -> xr.Dataset:
        from neurofer.analyses import analyse

        item = self.study.analysis(key.analysis)
        shown = selected(recording, item.select) if item.select else recording
        options = full_options(item, self.study.seed)
        if self._recorded(key.subject):
            options = site_options(options, recording)
        return analyse(item.analysis, shown, **options)

    def _path(self, key: ResultKey, description: SubjectDescription) -> Path:
        item = self.study.analysis(key.analysis)
        options = full_options(item, self.study.seed)
        if self._recorded(key.subject):
            shown = [recording_key(self.study.subjects[key.subject])]
        else:
            stimuli = self.stimuli(key.stimuli)
            shown = [stimuli.identifier, stimuli.content]
        digest = content_hash(
            description.identifier, *shown, item.analysis, options, item.select, surroundings()
        )
        return self.cache / "results" / f"{item.analysis}-{digest}.nc"


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


def full_options(item: AnalysisSpec, seed: int) -> dict[str, Any]:
    """Return the options of an analysis; the study's seed where it takes one and none is given."""
    from neurofer.analyses import ANALYSES

    known = ANALYSES[item.analysis].options()
    return {**({"seed": seed} if "seed" in known else {}), **item.options}


def failure_of(place: str, error: BaseException) -> Failure:
    """Return a failure; an error that is not the user's keeps its traceback."""
    if isinstance(error, NeuroferError):
        return Failure(place, str(error))
    detail = "".join(traceback.format_exception(error))
    return Failure(place, f"{type(error).__name__}: {error}", detail)


@lru_cache(maxsize=1)
def surroundings() -> dict[str, str]:
    """Return what decides a result besides its inputs: our source and the libraries' versions."""
    code = code_hash(*RESPONSE_CODE, "analyses", "studies")
    return {"neurofer": code, **{name: installed(name) for name in LIBRARIES}}


@lru_cache(maxsize=1)
def _weights() -> dict[str, str]:
    """Return the hashes of all weights that a subject could load by name."""
    files = [*PACKAGE.rglob("*.safetensors"), *cache_folder("weights").glob("*.safetensors")]
    return {file.name: sha256_file(file) for file in sorted(files)}


def _file_state(value: Any) -> str | None:
    """Return the hash of a file that an option names, so that a changed file is noticed."""
    if not isinstance(value, (str, Path)) or len(str(value)) > 1000:
        return None
    return sha256_file(value) if Path(value).is_file() else None


def _trained_on(
    stimuli: StimulusSet, spec: TrainingSpec, options: Mapping[str, Any]
) -> StimulusSet:
    """Return the training images of a subject, named one by one or by a protocol."""
    from neurofer.stimuli import protocol

    if spec.images:
        return _named(stimuli, spec.images)
    parameters = dict(spec.parameters)
    if spec.protocol == OPTIMIZED:
        from neurofer.subjects.norm_referenced.template_choice import template_score

        head = parameters.get("head") or str(stimuli.table["head"].iloc[0])
        parameters["score"] = template_score(head, **options)
    return protocol(stimuli, spec.protocol, **parameters)


def _named(stimuli: StimulusSet, images: Sequence[str]) -> StimulusSet:
    """Return the stimuli of these ids, in this order."""
    ids = stimuli.table["stimulus_id"].tolist()
    for name in images:
        if name not in ids:
            raise unknown_choice("stimulus_id", name, ids, f"stimulus set {stimuli.name!r}")
    return stimuli.take([ids.index(name) for name in images])


def installed(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
