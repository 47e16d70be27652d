"""Is a copy of a licensed set complete and sound, and do its splits share nothing?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from neurofer.stimuli.licensed.copies import Copy, find_copy, licensed_card, open_index
from neurofer.stimuli.licensed.index import Index
from neurofer.stimuli.licensed.readers.rows import called


class Finding(NamedTuple):
    """Something that is not as the card says; `known` if the set is handed out so."""

    kind: str
    file: str
    detail: str
    known: bool = False


class Count(NamedTuple):
    """How many there are of something, and how many the card says (None: it does not say)."""

    what: str
    expected: int | None
    found: int


@dataclass(frozen=True)
class Check:
    """What a check told.

    Attributes:
        copy: that was checked.
        images: how many images can be used.
        counts: what was counted.
        findings: what is wrong, by kind and file.
    """

    copy: Copy
    images: int
    counts: list[Count]
    findings: list[Finding]

    def table(self) -> pd.DataFrame:
        """Return the findings as a table: kind, file, detail, known."""
        return pd.DataFrame(self.findings, columns=list(Finding._fields))


def check_stimuli(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    layout: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Check:
    """Decode every file of a licensed set and compare the copy with its card.

    Counts, files that are missing, misnamed, empty, truncated, unreadable, black or of another
    size, links out of the folder, images that occur twice, and images and identities that are in
    two splits. A folder of simulated images is not compared with the original's counts.

    Args:
        name: of a licensed set.
        path: its folder; default: the remembered one.
        layout: which of the card's; default: the first that is recognised.
        cache: folder of indexes; default: in the user's cache.
        progress: see `progress_of`.

    Raises:
        NeuroferError: the set is unknown, no folder is known, or it has no layout of the set.
    """
    copy = find_copy(licensed_card(name), path, layout)
    index = open_index(copy, cache=cache, progress=progress, fresh=True)
    counts: list[Count] = []
    findings = [Finding(p.kind, p.file, p.detail) for p in index.problems]
    if not copy.simulated:
        counts = list(_counts(copy, index))
        findings += [
            Finding("wrong count", "", f"{one.what}: {one.found:,}, expected {one.expected:,}")
            for one in counts
            if one.expected is not None and one.found != one.expected
        ]
        findings += [*_missing(copy, index), *_changed_lists(copy)]
    if len(index.table):
        findings += _twice(index)
        if copy.card.split is None:  # that one does not keep people apart, and says so
            findings += _crossing(index)
    known = {file.casefold(): kind for file, kind in copy.card.expected.known.items()}
    marked = [
        one._replace(known=known.get(one.file.rpartition("/")[2].casefold()) == one.kind)
        for one in findings
    ]
    return Check(copy, int(index.good.sum()), counts, sorted(marked))


def _counts(copy: Copy, index: Index) -> Iterator[Count]:
    """Count what the card counts; a bad image counts too, as it is there."""
    expected, table = copy.card.expected, index.table
    yield Count("images", expected.images, len(table))
    for name, number in expected.distinct.items():
        found = set(table[name]) - {""} if len(table) else ()
        yield Count(f"different {name}", number, len(found))
    for names, cells in expected.counts.items():
        columns = names.split()
        keys = table[columns].agg(" ".join, axis=1) if len(table) else pd.Series(dtype=object)
        found_cells = {str(cell): int(n) for cell, n in keys.value_counts().items()}
        for cell in dict.fromkeys([*cells, *sorted(found_cells)]):
            yield Count(f"{names} {cell}", cells.get(cell, 0), found_cells.get(cell, 0))


def _missing(copy: Copy, index: Index) -> Iterator[Finding]:
    """Find the combinations that have no image."""
    complete = copy.card.expected.complete
    if not complete or not len(index.table):
        return
    there = set(index.table[list(complete)].itertuples(index=False, name=None))
    for cell in product(*complete.values()):
        if cell not in there:
            said = ", ".join(f"{name} {value}" for name, value in zip(complete, cell, strict=True))
            yield Finding("missing file", "", f"no image of {said}")


def _changed_lists(copy: Copy) -> Iterator[Finding]:
    for name, expected in copy.card.expected.md5.items():
        for folder in (copy.folder, copy.folder.parent):
            if (folder / name).is_file():
                content = (folder / name).read_bytes()
                # MD5 is what the list's distributors state; it guards against accidents only.
                found = hashlib.md5(content, usedforsecurity=False).hexdigest()
                if found != expected:
                    yield Finding("changed list", name, f"MD5 {found}, expected {expected}")
                break


def _twice(index: Index) -> Iterator[Finding]:
    """Find images with the same pixels."""
    good = np.flatnonzero(index.good)
    hashes = index.table["image_sha256"].iloc[good]
    again = hashes[hashes.duplicated(keep=False)]
    for _, rows in again.groupby(again).groups.items():
        at = sorted(rows)
        splits = sorted({str(index.table["split"].iloc[i]) for i in at})
        first = _called(index, at[0])
        for i in at[1:]:
            yield Finding("duplicate", _called(index, i), f"the same pixels as {first}")
        if len(splits) > 1:
            others = ", ".join(_called(index, i) for i in at[1:])
            yield Finding("image in two splits", first, f"{' and '.join(splits)}; also as {others}")


def _crossing(index: Index) -> Iterator[Finding]:
    """Find identities with images in more than one split."""
    table = index.table[index.good]
    table = table[table["identity"] != ""]
    for identity, part in table.groupby("identity"):
        counts = part["split"].value_counts().sort_index()
        if len(counts) > 1:
            said = ", ".join(f"{count} in {split}" for split, count in counts.items())
            yield Finding("identity in two splits", "", f"{identity}: {said}")


def _called(index: Index, row: int) -> str:
    stimulus_id = str(index.table["stimulus_id"].iloc[row])
    return called(index.names[row], int(index.items[row]), stimulus_id)
