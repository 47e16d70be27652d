from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import numpy_backend
from neurofer.faces.raster import EMPTY, SUBPIXELS, TRIANGLE_BITS, TRIANGLE_MASK

from .conftest import BACKENDS


def backend(name: str):
    if name == "numpy":
        return numpy_backend
    from neurofer.faces import numba_backend

    return numba_backend


def scene(seed: int, count: int = 60, width: int = 32) -> tuple[np.ndarray, ...]:
    """Random triangles, some larger than the frame and partly outside."""
    rng = np.random.default_rng(seed)
    span = width * SUBPIXELS
    x = rng.integers(-span // 4, span * 5 // 4, count * 3)
    y = rng.integers(-span // 4, span * 5 // 4, count * 3)
    z = rng.integers(1 << 18, 1 << 21, count * 3)
    triangles = rng.permutation(count * 3).reshape(count, 3).astype(np.int32)
    return x, y, z, triangles


def brute_force(x, y, z, triangles, two_sided, width):
    """Every sample against every triangle, in Python integers."""
    buffer = [int(EMPTY)] * (width * width)
    for number, (a, b, c) in enumerate(triangles.tolist()):
        ax, ay, bx, by, cx, cy = (int(v) for v in (x[a], y[a], x[b], y[b], x[c], y[c]))
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0 or (area > 0 and not two_sided[number]):
            continue
        sign = 1 if area > 0 else -1
        corners = ((bx, by, cx, cy), (cx, cy, ax, ay), (ax, ay, bx, by))
        for row in range(width):
            for column in range(width):
                px, py = column * SUBPIXELS + SUBPIXELS // 2, row * SUBPIXELS + SUBPIXELS // 2
                edges = []
                for ux, uy, vx, vy in corners:
                    dx, dy = (vx - ux) * sign, (vy - uy) * sign
                    edge = dx * (py - uy) - dy * (px - ux)
                    owned = dy < 0 or (dy == 0 and dx > 0)
                    edges.append(edge if edge > 0 or (edge == 0 and owned) else -1)
                if min(edges) < 0:
                    continue
                depth = sum(e * int(z[k]) for e, k in zip(edges, (a, b, c), strict=True))
                key = ((depth // abs(area)) << TRIANGLE_BITS) | number
                place = row * width + column
                buffer[place] = min(buffer[place], key)
    return np.array(buffer)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force(name: str, seed: int) -> None:
    x, y, z, triangles = scene(seed, count=25, width=20)
    two_sided = np.arange(len(triangles)) % 3 == 0
    expected = brute_force(x, y, z, triangles, two_sided, 20)
    got = backend(name).rasterise(x, y, z, triangles, two_sided, 20)
    assert np.array_equal(got, expected)
    assert (expected != EMPTY).sum() > 50


@pytest.mark.parametrize("name", BACKENDS)
def test_order_of_triangles_does_not_matter(name: str) -> None:
    x, y, z, triangles = scene(5)
    both = np.ones(len(triangles), bool)
    order = np.random.default_rng(1).permutation(len(triangles))
    one = backend(name).rasterise(x, y, z, triangles, both, 32)
    two = backend(name).rasterise(x, y, z, triangles[order], both, 32)
    assert np.array_equal(one >> TRIANGLE_BITS, two >> TRIANGLE_BITS)
    hit = one != EMPTY
    same = one[hit] & TRIANGLE_MASK == order[two[hit] & TRIANGLE_MASK]
    assert same.mean() > 0.999  # equal depths are settled by number


@pytest.mark.parametrize("name", BACKENDS)
def test_neighbours_share_no_sample_and_leave_no_gap(name: str) -> None:
    """A square cut along a diagonal that runs through sample centres."""
    corner = np.array([0, 16, 16, 0]) * SUBPIXELS
    x, y = corner, np.array([0, 0, 16, 16]) * SUBPIXELS
    z = np.full(4, 1 << 18)
    halves = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    covered = []
    for half in halves:
        buffer = backend(name).rasterise(x, y, z, half[None], np.array([True]), 16)
        covered.append((buffer != EMPTY).astype(int))
    assert np.array_equal(covered[0] + covered[1], np.ones(256, int))


def test_normals_of_a_sphere_point_outwards() -> None:
    from neurofer.faces.mesh import catmull_clark

    from .test_mesh import CORNERS, CUBE

    step = catmull_clark(8, CUBE)
    fine = step.apply(CORNERS)
    normals = numpy_backend.quad_normals(fine, step.quads)
    outwards = fine / np.sqrt((fine**2).sum(axis=1, keepdims=True))
    assert (normals * outwards).sum(axis=1).min() > 0.95


def test_visibility_of_a_floor_under_a_roof() -> None:
    """The middle of a floor sees nothing above it; without the roof it sees everything."""
    floor = [[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1], [0.01, 0, 0.02]]
    roof = [[-1.5, 0.5, -1.5], [1.5, 0.5, -1.5], [1.5, 0.5, 1.5], [-1.5, 0.5, 1.5]]
    vertices = np.array(floor + roof, float)
    normals = np.tile([0.0, 1.0, 0.0], (9, 1))
    up = np.array([[0.0, 1.0, 0.0]])
    ground = [[0, 1, 2], [0, 2, 3]]
    for triangles, expected in ((ground, 1.0), ([*ground, [5, 6, 7], [5, 7, 8]], 0.0)):
        seen = numpy_backend.visibility(
            vertices, normals, np.array(triangles, np.int32), up, 64, 4.4
        )
        assert seen[4] == expected
