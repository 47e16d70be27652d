"""Shading of one sample, for each kind of surface: from interpolated fields to a display colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import Number, element, mix, noise4, unit
from neurofer.faces.lighting import Lighting, encode, illuminate
from neurofer.faces.materials import Surface
from neurofer.faces.parts import PARTS
from neurofer.faces.texture import covering, eyeball, grain
from neurofer.faces.wrinkles import Creases

_BROWS = PARTS["eyebrows"]
_HAIR = PARTS["hair"]
_LIPS = PARTS["lips"]


class Scene(NamedTuple):
    """All that the shading of an image reads; the image has size * size * samples^2 samples."""

    size: int
    samples: int  # along one side of a pixel
    buffer: np.ndarray  # (W * W,) int64: depth << 24 | triangle, EMPTY where nothing is
    ink: np.ndarray  # (W * W,) uint8: 1 on an outline
    background: np.ndarray  # (size, size, 3) uint8
    x: np.ndarray  # (V',) int64, in SUBPIXELS of a sample
    y: np.ndarray
    triangles: np.ndarray  # (T, 3) int32
    shaders: np.ndarray  # (T,) uint8
    fields: np.ndarray  # (V', FIELDS) float32, painted
    labels: np.ndarray  # (V',) uint8
    normals: np.ndarray  # (V', 3) float64, turned
    directions: np.ndarray  # (H, 3) float64 of the locks, whose vertices are the last H
    lit: np.ndarray  # (V', 3) float64: `shadow_coordinates`
    depth_map: np.ndarray  # (SHADOW_WIDTH ** 2,) int64
    table: np.ndarray  # noise
    surface: Surface
    light: Lighting
    creases: Creases
    creased: bool  # whether there are any
    outline: float


class Shaded(NamedTuple):
    """What shading returns."""

    image: np.ndarray  # (size, size, 3) uint8
    parts: np.ndarray  # (size, size) uint8
    depth: np.ndarray  # (size, size) float32, nan where nothing is


@element
def plain(colour: Number, specular: Number, label: Number) -> Number:
    """Teeth, tongue, lashes, the inside of the mouth: as painted, in soft light (see `finish`).

    Args:
        colour: as painted.
        specular: strength of the highlight.
        label: of the part.
    """
    return (0.0, 0.0), colour, (2.0, 2.0, 2.0), specular, 0.0, 0.0, label


@element
def eye(s: Surface, table: np.ndarray, place: Number, label: Number) -> Number:
    """An eyeball: painted here, smooth and wet.

    Args:
        s: parameters of the surface.
        table: of random numbers.
        place: (x, y, z) on the base head.
        label: of the part.
    """
    side = (place[0] > 0.0) * 2.0 - 1.0
    colour = eyeball(s, table, side, place[0], place[1], place[2])
    return (0.0, 0.0), colour, (0.5, 0.5, 0.5), 0.25, 1.0, 0.0, label


@element
def skin(
    s: Surface,
    table: np.ndarray,
    place: Number,
    colour: Number,
    specular: Number,
    lips: Number,
    label: Number,
) -> Number:
    """Skin and lips: the painted colour with grain and pores.

    Args:
        s: parameters of the surface.
        table: of random numbers.
        place: (x, y, z) on the base head.
        colour: as painted.
        specular: strength of the highlight.
        lips: how much the point belongs to the lips.
        label: of the part.
    """
    tone, shine, bump_x, bump_y = grain(s, table, place[0], place[1], place[2])
    label = label + (_LIPS - label) * (lips > 0.5)
    painted = (colour[0] * tone, colour[1] * tone, colour[2] * tone)
    wrap = (s.wrap_r, s.wrap_g, s.wrap_b)
    return (bump_x, bump_y), painted, wrap, specular * shine, 0.0, 1.0, label


@element
def strands(
    s: Surface,
    light: Lighting,
    table: np.ndarray,
    place: Number,
    colour: Number,
    normal: Number,
    direction: Number,
    label: Number,
) -> Number:
    """Hair: streaks along a lock, and a highlight across it (Kajiya and Kay, 1989).

    The highlight is where the strand is perpendicular to the half vector; noise shifts it.

    Args:
        s: parameters of the surface.
        light: of the scene.
        table: of random numbers.
        place: (x, y, z) on the base head.
        colour: as painted.
        normal: of the surface.
        direction: of the lock.
        label: of the part.
    """
    streak, shift, bump_x, bump_y = noise4(table, place[0] * 34.0, place[1] * 1.5, place[2] * 3.0)
    lean = 0.35 * (shift - 0.5)
    tx, ty, tz = unit(
        direction[0] + lean * normal[0],
        direction[1] + lean * normal[1],
        direction[2] + lean * normal[2],
    )
    t_h = tx * light.half_x + ty * light.half_y + tz * light.half_z
    p2 = np.maximum(1.0 - t_h * t_h, 0.0)
    p4 = p2 * p2
    p8 = p4 * p4
    p16 = p8 * p8
    p32 = p16 * p16
    tone = s.cover_flat + s.cover_coarse * streak
    glow = s.hair_shine * (0.4 * p8 + 0.6 * p32) * (0.4 + 1.2 * shift)
    wrap = (s.cover_wrap, s.cover_wrap, s.cover_wrap)
    bumps = ((bump_x - 0.5) * 0.3 * s.cover_bumps, (bump_y - 0.5) * 0.3 * s.cover_bumps)
    lit = (
        colour[0] * (tone + glow * 2.0) + glow * 0.05,
        colour[1] * (tone + glow * 2.0) + glow * 0.05,
        colour[2] * (tone + glow * 2.0) + glow * 0.05,
    )
    return bumps, lit, wrap, 0.0, 0.0, 0.3, label


@element
def covered(s: Surface, table: np.ndarray, place: Number, cover: Number, below: Number) -> Number:
    """Hair, fur and eyebrows over the skin `below`.

    Args:
        s: parameters of the surface.
        table: of random numbers.
        place: (x, y, z) on the base head.
        cover: how much hair or fur was painted there.
        below: the material of the skin.
    """
    bumps, colour, wrap, specular, gloss, rim, label = below
    hair, hair_colour, strand_x, strand_y, brow = covering(
        s, table, place[0], place[1], place[2], cover
    )
    paint = brow * s.brow_opacity
    colour = (
        mix(mix(colour[0], hair_colour[0], hair), s.brow_r, paint),
        mix(mix(colour[1], hair_colour[1], hair), s.brow_g, paint),
        mix(mix(colour[2], hair_colour[2], hair), s.brow_b, paint),
    )
    wrap = (
        mix(wrap[0], s.cover_wrap, hair),
        mix(wrap[1], s.cover_wrap, hair),
        mix(wrap[2], s.cover_wrap, hair),
    )
    specular = mix(specular, s.cover_shine, hair) * (1.0 - 0.8 * paint)
    label = label + (_HAIR - label) * (hair > 0.5)
    label = label + (_BROWS - label) * (brow > 0.5)
    return (bumps[0] + strand_x, bumps[1] + strand_y), colour, wrap, specular, gloss, rim, label


@element
def finish(
    light: Lighting,
    toon: float,
    normal: Number,
    material: Number,
    occlusion: Number,
    shadow: Number,
    ink: Number,
) -> Number:
    """Light a material and encode it: (red, green, blue) 0 ... 255, and the part.

    A material is (bumps, colour, wrap, specular, gloss, rim, part); bumps tilt the normal.

    Args:
        light: of the scene.
        toon: 0 for smooth shading, 1 for that of a cartoon.
        normal: of the surface.
        material: as above.
        occlusion: 1 where all light from around arrives.
        shadow: 1 where all of the key light arrives.
        ink: how much an outline covers.
    """
    bumps, colour, wrap, specular, gloss, rim, label = material
    tilted = unit(normal[0] + bumps[0], normal[1] + bumps[1], normal[2])
    red, green, blue = illuminate(
        light, toon, tilted, colour, wrap, specular, gloss, rim, occlusion, shadow
    )
    return encode(red, ink), encode(green, ink), encode(blue, ink), label
