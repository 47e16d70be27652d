"""Contact sheets: a set at a glance by any two columns, strength ramps, landmarks and parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
# One colour a label of `faces.PARTS`, from 0: background, skin, eyes, brows, nose, lips, ...
_PART_COLOURS = np.array(
    [
        (0, 0, 0), (230, 190, 160), (60, 120, 220), (40, 180, 220), (130, 80, 30), (240, 220, 60),
        (220, 60, 70), (110, 0, 30), (240, 140, 60), (150, 110, 200), (170, 200, 140),
        (120, 130, 140), (250, 90, 200),
    ],
    dtype=np.uint8,
)  # fmt: skip


def contact_sheet(
    stimuli: StimulusSet,
    *,
    rows: str = "identity",
    columns: str = "expression",
    cell: int = 112,
    landmarks: bool = False,
    parts: bool = False,
) -> np.ndarray:
    """Draw one image for every combination of two columns, with labels and a title.

    The title gives the identifier and says whether the images are rendered. Where several
    stimuli share a cell, the first is shown and the title says so.

    Args:
        stimuli: the set.
        rows: column of the table whose values are the rows.
        columns: column of the table whose values are the columns.
        cell: width of an image on the sheet, in pixels.
        landmarks: draw them over the images.
        parts: paint the parts of the head in colours.

    Returns:
        The sheet, (H, W, 3) uint8.

    Raises:
        NeuroferError: a column is unknown, there would be more than 1000 cells, or the set has no
            landmarks or parts to be drawn.
    """
    table = stimuli.table
    for name in (rows, columns):
        if name not in table:
            raise unknown_choice("column", name, table.columns, f"stimulus set {stimuli.name!r}")
    across, down = in_order(columns, table[columns]), in_order(rows, table[rows])
    _check_cells(f"{len(down)} {rows} by {len(across)} {columns}", len(down) * len(across))
    cells: dict[tuple[Any, Any], list[int]] = {}
    for i, key in enumerate(zip(table[rows], table[columns], strict=True)):
        cells.setdefault(key, []).append(i)
    title = _title(stimuli, max(len(found) for found in cells.values()))
    first = {key: found[0] for key, found in cells.items()}
    shown = _pictures(stimuli, first.values(), cell, landmarks=landmarks, parts=parts)
    return _compose(dict(zip(first, shown, strict=True)), down, across, title, cell)


def strength_ramps(
    stimuli: StimulusSet, *, cell: int = 112, landmarks: bool = False, parts: bool = False
) -> np.ndarray:
    """Draw one row for every head and expression, from its neutral image to full strength.

    Of each head the first identity is shown that has more than one strength; see `contact_sheet`
    for the arguments.

    Args:
        stimuli: with several strengths.
        cell: size of an image on the sheet, in pixels.
        landmarks: draw them.
        parts: colour the parts of the face.

    Raises:
        NeuroferError: no head has an expression at several strengths, or as for `contact_sheet`.
    """
    table = stimuli.table
    shown = table[table["expression"] != ""]
    cells: dict[tuple[Any, Any], int] = {}
    for head, of_head in shown.groupby("head", sort=False):
        several = of_head[of_head["strength"] > 0].groupby("identity", sort=False)["strength"]
        graded = several.nunique()[lambda counts: counts > 1].index
        if not len(graded):
            continue
        person = of_head[of_head["identity"] == graded[0]]
        neutral = person.index[person["expression"] == "neutral"]
        for i, row in person[person["expression"] != "neutral"].iterrows():
            name = f"{head} {row['expression']}"
            cells.setdefault((name, row["strength"]), int(str(i)))
            if len(neutral):
                cells[name, 0.0] = int(neutral[0])
    if not cells:
        raise NeuroferError(
            f"stimulus set {stimuli.name!r} shows no expression at several strengths; a set such "
            "as bfs-l does"
        )
    down = list(dict.fromkeys(name for name, _ in cells))
    across = sorted({strength for _, strength in cells})
    _check_cells(f"{len(down)} rows by {len(across)} strengths", len(down) * len(across))
    pictures = _pictures(stimuli, cells.values(), cell, landmarks=landmarks, parts=parts)
    return _compose(dict(zip(cells, pictures, strict=True)), down, across, _title(stimuli, 1), cell)


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


def paint_parts(image: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8: the image under the colours of its parts.

    Args:
        image: (H, W, 3) uint8.
        parts: (H, W) uint8, labels of `neurofer.faces.PARTS`.

    Raises:
        NeuroferError: the two differ in size.
    """
    check_image(image, "to paint parts on")
    if parts.shape != image.shape[:2]:
        raise NeuroferError(f"the parts are {parts.shape} and the image is {image.shape[:2]}")
    colours = _PART_COLOURS[np.minimum(parts, len(_PART_COLOURS) - 1)]
    mixed = (image.astype(np.uint16) + 2 * colours.astype(np.uint16)) // 3
    return np.where((parts > 0)[..., None], mixed, image).astype(np.uint8)


def _pictures(
    stimuli: StimulusSet, positions: Iterable[int], cell: int, *, landmarks: bool, parts: bool
) -> list[Image.Image]:
    """Return images within square cells, with what is to be drawn over them."""
    if landmarks and stimuli.landmarks is None:
        raise NeuroferError(f"stimulus set {stimuli.name!r} has no landmarks to draw")
    chosen, made = list(positions), []
    for i, image in zip(chosen, stimuli.images(chosen), strict=True):
        if parts:
            labels = stimuli.parts(i)
            if labels is None:
                raise NeuroferError(f"stimulus set {stimuli.name!r} has no parts to paint")
            image = paint_parts(image, labels)
        frame = _fit(image, cell)
        if landmarks and stimuli.landmarks is not None:
            height, width = image.shape[:2]
            scale = cell / max(height, width)
            margin = (cell - scale * np.array([width, height])) / 2
            points = (stimuli.landmarks[i] + 0.5) * scale - 0.5 + margin
            frame = Image.fromarray(draw_landmarks(np.array(frame), points, scale=1))
        made.append(frame)
    return made


def _check_cells(what: str, number: int) -> None:
    if number > MOST_CELLS:
        raise NeuroferError(
            f"a sheet of {what} has more than {MOST_CELLS} cells; select fewer stimuli or choose "
            "other columns"
        )


def _title(stimuli: StimulusSet, most: int) -> str:
    sources = sorted(set(stimuli.table["source"]) - {""})
    what = " and ".join({"photograph": "photographs"}.get(one, one) for one in sources)
    title = f"{stimuli.identifier}: {len(stimuli)} images" + (f", {what}" if what else "")
    return title + (f" (first of up to {most} a cell)" if most > 1 else "")


def _compose(
    pictures: Mapping[tuple[Any, Any], Image.Image],
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
                sheet.paste(pictures[value, other], (x, y))
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
