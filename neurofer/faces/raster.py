"""Rasterisation in integers, by numpy: the reference that compiled code must equal.

Vertices lie on a grid of 1/64 sample and coverage is decided by integer edge functions with the
top-left rule, so that every sample belongs to exactly one of two neighbouring triangles. A sample
keeps the smallest (depth << 24 | triangle): the order of triangles does not matter.
"""

from __future__ import annotations

import numpy as np

SUBPIXELS = 64
EMPTY = np.int64(1) << 62
TRIANGLE_BITS = 24
TRIANGLE_MASK = (1 << TRIANGLE_BITS) - 1

_BATCH = 400_000  # samples that are tested at once
_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96, 192, 384, 768, 1536, 1 << 20)


def to_grid(values: np.ndarray, units: float) -> np.ndarray:
    """Round to integers in parts of a unit, halves upwards."""
    return np.floor(values * units + 0.5).astype(np.int64)


def rasterise(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    triangles: np.ndarray,
    two_sided: np.ndarray,
    width: int,
) -> np.ndarray:
    """Find the nearest triangle at every sample of a square buffer.

    Args:
        x: (V,) int64 columns in SUBPIXELS of a sample; sample k has its centre at k + 1/2.
        y: (V,) int64 rows, likewise.
        z: (V,) int64 depths; smaller is nearer.
        triangles: (T, 3) vertices; a triangle faces the camera when it turns against the clock
            with y downwards.
        two_sided: (T,) bool, drawn from behind too.
        width: of the buffer in samples.

    Returns:
        (width * width,) int64: depth << 24 | triangle, EMPTY where nothing is.
    """
    buffer = np.full(width * width, EMPTY)
    tx, ty, tz = x[triangles], y[triangles], z[triangles]
    area = (tx[:, 1] - tx[:, 0]) * (ty[:, 2] - ty[:, 0]) - (tx[:, 2] - tx[:, 0]) * (
        ty[:, 1] - ty[:, 0]
    )
    half = SUBPIXELS // 2
    left = np.maximum(-((half - tx.min(axis=1)) // SUBPIXELS), 0)
    right = np.minimum((tx.max(axis=1) - half) // SUBPIXELS, width - 1)
    top = np.maximum(-((half - ty.min(axis=1)) // SUBPIXELS), 0)
    bottom = np.minimum((ty.max(axis=1) - half) // SUBPIXELS, width - 1)
    shown = (area < 0) | ((area > 0) & two_sided)
    shown &= (right >= left) & (bottom >= top)
    extent = np.maximum(right - left, bottom - top) + 1
    smaller = 0
    for side in _WIDTHS:
        chosen = np.flatnonzero(shown & (extent > smaller) & (extent <= side))
        smaller = side
        if not len(chosen):
            continue
        side = int(extent[chosen].max())
        batch = max(1, _BATCH // (side * side))
        for start in range(0, len(chosen), batch):
            some = chosen[start : start + batch]
            box = (left[some], right[some], top[some], bottom[some])
            _draw(buffer, some, tx[some], ty[some], tz[some], area[some], box, side, width)
    return buffer


def _draw(
    buffer: np.ndarray,
    numbers: np.ndarray,
    tx: np.ndarray,
    ty: np.ndarray,
    tz: np.ndarray,
    area: np.ndarray,
    box: tuple[np.ndarray, ...],
    side: int,
    width: int,
) -> None:
    """Test side x side samples from the corner of each triangle's box, and keep the nearest."""
    left, right, top, bottom = box
    columns = left[:, None] + np.tile(np.arange(side), side)
    rows = top[:, None] + np.repeat(np.arange(side), side)
    px = columns * SUBPIXELS + SUBPIXELS // 2
    py = rows * SUBPIXELS + SUBPIXELS // 2
    sign = np.where(area > 0, 1, -1)[:, None]
    inside = (columns <= right[:, None]) & (rows <= bottom[:, None])
    edges = []
    for a, b in ((1, 2), (2, 0), (0, 1)):
        dx = (tx[:, b] - tx[:, a])[:, None] * sign
        dy = (ty[:, b] - ty[:, a])[:, None] * sign
        edge = dx * (py - ty[:, a, None]) - dy * (px - tx[:, a, None])
        top_left = (dy < 0) | ((dy == 0) & (dx > 0))
        inside &= (edge > 0) | ((edge == 0) & top_left)
        edges.append(edge)
    triangle, sample = np.nonzero(inside)
    depth = sum(edges[k][triangle, sample] * tz[triangle, k] for k in range(3))
    depth //= np.abs(area)[triangle]
    place = rows[triangle, sample] * width + columns[triangle, sample]
    np.minimum.at(buffer, place, (depth << TRIANGLE_BITS) | numbers[triangle])


def outline(buffer: np.ndarray, width: int) -> np.ndarray:
    """Mark samples that border on something 0.28 farther away, and their neighbours (W * W,) uint8.

    Only samples that show the head are marked.
    """
    step = (28 * 65536 // 100) << TRIANGLE_BITS
    depth = buffer.reshape(width, width)
    near = np.zeros((width, width), bool)
    near[1:] |= depth[:-1] - depth[1:] > step
    near[:-1] |= depth[1:] - depth[:-1] > step
    near[:, 1:] |= depth[:, :-1] - depth[:, 1:] > step
    near[:, :-1] |= depth[:, 1:] - depth[:, :-1] > step
    wide = near.copy()
    wide[1:] |= near[:-1]
    wide[:-1] |= near[1:]
    wide[:, 1:] |= near[:, :-1]
    wide[:, :-1] |= near[:, 1:]
    return (wide & (depth != EMPTY)).ravel().astype(np.uint8)
