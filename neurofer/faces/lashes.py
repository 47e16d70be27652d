"""Upper lashes: single hairs cut out of the asset's two ribbons of lashes.

The ribbons' inner rows stay as the dark rim of the lid; from there to the outer row the lashes are
spikes. The vertices were chosen by hand once and frozen: columns from the nose outwards, rows from
the lid to the tips. The lower lashes look like stubble, so they are left out.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

_ROWS = (
    (5107, 5110, 5106, 5105, 5104, 5087, 5086, 5088, 5089, 5090, 5091, 5092, 5093),
    (5116, 5113, 5117, 5118, 5119, 5138, 5139, 5135, 5134, 5133, 5132, 5131, 5130),
    (5094, 5129, 5115, 5108, 5140, 5147, 5148, 5146, 5145, 5144, 5143, 5142, 5141),
    (5149, 5152, 5151, 5150, 5153, 5160, 5161, 5159, 5158, 5157, 5156, 5155, 5154),
)
"""Of the eye right in the image: lid, rim, roots and tips."""


def lash_rows(rest: np.ndarray) -> np.ndarray:
    """Return the coarse vertices of both eyes' lashes, (2, 4, 13) int64; those mirrored first."""
    right = np.array(_ROWS)
    x, y, z = rest.T
    across = x[:, None] + x[right.ravel()][None]
    up = y[:, None] - y[right.ravel()][None]
    deep = z[:, None] - z[right.ravel()][None]
    left = np.argmin(across * across + up * up + deep * deep, axis=0).reshape(right.shape)
    return np.stack([left, right])


def lash_triangles(
    rows: np.ndarray, quads: np.ndarray, fine_quads: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the lashes.

    Args:
        rows: from `lash_rows`.
        quads: (F, 4) coarse quads.
        fine_quads: (4 F, 4) quads of the subdivision.

    Returns:
        (T, 3) int32 fine triangles; (n,) roots and (n,) tips, fine vertices in pairs.
    """
    corner, edge = quads.ravel().tolist(), fine_quads[:, 1].tolist()
    following = np.roll(quads, -1, axis=1).ravel().tolist()
    between = dict(zip(zip(corner, following, strict=True), edge, strict=True))
    between.update({(b, a): middle for (a, b), middle in between.items()})

    def refined(row: list[int]) -> list[int]:
        points = [row[0]]
        for a, b in pairwise(row):
            points += [between[a, b], b]
        return points

    triangles, roots, tips = [], [], []
    for lid, rim, root, tip in rows.tolist():
        lines = [refined(line) for line in (lid, rim, root)]
        ends = refined(tip)
        for inner, outer in pairwise(lines):
            for k in range(len(inner) - 1):
                triangles.append((inner[k], inner[k + 1], outer[k + 1]))
                triangles.append((inner[k], outer[k + 1], outer[k]))
        for k in range(len(ends) - 1):
            triangles.append((lines[2][k], lines[2][k + 1], ends[k + 1]))
        roots += lines[2]
        tips += ends
    return np.array(triangles, np.int32), np.array(roots), np.array(tips)
