"""The weight files that come with the package: compact networks, trained on rendered faces."""

from __future__ import annotations

import os
from pathlib import Path

from neurofer.errors import unknown_choice
from neurofer.files import PACKAGE

FOLDER = PACKAGE / "subjects" / "weights"


def list_shipped() -> tuple[str, ...]:
    """Return the names of the weight files that come with the package, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.safetensors")))


def weight_file(name: str | os.PathLike[str]) -> Path:
    """Return the path of a weight file.

    Args:
        name: of a shipped one, or the path of any.

    Raises:
        NeuroferError: a name that is neither shipped nor ends in .safetensors.
    """
    text = os.fspath(name)
    if text in list_shipped():
        return FOLDER / f"{text}.safetensors"
    if not text.endswith(".safetensors"):
        raise unknown_choice("weights", text, [*list_shipped(), "the path of a .safetensors file"])
    return Path(text)
