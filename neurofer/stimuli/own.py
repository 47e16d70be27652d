"""One's own pictures: a folder that a card of `kind: folder` describes, or one without a card."""

from __future__ import annotations

import os
import re
from pathlib import Path

from neurofer.errors import NeuroferError
from neurofer.files import expanded
from neurofer.stimuli.folder import read_stimuli
from neurofer.stimuli.licensed.card import FolderCard
from neurofer.stimuli.licensed.sets import load
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS

CARD = FolderCard

__all__ = ["CARD", "load", "read_pictures"]

_PATTERN = r"(?P<kind>[^/]+)/(?P<rest>(?:(?P<who>[^/]+)/)?.+)\.[^./]+"


def read_pictures(
    folder: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> StimulusSet:
    """Return the pictures of a folder without a card, labelled by its table or by its folders.

    With a `table.csv` it is read by `read_stimuli`. Without, the folders in it are the expressions,
    and folders within these the persons ("happy/anna/1.jpg"); "Happy" is "happy". Pictures that
    cannot be read or lie in no such folder are set aside with a warning.

    Args:
        folder: of the pictures.
        cache: folder of indexes; default: in the user's cache.
        progress: see `progress_of`.

    Raises:
        NeuroferError: there is no such folder, or nothing in it can be used.
    """
    path = expanded(folder)
    if not path.is_dir():
        raise NeuroferError(f"folder={str(folder)!r}: there is no such folder")
    if (path / "table.csv").is_file():
        return read_stimuli(path)
    kinds = sorted(one.name for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    if not kinds:
        raise NeuroferError(
            f"{path} holds neither a table.csv nor folders: put the pictures of each expression "
            "into a folder of its name"
        )
    card = _card(path.resolve(), kinds)
    return load(card.name, card, cache=cache, progress=progress)


def _card(path: Path, kinds: list[str]) -> FolderCard:
    """Return the card that a folder of folders would have."""
    canonical = {kind: kind.lower() if kind.lower() in EXPRESSIONS else kind for kind in kinds}
    return FolderCard.model_validate(
        {
            "name": re.sub(r"[^A-Za-z0-9_+=-]+", "-", path.name).strip("-") or "pictures",
            "title": path.name,
            "kind": "folder",
            "description": "Pictures of the user's own, by expression.",
            "licence": "not stated",
            "citation": "not stated",
            "folder": str(path),
            "source": "photograph",
            "files": "folders of pictures, one for each expression",
            "layouts": {"folders": {"reader": "folder", "pattern": _PATTERN}},
            "columns": {
                "stimulus_id": "{kind}/{rest}",
                "identity": "{who}",
                "expression": {"of": "{kind}", "map": canonical},
            },
        }
    )
