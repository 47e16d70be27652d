"""Readers of users' folders: each knows one way in which data sets are laid out, and no data set.

A card names a reader and gives it what is particular: patterns, column names, lists.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from neurofer.stimuli.images import ImageFile, Picture, Stamp
from neurofer.stimuli.licensed.readers.clips import Clips, Frame
from neurofer.stimuli.licensed.readers.lists import Lists
from neurofer.stimuli.licensed.readers.names import Annotations, Folder
from neurofer.stimuli.licensed.readers.pixels import PixelRow, Pixels
from neurofer.stimuli.licensed.readers.rows import Rows
from neurofer.stimuli.licensed.readers.walk import Problem, Walk, walk

Layout = Annotated[Folder | Annotations | Lists | Pixels | Clips, Field(discriminator="reader")]


def picture_of(reader: str, path: str, stamp: Stamp, item: int) -> Picture:
    """Return the image that an item of a file is, as the reader of that name counts items.

    Args:
        reader: its name.
        path: of the file.
        stamp: of the file when it was indexed.
        item: number of the image in the file.
    """
    if reader == "pixels":
        return PixelRow(path, stamp, item)
    if reader == "clips":
        return Frame(path, stamp, item)
    return ImageFile(path, stamp)


__all__ = ["Layout", "Problem", "Rows", "Walk", "picture_of", "walk"]
