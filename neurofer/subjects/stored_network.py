"""The network that a weight file of ours holds, made only after all that the file says is checked.

A weight file may come from anywhere: its description decides which network is made, how large it
is, and what the subject is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import checked_name
from neurofer.subjects.networks.architectures import ARCHITECTURES, make_network
from neurofer.subjects.networks.weightless import weightless
from neurofer.subjects.preprocess import Preprocessing
from neurofer.subjects.weight_files.tensors import load_tensors, mismatches, shapes

SIZES = (8, 1024)
"""Least and greatest side of what a network may see, in pixels."""


def load_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in a weight file that `neurofer train` wrote, and what the file says.

    Raises:
        NeuroferError: there is no such file, its description lacks something or says what cannot
            be, or names or shapes are not those of the network that it says it holds; all
            mismatches are listed.
    """
    tensors, about = load_tensors(path)
    name, options = _checked(path, about)
    outputs = len(about.get("outputs", "1"))
    try:
        # For names and shapes alone: what a few bytes ask for may not fit into memory.
        with weightless():
            own = make_network(name, outputs, **options).state_dict()
    except (NeuroferError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise NeuroferError(f"{path} states {name!r} with options={options}: {error}") from error
    wrong = mismatches(shapes(tensors), shapes(own))
    if wrong:
        raise NeuroferError(f"{path} does not fit {name}: {'; '.join(wrong)}")
    net = make_network(name, outputs, **options)
    net.load_state_dict({key: tensors[key].to(value.dtype) for key, value in own.items()})
    return net, about


def _checked(path: Path, about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of the network after a check of all that a file says."""
    stated = _part(path, about, "network")
    name = stated.get("name")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise NeuroferError(
            f"{path} does not say which network it holds; it is not a weight file of "
            f"{', '.join(ARCHITECTURES)}"
        )
    low, high = SIZES
    size = stated.get("size")
    if not isinstance(size, int) or not low <= size <= high:
        raise NeuroferError(f"{path} states size={size!r}; it is a whole number of {low} to {high}")
    outputs = about.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(label, str) for label in outputs):
        raise NeuroferError(f"{path} states outputs={outputs!r}; they are a list of names")
    source = _part(path, about, "data").get("source", "published")
    checked_name(source, f"source of the data in {path},")
    try:
        Preprocessing.stated(_part(path, stated, "preprocessing"))
    except (TypeError, ValueError) as error:
        raise NeuroferError(
            f"{path} states a preprocessing that is not possible: {error}"
        ) from error
    return name, _part(path, stated, "options")


def _part(path: Path, stated: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping of a description, {} where it is absent."""
    found = stated.get(key, {})
    if not isinstance(found, dict):
        raise NeuroferError(f"{path} states {key}={found!r}; it is a mapping of names to values")
    return found
