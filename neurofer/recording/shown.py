"""What recorded neurons were shown: the stimulus table is joined, and what is wrong is named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.layout import TAKEN
from neurofer.recording.neuron_tables import RESERVED
from neurofer.recording.trials import Trials, listed
from neurofer.stimuli.table import COLUMNS, EXPRESSIONS
from neurofer.tables import as_text, line, numbers, plain_frame, read_table, same_number

_OF_TRIALS = ("n_trials", "n_averaged", "repeat")
NEEDED = ("stimulus_id", "identity", "expression")
StimulusTable = pd.DataFrame | str | os.PathLike[str] | None


def with_stimuli(
    found: Trials,
    stimuli: StimulusTable,
    renamed: dict[str, str],
    constants: Mapping[str, Any],
    where: str,
) -> Trials:
    """Join the stimulus table and set aside trials that have no usable stimulus.

    Args:
        found: trials; their `stimulus_id` may be text or numbers.
        stimuli: the table, its file, or None where the recording says all itself.
        renamed: their name -> our name.
        constants: what holds for every stimulus, such as {"expression": "neutral"}.
        where: the recording's name, for messages.

    Raises:
        NeuroferError: the table cannot be read, or a needed column is in neither.
    """
    if "stimulus_id" not in found.shown:
        raise unknown_choice("column", "stimulus_id", found.shown.columns, where)
    shown = found.shown.assign(stimulus_id=as_text(found.shown["stimulus_id"]).fillna(""))
    found = found.with_shown(shown)
    if stimuli is not None:
        found = _joined(found, *_stimulus_table(stimuli, renamed))
    shown = found.shown.copy()
    for name, value in constants.items():
        if name not in COLUMNS or name in ("stimulus_id", "image_sha256"):
            raise unknown_choice("constants", name, COLUMNS[1:-1])
        if name in shown:
            raise NeuroferError(f"constants: {where} says the {name} of its stimuli itself")
        shown[name] = value
    lacking = [name for name in NEEDED if name not in shown]
    if lacking:
        raise NeuroferError(
            f"{where} does not say the {' and '.join(lacking)} of its stimuli: give stimuli=, a "
            f"table with {', '.join(NEEDED)} and, if known, strength and head; or what holds for "
            "all of them, such as constants={'expression': 'neutral'}"
        )
    for theirs, ours in renamed.items():
        if ours in COLUMNS and ours not in shown:
            raise unknown_choice(f"columns: {ours}", theirs, shown.columns, where)
    texts = [name for name in COLUMNS if name in shown and name != "strength"]
    shown = shown.assign(**{name: as_text(shown[name]) for name in texts})
    shown["expression"] = _expressions(shown["expression"], found.notes)
    shown["strength"] = _strengths(shown, found.notes)
    wrong = _wrong_stimuli(shown)
    named = zip(shown["stimulus_id"][wrong != ""], wrong[wrong != ""], strict=True)
    aside = [*dict.fromkeys(f"stimulus {k!r}: {w}" for k, w in named)]
    return found.with_shown(shown).kept(wrong == "", aside)


def _joined(found: Trials, table: pd.DataFrame, aside: list[str]) -> Trials:
    """Join the columns of the stimulus table, which count where the recording has them too."""
    shown = found.shown
    known = shown["stimulus_id"].isin(table["stimulus_id"])
    unknown = [*dict.fromkeys(shown["stimulus_id"][~known])]
    likely = _written_otherwise(unknown, table["stimulus_id"].tolist())
    aside = aside + [
        f"stimulus {one!r}: not in the stimulus table"
        + (f", which has {likely[one]!r}" if one in likely else "")
        for one in unknown
    ]
    unseen = ~table["stimulus_id"].isin(shown["stimulus_id"])
    if unseen.any():
        names = listed(table["stimulus_id"][unseen], 4)
        found.notes.append(f"{unseen.sum()} stimuli of the table were not shown ({names})")
    found = found.kept(known.to_numpy(), aside)
    own = [name for name in shown if name == "stimulus_id" or name not in table]
    joined = found.shown[own].merge(table, on="stimulus_id", how="left", validate="m:1")
    for name in [n for n in shown if n not in own]:
        said, theirs = as_text(found.shown[name]), as_text(joined[name])
        differs = said.notna() & (said != theirs)
        if name == "strength":
            differs &= numbers(found.shown[name]) != numbers(joined[name])
        if differs.any():
            found.notes.append(
                f"{name!r} of the recording differs from the stimulus table's in {differs.sum()} "
                "presentations; the table's is used"
            )
    return found.with_shown(joined)


def _written_otherwise(unknown: list[str], known: list[str]) -> dict[str, str]:
    """Return, of unknown ids, the known one that is meant: the same number, case or file name."""
    plain = {one.casefold(): one for one in known}
    plain |= {Path(one).stem.casefold(): one for one in reversed(known)}
    likely = same_number(unknown, known)
    for one in unknown:
        for form in (one.casefold(), Path(one).stem.casefold()):
            if form in plain:
                likely.setdefault(one, plain[form])
    return likely


def _stimulus_table(
    stimuli: pd.DataFrame | str | os.PathLike[str], renamed: dict[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with one row per stimulus, and what was set aside."""
    if not isinstance(stimuli, (pd.DataFrame, str, os.PathLike)):
        raise NeuroferError(f"stimuli is a table or its file, not {type(stimuli).__name__}")
    table = plain_frame(stimuli) if isinstance(stimuli, pd.DataFrame) else read_table(stimuli)
    table = table.rename(columns=renamed)
    table = table.rename(columns={} if "stimulus_id" in table else {"stimulus": "stimulus_id"})
    if "stimulus_id" not in table:
        raise unknown_choice("column", "stimulus_id", table.columns, "the stimulus table")
    ids = table["stimulus_id"] = as_text(table["stimulus_id"])
    reserved = [name for name in table if name in TAKEN or name in _OF_TRIALS]
    table = table.drop(columns=reserved)
    if "strength" in table:
        table["strength"] = _kept_words(table)
    empty = ids.isna()
    twice = ids.duplicated() & ~empty
    aside = [f"stimulus table, column {name!r}: {RESERVED}" for name in reserved]
    aside += [
        f"stimulus table, row {line(table, i) - 1}: no stimulus_id" for i in np.flatnonzero(empty)
    ]
    aside += [
        f"stimulus table, row {line(table, i) - 1}: {ids[i]!r} is there already"
        for i in np.flatnonzero(twice)
    ]
    return table[~empty & ~twice].reset_index(drop=True), aside


