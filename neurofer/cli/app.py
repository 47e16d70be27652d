"""The command line: `neurofer stimuli | subjects | weights | neurons | train | run | ...`."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer

from neurofer import __version__
from neurofer.cli import check, neurons, stimuli, study, subjects, train, validate, weights
from neurofer.cli.screen import STOPPED, StoppedError, say, stoppable
from neurofer.errors import NeuroferError

app = typer.Typer(
    name="neurofer",
    help="Compare models of facial-expression coding the way one compares neurons.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
stimuli.app.command("add")(check.add)
stimuli.app.command("check")(check.check)
app.add_typer(stimuli.app, name="stimuli")
app.add_typer(subjects.app, name="subjects")
app.add_typer(weights.app, name="weights")
app.add_typer(neurons.app, name="neurons")
app.command("recipes")(train.recipes)
app.command("train")(train.train)
app.command("run")(study.run)
app.command("report")(study.report)
app.command("replay")(study.replay)
app.command("analyses")(study.analyses)
app.command("studies")(study.studies)
app.command("validate")(validate.validate)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"neurofer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Compare models of facial-expression coding the way one compares neurons."""


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning without the line of code that it comes from."""
    say(f"neurofer: {message}", err=True)


def main() -> None:
    """Run the command line; an error of the user's ends in one line and status 2.

    Ctrl-C and SIGTERM end in one line as well, and in status 130 and 143.
    """
    warnings.showwarning = _warn
    try:
        with stoppable():
            app()
    except NeuroferError as error:
        say(f"neurofer: {error}", err=True)
        sys.exit(2)
    except StoppedError as stop:
        say(f"neurofer: {STOPPED}", err=True)
        sys.exit(128 + stop.number)


if __name__ == "__main__":
    main()
