"""Texture that is finer than the mesh: grain, strands, eyebrows and irises.

It is computed at every pixel from the point's place on the base head, so that it moves with the
skin.
"""

from __future__ import annotations

import numpy as np

from neurofer.faces.elements import Number, element, mix, noise4, smoothstep, square
from neurofer.faces.materials import Surface


@element
def grain(s: Surface, table: np.ndarray, x: Number, y: Number, z: Number) -> Number:
    """Texture of skin: (brightness, shine, bump x, bump y).

    Args:
        s: parameters of the surface.
        table: of random numbers.
        x: of the point.
        y: of the point.
        z: of the point.
    """
    tone, pores, bump_x, bump_y = noise4(table, x * 45.0, y * 45.0, z * 45.0)
    brightness = 1.0 + s.grain * (0.10 * (tone - 0.5) + 0.05 * (pores - 0.5))
    return brightness, 0.6 + 0.8 * pores, (bump_x - 0.5) * s.bumps, (bump_y - 0.5) * s.bumps


@element
def brow_mask(s: Surface, x: Number, y: Number, strand: Number) -> Number:
    """How much of a point of the base head the eyebrows' paint covers.

    Args:
        s: parameters of the surface.
        x: of the point.
        y: of the point.
        strand: noise in [0, 1] that frays the edge.
    """
    across = (np.abs(x) - 0.11) / 0.44
    middle = s.brow_height + 0.0744 * across * (2.0 - 1.55 * across)
    taper = 0.75 + 0.5 * smoothstep(0.0, 0.25, across) - 0.65 * smoothstep(0.35, 1.0, across)
    distance = np.abs(y - middle) / (s.brow_thickness * taper)
    mask = smoothstep(1.45, 0.35, distance + (strand - 0.5) * s.brow_ragged)
    return mask * smoothstep(-0.06, 0.06, across) * smoothstep(1.06, 0.9, across)


@element
def eyeball(s: Surface, table: np.ndarray, side: Number, x: Number, y: Number, z: Number) -> Number:
    """Colour of the eye at a point of the base head; side is -1 for the eye left in the image.

    Args:
        s: parameters of the surface.
        table: of random numbers.
        side: -1 or 1.
        x: of the point.
        y: of the point.
        z: of the point.
    """
    dx = x - side * s.eye_x
    dy = y - s.eye_y
    front = (z > 1.25) * 1.0
    r = np.sqrt(dx * dx + dy * dy)
    scale = 6.0 / (r + 1e-6)
    streak, _, _, _ = noise4(table, dx * scale + 15.0, dy * scale + 15.0, r * 24.0 + 15.0)
    white = 1.0 - 0.15 * smoothstep(0.06, 0.15, r)
    tone = (0.65 + 0.7 * streak) * (1.0 - 0.5 * smoothstep(s.iris_radius * 0.7, s.iris_radius, r))
    iris = smoothstep(s.iris_radius * 1.06, s.iris_radius * 0.94, r) * front
    pupil = smoothstep(s.pupil_radius * 1.12, s.pupil_radius * 0.88, r) * front
    shade = 1.0 - 0.45 * smoothstep(0.02, 0.13, dy)
    spot = (square(dx + 0.028) + square(dy - 0.032)) / square(s.highlight_radius)
    light = smoothstep(1.0, 0.55, spot) * front
    red = mix(mix(s.sclera_r * white, s.iris_r * tone, iris), 0.012, pupil)
    green = mix(mix(s.sclera_g * white, s.iris_g * tone, iris), 0.012, pupil)
    blue = mix(mix(s.sclera_b * white, s.iris_b * tone, iris), 0.014, pupil)
    return (
        mix(red * shade, 1.3, light),
        mix(green * shade, 1.3, light),
        mix(blue * shade, 1.3, light),
    )


@element
def covering(
    s: Surface, table: np.ndarray, x: Number, y: Number, z: Number, cover: Number
) -> Number:
    """Hair or fur, and eyebrows: (amount, colour, bump x, bump y, eyebrow), amounts in [0, 1].

    Args:
        s: parameters of the surface.
        table: of random numbers.
        x: of the point.
        y: of the point.
        z: of the point.
        cover: how much hair or fur was painted there.
    """
    slant = s.strand_slant * (y - 7.5) * np.minimum(np.maximum(x * 8.0, -1.0), 1.0)
    x = x - slant
    coarse, bump_x, bump_y, _ = noise4(table, x * s.strand_x, y * s.strand_y, z * s.strand_z)
    fine, ragged, _, _ = noise4(
        table, x * s.strand_x * 1.9 + 7.0, y * s.strand_y * 2.4 + 7.0, z * s.strand_z * 1.6 + 7.0
    )
    hair = smoothstep(s.cover_low, s.cover_high, cover + (ragged - 0.5) * s.cover_ragged)
    tone = s.cover_flat + s.cover_coarse * coarse + s.cover_fine * fine
    below = smoothstep(6.6, 5.6, y)
    colour = (
        mix(s.cover_r, s.below_r, below) * tone,
        mix(s.cover_g, s.below_g, below) * tone,
        mix(s.cover_b, s.below_b, below) * tone,
    )
    brow = brow_mask(s, x + slant, y, fine) * (z > 0.7)
    amount = hair * s.cover_bumps
    return hair, colour, (bump_x - 0.5) * amount, (bump_y - 0.5) * amount, brow
