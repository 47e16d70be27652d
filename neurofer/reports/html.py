"""A report as one HTML file that needs nothing else: styles, images and plotly are inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from neurofer.files import content_hash
from neurofer.reports.blocks import (
    Block,
    Bullets,
    Cell,
    Document,
    Facts,
    Figure,
    Notice,
    Paragraph,
    Picture,
    Section,
    Table,
    spans,
)

TEMPLATES = Path(__file__).resolve().parent / "templates"
PLOT_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "displayModeBar": "hover",
    # What is left: save as a picture, zoom, move, reset.
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
}


def render_html(document: Document) -> str:
    """Return the report as a self-contained page; plotly.js is embedded once."""
    page = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    numbers = _Numbers()
    body = "\n".join(_section(section, numbers) for section in document.sections)
    parts = {
        "title": escape(document.title),
        "subtitle": _inline(document.subtitle),
        "about": _inline(document.about),
        "footer": _inline(document.footer),
        "highlights": _highlights(document),
        "contents": _contents(document),
        "style": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "plotly": f"<script>{plotly_source()}</script>" if document.figures else "",
        "body": body,
    }
    # One pass over the template, so that a mark inside a part is left as it is.
    pieces = page.split("@@")
    for index in range(1, len(pieces), 2):
        pieces[index] = parts[pieces[index]]
    return "".join(pieces)


def figure_html(figure: Figure, plotlyjs: bool | str) -> str:
    """Return a page of one interactive figure; `plotlyjs` is plotly's `include_plotlyjs`."""
    return _plot(figure, include_plotlyjs=plotlyjs, full_html=True)


def _plot(figure: Figure, **options: Any) -> str:
    from plotly.io import to_html

    div = f"figure-{safe_id(figure.name)}"
    # As wide as the page: a fixed width is for the SVG.
    plot = figure.plot.__class__(figure.plot).update_layout(width=None, autosize=True)
    return str(to_html(plot, config=PLOT_CONFIG, div_id=div, **options))


def safe_id(name: str) -> str:
    """Return a name as an id in HTML: plotly puts it into a page and into a script as it is.

    >>> safe_id("figure-5")
    'figure-5'
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return plain if plain == name else f"{plain}-{content_hash(name)[:8]}"


def plotly_source() -> str:
    """Return plotly.js, which comes with the Python package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


class _Numbers:
    """Counts tables and figures."""

    def __init__(self) -> None:
        self.tables = 0
        self.figures = 0


def _inline(text: str) -> str:
    tags = {"text": "{}", "code": "<code>{}</code>", "strong": "<strong>{}</strong>"}
    return "".join(tags[kind].format(escape(part)) for kind, part in spans(text))


def _contents(document: Document) -> str:
    items = [
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>'
        for section in document.sections
        if section.level == 1
    ]
    return f"<ul>{''.join(items)}</ul>"


def _highlights(document: Document) -> str:
    cards = [
        f'<div class="card {tone}"><b>{escape(value)}</b><span>{escape(words)}</span></div>'
        for value, words, tone in document.highlights
    ]
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _section(section: Section, numbers: _Numbers) -> str:
    blocks = "\n".join(_block(block, numbers) for block in section.blocks)
    tag = f"h{section.level + 1}"
    heading = f'<{tag} id="{section.anchor}">{escape(section.title)}</{tag}>'
    return f"<section>{heading}\n{blocks}</section>"


def _block(block: Block, numbers: _Numbers) -> str:
    writers: dict[type, Callable[[Any, _Numbers], str]] = {
        Paragraph: lambda b, _: f"<p>{_inline(b.text)}</p>",
        Bullets: _bullets,
        Notice: _notice,
        Table: _table,
        Figure: _figure,
        Picture: _picture,
        Facts: _facts,
    }
    return writers[type(block)](block, numbers)


def _bullets(block: Bullets, _: _Numbers) -> str:
    return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in block.items) + "</ul>"


def _notice(block: Notice, _: _Numbers) -> str:
    items = "".join(f"<li>{_inline(item)}</li>" for item in block.items)
    listed = f"<ul>{items}</ul>" if items else ""
    return f'<div class="notice {block.tone}"><b>{escape(block.title)}</b>{listed}</div>'


def _table(block: Table, numbers: _Numbers) -> str:
    numbers.tables += 1
    head = "".join(
        f'<th scope="col" class="{column.align}{" wide" if column.share else ""}">'
        f"{escape(column.title)}</th>"
        for column in block.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(
            _cell(cell, column.align) for cell, column in zip(row, block.columns, strict=True)
        )
        + "</tr>"
        for row in block.rows
    )
    caption = _caption(f"Table {numbers.tables}.", block.title, block.caption)
    small = " small" if block.small else ""
    return (
        f'<figure class="table{small}" id="table-{safe_id(block.name)}">{caption}'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></figure>"
    )


def _cell(cell: Cell, align: str) -> str:
    if cell.link:
        return f'<td class="{align}"><a href="{_url(cell.link)}">{_inline(cell.text)}</a></td>'
    if cell.tone in ("good", "bad"):
        return (
            f'<td class="{align}"><span class="pill {cell.tone}">{_inline(cell.text)}</span></td>'
        )
    muted = " muted" if cell.tone == "muted" else ""
    return f'<td class="{align}{muted}">{_inline(cell.text)}</td>'


def _figure(block: Figure, numbers: _Numbers) -> str:
    numbers.figures += 1
    plot = _plot(block, include_plotlyjs=False, full_html=False)
    caption = _caption(f"Figure {numbers.figures}.", block.title, block.caption)
    page = f"figures/{block.name}"
    links = [f'<a href="{_url(f"{page}.html")}">this figure alone</a>']
    links += [f'<a href="{_url(f"{page}.svg")}">SVG</a>'] if block.svg is not None else []
    return (
        f'<figure class="plot"><div class="scroll">{plot}</div>{caption}'
        f'<p class="links">{" · ".join(links)}</p></figure>'
    )


def _url(file: str) -> str:
    """Return the link to a file beside the report."""
    return escape(quote(file))


def _picture(block: Picture, numbers: _Numbers) -> str:
    numbers.figures += 1
    data = base64.b64encode(block.path.read_bytes()).decode("ascii")
    caption = _caption(f"Figure {numbers.figures}.", "", block.caption)
    image = f'<img alt="{escape(block.alt)}" src="data:image/png;base64,{data}">'
    return f'<figure class="picture">{image}{caption}</figure>'


def _facts(block: Facts, _: _Numbers) -> str:
    rows = "".join(
        f"<div><dt>{_inline(name)}</dt><dd>{_inline(value)}</dd></div>"
        for name, value in block.items
    )
    return f"<dl>{rows}</dl>"


def _caption(number: str, title: str, text: str) -> str:
    strong = f"<b>{escape(' '.join([number, title]).strip())}</b>"
    return f"<figcaption>{strong} {_inline(text)}</figcaption>"
