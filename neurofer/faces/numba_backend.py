"""The heavy steps compiled by numba: the same arithmetic as `numpy_backend`, several times faster.

Import this module only where numba is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

from neurofer.faces.elements import ELEMENTS, unit
from neurofer.faces.lighting import DEPTH_UNITS, axes, shadow
from neurofer.faces.materials import (
    COVER,
    COVERED,
    EYE,
    HAIR,
    LIPS,
    OCCLUSION,
    PLAIN,
    RED,
    REST_X,
    SPECULAR,
    TEETH,
)
from neurofer.faces.raster import EMPTY, SUBPIXELS, TRIANGLE_BITS, TRIANGLE_MASK, outline, to_grid
from neurofer.faces.shading import Scene, Shaded, covered, eye, finish, plain, skin, strands
from neurofer.faces.teeth import teeth
from neurofer.faces.version import RENDERER_VERSION
from neurofer.faces.wrinkles import wrinkled

__all__ = ["outline", "quad_normals", "rasterise", "shade", "visibility"]

for _function in ELEMENTS:
    register_jitable(_function)

_HALF = SUBPIXELS // 2
_EMPTY = int(EMPTY)


def _compiled(build: Callable[[str], Callable[..., Any]]) -> Callable[..., Any]:
    """Compile a kernel and keep it on disk.

    numba's cache notices a change of the kernel's own file only. Every kernel refers to the
    version of all sources, which thereby becomes a part of the key of its cache.
    """
    return njit(cache=True, error_model="numpy", nogil=True)(build(RENDERER_VERSION))


def _rasterise_kernel(version: str) -> Callable[..., Any]:
    def kernel(x, y, z, triangles, two_sided, width, buffer):  # type: ignore[no-untyped-def]
        _ = version
        for t in range(triangles.shape[0]):
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            ax, bx, cx = x[a], x[b], x[c]
            ay, by, cy = y[a], y[b], y[c]
            area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            if area == 0 or (area > 0 and not two_sided[t]):
                continue
            left = max(0, -((_HALF - min(ax, bx, cx)) // SUBPIXELS))
            right = min(width - 1, (max(ax, bx, cx) - _HALF) // SUBPIXELS)
            top = max(0, -((_HALF - min(ay, by, cy)) // SUBPIXELS))
            bottom = min(width - 1, (max(ay, by, cy) - _HALF) // SUBPIXELS)
            if left > right or top > bottom:
                continue
            sign = -1 if area < 0 else 1
            area *= sign
            dx0, dy0 = (cx - bx) * sign, (cy - by) * sign
            dx1, dy1 = (ax - cx) * sign, (ay - cy) * sign
            dx2, dy2 = (bx - ax) * sign, (by - ay) * sign
            # An edge that is not top or left owns only samples strictly inside: shift it by one.
            skip0 = 0 if dy0 < 0 or (dy0 == 0 and dx0 > 0) else 1
            skip1 = 0 if dy1 < 0 or (dy1 == 0 and dx1 > 0) else 1
            skip2 = 0 if dy2 < 0 or (dy2 == 0 and dx2 > 0) else 1
            px, py = left * SUBPIXELS + _HALF, top * SUBPIXELS + _HALF
            row0 = dx0 * (py - by) - dy0 * (px - bx)
            row1 = dx1 * (py - cy) - dy1 * (px - cx)
            row2 = dx2 * (py - ay) - dy2 * (px - ax)
            az, bz, cz = z[a], z[b], z[c]
            for row in range(top, bottom + 1):
                e0, e1, e2 = row0, row1, row2
                entered = False
                for place in range(row * width + left, row * width + right + 1):
                    if ((e0 - skip0) | (e1 - skip1) | (e2 - skip2)) >= 0:
                        entered = True
                        depth = np.int64(np.uint64(e0 * az + e1 * bz + e2 * cz) // np.uint64(area))
                        key = (depth << TRIANGLE_BITS) | t
                        if key < buffer[place]:
                            buffer[place] = key
                    elif entered:
                        break  # a triangle is convex
                    e0 -= dy0 * SUBPIXELS
                    e1 -= dy1 * SUBPIXELS
                    e2 -= dy2 * SUBPIXELS
                row0 += dx0 * SUBPIXELS
                row1 += dx1 * SUBPIXELS
                row2 += dx2 * SUBPIXELS

    return kernel


_rasterise = _compiled(_rasterise_kernel)


def rasterise(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    triangles: np.ndarray,
    two_sided: np.ndarray,
    width: int,
) -> np.ndarray:
    """Find the nearest triangle at every sample: see `raster.rasterise`.

    Args:
        x: as for `raster.rasterise`, here and below.
        y: of the vertices.
        z: depth of the vertices.
        triangles: (T, 3) vertices.
        two_sided: (T,) whether the back is drawn.
        width: of the image, in samples.
    """
    buffer = np.full(width * width, EMPTY)
    _rasterise(x, y, z, triangles, two_sided, width, buffer)
    return buffer


def _normals_kernel(version: str) -> Callable[..., Any]:
    def kernel(vertices, quads, normals):  # type: ignore[no-untyped-def]
        _ = version
        for q in range(quads.shape[0]):
            i, j, k, m = quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3]
            ax = vertices[k, 0] - vertices[i, 0]
            ay = vertices[k, 1] - vertices[i, 1]
            az = vertices[k, 2] - vertices[i, 2]
            bx = vertices[m, 0] - vertices[j, 0]
            by = vertices[m, 1] - vertices[j, 1]
            bz = vertices[m, 2] - vertices[j, 2]
            nx = ay * bz - az * by
            ny = az * bx - ax * bz
            nz = ax * by - ay * bx
            for corner in range(4):
                vertex = quads[q, corner]
                normals[vertex, 0] += nx
                normals[vertex, 1] += ny
                normals[vertex, 2] += nz
        for vertex in range(normals.shape[0]):
            x, y, z = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
            inverse = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-20)
            normals[vertex, 0] = x * inverse
            normals[vertex, 1] = y * inverse
            normals[vertex, 2] = z * inverse

    return kernel


_normals = _compiled(_normals_kernel)


def quad_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return the unit normals of vertices: see `numpy_backend.quad_normals`."""
    normals = np.zeros_like(vertices)
    _normals(vertices, quads, normals)
    return normals


