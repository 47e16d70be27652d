"""The landmarks, each a vertex chosen by hand once and frozen."""

from __future__ import annotations

import numpy as np

LANDMARKS = (
    "left_eyebrow_ext",
    "left_eyebrow_int",
    "right_eyebrow_int",
    "right_eyebrow_ext",
    "left_mouth",
    "top_mouth",
    "right_mouth",
    "down_mouth",
    "left_eyelid",
    "right_eyelid",
)
"""The ten expression landmarks of the norm-referenced encoder, in its order; left in the image."""

POSITION_LANDMARKS = ("left_eye", "right_eye", "nose")
"""The three landmarks that locate a face: the pupils, which only gaze moves, and the nose's tip."""

_PLACES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "left_eyebrow_ext": ((1595, 17764, 9034), (17, 43, 4)),
    "left_eyebrow_int": ((235, 6059, 16377), (2, 28, 34)),
    "right_eyebrow_int": ((2646, 18707, 10907), (2, 34, 28)),
    "right_eyebrow_ext": ((3911, 13581, 20085), (17, 4, 43)),
    "left_mouth": ((1587, 17570, 9021), (32, 16, 16)),
    "top_mouth": ((455, 6385, 6385), (19, 45, 0)),
    "right_mouth": ((3902, 19892, 13568), (44, 16, 4)),
    "down_mouth": ((492, 6694, 6694), (8, 56, 0)),
    "left_eyelid": ((5478, 18540, 18540), (32, 32, 0)),
    "right_eyelid": ((10361, 20855, 20855), (32, 32, 0)),
    "left_eye": ((15439, 15439, 15439), (64, 0, 0)),
    "right_eye": ((15299, 15299, 15299), (64, 0, 0)),
    "nose": ((6241, 1678, 1678), (20, 44, 0)),
}
"""Fine vertices and their weights in 64ths: a place between the vertices of one triangle.

Picked on what is drawn: the ends of the eyebrows' paint half-way up, the borders of the lips'
colour, the middle of the upper lid's rim. Positions are multiples of a power of two, and so are the
weights, so that a landmark moves as exactly as the vertices do.
"""

_NAMES = LANDMARKS + POSITION_LANDMARKS
_CORNERS = np.array([_PLACES[name][0] for name in _NAMES])
_WEIGHTS = np.array([_PLACES[name][1] for name in _NAMES]) / 64.0


def landmark_places(vertices: np.ndarray) -> np.ndarray:
    """Return the places of the landmarks, (13, 3): LANDMARKS, then POSITION_LANDMARKS.

    `vertices` (V', 3) are the fine ones of the mesh, wherever they have been moved.
    """
    a, b, c = (vertices[_CORNERS[:, k]] * _WEIGHTS[:, k, None] for k in range(3))
    return a + b + c


RIGHT_PUPIL = _NAMES.index("right_eye")
