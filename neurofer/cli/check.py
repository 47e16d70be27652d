"""`neurofer stimuli add` and `check`: where a copy of a licensed set lies, and is it whole?"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurofer.cli.screen import Quiet, say
from neurofer.labels import cell, printable

if TYPE_CHECKING:
    from rich.table import Table

    from neurofer.stimuli.licensed.check import Check

MOST_SHOWN = 10  # findings of one kind on the screen

Licensed = Annotated[str, typer.Argument(help="A licensed set of `neurofer stimuli list`.")]
Layout = Annotated[str | None, typer.Option(help="Where a card has several; default: recognised.")]


def add(
    name: Licensed,
    path: Annotated[Path, typer.Argument(help="The folder of your copy.")],
    layout: Layout = None,
) -> None:
    """Remember where your copy of a licensed set lies, if it looks like the set."""
    from neurofer.stimuli.licensed.copies import add_copy

    copy, images = add_copy(name, path, layout)
    say(f"{name}: {images:,} images in {copy.folder}, layout {copy.layout}; remembered")
    if copy.simulated:
        say(
            f"{name}: they are {copy.source} images of {copy.name}, not the original; to let go of "
            f"them: neurofer stimuli forget {name}"
        )


def check(
    name: Licensed,
    path: Annotated[Path | None, typer.Argument(help="Default: the remembered folder.")] = None,
    layout: Layout = None,
    csv: Annotated[Path | None, typer.Option(help="File for the table of all findings.")] = None,
    known: Annotated[
        bool, typer.Option("--known-ok", help="Leave what the card knows of out of the status.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Decode your copy of a licensed set and compare it with its card; status 2 for findings."""
    from neurofer.files import check_output, write_whole
    from neurofer.stimuli.licensed.check import check_stimuli

    if csv is not None:
        csv = check_output(csv, option="--csv")
    told = check_stimuli(name, path, layout=layout, progress=False if quiet else None)
    if csv is not None:
        with write_whole(csv) as partial:
            told.table().map(cell).to_csv(partial, index=False)
    _print(told)
    if any(not (known and one.known) for one in told.findings):
        raise typer.Exit(2)


def _print(told: Check) -> None:
    """Print the counts, the first findings of each kind and a summary."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in (_counts(told), _findings(told)):
        if table.row_count:
            console.print(table)
    if told.copy.simulated:
        say("simulated images: the original's counts do not apply and were not compared")
    count, known = len(told.findings), sum(one.known for one in told.findings)
    say(
        f"{told.copy.name}: {told.images:,} images can be used; "
        f"{count:,} finding{'' if count == 1 else 's'}, {known:,} of them known of the original"
    )


def _counts(told: Check) -> Table:
    from rich.table import Table

    table = Table("what", "expected", "found", title=f"{told.copy.name} in {told.copy.folder}")
    for what, expected, found in told.counts:
        style = "red" if expected not in (None, found) else ""
        said = "" if expected is None else f"{expected:,}"
        table.add_row(what, said, f"{found:,}", style=style)
    return table


def _findings(told: Check) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("finding", "file", "detail", "in the original")
    for kind, group in groupby(told.findings, lambda one: one.kind):
        findings = list(group)
        for one in findings[:MOST_SHOWN]:
            known = "yes" if one.known else ""
            file, detail = (escape(printable(text)) for text in (one.file, one.detail))
            table.add_row(kind, file, detail, known)
        if len(findings) > MOST_SHOWN:
            more = f"and {len(findings) - MOST_SHOWN:,} more"
            table.add_row(kind, more, "--csv FILE lists all", "")
    return table
