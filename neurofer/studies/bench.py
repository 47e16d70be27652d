"""Where the cells of a study are worked on; a cell that was computed before is read.

What decides a result decides its key: the recording's source (weights, options, training images,
pixels, and the code that records), the analysis with its options, the code that it imports and the
versions of the libraries. Every entry is written whole and checked when it is read, so that a run
can be killed anywhere and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from neurofer.closure import closure_hash, file_hash, source_hash
from neurofer.files import cache_folder, content_hash
from neurofer.sealed import is_kept
from neurofer.studies.cell import Cell, CellOutcome, ResultKey, failure_of
from neurofer.studies.descriptions import SubjectDescription
from neurofer.studies.loading import load_spec
from neurofer.studies.origin import with_recipe
from neurofer.studies.results import write_result
from neurofer.studies.selection import selected, sites_of
from neurofer.studies.sources import Recorded, Shown, Source
from neurofer.studies.study import RECORDED, AnalysisSpec, Study
from neurofer.versions import versions

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.stimuli import StimulusSet


class Bench:
    """Where the cells of a study are worked on: stimuli and subjects are kept between cells."""

    def __init__(
        self,
        study: Study,
        cache: Path | None = None,
        stimuli: Mapping[str, StimulusSet] | None = None,
    ) -> None:
        """Work on a study.

        Args:
            study: whose cells are worked on.
            cache: a folder; default: the user's cache.
            stimuli: those of the study that were loaded before.
        """
        self.study = study
        self.cache = cache_folder("studies") if cache is None else cache
        self._stimuli: dict[str, StimulusSet] = dict(stimuli or {})
        made: dict[str, Any] = {}
        trained: dict[str, StimulusSet] = {}
        read: dict[str, xr.DataArray] = {}
        self.sources: dict[str, Source] = {
            name: Shown(spec, self.stimuli, self.cache, made, trained)
            if spec.recording is None
            else Recorded(spec, self.cache, read)
            for name, spec in study.subjects.items()
        }

    def stimuli(self, name: str) -> StimulusSet:
        """Return stimuli of the study."""
        if name not in self._stimuli:
            self._stimuli[name] = load_spec(self.study.stimuli[name])
        return self._stimuli[name]

    def size(self, stimuli: str) -> int:
        """Return how many stimuli there are to be shown; recordings are read, not shown."""
        return 1 if stimuli == RECORDED else len(self.stimuli(stimuli))

    def kinship(self, cell: Cell) -> tuple[str, str | None]:
        """Return what cells have in common that should be worked on by one process."""
        return self.sources[cell.subject].kinship(cell.stimuli)

    def read(self, cell: Cell) -> CellOutcome | None:
        """Return a cell from the cache; None where any of its results is lacking or damaged."""
        description = self.sources[cell.subject].described(cell.stimuli)
        if description is None:
            return None
        paths = self._paths(cell, description)
        if not all(is_kept(path) for path in paths.values()):
            return None
        return CellOutcome(cell, paths, description)

    def work(self, cell: Cell) -> CellOutcome:
        """Read or compute every result of a cell; what fails is named in it, the rest goes on."""
        outcome, source = CellOutcome(cell), self.sources[cell.subject]
        try:
            outcome.description = source.describe(cell.stimuli)
            paths = self._paths(cell, outcome.description)
            lacking = [key for key, path in paths.items() if not is_kept(path)]
            items = [self.study.analysis(key.analysis) for key in lacking]
            sites = dict.fromkeys(s for i in items for s in sites_of(i, outcome.description))
            if lacking:
                recording, outcome.recorded = source.record(cell.stimuli, list(sites))
        except Exception as error:
            outcome.failures.append(failure_of(str(cell), error))
            return outcome
        for key, path in paths.items():
            try:
                if key in lacking:
                    result = self._analyse(key, recording, outcome.description)
                    write_result(result, path, named=True)
                    outcome.analysed += 1
                outcome.results[key] = path
            except Exception as error:
                outcome.failures.append(failure_of(str(key), error))
        return outcome

    def _analyse(
        self, key: ResultKey, recording: xr.DataArray, description: SubjectDescription
    ) -> xr.Dataset:
        from neurofer.analyses import analyse

        item = self.study.analysis(key.analysis)
        shown = selected(recording, item.select) if item.select else recording
        options = full_options(item, self.study.seed)
        options = self.sources[key.subject].options(options, recording)
        result = analyse(item.analysis, shown, **options)
        return with_recipe(result, self.study, key, self.decided(key, description))

    def decided(self, key: ResultKey, description: SubjectDescription) -> dict[str, Any]:
        """Return all that decides a result: what was recorded, of what, options, code, versions."""
        item = self.study.analysis(key.analysis)
        return {
            "subject": description.identifier,
            "responses": description.source,
            "files": {Path(name).name: was for name, was in description.files.items()},
            "shown": self.sources[key.subject].content(key.stimuli),
            "analysis": item.analysis,
            "options": full_options(item, self.study.seed),
            "select": item.select,
            "code": analysis_source(item.analysis),
            "versions": versions(),
        }

    def _paths(self, cell: Cell, description: SubjectDescription) -> dict[ResultKey, Path]:
        return {key: self._path(key, description) for key in cell.keys}

    def _path(self, key: ResultKey, description: SubjectDescription) -> Path:
        decided = self.decided(key, description)
        if description.source is None:  # a user's subject without source: never found again
            decided["responses"] = uuid4().hex
        digest = content_hash(decided)
        return self.cache / "results" / f"{decided['analysis']}-{digest}.nc"


def full_options(item: AnalysisSpec, seed: int) -> dict[str, Any]:
    """Return the options of an analysis; the study's seed where it takes one and none is given."""
    from neurofer.analyses import ANALYSES

    known = ANALYSES[item.analysis].options()
    return {**({"seed": seed} if "seed" in known else {}), **item.options}


@cache
def analysis_source(name: str) -> str:
    """Return a hash of the code that decides what an analysis makes.

    A user's analysis without source, typed at a prompt, gets a new one in every process.
    """
    from neurofer.analyses import ANALYSES

    own = source_hash(ANALYSES[name].run) or uuid4().hex
    return content_hash(own, closure_hash("neurofer.studies.selection"), file_hash(__file__))
