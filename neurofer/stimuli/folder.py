"""A stimulus set read from a folder: one that `writer` wrote, or one made by hand."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError
from neurofer.files import checked_name
from neurofer.sealed import read_sealed_json
from neurofer.stimuli.folder_table import made_by_hand, read_columns, read_landmarks, saved
from neurofer.stimuli.images import MaskFile
from neurofer.stimuli.licensed.readers.names import IMAGE_SUFFIXES
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import make_table
from neurofer.stimuli.writer import FORMAT, image_names
from neurofer.tables import same_number

_KINDS = ("string", "boolean", "integer", "number")


def read_stimuli(folder: str | os.PathLike[str]) -> StimulusSet:
    """Read a set from a folder.

    Of a folder that `StimulusSet.save` wrote, everything is checked: the table and the landmarks
    now, the pixels and the part masks when they are decoded. A folder made by hand needs
    `table.csv` with a column `stimulus_id` and `images/<stimulus_id>.png` (or .jpg, .bmp, .tif,
    .gif, .webp, .ppm); the set takes the folder's name. Its text is taken as it is written ("01",
    "NA"), what is empty is not stated, and a column of numbers alone is one of numbers.

    Raises:
        NeuroferError: a file is missing or unreadable, or the set was changed after it was saved.
    """
    folder = Path(folder)
    if not (folder / "table.csv").is_file():
        raise NeuroferError(f"{folder} is not a stimulus set: it has no table.csv")
    note = _read_note(folder / "set.json")
    try:
        return _read_made_by_hand(folder) if note is None else _read_saved(folder, note)
    except NeuroferError as error:
        if str(folder) in str(error):
            raise
        raise NeuroferError(f"{folder / 'table.csv'}: {error}") from error


def _read_saved(folder: Path, note: dict[str, Any]) -> StimulusSet:
    table = saved(folder / "table.csv", note["columns"])
    files = [_saved_image(folder / "images" / name) for name in image_names(table["stimulus_id"])]
    if len(note["parts"]) not in (0, len(files)):
        raise NeuroferError(
            f"{folder / 'set.json'} names {len(note['parts'])} part masks, and table.csv "
            f"{len(files)} images; restore them, or save the set again"
        )
    stimuli = StimulusSet(
        note["name"],
        make_table(table, table["image_sha256"]),
        files,
        landmarks=read_landmarks(folder / "landmarks.csv", table),
        parts=_masks(folder, files, note["parts"]),
    )
    if stimuli.identifier != note["identifier"]:
        raise NeuroferError(
            f"the stimulus set in {folder} was changed after it was saved (table.csv or "
            f"landmarks.csv): it was {note['identifier']} and is {stimuli.identifier}; restore it, "
            "or delete set.json to accept the change"
        )
    return stimuli


def _read_made_by_hand(folder: Path) -> StimulusSet:
    table = made_by_hand(read_columns(folder / "table.csv", ["stimulus_id"]))
    files = _images_by_hand(folder / "images", table["stimulus_id"].tolist())
    return StimulusSet.from_files(
        checked_name(folder.resolve().name, "stimulus set"),
        table,
        files,
        read_landmarks(folder / "landmarks.csv", table),
        _masks(folder, files, []),
    )


def _images_by_hand(folder: Path, ids: list[str]) -> list[Path]:
    """Return each stimulus' image: the file that is called as it is, or as `save` would call it."""
    try:
        there = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise NeuroferError(
            f"{folder}, where the images should lie, cannot be read: {error.strerror}"
        ) from error
    known: dict[str, Path] = {}
    for suffix in reversed(IMAGE_SUFFIXES):  # of several files of a name, the first suffix wins
        for path in there:
            if path.suffix.lower() == suffix:
                name = _composed(path.name)
                known |= {name: path, name[: -len(suffix)]: path}
    found = []
    for one, numbered in zip(ids, image_names(ids), strict=True):
        image = known.get(_composed(one)) or known.get(numbered)
        if image is None:
            raise _no_image(folder, one, known)
        found.append(image)
    return found


def _composed(name: str) -> str:
    """Return a name in one Unicode form: a Mac writes an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def _no_image(folder: Path, stimulus_id: str, known: dict[str, Path]) -> NeuroferError:
    stems = [path.stem for path in known.values()]
    like = same_number([stimulus_id], stems).get(stimulus_id)
    close = [like] if like else get_close_matches(stimulus_id, stems, 1)
    hint = f" (did you mean {close[0]!r}, which is there?)" if close else ""
    return NeuroferError(
        f"the image of stimulus {stimulus_id!r} is missing: {folder / stimulus_id}.png{hint}; put "
        f"it there, as one of {', '.join(IMAGE_SUFFIXES)}, or drop its row from table.csv"
    )


def _saved_image(path: Path) -> Path:
    if path.is_file():
        return path
    raise NeuroferError(
        f"the image of a stimulus is missing: {path}; restore it, or save the set again"
    )


def _masks(folder: Path, files: list[Path], hashes: list[str]) -> list[MaskFile | None] | None:
    """Return the part masks that there are, with the hashes that they must have if these are known.

    Raises:
        NeuroferError: one that was saved is missing.
    """
    found: list[MaskFile | None] = []
    known: Sequence[str | None] = hashes or [None] * len(files)
    for file, sha256 in zip(files, known, strict=True):
        path = folder / "parts" / f"{file.stem}.png"
        if sha256 and not path.is_file():
            raise NeuroferError(f"a part mask is missing: {path}; restore it")
        wanted = path.is_file() if sha256 is None else sha256 != ""
        found.append(MaskFile(str(path), sha256 or "") if wanted else None)
    return found if any(found) else None


def _read_note(path: Path) -> dict[str, Any] | None:
    """Return what `save` wrote of a set: name, identifier, columns and hashes of part masks."""
    if not path.is_file():
        return None
    try:
        note = read_sealed_json(path)
        if note["format"] != FORMAT:
            raise NeuroferError(
                f"{path} has format {note['format']}; this version reads format {FORMAT}"
            )
        columns, parts = dict(note["columns"]), list(note.get("parts", []))
        if not set(columns.values()) <= set(_KINDS) or "image_sha256" not in columns:
            raise ValueError("its columns are of unknown kinds, or some are lacking")
        return {
            "name": checked_name(note["name"], "stimulus set"),
            "identifier": str(note["identifier"]),
            "columns": columns,
            "parts": parts,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NeuroferError(f"{path} cannot be read ({error!r}); save the set again") from error
