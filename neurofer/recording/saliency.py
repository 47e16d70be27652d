"""Saliency as a recording: where on the face the maps of a subject's answers lie.

A map (Grad-CAM++, see `neurofer.subjects.grad_cam`) says which places of an image speak for an
answer. Sites of a convolutional subject hold how much of an image's map lies on each part of the
face, by the renderer's masks, so that an analysis needs neither image nor network. A site ending in
"-map" holds the maps themselves, each with the face that it lies over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.recording.sites import Site

GROUPS: Mapping[str, tuple[str, ...]] = {
    "eyes": ("left_eye", "right_eye", "lashes"),
    "eyebrows": ("eyebrows",),
    "nose": ("nose",),
    "mouth": ("lips", "mouth"),
    "other skin": ("skin", "ears", "neck"),
    "hair": ("hair",),
    "clothes": ("clothes",),
    "background": ("background",),
}
"""Parts of a figure -> the renderer's parts; every pixel belongs to one."""

SHARE, AREA = "share of ", "area of "
SPREAD, CORRECT, PLACES = "spread", "correct", "places"
UNITS = (
    *(SHARE + part for part in GROUPS),
    *(AREA + part for part in GROUPS),
    *(SPREAD, CORRECT, PLACES),
)
"""The units of a site of saliency, by image.

The share of the map on each part; the share of what is seen that the part covers; the share of what
is seen where the map is at least half of its maximum; whether the answer was the expression shown
(1 or 0, NaN where the network names no expressions); how many places the map has before it is
interpolated. Shares and spread are NaN for a map that is 0 everywhere.
"""

EXPLAINED = {"saliency": "the answer", "saliency-shown": "the expression shown"}
"""Site -> which output of the network its maps explain."""

SITES: Mapping[str, Site] = {
    **{name: Site(name, labels=UNITS) for name in EXPLAINED},
    **{f"{name}-map": Site(f"{name}-map") for name in EXPLAINED},
}
"""The sites of saliency; those of maps are (map and gray image, height, width)."""


def saliency_units(
    maps: np.ndarray, parts: np.ndarray, seen: np.ndarray, correct: np.ndarray, places: int
) -> np.ndarray:
    """Return the units of a site of saliency, (n, `UNITS`) float32.

    Args:
        maps: (n, H, W), see `part_shares`.
        parts: (n, H, W) labels of `neurofer.faces.PARTS`.
        seen: (n, H, W) bool, the pixels that the subject sees.
        correct: (n,) 1, 0 or NaN.
        places: of a map before it was interpolated.
    """
    shares, areas = part_shares(maps, parts, seen=seen)
    peak = maps.max((1, 2))
    above = (maps >= peak[:, None, None] / 2) & seen
    spread = np.where(peak > 0, above.sum((1, 2)) / seen.sum((1, 2)), np.nan)
    units = [shares, areas, spread, correct, np.full(len(maps), places)]
    return np.column_stack(units).astype(np.float32)


def part_shares(
    maps: np.ndarray,
    parts: np.ndarray,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    seen: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each map, and of each image, that lies on each group of parts.

    Args:
        maps: (n, H, W), finite, at least 0; only proportions within a map count.
        parts: (n, H, W) labels of `neurofer.faces.PARTS`.
        groups: group -> its parts.
        seen: (n, H, W) bool, pixels that count in the areas; some of every image. Default: all.

    Returns:
        shares (n, groups), NaN for a map that is 0 everywhere, and areas (n, groups); where the
        groups hold every part once, both sum to 1.

    Raises:
        NeuroferError: the shapes differ, or maps are negative or not finite.

    >>> shares, areas = part_shares(np.array([[[3.0, 1.0]]]), np.array([[[PARTS["nose"], 0]]]))
    >>> {name: (s, a) for name, s, a in zip(GROUPS, shares[0], areas[0]) if a}
    {'nose': (0.75, 0.5), 'background': (0.25, 0.5)}
    """
    seen = np.ones(parts.shape, bool) if seen is None else seen
    if maps.ndim != 3 or not maps.shape == parts.shape == seen.shape:
        raise NeuroferError(
            f"maps {maps.shape}, part masks {parts.shape} and what is seen {seen.shape} must be "
            "(n, H, W), of the same images at the same size"
        )
    if not np.isfinite(maps).all() or (maps < 0).any():
        raise NeuroferError("maps must be finite and nowhere negative")
    group_of = np.full(
        max(PARTS.values()) + 1, len(groups)
    )  # parts outside all groups count in the sum
    for number, members in enumerate(groups.values()):
        group_of[[PARTS[part] for part in members]] = number
    shares, areas = np.empty((2, len(maps), len(groups)))
    for k, (one, labels, shown) in enumerate(zip(maps, parts, seen, strict=True)):
        of = group_of[labels].ravel()
        weight = np.bincount(of, one.ravel().astype(np.float64), len(groups) + 1)
        total = weight.sum()
        shares[k] = weight[:-1] / total if total > 0 else np.nan
        areas[k] = np.bincount(of[shown.ravel()], minlength=len(groups) + 1)[:-1] / shown.sum()
    return shares, areas
