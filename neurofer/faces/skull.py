"""The skull that hair lies on: how far a head reaches in every direction from its middle.

Angles only name places in a table, so a rational stand-in for the arctangent does.
"""

from __future__ import annotations

import numpy as np

from neurofer.faces.elements import mix, smoothstep, unit
from neurofer.faces.mesh import SKIN, HeadMesh

CENTRE = np.array([0.0, 0.15, -0.80])
"""The middle of the skull, in decimetres from the point between the eyes."""


class Skull:
    """How far the head reaches from its middle: a smooth table over directions and heights."""

    TURNS, ROWS, DEEPEST = 64, 40, 2.5

    def __init__(self, mesh: HeadMesh, neutral: np.ndarray) -> None:
        skin = mesh.triangles[mesh.triangle_component == SKIN].ravel()
        outer = np.zeros(len(neutral), bool)
        outer[skin] = True
        outer &= (mesh.fine_masks["ears"] < 0.3) & (mesh.fine_masks["inside_mouth"] < 0.5)
        turn, row, radius = self._places(neutral[outer])
        table = np.zeros((self.TURNS, self.ROWS))
        np.maximum.at(table, (turn.astype(int) % self.TURNS, row.astype(int)), radius)
        table[:, 0] = table[:, 0].max()
        for _ in range(12):
            known = (table > 0) * 1.0
            count, total = _around(known), _around(table)
            table = np.where(table > 0, table, total / np.maximum(count, 1.0))
        for _ in range(2):
            table = 0.5 * table + 0.125 * _around(table)
        self._table = table

    def _places(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return turn [0, TURNS), row [0, ROWS) and distance of points (N, 3)."""
        x, y, z = (points - CENTRE).T
        flat = np.sqrt(x * x + z * z)
        up = np.maximum(y, 0.0)
        radius = np.sqrt(flat * flat + up * up)
        side = _quarter(np.abs(x), np.abs(z))
        side = np.where(z < 0, 2.0 - side, side)
        turn = np.where(x < 0, 4.0 - side, side) * (self.TURNS / 4)
        down = _quarter(flat, up) + np.maximum(-y, 0.0)
        row = np.minimum(down * (self.ROWS / self.DEEPEST), self.ROWS - 1.001)
        return np.minimum(turn, self.TURNS - 1e-6), row, radius

    def reach(self, points: np.ndarray) -> np.ndarray:
        """Return how far the head reaches in the direction of points (N, 3), and no shoulders."""
        turn, row, _ = self._places(points)
        turn, row = turn - 0.5, np.maximum(row - 0.5, 0.0)
        i, j = np.floor(turn).astype(int), np.floor(row).astype(int)
        t, u = turn - i, row - j
        after = np.minimum(j + 1, self.ROWS - 1)
        table, turns = self._table, self.TURNS
        near = mix(table[i % turns, j], table[(i + 1) % turns, j], t)
        far = mix(table[i % turns, after], table[(i + 1) % turns, after], t)
        shoulders = smoothstep(-0.75, -1.0, points[:, 1])
        return mix(mix(near, far, u), np.minimum(mix(near, far, u), 0.75), shoulders)


def _around(table: np.ndarray) -> np.ndarray:
    """Add the four neighbours in a table that closes along its first axis."""
    up = np.concatenate([table[:, 1:], table[:, -1:]], axis=1)
    down = np.concatenate([table[:, :1], table[:, :-1]], axis=1)
    return np.roll(table, 1, axis=0) + np.roll(table, -1, axis=0) + up + down


def _quarter(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Stand in for atan2(a, b) over a right angle, for a and b not negative, from 0 to 1."""
    ratio = np.minimum(a, b) / np.maximum(np.maximum(a, b), 1e-9)
    angle = ratio * (0.5 + 0.174 * (1.0 - ratio))
    return np.where(a > b, 1.0 - angle, angle)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner products of vectors (..., 3), (..., 1)."""
    return (a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])[..., None]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross products of vectors (..., 3)."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def directed(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., 3) to length 1."""
    return np.stack(unit(vectors[..., 0], vectors[..., 1], vectors[..., 2]), axis=-1)
