from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import LANDMARKS, POSITION_LANDMARKS, RECIPES
from neurofer.faces.actions import (
    ACTION_UNITS,
    action_units_of,
    displacement,
    fine_displacement,
)
from neurofer.faces.landmarks import landmark_places
from neurofer.faces.mesh import head_mesh


def moved_landmarks(units: dict[int, float]) -> dict[str, np.ndarray]:
    moved = landmark_places(fine_displacement(tuple(sorted(units.items()))))
    return dict(zip(LANDMARKS + POSITION_LANDMARKS, moved, strict=True))


def test_recipes_are_in_order_and_known() -> None:
    assert tuple(RECIPES) == ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
    assert all(set(recipe) <= set(ACTION_UNITS) for recipe in RECIPES.values())


def test_every_face_unit_exists() -> None:
    mesh = head_mesh()
    for unit, shares in ACTION_UNITS.items():
        assert all(mesh.has_target("fu/" + name) for name in shares), unit


@pytest.mark.parametrize("expression", RECIPES)
def test_displacement_is_linear_in_strength(expression: str) -> None:
    full = displacement(action_units_of(expression, 1.0))
    for strength in (0.25, 0.5, 0.75):
        part = displacement(action_units_of(expression, strength))
        assert part == pytest.approx(strength * full, abs=1e-15)


@pytest.mark.parametrize(
    ("unit", "landmark", "axis", "sign"),
    [
        (1, "left_eyebrow_int", 1, 1),  # inner brow raiser
        (2, "right_eyebrow_ext", 1, 1),  # outer brow raiser
        (4, "right_eyebrow_int", 1, -1),  # brow lowerer
        (5, "left_eyelid", 1, 1),  # upper lid raiser
        (43, "right_eyelid", 1, -1),  # eyes closed
        (12, "left_mouth", 0, -1),  # lip corner puller: to the side ...
        (12, "right_mouth", 1, 1),  # ... and up
        (15, "left_mouth", 1, -1),  # lip corner depressor
        (20, "right_mouth", 0, 1),  # lip stretcher
        (10, "top_mouth", 1, 1),  # upper lip raiser
        (16, "down_mouth", 1, -1),  # lower lip depressor
        (26, "down_mouth", 1, -1),  # jaw drop
        (61, "left_eye", 0, 1),  # eyes turn left: the person's left, the image's right
        (61, "right_eye", 0, 1),
        (62, "left_eye", 0, -1),  # right
        (62, "right_eye", 0, -1),
        (63, "left_eye", 1, 1),  # up
        (64, "right_eye", 1, -1),  # down
    ],
)
def test_action_units_move_what_they_should(unit: int, landmark: str, axis: int, sign: int) -> None:
    moved = moved_landmarks({unit: 1.0})[landmark]
    assert sign * moved[axis] > 0.01
    assert sign * moved[axis] >= 0.9 * max(abs(moved[0]), abs(moved[1])) or unit == 12


@pytest.mark.parametrize("expression", [name for name in RECIPES if name != "neutral"])
def test_expressions_are_symmetric_and_leave_the_eyes(expression: str) -> None:
    units = action_units_of(expression, 1.0)
    moved = landmark_places(fine_displacement(tuple(sorted(units.items()))))
    pairs = [(0, 3), (1, 2), (4, 6), (8, 9)]
    for left, right in pairs:
        assert moved[left] == pytest.approx(moved[right] * [-1, 1, 1], abs=0.004)
    assert np.array_equal(moved[10:12], np.zeros((2, 3)))
    assert np.abs(moved[:10]).max() > 0.05


def test_expressions_point_in_different_directions() -> None:
    """Every expression wins its own norm-referenced projection by a fifth (Eq. 3 of the paper)."""
    names = [name for name in RECIPES if name != "neutral"]
    keys = [tuple(sorted(action_units_of(name, 1.0).items())) for name in names]
    moved = np.array([landmark_places(fine_displacement(key))[:10, :2] for key in keys])
    length = np.sqrt((moved**2).sum(axis=2, keepdims=True))
    directions = np.where(length > 5e-4, moved / np.maximum(length, 1e-12), 0)
    projections = np.einsum("ald,bld->abl", moved, directions).clip(0).sum(axis=2)
    relative = projections / np.diag(projections)[:, None] - np.eye(len(names))
    assert relative.max() < 0.8, dict(zip(names, relative.max(axis=1), strict=True))


def test_unknown_names_are_refused_with_choices() -> None:
    with pytest.raises(NeuroferError, match=r"expression='angri' .* did you mean 'angry'"):
        action_units_of("angri", 1.0)
    with pytest.raises(NeuroferError, match=r"action unit=3 .* 1, 2, 4, 5"):
        displacement({3: 1.0})
