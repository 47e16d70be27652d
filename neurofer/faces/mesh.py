"""The head mesh: the shipped asset, one Catmull-Clark step, and targets that move its vertices.

The mesh is MakeHuman's CC0 head (see `asset/LICENSE`): x to the right in the image, y up, z towards
the camera, in decimetres. "Coarse" vertices are the asset's, "fine" ones those after subdivision;
the first coarse-many fine vertices are the moved coarse ones.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurofer.faces.lashes import lash_rows, lash_triangles

ASSET = Path(__file__).parent / "asset" / "head.npz"

# Components of the mesh, in the asset's numbering. "Left" is left in the image.
SKIN, RIGHT_EYE, LEFT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE, LASHES = range(7)

GRID = float(1 << 26)
"""Positions are multiples of 1/GRID, so that neutral + displacement - neutral is exact."""


def snap(values: np.ndarray) -> np.ndarray:
    """Round to the grid of positions."""
    return np.floor(values * GRID + 0.5) / GRID


class Subdivision(NamedTuple):
    """One Catmull-Clark step as a sparse matrix, and the faces that it makes."""

    rows: np.ndarray  # (entries,) int64, sorted
    columns: np.ndarray  # (entries,) int64
    weights: np.ndarray  # (entries,) float64
    vertices: int  # fine ones
    quads: np.ndarray  # (4 * coarse quads, 4) int64; those of coarse quad i are 4i ... 4i + 3

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Subdivide values at coarse vertices, (V,) or (V, k) -> (V', ...) float64.

        `bincount` adds in the order of its input, so the sums are the same on every platform.
        """
        if values.ndim == 1:
            return np.bincount(self.rows, self.weights * values[self.columns], self.vertices)
        return np.stack([self.apply(column) for column in values.T], axis=1)


class HeadMesh:
    """The asset, read once: use `head_mesh()`.

    Attributes:
        rest: (V, 3) float64, coarse vertices of the base head.
        quads: (F, 4) int64, and quad_component (F,) uint8, the component of each.
        component: (V,) uint8, the component of every coarse vertex.
        masks: name -> (V,) float64 in [0, 1]: lips, eyelids, ears, face, inside_mouth.
        subdivision: the step to fine vertices; fine_rest (V', 3) is the base head after it.
        triangles: (T, 3) int32 fine triangles; triangle_component (T,) uint8.
        lash_roots, lash_tips: (n,) int64 fine vertices, in pairs.
        occluders: (T', 3) int32 triangles between coarse vertices, without lashes.
    """

    def __init__(self, path: Path = ASSET) -> None:
        with np.load(path, allow_pickle=False) as asset:
            self.rest: np.ndarray = asset["V"] / 1e4
            self.quads: np.ndarray = asset["F"].astype(np.int64)
            self.quad_component: np.ndarray = asset["part"]
            self.names: tuple[str, ...] = tuple(str(name) for name in asset["names"])
            self._starts = asset["ptr"]
            self._moved = asset["idx"].astype(np.int64)
            self._moves = asset["dlt"] / 1e3
            self.masks: dict[str, np.ndarray] = {
                key[2:]: asset[key] / 255.0 for key in asset.files if key.startswith("m_")
            }
        self._number = {name: number for number, name in enumerate(self.names)}
        self.component = np.zeros(len(self.rest), np.uint8)
        for component in range(LASHES + 1):
            self.component[self.quads[self.quad_component == component].ravel()] = component
        self.subdivision = catmull_clark(len(self.rest), self.quads)
        self.fine_rest = self.subdivision.apply(self.rest)
        self.fine_masks = {name: self.subdivision.apply(m) for name, m in self.masks.items()}
        self.triangles, self.triangle_component = self._fine_triangles()
        solid = self.quads[self.quad_component != LASHES]
        self.occluders = _split(solid).astype(np.int32)

    def _fine_triangles(self) -> tuple[np.ndarray, np.ndarray]:
        """Split the fine quads, and cut the lashes."""
        kept = np.repeat(self.quad_component != LASHES, 4)
        component = np.repeat(self.quad_component, 4)[kept]
        triangles = _split(self.subdivision.quads[kept]).astype(np.int32)
        cut, self.lash_roots, self.lash_tips = lash_triangles(
            lash_rows(self.rest), self.quads, self.subdivision.quads
        )
        lashes = np.full(len(cut), LASHES, np.uint8)
        return (
            np.concatenate([triangles, cut]),
            np.concatenate([component, component, lashes]),
        )

    def has_target(self, name: str) -> bool:
        """Say whether the asset holds a target."""
        return name in self._number

    def combine(self, weights: dict[str, float]) -> np.ndarray:
        """Add up targets, name -> weight, to a displacement of the coarse vertices (V, 3)."""
        total = np.zeros_like(self.rest)
        for name in sorted(weights):
            number = self._number[name]
            rows = slice(self._starts[number], self._starts[number + 1])
            total[self._moved[rows]] += weights[name] * self._moves[rows]
        return total


