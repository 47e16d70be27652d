"""Drawing an avatar: the parts of a style as SVG, pixels, and landmarks read from the parts."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.stimuli.image_cache import CachedImage, ensure, read_entry, write_entry
from neurofer.stimuli.images import open_picture

DRAWING_VERSION = 1  # raise it when the same options give other pixels or landmarks
PACKAGES = ("dicebear-core", "dicebear-styles", "resvg-py")
_SVG = "{http://www.w3.org/2000/svg}"
# Parts are measured this much larger than they are shown.
_FINER = 2
ET.register_namespace("", "http://www.w3.org/2000/svg")


@dataclass(frozen=True)
class Drawing:
    """All that decides the pixels of a drawn stimulus, beside the versions of the packages.

    Attributes:
        style: of dicebear-styles.
        options: of the style.
        added: further variants, part -> variant -> attributes of a path.
        landmarks: "brows", "eyes", "mouth", "nose" -> part.
        points: landmark -> x and y in the units of the style, for what is always in one place.
        rest: options of the same face at rest, whose eyes locate it.
        frame: x, y and side of what is shown, in the units of the style.
        size: in pixels.
    """

    style: str
    options: Mapping[str, Any]
    added: Mapping[str, Mapping[str, Mapping[str, str]]]
    landmarks: Mapping[str, str]
    points: Mapping[str, tuple[float, float]]
    rest: Mapping[str, Any]
    frame: tuple[float, float, float]
    size: int


def ensure_drawn(
    drawings: Sequence[Drawing],
    folder: Path,
    *,
    text: str = "drawing",
    progress: bool | None = None,
) -> list[CachedImage]:
    """Return the cached images of all drawings, drawing those that are lacking.

    Args:
        drawings: one per image.
        folder: of the cache.
        text: in front of the progress bar.
        progress: see `progress.progress_of`.

    Raises:
        NeuroferError: the extra `dicebear` is not installed, or a style or a part is unknown.
    """
    check_installed()

    def make(lacking: list[Drawing], advance: Callable[[], None]) -> None:
        for one in lacking:
            _write(one, folder)
            advance()

    return ensure(drawings, lambda one: _read(one, folder), make, text=text, progress=progress)


def check_installed() -> None:
    """Raise a NeuroferError that says what to install where the extra is missing."""
    try:
        import dicebear  # noqa: F401
        import dicebear_styles  # noqa: F401
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise NeuroferError(
            f"drawn stimuli need the extra `dicebear` ({error.name} is missing): "
            'pip install "neurofer[dicebear]"'
        ) from error


def draw(drawing: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """Draw one avatar.

    Returns:
        The image, (size, size, 3) uint8, and its landmarks, (13, 2) float64 in pixel-centre
        coordinates, NaN where the style has no part of its own for them. A brow's landmarks are
        the outermost points of its shape, an eyelid's the top of the middle of the eye, a mouth's
        its corners and the top and bottom of its middle. An eye's is the middle of its box in the
        face at rest, for no expression moves an eye. Hair over a part does not move them.

    Raises:
        NeuroferError: the style or an option is unknown.
    """
    from neurofer.stimuli.rendered.part_landmarks import PLACES, read_landmarks

    svg = _to_svg(drawing)
    image = np.ascontiguousarray(_rasterise(svg, drawing.size)[..., :3])
    wide = drawing.size * _FINER
    fine = {
        name: _rasterise(_only(svg, part), wide)[..., 3] for name, part in drawing.landmarks.items()
    }
    if "eyes" in drawing.landmarks:
        resting = _to_svg(replace(drawing, options={**drawing.options, **drawing.rest}))
        fine["resting eyes"] = _rasterise(_only(resting, drawing.landmarks["eyes"]), wide)[..., 3]
    landmarks = (read_landmarks(fine) + 0.5) / _FINER - 0.5
    x, y, side = drawing.frame
    for name, point in drawing.points.items():
        landmarks[PLACES[name]] = (np.array(point) - (x, y)) * drawing.size / side - 0.5
    return image, landmarks


def _to_svg(drawing: Drawing) -> str:
    from dicebear import Avatar
    from dicebear.errors import OptionsValidationError

    style = _style(drawing.style, json.dumps(drawing.added, default=dict, sort_keys=True))
    for name, value in drawing.options.items():
        part = style.components().get(name.removesuffix("Variant"))
        if name.endswith("Variant") and (part is None or value[0] not in part.variants()):
            raise NeuroferError(f"the style {drawing.style} has no {name} {value[0]!r}")
    try:
        svg = Avatar(style, dict(drawing.options)).to_string()
    except OptionsValidationError as error:
        raise NeuroferError(f"an option of the style {drawing.style} is wrong: {error}") from error
    x, y, side = drawing.frame
    root = ET.fromstring(svg)  # noqa: S314  (made in the lines above)
    root.set("viewBox", f"{x:g} {y:g} {side:g} {side:g}")
    return ET.tostring(root, encoding="unicode")


@lru_cache(maxsize=16)
def _style(name: str, added: str) -> Any:
    """Return a style with the added variants; checking its definition takes half a second."""
    from dicebear import Style

    file = resources.files("dicebear_styles").joinpath(f"{name}.json")
    if not file.is_file():
        raise NeuroferError(f"dicebear-styles has no style {name!r}")
    definition = json.loads(file.read_text(encoding="utf-8"))
    for part, variants in json.loads(added).items():
        for variant, attributes in variants.items():
            path = {"name": "path", "type": "element", "attributes": attributes}
            definition["components"][part]["variants"][variant] = {"elements": [path]}
    return Style(definition)


def _only(svg: str, part: str) -> str:
    """Return the SVG with everything taken out that is not drawn by one part."""
    root = ET.fromstring(svg)  # noqa: S314  (made by _to_svg)

    def strip(element: ET.Element) -> None:
        element.attrib.pop("mask", None)
        for child in list(element):
            if child.tag == f"{_SVG}clipPath" or child.get("id", "").startswith(f"{part}-"):
                continue
            if child.tag in (f"{_SVG}g", f"{_SVG}defs"):
                strip(child)
            elif child.tag != f"{_SVG}use":
                element.remove(child)

    strip(root)
    return ET.tostring(root, encoding="unicode")


def _rasterise(svg: str, size: int) -> np.ndarray:
    """Return (size, size, 4) uint8."""
    from resvg_py import svg_to_bytes

    made = svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    with open_picture(io.BytesIO(made)) as picture:
        return np.array(picture.convert("RGBA"))


@lru_cache(maxsize=1)
def _versions() -> dict[str, Any]:
    return {"drawing": DRAWING_VERSION, **{name: metadata.version(name) for name in PACKAGES}}


def _entry(drawing: Drawing, folder: Path) -> tuple[Path, Any]:
    """Return the stem of a drawing's files and, as JSON types, all that decides them."""
    stem = folder / content_hash(_versions(), asdict(drawing))[:32]
    return stem, json.loads(json.dumps([_versions(), asdict(drawing)], sort_keys=True))


def _read(drawing: Drawing, folder: Path) -> CachedImage | None:
    return read_entry(*_entry(drawing, folder), partial(_write, drawing, folder))


def _write(drawing: Drawing, folder: Path) -> None:
    image, landmarks = draw(drawing)
    write_entry(*_entry(drawing, folder), image=image, landmarks=landmarks)
