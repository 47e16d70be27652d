from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.norm_referenced.landmark_stage import StageOptions
from neurofer.subjects.norm_referenced.reference import (
    complete_triangle,
    face_frame,
    inferred_reference,
)

REFERENCE = np.array([[80.0, 100.0], [140.0, 100.0], [110.0, 140.0]])
scales = st.floats(0.5, 2.0)
shifts = st.floats(-50, 50)


@given(scales, scales, shifts, shifts)
def test_xy_recovers_scale_and_shift(sx, sy, dx, dy):
    scale, shift = np.array([sx, sy]), np.array([dx, dy])
    frame = face_frame((REFERENCE * scale + shift)[None], REFERENCE, align="xy")
    np.testing.assert_allclose(frame.scale[0], scale, rtol=1e-9)
    np.testing.assert_allclose(frame.shift[0], shift, atol=1e-6)


@given(scales, shifts, shifts)
def test_iso_recovers_one_scale(s, dx, dy):
    shift = np.array([dx, dy])
    frame = face_frame((REFERENCE * s + shift)[None], REFERENCE, align="iso")
    np.testing.assert_allclose(frame.scale[0], [s, s], rtol=1e-9)
    np.testing.assert_allclose(frame.shift[0], shift, atol=1e-6)


@given(shifts, shifts)
def test_a_shifted_face_shifts_the_reference_the_same_way(dx, dy):
    # The original's update subtracts where it has to add.
    shift = np.array([dx, dy])
    for align in ("none", "iso", "xy"):
        frame = face_frame((REFERENCE + shift)[None], REFERENCE, align=align)
        np.testing.assert_allclose(frame.to_image(REFERENCE[None])[0], REFERENCE + shift, atol=1e-9)


@given(scales, scales, shifts, shifts)
def test_to_frame_undoes_to_image(sx, sy, dx, dy):
    frame = face_frame((REFERENCE * [sx, sy] + [dx, dy])[None], REFERENCE)
    points = np.random.default_rng(0).normal(100, 30, (1, 10, 2))
    np.testing.assert_allclose(frame.to_frame(frame.to_image(points)), points, atol=1e-8)


@pytest.mark.parametrize(("prior", "expected"), [(0.0, 1.2), (0.75, 1.05), (1.0, 1.0)])
def test_vertical_prior_draws_the_vertical_scale_to_one(prior, expected):
    frame = face_frame((REFERENCE * [1.1, 1.2])[None], REFERENCE, vertical_prior=prior)
    np.testing.assert_allclose(frame.scale[0], [1.1, expected])


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_missing_landmark_is_taken_from_the_triangle(missing):
    position = (REFERENCE * 1.3 + 7)[None].copy()
    whole = position.copy()
    position[0, missing] = np.nan
    np.testing.assert_allclose(complete_triangle(position, REFERENCE[None]), whole, atol=1e-9)


def test_two_missing_landmarks_leave_scale_one_and_three_leave_nothing():
    position = np.full((2, 3, 2), np.nan)
    position[0, 1] = REFERENCE[1] + np.array([4.0, 5.0])
    filled = complete_triangle(position, np.stack([REFERENCE, REFERENCE]))
    np.testing.assert_allclose(filled[0], REFERENCE + np.array([4.0, 5.0]))
    assert np.isnan(filled[1]).all()


def test_inferred_reference_is_expression_less_tuning():
    neutral, tuning = np.random.default_rng(1).normal(0, 9, (2, 10, 2))
    np.testing.assert_allclose(inferred_reference(neutral + tuning, tuning), neutral)


def test_unknown_alignment():
    with pytest.raises(NeuroferError, match=r"align='xyz' is unknown; choose from none, iso, xy"):
        face_frame(REFERENCE[None], REFERENCE, align="xyz")


@pytest.mark.parametrize("field", [0, -3.0, float("nan"), 500, "wide", True, None])
def test_the_radius_of_receptive_fields_is_a_number_of_pixels(field):
    with pytest.raises(NeuroferError, match=r"field=.*number of pixels, 1 to 224"):
        StageOptions(field=field)
    assert StageOptions(field=14).field == 14
