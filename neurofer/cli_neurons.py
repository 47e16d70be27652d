"""`neurofer neurons check`: what of a laboratory's recording can be used, and as what?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Read recorded neurons.", no_args_is_help=True)


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="netCDF, NWB, or a table (CSV, TSV).")],
    stimuli: Annotated[
        Path | None, typer.Option(help="Table of stimulus_id, identity, expression, strength, head")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS, e.g. neuron=cell; may be repeated.")
    ] = None,
    window: Annotated[
        tuple[float, float] | None, typer.Option(help="NWB: ms after onset, from and to.")
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop-incomplete", help="Without neurons that missed a stimulus.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the recording here (netCDF) for the analyses.")
    ] = None,
) -> None:
    """Read a laboratory's recording and say what it holds and what was set aside."""
    from neurofer.errors import NeuroferError
    from neurofer.recording import read_neurons, save_recording

    pairs = dict(one.partition("=")[::2] for one in column or ())
    if not all(pairs.values()):
        raise NeuroferError(f"--column {column}: each is OURS=THEIRS, such as neuron=cell")
    incomplete = "drop" if drop else "keep"
    found = read_neurons(path, stimuli, columns=pairs, window=window, incomplete=incomplete)
    sizes = ", ".join(f"{n} {dim}s" for dim, n in found.sizes.items())
    typer.echo(f"{found.attrs['subject']}: {sizes}")
    for name in ("head", "identity", "expression", "strength"):
        values = sorted(set(found[name].to_numpy().tolist()), key=str)
        shown = ", ".join(f"{v:g}" if name == "strength" else str(v) for v in values[:12])
        typer.echo(f"{name}: {len(values)} ({shown}{', ...' if len(values) > 12 else ''})")
    attrs = {"missing": "0", "n_set_aside": "0", "n_neurons_dropped": "0", **found.attrs}
    typer.echo(f"presentations that some neuron missed: {attrs['missing']}")
    typer.echo(f"neurons dropped: {attrs['n_neurons_dropped']}")
    typer.echo(f"set aside: {attrs['n_set_aside']}")
    for line in filter(None, attrs.get("set_aside", "").split("; ")):
        typer.echo(f"  {line}")
    if output is not None:
        typer.echo(f"written: {save_recording(found, output)}")
