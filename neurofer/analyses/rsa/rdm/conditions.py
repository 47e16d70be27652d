"""Conditions: the patterns of activity that are compared with each other, and what they show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurofer.analyses.inputs import (
    Responses,
    joined,
    sorted_expressions,
    sorted_heads,
    strength_name,
)
from neurofer.analyses.patterns import Means
from neurofer.analyses.rsa.rdm.matrices import model_dissimilarities
from neurofer.errors import NeuroferError, unknown_choice

# Three conditions make three dissimilarities: too few to be ranked, or drawn again and again.
FEWEST_CONDITIONS = 4


def make_conditions(
    responses: Responses, average: Sequence[str] | None
) -> tuple[Means, pd.DataFrame]:
    """Return (conditions, units) patterns and their table, by head, identity, expression, strength.

    The table holds the columns of the stimuli (or those of `average`) and "name"; "identity"
    includes the head.

    Raises:
        NeuroferError: a column to be averaged over does not exist, or none is named.
    """
    stimuli = responses.stimuli.copy()
    stimuli["identity"] = responses.identity
    if average is None:
        rows = list(np.arange(len(stimuli))[:, None])
        return _in_order(responses, rows, stimuli.assign(name=stimuli["stimulus_id"]))
    for column in average:
        if column not in stimuli:
            raise unknown_choice("average", column, stimuli.columns, "the recording")
    if not average:
        raise NeuroferError("average=() would make one condition of all: name columns, or None")
    names = joined(*(_written(stimuli[column]) for column in average))
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    groups = [np.flatnonzero(inverse.ravel() == k) for k in range(len(first))]
    # An identity has one head, by which identities are resampled.
    kept = [*average, *(["head"] if "identity" in average and "head" not in average else [])]
    table = stimuli.loc[first, kept].reset_index(drop=True)
    return _in_order(responses, groups, table.assign(name=names[first]))


def condition_index(
    responses: Responses, average: Sequence[str] | None, conditions: pd.DataFrame
) -> np.ndarray:
    """Return (n,) the row, in `make_conditions`' table, of the condition of each presentation.

    Args:
        responses: the presentations.
        average: columns whose combinations are the conditions; None: every presentation is one.
        conditions: the table of `make_conditions`.
    """
    stimuli = responses.stimuli.assign(identity=responses.identity)
    columns = ["stimulus_id"] if average is None else list(average)
    names = joined(*(_written(stimuli[column]) for column in columns))
    place = {str(name): k for k, name in enumerate(conditions["name"])}
    return np.array([place[name] for name in names.tolist()])


def identity_patterns(
    responses: Responses,
) -> tuple[list[Means], pd.DataFrame, pd.DataFrame]:
    """Return every identity's patterns at the expressions and strengths that all identities show.

    Presentations of the same identity, expression and strength (views, sessions) are averaged.

    Returns:
        (conditions, units) patterns of every identity, the table of the identities (head,
        identity) and the table of the conditions (expression, strength).
    """
    strength = responses.column("strength").astype(float)
    key = joined(responses.column("expression"), _written(responses.stimuli["strength"]))
    identity = responses.identity
    _, first = np.unique(identity, return_index=True)
    identities = pd.DataFrame(
        {"head": responses.column("head")[first], "identity": identity[first]}
    )
    own = [set(key[identity == name].tolist()) for name in identities["identity"]]
    shared = sorted(set.intersection(*own))
    example = [int(np.argmax(key == name)) for name in shared]
    conditions = pd.DataFrame(
        {"expression": responses.column("expression")[example], "strength": strength[example]}
    )
    patterns = []
    for name in identities["identity"]:
        rows = np.flatnonzero(identity == name)
        groups = [rows[key[rows] == condition] for condition in shared]
        patterns.append(Means.of(responses.activity, groups or [rows]))
    return patterns, identities, conditions


def column_values(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as numbers or, if it holds anything else, as strings (`<U`)."""
    values = table[column].to_numpy()
    return values if values.dtype.kind in "iuf" else values.astype(str)


def column_model(
    conditions: pd.DataFrame, column: str, where: str = "the conditions"
) -> np.ndarray:
    """Return the (n, n) dissimilarities of the model that a column of the conditions makes.

    Args:
        conditions: one row per condition.
        column: strings make a categorical model, numbers one of differences.
        where: in words, what holds the columns, for the message.

    Raises:
        NeuroferError: there is no such column in `where`.
    """
    if column not in conditions or column == "name":
        raise unknown_choice("model", column, conditions.columns.drop("name"), where)
    return model_dissimilarities(column_values(conditions, column))


def _written(values: pd.Series) -> np.ndarray:
    if values.dtype.kind == "f":
        return np.array([strength_name(value) for value in values])
    return values.to_numpy().astype(str)


def _in_order(
    responses: Responses, groups: list[np.ndarray], table: pd.DataFrame
) -> tuple[Means, pd.DataFrame]:
    """Sort conditions so that heads, identities, expressions and strengths stand in blocks."""
    keys = pd.DataFrame(index=table.index)
    for column, order in (
        ("head", sorted_heads),
        ("identity", lambda names: sorted(set(names))),
        ("expression", sorted_expressions),
    ):
        if column in table:
            places = {name: k for k, name in enumerate(order(table[column]))}
            keys[column] = [places[name] for name in table[column]]
    for column in ("strength", "name"):
        if column in table:
            keys[column] = table[column]
    index = keys.sort_values(list(keys.columns), kind="stable").index.to_numpy()
    patterns = Means.of(responses.activity, [groups[k] for k in index])
    return patterns, table.loc[index].reset_index(drop=True)
