"""How a report names stimuli, recordings and subjects; what is not known is said to be so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr

from neurofer.labels import code, markdown
from neurofer.reports.numbers import counted, listed
from neurofer.studies.descriptions import StimuliDescription, SubjectDescription

NOT_STATED = "not stated"


def images_words(shown: StimuliDescription) -> str:
    """Return the number and the kind of images: "84 rendered images"."""
    if shown.kind == NOT_STATED:
        return f"{counted(shown.n, 'image')} of which no source is stated"
    return counted(shown.n, f"{markdown(shown.kind)} image")


def identities_words(identities: Mapping[str, tuple[str, ...]]) -> str:
    """Return how many identities there are of every head; heads without a name are not named.

    >>> identities_words({"human": ("a", "b"), "monkey": ("c",)})
    '2 identities of human and 1 identity of monkey'
    >>> identities_words({"": ("a", "b")})
    '2 identities'
    """
    counts = {
        head: counted(len([name for name in names if name]), "identity", "identities")
        for head, names in identities.items()
    }
    if not any(name for names in identities.values() for name in names):
        return f"identities {NOT_STATED}"
    return listed(f"{n} of {markdown(head)}" if head else n for head, n in counts.items())


def values_words(values: Iterable[Any]) -> str:
    """Return the values of a column as in a sentence; empty ones are said to be not stated."""
    kept: list[str] = []
    for value in values:
        missing = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
        word = f"{value:g}" if isinstance(value, float) else markdown(value)
        kept.append(NOT_STATED if missing else word)
    return listed(dict.fromkeys(kept)) or NOT_STATED


def recording_words(label: str, made: SubjectDescription) -> str:
    """Return what a recording holds: its units, presentations, identities and kind.

    `label` is put as it is: it may be marked.
    """
    said = made.recorded
    kind = f" ({markdown(said['kind'])})" if said["kind"] else ""
    return (
        f"{label}: {counted(said['neurons'], 'unit')}{kind}, "
        f"{counted(said['presentations'], 'presentation')} of "
        f"{counted(said['identities'], 'identity', 'identities')}, {code(said['stimuli'])}"
    )


def weights_words(registered: str, made: SubjectDescription) -> str:
    """Return what a subject's weights are: "weights `x`", "random weights", or nothing.

    Args:
        registered: the subject's name in the registry.
        made: the subject as it was made.
    """
    from neurofer.errors import NeuroferError
    from neurofer.subjects.registry import subject_factory

    stated = made.options.get("weights")
    if isinstance(stated, str) and stated:
        return "random weights" if stated == "untrained" else f"weights {code(stated)}"
    try:
        factory = subject_factory(registered)
        facts = factory.facts() if hasattr(factory, "facts") else None
    except NeuroferError:
        return ""
    told = {"untrained": "random weights", "shipped": "shipped weights"}
    told |= dict.fromkeys(("fetched", "to fetch"), "pretrained weights")
    return told.get(facts.weights, "") if facts is not None else ""


def interval_methods(result: xr.Dataset) -> list[str]:
    """Return in words how the intervals of a result were made, each way once."""
    found: dict[str, None] = {}
    for name, variable in result.data_vars.items():
        if str(name) == "interval" or str(name).endswith("_interval"):
            found |= dict.fromkeys(str(one) for one in variable.to_numpy().ravel().tolist())
    if not found and "interval" in result.attrs:
        found[str(result.attrs["interval"])] = None
    return [one for one in found if one and one != "none"]
