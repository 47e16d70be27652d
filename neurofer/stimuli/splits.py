"""Protocols: which images of a set a subject is trained on, and which are left to test it."""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS

PROTOCOLS = {
    "nine": "the neutral image of the first identity of every head, and the six other expressions "
    "of the first identity of the first head, at full strength",
    "nine-and-neutrals": "the nine, and the neutral image of every other identity",
}


def protocol(stimuli: StimulusSet, name: str, *, head: str = "human") -> StimulusSet:
    """Return the training images of a protocol, in the order neutrals, expressions, more neutrals.

    "nine" are the nine images of the MD-NRE paper: one neutral a head (three), six expressions of
    one head. Of `bfs` it leaves 96 to test, "nine-and-neutrals" (21 images) leaves 84.

    Args:
        stimuli: with the columns head, identity, expression and strength.
        name: "nine" or "nine-and-neutrals".
        head: the one whose expressions are shown.

    Raises:
        NeuroferError: the protocol or the head is unknown, or an image that it needs is lacking.
    """
    if name not in PROTOCOLS:
        raise unknown_choice("protocol", name, PROTOCOLS)
    table = stimuli.table
    heads = list(dict.fromkeys(table["head"]))
    if head not in heads:
        raise unknown_choice("head", head, heads, f"stimulus set {stimuli.name!r}")
    heads.sort(key=lambda other: other != head)
    first = {one: table["identity"][table["head"] == one].iloc[0] for one in heads}
    chosen = [_find(stimuli, one, str(first[one]), "neutral") for one in heads]
    for expression in EXPRESSIONS[1:7]:
        chosen.append(_find(stimuli, head, str(first[head]), expression))
    if name == "nine-and-neutrals":
        pairs = dict.fromkeys(zip(table["head"], table["identity"], strict=True))
        others = [(one, identity) for one, identity in pairs if identity != first[one]]
        chosen += [_find(stimuli, one, str(identity), "neutral") for one, identity in others]
    return stimuli.take(chosen)


def held_out(stimuli: StimulusSet, training: StimulusSet) -> StimulusSet:
    """Return the stimuli whose pixels are not among the training images.

    Raises:
        NeuroferError: none is left.
    """
    seen = stimuli.table["image_sha256"].isin(set(training.table["image_sha256"]))
    return stimuli.take(np.flatnonzero(~seen.to_numpy()))


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
