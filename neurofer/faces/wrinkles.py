"""Wrinkles that action units draw into the skin: grooves in its relief, dark at the bottom.

Landmarks move linearly with the strength of an expression, wrinkles do not: they appear above a
threshold and then deepen fast. So they are a cue of their own, behind a switch. Which unit makes
which wrinkle is told by Ekman, Friesen and Hager (2002), "Facial action coding system".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import Number, bump, clip01, element, mix, smoothstep

THRESHOLD, DEEPEST = 0.1, 1.3
"""Strengths of action units where wrinkles begin, and where they are deepest."""


class Creases(NamedTuple):
    """How deep each group of wrinkles is, 0 to 1."""

    forehead: float  # inner half: unit 1
    temples: float  # outer half: unit 2
    glabella: float  # unit 4
    nose: float  # unit 9
    crow: float  # crow's feet: unit 6
    fold: float  # nasolabial furrow: units 9, 10 and 12


def creases(action_units: Mapping[int, float], depth: float) -> Creases:
    """Return how deep the wrinkles of a face are; `depth` is the identity's own, 1 at most.

    >>> creases({1: 0.05}, 1.0).forehead
    0.0
    >>> creases({1: 2.0}, 0.5).forehead
    0.5
    """

    def deep(*units: int) -> float:
        strongest = max(action_units.get(unit, 0.0) for unit in units)
        return depth * float(smoothstep(THRESHOLD, DEEPEST, np.float64(strongest)))

    return Creases(deep(1), deep(2), deep(4), deep(9), deep(6), deep(9, 10, 12))


@element
def _groove(distance: Number, width: float, depth: Number) -> Number:
    """A groove across a distance: (tilt of the normal along the distance, darkness)."""
    u = np.minimum(np.maximum(distance / width, -1.0), 1.0)
    inner = 1.0 - u * u
    return -u * inner * inner * depth, bump(u * u) * depth


@element
def _forehead(c: Creases, side: Number, y: Number, front: Number) -> Number:
    """Three lines, arched over each brow."""
    across = clip01(side / 0.55)
    line = (y - 7.655 - 0.05 * across * (1.3 - across)) / 0.088
    number = np.minimum(np.maximum(np.floor(line + 0.5), 0.0), 2.0)
    reach = smoothstep(0.56, 0.38, side + 0.06 * number)
    depth = mix(c.forehead, c.temples, smoothstep(0.16, 0.36, side)) * reach * front
    return _groove((line - number) * 0.088, 0.026, depth * (1.0 - 0.15 * number))


@element
def _glabella(c: Creases, side: Number, y: Number, front: Number) -> Number:
    """A steep line on either side, between the brows."""
    reach = smoothstep(7.32, 7.40, y) * smoothstep(7.68, 7.56, y)
    return _groove(side - 0.052 - 0.12 * (y - 7.42), 0.026, c.glabella * reach * front)


@element
def _nose(c: Creases, side: Number, y: Number, front: Number) -> Number:
    """Three lines across the root of the nose, slanting down its sides."""
    line = (y - 7.17 + 0.45 * side) / 0.055
    number = np.minimum(np.maximum(np.floor(line + 0.5), 0.0), 2.0)
    reach = smoothstep(0.16, 0.09, side) * front
    return _groove((line - number) * 0.055, 0.020, c.nose * reach)


@element
def _crow(c: Creases, side: Number, y: Number) -> Number:
    """Four rays from the outer corner of the eye."""
    out = np.maximum(side - 0.40, 0.02)
    ray = ((y - 7.275) / out + 0.10) / 0.42
    number = np.minimum(np.maximum(np.floor(ray + 0.5), -1.0), 2.0)
    reach = smoothstep(0.485, 0.52, side) * smoothstep(0.70, 0.58, side)
    return _groove((ray - number) * 0.42 * out, 0.018, c.crow * reach)


@element
def _fold(c: Creases, side: Number, y: Number, front: Number) -> Number:
    """A furrow from the wing of the nose around the corner of the mouth."""
    fall = clip01((6.98 - y) / 0.40)
    reach = smoothstep(7.00, 6.94, y) * smoothstep(6.56, 6.68, y) * front
    return _groove(side - 0.185 - 0.20 * fall * (0.6 + 0.4 * fall), 0.050, c.fold * reach)


@element
def wrinkled(c: Creases, place: Number, material: Number) -> Number:
    """Draw wrinkles into the skin at a point of the base head.

    Args:
        c: depths of the creases.
        place: (x, y, z) on the base head.
        material: of the skin.
    """
    x, y, z = place
    side = np.abs(x)
    sign = (x > 0.0) * 2.0 - 1.0
    front = smoothstep(0.75, 0.95, z)
    down, dark = _forehead(c, side, y, front)
    aside, between = _glabella(c, side, y, front)
    slant, across = _nose(c, side, y, front)
    spread, rays = _crow(c, side, y)
    cheek, furrow = _fold(c, side, y, front)
    dark = np.maximum(np.maximum(dark, between), 0.8 * np.maximum(across, rays))
    dark = np.maximum(dark, 0.7 * furrow)
    bumps, colour, wrap, specular, gloss, rim, label = material
    tilt_x = bumps[0] + sign * (1.5 * aside + 0.6 * slant + 1.5 * cheek)
    tilt_y = bumps[1] + 1.6 * down + 1.3 * slant + 1.5 * spread + 0.6 * cheek
    ink = 1.0 - 0.34 * dark
    colour = (colour[0] * (1.0 - 0.22 * dark), colour[1] * ink, colour[2] * ink)
    return (tilt_x, tilt_y), colour, wrap, specular * (1.0 - 0.6 * dark), gloss, rim, label
