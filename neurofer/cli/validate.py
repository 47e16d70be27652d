"""`neurofer validate`: what the analyses find in simulated data whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurofer.cli.screen import say

if TYPE_CHECKING:
    import pandas as pd

    from neurofer.simulation.recovery import Recovered

COLUMNS = ["name", "what", "measured", "low", "high", "goal", "", "n"]


def validate(
    names: Annotated[list[str] | None, typer.Argument(help="Analyses; default: all.")] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="Simulations per row; default: each analysis' own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the table here: .csv or .md.")] = None,
) -> None:
    """Measure what the analyses find in simulated data; status 1 if a goal is missed."""
    from neurofer.errors import NeuroferError
    from neurofer.files import check_output
    from neurofer.simulation import recovery

    if out is not None and out.suffix not in (".csv", ".md"):
        raise NeuroferError(f"--out {out}: the table is written as .csv or .md")
    out = None if out is None else check_output(out)
    chosen = names or recovery.names()
    for name in chosen:
        recovery.module(name)
    found: dict[str, list[Recovered]] = {}
    for name in chosen:
        say(f"{name}: {recovery.module(name).SUMMARY}")
        found[name] = []
        for row in recovery.recover(name, n, seed):
            found[name].append(row)
            say(_line(row))
    rows = [row for block in found.values() for row in block]
    if out is not None:
        _write(out, found, n, seed)
    missed = [row.name for row in rows if row.status == recovery.OUT]
    judged = sum(row.goal is not None for row in rows)
    say(f"{len(rows)} truths, {judged} with a goal, {len(missed)} missed")
    if missed:
        raise typer.Exit(1)


def _line(row: Recovered) -> str:
    interval = f"({row.low:.3g} to {row.high:.3g})"
    return f"  {row.name:<44} {row.measured:>9.3g} {interval:<24} {_goal(row):<14} {row.status}"


def _goal(row: Recovered) -> str:
    return "" if row.goal is None else f"{row.goal[0]:g} to {row.goal[1]:g}"


def _frame(rows: list[Recovered]) -> pd.DataFrame:
    import pandas as pd

    cells = [
        [r.name, r.what, *(f"{v:.3g}" for v in (r.measured, r.low, r.high)), _goal(r), r.status]
        for r in rows
    ]
    return pd.DataFrame(
        [[*cell, row.n] for cell, row in zip(cells, rows, strict=True)], columns=COLUMNS
    )


def _write(out: Path, found: dict[str, list[Recovered]], n: int | None, seed: int) -> None:
    """Write the table whole: a CSV file, or Markdown with a heading an analysis."""
    from neurofer import __version__
    from neurofer.files import write_whole
    from neurofer.simulation import recovery

    if out.suffix == ".csv":
        rows = [row for block in found.values() for row in block]
        text = _frame(rows).rename(columns={"": "status"}).to_csv(index=False)
    else:
        command = " ".join(["neurofer validate", *found] + ([f"--n {n}"] if n else []))
        parts = [
            "# What the analyses find in simulated data\n",
            f"Written by `{command} --seed {seed}`, neurofer {__version__}. Everything here is "
            "simulated. `low` and `high` are the 95 % interval of the simulation; a row is `in` "
            "its goal, `out` of it, or `unclear` where only the interval reaches it.\n",
        ]
        for name, rows in found.items():
            parts.append(f"## {name}\n\n{recovery.module(name).SUMMARY}.\n")
            parts.append(_markdown(_frame(rows)))
        text = "\n".join(parts)
    with write_whole(out) as path:
        path.write_text(text, encoding="utf-8")


def _markdown(frame: pd.DataFrame) -> str:
    lines = [frame.columns.tolist(), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    cells = [[str(cell).replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
