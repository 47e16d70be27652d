"""Shading of one sample, for each kind of surface: from interpolated fields to a display colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import Number, element, mix, unit
from neurofer.faces.lighting import Lighting, encode, illuminate
from neurofer.faces.materials import Surface, bare_skin, covering, eyeball
from neurofer.faces.parts import PARTS

_BROWS = PARTS["eyebrows"]
_HAIR = PARTS["hair"]


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
    lit: np.ndarray  # (V', 3) float64: `shadow_coordinates`
    depth_map: np.ndarray  # (SHADOW_WIDTH ** 2,) int64
    table: np.ndarray  # noise
    surface: Surface
    light: Lighting
    outline: float


class Shaded(NamedTuple):
    """What shading returns."""

    image: np.ndarray  # (size, size, 3) uint8
    parts: np.ndarray  # (size, size) uint8
    depth: np.ndarray  # (size, size) float32, nan where nothing is


@element
def shade_plain(
    light: Lighting,
    toon: float,
    normal: Number,
    colour: Number,
    specular: Number,
    occlusion: Number,
    shadow: Number,
    ink: Number,
) -> Number:
    """Shade teeth, tongue, lashes and the inside of the mouth: as painted."""
    wrap = (0.5, 0.5, 0.5)
    red, green, blue = illuminate(
        light, toon, normal, colour, wrap, specular, 0.0, 0.0, occlusion, shadow
    )
    return encode(red, ink), encode(green, ink), encode(blue, ink)


@element
def shade_eye(
    s: Surface,
    light: Lighting,
    table: np.ndarray,
    normal: Number,
    place: Number,
    side: Number,
    occlusion: Number,
    shadow: Number,
    ink: Number,
) -> Number:
    """Shade an eyeball."""
    colour = eyeball(s, table, side, place[0], place[1], place[2])
    wrap = (0.5, 0.5, 0.5)
    red, green, blue = illuminate(
        light, s.toon, normal, colour, wrap, 0.25, 1.0, 0.0, occlusion, shadow
    )
    return encode(red, ink), encode(green, ink), encode(blue, ink)


@element
def shade_bare(
    s: Surface,
    light: Lighting,
    table: np.ndarray,
    normal: Number,
    place: Number,
    colour: Number,
    specular: Number,
    lips: Number,
    label: Number,
    occlusion: Number,
    shadow: Number,
    ink: Number,
) -> Number:
    """Shade skin without hair; also returns the part."""
    tone, shine, bump_x, bump_y, label = bare_skin(
        s, table, place[0], place[1], place[2], label, lips
    )
    bumped = unit(normal[0] + bump_x, normal[1] + bump_y, normal[2])
    painted = (colour[0] * tone, colour[1] * tone, colour[2] * tone)
    wrap = (s.wrap_r, s.wrap_g, s.wrap_b)
    red, green, blue = illuminate(
        light, s.toon, bumped, painted, wrap, specular * shine, 0.0, 1.0, occlusion, shadow
    )
    return encode(red, ink), encode(green, ink), encode(blue, ink), label


@element
def shade_covered(
    s: Surface,
    light: Lighting,
    table: np.ndarray,
    normal: Number,
    place: Number,
    colour: Number,
    specular: Number,
    lips: Number,
    cover: Number,
    label: Number,
    occlusion: Number,
    shadow: Number,
    ink: Number,
) -> Number:
    """Shade skin with hair, fur or eyebrows; also returns the part."""
    tone, shine, bump_x, bump_y, label = bare_skin(
        s, table, place[0], place[1], place[2], label, lips
    )
    hair, hair_r, hair_g, hair_b, strand_x, strand_y, brow = covering(
        s, table, place[0], place[1], place[2], cover
    )
    bumped = unit(normal[0] + bump_x + strand_x, normal[1] + bump_y + strand_y, normal[2])
    ink_brow = brow * s.brow_opacity
    painted = (
        mix(mix(colour[0] * tone, hair_r, hair), s.brow_r, ink_brow),
        mix(mix(colour[1] * tone, hair_g, hair), s.brow_g, ink_brow),
        mix(mix(colour[2] * tone, hair_b, hair), s.brow_b, ink_brow),
    )
    wrap = (
        mix(s.wrap_r, s.cover_wrap, hair),
        mix(s.wrap_g, s.cover_wrap, hair),
        mix(s.wrap_b, s.cover_wrap, hair),
    )
    gleam = mix(specular * shine, s.cover_shine, hair) * (1.0 - 0.8 * ink_brow)
    red, green, blue = illuminate(
        light, s.toon, bumped, painted, wrap, gleam, 0.0, 1.0, occlusion, shadow
    )
    label = label + (_HAIR - label) * (hair > 0.5)
    label = label + (_BROWS - label) * (brow > 0.5)
    return encode(red, ink), encode(green, ink), encode(blue, ink), label
