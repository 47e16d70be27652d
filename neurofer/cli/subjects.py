"""`neurofer subjects`: which subjects there are, and what one of them can be asked."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurofer.cli.screen import AsJson, say, say_json
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from neurofer.subjects.facts import Facts

app = typer.Typer(help="List and describe subjects.", no_args_is_help=True)

_COLUMNS = ("name", "input", "parameters", "sites", "weights", "licence")
_NUMBERS = ("parameters", "sites")
_UNKNOWN = "?"
_WIDTH = 100
_LABELS = 10  # units that are named one by one


@app.command("list")
def list_command(
    as_json: AsJson = False,
) -> None:
    """List the subjects: what they see, parameters, sites, weights, licence of the weights."""
    from neurofer.subjects import list_subjects
    from neurofer.subjects.registry import subject_factory

    facts = {name: _facts(subject_factory(name)) for name in list_subjects()}
    if as_json:
        rows = [
            {"name": name, "about": _first_sentence(subject_factory(name)), **asdict(each)}
            for name, each in facts.items()
        ]
        say_json(rows)
        return
    for line in _aligned([_row(name, each) for name, each in facts.items()]):
        say(line)
    say(f"\n{_UNKNOWN} is not known before a subject has learned from training stimuli.")
    lacking = [name for name, each in facts.items() if each.weights == "to fetch"]
    if lacking:
        say(f"To fetch weights: neurofer weights fetch {lacking[0]}")


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="A subject of `neurofer subjects list`.")],
) -> None:
    """Say what a subject is and sees, its options, and the sites that it can be recorded from."""
    from neurofer.subjects import load_subject
    from neurofer.subjects.registry import subject_factory

    factory = subject_factory(name)
    facts = _facts(factory)
    say(f"{name}\n\n{inspect.getdoc(factory)}\n")
    for word, text in _words(facts):
        say(_wrapped(f"{word:12}{text}", " " * 12))
    say("\noptions")
    choices = getattr(factory, "choices", {})
    for option, default in getattr(factory, "defaults", {}).items():
        allowed = f"  [{', '.join(map(str, choices[option]))}]" if option in choices else ""
        say(_wrapped(f"  {option} = {default!r}{allowed}", " " * 6))
    try:
        subject = load_subject(name)
    except NeuroferError as error:  # it needs training stimuli or weights
        subject, why = None, error
    say("\nsites, and the shape of the response to one image")
    shapes = factory.shapes() if hasattr(factory, "shapes") else None
    names = list(shapes or (subject.sites if subject else ()))
    width = max(map(len, names), default=0)
    for site in names:
        line = f"  {site:{width}}  {_shape(shapes, site)}{_told(subject, site)}".rstrip()
        say(_wrapped(line, " " * (width + 4)))
    if subject is None:
        say(f"  {'' if names else 'not known before it is made: '}{why}")
    else:
        say(f"\nWith these options it is {subject.identifier}")


def _facts(factory: Any) -> Facts:
    from neurofer.subjects.facts import Facts

    return factory.facts() if hasattr(factory, "facts") else Facts()


def _row(name: str, facts: Facts) -> dict[str, str]:
    return {
        "name": name,
        "input": _input(facts),
        "parameters": _UNKNOWN if facts.parameters is None else f"{facts.parameters:,}",
        "sites": _UNKNOWN if facts.sites is None else str(len(facts.sites)),
        "weights": facts.weights or _UNKNOWN,
        "licence": facts.licence.partition(",")[0] or _UNKNOWN,
    }


def _aligned(rows: list[dict[str, str]]) -> list[str]:
    """Return one line per row under the names of the columns; numbers are flush right."""
    table = [dict(zip(_COLUMNS, _COLUMNS, strict=True)), *rows]
    widths = {column: max(len(row[column]) for row in table) for column in _COLUMNS}
    return [
        "  ".join(
            f"{row[column]:{'>' if column in _NUMBERS else '<'}{widths[column]}}"
            for column in _COLUMNS
        ).rstrip()
        for row in table
    ]


def _input(facts: Facts) -> str:
    if facts.gray is None:
        return _UNKNOWN
    size = "any size" if facts.size is None else f"{facts.size} px"
    return f"{size}, {'gray' if facts.gray else 'colour'}"


def _words(facts: Facts) -> list[tuple[str, str]]:
    row = _row("", facts)
    seen = f"{row['input']}; {facts.preprocessing or 'preprocessing unknown'}"
    return [
        ("input", seen),
        ("parameters", row["parameters"]),
        ("weights", ": ".join(part for part in (row["weights"], facts.source) if part)),
        ("licence", facts.licence or _UNKNOWN),
    ]


def _shape(shapes: Any, site: str) -> str:
    found = (shapes or {}).get(site)
    return _UNKNOWN if found is None else " x ".join(map(str, found))


def _told(subject: Any, site: str) -> str:
    known = subject.sites.get(site) if subject is not None else None
    region = f"  region {known.region}" if known and known.region else ""
    labels = list(known.labels or ()) if known else []
    shown = labels if len(labels) <= _LABELS else [*labels[:3], "...", labels[-1]]
    return region + (f"  units {', '.join(shown)}" if labels else "")


def _wrapped(text: str, indent: str) -> str:
    """Break a line of words that is too long; names with hyphens stay whole."""
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _first_sentence(factory: Any) -> str:
    return (inspect.getdoc(factory) or "").split("\n\n")[0].replace("\n", " ")
