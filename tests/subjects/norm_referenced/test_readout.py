from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurofer.errors import NeuroferError
from neurofer.subjects.norm_referenced.readout import (
    NORMALISATIONS,
    RECTIFICATIONS,
    decide,
    difference_vectors,
    normalise_tuning,
    project,
    training_activity,
)

pixels = st.floats(-40, 40, allow_nan=False, width=32)
LANDMARKS, UNITS = 4, 3
differences_of = hnp.arrays(np.float64, (5, LANDMARKS, 2), elements=pixels)
tuning_of = hnp.arrays(np.float64, (UNITS, LANDMARKS, 2), elements=pixels)


def plain_project(differences, tuning, normalisation, rectification):
    """Eq. 3 and its variants in plain loops over Python floats."""
    units, activity = len(tuning), []
    lengths = [[math.hypot(*t) for t in unit] for unit in tuning]
    wholes = [math.sqrt(sum(x * x for x in unit)) for unit in lengths]

    def direction(m, place):
        t = tuning[m][place]
        if normalisation == "individual":
            by = lengths[m][place]
        elif normalisation in ("categorical", "frobenius"):
            by = wholes[m]
        else:
            longest = max(
                lengths[k][place] / wholes[k] if wholes[k] > 1e-6 else 0 for k in range(units)
            )
            by = wholes[m] * longest if wholes[m] > 1e-6 else 0
        return (0.0, 0.0) if by <= 1e-6 else (t[0] / by, t[1] / by)

    for d in differences:
        row = []
        for m in range(units):
            total = 0.0
            for place in range(len(d)):
                if any(math.isnan(x) for x in d[place]):
                    continue
                n = direction(m, place)
                p = d[place][0] * n[0] + d[place][1] * n[1]
                if rectification == "per-landmark":
                    total += max(p, 0.0)
                elif rectification == "running-sum":
                    total = max(total + p, 0.0)
                else:
                    total += p
            row.append(max(total, 0.0) if rectification == "after-sum" else total)
        activity.append(row)
    return np.array(activity)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("rectification", RECTIFICATIONS)
@pytest.mark.parametrize("missing", [False, True])
def test_projection_agrees_with_plain_loops(normalisation, rectification, missing):
    random = np.random.default_rng(3)
    differences = random.normal(0, 8, (20, 10, 2))
    tuning = random.normal(0, 6, (6, 10, 2))
    tuning[2, 4] = 0.0  # a landmark that did not move in training
    if missing:
        differences[::3, 5] = np.nan
    kind = {"normalisation": normalisation, "rectification": rectification}
    np.testing.assert_allclose(
        project(differences, tuning, **kind), plain_project(differences, tuning, **kind), atol=1e-9
    )


def test_equation_3_by_hand():
    tuning = np.array([[[3.0, 4.0], [0.0, -2.0]]])
    differences = np.array([[[3.0, 4.0], [0.0, -1.0]], [[-3.0, -4.0], [0.0, -1.0]]])
    # First image: 5 + 1. Second: the first landmark goes the other way and is rectified.
    np.testing.assert_allclose(project(differences, tuning), [[6.0], [1.0]])
    np.testing.assert_allclose(project(differences, tuning, rectification="after-sum"), [[6], [0]])


@given(differences_of, tuning_of, st.floats(0.1, 10))
def test_activity_is_linear_in_strength(differences, tuning, strength):
    for rectification in ("per-landmark", "after-sum", "running-sum"):
        whole = project(differences, tuning, rectification=rectification)
        part = project(strength * differences, tuning, rectification=rectification)
        np.testing.assert_allclose(part, strength * whole, rtol=1e-9, atol=1e-9)


@given(differences_of, tuning_of, st.tuples(pixels, pixels))
def test_a_shift_of_face_and_reference_changes_nothing(differences, tuning, shift):
    reference = np.zeros((LANDMARKS, 2))
    moved = difference_vectors(differences + np.array(shift), reference + np.array(shift))
    np.testing.assert_allclose(project(moved, tuning), project(differences, tuning), atol=1e-6)


@given(tuning_of)
def test_the_reference_itself_is_neutral(tuning):
    at_rest = np.zeros((1, LANDMARKS, 2))
    activity = project(at_rest, tuning)
    assert (activity == 0).all()
    assert decide(activity, 0.0).argmax() == 0


@given(tuning_of)
def test_unit_directions_have_unit_length_or_none(tuning):
    length = np.linalg.norm(normalise_tuning(tuning, "individual"), axis=-1)
    moved = np.linalg.norm(tuning, axis=-1) > 1e-6
    np.testing.assert_allclose(length[moved], 1.0, rtol=1e-9)
    assert (length[~moved] == 0).all()


@given(tuning_of)
def test_categorical_tuning_has_unit_length_over_all_landmarks(tuning):
    whole = np.sqrt((normalise_tuning(tuning, "categorical") ** 2).sum(axis=(1, 2)))
    moved = np.sqrt((tuning**2).sum(axis=(1, 2))) > 1e-5
    np.testing.assert_allclose(whole[moved], 1.0, rtol=1e-6)


def test_training_activity_is_the_length_of_the_displacement():
    tuning = np.random.default_rng(0).normal(0, 5, (6, 10, 2))
    each = np.linalg.norm(tuning, axis=-1)
    np.testing.assert_allclose(training_activity(tuning), each.sum(axis=1))
    np.testing.assert_allclose(
        training_activity(tuning, normalisation="categorical"),
        np.sqrt((each**2).sum(axis=1)),
    )


@pytest.mark.parametrize(
    ("activity", "thresholds", "answer"),
    [
        ([1.0, 3.0, 2.0], 0.5, 2),
        ([1.0, 3.0, 2.0], 3.5, 0),
        ([1.0, 3.0, 2.0], np.array([0.5, 3.0, 1.0]), 3),  # at the threshold is not above it
        ([0.0, 0.0, 0.0], 0.0, 0),
        ([0.2, 0.1, 0.0], 0.0, 1),
    ],
)
def test_decision(activity, thresholds, answer):
    evidence = decide(np.array([activity]), thresholds)
    assert evidence.shape == (1, 4)
    assert evidence.argmax() == answer
    assert (evidence[0, 0] == 1.0) == (answer == 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, t: project(d, t, normalisation="unit"), "normalisation='unit' is unknown"),
        (lambda d, t: project(d, t, rectification="relu"), "rectification='relu' is unknown"),
        (lambda d, t: project(d[:, :3], t), "differences have 3 landmarks"),
        (lambda d, t: project(d[0], t), "must be .n, landmarks, 2."),
    ],
)
def test_errors_name_what_was_passed(call, message):
    with pytest.raises(NeuroferError, match=message):
        call(np.zeros((5, 4, 2)), np.zeros((3, 4, 2)))
