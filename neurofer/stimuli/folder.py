"""A stimulus set as a folder: table.csv, images/, landmarks.csv, parts/, set.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError
from neurofer.files import write_folder_whole
from neurofer.stimuli.images import ahead, write_image
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import column, kind_of, make_table

FORMAT = 1
_SAFE = re.compile(r"[\w.+-]{1,150}")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_DTYPES = {"string": object, "boolean": bool, "integer": np.int64, "number": np.float64}


def image_names(stimulus_ids: Iterable[str]) -> list[str]:
    """Return the PNG file name of every stimulus: its id, or its position if no file may be so.

    >>> image_names(["human-happy", "a/b"])
    ['human-happy.png', '00001.png']
    """
    ids = [str(stimulus_id) for stimulus_id in stimulus_ids]
    folded = [stimulus_id.casefold() for stimulus_id in ids]
    # Some file systems ignore case: ids that differ in case only are numbered as well.
    twice = len(set(folded)) < len(folded)
    return [
        f"{i:05d}.png" if twice or not _SAFE.fullmatch(name) else f"{name}.png"
        for i, name in enumerate(ids)
    ]


def save_stimuli(stimuli: StimulusSet, folder: str | os.PathLike[str]) -> Path:
    """Write a set to a folder, whole or not at all; see `StimulusSet.save`."""
    folder = Path(folder)
    if folder.exists() and not (folder / "set.json").is_file() and any(folder.iterdir()):
        raise NeuroferError(f"{folder} holds something other than a stimulus set; name another")
    table = stimuli.table
    names = image_names(table["stimulus_id"])
    with write_folder_whole(folder) as partial:
        (partial / "images").mkdir()

        def write(i: int) -> bool:
            write_image(partial / "images" / names[i], stimuli.image(i))
            parts = stimuli.parts(i)
            if parts is not None:
                (partial / "parts").mkdir(exist_ok=True)
                write_image(partial / "parts" / names[i], parts)
            return True

        all(ahead(write, range(len(stimuli))))
        table.to_csv(partial / "table.csv", index=False)
        if stimuli.landmarks is not None:
            _write_landmarks(partial / "landmarks.csv", table, stimuli.landmarks)
        note = {
            "format": FORMAT,
            "name": stimuli.name,
            "identifier": stimuli.identifier,
            "columns": {str(c): kind_of(column(table, str(c))) for c in table.columns},
        }
        (partial / "set.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return folder


def read_stimuli(folder: str | os.PathLike[str]) -> StimulusSet:
    """Read a set from a folder.

    Of a folder that `StimulusSet.save` wrote, everything is checked: the table and the landmarks
    now, the pixels when they are decoded. A folder made by hand needs `table.csv` with a column
    `stimulus_id` and `images/<stimulus_id>.png` (or .jpg, .bmp, .tif); the set takes the folder's
    name.

    Raises:
        NeuroferError: a file is missing or unreadable, or the set was changed after it was saved.
    """
    folder = Path(folder)
    if not (folder / "table.csv").is_file():
        raise NeuroferError(f"{folder} is no stimulus set: it has no table.csv")
    note = _read_note(folder / "set.json")
    table = _read_table(folder / "table.csv", note)
    files = [_find(folder / "images", name) for name in image_names(table["stimulus_id"])]
    landmarks = _read_landmarks(folder / "landmarks.csv", table)
    parts: list[Path | None] = [folder / "parts" / f"{file.stem}.png" for file in files]
    parts = [part if part is not None and part.is_file() else None for part in parts]
    masks = parts if any(parts) else None
    if note is None:
        return StimulusSet.from_files(folder.resolve().name, table, files, landmarks, masks)
    made = make_table(table, table["image_sha256"])
    stimuli = StimulusSet(note["name"], made, files, landmarks=landmarks, parts=masks)
    if stimuli.identifier != note["identifier"]:
        raise NeuroferError(
            f"the stimulus set in {folder} was changed after it was saved: it was "
            f"{note['identifier']} and is {stimuli.identifier}; restore it, or delete set.json to "
            "accept the change"
        )
    return stimuli


def _read_note(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        if note["format"] != FORMAT:
            raise NeuroferError(
                f"{path} has format {note['format']}; this version reads format {FORMAT}"
            )
        return {key: note[key] for key in ("name", "identifier", "columns")}
    except (ValueError, KeyError, TypeError) as error:
        raise NeuroferError(f"{path} cannot be read ({error!r}); save the set again") from error


def _read_table(path: Path, note: dict[str, Any] | None) -> pd.DataFrame:
    try:
        if note is None:
            table = pd.read_csv(path, dtype={"stimulus_id": str, "identity": str}, na_values=[""])
        else:
            dtypes = {name: _DTYPES[kind] for name, kind in note["columns"].items()}
            table = pd.read_csv(
                path,
                dtype=dtypes,
                # read strings as they are: an identity may be called "NA"
                keep_default_na=False,
                na_values={n: ["", "nan"] for n, k in note["columns"].items() if k == "number"},
                float_precision="round_trip",
            )
    except (ValueError, KeyError, OSError) as error:
        raise NeuroferError(f"{path} cannot be read as a table: {error}") from error
    if "stimulus_id" not in table:
        raise NeuroferError(f"{path} has no column stimulus_id; it has {', '.join(table.columns)}")
    return table


def _find(folder: Path, name: str) -> Path:
    stem = name.removesuffix(".png")
    for suffix in _SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise NeuroferError(
        f"the image of a stimulus is missing: {folder / name}; put it back, or drop its row "
        "from table.csv"
    )


def _landmark_names() -> tuple[str, ...]:
    from neurofer.faces import LANDMARKS, POSITION_LANDMARKS

    return (*LANDMARKS, *POSITION_LANDMARKS)


def _write_landmarks(path: Path, table: pd.DataFrame, landmarks: np.ndarray) -> None:
    columns = [f"{name}.{axis}" for name in _landmark_names() for axis in "xy"]
    frame = pd.DataFrame(landmarks.reshape(len(landmarks), -1), columns=columns)
    frame.insert(0, "stimulus_id", table["stimulus_id"])
    frame.to_csv(path, index=False)


def _read_landmarks(path: Path, table: pd.DataFrame) -> np.ndarray | None:
    if not path.is_file():
        return None
    frame = pd.read_csv(path, dtype={"stimulus_id": str}, float_precision="round_trip")
    columns = [f"{name}.{axis}" for name in _landmark_names() for axis in "xy"]
    if list(frame.columns) != ["stimulus_id", *columns] or (
        frame["stimulus_id"].tolist() != table["stimulus_id"].tolist()
    ):
        raise NeuroferError(
            f"{path} does not fit table.csv: it needs the same stimuli in the same order and the "
            f"columns stimulus_id, {', '.join(columns)}"
        )
    return frame[columns].to_numpy(dtype=np.float64).reshape(len(frame), -1, 2)
