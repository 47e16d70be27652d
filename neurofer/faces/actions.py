"""Facial action units (Ekman and Friesen, 1978) and the expressions made of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from neurofer.errors import unknown_choice
from neurofer.faces.checks import check_number
from neurofer.faces.mesh import head_mesh, snap


def _both(name: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{name}Left": weight, f"{name}Right": weight}


CLOSING = 43
"""The action unit that closes the eyes."""

ACTION_UNITS: dict[int, dict[str, float]] = {
    1: {"browInnerUp": 1.0},
    2: _both("browOuterUp"),
    4: _both("browDown"),
    5: _both("eyeWide"),
    6: {**_both("cheekSquint"), **_both("eyeSquint", 0.35)},
    7: _both("eyeSquint"),
    9: _both("noseSneer"),
    10: _both("mouthUpperUp"),
    12: _both("mouthSmile"),
    14: _both("mouthDimple"),
    15: _both("mouthFrown"),
    16: _both("mouthLowerDown"),
    17: {"mouthShrugLower": 1.0},
    18: {"mouthPucker": 1.0},
    20: _both("mouthStretch"),
    22: {"mouthFunnel": 1.0},
    23: {**_both("mouthPress", 0.8), "mouthRollLower": 0.35, "mouthRollUpper": 0.35},
    25: {"jawOpen": 0.08, **_both("mouthLowerDown", 0.4), **_both("mouthUpperUp", 0.25)},
    26: {"jawOpen": 0.38},
    27: {"jawOpen": 0.8},
    CLOSING: _both("eyeBlink"),
    61: {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    62: {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    63: _both("eyeLookUp"),
    64: _both("eyeLookDown"),
}
"""Action unit -> the asset's face units that it moves, with weights.

61 to 64 turn the eyes left, right, up and down. Left and right are the shown person's own, as in
the Facial Action Coding System: 61 moves the pupils towards the right of a frontal image.
"""

RECIPES: dict[str, dict[int, float]] = {
    "neutral": {},
    "happy": {6: 0.8, 12: 1.05, 25: 1.15, 10: 0.35, 26: 0.16},
    "sad": {1: 1.5, 4: 0.4, 15: 1.6, 17: 0.8, 7: 0.2, 43: 0.15},
    "angry": {4: 1.5, 5: 1.1, 9: 1.3, 15: 1.2, 16: 1.4, 25: 0.5},
    "fear": {1: 2.2, 2: 0.3, 4: 1.2, 5: 1.9, 16: 1.0, 20: 1.8, 25: 1.5, 26: 0.5},
    "disgust": {4: 0.9, 7: 0.6, 9: 2.2, 10: 1.6, 15: 0.8, 17: 0.5, 43: 0.3},
    "surprise": {1: 1.3, 2: 1.3, 5: 1.1, 26: 1.0},
}
"""Expression -> action unit -> weight at full strength.

Chosen so that an expression network which never saw these heads reads human faces as meant, and so
that no expression moves the ten landmarks in the directions of another: the second-best projection
of the norm-referenced encoder (per-landmark directions, rectified) is at most 0.8 of the best.
"""


def action_units_of(expression: str, strength: float) -> dict[int, float]:
    """Return the action units of an expression, scaled by strength.

    Raises:
        NeuroferError: the expression has no recipe.

    >>> action_units_of("surprise", 0.5)
    {1: 0.65, 2: 0.65, 5: 0.55, 26: 0.5}
    """
    if expression not in RECIPES:
        raise unknown_choice("expression", expression, RECIPES, "the face renderer")
    return {unit: strength * weight for unit, weight in RECIPES[expression].items()}


def displacement(action_units: Mapping[int, float]) -> np.ndarray:
    """Return the movement of the coarse vertices, (V, 3) float64, linear in the strengths.

    Raises:
        NeuroferError: an action unit is unknown, or its strength is out of range.
    """
    weights: dict[str, float] = {}
    for unit in sorted(action_units):
        if unit not in ACTION_UNITS:
            raise unknown_choice("action unit", unit, ACTION_UNITS, "the face renderer")
        check_number(f"action unit {unit}", action_units[unit], -10, 10)
        for name, share in ACTION_UNITS[unit].items():
            key = "fu/" + name
            weights[key] = weights.get(key, 0.0) + action_units[unit] * share
    return head_mesh().combine(weights)


@lru_cache(maxsize=64)
def fine_displacement(action_units: tuple[tuple[int, float], ...]) -> np.ndarray:
    """Return the movement of the fine vertices, (V', 3) float64, on the grid of positions."""
    moved = snap(head_mesh().subdivision.apply(displacement(dict(action_units))))
    moved.setflags(write=False)
    return moved
