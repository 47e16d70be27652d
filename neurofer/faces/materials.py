"""What the surface of a head looks like: smooth fields, painted at its vertices.

Whatever varies slowly over the skin (blush, eye sockets, stubble, lips) is painted once per
identity at the fine vertices. What is finer than the mesh is computed at every pixel (`texture`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import (
    bump,
    clip01,
    mix,
    noise4,
    noise_table,
    smoothstep,
    square,
)
from neurofer.faces.hair import CUTS, Hair, hairline
from neurofer.faces.identities import Identity
from neurofer.faces.landmarks import RIGHT_PUPIL, landmark_places
from neurofer.faces.mesh import (
    LASHES,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    TONGUE,
    UPPER_TEETH,
    HeadMesh,
    fine_component,
)
from neurofer.faces.paint import Colour, Paint
from neurofer.faces.parts import PARTS
from neurofer.faces.teeth import above_gum

# Columns of the painted fields.
REST_X, REST_Y, REST_Z, OCCLUSION, RED, GREEN, BLUE, SPECULAR, LIPS, COVER = range(10)
FIELDS = 10

# How a triangle is shaded.
PLAIN, BARE, COVERED, EYE, HAIR, TEETH = range(6)


class Surface(NamedTuple):
    """The constants of an identity that pixels are shaded with."""

    grain: float  # of the skin's colour
    bumps: float
    wrap_r: float  # light that the skin carries past the terminator
    wrap_g: float
    wrap_b: float
    cover_r: float  # hair or fur
    cover_g: float
    cover_b: float
    below_r: float  # hair or fur of neck and chest
    below_g: float
    below_b: float
    cover_wrap: float
    cover_low: float  # cover field where hair begins ...
    cover_high: float  # ... and where it is full
    cover_ragged: float
    cover_flat: float  # strands: brightness = flat + coarse * noise + fine * noise
    cover_coarse: float
    cover_fine: float
    cover_bumps: float
    cover_shine: float
    hair_shine: float
    strand_slant: float  # outwards with height
    strand_x: float  # frequency of strands along the axes
    strand_y: float
    strand_z: float
    brow_r: float
    brow_g: float
    brow_b: float
    brow_height: float
    brow_thickness: float
    brow_opacity: float
    brow_ragged: float
    sclera_r: float
    sclera_g: float
    sclera_b: float
    iris_r: float
    iris_g: float
    iris_b: float
    iris_radius: float
    pupil_radius: float
    highlight_radius: float
    eye_x: float  # pupil that is right in the image, on the base head
    eye_y: float
    toon: float


def surface(identity: Identity, mesh: HeadMesh) -> Surface:
    """Collect the constants that the pixels of an identity are shaded with."""
    paint = identity.paint
    monkey = identity.head == "monkey"
    toon = paint.toon > 0
    wrap = (0.50, 0.35, 0.30) if toon else (0.45, 0.22, 0.16)
    cover = paint.fur if monkey else paint.hair
    below = paint.fur_below if monkey else paint.hair
    pupil = landmark_places(mesh.fine_rest)[RIGHT_PUPIL]
    edge = (0.25, 0.75, 0.40) if monkey else (0.42, 0.52, 0.0) if toon else (0.25, 0.60, 0.45)
    strands = (0.85, 0.30, 0.0) if toon else (0.55, 0.55, 0.35)
    stretch = (38.0, 9.5, 22.8) if monkey else (46.0, 8.3, 16.1)
    return Surface(
        grain=0.0 if toon else 1.0,
        bumps=paint.bumps,
        **_rgb("wrap", wrap),
        **_rgb("cover", cover),
        **_rgb("below", below),
        cover_wrap=0.33 if monkey else wrap[0],
        cover_low=edge[0],
        cover_high=edge[1],
        cover_ragged=edge[2],
        cover_flat=strands[0],
        cover_coarse=strands[1],
        cover_fine=strands[2],
        cover_bumps=0.9 if monkey else 0.15 if toon else 0.55,
        cover_shine=0.02 if monkey else 0.10,
        hair_shine=0.0 if monkey else paint.hair_shine,
        strand_slant=0.0 if monkey else 0.9,
        strand_x=stretch[0],
        strand_y=stretch[1],
        strand_z=stretch[2],
        **_rgb("brow", paint.brow),
        brow_height=paint.brow_height,
        brow_thickness=paint.brow_thickness,
        brow_opacity=paint.brow_opacity,
        brow_ragged=0.0 if toon else 0.8,
        **_rgb("sclera", paint.sclera),
        **_rgb("iris", paint.iris),
        iris_radius=paint.iris_radius,
        pupil_radius=paint.pupil * paint.iris_radius,
        highlight_radius=0.018 * paint.highlight,
        eye_x=float(pupil[0]),
        eye_y=float(pupil[1]),
        toon=paint.toon,
    )


def _rgb(name: str, colour: Colour) -> dict[str, float]:
    return dict(zip((f"{name}_r", f"{name}_g", f"{name}_b"), colour, strict=True))


def above_hairline(rest: np.ndarray) -> np.ndarray:
    """Return how far points of the base head lie above the usual hairline, in decimetres (V,)."""
    y, z = rest[:, 1], rest[:, 2]
    line = np.full(len(y), 6.55)
    knots = (
        (-0.7, 6.55),
        (0.0, 6.95),
        (0.35, 7.28),
        (0.8, 7.30),
        (1.0, 7.56),
        (1.2, 7.88),
        (1.5, 8.0),
    )
    for (z0, y0), (z1, y1) in pairwise(knots):
        line = line + (y1 - y0) * clip01((z - z0) / (z1 - z0))
    return y - line


def _hair(paint: Paint, rest: np.ndarray) -> np.ndarray:
    """Hair with a wavy line that is higher at the temples, 0 at its edge to 1 (V,)."""
    x, y, z = rest.T
    wave, _, _, _ = noise4(noise_table(), x * 3.0, y * 3.0, z * 3.0)
    temples = paint.temples * bump(square((np.abs(x) - 0.45) / 0.25))
    cut = CUTS[paint.hairstyle]
    line = (paint.hairline + temples) * smoothstep(0.2, 0.5, z) + hairline(cut, rest)
    cover = smoothstep(-0.06, 0.10, above_hairline(rest) - line + 0.12 * (wave - 0.5))
    return cover * (cut.locks > 0)


def paint_vertices(identity: Identity, mesh: HeadMesh, occlusion: np.ndarray) -> np.ndarray:
    """Paint an identity's fields on the fine vertices, (V', FIELDS) float32.

    Args:
        identity: whose paint it is.
        mesh: of its head.
        occlusion: (V',) share of light that reaches each vertex.
    """
    paint, rest = identity.paint, mesh.fine_rest
    component = fine_component(mesh)
    lips = np.minimum(mesh.fine_masks["lips"] * 1.2, 1.0)
    ears = mesh.fine_masks["ears"]
    colour = _skin_colour(paint, rest, ears)
    shine = np.full(len(rest), paint.specular)
    clothes = np.zeros(len(rest))
    if identity.head == "monkey":
        cover = _fur_cover(rest, ears)
        lip_strength = 0.55
    else:
        cover = _hair(paint, rest) * (ears < 0.4)
        lip_strength = 0.85
        shine = shine + 0.12 * lips
        clothes = shirt(rest)
    colour = _paint_over(colour, paint.lips, lips * lip_strength)
    colour = _paint_over(colour, paint.shirt, clothes)
    shine = shine * (1.0 - clothes)
    inside = smoothstep(0.35, 0.65, mesh.fine_masks["inside_mouth"])
    colour = _paint_over(colour, (0.16, 0.03, 0.03), inside)
    shine = shine * (1.0 - 0.8 * inside)
    for part, (paint_colour, gloss) in _PLAIN_COLOURS.items():
        here = component == part
        colour[here] = paint_colour
        shine[here] = gloss
    teeth = (component == UPPER_TEETH) | (component == LOWER_TEETH)
    colour[teeth] *= (0.15 + 0.85 * smoothstep(1.0, 1.5, rest[teeth, 2]))[:, None]
    fields = np.empty((len(rest), FIELDS), np.float32)
    fields[:, REST_X : REST_Z + 1] = rest
    fields[:, OCCLUSION] = occlusion
    fields[:, RED : BLUE + 1] = np.maximum(colour, 0.0)
    fields[:, SPECULAR] = shine
    fields[:, LIPS] = lips * (component == SKIN) + above_gum(component, rest)
    fields[:, COVER] = cover * (component == SKIN)
    return fields


def paint_hair(identity: Identity, hair: Hair) -> np.ndarray:
    """Paint the fields of locks, (H, FIELDS) float32: places in a lock, dark near the scalp."""
    paint = identity.paint
    tone, _, _, _ = noise4(noise_table(), hair.lock * 0.73, 0.0 * hair.lock, hair.lock)
    vary = 0.15 if paint.toon > 0 else 0.5
    bright = 1.0 + vary * (tone - 0.5)
    fields = np.zeros((len(hair.vertices), FIELDS), np.float32)
    fields[:, REST_X] = hair.across
    fields[:, REST_Y] = hair.along
    fields[:, REST_Z] = hair.lock
    fields[:, OCCLUSION] = hair.height
    above, below = paint.hair, paint.fur_below if identity.head == "monkey" else paint.hair
    down = smoothstep(-0.7, -1.7, hair.vertices[:, 1])
    for column, top, low in zip((RED, GREEN, BLUE), above, below, strict=True):
        fields[:, column] = mix(top, low, down) * bright * (0.6 + 0.4 * hair.height)
    return fields


_PLAIN_COLOURS: dict[int, tuple[Colour, float]] = {
    UPPER_TEETH: ((1.10, 1.06, 0.96), 0.15),
    LOWER_TEETH: ((1.10, 1.06, 0.96), 0.15),
    TONGUE: ((0.50, 0.16, 0.15), 0.12),
    LASHES: ((0.05, 0.035, 0.03), 0.0),
}


def _paint_over(colour: np.ndarray, paint: Colour, amount: np.ndarray) -> np.ndarray:
    return colour + (np.array(paint) - colour) * amount[:, None]


def _skin_colour(paint: Paint, rest: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Blotches, ruddy cheeks, nose and ears, dark eye sockets, stubble."""
    x, y, z = rest.T
    side = np.abs(x)
    blotch, mottle, _, _ = noise4(noise_table(), x * 6.0, y * 6.0, z * 6.0)
    smooth = paint.toon > 0
    tone = 1.0 + (0.0 if smooth else 0.10) * (blotch - 0.5)
    colour = np.array(paint.skin) * tone[:, None]
    cheeks = bump(square((side - 0.42) / 0.34) + square((y - 6.95) / 0.30)) * (z > 0.6)
    nose = bump(square(x / 0.2) + square((y - 6.95) / 0.2)) * (z > 1.2)
    red = paint.blush * clip01(cheeks + nose + 0.6 * ears)
    colour = colour * (1.0 - red[:, None] * np.array([0.05, 0.45, 0.42]))
    wide = paint.socket_size
    socket = bump(square((side - 0.31) / (0.30 * wide)) + square((y - 7.28) / (0.22 * wide)))
    socket = socket * (z > 0.8)
    colour = colour * (1.0 - paint.socket * socket[:, None] * np.array([0.85, 1.0, 0.9]))
    bridge = bump(square(x / 0.13) + square((y - 7.15) / 0.40)) * (z > 1.2)
    cheek = bump(square((side - 0.38) / 0.30) + square((y - 6.98) / 0.20)) * (z > 0.6)
    colour = colour * (1.0 + paint.relief * np.maximum(bridge, cheek))[:, None]
    beard = bump(square(x / 0.8) + square((y - 6.5) / 0.55)) * smoothstep(0.2, 0.5, z)
    shade = paint.stubble * beard * (0.6 + 0.8 * mottle)
    return colour * (1.0 - shade[:, None] * np.array([0.35, 0.30, 0.22]))


def _fur_cover(rest: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Fur everywhere but on a heart-shaped face and inside the ears."""
    x, y, z = rest.T
    side = np.abs(x)
    brow = bump(square((side - 0.27) / 0.60) + square((y - 7.24) / 0.50))
    muzzle = bump(square(x / 1.0) + square((y - 6.75) / 0.85))
    bare = smoothstep(0.12, 0.34, np.maximum(brow, muzzle)) * smoothstep(0.3, 0.6, z)
    concha = smoothstep(0.3, 0.7, ears) * smoothstep(0.70, 0.76, side)
    return 1.0 - np.maximum(bare, concha)


def shirt(rest: np.ndarray) -> np.ndarray:
    """Return how much of each point of the base head a shirt covers (V,)."""
    x, y, z = rest.T
    neckline = y + 0.22 * bump(square(x / 0.6)) * (z > 0.2)
    return smoothstep(5.86, 5.80, neckline - 0.12 * smoothstep(0.4, 1.0, np.abs(x)))


def vertex_labels(identity: Identity, mesh: HeadMesh) -> np.ndarray:
    """Label the fine vertices with their parts, (V',) uint8; hair, brows and lips come later."""
    rest = mesh.fine_rest
    x, y, z = rest.T
    labels = np.full(len(rest), PARTS["skin"], np.uint8)
    labels[y < 6.03 + np.maximum(1.35 - z, 0.0) / 3] = PARTS["neck"]
    nose = square(x / (0.10 + 0.17 * clip01((7.25 - y) / 0.4))) < 1.0
    labels[nose & (y > 6.84) & (y < 7.32) & (z > 1.18)] = PARTS["nose"]
    labels[mesh.fine_masks["ears"] > 0.5] = PARTS["ears"]
    if identity.head != "monkey":
        labels[shirt(rest) > 0.5] = PARTS["clothes"]
    labels[mesh.fine_masks["inside_mouth"] > 0.5] = PARTS["mouth"]
    component = fine_component(mesh)
    labels[component == LEFT_EYE] = PARTS["left_eye"]
    labels[component == RIGHT_EYE] = PARTS["right_eye"]
    labels[(component >= UPPER_TEETH) & (component <= TONGUE)] = PARTS["mouth"]
    labels[component == LASHES] = PARTS["lashes"]
    return labels


def triangle_shaders(identity: Identity, mesh: HeadMesh, fields: np.ndarray) -> np.ndarray:
    """Choose how each triangle is shaded, (T,) uint8: a pixel computes only what it has.

    Args:
        identity: whose paint it is.
        mesh: of its head.
        fields: from `paint_vertices`.
    """
    rest = mesh.fine_rest
    side = np.abs(rest[:, 0])
    across = (side - 0.11) / 0.44
    brow = (across > -0.2) & (across < 1.2) & (rest[:, 2] > 0.7)
    brow &= np.abs(rest[:, 1] - identity.paint.brow_height - 0.03) < 0.22
    covered = brow | (fields[:, COVER] > 0.0)
    shaders = np.where(covered[mesh.triangles].any(axis=1), COVERED, BARE).astype(np.uint8)
    shaders[mesh.triangle_component != SKIN] = PLAIN
    inside = mesh.fine_masks["inside_mouth"] > 0.5
    shaders[inside[mesh.triangles].all(axis=1)] = PLAIN
    shaders[np.isin(mesh.triangle_component, (LEFT_EYE, RIGHT_EYE))] = EYE
    shaders[np.isin(mesh.triangle_component, (UPPER_TEETH, LOWER_TEETH))] = TEETH
    return shaders