def _arrival_kernel(version: str) -> Callable[..., Any]:
    def kernel(x, y, depth, facing, buffer, width, arrived, total):  # type: ignore[no-untyped-def]
        _ = version
        margin = int(0.05 * DEPTH_UNITS)
        for v in range(x.shape[0]):
            column = min(max(x[v] // SUBPIXELS, 0), width - 1)
            row = min(max(y[v] // SUBPIXELS, 0), width - 1)
            nearest = buffer[row * width + column] >> TRIANGLE_BITS
            share = max(facing[v], 0.0)
            if depth[v] < nearest + margin:
                arrived[v] += share
            total[v] += share

    return kernel


_arrival = _compiled(_arrival_kernel)


def visibility(
    vertices: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    directions: np.ndarray,
    width: int,
    extent: float,
) -> np.ndarray:
    """Return the share of light that reaches each vertex: see `numpy_backend.visibility`.

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
        column = to_grid((x * ux + y * uy + z * uz + extent / 2) * scale, SUBPIXELS)
        row = to_grid((x * vx + y * vy + z * vz + extent / 2) * scale, SUBPIXELS)
        depth = to_grid(20.0 - (x * dx + y * dy + z * dz), DEPTH_UNITS)
        buffer = rasterise(column, row, depth, triangles, both, width)
        facing = normals[:, 0] * dx + normals[:, 1] * dy + normals[:, 2] * dz
        _arrival(column, row, depth, facing, buffer, width, arrived, total)
    return arrived / np.maximum(total, 1e-6)


def _shade_kernel(version: str) -> Callable[..., Any]:
    def kernel(scene, image, parts, depth):  # type: ignore[no-untyped-def]
        _ = version
        size, samples = scene.size, scene.samples
        width, count = size * samples, samples * samples
        # Arrays are taken out of the tuple once: each access would count references atomically.
        buffer, ink, background = scene.buffer, scene.ink, scene.background
        x, y, triangles, shaders = scene.x, scene.y, scene.triangles, scene.shaders
        fields, labels, normals = scene.fields, scene.labels, scene.normals
        lit, depth_map, table = scene.lit, scene.depth_map, scene.table
        directions, creases, creased = scene.directions, scene.creases, scene.creased
        s, light, outline = scene.surface, scene.light, scene.outline
        head = len(normals) - len(directions)
        for row in range(size):
            for column in range(size):
                total_r = total_g = total_b = np.int64(0)
                for sub in range(count):
                    sy, sx = row * samples + sub // samples, column * samples + sub % samples
                    key = buffer[sy * width + sx]
                    if key == _EMPTY:
                        red, green, blue = _pixel(background, row, column)
                        label, far = np.int64(0), np.nan
                    else:
                        t = key & TRIANGLE_MASK
                        corners = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                        weights = _weights(x, y, corners, sx, sy)
                        label = np.int64(labels[_nearest(corners, weights)])
                        normal = unit(*_vector(normals, 0, corners, weights))
                        ray = _vector(lit, 0, corners, weights)
                        bright = shadow(light, depth_map, normal, *ray)
                        place = _vector(fields, REST_X, corners, weights)
                        colour = _vector(fields, RED, corners, weights)
                        shine = _at(fields, SPECULAR, corners, weights)
                        if shaders[t] == HAIR:
                            locks = corners[0] - head, corners[1] - head, corners[2] - head
                            direction = _vector(directions, 0, locks, weights)
                            material = strands(
                                s, light, table, place, colour, normal, direction, label
                            )
                        else:
                            lips = _at(fields, LIPS, corners, weights)
                            cover = _at(fields, COVER, corners, weights)
                            painted = colour, shine, lips, cover
                            material = _material(
                                s, table, creases, creased, shaders[t], place, painted, label
                            )
                        opening = _at(fields, OCCLUSION, corners, weights)
                        line = ink[sy * width + sx] * outline
                        red, green, blue, label = finish(
                            light, s.toon, normal, material, opening, bright, line
                        )
                        far = (key >> TRIANGLE_BITS) / DEPTH_UNITS
                    total_r, total_g, total_b = total_r + red, total_g + green, total_b + blue
                    if sub // samples == samples // 2 and sub % samples == samples // 2:
                        parts[row, column], depth[row, column] = label, far
                image[row, column, 0] = (total_r + count // 2) // count
                image[row, column, 1] = (total_g + count // 2) // count
                image[row, column, 2] = (total_b + count // 2) // count

    return kernel


@register_jitable
def _pixel(image, row, column):  # type: ignore[no-untyped-def]
    """Return red, green and blue of a pixel as they are summed."""
    return (
        np.int64(image[row, column, 0]),
        np.int64(image[row, column, 1]),
        np.int64(image[row, column, 2]),
    )


# Inlined by force: a call hands over each of the some fifty numbers of a surface.
@register_jitable(forceinline=True)
def _material(s, table, creases, creased, shader, place, painted, label):  # type: ignore[no-untyped-def]
    """Return what a sample is made of that is not hair, as the shader of its triangle says."""
    colour, shine, lips, cover = painted
    if shader == PLAIN:
        return plain(colour, shine, label)
    if shader == EYE:
        return eye(s, table, place, label)
    if shader == TEETH:
        return teeth(place, colour, shine, lips, label)
    material = skin(s, table, place, colour, shine, lips, label)
    if creased:
        material = wrinkled(creases, place, material)
    if shader == COVERED:
        material = covered(s, table, place, cover, material)
    return material


@register_jitable
def _at(fields, column, corners, weights):  # type: ignore[no-untyped-def]
    """Interpolate one field between the corners of a triangle."""
    (a, b, c), (u, v, w) = corners, weights
    return fields[a, column] * u + fields[b, column] * v + fields[c, column] * w


@register_jitable
def _vector(fields, first, corners, weights):  # type: ignore[no-untyped-def]
    """Interpolate a field and the two after it between the corners of a triangle."""
    return (
        _at(fields, first, corners, weights),
        _at(fields, first + 1, corners, weights),
        _at(fields, first + 2, corners, weights),
    )


@register_jitable
def _weights(x, y, corners, column, row):  # type: ignore[no-untyped-def]
    """Return the weights of a triangle's corners at a sample."""
    a, b, c = corners
    px, py = column * SUBPIXELS + _HALF, row * SUBPIXELS + _HALF
    ax, bx, cx = x[a], x[b], x[c]
    ay, by, cy = y[a], y[b], y[c]
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    share = 1.0 / area
    return (
        ((cx - bx) * (py - by) - (cy - by) * (px - bx)) * share,
        ((ax - cx) * (py - cy) - (ay - cy) * (px - cx)) * share,
        ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) * share,
    )


@register_jitable
def _nearest(corners, weights):  # type: ignore[no-untyped-def]
    """Return the corner with the greatest weight."""
    (a, b, c), (u, v, w) = corners, weights
    if u >= v and u >= w:
        return a
    return b if v >= w else c


_shade = _compiled(_shade_kernel)


def shade(scene: Scene) -> Shaded:
    """Shade every sample and average them to pixels: see `numpy_backend.shade`."""
    image = np.empty((scene.size, scene.size, 3), np.uint8)
    parts = np.empty((scene.size, scene.size), np.uint8)
    depth = np.empty((scene.size, scene.size), np.float32)
    _shade(scene, image, parts, depth)
    return Shaded(image, parts, depth)
