"""What a report is made of, before it is HTML or PDF.

Text is plain; a part between backticks is code, a part between double asterisks is strong, and a
backslash takes the meaning of the mark after it, as in Markdown. Nothing else in it means anything.
What comes from a study or a file is put into it by `labels.markdown` and `labels.code`, so that no
name or message can break a page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Span = tuple[Literal["text", "code", "strong"], str]
Align = Literal["left", "right", "center"]
Tone = Literal["plain", "good", "bad", "muted"]

_MARKED = re.compile(
    r"(?P<escaped>\\[\\`*_\[\]<>|#~])|`(?P<code>[^`]+)`"
    r"|\*\*(?P<strong>(?:\\[\\`*_\[\]<>|#~]|[^*])+)\*\*"
)
_ESCAPED = re.compile(r"\\([\\`*_\[\]<>|#~])")


def spans(text: str) -> list[Span]:
    r"""Split a text into plain, code and strong parts.

    >>> spans("the set `bfs` is **rendered**")
    [('text', 'the set '), ('code', 'bfs'), ('text', ' is '), ('strong', 'rendered')]
    >>> spans(r"2\*\*3")
    [('text', '2**3')]
    """
    found: list[Span] = []
    plain, end = "", 0
    for match in _MARKED.finditer(text):
        plain += text[end : match.start()]
        end = match.end()
        if match["escaped"]:
            plain += match["escaped"][1]
            continue
        if plain:
            found.append(("text", plain))
            plain = ""
        code, strong = match["code"], match["strong"]
        found.append(("code", code) if code else ("strong", _ESCAPED.sub(r"\1", strong)))
    plain += text[end:]
    if plain:
        found.append(("text", plain))
    return found


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of short texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """A box that a reader must not miss."""

    title: str
    items: tuple[str, ...]
    tone: Tone = "bad"


@dataclass(frozen=True)
class Cell:
    """A cell of a table; a good or bad tone shows a verdict.

    `link` is a file beside the report that the HTML page leads to.
    """

    text: str
    tone: Tone = "plain"
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table; those with a `share` divide the width that the others leave."""

    title: str
    align: Align = "left"
    share: float = 0.0


@dataclass(frozen=True)
class Table:
    """A numbered table; `rows` hold one cell per column."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    small: bool = False


@dataclass(frozen=True)
class Figure:
    """A numbered figure: a plotly figure and, where it could be drawn, its SVG file."""

    name: str
    title: str
    plot: Any
    caption: str = ""
    svg: Path | None = None


@dataclass(frozen=True)
class Picture:
    """An image file (PNG) with a caption, such as a sheet of stimuli."""

    name: str
    path: Path
    caption: str
    alt: str


@dataclass(frozen=True)
class Facts:
    """Names and values: options, versions, identifiers."""

    items: tuple[tuple[str, str], ...]


Block = Paragraph | Bullets | Notice | Table | Figure | Picture | Facts


@dataclass(frozen=True)
class Section:
    """A titled part of a report; level 1 stands in the table of contents, level 2 below it."""

    title: str
    blocks: tuple[Block, ...] = ()
    level: int = 1

    @property
    def anchor(self) -> str:
        """The title as the target of a link."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Document:
    """A report: title, citation, and sections."""

    title: str
    subtitle: str
    about: str
    sections: tuple[Section, ...]
    footer: str = ""
    highlights: tuple[tuple[str, str, Tone], ...] = field(default=())

    @property
    def figures(self) -> list[Figure]:
        """All figures in order."""
        return [b for section in self.sections for b in section.blocks if isinstance(b, Figure)]
