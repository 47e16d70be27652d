"""A stimulus set written to a folder: table.csv, images/, landmarks.csv, parts/, set.json.

It takes the parts of a set, so that `StimulusSet.save` needs nothing that knows what a set is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError
from neurofer.files import content_hash, write_folder_whole
from neurofer.sealed import write_sealed_json
from neurofer.stimuli.folder_table import write_landmarks
from neurofer.stimuli.images import ahead, write_image
from neurofer.stimuli.table import column, kind_of

FORMAT = 1
_SAFE = re.compile(r"[\w.+-]{1,150}")


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


def save_stimuli(
    folder: str | os.PathLike[str],
    *,
    name: str,
    identifier: str,
    table: pd.DataFrame,
    image: Callable[[int], np.ndarray],
    parts: Callable[[int], np.ndarray | None],
    landmarks: np.ndarray | None,
) -> Path:
    """Write a set to a folder, whole or not at all, and return the folder.

    Args:
        folder: a new or empty one, or one that holds a set.
        name: of the set.
        identifier: of the set, compared when it is read.
        table: canonical, one row per stimulus.
        image: position -> (H, W, 3) uint8; called in threads.
        parts: position -> (H, W) uint8, None where there are none; called in threads.
        landmarks: (n, 13, 2); None where there are none.

    Raises:
        NeuroferError: the folder holds something else or cannot be written, or an image cannot be
            read.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "set.json").is_file() and any(folder.iterdir()):
        raise NeuroferError(f"{folder} holds something other than a stimulus set; name another")
    names = image_names(table["stimulus_id"])
    try:
        with write_folder_whole(folder) as partial:
            masks = _write_images(partial, names, image, parts)
            table.to_csv(partial / "table.csv", index=False)
            if landmarks is not None:
                write_landmarks(partial / "landmarks.csv", table, landmarks)
            note = {
                "format": FORMAT,
                "name": name,
                "identifier": identifier,
                "columns": {str(c): kind_of(column(table, str(c))) for c in table.columns},
                "parts": masks if any(masks) else [],
            }
            write_sealed_json(partial / "set.json", note)
    except OSError as error:
        raise NeuroferError(
            f"{folder} cannot be written ({error.strerror or error}); make room, or name another"
        ) from error
    return folder


def _write_images(
    folder: Path,
    names: list[str],
    image: Callable[[int], np.ndarray],
    parts: Callable[[int], np.ndarray | None],
) -> list[str]:
    """Write images/ and parts/; return the hash of each image's part mask, "" where it has none."""
    (folder / "images").mkdir()

    def write(i: int) -> str:
        write_image(folder / "images" / names[i], image(i))
        labels = parts(i)
        if labels is None:
            return ""
        (folder / "parts").mkdir(exist_ok=True)
        write_image(folder / "parts" / names[i], labels)
        return content_hash(labels)

    return list(ahead(write, range(len(names))))
