"""The head shapes: smooth warps of the human head, with the origin between the eyes.

A warp moves points of space; which component a vertex belongs to and how much of an ear it is are
held fixed, so that its Jacobian is defined at every vertex. Lengths are decimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neurofer.faces.camera import Frame
from neurofer.faces.elements import bump, smoothstep, square
from neurofer.faces.mesh import (
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    TONGUE,
    UPPER_TEETH,
    HeadMesh,
)

STYLES: dict[str, dict[str, tuple[float, float]]] = {
    "human": {"hair": (0.00, 0.03)},
    "monkey": {
        "hair": (0.04, 0.06),
        "muzzle": (0.85, 1.20),
        "skull": (0.80, 1.20),
        "ridge": (0.70, 1.40),
        "ear": (1.30, 1.70),
    },
    "cartoon": {
        "hair": (0.00, 0.03),
        "eye": (1.42, 1.64),
        "cranium": (0.60, 1.40),
        "taper": (0.70, 1.20),
        "nose": (0.70, 0.95),
        "ear": (1.00, 1.35),
    },
}
"""Head -> the parameters of its warp and their ranges."""

HEADS = tuple(STYLES)

FRAMES = {
    "human": Frame(-0.01, -0.735),
    "monkey": Frame(-0.20, -0.375),
    "cartoon": Frame(0.055, -0.73),
}
"""Head -> where its middle is, over many identities."""


@dataclass(frozen=True)
class Anatomy:
    """What a warp needs to know about the points that it moves.

    Attributes:
        eyes: (2, 3) centres of the eyes, left in the image first.
        mouth_height: y of the lips' centre.
        eyeball, teeth, ear: (V,) float64 in [0, 1], what each point belongs to.
    """

    eyes: np.ndarray
    mouth_height: float
    eyeball: np.ndarray
    teeth: np.ndarray
    ear: np.ndarray


Style = Mapping[str, float]


def centred(mesh: HeadMesh, vertices: np.ndarray) -> tuple[np.ndarray, Anatomy]:
    """Move the origin between the eyes; return the vertices (V, 3) and their anatomy."""
    component = mesh.component
    eyes = np.stack(
        [
            (vertices[component == eye].max(axis=0) + vertices[component == eye].min(axis=0)) / 2
            for eye in (LEFT_EYE, RIGHT_EYE)
        ]
    )
    middle = (eyes[0] + eyes[1]) / 2
    lips = vertices[mesh.masks["lips"] > 0.5, 1]
    anatomy = Anatomy(
        eyes=eyes - middle,
        mouth_height=float((lips.max() + lips.min()) / 2 - middle[1]),
        eyeball=np.isin(component, (LEFT_EYE, RIGHT_EYE)).astype(float),
        teeth=np.isin(component, (UPPER_TEETH, LOWER_TEETH, TONGUE)).astype(float),
        ear=mesh.masks["ears"],
    )
    return vertices - middle, anatomy


def warp(head: str, points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    """Give points (V, 3) of the human head the shape of another head, or of an avatar.

    Args:
        head: "human", "monkey", "cartoon" or an avatar.
        points: (V, 3) of the human head.
        anatomy: of the identity.
        style: of the identity.
    """
    return _WARPS.get(head, _stylised)(points, anatomy, style)


def warp_jacobian(head: str, points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    """Return the Jacobian of the warp at points, (V, 3, 3), by central differences.

    Entry [v, i, j] is the change of coordinate i when coordinate j of the point changes.

    Args:
        head: as for `warp`.
        points: (V, 3) of the human head.
        anatomy: of the identity.
        style: of the identity.
    """
    step = 1.0 / 1024
    columns = []
    for axis in range(3):
        offset = np.zeros(3)
        offset[axis] = step
        after = warp(head, points + offset, anatomy, style)
        before = warp(head, points - offset, anatomy, style)
        columns.append((after - before) / (2 * step))
    return np.stack(columns, axis=2)


def inflate_scalp(
    mesh: HeadMesh, vertices: np.ndarray, scalp: np.ndarray, volume: float
) -> np.ndarray:
    """Push the scalp outwards by up to `volume`, away from the middle of the skull.

    Args:
        mesh: of the head.
        vertices: (V, 3).
        scalp: (V,) weights from 0 to 1.
        volume: in decimetres.
    """
    outwards = mesh.rest - np.array([0.0, 7.3, 0.3])
    x, y, z = outwards.T
    length = np.sqrt(x * x + y * y + z * z)
    amount = volume * scalp * (mesh.component == SKIN) / length
    return vertices + outwards * amount[:, None]


def _distance(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    x, y, z = (points - centre).T
    return np.sqrt(x * x + y * y + z * z)


def _human(points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    return points


def _monkey(points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    """Low skull, brow ridge, muzzle, flat wide nose, receding chin, big ears, thick neck."""
    x, y, z = points.T
    mouth = anatomy.mouth_height
    skin = 1.0 - anatomy.eyeball
    front = smoothstep(-0.9, -0.45, z)
    low = y - np.maximum(y - 0.22, 0.0) * 0.30 * style["skull"]
    deep = z - front * bump(square((low - 0.75) / 0.75)) * 0.22
    ridge = (
        skin * bump(square((y - 0.22) / 0.26)) * bump(square(x / 0.85)) * smoothstep(-0.6, 0.0, z)
    )
    deep = deep + ridge * 0.15 * style["ridge"]
    low = low - ridge * 0.02
    muzzle = bump(square(x / 0.95) + square((y - mouth - 0.02) / 0.72)) * smoothstep(-1.3, -0.35, z)
    deep = deep + muzzle * 0.62 * style["muzzle"]
    wide = x * (1.0 + 0.18 * muzzle)
    nose = bump(square(x / 0.34) + square((y + 0.33) / 0.36)) * smoothstep(-0.45, 0.35, z)
    deep = deep - nose * 0.34
    wide = wide * (1.0 + 0.35 * nose)
    low = low + nose * 0.05
    bridge = bump(square(x / 0.2) + square((y + 0.02) / 0.3)) * smoothstep(-0.2, 0.1, z)
    deep = deep - bridge * 0.05
    chin = bump(square(x / 0.8) + square((y - mouth + 0.52) / 0.38)) * smoothstep(-1.2, -0.2, z)
    low = low + chin * 0.10
    deep = deep - chin * 0.10 - anatomy.teeth * 0.10
    wide = wide * (1.0 - 0.10 * bump(square((y - 0.55) / 0.6))) * (1.0 - 0.12 * anatomy.teeth)
    wide = wide * (1.0 - 0.20 * smoothstep(0.35, 1.15, y))
    moved = np.stack([wide, low, deep], axis=1)
    nearer = np.zeros(len(moved))
    for eye in anatomy.eyes:
        side = 1.0 if eye[0] > 0 else -1.0
        nearer = nearer + side * (1.0 - smoothstep(0.2, 0.5, _distance(moved, eye)))
    moved[:, 0] -= 0.045 * nearer
    moved = _scale_ears(moved, anatomy.ear, style["ear"], 0.74, (0.05, 0.10, 0.06))
    moved[:, 0] *= 1.0 + 0.15 * smoothstep(-1.0, -1.5, moved[:, 1])
    return moved


def _cartoon(points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    """Round cranium, face that tapers to a small chin, small nose, huge eyes, thin neck."""
    fixed = {
        "cranium": 0.16 * style["cranium"],
        "crown": 0.02,
        "taper": 0.17 * style["taper"],
        "chin": 0.13,
        "mouth": 0.22,
        "mouth_tall": 0.10,
        "mouth_up": -0.05,
        "eye_tall": 1.15,
        "eye_apart": 0.10,
        "neck": -0.30,
    }
    return _stylised(points, anatomy, {**style, **fixed})


HUMAN_STYLE: dict[str, float] = {
    "width": 1.0,  # of the whole head
    "height": 1.0,
    "depth": 1.0,
    "cranium": 0.0,  # how much wider the skull is above the eyes
    "crown": 0.0,  # how much taller the skull is
    "back": 0.0,  # how much deeper the back of the skull is
    "taper": 0.0,  # how much narrower the face is towards the chin; wider below 0
    "chin": 0.0,  # how far up the chin is
    "chin_out": 0.0,  # how far forward the chin is
    "jowl": 0.0,  # how much wider the face is at the mouth
    "mouth": 0.0,  # how much wider the mouth is
    "mouth_tall": 0.0,
    "mouth_up": 0.0,
    "nose": 1.0,  # size
    "nose_wide": 0.0,
    "nose_long": 0.0,
    "eye": 1.0,  # size
    "eye_tall": 1.0,  # height over width
    "eye_apart": 0.0,
    "ear": 1.0,  # size
    "ear_up": 0.0,
    "neck": 0.0,  # how much wider the neck is
}
"""The parameters of the stylised warp that leave a human head as it is; lengths in decimetres."""


def _stylised(points: np.ndarray, anatomy: Anatomy, style: Style) -> np.ndarray:
    """Change the proportions of a human head; what a style does not name stays as it is."""
    s = {**HUMAN_STYLE, **style}
    x, y, z = points.T
    mouth = anatomy.mouth_height
    wide = x * (1.0 + smoothstep(-0.1, 0.75, y) * s["cranium"])
    low = y + np.maximum(y - 0.3, 0.0) * s["crown"]
    deep = z - smoothstep(-0.4, -1.6, z) * smoothstep(-0.6, 0.3, y) * s["back"]
    taper = smoothstep(-0.05, -1.15, y) * smoothstep(-1.7, -0.7, z) * smoothstep(-1.9, -1.4, y)
    wide = wide * (1.0 - s["taper"] * taper)
    low = low + taper * s["chin"]
    jowl = bump(square((y - mouth) / 0.75)) * smoothstep(-1.7, -0.7, z)
    wide = wide * (1.0 + s["jowl"] * jowl)
    lips = bump(square(x / 0.6) + square((y - mouth) / 0.34)) * smoothstep(-0.5, 0.0, z)
    wide = wide * (1.0 + s["mouth"] * lips)
    low = low + (y - mouth) * lips * s["mouth_tall"] + s["mouth_up"] * lips
    chin = bump(square(x / 0.7) + square((y - mouth + 0.45) / 0.40)) * smoothstep(-0.9, 0.0, z)
    deep = deep + chin * s["chin_out"]
    moved = np.stack([wide, low, deep], axis=1)
    moved = _scale_nose(moved, s)
    moved = _magnify_eyes(moved, anatomy.eyes, s["eye"], s["eye_tall"], s["eye_apart"])
    moved = _scale_ears(moved, anatomy.ear, s["ear"], 0.78, (0.0, s["ear_up"], 0.0))
    neck = smoothstep(-0.95, -1.35, moved[:, 1]) * (1.0 - smoothstep(-1.5, -2.0, moved[:, 1]))
    moved[:, 0] *= 1.0 + s["neck"] * neck
    return moved * np.array([s["width"], s["height"], s["depth"]])


def _scale_nose(points: np.ndarray, style: Style) -> np.ndarray:
    """Scale the nose about its middle, then widen and lengthen it."""
    nose = np.array([0.0, -0.29, 0.30])
    near = 1.0 - smoothstep(0.08, 0.34, _distance(points, nose))
    points = points + (points - nose) * ((style["nose"] - 1.0) * near)[:, None]
    x, y, z = points.T
    wings = bump(square(x / 0.42) + square((y + 0.36) / 0.34)) * smoothstep(-0.3, 0.3, z)
    tip = bump(square(x / 0.50) + square((y + 0.34) / 0.36)) * smoothstep(0.0, 0.4, z)
    return np.stack(
        [
            x * (1.0 + style["nose_wide"] * wings),
            y - style["nose_long"] * tip,
            z + 0.5 * style["nose_long"] * tip,
        ],
        axis=1,
    )


def _magnify_eyes(
    points: np.ndarray, eyes: np.ndarray, scale: float, tall: float, apart: float
) -> np.ndarray:
    """Push the eyes apart, then magnify both; displacements add up from the same pose."""
    aside = np.zeros(len(points))
    for eye in eyes:
        side = 1.0 if eye[0] > 0 else -1.0
        distance = _distance(points, eye)
        aside = aside + apart * side * bump(square(distance / 0.75))
    points = points + np.stack([aside, 0 * aside, 0 * aside], axis=1)
    moved = points
    for eye in eyes:
        side = 1.0 if eye[0] > 0 else -1.0
        between = 2.0 * float(eye[0]) / 0.75
        shift = apart * side * (1.0 - float(bump(np.float64(between * between))))
        centre = eye + np.array([shift, 0.0, 0.0])
        near = 1.0 - smoothstep(0.12, 0.74, _distance(points, centre))
        growth = np.array([scale, scale * tall, scale]) - 1.0
        moved = moved + (points - centre) * near[:, None] * growth
        moved = moved - np.stack([0 * near, 0 * near, near * (scale - 1.0) * 0.13], axis=1)
    return moved


def _scale_ears(
    points: np.ndarray,
    ear: np.ndarray,
    scale: float,
    root: float,
    shift: tuple[float, float, float],
) -> np.ndarray:
    """Scale the ears about their roots at x = +- root, and move them outwards by shift."""
    side = np.where(points[:, 0] > 0, 1.0, -1.0)
    centre = np.stack([root * side, np.full(len(side), -0.22), np.full(len(side), -0.85)], axis=1)
    out = np.stack([shift[0] * side, np.full(len(side), shift[1]), np.full(len(side), shift[2])], 1)
    return points + ear[:, None] * ((points - centre) * (scale - 1.0) + out)


_WARPS: dict[str, Callable[[np.ndarray, Anatomy, Style], np.ndarray]] = {
    "human": _human,
    "monkey": _monkey,
    "cartoon": _cartoon,
}
