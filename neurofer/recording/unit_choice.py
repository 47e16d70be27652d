"""Which neurons of a recording are taken: by name, or by what is said of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.trials import Trials, listed
from neurofer.tables import as_text, numbers

_COMPARED = re.compile(r"\s*(>=|<=|>|<)\s*(\S+)\s*")
_OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def chosen_neurons(
    found: Trials, neurons: Sequence[str] | None, units: Mapping[str, Any] | None, where: str
) -> Trials:
    """Return the neurons with these names that meet all conditions; a note counts the others.

    Args:
        found: trials of all neurons.
        neurons: names, in the order to return them; None for all.
        units: column of the table of neurons -> a value, a list of values, or a comparison such
            as ">= 2".
        where: the recording's name, for messages.

    Raises:
        NeuroferError: a name or column is unknown, or no neuron is left.
    """
    names = as_text(found.neurons["neuroid_id"])
    if neurons is not None:
        positions = _positions([*names], neurons, where)
        if positions != [*range(len(names))]:
            found = found.of_neurons(np.asarray(positions, dtype=int))
    if not units:
        return found
    keep = np.ones(len(found.neurons), bool)
    for name, wanted in units.items():
        if name not in found.neurons:
            raise unknown_choice("units", name, found.neurons.columns, where)
        met = _met(found.neurons[name], wanted)
        if not met.any():
            values = listed(dict.fromkeys(as_text(found.neurons[name]).dropna())) or "none"
            raise NeuroferError(f"no neuron of {where} has {name}={wanted!r}; there are {values}")
        keep &= met
    if not keep.any():
        raise NeuroferError(f"no neuron of {where} meets all of units={dict(units)!r}")
    said = ", ".join(f"{name} {wanted}" for name, wanted in units.items())
    found.notes.append(f"{keep.sum()} of {len(keep)} neurons are taken: {said}")
    return found.of_neurons(keep)


def _positions(names: list[Any], neurons: Sequence[str], where: str) -> list[int]:
    if isinstance(neurons, str):
        raise NeuroferError(f"neurons={neurons!r}: give a list of names, [{neurons!r}]")
    for name in neurons:
        if str(name) not in names:
            raise unknown_choice("neurons", str(name), names, where)
    return [names.index(str(name)) for name in neurons]


def _met(column: pd.Series, wanted: Any) -> np.ndarray:
    """Return (neurons,) which meet a condition; where a value is missing, it is not met."""
    compared = _COMPARED.fullmatch(wanted) if isinstance(wanted, str) else None
    if compared:
        try:
            limit = float(compared[2])
        except ValueError:
            raise NeuroferError(f"units: {wanted!r} does not compare with a number") from None
        with np.errstate(invalid="ignore"):
            return np.asarray(_OPERATORS[compared[1]](numbers(column), limit))
    several = isinstance(wanted, (list, tuple, set, frozenset, np.ndarray))
    allowed = {str(one) for one in as_text(pd.Series([*wanted] if several else [wanted]))}
    return as_text(column).isin(allowed).to_numpy()
