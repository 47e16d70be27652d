"""The version of the renderer: a hash of all that decides its pixels."""

from __future__ import annotations

from neurofer.closure import PACKAGE, file_hash
from neurofer.files import content_hash, sha256_file


def _renderer_version() -> str:
    folder = PACKAGE / "faces"
    sources = {file.name: file_hash(file) for file in folder.glob("*.py")}
    return content_hash(sources, sha256_file(folder / "asset" / "head.npz"))[:16]


RENDERER_VERSION = _renderer_version()
"""Changes with the renderer's sources and its asset: a part of the key of every cached image."""
