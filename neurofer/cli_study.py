"""`neurofer run` and `neurofer report`: a study file to results, figures and reports."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neurofer.reports import Report
    from neurofer.studies.run import Progress

Out = Annotated[Path | None, typer.Option(help="Folder; default: reports/<name of the study>.")]
Executor = Annotated[str, typer.Option(help="processes: one a core; or serial.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def run(
    study: Annotated[str, typer.Argument(help="A study file, or the name of a packaged study.")],
    out: Out = None,
    executor: Executor = "processes",
    quiet: Quiet = False,
) -> None:
    """Run a study: results, figures, report.html and report.pdf."""
    from neurofer.reports import run_study

    started = time.monotonic()
    words = ["neurofer", *sys.argv[1:]]
    with _progress(quiet) as progress:
        report = run_study(
            study, out, executor=executor, progress=progress, command=" ".join(words)
        )
    _tell(report, time.monotonic() - started)
    if not report.complete:
        raise typer.Exit(2)


def report(out: Out = None, executor: Executor = "processes", quiet: Quiet = False) -> None:
    """Run the packaged study `quickstart` into reports/quickstart."""
    run("quickstart", out, executor, quiet)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """Yield a function that shows progress on a terminal, and nothing elsewhere."""
    from neurofer.studies.run import silent

    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(text: str, done: int, total: int) -> None:
            bar.update(task, description=text, completed=done, total=total)

        yield show


def _tell(report: Report, seconds: float) -> None:
    """Say what was found and where it lies; what failed goes to stderr."""
    judged = [row for row in report.outcome.claims.values() if row.holds is not None]
    held = sum(bool(row.holds) for row in judged)
    typer.echo(
        f"{report.folder / 'report.html'}: {len(report.outcome.results)} results, "
        f"{held} of {len(judged)} criteria hold, {seconds:.0f} s"
    )
    for row in judged:
        if not row.holds:
            typer.echo(f"  {row.id}: {row.measured:.4g} {row.unit}; {row.verdict}")
    for failure in report.failures:
        typer.echo(f"neurofer: {failure.place}: {failure.message}", err=True)
