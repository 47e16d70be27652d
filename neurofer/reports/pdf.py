"""A report as PDF, set by typst (its compiler comes with the Python package)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError
from neurofer.leftovers import scratch_folder
from neurofer.reports.blocks import (
    Block,
    Bullets,
    Document,
    Facts,
    Figure,
    Notice,
    Paragraph,
    Picture,
    Table,
    spans,
)

TEMPLATE = Path(__file__).resolve().parent / "templates" / "report.typ"


def write_pdf(document: Document, path: Path) -> None:
    """Set the report and write it to `path`.

    Raises:
        NeuroferError: typst refuses the document.
    """
    import typst

    with scratch_folder() as folder:
        shutil.copy(TEMPLATE, folder / TEMPLATE.name)
        data = document_data(document, folder)
        (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        try:
            typst.compile(folder / TEMPLATE.name, output=path, root=folder)
        except typst.TypstError as error:
            raise NeuroferError(f"the PDF of the report could not be made: {error}") from error


def document_data(document: Document, folder: Path) -> dict[str, Any]:
    """Return the document as JSON types for the template; its images are copied into `folder`."""
    return {
        "title": document.title,
        "subtitle": spans(document.subtitle),
        "about": spans(document.about),
        "footer_short": document.footer,
        "highlights": [
            {"value": value, "words": words, "tone": tone}
            for value, words, tone in document.highlights
        ],
        "sections": [
            {
                "title": section.title,
                "level": section.level,
                "blocks": [_block(block, folder) for block in section.blocks],
            }
            for section in document.sections
        ],
    }


def _block(block: Block, folder: Path) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": spans(block.text)}
    if isinstance(block, Bullets):
        return {"kind": "bullets", "items": _all_spans(block.items)}
    if isinstance(block, Notice):
        items = _all_spans(block.items)
        return {"kind": "notice", "title": block.title, "items": items, "tone": block.tone}
    if isinstance(block, Facts):
        return {"kind": "facts", "items": [_all_spans(pair) for pair in block.items]}
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        return _image("picture", block.name, "", block.caption, block.path, folder)
    assert isinstance(block, Figure)
    return _image("figure", block.name, block.title, block.caption, block.svg, folder)


def _table(block: Table) -> dict[str, Any]:
    return {
        "kind": "table",
        "title": block.title,
        "caption": spans(block.caption),
        "small": block.small,
        "columns": [{"title": c.title, "align": c.align, "share": c.share} for c in block.columns],
        "rows": [[{"text": spans(c.text), "tone": c.tone} for c in row] for row in block.rows],
    }


def _image(
    kind: str, name: str, title: str, caption: str, path: Path | None, folder: Path
) -> dict[str, Any]:
    file = None
    if path is not None:
        file = f"{kind}-{name}{path.suffix}"
        shutil.copy(path, folder / file)
    return {"kind": kind, "title": title, "caption": spans(caption), "file": file}


def _all_spans(texts: Sequence[str]) -> list[Any]:
    return [spans(text) for text in texts]
