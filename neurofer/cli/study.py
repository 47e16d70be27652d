"""`neurofer run` and `neurofer report`: a study file to results, figures and reports."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurofer.cli.screen import AsJson, Quiet, say, say_list
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from neurofer.reports import Report
    from neurofer.studies.cell import Failure
    from neurofer.studies.run import Progress
    from neurofer.studies.study import Study

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder; default: reports/<name of the study>.")
]
Executor = Annotated[str, typer.Option(help="processes: one per core; or serial.")]
Fetch = Annotated[
    bool | None,
    typer.Option(
        "--fetch/--no-fetch",
        help="Fetch weights that are missing, or set the subjects aside that need them.",
        show_default=False,
    ),
]

LINE_EVERY = 30.0  # seconds between lines of progress where there is no terminal


def run(
    study: Annotated[str, typer.Argument(help="A study file, or a name of `neurofer studies`.")],
    out: Out = None,
    executor: Executor = "processes",
    fetch: Fetch = None,
    quiet: Quiet = False,
) -> None:
    """Run a study: results, figures, report.html and report.pdf.

    What is finished is kept in the cache: stopped by Ctrl-C, the same command goes on.
    """
    from neurofer.reports import run_study
    from neurofer.studies.checks import check_names
    from neurofer.studies.executors import find_executor
    from neurofer.studies.reading import read_study

    started = time.monotonic()
    made = read_study(study)
    find_executor(executor)
    check_names(made)
    _weights(made, fetch)
    words = ["neurofer", *sys.argv[1:]]
    with _progress(quiet) as progress:
        report = run_study(made, out, executor=executor, progress=progress, command=" ".join(words))
    _tell(report, time.monotonic() - started)
    if not report.complete:
        raise typer.Exit(2)


def report(
    out: Out = None, executor: Executor = "processes", fetch: Fetch = None, quiet: Quiet = False
) -> None:
    """Run the packaged study `quickstart` into reports/quickstart."""
    run("quickstart", out, executor, fetch, quiet)


def replay(
    result: Annotated[Path, typer.Argument(help="A result of a study, results/*.nc.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the new result, .nc.")
    ] = None,
) -> None:
    """Make a result again from its file alone, and say what differs.

    Ends with status 0 where every value is the same, else with 1.
    """
    from neurofer.files import check_output
    from neurofer.studies.replay import replay as make_again
    from neurofer.studies.results import write_result

    if out is not None:
        check_output(out)
    again = make_again(result)
    if out is not None:
        write_result(again.result, out)
    for line in again.changed:
        say(f"changed: {line}")
    for name, words in again.differs.items():
        say(f"differs: {name}: {words}")
    same = "differs from" if again.differs else "has the same values as"
    say(f"{result} {same} what came now ({len(again.result.data_vars)} variables)")
    if again.differs:
        raise typer.Exit(1)


def analyses(as_json: AsJson = False) -> None:
    """List the analyses that a study can name, each with a line."""
    from neurofer.analyses import ANALYSES

    say_list({name: one.summary for name, one in sorted(ANALYSES.items())}, as_json)


def studies(as_json: AsJson = False) -> None:
    """List the packaged studies that `neurofer run` knows by name, each with its title."""
    from neurofer.files import content_folder
    from neurofer.studies.reading import read_study

    files = sorted(content_folder("analyses").glob("*.yaml"))
    say_list({file.stem: read_study(file).title for file in files}, as_json)


def _weights(study: Study, fetch: bool | None) -> None:
    """Fetch the weights that a study lacks if asked to; if not asked, say so before any work.

    Raises:
        NeuroferError: weights are missing, and it was not said what to do.
    """
    from neurofer.studies.weights_needed import lacking_weights
    from neurofer.subjects.weight_files.sources import fetch as fetch_weights
    from neurofer.subjects.weight_files.sources import weight_source

    lacking = lacking_weights(study)
    if lacking and fetch is None:
        each = [
            f"{name} (of {', '.join(subjects)}; {weight_source(name).command})"
            for name, subjects in lacking.items()
        ]
        raise NeuroferError(
            f"weights are missing: {'; '.join(each)}. Run again with --fetch to fetch them first, "
            "or with --no-fetch to set those subjects aside"
        )
    for name in lacking if fetch else ():
        say(f"{name}: {fetch_weights(name)}", err=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """Yield a function that shows progress: a bar on a terminal, a line now and then elsewhere."""
    from neurofer.studies.run import silent

    if quiet:
        yield silent
        return
    if not sys.stderr.isatty():
        yield _Lines()
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


class _Lines:
    """Prints how far the work has come, if the last line is some time ago."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY:
            self._last = now
            say(f"neurofer: {done} of {total}, {text}", err=True)


def _tell(report: Report, seconds: float) -> None:
    """Say what was found and where it lies; what failed goes to stderr."""
    from neurofer.studies.checks import unused_names

    judged = [row for row in report.outcome.claims.values() if row.holds is not None]
    held = sum(bool(row.holds) for row in judged)
    criteria = f", {held} of {len(judged)} criteria hold" if judged else ""
    say(
        f"{report.folder / 'report.html'}: {len(report.outcome.results)} results{criteria}, "
        f"{seconds:.0f} s"
    )
    for row in judged:
        if not row.holds:
            say(f"  {row.id}: {row.measured:.4g} {row.unit}; {row.verdict}")
    for path in report.kept:
        say(f"  {path}: your own changes to a file of the last report")
    for kind, names in zip(
        ("subjects", "stimuli"), unused_names(report.outcome.study), strict=True
    ):
        if names:
            say(f"neurofer: {kind} that no analysis uses: {', '.join(names)}", err=True)
    for message, places in _by_message(report.failures).items():
        say(f"neurofer: {'; '.join(places)}: {message}", err=True)


def _by_message(failures: Sequence[Failure]) -> dict[str, list[str]]:
    """Return where each message came from, so that it is said once."""
    found: dict[str, list[str]] = {}
    for failure in failures:
        found.setdefault(failure.message, []).append(failure.place)
    return found
