"""`neurofer neurons check`: what of a laboratory's recording can be used, and as what?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurofer.cli.screen import say

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(help="Read recorded neurons.", no_args_is_help=True)


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="netCDF, NWB, .mat or a table (CSV, TSV, .gz).")],
    stimuli: Annotated[
        Path | None, typer.Option(help="Table of stimulus_id, identity, expression, strength, head")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS, e.g. neuron=cell; may be repeated.")
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(help="Of all stimuli: NAME=VALUE, e.g. expression=neutral; may be repeated."),
    ] = None,
    neuron: Annotated[
        list[str] | None, typer.Option(help="Take this neuron; may be repeated. Default: all.")
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE or 'COLUMN=>= 2', e.g. quality=good; may be repeated."),
    ] = None,
    joined: Annotated[
        bool, typer.Option("--joined", help="Neurons of one name in several sessions are one.")
    ] = False,
    window: Annotated[
        tuple[float, float] | None, typer.Option(help="NWB: ms after onset, from and to.")
    ] = None,
    intervals: Annotated[str, typer.Option(help="NWB: the table of presentations.")] = "trials",
    measure: Annotated[str, typer.Option(help="NWB: rate or count.")] = "rate",
    trials: Annotated[str, typer.Option(help="mean (over repeats) or keep.")] = "mean",
    drop: Annotated[
        bool, typer.Option("--drop-incomplete", help="Without neurons that missed a stimulus.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", "--output", help="Write the recording here (netCDF)."),
    ] = None,
) -> None:
    """Read a laboratory's recording; list its neurons, its stimuli and what was set aside."""
    from neurofer.files import check_output
    from neurofer.recording import read_neurons, save_recording

    output = None if output is None else check_output(output)
    found = read_neurons(
        path,
        stimuli,
        columns=_pairs("--column", column, "neuron=cell"),
        constants=_pairs("--constant", constant, "expression=neutral"),
        neurons=neuron or None,
        units=_pairs("--units", units, "quality=good"),
        same_name="joined" if joined else "apart",
        window=window,
        intervals=intervals,
        measure=measure,  # type: ignore[arg-type]  # checked there
        trials=trials,  # type: ignore[arg-type]
        incomplete="drop" if drop else "keep",
    )
    for line in _said(found):
        say(line)
    if output is not None:
        say(f"written: {save_recording(found, output)}")


def _pairs(option: str, given: list[str] | None, example: str) -> dict[str, str] | None:
    """Return NAME=VALUE arguments as a dictionary, None where there are none."""
    from neurofer.errors import NeuroferError

    pairs = dict(one.partition("=")[::2] for one in given or ())
    if not all(pairs.values()):
        raise NeuroferError(f"{option} {given}: each is NAME=VALUE, such as {example}")
    return pairs or None


def _said(found: xr.DataArray) -> list[str]:
    """Return the lines that say what a recording holds, first what was shown."""
    from neurofer.recording.shown import in_order
    from neurofer.recording.summary import summarise_neurons

    sizes = ", ".join(f"{n} {dim}s" for dim, n in found.sizes.items())
    lines = [f"{found.attrs.get('subject', 'recording')}: {sizes}"]
    for name in ("head", "identity", "expression", "strength"):
        values = [*set(found[name].to_numpy().tolist())]
        values = in_order(values) if name == "expression" else sorted(values)
        shown = ", ".join(f"{v:g}" if name == "strength" else str(v) for v in values[:12])
        lines.append(f"{name}: {len(values)} ({shown}{', ...' if len(values) > 12 else ''})")
    table = summarise_neurons(found)
    width = max(len("neuron"), *table["neuroid_id"].str.len())
    lines.append(f"{'neuron':{width}}  stimuli  trials    lowest      mean   highest  region")
    for one in table.itertuples():
        numbers = f"{one.lowest:9.4g} {one.mean:9.4g} {one.highest:9.4g}"
        said = f"{one.region}{'  (never differs)' if one.constant else ''}"
        row = f"{one.neuroid_id:{width}}  {one.n_stimuli:7d} {one.n_trials:7d} {numbers}  {said}"
        lines.append(row.rstrip())
    attrs = {"missing": "0", "n_set_aside": "0", "n_neurons_dropped": "0", **found.attrs}
    lines.append(f"presentations that some neuron missed: {attrs['missing']}")
    lines.append(f"neurons dropped: {attrs['n_neurons_dropped']}")
    for title, name in ((f"set aside: {attrs['n_set_aside']}", "set_aside"), ("notes:", "notes")):
        named = [*filter(None, str(attrs.get(name, "")).split("; "))]
        if named or name == "set_aside":
            lines += [title, *(f"  {one}" for one in named)]
    return lines
