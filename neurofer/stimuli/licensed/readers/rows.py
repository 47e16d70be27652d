"""What every reader returns: one row per image, with the raw values that the folder states."""

from __future__ import annotations

from dataclasses import dataclass, field

from neurofer.stimuli.licensed.readers.walk import Problem

WHOLE = -1  # the item of an image that is a file of its own


@dataclass
class Rows:
    """Images and what their folder says of them, before a card gives it meaning.

    Attributes:
        files: name of each image's file.
        items: which part of the file it is (a byte offset, a frame); `WHOLE` for all of it.
        values: field -> one string per image. Every reader gives "file" and "stem".
        problems: what was set aside.
    """

    files: list[str] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, file: str, item: int, values: dict[str, str]) -> None:
        """Add an image; every image of a reader has the same fields.

        Args:
            file: its path below the folder.
            item: number of the image in the file.
            values: field -> value.
        """
        stem = file.rpartition("/")[2].rpartition(".")[0]
        self.files.append(file)
        self.items.append(item)
        for name, value in {"file": file, "stem": stem, **values}.items():
            self.values.setdefault(name, []).append(value)


def called(file: str, item: int, stimulus_id: str) -> str:
    """Return what an image is called in lists of problems: its file, or a part of its file.

    Args:
        file: its path below the folder.
        item: number of the image in the file.
        stimulus_id: of the image.
    """
    return file if item == WHOLE else f"{file} ({stimulus_id})"
