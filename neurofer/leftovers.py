"""What a killed process leaves behind: found by whose it was, put back or taken away.

Half-written files and folders carry the machine and the process that writes them in their names, so
that a later process can tell those of the dead from those of its neighbours.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PARTIAL, REPLACED, SCRATCH = ".partial", ".replaced", "neurofer-scratch"
DAY = 86_400.0  # seconds after which what another machine left is taken for dead

_LEFT = re.compile(r"(?:\.partial|\.replaced|neurofer-scratch)-([0-9a-f]{8})-(\d+)-")
_cleaned: set[str] = set()


def mark(kind: str) -> str:
    """Return how the name of a temporary file or folder of this process begins."""
    return f"{kind}-{_machine()}-{os.getpid()}-"


def clean(folder: str | os.PathLike[str], *, again: bool = False) -> None:
    """Take away what dead processes left in a folder, and put back what they had moved aside.

    A folder is looked at once in a process, unless `again`. What cannot be removed is left.
    """
    place = os.path.abspath(folder)
    if place in _cleaned and not again:
        return
    _cleaned.add(place)
    with suppress(OSError), os.scandir(place) as entries:
        left = [entry for entry in entries if _LEFT.match(entry.name) and _is_dead(entry)]
        for entry in left:
            with suppress(OSError):
                _take_away(Path(entry.path))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for this block, in the system's place for temporary files.

    What killed processes left there is taken away.
    """
    clean(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=mark(SCRATCH), ignore_cleanup_errors=True) as name:
        yield Path(name)


def _take_away(path: Path) -> None:
    if path.name.startswith(REPLACED):
        # The process died after it had moved the old folder and before the new one came.
        for old in path.iterdir():
            if not os.path.lexists(path.parent / old.name):
                os.replace(old, path.parent / old.name)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_dead(entry: os.DirEntry[str]) -> bool:
    found = _LEFT.match(entry.name)
    assert found is not None
    machine, process = found.groups()
    if machine == _machine() and os.name == "posix":
        return not _lives(int(process))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > DAY


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
