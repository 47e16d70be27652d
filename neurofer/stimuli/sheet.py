"""Contact sheets: a set at a glance, by any two columns of its table; landmarks on an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.images import check_image
from neurofer.stimuli.stimulus_set import StimulusSet, in_order

MOST_CELLS = 1000
_INK = (40, 40, 40)
_EMPTY = (238, 238, 238)
_GAP = 4
_EXPRESSION_COLOUR = (230, 60, 30)
_POSITION_COLOUR = (20, 110, 220)


def contact_sheet(
    stimuli: StimulusSet, *, rows: str = "identity", columns: str = "expression", cell: int = 112
) -> np.ndarray:
    """Draw one image for every combination of two columns, with labels and a title.

    The title gives the identifier and says whether the images are rendered. Where several
    stimuli share a cell, the first is shown and the title says so.

    Args:
        stimuli: the set.
        rows: column of the table whose values are the rows.
        columns: column of the table whose values are the columns.
        cell: width of an image on the sheet, in pixels.

    Returns:
        The sheet, (H, W, 3) uint8.

    Raises:
        NeuroferError: a column is unknown, or there would be more than 1000 cells.
    """
    table = stimuli.table
    for name in (rows, columns):
        if name not in table:
            raise unknown_choice("column", name, table.columns, f"stimulus set {stimuli.name!r}")
    across, down = in_order(columns, table[columns]), in_order(rows, table[rows])
    if len(across) * len(down) > MOST_CELLS:
        raise NeuroferError(
            f"a sheet of {len(down)} {rows} by {len(across)} {columns} has more than {MOST_CELLS} "
            "cells; select fewer stimuli or choose other columns"
        )
    cells: dict[tuple[Any, Any], list[int]] = {}
    for i, key in enumerate(zip(table[rows], table[columns], strict=True)):
        cells.setdefault(key, []).append(i)
    title = _title(stimuli, max(len(found) for found in cells.values()))
    first = {key: found[0] for key, found in cells.items()}
    pictures = dict(zip(first, stimuli.images(first.values()), strict=True))
    return _compose(pictures, down, across, title, cell)


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray, *, scale: int = 2) -> np.ndarray:
    """Draw landmarks on an enlarged image: discs for expression, crosses for position.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (k, 2), x and y in pixel-centre coordinates; from the eleventh on they are
            position landmarks. A NaN is not drawn.
        scale: enlargement.

    Returns:
        (scale * H, scale * W, 3) uint8.
    """
    check_image(image, "to draw landmarks on")
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise NeuroferError(f"landmarks have shape {points.shape}; they must be (k, 2), x and y")
    canvas = Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1))
    pen = ImageDraw.Draw(canvas)
    radius = max(2, round(canvas.width / 150))
    for k, (x, y) in enumerate((points + 0.5) * scale - 0.5):
        if np.isnan(x) or np.isnan(y):
            continue
        if k < 10:
            box = (x - radius, y - radius, x + radius, y + radius)
            pen.ellipse(box, fill=_EXPRESSION_COLOUR, outline=(255, 255, 255))
        else:
            reach = 2 * radius
            pen.line((x - reach, y, x + reach, y), fill=_POSITION_COLOUR, width=2)
            pen.line((x, y - reach, x, y + reach), fill=_POSITION_COLOUR, width=2)
    return np.array(canvas)


def _title(stimuli: StimulusSet, most: int) -> str:
    sources = sorted(set(stimuli.table["source"]) - {""})
    what = " and ".join({"photograph": "photographs"}.get(one, one) for one in sources)
    title = f"{stimuli.identifier}: {len(stimuli)} images" + (f", {what}" if what else "")
    return title + (f" (first of up to {most} a cell)" if most > 1 else "")


def _compose(
    pictures: dict[tuple[Any, Any], np.ndarray],
    down: list[Any],
    across: list[Any],
    title: str,
    cell: int,
) -> np.ndarray:
    font = ImageFont.load_default(max(10, cell // 9))
    heading = ImageFont.load_default(max(13, cell // 7))
    line = round(1.6 * font.size)  # type: ignore[union-attr]
    top = round(2.0 * heading.size) + line  # type: ignore[union-attr]
    left = 2 * _GAP + max(int(font.getlength(_say(value))) for value in down)
    width = left + len(across) * (cell + _GAP) + _GAP
    width = max(width, int(heading.getlength(title)) + 3 * _GAP)
    sheet = Image.new("RGB", (width, top + len(down) * (cell + _GAP) + _GAP), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    pen.text((2 * _GAP, 2 * _GAP), title, fill=_INK, font=heading)
    for column, value in enumerate(across):
        middle = left + column * (cell + _GAP) + cell // 2
        pen.text((middle, top - line // 2), _say(value), fill=_INK, font=font, anchor="mm")
    for row, value in enumerate(down):
        y = top + row * (cell + _GAP)
        pen.text((left - _GAP, y + cell // 2), _say(value), fill=_INK, font=font, anchor="rm")
        for column, other in enumerate(across):
            x = left + column * (cell + _GAP)
            if (value, other) in pictures:
                sheet.paste(_fit(pictures[value, other], cell), (x, y))
            else:
                pen.rectangle((x, y, x + cell - 1, y + cell - 1), fill=_EMPTY)
    return np.array(sheet)


def _fit(image: np.ndarray, cell: int) -> Image.Image:
    """Return the image within a square cell, its aspect kept."""
    height, width = image.shape[:2]
    scale = cell / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    frame = Image.new("RGB", (cell, cell), _EMPTY)
    frame.paste(small, ((cell - size[0]) // 2, (cell - size[1]) // 2))
    return frame


def _say(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
