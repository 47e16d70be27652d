"""What an identity needs once, whatever it expresses: shape, paint and ambient occlusion."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np

from neurofer.faces import heads, materials
from neurofer.faces.actions import CLOSING, displacement
from neurofer.faces.elements import smoothstep
from neurofer.faces.hair import grow
from neurofer.faces.identities import Identity
from neurofer.faces.mesh import LASHES, head_mesh, snap
from neurofer.faces.parts import PARTS
from neurofer.faces.trigonometry import cos_sin

_DIRECTIONS = 24  # that ambient light comes from; 48 look the same (r = .991)
_WIDTH = 144  # texels of the depth map of one direction ...
_EXTENT = 4.4  # ... and the decimetres that it spans
_UPPER_LIDS, _LOWER_LIDS = (1621, 3935), (43, 2466)  # middles of the margins, coarse
_GOLDEN_ANGLE = 137.50776405003785


class Sculpture(NamedTuple):
    """An identity's neutral head, ready to move and to shade."""

    neutral: np.ndarray  # (V', 3) float64 fine vertices, on the grid of positions
    locks: np.ndarray  # (H, 3) float64 vertices of the hair, numbered after those of the mesh
    triangles: np.ndarray  # (T, 3) int32, those of the hair last
    mirrored: np.ndarray  # (T, 3) int32, the same ones as the key light's map turns them
    two_sided: np.ndarray  # (T,) bool
    fields: np.ndarray  # (V' + H, FIELDS) float32
    labels: np.ndarray  # (V' + H,) uint8
    shaders: np.ndarray  # (T,) uint8
    surface: materials.Surface


def sculpt(identity: Identity, backend: ModuleType) -> Sculpture:
    """Shape and paint an identity."""
    mesh = head_mesh()
    neutral = neutral_vertices(identity)
    normals = backend.quad_normals(neutral, mesh.subdivision.quads)
    coarse = len(mesh.rest)
    occlusion = backend.visibility(
        neutral[:coarse], normals[:coarse], mesh.occluders, _sky_directions(), _WIDTH, _EXTENT
    )
    fields = materials.paint_vertices(identity, mesh, mesh.subdivision.apply(occlusion))
    hair = grow(identity, mesh, neutral, fields[:, materials.COVER])
    labels = np.full(len(hair.vertices), PARTS["hair"], np.uint8)
    shaders = np.full(len(hair.triangles), materials.HAIR, np.uint8)
    triangles = np.concatenate([mesh.triangles, hair.triangles + np.int32(len(neutral))])
    return Sculpture(
        neutral=neutral,
        locks=hair.vertices,
        triangles=triangles,
        mirrored=np.ascontiguousarray(triangles[:, ::-1]),
        two_sided=np.concatenate([mesh.triangle_component == LASHES, shaders == materials.HAIR]),
        fields=np.concatenate([fields, materials.paint_hair(identity, hair)]),
        labels=np.concatenate([materials.vertex_labels(identity, mesh), labels]),
        shaders=np.concatenate([materials.triangle_shaders(identity, mesh, fields), shaders]),
        surface=materials.surface(identity, mesh),
    )


def neutral_vertices(identity: Identity) -> np.ndarray:
    """Return the fine vertices of an identity's neutral head, (V', 3) float64, in decimetres."""
    mesh = head_mesh()
    style = dict(identity.style)
    points, anatomy = unwarped(identity)
    warped = heads.warp(identity.head, points, anatomy, style)
    scalp = smoothstep(-0.05, 0.55, materials.above_hairline(mesh.rest))
    fine = mesh.subdivision.apply(heads.inflate_scalp(mesh, warped, scalp, style["hair"]))
    lashes = fine[mesh.lash_tips] - fine[mesh.lash_roots]
    fine[mesh.lash_tips] += (identity.paint.lashes - 1.0) * lashes
    return snap(fine)


def unwarped(identity: Identity) -> tuple[np.ndarray, heads.Anatomy]:
    """Return the coarse vertices (V, 3) before the head's warp, and their anatomy."""
    mesh = head_mesh()
    return heads.centred(mesh, mesh.rest + mesh.combine(dict(identity.targets)))


def local_displacement(
    identity: Identity, action_units: tuple[tuple[int, float], ...]
) -> np.ndarray:
    """Return the movement of the fine vertices (V', 3), scaled by the Jacobian of the warp.

    Big features move as far as they are big, and unit 43 is scaled until the lids meet at 1.
    """
    units = dict(action_units)
    if CLOSING in units:
        units[CLOSING] *= _lid_scale(identity)
    return snap(head_mesh().subdivision.apply(_transported(identity, units)))


def _transported(identity: Identity, action_units: dict[int, float]) -> np.ndarray:
    """Return the movement of the coarse vertices, (V, 3), scaled by the Jacobian of the warp."""
    jacobian = _jacobian(identity)
    x, y, z = displacement(action_units).T[:, :, None]
    return jacobian[:, :, 0] * x + jacobian[:, :, 1] * y + jacobian[:, :, 2] * z


@lru_cache(maxsize=16)
def _lid_scale(identity: Identity) -> float:
    """Return by how much unit 43 must grow for the upper lids to reach the lower ones; 1 or more.

    The asset's own lids pass each other by a fortieth.
    """
    upper, lower = np.array(_UPPER_LIDS), np.array(_LOWER_LIDS)
    height = neutral_vertices(identity)[: len(head_mesh().rest), 1]
    gap = height[upper] - height[lower]
    sinks = _transported(identity, {CLOSING: 1.0})[:, 1]
    return max(1.0, float((1.025 * gap / (sinks[lower] - sinks[upper])).max()))


@lru_cache(maxsize=16)
def _jacobian(identity: Identity) -> np.ndarray:
    return heads.warp_jacobian(identity.head, *unwarped(identity), dict(identity.style))


@lru_cache(maxsize=1)
def _sky_directions() -> np.ndarray:
    """Return directions that cover the sphere evenly, but for straight below, (n, 3)."""
    directions = []
    for number in range(_DIRECTIONS):
        height = 1 - 2 * (number + 0.5) / _DIRECTIONS
        radius = float(np.sqrt(1 - height * height))
        cosine, sine = cos_sin(number * _GOLDEN_ANGLE)
        if height >= -0.75:
            directions.append((radius * cosine, height, radius * sine))
    return np.array(directions)
