"""Protocols: the images of a set that a paper trains on or shows, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.options import check_options
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS, VIEWS

PROTOCOLS = {
    "nine": "the neutral image of the first identity of every head, and the six other expressions "
    "of the first identity of the first head, at full strength",
    "nine-and-neutrals": "the nine, and the neutral image of every other identity",
    "twelve-first": "the first neutral training image of every avatar, and the first training "
    "image of each of the six other expressions of one avatar (or of any)",
    "twelve-optimized": "as twelve-first, with the six expressions chosen among the training "
    "images one after the other, each for the best accuracy on the training images",
    "frontal": "the frontal images",
    "five-views": "the images of the persons, sessions and expressions that are shown in all "
    "five views",
    "kdef-a": "KDEF, session A, 40 persons, afraid, angry, happy, neutral and sad, five views",
    "kdef-b": "KDEF, session A, 8 persons (F01 to F04, M08, M10, M11, M25), the same expressions "
    "and views",
}
"""The protocols by name, and what each chooses."""

SHOWN = EXPRESSIONS[1:7]
Score = Callable[[StimulusSet, np.ndarray], np.ndarray]


def protocol(stimuli: StimulusSet, name: str, **parameters: Any) -> StimulusSet:
    """Return the images of a protocol.

    "nine" and "nine-and-neutrals" (`head="human"`: whose expressions are shown) are those of the
    MD-NRE paper's Basic Face Shapes: neutrals first, then expressions, then more neutrals. Of
    `bfs` they leave 96 and 84 images to test.

    "twelve-first" and "twelve-optimized" are those of its FERG results, from the rows whose split
    is "train" alone: a neutral of every avatar and six expressions of one, in that order. `head`
    is that avatar (default: the first of the table), or "any": the first image of each
    expression whoever shows it (the paper's NRE-I). "twelve-optimized" needs `score`, see
    `optimize_twelve`.

    "frontal" and "five-views" choose by view. "kdef-a" and "kdef-b" are the two sets of the
    follow-up work to Schwartz et al. (2023); `persons` names others than the default's. Which
    forty persons "kdef-a" has is not published: the default is the first twenty women and the
    first twenty men by number. Images that a set lacks (KDEF has black ones) are left out.

    Args:
        stimuli: to choose from.
        name: of the protocol.
        parameters: of the protocol, named above.

    Raises:
        NeuroferError: the protocol or a parameter is unknown, or an image that it needs is lacking.

    >>> table = pd.DataFrame({"stimulus_id": ["a", "b"], "view": ["frontal", "left"]})
    >>> stimuli = StimulusSet.from_arrays("toy", table, [np.zeros((8, 8, 3), np.uint8)] * 2)
    >>> protocol(stimuli, "frontal").table["stimulus_id"].tolist()
    ['a']
    """
    checked = check_protocol(name, parameters)
    return stimuli.take(_CHOOSE[name](stimuli, **checked))


def check_protocol(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a protocol's parameters, checked.

    Raises:
        NeuroferError: there is no such protocol, it has no such parameter, or a value is wrong.
    """
    check_choice("protocol", name, PROTOCOLS)
    return check_options(_CHOOSE[name], parameters, f"protocol {name!r}", what="parameter")


def held_out(stimuli: StimulusSet, training: StimulusSet) -> StimulusSet:
    """Return the stimuli whose pixels are not among the training images.

    Raises:
        NeuroferError: none is left.
    """
    seen = stimuli.table["image_sha256"].isin(set(training.table["image_sha256"]))
    return stimuli.take(np.flatnonzero(~seen.to_numpy()))


def optimize_twelve(
    training: StimulusSet, twelve: Sequence[int], head: str, score: Score
) -> list[int]:
    """Return the twelve with the expressions chosen for the best score: a greedy search.

    The expressions are gone through once, happy to surprise, the others held as they are (at
    first, the first images). Every image of the expression (and of the avatar, unless `head` is
    "any") is tried in its place, and the best is kept; of equals, the earliest. The paper says
    that the templates were optimised on training data; the search is that of its code, whose
    order of expressions (happy, angry, sad, surprise, fear, disgust) is kept. Neutral images are
    not searched.

    Args:
        training: the training images alone, so that nothing else can be looked at.
        twelve: positions, neutrals first and then the expressions in the order of `EXPRESSIONS`.
        head: the avatar, or "any".
        score: from the training images and (m, 12) positions to (m,) accuracies of a subject
            trained on each row; the paper's is the accuracy on the training images of `head`.

    Raises:
        NeuroferError: `score` returns another shape.
    """
    table, chosen = training.table, list(twelve)
    first = len(chosen) - len(SHOWN)
    mine = np.ones(len(table), dtype=bool) if head == "any" else (table["head"] == head).to_numpy()
    for expression in ("happy", "angry", "sad", "surprise", "fear", "disgust"):
        options = np.flatnonzero(mine & _shows(table, expression))
        candidates = np.tile(np.asarray(chosen), (len(options), 1))
        place = first + SHOWN.index(expression)
        candidates[:, place] = options
        scores = np.asarray(score(training, candidates), dtype=np.float64)
        if scores.shape != (len(options),):
            raise NeuroferError(
                f"score returned an array of shape {scores.shape} for {len(options)} candidates"
            )
        chosen[place] = int(options[np.argmax(scores)])
    return chosen


def _nine(stimuli: StimulusSet, head: str = "human") -> list[int]:
    table = stimuli.table
    heads = _heads(stimuli, head)
    heads.sort(key=lambda other: other != head)
    first = {one: table["identity"][table["head"] == one].iloc[0] for one in heads}
    chosen = [_find(stimuli, one, str(first[one]), "neutral") for one in heads]
    return chosen + [_find(stimuli, head, str(first[head]), shown) for shown in SHOWN]


def _nine_and_neutrals(stimuli: StimulusSet, head: str = "human") -> list[int]:
    table, nine = stimuli.table, _nine(stimuli, head)
    known = set(zip(table["head"].iloc[nine], table["identity"].iloc[nine], strict=True))
    pairs = dict.fromkeys(zip(table["head"], table["identity"], strict=True))
    others = [pair for pair in pairs if pair not in known]
    return nine + [_find(stimuli, one, str(identity), "neutral") for one, identity in others]


def _twelve_first(stimuli: StimulusSet, head: str = "") -> list[int]:
    table = stimuli.table
    trained = (table["split"] == "train").to_numpy()
    heads = _heads(stimuli, head, "", "any")
    shown = "" if head == "any" else head or heads[0]
    return [_first(stimuli, trained, one, "neutral") for one in heads] + [
        _first(stimuli, trained, shown, expression) for expression in SHOWN
    ]


def _twelve_optimized(
    stimuli: StimulusSet, head: str = "", score: Score | None = None
) -> list[int]:
    if score is None:
        raise NeuroferError(
            "twelve-optimized needs score, a function from the training images and (m, 12) "
            "positions to (m,) accuracies; twelve-first needs none"
        )
    head = head or str(stimuli.table["head"].iloc[0])
    trained = np.flatnonzero((stimuli.table["split"] == "train").to_numpy())
    place = {int(position): i for i, position in enumerate(trained)}
    twelve = [place[position] for position in _twelve_first(stimuli, head)]
    chosen = optimize_twelve(stimuli.take(trained), twelve, head, score)
    return [int(trained[i]) for i in chosen]


def _frontal(stimuli: StimulusSet) -> list[int]:
    _check_views(stimuli, ("frontal",))
    return np.flatnonzero(stimuli.table["view"] == "frontal").tolist()


def _five_views(stimuli: StimulusSet) -> list[int]:
    _check_views(stimuli, VIEWS)
    table = stimuli.table[stimuli.table["view"].isin(VIEWS)]
    scenes = table.groupby(["head", "identity", "session", "expression"])["view"]
    return table.index[scenes.transform("nunique") == len(VIEWS)].tolist()


def _kdef_a(stimuli: StimulusSet, persons: Sequence[str] = ()) -> list[int]:
    there = sorted(set(stimuli.table["identity"]))
    numbered = [[one for one in there if re.fullmatch(rf"{sex}\d\d", one)] for sex in "FM"]
    default = [one for persons_of_sex in numbered for one in persons_of_sex[:20]]
    if not persons and len(default) != 40:
        raise NeuroferError(
            f"kdef-a needs twenty women (F01, ...) and twenty men (M01, ...), and "
            f"{stimuli.name!r} has {len(default)} of the forty; pass persons=[...]"
        )
    return _session_a(stimuli, persons or default)


def _kdef_b(
    stimuli: StimulusSet,
    persons: Sequence[str] = ("F01", "F02", "F03", "F04", "M08", "M10", "M11", "M25"),
) -> list[int]:
    return _session_a(stimuli, persons)


def _session_a(stimuli: StimulusSet, persons: Sequence[str]) -> list[int]:
    _check_views(stimuli, VIEWS)
    table = stimuli.table
    wanted = {
        "session": ("A",),
        "identity": tuple(persons),
        "expression": ("fear", "angry", "happy", "neutral", "sad"),
        "view": VIEWS,
    }
    chosen = pd.Series(True, index=table.index)
    for name, values in wanted.items():
        for value in values:
            if not (table[name] == value).any():
                there = sorted(set(table[name]))
                raise unknown_choice(name, value, there, f"stimulus set {stimuli.name!r}")
        chosen &= table[name].isin(values)
    return np.flatnonzero(chosen).tolist()


_CHOOSE: dict[str, Callable[..., list[int]]] = {
    "nine": _nine,
    "nine-and-neutrals": _nine_and_neutrals,
    "twelve-first": _twelve_first,
    "twelve-optimized": _twelve_optimized,
    "frontal": _frontal,
    "five-views": _five_views,
    "kdef-a": _kdef_a,
    "kdef-b": _kdef_b,
}


def _heads(stimuli: StimulusSet, head: str, *others: str) -> list[str]:
    heads = list(dict.fromkeys(stimuli.table["head"]))
    if head not in (*heads, *others):
        raise unknown_choice("head", head, heads, f"stimulus set {stimuli.name!r}")
    return heads


def _shows(table: pd.DataFrame, expression: str) -> np.ndarray:
    return (table["expression"] == expression).to_numpy()


def _first(stimuli: StimulusSet, among: np.ndarray, head: str, expression: str) -> int:
    """Return the first position among some that shows an expression, of a head or of any ("")."""
    rows = among & _shows(stimuli.table, expression)
    if head:
        rows &= (stimuli.table["head"] == head).to_numpy()
    found = np.flatnonzero(rows)
    if not len(found):
        raise NeuroferError(
            f"the protocol needs a training image (split=train) of {expression}"
            + (f" of {head}" if head else "")
            + f", which stimulus set {stimuli.name!r} lacks"
        )
    return int(found[0])


def _check_views(stimuli: StimulusSet, views: Sequence[str]) -> None:
    there = set(stimuli.table["view"])
    for view in views:
        if view not in there:
            raise unknown_choice("view", view, sorted(there), f"stimulus set {stimuli.name!r}")


def _find(stimuli: StimulusSet, head: str, identity: str, expression: str) -> int:
    table = stimuli.table
    rows = (table["head"] == head) & (table["identity"] == identity)
    rows &= table["expression"] == expression
    if expression != "neutral":
        rows &= table["strength"] == 1.0
    found = np.flatnonzero(rows.to_numpy())
    if not len(found):
        raise NeuroferError(
            f"the protocol needs {expression} at full strength of identity {identity!r} "
            f"({head}), which stimulus set {stimuli.name!r} lacks"
        )
    return int(found[0])
