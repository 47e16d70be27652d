"""Where the crop falls: against the geometry that drew the face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.faces import Camera, FaceRenderer, make_identity
from neurofer.faces.avatars import frame_of
from neurofer.faces.camera import EXTENT
from neurofer.faces.landmarks import landmark_places
from neurofer.subjects.face_crop import (
    _CENTRE,
    _FACE,
    crop_face,
    crop_faces,
    face_place,
    square,
    square_box,
)

SIZE = 160


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer()


@pytest.mark.parametrize(
    ("head", "place", "size"),
    [("human", 0.03, 0.12), ("cartoon", 0.04, 0.3), ("monkey", 0.13, 0.3)],
)
@pytest.mark.parametrize("yaw", [-90, -45, 0, 45, 90])
def test_the_middle_of_a_face_is_found_whichever_way_it_is_turned(renderer, head, place, size, yaw):
    """In parts of the frame; a monkey's face lies before that of the human mean, by its muzzle."""
    camera = Camera(yaw=yaw, pitch=8, roll=-5, zoom=0.9, shift=(0.05, -0.06))
    identity = make_identity(7, head)
    drawn = renderer.render(identity, "fear", size=SIZE, camera=camera, ground_truth=False)
    middle, scale = face_place(drawn.landmarks)
    frame = frame_of(head)
    (truth,) = camera.project(camera.turn(_CENTRE[None], frame), frame, SIZE)
    assert np.abs(middle - truth).max() < place * SIZE
    assert scale == pytest.approx(0.9 * SIZE / EXTENT, rel=size)


@pytest.mark.parametrize("yaw", [-90, -45, 0])
def test_an_expression_hardly_moves_the_crop(renderer, yaw):
    """Else a decoder could read the expression from where the crop lies."""
    places = [
        face_place(
            renderer.render(
                make_identity(3, "human"), name, size=SIZE, camera=Camera(yaw), ground_truth=False
            ).landmarks
        )
        for name in ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
    ]
    scales = np.array([scale for _, scale in places])
    assert scales.std() / scales.mean() < 0.03
    assert np.ptp([middle for middle, _ in places], axis=0).max() < 0.025 * SIZE


@given(
    angle=st.floats(-3.1, 3.1),
    factor=st.floats(0.1, 10),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    hidden=st.sets(st.integers(0, 12), max_size=4),
)
@settings(max_examples=50)
def test_the_place_moves_turns_and_grows_with_the_landmarks(angle, factor, shift, hidden):
    landmarks = np.random.default_rng(0).uniform(0, 100, (13, 2))
    landmarks[sorted(hidden)] = np.nan
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle, scale = face_place(landmarks)
    moved, grown = face_place(factor * landmarks @ turn.T + shift)
    np.testing.assert_allclose(moved, factor * turn @ middle + shift, rtol=1e-6, atol=1e-4)
    assert grown == pytest.approx(factor * scale, rel=1e-6)


def test_pixels_of_the_crop_are_those_of_the_frame():
    """A crop as large as its square in the frame holds the frame's own pixels."""
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    drawn = FaceRenderer().render(make_identity(1, "human"), size=64, ground_truth=False)
    middle, scale = face_place(drawn.landmarks)
    left, top, side = 30, 11, 48
    # The square's corner is half a pixel before the centre of its first pixel.
    corner = np.array([left, top]) - 0.5
    landmarks = (drawn.landmarks - middle) * (side / 2 / scale) + corner + side / 2
    found = crop_face(image, landmarks, 2.0, side)
    np.testing.assert_array_equal(found, image[top : top + side, left : left + side])


def test_beyond_the_border_the_borders_colour_goes_on():
    image = np.full((40, 40, 3), 90, np.uint8)
    image[:, :20] = 10
    drawn = FaceRenderer().render(make_identity(1, "human"), size=40, ground_truth=False)
    found = crop_face(image, drawn.landmarks - [20, 0], 2.8, 32)
    assert (found[:, :14] == 10).all()
    assert found[:, -1].min() > 10


def test_what_is_not_known_is_seen_whole():
    image = np.zeros((20, 30, 3), np.uint8)
    few = np.full((13, 2), np.nan)
    few[:5] = np.random.default_rng(0).uniform(0, 20, (5, 2))
    assert face_place(few) is None
    assert crop_face(image, few, 2.0, 16) is image
    assert crop_faces([image], None, 2.0, 16)[0] is image


def test_landmarks_of_another_image_are_named():
    landmarks = np.random.default_rng(0).uniform(0, 20, (13, 2)) + 5000
    with pytest.raises(NeuroferError, match="are the landmarks of another image"):
        crop_face(np.zeros((20, 20, 3), np.uint8), landmarks, 2.0, 16)


def test_the_mean_face_is_that_of_the_renderer(renderer):
    """The numbers are frozen, so that a crop changes only when somebody changes them."""
    faces = [renderer.render(make_identity(seed, "human"), size=16) for seed in range(12)]
    landmarks = np.mean([landmark_places(face.vertices_3d) for face in faces], axis=0)
    np.testing.assert_allclose(_FACE, landmarks, atol=0.03)


@pytest.mark.parametrize("shape", [(6, 6), (6, 9), (9, 6), (1, 4), (7, 4)])
def test_a_whole_image_is_padded_to_a_square_and_not_stretched(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    padded, side = square(image), max(shape)
    assert padded.shape == (side, side, 3)
    left, top, right, bottom = square_box(image.shape)
    assert right - left == bottom - top == side
    rows = np.clip(np.arange(side) + int(top), 0, shape[0] - 1)
    columns = np.clip(np.arange(side) + int(left), 0, shape[1] - 1)
    np.testing.assert_array_equal(padded, image[rows][:, columns])
    assert abs((left + right) - shape[1]) <= 1
    assert abs((top + bottom) - shape[0]) <= 1
