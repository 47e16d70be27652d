"""Find facial features in a picture, by the labels of its pixels, without the mesh's vertices.

Coordinates are those of an image of 224 pixels. `python tests/faces/measured.py` prints the rows of
`landmark_places.csv`; with the name of a PNG it draws the ground truth, enlarged, to be looked at.

- Mouth corners: the outermost column of the lips, half-way up what it holds of them. Middle of the
  lips: their first and last row in the middle column.
- Ends of the eyebrows: the outermost columns of their paint (within 3 % of its length, at least
  one pixel), half-way up.
- Upper eyelids: the first row of the eyeball in the middle column of its visible part, with the
  lashes taken off.
- Pupils: the middle of the dark disc in an eye that is painted white for it and held wide open by
  unit 5, which moves no eyeball.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from neurofer.faces import (
    AVATARS,
    HEADS,
    PARTS,
    FaceRenderer,
    Identity,
    Light,
    make_avatar,
    make_identity,
)
from neurofer.faces.mesh import LASHES, head_mesh
from neurofer.faces.sculpt import Sculpture

SIZE = 448
"""Of the image that is measured."""

Places = dict[str, tuple[float, float]]


class _WithoutLashes(FaceRenderer):
    def _sculpture(self, identity: Identity) -> Sculpture:
        sculpture = super()._sculpture(identity)
        lashes = np.flatnonzero(head_mesh().triangle_component == LASHES)
        triangles = sculpture.triangles.copy()
        triangles[lashes] = 0
        return sculpture._replace(triangles=triangles)


_RENDERER = _WithoutLashes()


def measure(identity: Identity, units: dict[int, float], *, pupils: bool = False) -> Places:
    """Return where the features of a face are that can be measured, landmark -> (x, y)."""
    white = (1.0, 1.0, 1.0)
    eyes = replace(identity.paint, iris=white, sclera=white, pupil=0.45, highlight=0.01)
    marked = replace(identity, paint=eyes) if pupils else identity
    if pupils:
        units = {**units, 5: 2.0}
    light = Light(azimuth=180, elevation=0, ambient=1.2) if pupils else Light()
    shown = _RENDERER.render(marked, action_units=units, size=SIZE, light=light)
    assert shown.parts is not None
    places = {**_mouth(shown.parts), **_lids(shown.parts), **_brows(shown.parts)}
    if pupils:
        places = _pupils(shown.image, shown.parts)
    factor = SIZE / 224
    return {
        name: ((float(x) + 0.5) / factor - 0.5, (float(y) + 0.5) / factor - 0.5)
        for name, (x, y) in places.items()
    }


def _points(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(mask)
    return columns, rows


def _mouth(parts: np.ndarray) -> Places:
    x, y = _points(parts == PARTS["lips"])
    left, right = x.min(), x.max()
    middle = y[np.abs(x - (left + right) / 2) <= 0.5]
    return {
        "left_mouth": (left, y[x == left].mean()),
        "right_mouth": (right, y[x == right].mean()),
        "top_mouth": ((left + right) / 2, middle.min() - 0.5),
        "down_mouth": ((left + right) / 2, middle.max() + 0.5),
    }


def _lids(parts: np.ndarray) -> Places:
    places = {}
    for side in ("left", "right"):
        x, y = _points(parts == PARTS[f"{side}_eye"])
        if len(x) < 40:
            continue
        middle = (x.min() + x.max()) / 2
        places[f"{side}_eyelid"] = (middle, y[np.abs(x - middle) <= 0.5].min() - 0.5)
    return places


def _brows(parts: np.ndarray) -> Places:
    places = {}
    x, y = _points(parts == PARTS["eyebrows"])
    for side, here in (("left", x < SIZE / 2), ("right", x >= SIZE / 2)):
        ends = (x[here].min(), x[here].max())
        near = max(1.0, 0.03 * (ends[1] - ends[0]))
        names = ("ext", "int") if side == "left" else ("int", "ext")
        for name, end in zip(names, ends, strict=True):
            some = here & (np.abs(x - end) <= near)
            places[f"{side}_eyebrow_{name}"] = (end, y[some].mean())
    return places


def _pupils(image: np.ndarray, parts: np.ndarray) -> Places:
    places = {}
    dark = image.astype(int).sum(axis=2) < 200
    for side in ("left", "right"):
        x, y = _points(dark & (parts == PARTS[f"{side}_eye"]))
        places[f"{side}_eye"] = (x.mean(), y.mean())
    return places


def identities() -> dict[str, Identity]:
    """Return whom the committed places belong to: one identity per head, and the avatars."""
    heads = {head: make_identity(1, head, spread=0.35) for head in HEADS}
    return {**heads, **{name: make_avatar(name) for name in AVATARS}}


def draw_sheet(path: str, expressions: tuple[str, ...] = ("neutral",), zoom: int = 4) -> None:
    """Write crops about every landmark, enlarged; a circle has a radius of one pixel."""
    half = 10 * zoom
    rows = []
    for identity in identities().values():
        for expression in expressions:
            shown = _RENDERER.render(identity, expression, size=224 * zoom, ground_truth=False)
            image = np.pad(shown.image, ((half, half), (half, half), (0, 0)))
            crops = []
            for x, y in shown.landmarks:
                left, top = int(x), int(y)
                crop = Image.fromarray(image[top : top + 2 * half, left : left + 2 * half])
                a, b = x - left + half, y - top + half
                ImageDraw.Draw(crop).ellipse(
                    (a - zoom, b - zoom, a + zoom, b + zoom), outline="red"
                )
                crops.append(np.asarray(crop))
            rows.append(np.concatenate(crops, axis=1))
    Image.fromarray(np.concatenate(rows)).save(path)


def print_places() -> None:
    """Print what `landmark_places.csv` holds, but for the tips of the noses."""
    for name, identity in identities().items():
        places = {**measure(identity, {}), **measure(identity, {}, pupils=True)}
        for landmark, (x, y) in places.items():
            how = "disc" if landmark in ("left_eye", "right_eye") else "mask"
            sys.stdout.write(f"{name},{landmark},{x:.2f},{y:.2f},{how}\n")


if __name__ == "__main__":
    print_places() if len(sys.argv) < 2 else draw_sheet(*sys.argv[1:2])
