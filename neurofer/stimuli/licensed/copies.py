"""A user's copy of a licensed set: found, recognised, listed and indexed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd

from neurofer.closure import closure_hash
from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.files import cache_folder, checked_name, content_hash
from neurofer.options import above, at_most, checked
from neurofer.schema import Strict
from neurofer.sealed import read_sealed_json
from neurofer.stimuli.licensed.card import PicturesCard
from neurofer.stimuli.licensed.index import Index, Parsed, key_of, make_index, read_index
from neurofer.stimuli.licensed.readers import Layout, Walk, walk
from neurofer.stimuli.licensed.readers.columns import look_up, make_columns
from neurofer.stimuli.licensed.readers.lists import List
from neurofer.stimuli.licensed.remembered import remember, remembered
from neurofer.stimuli.table import make_table

NOTE = "neurofer-simulated.json"
"""The file that says of a folder that its images are not photographs."""

_NOTE_KEYS = ("set", "source", "card", "identifier")


class Copy(Strict):
    """A user's copy of a set: its folder, the layout that it has, and what it says of itself.

    Attributes:
        name: of the set; that of a simulated set where the folder holds one.
        source: of its images.
        simulated: whether it holds simulated images in the layout of the original.
    """

    card: PicturesCard
    folder: Path
    layout: str
    name: str
    source: str
    simulated: bool


def licensed_card(name: str) -> PicturesCard:
    """Return the card of a set of the user's pictures, licensed or their own, by name or file.

    Raises:
        NeuroferError: there is none; the message lists the choices.
    """
    from neurofer.stimuli.cards import find_card, no_such_set, read_cards

    if name.lower().endswith((".yaml", ".yml")):
        card = find_card(name)[1]
        if isinstance(card, PicturesCard):
            return card
    cards = {key: card for key, card in read_cards().items() if isinstance(card, PicturesCard)}
    if name not in cards:
        raise no_such_set("licensed set", name, sorted(cards))
    return cards[name]


def find_copy(
    card: PicturesCard, path: str | os.PathLike[str] | None = None, layout: str | None = None
) -> Copy:
    """Return the user's copy of a set, at a path or at the remembered one.

    Args:
        card: of the set.
        path: of the folder; by default the remembered one.
        layout: name of one of the card's layouts; by default the one that fits.

    Raises:
        NeuroferError: no path is known, or what lies there has no layout of the set.
    """
    if layout is not None and layout not in card.layouts:
        raise unknown_choice("layout", layout, card.layouts, f"set {card.name!r}")
    if path is None:
        path = remembered().get(card.name) or card.folder or None
    if path is None and not card.apply:
        raise NeuroferError(
            f"the card of {card.name!r} does not say where its pictures lie: write "
            f"`folder: PATH` into it, run `neurofer stimuli add {card.called()} PATH`, or pass "
            "path=..."
        )
    if path is None:
        raise NeuroferError(
            f"{card.title} ({card.name}) is handed out by its owners, not by neurofer "
            f"({' '.join(card.licence.split())}): apply at {card.apply}, then run `neurofer "
            f"stimuli add {card.name} PATH`, or pass path=...; of the simulated "
            f"sets {card.stand_in!r} is the nearest to it"
        )
    given = Path(path).expanduser()
    if not given.is_dir():
        raise NeuroferError(
            f"path={str(given)!r} of {card.name} is not a folder; give the one that holds: "
            f"{' '.join(card.files.split())}"
        )
    for name in card.layouts if layout is None else [layout]:
        for folder in [*(given / anchor for anchor in card.layouts[name].anchors), given]:
            if any(next(folder.glob(mark), None) for mark in card.layouts[name].marks):
                return _labelled(card, given, folder, name)
    raise NeuroferError(
        f"{given} does not look like {card.title} ({card.name}): it should hold "
        f"{' '.join(card.files.split())}"
    )


def add_copy(
    name: str, path: str | os.PathLike[str], layout: str | None = None
) -> tuple[Copy, int]:
    """Remember where the user's copy of a set lies, if it looks like the set.

    Returns the copy and how many of its images have names of the set; none is decoded.

    Args:
        name: of the set.
        path: of the folder.
        layout: name of one of the card's layouts; by default the one that fits.

    Raises:
        NeuroferError: the set is unknown, the folder does not have its layout, or fewer images
            have names of the set than have others.
    """
    copy = find_copy(licensed_card(name), path, layout)
    reader = copy.card.layouts[copy.layout]
    parsed = parse(copy, reader, walk(copy.folder, reader.only()))
    count, wrong = int(parsed.sound.sum()), len(parsed.problems)
    if count <= wrong:
        first = f", such as {parsed.problems[0].file}" if wrong else ""
        raise NeuroferError(
            f"{path} does not look like {copy.card.title} ({name}): {count} images fit and {wrong} "
            f"files do not{first}; it should hold {' '.join(copy.card.files.split())}"
        )
    remember(copy.card.name, path)
    return copy, count


def pairs_file(copy: Copy, name: str) -> Path:
    """Return a file of pairs, in the folder of the images or beside it."""
    for folder in (copy.folder, copy.folder.parent):
        if (folder / name).is_file():
            return folder / name
    source = copy.card.apply or "its source"
    raise NeuroferError(
        f"{name} is neither in {copy.folder} nor beside it; copy it there from {source}"
    )


def _labelled(card: PicturesCard, given: Path, folder: Path, layout: str) -> Copy:
    """Return the copy; a note in the folder says that its images are simulated."""
    notes = [place / NOTE for place in (given, folder) if (place / NOTE).is_file()]
    if not notes:
        return Copy(
            card=card,
            folder=folder,
            layout=layout,
            name=card.name,
            source=card.source,
            simulated=False,
        )
    name, source, original = read_note(notes[0])
    if original != card.name:
        raise NeuroferError(f"{given} holds {name} in the layout of {original}, not of {card.name}")
    return Copy(card=card, folder=folder, layout=layout, name=name, source=source, simulated=True)


def read_note(path: Path) -> tuple[str, str, str]:
    """Return what `NOTE` says of a folder: the set, what its images are, whose layout they have.

    Raises:
        NeuroferError: it cannot be read, names no such source, or has a name that no set may have.
    """
    try:
        note = read_sealed_json(path)
        name, source, original = (note[key] for key in _NOTE_KEYS[:3])
    except (NeuroferError, OSError, ValueError, KeyError, RecursionError) as error:
        raise NeuroferError(
            f"{path} cannot be read ({error!r}); it needs {', '.join(_NOTE_KEYS)}"
        ) from error
    try:
        checked_name(name, "stimulus set")
    except NeuroferError as error:
        raise NeuroferError(f"{path}: {error}") from error
    if name == original:
        raise NeuroferError(f"{path}: what stands in for {original} cannot have its name")
    check_choice("source", source, ("rendered", "simulated"), str(path))
    return str(name), str(source), str(original)


def stands_in(folder: str | os.PathLike[str]) -> str:
    """Return what is said of a folder whose images are not photographs, "" of any other."""
    note = Path(folder) / NOTE
    if not note.is_file():
        return ""
    name, source, original = read_note(note)
    return f"{source}: {name} in place of {original}"


@checked
def open_index(
    copy: Copy,
    *,
    cache: str | os.PathLike[str] | None = None,
    rate: Annotated[float, above(0), at_most(1000)] | None = None,
    progress: bool | None = None,
    fresh: bool = False,
) -> Index:
    """Return the index of a copy; what it does not know yet is decoded now.

    Args:
        copy: of `find_copy`.
        cache: folder of indexes; default: in the user's cache.
        rate: frames a second of clips; default: as the card says.
        progress: see `progress_of`.
        fresh: decode every file, whatever an index says.
    """
    layout = copy.card.layouts[copy.layout]
    if rate is not None:
        layout = layout.model_copy(update={"rate": rate})
    files = walk(copy.folder, layout.only())
    made_of = (copy.card.model_dump(mode="json"), layout.model_dump(mode="json"))
    key = key_of(files, layout.reader, made_of, copy.name, copy.source, _code())
    place = cache_folder("index") if cache is None else Path(cache)
    name = content_hash(str(files.root), copy.layout, layout.model_dump(mode="json"))[:16]
    path = place / f"{copy.card.name}-{name}.npz"
    old = None if fresh else read_index(path, files, layout.reader)
    if old is not None and old.key == key and bool(old.stamps[:, 2].all()):
        return old
    parsed = parse(copy, layout, files, progress)
    return make_index(parsed, path, key, old, f"indexing {copy.name}", progress)


def _code() -> str:
    """Return a hash of the code that makes a table of a copy; its card is in the key as it is."""
    return closure_hash(__name__, without=["neurofer.stimuli.cards"])


def parse(copy: Copy, layout: Layout, files: Walk, progress: bool | None = None) -> Parsed:
    """Read names and lists, and make the table; no image is decoded.

    Args:
        copy: where the set lies.
        layout: how its files are named.
        files: that are there.
        progress: see `progress.progress_of`.
    """
    card = copy.card
    rows = layout.read(files, progress)
    for lookup in card.lookups:
        there = tuple(name for name in lookup.files if (files.root / name).is_file())
        look_up(lookup, list(List(files=there).rows(files.root)) if there else [], rows)
    columns, sound, problems = make_columns(card.columns, rows)
    size = None if copy.simulated else card.expected.size
    if card.split is not None:
        columns["split"] = card.split.splits(columns["stimulus_id"])
    # A row that is set aside keeps its place, under an id of its own.
    ids = zip(columns["stimulus_id"], sound, strict=True)
    columns["stimulus_id"] = [one if good else f"bad {i}" for i, (one, good) in enumerate(ids)]
    table = pd.DataFrame(columns)
    if len(table):
        table = make_table(table.assign(source=copy.source), [""] * len(table))
    return Parsed(
        files,
        layout.reader,
        table,
        rows.files,
        np.asarray(rows.items, dtype=np.int64),
        sound,
        [*files.problems, *rows.problems, *problems],
        size,
    )
