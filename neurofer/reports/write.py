"""From a study file to a folder with results, figures and reports, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from neurofer.errors import NeuroferError
from neurofer.files import checked_name, write_folder_whole
from neurofer.leftovers import scratch_folder
from neurofer.reports.blocks import Document, Figure
from neurofer.reports.document import make_document, write_sheets
from neurofer.reports.figures import FigureError, make_figures, write_svgs
from neurofer.reports.fonts import lacking_letters
from neurofer.reports.html import figure_html, plotly_source, render_html
from neurofer.reports.pdf import write_pdf
from neurofer.reports.place import (
    carry_over,
    check_folder,
    remove_incomplete,
    target_folder,
    write_manifest,
)
from neurofer.studies.cell import Failure
from neurofer.studies.reading import read_study
from neurofer.studies.run import Progress, StudyOutcome, compute_study, silent, write_results
from neurofer.studies.study import Study


@dataclass
class Report:
    """A report that was written: where, of what, and what failed on the way.

    `kept` are files of the last report that the user had changed: they have new names.
    """

    folder: Path
    outcome: StudyOutcome
    failures: list[Failure] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

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

    The folder is replaced whole when all is done; files of the user's own in it stay. What fails
    is set aside and listed. Where something failed and the folder holds a complete report, that one
    is left as it is and the new one is written to `<out>-incomplete`.

    Args:
        study: a study, the path of a study file, or the name of a packaged one.
        out: the folder; default: `reports/<name of the study>`.
        executor: "serial" or "processes".
        cache: a folder for cells; default: the user's cache.
        progress: called as the work goes on.
        command: what the provenance says the report was made with.

    Raises:
        NeuroferError: the study is wrong, nothing could be computed, or the folder cannot be
            written or holds other things than a report; that is tried before any work.

    >>> run_study("quickstrat")
    Traceback (most recent call last):
    ...
    neurofer.errors.NeuroferError: ...
    """
    made = study if isinstance(study, Study) else read_study(study)
    folder = Path(out) if out is not None else Path("reports") / checked_name(made.name, "study")
    folder = check_folder(folder)
    outcome = compute_study(made, executor=executor, cache=cache, progress=progress)
    return write_report(outcome, folder, progress=progress, command=command)


def write_report(
    outcome: StudyOutcome,
    folder: Path,
    *,
    progress: Progress = silent,
    command: str = "",
) -> Report:
    """Write a study's results, figures and reports into a folder; see `run_study`.

    Args:
        outcome: of the study.
        folder: that is written into.
        progress: is told what is done.
        command: what the provenance says the report was made with.
    """
    folder = check_folder(folder)
    kept: list[Path] = []
    with scratch_folder() as scratch:
        progress("figures", 0, 3)
        figures, failures = _figures(outcome, scratch / "figures")
        sheets, no_sheets = write_sheets(outcome, scratch / "sheets")
        failures = [*outcome.failures, *failures, *no_sheets]
        progress("report.pdf", 1, 3)
        date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
        make = partial(make_document, outcome, figures, sheets, command=command, date=date)
        said = outcome.study.model_dump_json() + repr(outcome.descriptions)
        letters = lacking_letters(said)
        if all(figure.svg is not None for figure in figures):
            failures += _try_pdf(make(failures=failures, letters=letters), scratch / "report.pdf")
        progress("report.html", 2, 3)
        page = render_html(make(failures=failures))
        (scratch / "report.html").write_text(page, encoding="utf-8")
        write_results(outcome, scratch, failures)
        write_manifest(scratch)
        target = target_folder(folder, failures)
        with write_folder_whole(target, lambda a, b: kept.extend(carry_over(a, b))) as written:
            shutil.copytree(scratch, written, dirs_exist_ok=True)
    if not failures:
        remove_incomplete(folder)
    return Report(target, outcome, failures, kept)


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