def _kept_words(table: pd.DataFrame) -> pd.Series:
    """Return strengths as numbers (5,13 too, where the table writes so); what is none stays."""
    values = numbers(table["strength"], table)
    return table["strength"].astype(object).where(np.isnan(values), values)


def _expressions(given: pd.Series, notes: list[str]) -> pd.Series:
    """Return the names of expressions; of the eight, other capitals are read as meant."""
    canonical = {name.casefold(): name for name in EXPRESSIONS}
    meant = {name: canonical.get(name.casefold(), name) for name in given.dropna().unique()}
    changed = [f"{name} as {ours}" for name, ours in meant.items() if name != ours]
    if changed:
        notes.append(f"expressions are read {listed(changed, 8)}")
    others = sorted({*meant.values()} - {*EXPRESSIONS})
    if others:
        notes.append(f"expressions beyond neurofer's own eight: {listed(others)}")
    return given.map(meant).astype(object)


def _strengths(shown: pd.DataFrame, notes: list[str]) -> np.ndarray:
    """Return strengths as float64; where none are stated, 0 for neutral and 1 for the others."""
    if "strength" not in shown:
        return np.where(shown["expression"] == "neutral", 0.0, 1.0)
    values = numbers(shown["strength"])
    most = np.nanmax(values, initial=0)
    if most > 1:
        notes.append(
            f"strengths run to {most:g} and are kept so; those of stimulus sets run from 0 to 1"
        )
    return values


def _wrong_stimuli(shown: pd.DataFrame) -> np.ndarray:
    """Return (trials,) what is wrong with the stimulus of each, "" for nothing."""
    strength = shown["strength"].to_numpy(float)
    empty = {name: shown[name].isna() | (shown[name] == "") for name in NEEDED}
    with np.errstate(invalid="ignore"):
        conditions = [
            *(empty[name].to_numpy() for name in NEEDED),
            ~np.isfinite(strength),
            strength < 0,
            (shown["expression"] == "neutral").to_numpy() & (strength != 0),
        ]
    said = [*(f"no {name}" for name in NEEDED)]
    said += ["strength is not a number", "strength is negative"]
    return np.select(conditions, [*said, "neutral at a strength that is not 0"], "")


def in_order(expressions: Iterable[str]) -> list[str]:
    """Return names of expressions: neurofer's eight first and in their order, then by name."""
    found = {*expressions}
    return [*(name for name in EXPRESSIONS if name in found), *sorted(found - {*EXPRESSIONS})]
