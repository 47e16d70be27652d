"""From a study file to a folder with results, figures and reports, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from neurofer.errors import NeuroferError
from neurofer.files import write_folder_whole
from neurofer.reports.blocks import Document, Figure
from neurofer.reports.document import make_document, write_sheets
from neurofer.reports.figures import FigureError, make_figures, write_svgs
from neurofer.reports.html import figure_html, plotly_source, render_html
from neurofer.reports.pdf import write_pdf
from neurofer.studies.cells import Failure
from neurofer.studies.run import Progress, StudyOutcome, compute_study, silent, write_results
from neurofer.studies.study import Study, read_study

INCOMPLETE = "-incomplete"


@dataclass
class Report:
    """A report that was written: where, of what, and what failed on the way."""

    folder: Path
    outcome: StudyOutcome
    failures: list[Failure] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing failed and both reports were written."""
        return not self.failures


def run_study(
    study: Study | str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    executor: str = "serial",
    cache: Path | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Report:
    """Run a study and write its results, figures and reports into a folder.

    The folder is replaced whole when all is done. What fails is set aside and listed. Where
    something failed and the folder holds a complete report, that one is left as it is and the new
    one is written to `<out>-incomplete`.

    Args:
        study: a study, the path of a study file, or the name of a packaged one.
        out: the folder; default: `reports/<name of the study>`.
        executor: "serial" or "processes".
        cache: a folder for cells; default: the user's cache.
        progress: called as the work goes on.
        command: what the provenance says the report was made with.

    Raises:
        NeuroferError: the study is wrong, nothing could be computed, or the folder holds other
            things than a report.
    """
    made = study if isinstance(study, Study) else read_study(study)
    folder = Path(out) if out is not None else Path("reports") / made.name
    check_folder(folder)
    outcome = compute_study(made, executor=executor, cache=cache, progress=progress)
    return write_report(outcome, folder, progress=progress, command=command)


def write_report(
    outcome: StudyOutcome,
    folder: Path,
    *,
    progress: Progress = silent,
    command: str = "",
) -> Report:
    """Write a study's results, figures and reports into a folder; see `run_study`."""
    check_folder(folder)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        progress("figures", 0, 3)
        figures, failures = _figures(outcome, scratch / "figures")
        sheets, no_sheets = write_sheets(outcome, scratch / "sheets")
        failures = [*outcome.failures, *failures, *no_sheets]
        progress("report.pdf", 1, 3)
        date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
        make = partial(make_document, outcome, figures, sheets, command=command, date=date)
        if all(figure.svg is not None for figure in figures):
            failures += _try_pdf(make(failures=failures), scratch / "report.pdf")
        progress("report.html", 2, 3)
        page = render_html(make(failures=failures))
        (scratch / "report.html").write_text(page, encoding="utf-8")
        write_results(outcome, scratch, failures)
        target = _target(folder, failures)
        with write_folder_whole(target) as written:
            shutil.copytree(scratch, written, dirs_exist_ok=True)
    return Report(target, outcome, failures)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but a report: it would be replaced.

    Raises:
        NeuroferError: it is a file, or a folder with other content.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not (folder / "provenance.json").is_file():
        raise NeuroferError(
            f"{folder} exists and is no report of a study; it would be replaced: "
            "choose a new folder with --out"
        )


def _target(folder: Path, failures: Sequence[Failure]) -> Path:
    """Return where to write: a complete report is never replaced by one with failures."""
    incomplete = folder.with_name(folder.name + INCOMPLETE)
    if not failures:
        if (incomplete / "provenance.json").is_file():
            shutil.rmtree(incomplete)
        return folder
    try:
        before = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return folder
    return incomplete if not before.get("failures") else folder


def _figures(outcome: StudyOutcome, folder: Path) -> tuple[Sequence[Figure], list[Failure]]:
    """Write the figures; without a browser they are interactive only, and that is a failure."""
    figures, failures = make_figures(outcome)
    if not figures:
        return figures, failures
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        page = figure_html(figure, "directory")
        (folder / f"{figure.name}.html").write_text(page, encoding="utf-8")
    (folder / "plotly.min.js").write_text(plotly_source(), encoding="utf-8")
    try:
        return write_svgs(figures, folder), failures
    except FigureError as error:
        return figures, [*failures, Failure("report.pdf and the SVG figures", str(error))]


def _try_pdf(document: Document, path: Path) -> list[Failure]:
    try:
        write_pdf(document, path)
    except NeuroferError as error:
        return [Failure("report.pdf", str(error))]
    return []
