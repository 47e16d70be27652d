"""`neurofer stimuli`: list the stimulus sets, write one to a folder, draw a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurofer.errors import NeuroferError

app = typer.Typer(help="List, render and look at stimulus sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A set of `neurofer stimuli list`.")]
Seeds = Annotated[str, typer.Option(help="Identity seeds; the first is the training identity.")]
Size = Annotated[int, typer.Option(help="Width of an image in pixels.")]
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
    seeds: Seeds = "1,2,3,4,5",
    size: Size = 224,
    quiet: Quiet = False,
) -> None:
    """Render a set and write it to a folder: table.csv, images, landmarks, part labels."""
    from neurofer.stimuli import load_stimuli

    progress = False if quiet else None
    stimuli = load_stimuli(name, seeds=_numbers(seeds), size=size, progress=progress)
    stimuli.save(out)
    typer.echo(f"{stimuli.identifier}: {len(stimuli)} images in {out}")


@app.command()
def sheet(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="PNG file; default: NAME.png.")] = None,
    rows: Annotated[str, typer.Option(help="Column of the table.")] = "identity",
    columns: Annotated[str, typer.Option(help="Column of the table.")] = "expression",
    seeds: Seeds = "1,2,3,4,5",
    size: Size = 224,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of a set as PNG."""
    from neurofer.files import write_whole
    from neurofer.stimuli import load_stimuli
    from neurofer.stimuli.images import write_image
    from neurofer.stimuli.sheet import contact_sheet

    progress = False if quiet else None
    stimuli = load_stimuli(name, seeds=_numbers(seeds), size=size, progress=progress)
    picture = contact_sheet(stimuli, rows=rows, columns=columns)
    path = Path(f"{name}.png") if out is None else out
    if path.suffix.lower() != ".png":
        raise NeuroferError(f"--out {path}: a sheet is a PNG file; end the name in .png")
    with write_whole(path) as partial:
        write_image(partial, picture)
    typer.echo(f"{path}: {stimuli.identifier}, {rows} by {columns}")


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise NeuroferError(
            f"--seeds {seeds!r}: give whole numbers with commas between, such as 1,2,3,4,5"
        ) from error
