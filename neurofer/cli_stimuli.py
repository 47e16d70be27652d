"""`neurofer stimuli`: list the stimulus sets, write one to a folder, draw a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet

app = typer.Typer(help="List, render and look at stimulus sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A set of `neurofer stimuli list`.")]
Seeds = Annotated[
    str | None,
    typer.Option(help="Identity seeds of a set of basic shapes; the first is trained on."),
]
Size = Annotated[int | None, typer.Option(help="Width of an image in pixels.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter of the set, such as identities=10; may be repeated."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.command("list")
def list_sets() -> None:
    """List the stimulus sets that have a card."""
    from neurofer.stimuli import list_stimuli
    from neurofer.stimuli.catalogue import stimuli_card

    names = list_stimuli()
    width = max(map(len, names), default=0)
    for name in names:
        card = stimuli_card(name)
        typer.echo(f"{name:{width}}  {card.kind}  {card.sets()[name]}")


@app.command()
def render(
    name: Name,
    out: Annotated[Path, typer.Argument(help="Folder to write; it must not hold other things.")],
    seeds: Seeds = None,
    size: Size = None,
    parameters: Parameters = None,
    quiet: Quiet = False,
) -> None:
    """Render a set and write it to a folder: table.csv, images, landmarks, part labels."""
    stimuli = _load(name, _values(parameters, seeds, size), quiet)
    stimuli.save(out)
    typer.echo(f"{stimuli.identifier}: {len(stimuli)} images in {out}")


@app.command()
def sheet(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="PNG file; default: NAME.png.")] = None,
    rows: Annotated[str, typer.Option(help="Column of the table.")] = "identity",
    columns: Annotated[str, typer.Option(help="Column of the table.")] = "expression",
    seeds: Seeds = None,
    size: Size = None,
    parameters: Parameters = None,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of a set as PNG."""
    from neurofer.files import write_whole
    from neurofer.stimuli.images import write_image
    from neurofer.stimuli.sheet import contact_sheet

    stimuli = _load(name, _values(parameters, seeds, size), quiet)
    picture = contact_sheet(stimuli, rows=rows, columns=columns)
    path = Path(f"{name}.png") if out is None else out
    if path.suffix.lower() != ".png":
        raise NeuroferError(f"--out {path}: a sheet is a PNG file; end the name in .png")
    with write_whole(path) as partial:
        write_image(partial, picture)
    typer.echo(f"{path}: {stimuli.identifier}, {rows} by {columns}")


@app.command()
def write(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="New folder; it must not hold other things.")],
    layout: Annotated[str, typer.Option(help="Whose files: kdef, ferg or lfw.")],
    parameters: Parameters = None,
    quiet: Quiet = False,
) -> None:
    """Write a simulated set in the folders and file names of the set that it stands for."""
    from neurofer.stimuli.layouts import write_layout

    stimuli = _load(name, _values(parameters), quiet)
    write_layout(stimuli, layout, folder)
    typer.echo(f"{stimuli.identifier}: {len(stimuli)} images in {folder} as {layout}")


def _load(name: str, parameters: dict[str, Any], quiet: bool) -> StimulusSet:
    from neurofer.stimuli import load_stimuli

    return load_stimuli(name, progress=False if quiet else None, **parameters)


def _values(
    parameters: list[str] | None, seeds: str | None = None, size: int | None = None
) -> dict[str, Any]:
    """Return {"identities": 10} for ["identities=10"], read as YAML, with the other options."""
    import yaml

    values: dict[str, Any] = {} if seeds is None else {"seeds": _numbers(seeds)}
    if size is not None:
        values["size"] = size
    for parameter in parameters or ():
        key, equals, value = parameter.partition("=")
        if not equals:
            raise NeuroferError(
                f"--set {parameter!r}: give a parameter and its value, such as identities=10"
            )
        values[key] = yaml.safe_load(value)
    return values


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise NeuroferError(
            f"--seeds {seeds!r}: give whole numbers with commas between, such as 1,2,3,4,5"
        ) from error
