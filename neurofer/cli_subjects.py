"""`neurofer subjects`: which subjects there are, and what one of them can be asked."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from neurofer.errors import NeuroferError

app = typer.Typer(help="List and describe subjects.", no_args_is_help=True)


@app.command("list")
def list_names() -> None:
    """List the subjects, each with a line; where weights are lacking, the command for them."""
    from neurofer.subjects import list_subjects
    from neurofer.subjects.registry import subject_factory
    from neurofer.subjects.weights import list_weights

    names = list_subjects()
    lacking = {row["name"]: row["command"] for row in list_weights() if not row["present"]}
    width = max(map(len, names))
    for name in names:
        words = _first_sentence(subject_factory(name))
        needs = f" (needs weights: {lacking[name]})" if name in lacking else ""
        typer.echo(f"{name:{width}}  {words}{needs}")


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="A subject of `neurofer subjects list`.")],
) -> None:
    """Say what a subject is, its options, and the sites that it can be recorded from."""
    from neurofer.subjects import load_subject
    from neurofer.subjects.registry import subject_factory

    factory = subject_factory(name)
    typer.echo(f"{name}\n\n{inspect.getdoc(factory)}\n")
    choices = getattr(factory, "choices", {})
    for option, default in getattr(factory, "defaults", {}).items():
        allowed = f"  [{', '.join(map(str, choices[option]))}]" if option in choices else ""
        typer.echo(f"  {option} = {default!r}{allowed}")
    try:
        subject = load_subject(name)
    except NeuroferError as error:  # it needs training stimuli or weights
        typer.echo(f"\nits sites are not known before it is made: {error}")
        return
    typer.echo(f"\n{subject.identifier}{_parameters(subject)}")
    for site in subject.sites.values():
        region = f"  region {site.region}" if site.region else ""
        labels = f"  units {', '.join(site.labels)}" if site.labels else ""
        typer.echo(f"  {site.name}{region}{labels}")


def _first_sentence(factory: Any) -> str:
    return (inspect.getdoc(factory) or "").split("\n\n")[0].replace("\n", " ")


def _parameters(subject: Any) -> str:
    net = getattr(subject, "net", None) or getattr(subject, "trunk", None)
    if net is None:
        return ""
    # Batch normalisations also count the batches that they have seen, which is no parameter.
    count = sum(v.numel() for v in net.state_dict().values() if v.is_floating_point())
    return f", {count:,} numbers in its network"
