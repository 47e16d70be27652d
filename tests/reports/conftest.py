from __future__ import annotations

from tests.studies.conftest import _own_cache, folder

__all__ = ["_own_cache", "folder"]
