"""Ground truth lies where features are drawn; `measured` finds them without the mesh's vertices."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from neurofer.faces import AVATARS, HEADS, LANDMARKS, POSITION_LANDMARKS, FaceRenderer
from neurofer.faces.actions import action_units_of
from neurofer.faces.landmarks import landmark_places
from neurofer.faces.mesh import head_mesh

from .measured import identities, measure

NAMES = LANDMARKS + POSITION_LANDMARKS
ALL = (*HEADS, *AVATARS)
PLACES = Path(__file__).parent / "landmark_places.csv"


def committed() -> dict[str, dict[str, np.ndarray]]:
    """Read the measured places: from masks (mask), of pupils (disc), on an enlarged sheet (eye)."""
    places: dict[str, dict[str, np.ndarray]] = {}
    with PLACES.open(newline="") as file:
        for row in csv.DictReader(file):
            place = np.array([float(row["x"]), float(row["y"])])
            places.setdefault(row["head"], {})[row["landmark"]] = place
    return places


def distances(
    shown: np.ndarray, places: dict[str, tuple[float, float]] | dict[str, np.ndarray]
) -> dict[str, float]:
    """Return how many pixels ground truth is from measured places."""
    truth = dict(zip(NAMES, shown, strict=True))
    return {name: float(np.hypot(*(truth[name] - place))) for name, place in places.items()}


@pytest.mark.parametrize("name", ALL)
def test_ground_truth_is_within_a_pixel_of_the_committed_places(
    renderer: FaceRenderer, name: str
) -> None:
    """Round noses have no tip to point at: those of the monkey, bram and odo are not measured."""
    places = committed()[name]
    unmeasured = {"nose"} if name in ("monkey", "bram", "odo") else set()
    assert set(places) == set(NAMES) - unmeasured
    shown = renderer.render(identities()[name], ground_truth=False).landmarks
    apart = distances(shown, places)
    assert max(apart.values()) <= 1.0, apart


@pytest.mark.parametrize("name", ALL)
def test_committed_places_are_still_where_the_features_are(name: str) -> None:
    for landmark, place in measure(identities()[name], {}).items():
        assert np.hypot(*(committed()[name][landmark] - place)) < 0.6, landmark


@pytest.mark.parametrize("expression", ["happy", "fear"])
@pytest.mark.parametrize("name", ALL)
def test_landmarks_stay_on_their_features_as_the_face_moves(
    renderer: FaceRenderer, name: str, expression: str
) -> None:
    """A lid that opens wide rolls back, and a corner of the mouth is where two lips meet.

    What is drawn there is no longer the same piece of skin, so these may be off by a pixel more.
    """
    identity = identities()[name]
    shown = renderer.render(identity, expression, ground_truth=False).landmarks
    apart = distances(shown, measure(identity, action_units_of(expression, 1.0)))
    loose = ("left_mouth", "right_mouth", "left_eyelid", "right_eyelid")
    assert max(d for landmark, d in apart.items() if landmark not in loose) <= 1.0, apart
    assert max(apart.values()) <= 1.9, apart


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("unit", "step"), [(61, (1, 0)), (62, (-1, 0)), (63, (0, -1)), (64, (0, 1))]
)
def test_pupils_move_with_the_drawn_ones(
    renderer: FaceRenderer, name: str, unit: int, step: tuple[int, int]
) -> None:
    identity = identities()[name]
    straight, turned = (
        renderer.render(identity, action_units=units, ground_truth=False).landmarks[10:12]
        for units in ({}, {unit: 1.0})
    )
    assert ((turned - straight) @ np.array(step) > 1.5).all()
    if unit in (61, 62):  # up and down the lids cover some of the pupil
        apart = distances(
            np.concatenate([np.zeros((10, 2)), turned, np.zeros((1, 2))]),
            measure(identity, {unit: 1.0}, pupils=True),
        )
        assert max(apart.values()) <= 1.0, apart


def test_landmarks_move_exactly_as_their_vertices() -> None:
    """Weights are dyadic: what is added to all vertices is added to the landmarks to the bit."""
    rest = np.floor(head_mesh().fine_rest * 2.0**26) / 2.0**26
    step = np.array([0.25, -1.5, 0.0625])
    assert np.array_equal(
        landmark_places(rest + step) - landmark_places(rest), np.tile(step, (13, 1))
    )


def test_landmarks_are_mirrored_on_the_base_head() -> None:
    places = dict(zip(NAMES, landmark_places(head_mesh().fine_rest), strict=True))
    for name in NAMES:
        if name.startswith("left_"):
            other = places[name.replace("left_", "right_")]
            assert places[name] == pytest.approx(other * [-1, 1, 1], abs=0.006), name
        elif name in ("nose", "top_mouth", "down_mouth"):
            assert abs(places[name][0]) < 1e-3
