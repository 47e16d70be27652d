"""Mends of the relief that shading sees: the mesh's own places stay as they are.

The shape targets of the two sides meet in the middle of the forehead, where some identities get a
ridge one vertex wide, and so do frowns. It shows as a seam between a lit and a dark half.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import bump, mix, smoothstep, square, unit
from neurofer.faces.mesh import SKIN, HeadMesh, fine_component

_NEIGHBOURS = 36
_ACROSS, _UP = 0.32, 0.06  # reach of the mean, in decimetres


class Smoother(NamedTuple):
    """A weighted mean of normals around some vertices."""

    zone: np.ndarray  # (n,) int64 fine vertices
    neighbours: np.ndarray  # (_NEIGHBOURS, n) int64
    weights: np.ndarray  # (_NEIGHBOURS, n, 1) float64, sums 1
    amount: np.ndarray  # (n, 1) float64 of the mean in the result

    def smooth(self, normals: np.ndarray) -> np.ndarray:
        """Return the smoothed normals of the zone, (n, 3)."""
        total = (self.weights * normals[self.neighbours]).sum(axis=0)
        return np.stack(unit(*mix(normals[self.zone], total, self.amount).T), axis=1)


@lru_cache(maxsize=1)
def brow_smoother(mesh: HeadMesh) -> Smoother:
    """Return the smoother of the middle of the forehead."""
    x, y, z = mesh.fine_rest.T
    forehead = (fine_component(mesh) == SKIN) & (z > 1.0) & (y > 7.30) & (y < 8.25)
    wide = np.flatnonzero(forehead & (np.abs(x) < 0.65))
    zone = np.flatnonzero(forehead & (np.abs(x) < 0.32) & (y > 7.40) & (y < 8.15))
    across = (x[wide][:, None] - x[zone][None]) / _ACROSS
    up = (y[wide][:, None] - y[zone][None]) / _UP
    weights = bump(square(across) + square(up))
    nearest = np.argsort(-weights, axis=0, kind="stable")[:_NEIGHBOURS]
    kept = np.take_along_axis(weights, nearest, axis=0)
    kept = kept / np.cumsum(kept, axis=0)[-1]
    amount = smoothstep(0.32, 0.18, np.abs(x[zone])) * smoothstep(7.40, 7.56, y[zone])
    amount = amount * smoothstep(8.15, 8.05, y[zone])
    return Smoother(zone, wide[nearest], kept[:, :, None], amount[:, None])
