"""The heavy steps in numpy: the reference, for machines without numba."""

from __future__ import annotations

import numpy as np

from neurofer.faces.elements import unit
from neurofer.faces.lighting import DEPTH_UNITS, axes, shadow
from neurofer.faces.materials import (
    BARE,
    BLUE,
    COVER,
    COVERED,
    EYE,
    GREEN,
    HAIR,
    LIPS,
    OCCLUSION,
    PLAIN,
    RED,
    REST_X,
    REST_Y,
    REST_Z,
    SPECULAR,
    TEETH,
)
from neurofer.faces.raster import (
    EMPTY,
    SUBPIXELS,
    TRIANGLE_BITS,
    TRIANGLE_MASK,
    outline,
    rasterise,
    to_grid,
)
from neurofer.faces.shading import Scene, Shaded, covered, eye, finish, plain, skin, strands
from neurofer.faces.teeth import teeth
from neurofer.faces.wrinkles import wrinkled

__all__ = ["outline", "quad_normals", "rasterise", "shade", "visibility"]

_BLOCK = 16384  # samples shaded at once: their arrays stay in the processor's cache


def quad_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return the unit normals of vertices, (V, 3) float64: the sum of those of their quads."""
    corner = vertices[quads]
    ax, ay, az = (corner[:, 2] - corner[:, 0]).T
    bx, by, bz = (corner[:, 3] - corner[:, 1]).T
    flat = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    place = quads.ravel()
    x, y, z = (np.bincount(place, np.repeat(axis, 4), len(vertices)) for axis in flat)
    inverse = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-20)
    return np.stack([x * inverse, y * inverse, z * inverse], axis=1)


def visibility(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    directions: np.ndarray,
    width: int,
    extent: float,
) -> np.ndarray:
    """Return the share of light from the directions that reaches each vertex, (V,) in [0, 1].

    A direction counts by the cosine to the normal. Occlusion is tested in a depth map of `width`
    texels over `extent` decimetres.

    Args:
        vertices: (V, 3).
        normals: (V, 3).
        triangles: (T, 3) vertices.
        directions: (D, 3).
        width: of the depth map, in texels.
        extent: of the depth map, in decimetres.
    """
    arrived = np.zeros(len(vertices))
    total = np.zeros(len(vertices))
    both = np.ones(len(triangles), bool)
    scale = width / extent
    x, y, z = vertices.T
    for direction in directions:
        dx, dy, dz = (float(value) for value in direction)
        (ux, uy, uz), (vx, vy, vz) = axes((dx, dy, dz))
        column = (x * ux + y * uy + z * uz + extent / 2) * scale
        row = (x * vx + y * vy + z * vz + extent / 2) * scale
        depth = to_grid(20.0 - (x * dx + y * dy + z * dz), DEPTH_UNITS)
        grid_x, grid_y = to_grid(column, SUBPIXELS), to_grid(row, SUBPIXELS)
        buffer = rasterise(grid_x, grid_y, depth, triangles, both, width)
        texel_x = np.minimum(np.maximum(grid_x // SUBPIXELS, 0), width - 1)
        texel_y = np.minimum(np.maximum(grid_y // SUBPIXELS, 0), width - 1)
        nearest = buffer[texel_y * width + texel_x] >> TRIANGLE_BITS
        facing = normals[:, 0] * dx + normals[:, 1] * dy + normals[:, 2] * dz
        facing = np.maximum(facing, 0.0)
        arrived = arrived + facing * (depth < nearest + int(0.05 * DEPTH_UNITS))
        total = total + facing
    return arrived / np.maximum(total, 1e-6)


def shade(scene: Scene) -> Shaded:
    """Shade every sample and average them to pixels."""
    size, samples = scene.size, scene.samples
    width = size * samples
    sums = np.repeat(np.repeat(scene.background, samples, axis=0), samples, axis=1)
    colours = sums.reshape(-1, 3).astype(np.int64)
    labels = np.zeros(width * width, np.uint8)
    hits = np.flatnonzero(scene.buffer != EMPTY)
    shaders = scene.shaders[scene.buffer[hits] & TRIANGLE_MASK]
    for shader in (PLAIN, BARE, COVERED, EYE, HAIR, TEETH):
        chosen = hits[shaders == shader]
        for start in range(0, len(chosen), _BLOCK):
            some = chosen[start : start + _BLOCK]
            colours[some], labels[some] = _shade_block(scene, some, shader)
    total = colours.reshape(size, samples, size, samples, 3).sum(axis=(1, 3))
    image = (total + samples * samples // 2) // (samples * samples)
    middle = slice(samples // 2, None, samples)
    buffer = scene.buffer.reshape(width, width)[middle, middle]
    depth = ((buffer >> TRIANGLE_BITS) / DEPTH_UNITS).astype(np.float32)
    depth[buffer == EMPTY] = np.nan
    parts = labels.reshape(width, width)[middle, middle]
    return Shaded(image.astype(np.uint8), np.ascontiguousarray(parts), depth)


def _shade_block(scene: Scene, hits: np.ndarray, shader: int) -> tuple[np.ndarray, np.ndarray]:
    """Shade some samples that share a shader: (n, 3) display colours, (n,) labels."""
    corners = scene.triangles[scene.buffer[hits] & TRIANGLE_MASK]
    weights = _barycentric(scene, hits, corners)

    def at(values: np.ndarray, column: int) -> np.ndarray:
        a, b, c = (values[corners[:, k], column] * weights[k] for k in range(3))
        return a + b + c

    first = (weights[0] >= weights[1]) & (weights[0] >= weights[2])
    nearest = np.where(first, 0, np.where(weights[1] >= weights[2], 1, 2))
    label = scene.labels[corners[np.arange(len(hits)), nearest]].astype(np.int64)
    normal = unit(*(at(scene.normals, k) for k in range(3)))
    lit = shadow(scene.light, scene.depth_map, normal, *(at(scene.lit, k) for k in range(3)))
    fields = scene.fields
    place = (at(fields, REST_X), at(fields, REST_Y), at(fields, REST_Z))
    colour = (at(fields, RED), at(fields, GREEN), at(fields, BLUE))
    shine, open_ = at(fields, SPECULAR), at(fields, OCCLUSION)
    ink = scene.ink[hits] * scene.outline
    s, table = scene.surface, scene.table
    if shader == PLAIN:
        material = plain(colour, shine, label)
    elif shader == EYE:
        material = eye(s, table, place, label)
    elif shader == TEETH:
        material = teeth(place, colour, shine, at(fields, LIPS), label)
    elif shader == HAIR:
        corners = corners - (len(scene.normals) - len(scene.directions))
        direction = (at(scene.directions, 0), at(scene.directions, 1), at(scene.directions, 2))
        material = strands(s, scene.light, table, place, colour, normal, direction, label)
    else:
        material = skin(s, table, place, colour, shine, at(fields, LIPS), label)
        if scene.creased:
            material = wrinkled(scene.creases, place, material)
        if shader == COVERED:
            material = covered(s, table, place, at(fields, COVER), material)
    red, green, blue, label = finish(scene.light, s.toon, normal, material, open_, lit, ink)
    return np.stack([red, green, blue], axis=1), label.astype(np.uint8)


def _barycentric(scene: Scene, hits: np.ndarray, corners: np.ndarray) -> list[np.ndarray]:
    """Return the weights of a sample's three corners, three (n,) arrays."""
    width = scene.size * scene.samples
    px = (hits % width) * SUBPIXELS + SUBPIXELS // 2
    py = (hits // width) * SUBPIXELS + SUBPIXELS // 2
    x, y = scene.x[corners], scene.y[corners]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    share = 1.0 / area
    return [
        ((x[:, b] - x[:, a]) * (py - y[:, a]) - (y[:, b] - y[:, a]) * (px - x[:, a])) * share
        for a, b in ((1, 2), (2, 0), (0, 1))
    ]