@lru_cache(maxsize=1)
def head_mesh() -> HeadMesh:
    """Return the one head mesh of this process."""
    return HeadMesh()


@lru_cache(maxsize=1)
def fine_component(mesh: HeadMesh) -> np.ndarray:
    """Return the component of every fine vertex (V',) uint8."""
    component = np.zeros(mesh.subdivision.vertices, np.uint8)
    for number in range(LASHES + 1):
        component[mesh.triangles[mesh.triangle_component == number].ravel()] = number
    return component


def _split(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def catmull_clark(count: int, quads: np.ndarray) -> Subdivision:
    """Build one Catmull-Clark step of a quad mesh with boundaries.

    Fine vertices: the `count` moved old ones, one an edge, one a face. Catmull and Clark (1978),
    "Recursively generated B-spline surfaces on arbitrary topological meshes"; at boundaries the
    cubic B-spline curve.
    """
    faces = len(quads)
    sides = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    ordered = np.sort(sides, axis=1)
    keys, side_edge, uses = np.unique(
        ordered[:, 0] * count + ordered[:, 1], return_inverse=True, return_counts=True
    )
    side_edge = side_edge.reshape(-1)
    ends = np.stack([keys // count, keys % count], axis=1)
    entries = [
        *_face_points(count + len(keys), quads),
        *_edge_points(count, quads, side_edge, ends, uses),
        *_vertex_points(count, quads, ends, uses),
    ]
    rows, columns, weights = (np.concatenate(part) for part in zip(*entries, strict=True))
    places, entry = np.unique(rows * count + columns, return_inverse=True)
    edge_of = count + side_edge.reshape(faces, 4)
    centre = np.repeat(count + len(keys) + np.arange(faces), 4)
    fine = [quads.ravel(), edge_of.ravel(), centre, np.roll(edge_of, 1, axis=1).ravel()]
    return Subdivision(
        rows=places // count,
        columns=places % count,
        weights=np.bincount(entry.reshape(-1), weights),
        vertices=count + len(keys) + faces,
        quads=np.stack(fine, axis=1),
    )


Entries = tuple[np.ndarray, np.ndarray, np.ndarray]


def _entries(rows: np.ndarray, columns: np.ndarray, weight: float | np.ndarray) -> Entries:
    return rows, columns, np.broadcast_to(np.asarray(weight, float), rows.shape)


def _face_points(first: int, quads: np.ndarray) -> list[Entries]:
    """Each face point is the mean of its corners."""
    return [_entries(np.repeat(first + np.arange(len(quads)), 4), quads.ravel(), 0.25)]


def _edge_points(
    first: int, quads: np.ndarray, side_edge: np.ndarray, ends: np.ndarray, uses: np.ndarray
) -> list[Entries]:
    """Each edge point is the mean of its ends and of the two face points; at a border, of ends."""
    edges = first + np.arange(len(ends))
    border = uses != 2
    entries = []
    for end in (0, 1):
        entries.append(_entries(edges[border], ends[border, end], 0.5))
        entries.append(_entries(edges[~border], ends[~border, end], 0.25))
    inner = ~border[side_edge]
    corners = quads[np.repeat(np.arange(len(quads)), 4)[inner]]
    entries.append(_entries(np.repeat(first + side_edge[inner], 4), corners.ravel(), 1 / 16))
    return entries


def _vertex_points(
    count: int, quads: np.ndarray, ends: np.ndarray, uses: np.ndarray
) -> list[Entries]:
    """Move each old vertex: (F + 2R + (n - 3)P) / n inside, cubic B-spline at a border."""
    border_ends = ends[uses != 2]
    on_border = np.zeros(count, bool)
    on_border[border_ends.ravel()] = True
    valence = np.bincount(ends.ravel(), minlength=count).astype(float)
    vertices = np.arange(count)
    border, inner = vertices[on_border], vertices[~on_border & (valence > 0)]
    entries = [
        _entries(border, border, 0.75),
        _entries(border_ends[:, 0], border_ends[:, 1], 0.125),
        _entries(border_ends[:, 1], border_ends[:, 0], 0.125),
        _entries(inner, inner, (valence[inner] - 3) / valence[inner]),
    ]
    for here, there in ((0, 1), (1, 0)):
        row = ends[~on_border[ends[:, here]]]
        weight = 1 / (valence[row[:, here]] * valence[row[:, here]])
        entries.append(_entries(row[:, here], row[:, here], weight))
        entries.append(_entries(row[:, here], row[:, there], weight))
    corner = quads.ravel()
    kept = ~on_border[corner]
    row = corner[kept]
    weight = 0.25 / (valence[row] * valence[row])
    around = quads[np.repeat(np.arange(len(quads)), 4)[kept]]
    entries.append(_entries(np.repeat(row, 4), around.ravel(), np.repeat(weight, 4)))
    return entries
