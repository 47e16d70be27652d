"""What lies in a user's folder: every file's name, size and time of change, and what is amiss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.stimuli.images import irregular


class Problem(NamedTuple):
    """A file that is set aside: its name below the folder, what is wrong, and in which way."""

    file: str
    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Walk:
    """The files below a folder, by name; names have "/" between their parts.

    Attributes:
        root: the folder, links resolved.
        names: of the files, sorted.
        sizes: bytes, int64.
        times: of the last change, ns, int64.
        problems: links that lead out of the folder, what is not a regular file (named pipes), and
            what cannot be listed.
    """

    root: Path
    names: list[str]
    sizes: np.ndarray
    times: np.ndarray
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of names, sizes and times."""
        names = "\0".join(self.names).encode("utf-8", "surrogateescape")
        problems = [list(problem) for problem in self.problems]
        return content_hash(names, self.sizes, self.times, problems)

    @cached_property
    def position(self) -> dict[str, int]:
        """Position of each name in `names`."""
        return {name: i for i, name in enumerate(self.names)}


def walk(folder: Path, only: Sequence[str] = ()) -> Walk:
    """List the files below a folder; hidden ones and those behind links to folders are left out.

    Args:
        folder: of the data set.
        only: look at these files alone (those that exist).

    Raises:
        NeuroferError: there is no such folder.
    """
    if not folder.is_dir():
        raise NeuroferError(f"{folder} is not a folder; name the folder of the data set")
    root = Path(os.path.realpath(folder))
    problems: list[Problem] = []
    found: list[tuple[str, int, int]] = []
    if only:
        paths = ((name, root / name) for name in only)
        found = [
            (name, path.stat().st_size, path.stat().st_mtime_ns)
            for name, path in paths
            if path.is_file()
        ]
    else:
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(root / below) as entries:
                    for entry in entries:
                        # Most are plain files, and there may be millions.
                        if entry.is_file(follow_symlinks=False) and entry.name[0] != ".":
                            status = entry.stat(follow_symlinks=False)
                            found.append((below + entry.name, status.st_size, status.st_mtime_ns))
                        else:
                            _look(entry, below, root, found, waiting, problems)
            except OSError as error:
                problems.append(Problem(below, "unreadable file", error.strerror or str(error)))
    found.sort()
    sizes, times = (np.asarray([file[k] for file in found], dtype=np.int64) for k in (1, 2))
    return Walk(root, [file[0] for file in found], sizes, times, sorted(problems))


def _look(
    entry: os.DirEntry[str],
    below: str,
    root: Path,
    found: list[tuple[str, int, int]],
    waiting: list[str],
    problems: list[Problem],
) -> None:
    if entry.name.startswith("."):
        return
    name = below + entry.name
    if entry.is_dir(follow_symlinks=False):
        waiting.append(name + "/")
        return
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(root):
            problems.append(Problem(name, "link out of the folder", f"leads to {target}"))
            return
        if target.is_dir():  # its files are met where they are
            return
    try:
        status = entry.stat()
        if kind := irregular(status.st_mode):
            problems.append(Problem(name, "irregular file", f"it is {kind}"))
            return
        found.append((name, status.st_size, status.st_mtime_ns))
    except OSError as error:
        problems.append(Problem(name, "unreadable file", error.strerror or str(error)))
