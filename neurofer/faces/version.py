"""The version of the renderer: a hash of all that decides its pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path


def _renderer_version() -> str:
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.name.encode() + b"\0")
        # Line ends may differ between checkouts; they decide no pixel.
        digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    digest.update((folder / "asset" / "head.npz").read_bytes())
    return digest.hexdigest()[:16]


RENDERER_VERSION = _renderer_version()
"""Changes with the renderer's sources and its asset: a part of the key of every cached image."""
