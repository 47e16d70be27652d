"""The parts of a head that every pixel is labelled with."""

from __future__ import annotations

PARTS: dict[str, int] = {
    "background": 0,
    "skin": 1,
    "left_eye": 2,
    "right_eye": 3,
    "eyebrows": 4,
    "nose": 5,
    "lips": 6,
    "mouth": 7,
    "ears": 8,
    "hair": 9,
    "neck": 10,
    "clothes": 11,
    "lashes": 12,
}
"""Part -> label in `Rendering.parts`. "Left" is left in the image; "mouth" is its inside."""
