"""Teeth and gums: a band of the mesh on which single teeth are drawn, pixel by pixel."""

from __future__ import annotations

import numpy as np

from neurofer.faces.elements import Number, clip01, element, mix, smoothstep
from neurofer.faces.mesh import LOWER_TEETH, UPPER_TEETH

_UPPER_GUM, _LOWER_GUM = 6.708, 6.503  # y of the gums' edges on the base head


def above_gum(component: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return how far points of the teeth lie inside the gums, (V,) in decimetres; 0 elsewhere."""
    y = rest[:, 1]
    upper = (component == UPPER_TEETH) * (y - _UPPER_GUM)
    return upper + (component == LOWER_TEETH) * (_LOWER_GUM - y)


@element
def teeth(place: Number, colour: Number, specular: Number, gum: Number, label: Number) -> Number:
    """Return the material of teeth: grooves between them, and gums that reach into the grooves.

    Args:
        place: (x, y, z) on the base head.
        colour: as painted.
        specular: strength of the highlight.
        gum: how far the point lies above the teeth.
        label: of the part.
    """
    x, y, z = place
    upper = (y > 6.59) * 1.0
    around = (np.abs(x) + 0.9 * np.maximum(1.48 - z, 0.0)) / mix(0.062, 0.088, upper)
    groove = 2.0 * np.abs(around - np.floor(around) - 0.5)
    groove = smoothstep(0.72, 1.0, groove)
    pink = smoothstep(-0.010, 0.008, gum + 0.022 * groove)
    white = 1.0 - 0.30 * groove
    deep = 1.0 - 0.45 * clip01(gum / 0.07)
    red = mix(colour[0] * white, 0.55 * deep, pink)
    green = mix(colour[1] * white, 0.24 * deep, pink)
    blue = mix(colour[2] * white, 0.22 * deep, pink)
    shine = mix(specular, 0.10, pink)
    return (0.0, 0.0), (red, green, blue), (2.0, 2.0, 2.0), shine, 0.0, 0.0, label
