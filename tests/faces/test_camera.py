from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from neurofer.faces import AVATARS, HEADS, Camera, Identity, make_avatar, make_identity
from neurofer.faces.avatars import frame_of
from neurofer.faces.camera import DISTANCE, EXTENT, Frame
from neurofer.faces.hair import grow
from neurofer.faces.materials import COVER, paint_vertices
from neurofer.faces.mesh import head_mesh
from neurofer.faces.sculpt import neutral_vertices

SEEDS = (*range(1, 21), 47, 97, 128)  # the last ones are the tallest of 300


def outline(identity: Identity) -> np.ndarray:
    """Return the corners of the convex hull of a head with its hair, without neck and chest."""
    mesh = head_mesh()
    x, y, z = mesh.fine_rest.T
    drawn = np.zeros(len(x), bool)
    drawn[mesh.triangles.ravel()] = True
    head = drawn & (y > 6.03 + np.maximum(1.35 - z, 0.0) / 3)
    vertices = neutral_vertices(identity)
    cover = paint_vertices(identity, mesh, np.ones(len(vertices)))[:, COVER]
    hair = grow(identity, mesh, vertices, cover).vertices
    points = np.concatenate([vertices[head], hair[hair[:, 1] > -1.0]])
    return points[ConvexHull(points).vertices]


def spans(identity: Identity) -> np.ndarray:
    """Return left, top, right, bottom of the head in fractions of the frame, for every view."""
    points, frame = outline(identity), frame_of(identity.head)
    found = []
    for yaw, pitch in product(range(-90, 91, 15), (-15, 0, 15)):
        camera = Camera(yaw=yaw, pitch=pitch)
        places = camera.project(camera.turn(points, frame), frame, 1) + 0.5
        found.append([*places.min(axis=0), *places.max(axis=0)])
    return np.array(found)


@pytest.mark.parametrize("head", [*HEADS, *AVATARS])
def test_no_head_leaves_the_frame(head: str) -> None:
    """Neither crown, hair, nose nor muzzle is cut in any view, and heads are large."""
    people = [make_avatar(head)] if head in AVATARS else [make_identity(s, head) for s in SEEDS]
    for identity in people:
        left, top, right, bottom = spans(identity).T
        assert min(left.min(), top.min()) >= 0, identity.seed
        assert right.max() <= 1, identity.seed
        assert bottom.max() <= 1, identity.seed
        assert (bottom - top).min() > 0.55
        assert (right - left).max() > 0.55


@pytest.mark.parametrize("head", [*HEADS, *AVATARS])
def test_profiles_are_in_the_middle(head: str) -> None:
    """So that no view needs more margin than another."""
    identity = make_avatar(head) if head in AVATARS else make_identity(1, head, spread=0.0)
    left, _, right, _ = spans(identity)[[1, -2]].T
    assert np.abs((left + right) / 2 - 0.5).max() < 0.06


def test_turning_keeps_distances_and_the_middle() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    frame = Frame(0.1, -0.7)
    turned = Camera(yaw=70, pitch=-20, roll=33).turn(points, frame)
    middle = np.array([0.0, frame.height, frame.depth])
    assert np.linalg.norm(turned - middle, axis=1) == pytest.approx(
        np.linalg.norm(points - middle, axis=1)
    )
    assert Camera(yaw=200).turn(middle[None], frame)[0] == pytest.approx(middle)


def test_frame_spans_its_extent() -> None:
    frame = Frame(0.1, -0.7)
    half = EXTENT / 2
    corners = np.array([[-half, half + 0.1, 0.0], [half, 0.1 - half, 0.0]])
    places = Camera().project(corners, frame, 100)
    assert places == pytest.approx(np.array([[-0.5, -0.5], [99.5, 99.5]]))
    near = Camera().project(corners * [1, 1, 0] + [0, 0, DISTANCE / 2], frame, 100)
    assert np.ptp(near[:, 0]) == pytest.approx(200)
