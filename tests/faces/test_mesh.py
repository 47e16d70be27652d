from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces.mesh import LASHES, LEFT_EYE, RIGHT_EYE, catmull_clark, head_mesh, snap

CUBE = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
)
CORNERS = np.array(
    [
        [-1, -1, -1],
        [1, -1, -1],
        [1, 1, -1],
        [-1, 1, -1],
        [-1, -1, 1],
        [1, -1, 1],
        [1, 1, 1],
        [-1, 1, 1],
    ],
    float,
)


def test_cube_by_hand() -> None:
    step = catmull_clark(8, CUBE)
    fine = step.apply(CORNERS)
    assert (step.vertices, len(step.quads)) == (8 + 12 + 6, 24)
    # Vertex rule with valence 3: (F + 2R + 0P) / 3 = (1/3 + 2 * 2/3) / 3 = 5/9 of the corner.
    assert fine[:8] == pytest.approx(CORNERS * 5 / 9)
    # Edge points: mean of ends (1, 1, 0) and the two face centres: (3/4, 3/4, 0) in some order.
    assert np.sort(np.abs(fine[8:20]), axis=1) == pytest.approx(np.tile([0, 0.75, 0.75], (12, 1)))
    assert np.sort(np.abs(fine[20:]), axis=1) == pytest.approx(np.tile([0, 0, 1], (6, 1)))


def test_open_strip_keeps_its_border_a_curve() -> None:
    strip = np.array([[0, 1, 4, 3], [1, 2, 5, 4]])
    places = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]], float)
    fine = catmull_clark(6, strip).apply(places)
    assert fine[1] == pytest.approx([1, 0])  # 1/8 + 6/8 + 1/8 along a straight border
    assert fine[0] == pytest.approx([0.125, 0.125])  # a corner is rounded


def test_subdivision_weights_add_up_to_one() -> None:
    step = head_mesh().subdivision
    sums = np.bincount(step.rows, step.weights, step.vertices)
    assert sums == pytest.approx(np.ones(step.vertices))


def test_asset_is_what_its_facts_say() -> None:
    mesh = head_mesh()
    assert mesh.rest.shape == (5472, 3)
    assert mesh.quads.shape == (5306, 4)
    assert len(mesh.names) == 362
    assert sum(name.startswith("fu/") for name in mesh.names) == 52
    assert set(mesh.masks) == {"lips", "eyelids", "ears", "inside_mouth", "face"}
    assert mesh.fine_rest.shape == (mesh.subdivision.vertices, 3)
    assert mesh.rest[mesh.component == LEFT_EYE, 0].max() < 0
    assert mesh.rest[mesh.component == RIGHT_EYE, 0].min() > 0


def test_lower_lashes_are_left_out() -> None:
    mesh = head_mesh()
    lashes = mesh.triangles[mesh.triangle_component == LASHES]
    assert len(lashes)
    assert mesh.fine_rest[lashes.ravel(), 1].min() > 7.25


def test_targets_combine_linearly() -> None:
    mesh = head_mesh()
    a, b = {"fu/jawOpen": 1.0}, {"fu/mouthSmileLeft": 1.0, "fu/jawOpen": 2.0}
    both = {"fu/jawOpen": 3.0, "fu/mouthSmileLeft": 1.0}
    assert mesh.combine(a) + mesh.combine(b) == pytest.approx(mesh.combine(both))
    assert np.abs(mesh.combine(a)).max() > 0.1


def test_snapped_values_add_exactly() -> None:
    values = snap(np.linspace(-3, 3, 101) / 7)
    moves = snap(np.linspace(-1, 1, 101) / 3)
    assert np.array_equal((values + moves) - values, moves)
