"""Licensed sets: photographs in a folder of the user's, read as a card says."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.stimuli.folder_table import add_landmarks
from neurofer.stimuli.licensed.card import LicensedCard, PicturesCard
from neurofer.stimuli.licensed.copies import Copy, find_copy, licensed_card, open_index, pairs_file
from neurofer.stimuli.licensed.index import Index
from neurofer.stimuli.licensed.votes import RULES, targets
from neurofer.stimuli.pairs import read_pairs
from neurofer.stimuli.stimulus_set import StimulusSet

CARD = LicensedCard


def load(
    name: str,
    card: PicturesCard,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **parameters: Any,
) -> StimulusSet:
    """Return a licensed set from the user's copy; see `load_stimuli`.

    Files that are corrupt, misnamed or black are set aside with a warning; `bad_files` and
    `neurofer stimuli check` list them.

    Args:
        name: of the set.
        card: of the set.
        cache: folder of the index; by default the user's cache.
        progress: see `progress.progress_of`.
        parameters: `path` and `layout` of the copy, and what the card allows besides.
    """
    for parameter in parameters:
        check_choice("parameter", parameter, card.parameters(), f"set {name!r}")
    copy = find_copy(card, parameters.get("path"), parameters.get("layout"))
    index = open_index(copy, cache=cache, rate=parameters.get("rate"), progress=progress)
    _warn(copy, index)
    rows = np.flatnonzero(index.good)
    if len(rows):
        table = index.table.iloc[rows].reset_index(drop=True)
        table, rows = _chosen(copy, table, rows, parameters.get("subset"))
        table, rows = _targets(copy, table, rows, parameters.get("rule"))
    if not len(rows):
        command = f"neurofer stimuli check {card.called()} {copy.folder}"
        why = f"; `{command}` says why" if card.called() else ""
        raise NeuroferError(f"{copy.folder} holds no image of {copy.name} that can be used{why}")
    stimuli = StimulusSet(copy.name, table, index.pictures(rows))
    points = copy.folder / card.landmarks
    return add_landmarks(stimuli, points) if card.landmarks and points.is_file() else stimuli


def bad_files(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Return the files of a licensed set that were set aside: file, kind, detail.

    Args:
        name: of the set.
        path: of the folder; by default the remembered one.
        cache: folder of the index; by default the user's cache.

    Raises:
        NeuroferError: the set is unknown or not licensed, or no folder is known or fits.
    """
    copy = find_copy(licensed_card(name), path)
    return open_index(copy, cache=cache).bad_files()


def _warn(copy: Copy, index: Index) -> None:
    if copy.simulated:
        warnings.warn(
            f"{copy.card.name}: {copy.folder} holds {copy.source} images of {copy.name}, not the "
            f"original; `neurofer stimuli forget {copy.card.name}` lets go of a remembered folder",
            stacklevel=4,
        )
    if not index.problems:
        return
    called, count = copy.card.called(), len(index.problems)
    most = 3 if called else 20
    first = "; ".join(f"{problem.file}: {problem.kind}" for problem in index.problems[:most])
    rest = f"; and {count - most} more" if count > most else ""
    more = f"; `neurofer stimuli check {called} {copy.folder}` lists all" if called else ""
    warnings.warn(
        f"{copy.name}: {count} {'file is' if count == 1 else 'files are'} set aside ({first}"
        f"{rest}){more}",
        stacklevel=4,
    )


def _chosen(
    copy: Copy, table: pd.DataFrame, rows: np.ndarray, subset: str | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows of a subset."""
    subsets = copy.card.subsets
    if not subsets:
        return table, rows
    if subset is None:
        subset = next(iter(subsets))
    if subset not in subsets:
        raise unknown_choice("subset", subset, subsets, f"set {copy.card.name!r}")
    chosen = subsets[subset]
    keep = np.ones(len(table), dtype=bool)
    for name in chosen.require:
        keep &= (table[name].notna() & (table[name] != "")).to_numpy()
    if chosen.pairs:
        pairs = read_pairs(pairs_file(copy, chosen.pairs))
        keep &= table["stimulus_id"].isin({*pairs["first"], *pairs["second"]}).to_numpy()
    if chosen.split:
        table = table.assign(split=pd.Series([chosen.split] * len(table), dtype=object))
    return table[keep].reset_index(drop=True), rows[keep]


def _targets(
    copy: Copy, table: pd.DataFrame, rows: np.ndarray, rule: str | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows that have a target by a rule of votes, with their targets."""
    votes = copy.card.votes
    if votes is None or not len(table):
        return table, rows
    rule = RULES[0] if rule is None else rule
    if rule not in RULES:
        raise unknown_choice("rule", rule, RULES, f"set {copy.card.name!r}")
    names = [f"votes_{label}" for label in (*votes.expressions, *votes.others)]
    counts, n = table[names].to_numpy(), len(votes.expressions)
    # Validation and test images are judged by the majority, whatever is trained.
    training = (table["split"] == "train").to_numpy()[:, np.newaxis]
    target = np.where(training, targets(counts, n, rule), targets(counts, n, RULES[0]))
    keep = target.sum(axis=1) > 0
    labels = np.asarray(votes.expressions, dtype=object)[target.argmax(axis=1)]
    table = table.assign(
        expression=pd.Series(labels, dtype=object), strength=np.where(labels == "neutral", 0.0, 1.0)
    )
    for i, expression in enumerate(votes.expressions):
        if rule == "distribution":
            table[f"target_{expression}"] = target[:, i]
        elif rule == "multi-target":
            table[f"label_{expression}"] = target[:, i] > 0
    table = table[keep].reset_index(drop=True)
    return table, rows[keep]
