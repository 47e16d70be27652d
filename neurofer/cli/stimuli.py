"""`neurofer stimuli`: list the stimulus sets, write one to a folder, draw a contact sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofer.cli.screen import AsJson, Quiet, say, say_json
from neurofer.errors import NeuroferError
from neurofer.files import check_output

if TYPE_CHECKING:
    import numpy as np

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
Where = Annotated[
    list[str] | None,
    typer.Option(help="Show these alone, such as view=frontal or head=human,monkey; repeatable."),
]
Landmarks = Annotated[bool, typer.Option("--landmarks", help="Draw the landmarks over the faces.")]
Parts = Annotated[bool, typer.Option("--parts", help="Paint the parts of the faces in colours.")]
Cell = Annotated[int, typer.Option(min=16, max=1024, help="Width of a cell in pixels.")]


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="A set whose folder `neurofer stimuli add` took.")],
) -> None:
    """Forget where your copy of a set lies; the folder stays as it is."""
    from neurofer.stimuli.licensed.remembered import forget as let_go

    say(f"{name}: {let_go(name)} is forgotten; its files are left as they are")


@app.command("list")
def list_sets(as_json: AsJson = False) -> None:
    """List the stimulus sets that have a card."""
    from neurofer.stimuli import list_stimuli
    from neurofer.stimuli.cards import broken_cards
    from neurofer.stimuli.catalogue import stimuli_card
    from neurofer.stimuli.licensed.remembered import remembered

    names, folders = list_stimuli(), remembered()
    rows = []
    for name in names:
        card = stimuli_card(name)
        row = {"name": name, "kind": card.kind, "about": card.sets()[name]}
        if card.kind == "licensed":
            row["copy"] = _copy(folders.get(name))
        rows.append(row)
    if as_json:
        say_json(rows)
    width = max(map(len, names), default=0)
    for row in () if as_json else rows:
        where = f"; your copy: {row['copy']}" if "copy" in row else ""
        say(f"{row['name']:{width}}  {row['kind']:9}  {row['about']}{where}")
    for wrong in broken_cards().values():
        say(f"neurofer: {wrong}", err=True)
    if broken_cards():
        raise typer.Exit(2)


def _copy(folder: str | None) -> str:
    """Return where a user's copy lies, and whether it is what it is taken for."""
    from neurofer.stimuli.licensed.copies import stands_in

    if folder is None:
        return "none"
    try:
        said = stands_in(folder)
    except NeuroferError as unreadable:
        said = str(unreadable)
    return f"{folder} ({said})" if said else folder


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
    check_output(out, option="OUT", folder=True)
    stimuli = _load(name, _values(parameters, seeds, size), quiet)
    stimuli.save(out)
    say(f"{stimuli.identifier}: {len(stimuli)} images in {out}")


@app.command()
def sheet(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG file; default: NAME.png.")
    ] = None,
    rows: Annotated[str, typer.Option(help="Column of the table.")] = "identity",
    columns: Annotated[str, typer.Option(help="Column of the table.")] = "expression",
    where: Where = None,
    landmarks: Landmarks = False,
    parts: Parts = False,
    cell: Cell = 112,
    seeds: Seeds = None,
    size: Size = None,
    parameters: Parameters = None,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of a set as PNG."""
    from neurofer.stimuli.sheet import contact_sheet

    path = _png(out, name)
    stimuli = _where(_load(name, _values(parameters, seeds, size), quiet), where)
    picture = contact_sheet(
        stimuli, rows=rows, columns=columns, cell=cell, landmarks=landmarks, parts=parts
    )
    _write_png(path, picture)
    say(f"{path}: {stimuli.identifier}, {rows} by {columns}")


@app.command()
def ramp(
    name: Annotated[str, typer.Argument(help="A set with several strengths.")] = "bfs-l-full",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG file; default: NAME-ramp.png.")
    ] = None,
    where: Where = None,
    landmarks: Landmarks = False,
    parts: Parts = False,
    cell: Cell = 112,
    seeds: Seeds = None,
    size: Size = None,
    parameters: Parameters = None,
    quiet: Quiet = False,
) -> None:
    """Draw every head's expressions, a row each, from neutral to full strength as PNG."""
    from neurofer.stimuli.sheet import strength_ramps

    path = _png(out, f"{name}-ramp")
    stimuli = _where(_load(name, _values(parameters, seeds, size), quiet), where)
    _write_png(path, strength_ramps(stimuli, cell=cell, landmarks=landmarks, parts=parts))
    say(f"{path}: {stimuli.identifier}, expressions by strength")


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

    check_output(folder, option="FOLDER", folder=True)
    stimuli = _load(name, _values(parameters), quiet)
    write_layout(stimuli, layout, folder)
    say(f"{stimuli.identifier}: {len(stimuli)} images in {folder} as {layout}")


def _png(out: Path | None, stem: str) -> Path:
    path = Path(f"{Path(stem).name}.png") if out is None else out
    if path.suffix.lower() != ".png":
        raise NeuroferError(f"--out {path}: a sheet is a PNG file; end the name in .png")
    return check_output(path)


def _write_png(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    from neurofer.files import write_whole

    with write_whole(path) as partial:
        Image.fromarray(picture).save(partial, optimize=True)


def _where(stimuli: StimulusSet, conditions: list[str] | None) -> StimulusSet:
    """Return the stimuli that meet conditions such as "view=frontal" or "strength=0.5,1"."""
    wanted: dict[str, list[Any]] = {}
    for condition in conditions or ():
        name, equals, values = condition.partition("=")
        if not equals:
            raise NeuroferError(
                f"--where {condition!r}: give a column and its values, such as head=human,monkey"
            )
        wanted[name] = [_as_kind(stimuli, name, value) for value in values.split(",")]
    return stimuli.select(**wanted) if wanted else stimuli


def _as_kind(stimuli: StimulusSet, name: str, value: str) -> Any:
    """Return a word as the kind of value that a column holds; what does not fit stays a word."""
    from neurofer.stimuli.table import column, kind_of

    table = stimuli.table
    kind = kind_of(column(table, name)) if name in table else "string"
    read: dict[str, Callable[[str], Any]] = {
        "integer": int,
        "number": float,
        "boolean": {"true": True, "false": False}.__getitem__,
    }
    try:
        return read[kind](value.lower()) if kind in read else value
    except (ValueError, KeyError):
        return value


def _load(name: str, parameters: dict[str, Any], quiet: bool) -> StimulusSet:
    from neurofer.stimuli import load_stimuli

    return load_stimuli(name, progress=False if quiet else None, **parameters)


def _values(
    parameters: list[str] | None, seeds: str | None = None, size: int | None = None
) -> dict[str, Any]:
    """Return {"identities": 10} for ["identities=10"], read as YAML, with the other options."""
    from neurofer.schema import read_settings

    values: dict[str, Any] = {} if seeds is None else {"seeds": _numbers(seeds)}
    if size is not None:
        values["size"] = size
    return values | read_settings(parameters or ())


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise NeuroferError(
            f"--seeds {seeds!r}: give whole numbers with commas between, such as 1,2,3,4,5"
        ) from error
