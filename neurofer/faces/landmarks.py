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

_VERTICES = {
    "left_eyebrow_ext": 1595,
    "left_eyebrow_int": 233,
    "right_eyebrow_int": 2645,
    "right_eyebrow_ext": 3911,
    "left_mouth": 424,
    "top_mouth": 6607,
    "right_mouth": 2823,
    "down_mouth": 6693,
    "left_eyelid": 1621,
    "right_eyelid": 3935,
    "left_eye": 15439,
    "right_eye": 15299,
    "nose": 6241,
}
"""Fine vertices. An eyelid is the middle of the upper lid's margin; the mouth's are on the lips."""

LANDMARK_VERTICES = np.array([_VERTICES[name] for name in LANDMARKS + POSITION_LANDMARKS])
"""(13,) int64: the vertices of LANDMARKS, then of POSITION_LANDMARKS."""

RIGHT_PUPIL = (LANDMARKS + POSITION_LANDMARKS).index("right_eye")
