"""Landmarks of a drawn face, read from the masks of its brows, eyes, mouth and nose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from neurofer.faces import LANDMARKS, POSITION_LANDMARKS

READ = ("brows", "eyes", "mouth", "nose")
"""The parts that landmarks are read from."""

PLACES = {name: i for i, name in enumerate((*LANDMARKS, *POSITION_LANDMARKS))}
"""Landmark -> its row."""


def read_landmarks(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the 13 landmarks, (13, 2) float64, x and y in pixel-centre coordinates.

    Args:
        parts: "brows", "eyes", "mouth", "nose" -> opacity, (H, W) uint8; "resting eyes" where
            other eyes locate the face than those that the lids are read from. Shadows of a part,
            less opaque than two thirds of it, do not count, nor do pieces beside a brow or a mouth
            that are smaller than it. What is not there, or is one piece where there should be two,
            stays NaN.
    """
    points = np.full((len(PLACES), 2), np.nan)

    def put(name: str, point: tuple[float, float]) -> None:
        points[PLACES[name]] = point

    masks = {name: _solid(opacity) for name, opacity in parts.items() if opacity.any()}
    for side, mask in _halves(masks.get("brows")).items():
        left, right = _ends(_largest(mask))
        outer, inner = (left, right) if side == "left" else (right, left)
        put(f"{side}_eyebrow_ext", outer)
        put(f"{side}_eyebrow_int", inner)
    for side, mask in _halves(masks.get("eyes")).items():
        x, _ = _middle(mask)
        put(f"{side}_eyelid", (x, _edges(mask, x)[0]))
    for side, mask in _halves(masks.get("resting eyes", masks.get("eyes"))).items():
        put(f"{side}_eye", _middle(mask))
    if "mouth" in masks:
        mouth = _largest(masks["mouth"])
        left, right = _ends(mouth)
        middle_x = (left[0] + right[0]) / 2
        top, bottom = _edges(mouth, middle_x)
        put("left_mouth", left)
        put("right_mouth", right)
        put("top_mouth", (middle_x, top))
        put("down_mouth", (middle_x, bottom))
    if "nose" in masks:
        put("nose", _middle(masks["nose"]))
    return points


def _solid(opacity: np.ndarray) -> np.ndarray:
    return opacity > 2 * int(opacity.max()) / 3


def _largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected piece: without dimples, folds and the lines of a chin."""
    pieces, number = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=number + 1)
    return pieces == 1 + int(np.argmax(sizes[1:]))


def _halves(mask: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the left and the right half of a pair, parted at its widest gap of empty columns."""
    if mask is None:
        return {}
    used = np.flatnonzero(mask.any(axis=0))
    gaps = np.diff(used)
    if not len(gaps) or gaps.max() == 1:
        return {}
    cut = used[int(np.argmax(gaps))] + 1
    left, right = mask.copy(), mask.copy()
    left[:, cut:] = False
    right[:, :cut] = False
    return {"left": left, "right": right}


def _ends(mask: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the leftmost and the rightmost point, each in the middle of its column."""
    used = np.flatnonzero(mask.any(axis=0))
    first, last = int(used[0]), int(used[-1])
    return (
        (float(first), float(np.flatnonzero(mask[:, first]).mean())),
        (float(last), float(np.flatnonzero(mask[:, last]).mean())),
    )


def _edges(mask: np.ndarray, x: float) -> tuple[float, float]:
    """Return the top and the bottom of the column at x, or of the nearest that is not empty."""
    used = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask[:, used[int(np.argmin(np.abs(used - x)))]])
    return float(rows[0]), float(rows[-1])


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """Return the middle of the box of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
