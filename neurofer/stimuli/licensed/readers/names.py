"""Readers of folders whose file names say what an image shows, with or without annotations."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from sys import intern
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from neurofer.progress import progress_of
from neurofer.schema import Strict
from neurofer.stimuli.images import ahead
from neurofer.stimuli.licensed.readers.rows import WHOLE, Rows
from neurofer.stimuli.licensed.readers.walk import Problem, Walk

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm")


class Base(Strict):
    """What every layout says.

    Attributes:
        anchors: names of the folder that holds the set, below the path that a user gives, if it
            is not that path itself.
        marks: the layout is recognised by one of these files or folders (with wildcards) in it.
    """

    anchors: tuple[str, ...] = ()
    marks: tuple[str, ...] = Field(min_length=1)

    def only(self) -> Sequence[str]:
        """Return the files that are read, where few of known names are; else nothing."""
        return ()


class Folder(Base):
    """Images whose names say it all.

    Attributes:
        pattern: of the whole name below the set's folder, with named groups; capitals do not
            matter.
        ignore: of names of images that are not part of the set.
        upper: write the values of the groups in capitals, whatever the file names have.
    """

    reader: Literal["folder"]
    pattern: str
    ignore: str = ""
    upper: bool = False

    @field_validator("pattern", "ignore")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern

    def read(self, files: Walk, progress: bool | None = None) -> Rows:
        """Match every image's name; those that do not match are set aside."""
        rows = Rows()
        pattern = re.compile(self.pattern, re.IGNORECASE)
        ignore = re.compile(self.ignore, re.IGNORECASE) if self.ignore else None
        for name in files.names:
            if not name.lower().endswith(IMAGE_SUFFIXES) or (ignore and ignore.fullmatch(name)):
                continue
            match = pattern.fullmatch(name)
            if match is None:
                rows.problems.append(Problem(name, "wrong name", "no name of this set"))
                continue
            values = {key: value or "" for key, value in match.groupdict().items()}
            values.setdefault("stem", name.rpartition("/")[2].rpartition(".")[0])
            if self.upper:
                values = {key: value.upper() for key, value in values.items()}
            # Names repeat, and there may be millions of files.
            rows.add(name, WHOLE, {key: intern(value) for key, value in values.items()})
        return rows


class Annotations(Folder):
    """Images with a .npy file of one value for each annotation.

    Attributes:
        annotations: field -> name of its file below the set's folder, with groups in braces.
    """

    reader: Literal["annotations"]  # type: ignore[assignment]
    annotations: dict[str, str]

    def read(self, files: Walk, progress: bool | None = None) -> Rows:
        """Match the names, then read every annotation; an image that lacks one is set aside."""
        named = super().read(files)
        rows = Rows(problems=list(named.problems))
        keys, columns = list(named.values), named.values.values()
        table = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
        annotate = partial(self._annotate, os.fspath(files.root))
        with progress_of("reading annotations", len(table), progress) as advance:
            for file, row, found in zip(named.files, table, ahead(annotate, table), strict=True):
                if isinstance(found, Problem):
                    rows.problems.append(found)
                else:
                    rows.add(file, WHOLE, {**row, **found})
                advance()
        return rows

    def _annotate(self, root: str, row: dict[str, str]) -> dict[str, str] | Problem:
        found = {}
        for name, template in self.annotations.items():
            file = template.format_map(row)
            try:
                # The 2021 edition of AffectNet stores numbers as strings, without dimensions.
                # Mapped, for a small file can claim more values than the memory holds.
                value = np.load(os.path.join(root, file), mmap_mode="r", allow_pickle=False)
                found[name] = _plain(str(value.item()))
            except FileNotFoundError:
                return Problem(file, "missing file", f"the {name} of {row['file']}")
            except (OSError, ValueError, EOFError) as error:
                return Problem(file, "corrupt annotation", str(error))
        return found


def _plain(value: str) -> str:
    """Return "3" for "3.0": whole numbers are written without a point."""
    try:
        return str(int(float(value))) if float(value).is_integer() else value
    except ValueError:
        return value
