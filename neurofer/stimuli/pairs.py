"""Verification pairs: are two images of one person? Files in the format of LFW."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from neurofer.errors import NeuroferError


def read_pairs(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a file of pairs: pairs.txt (folds), pairsDevTrain.txt or pairsDevTest.txt of LFW.

    The first line states how many pairs of each kind there are, or the number of folds and how
    many of each kind a fold has. Then come lines "name n1 n2" (one person) and
    "name1 n1 name2 n2" (two), fold by fold.

    Returns:
        One row per pair: `first` and `second` (stimulus_id of LFW, "Name_0001"), `same` (truth
        value), `fold` (from 0 on).

    Raises:
        NeuroferError: the file is missing, or a line is wrong or too many or too few.
    """
    path = Path(path)
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise NeuroferError(f"the pairs cannot be read: {path} ({error})") from error
    lines = [line for line in lines if line]
    try:
        head = [int(word) for word in lines[0]]
        folds, each = (1, head[0]) if len(head) == 1 else (head[0], head[1])
        if len(lines) - 1 != folds * each * 2:
            raise ValueError(
                f"{len(lines) - 1} pairs, and the first line states {folds * each * 2}"
            )
        rows = [_pair(line, i // (2 * each)) for i, line in enumerate(lines[1:])]
    except (ValueError, IndexError) as error:
        raise NeuroferError(
            f"{path} is not a file of pairs: {error}; copy it again from its source"
        ) from error
    return pd.DataFrame(rows, columns=["first", "second", "same", "fold"])


def write_pairs(pairs: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write pairs in LFW's format, whole or not at all; the columns are those of `read_pairs`.

    Raises:
        NeuroferError: a fold does not have as many pairs of one person as of two, or a
            stimulus_id is not "Name_0001".
    """
    from neurofer.files import write_whole

    sizes = {len(part) for _, part in pairs.groupby(["fold", "same"])}
    folds = pairs["fold"].nunique()
    if len(sizes) != 1 or len(pairs) != 2 * folds * next(iter(sizes)):
        raise NeuroferError("every fold needs as many pairs of one person as of two")
    each = next(iter(sizes))
    lines = [f"{each}" if folds == 1 else f"{folds}\t{each}"]
    for _, fold in pairs.groupby("fold"):
        for row in fold.sort_values("same", ascending=False, kind="stable").itertuples():
            (one, n1), (two, n2) = _split(str(row.first)), _split(str(row.second))
            lines.append(f"{one}\t{n1}\t{n2}" if row.same else f"{one}\t{n1}\t{two}\t{n2}")
    with write_whole(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)


def _pair(words: list[str], fold: int) -> tuple[str, str, bool, int]:
    if len(words) == 3:
        name, first, second = words
        return f"{name}_{int(first):04d}", f"{name}_{int(second):04d}", True, fold
    if len(words) == 4:
        one, first, two, second = words
        return f"{one}_{int(first):04d}", f"{two}_{int(second):04d}", False, fold
    raise ValueError(f"a line of {len(words)} words: {' '.join(words)!r}")


def _split(stimulus_id: str) -> tuple[str, int]:
    name, _, number = stimulus_id.rpartition("_")
    if not name or not number.isdigit():
        raise NeuroferError(f"stimulus_id={stimulus_id!r} is not of the form Name_0001")
    return name, int(number)
