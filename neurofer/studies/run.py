"""Run a study: load the stimuli, work on the cells, judge the claims, write the results."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.closure import package_hash
from neurofer.errors import NeuroferError
from neurofer.files import write_json
from neurofer.labels import cell
from neurofer.sealed import cached
from neurofer.studies.bench import Bench
from neurofer.studies.cell import Cell, Failure, ResultKey, failure_of, plan_cells
from neurofer.studies.checks import check_names
from neurofer.studies.claims import DERIVED_FILE, ClaimRow, claim_row, derived_rows, judge
from neurofer.studies.descriptions import StimuliDescription, SubjectDescription, describe_stimuli
from neurofer.studies.executors import find_executor
from neurofer.studies.loading import load_spec
from neurofer.studies.reading import dump_study, read_study
from neurofer.studies.results import read_number, read_result, tidy, write_result
from neurofer.studies.study import RECORDED, ClaimSpec, Study
from neurofer.versions import installed, versions

if TYPE_CHECKING:
    import xarray as xr

    from neurofer.stimuli import StimulusSet

FAILED = "not measured: it failed"
# Called with what is done now, how many steps are done and how many there are.
Progress = Callable[[str, int, int], None]


def silent(text: str, done: int, total: int) -> None:
    """Show nothing.

    Args:
        text: what is done.
        done: steps so far.
        total: number of steps.
    """


@dataclass
class StudyOutcome:
    """A study after its run.

    Attributes:
        study: as it was run.
        stimuli, descriptions: the sets that could be loaded, by their names in the study.
        subjects: by (subject, stimuli): the subject as it was made for these stimuli.
        results: by analysis, stimuli and subject.
        differences: of two results, that claims ask for.
        claims: by id, judged.
        failures: what was set aside.
        recorded, analysed: how many sites and results were computed and not read from the cache.
    """

    study: Study
    stimuli: dict[str, StimulusSet] = field(default_factory=dict)
    descriptions: dict[str, StimuliDescription] = field(default_factory=dict)
    subjects: dict[tuple[str, str], SubjectDescription] = field(default_factory=dict)
    results: dict[ResultKey, xr.Dataset] = field(default_factory=dict)
    differences: dict[tuple[ResultKey, ResultKey], xr.Dataset] = field(default_factory=dict)
    claims: dict[str, ClaimRow] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    recorded: int = 0
    analysed: int = 0

    def summary(self) -> list[dict[str, Any]]:
        """Return one row per claim, as `summary.json` holds them."""
        names = ("id", "published", "measured", "low", "high", "n", "unit", "data", "holds",
                 "criterion", "verdict", "label", "source", "file", "value", "select")  # fmt: skip
        rows = [asdict(row) for row in self.claims.values()]
        return [{name: row[name] for name in names} for row in rows]


def compute_study(
    study: Study | str | os.PathLike[str],
    *,
    executor: str = "serial",
    cache: Path | None = None,
    progress: Progress = silent,
) -> StudyOutcome:
    """Run a study and return its results; nothing but the cache is written.

    Args:
        study: a study, the path of a study file, or the name of a packaged one.
        executor: "serial" or "processes".
        cache: a folder for cells; default: the user's cache.
        progress: called as the work goes on.

    Raises:
        NeuroferError: the study is wrong, or nothing of it could be computed. What fails besides
            is named in `failures` and set aside.
    """
    made = study if isinstance(study, Study) else read_study(study)
    work = find_executor(executor)
    check_names(made)
    outcome = StudyOutcome(made)
    _load_stimuli(outcome, progress)
    cells = [cell for cell in plan_cells(made) if _ready(cell.stimuli, cell.subject, outcome)]
    paths: dict[ResultKey, Path] = {}
    progress("recording and analysing", 0, len(cells))
    for done, finished in enumerate(work(made, cells, cache, outcome.stimuli), start=1):
        progress(f"{finished.cell} done", done, len(cells))
        paths |= finished.results
        outcome.failures += finished.failures
        outcome.recorded += finished.recorded
        outcome.analysed += finished.analysed
        if finished.description is not None:
            outcome.subjects[finished.cell.subject, finished.cell.stimuli] = finished.description
    if not paths:
        reasons = "; ".join(f"{f.place}: {f.message}" for f in outcome.failures)
        raise NeuroferError(f"nothing of study {made.name!r} could be computed: {reasons}")
    _read_results(outcome, paths, cache)
    _make_claims(outcome)
    return outcome


def write_results(
    outcome: StudyOutcome, folder: Path, failures: Sequence[Failure] | None = None
) -> None:
    """Write netCDF and CSV of every result, `summary.json`, `provenance.json` and the study.

    `failures` are those to be written, by default those of the outcome.

    Args:
        outcome: of the study.
        folder: that is written into.
        failures: those to be written; by default those of the outcome.
    """
    failed = outcome.failures if failures is None else failures
    for key, result in outcome.results.items():
        write_result(result, folder / "results" / f"{key.stem}.nc")
        tidy(result).map(cell).to_csv(folder / "results" / f"{key.stem}.csv", index=False)
    derived = [claim for claim in outcome.study.claims if claim.of or claim.minus]
    if derived:
        _write_derived(outcome, derived, folder / DERIVED_FILE)
    write_json(folder / "summary.json", outcome.summary())
    write_json(folder / "provenance.json", {**provenance(outcome), "failures": _plain(failed)})
    (folder / "study.yaml").write_text(dump_study(outcome.study), encoding="utf-8")
    if failed:
        text = "\n".join(f"{f.place}: {f.message}\n{f.detail}" for f in failed)
        (folder / "failures.txt").write_text(text, encoding="utf-8")


def provenance(outcome: StudyOutcome) -> dict[str, Any]:
    """Return what the results were made of: identifiers, options, versions, seed; no dates."""
    return {
        "study": outcome.study.name,
        "seed": outcome.study.seed,
        "stimuli": {name: shown.identifier for name, shown in outcome.descriptions.items()},
        "subjects": {
            f"{subject} on {stimuli}": {
                "identifier": description.identifier,
                "training": description.training,
                "n_training": description.n_training,
                "options": json.loads(json.dumps(description.options, default=str)),
            }
            for (subject, stimuli), description in sorted(outcome.subjects.items())
        },
        "neurofer": installed("neurofer"),
        "source": package_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": versions(),
    }


def _read_results(
    outcome: StudyOutcome, paths: Mapping[ResultKey, Path], cache: Path | None
) -> None:
    """Read the results; the cell of one that was damaged since it was made is worked on again."""
    bench: Bench | None = None
    for key in _in_order(outcome.study, paths):
        found = cached(paths[key], _read)
        if found is None:
            bench = bench or Bench(outcome.study, cache, outcome.stimuli)
            again = bench.work(Cell(key.subject, key.stimuli, (key.analysis,)))
            outcome.failures += again.failures
            outcome.recorded += again.recorded
            outcome.analysed += again.analysed
            if key not in again.results:
                continue
            found = _read(again.results[key])
        outcome.results[key] = found


def _read(path: Path) -> xr.Dataset:
    return read_result(path, named=True)


def _plain(failures: Sequence[Failure]) -> list[dict[str, str]]:
    return [{"place": failure.place, "message": failure.message} for failure in failures]


def _load_stimuli(outcome: StudyOutcome, progress: Progress) -> None:
    specs = outcome.study.stimuli
    for done, (name, spec) in enumerate(specs.items()):
        progress(f"stimuli {name}", done, len(specs))
        try:
            outcome.stimuli[name] = load_spec(spec)
            outcome.descriptions[name] = describe_stimuli(outcome.stimuli[name])
        except Exception as error:
            outcome.failures.append(failure_of(f"stimuli {name}", error))


def _ready(stimuli: str, subject: str, outcome: StudyOutcome) -> bool:
    if stimuli == RECORDED:
        return True
    training = outcome.study.subjects[subject].training
    needed = {stimuli} | ({training.stimuli} if training and training.stimuli else set())
    return needed <= set(outcome.stimuli)


def _in_order(study: Study, paths: Mapping[ResultKey, Path]) -> list[ResultKey]:
    """Return the keys in the order of the study, whatever the order in which cells finished."""
    return [
        key
        for item in study.analyses
        for stimuli in (*item.stimuli, RECORDED)
        for subject in item.subjects
        if (key := ResultKey(item.name, stimuli, subject)) in paths
    ]


def _make_claims(outcome: StudyOutcome) -> None:
    rows: dict[str, ClaimRow] = {}
    for claim in outcome.study.claims:
        if not claim.of:
            rows[claim.id] = _measured(claim, outcome)
    rows |= {row.id: row for row in derived_rows(outcome.study, rows)}
    ordered = {claim.id: rows[claim.id] for claim in outcome.study.claims}
    outcome.claims = judge(ordered)


def _measured(claim: ClaimSpec, outcome: StudyOutcome) -> ClaimRow:
    if claim.analysis is None:
        return claim_row(claim, None)
    item, asked = outcome.study.analysis(claim.analysis), claim.stimuli
    subjects = [str(name) for name in (claim.subject, claim.minus) if name is not None]
    keys = [
        ResultKey(claim.analysis, str(asked if asked in shown else shown[0]), name)
        for name in subjects
        for shown in [outcome.study.shown(item, name)]
    ]
    own = keys[0].stimuli == RECORDED
    differs = "" if own else outcome.study.stimuli[keys[0].stimuli].differs
    if not set(keys) <= set(outcome.results):
        return replace(claim_row(claim, None), verdict=FAILED)
    try:
        result = outcome.results[keys[0]]
        if claim.minus is not None:
            result = _difference(outcome, *keys)
        number = read_number(result, str(claim.value), claim.select)
    except NeuroferError as error:
        outcome.failures.append(failure_of(f"claim {claim.id}", error))
        return replace(claim_row(claim, None), verdict=FAILED)
    if claim.minus is None:
        return claim_row(claim, number, f"results/{keys[0].stem}.csv", differs)
    return replace(claim_row(claim, number, DERIVED_FILE, differs), value=claim.id, select={})


def _difference(outcome: StudyOutcome, key: ResultKey, other: ResultKey) -> xr.Dataset:
    from neurofer.analyses import ANALYSES

    pairs = outcome.differences
    if (key, other) not in pairs:
        pair = ANALYSES[outcome.study.analysis(key.analysis).analysis].difference
        assert pair is not None  # `check_names`
        pairs[key, other] = pair(outcome.results[key], outcome.results[other])
    return pairs[key, other]


def _write_derived(outcome: StudyOutcome, derived: list[ClaimSpec], path: Path) -> None:
    import pandas as pd

    rows = [
        {
            "variable": claim.id,
            "statistic": claim.statistic or "paired difference",
            "value": outcome.claims[claim.id].measured,
            "low": outcome.claims[claim.id].low,
            "high": outcome.claims[claim.id].high,
            "n": outcome.claims[claim.id].n,
            "of": _of(outcome.study, claim),
        }
        for claim in derived
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).map(cell).to_csv(path, index=False)


def _of(study: Study, claim: ClaimSpec) -> str:
    if claim.minus is None:
        return " ".join(part.id for part in study.claims_like(claim.of))
    place = ", ".join([str(claim.value), *(f"{k}={v}" for k, v in claim.select.items())])
    return f"{claim.analysis}: {claim.subject} minus {claim.minus}, {place}"


__all__ = ["Bench", "StudyOutcome", "compute_study", "provenance", "write_results"]
