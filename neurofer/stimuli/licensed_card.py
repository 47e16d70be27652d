"""The card of a licensed set: where it is had, how a folder of it is read, what it must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from neurofer.schema import Strict
from neurofer.stimuli.cards import Card
from neurofer.stimuli.readers import Layout
from neurofer.stimuli.readers.columns import Column, Lookup


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


class LicensedCard(Card):
    """A set that its owners hand out on application, and how a copy of it is read.

    Attributes:
        apply: where to ask for it.
        stand_in: the simulated set that is nearest to it.
        source: "photograph" or "drawn".
        files: what the folder holds, in words.
        layouts: name -> reader and its particulars; the first that is recognised is taken.
        lookups: lists of further values.
        columns: column of the table -> how it is made.
        subsets: name -> some of the images; the first is the default.
        votes: for sets whose labels are votes.
        expected: what `neurofer stimuli check` compares.
    """

    kind: Literal["licensed"]
    apply: str
    stand_in: str
    source: Literal["photograph", "drawn"]
    files: str
    layouts: dict[str, Layout] = Field(min_length=1)
    lookups: tuple[Lookup, ...] = ()
    columns: dict[str, Column]
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
    def _has_ids(self) -> LicensedCard:
        if "stimulus_id" not in self.columns:
            raise ValueError("columns: stimulus_id is missing")
        return self

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
