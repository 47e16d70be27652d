"""The card of pictures in a folder: how they are read, what there must be, where they are from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neurofer.files import expanded
from neurofer.schema import Strict
from neurofer.stimuli.cards import Card
from neurofer.stimuli.licensed.readers import Layout
from neurofer.stimuli.licensed.readers.columns import Column, Lookup
from neurofer.stimuli.splits import shuffled


class Subset(Strict):
    """Some of a set's images, by name.

    Attributes:
        description: in a sentence.
        require: columns that must state something (not "" and not NaN).
        pairs: a file of pairs; the images are those that it names.
        split: which split they are; "" leaves it.
    """

    description: str
    require: tuple[str, ...] = ()
    pairs: str = ""
    split: str = ""


class Votes(Strict):
    """Columns with the number of votes for each label, see `votes.targets`.

    Attributes:
        expressions: the labels that are expressions; their columns are "votes_<expression>".
        others: the labels that are none ("unknown"), which a card's columns name alike.
    """

    expressions: tuple[str, ...]
    others: tuple[str, ...]


class Expected(Strict):
    """What a complete and sound copy holds.

    Attributes:
        images: how many.
        size: width and height of every image, where all are alike.
        distinct: column -> how many values it has.
        counts: columns with blanks between -> values with blanks between -> images.
        complete: columns and their values; every combination has exactly one image.
        known: name of a file -> what is wrong with it in the set as it is handed out.
        md5: name of a list -> its MD5.
    """

    images: int | None = None
    size: tuple[int, int] | None = None
    distinct: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    complete: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    known: dict[str, str] = Field(default_factory=dict)
    md5: dict[str, str] = Field(default_factory=dict)


class ShuffledSplit(Strict):
    """A split that a set's users agreed on: its images sorted by name and shuffled (seed 0).

    Attributes:
        held_out: how many images come to test, and as many to val; the others are to train.
        of: of how many; a copy that lacks some holds out the same share.
    """

    held_out: int = Field(gt=0)
    of: int = Field(gt=0)

    def splits(self, names: Sequence[str]) -> list[str]:
        """Return the split of each image, in the order of the names."""
        made = shuffled(len(names), self.held_out / self.of)
        order = sorted(range(len(names)), key=names.__getitem__)
        return [split for _, split in sorted(zip(order, made, strict=True))]


class PicturesCard(Card):
    """A set of pictures in a folder of the user's, and how it is read.

    Attributes:
        apply: where to ask for it.
        stand_in: the simulated set that is nearest to it.
        folder: where it lies, unless `neurofer stimuli add` remembers another place.
        source: what the pictures are (`table.SOURCES`).
        files: what the folder holds, in words.
        layouts: name -> reader and its particulars; the first that is recognised is taken.
        lookups: lists of further values.
        columns: column of the table -> how it is made.
        split: where the columns make none.
        landmarks: a file of landmarks below the folder, where it is there (`add_landmarks`).
        subsets: name -> some of the images; the first is the default.
        votes: for sets whose labels are votes.
        expected: what `neurofer stimuli check` compares.
    """

    apply: str = ""
    stand_in: str = ""
    folder: str = ""
    source: Literal["photograph", "drawn", "rendered", "simulated"]
    files: str
    layouts: dict[str, Layout] = Field(min_length=1)
    lookups: tuple[Lookup, ...] = ()
    columns: dict[str, Column]
    split: ShuffledSplit | None = None
    landmarks: str = ""
    subsets: dict[str, Subset] = Field(default_factory=dict)
    votes: Votes | None = None
    expected: Expected = Expected()

    @model_validator(mode="before")
    @classmethod
    def _short_columns(cls, content: Any) -> Any:
        """Let a card write a column as its text alone."""
        if isinstance(content, Mapping) and isinstance(content.get("columns"), Mapping):
            columns = {
                name: {"of": column} if isinstance(column, str) else column
                for name, column in content["columns"].items()
            }
            content = {**content, "columns": columns}
        return content

    @model_validator(mode="after")
    def _has_ids(self) -> Self:
        if "stimulus_id" not in self.columns:
            raise ValueError("columns: stimulus_id is missing")
        return self

    def called(self) -> str:
        """Return what the command line calls the set: its name, or the file of its card."""
        return self.name

    def parameters(self) -> list[str]:
        """Return the names of the parameters that `load_stimuli` takes for this set."""
        clips = any(layout.reader == "clips" for layout in self.layouts.values())
        optional = {
            "layout": len(self.layouts) > 1,
            "subset": bool(self.subsets),
            "rule": self.votes is not None,
            "rate": clips,
        }
        return ["path", *(name for name, there in optional.items() if there)]


class LicensedCard(PicturesCard):
    """A set that its owners hand out on application, and how a copy of it is read."""

    kind: Literal["licensed"]
    apply: str
    stand_in: str
    source: Literal["photograph", "drawn"]


class FolderCard(PicturesCard):
    """A folder of one's own pictures.

    `folder` is its path, below that of the card's file unless it begins with a slash; `marks` of
    a layout may be left out.
    """

    kind: Literal["folder"]
    files: str = "the pictures that its card describes"
    file: str = Field(default="", exclude=True)

    def called(self) -> str:
        """Return the file of the card, "" if it was made for a folder that has none."""
        return self.file

    @classmethod
    def placed(cls, content: dict[str, Any], path: Path) -> dict[str, Any]:
        """Return the content with the path of the folder written out."""
        content = {**content, "file": str(path)}
        folder = content.get("folder")
        if not isinstance(folder, str) or not folder:
            return content
        return {**content, "folder": str(path.resolve().parent / expanded(folder))}

    @model_validator(mode="before")
    @classmethod
    def _any_mark(cls, content: Any) -> Any:
        """Let a layout be recognised by whatever the folder holds."""
        if isinstance(content, Mapping) and isinstance(content.get("layouts"), Mapping):
            layouts = {
                name: {"marks": ["*"], **layout} if isinstance(layout, Mapping) else layout
                for name, layout in content["layouts"].items()
            }
            content = {**content, "layouts": layouts}
        return content
