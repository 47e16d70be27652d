"""Families: the shape of a curve, whatever model drew it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses.tuning.families import (
    EITHER,
    FAMILIES,
    families_of,
    family_names,
    shape_of,
    signs_of,
    told_apart,
)
from neurofer.analyses.tuning.fitting import predict

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
# What a model's curve looks like over the range, by its parameters.
SHAPES = [
    ("flat", [5], "flat"),
    ("linear", [5, -10], "linear"),
    ("rectified", [5, 20, 0.4], "accelerating"),
    ("rectified", [5, -20, 0.4], "accelerating"),
    ("v-shape", [5, 20, 15, 0.4], "v-shaped"),
    ("v-shape", [5, 0, 15, 0.4], "accelerating"),
    ("v-shape", [5, 15, 0, 0.6], "saturating"),
    ("power", [5, 10, 2], "accelerating"),
    ("power", [5, 10, 0.5], "saturating"),
    ("power", [5, -10, 0.5], "saturating"),
    ("sigmoid", [3, 10, 0.4, 12], "saturating"),
    ("sigmoid", [3, 10, 1.0, 5], "accelerating"),
    ("naka-rushton", [2, 20, 0.4, 3], "saturating"),
    ("naka-rushton", [2, 20, 1.0, 3], "accelerating"),
    ("gaussian", [3, 10, 0.5, 0.2], "peaked"),
    ("gaussian", [3, 10, 1.0, 0.4], "saturating"),
    ("gaussian", [3, 10, 0.0, 0.4], "saturating"),
    ("gaussian", [3, 10, 1.0, 0.15], "accelerating"),
    ("gaussian", [3, 10, 0.88, 0.4], "saturating"),
]


@pytest.mark.parametrize(("model", "values", "family"), SHAPES)
def test_a_family_is_the_shape_over_the_range(model, values, family):
    curve = predict(model, LEVELS, np.array([values, values], float))
    assert families_of(LEVELS, np.array([model, model]), curve).tolist() == [family] * 2
    assert family in FAMILIES


def test_slopes_are_those_of_unequal_steps():
    """A power of n > 1 whose last two strengths lie close together."""
    x = np.array([0, 0.5, 0.9, 1.0])
    assert shape_of(x, (x**1.5)[:, None]).tolist() == ["accelerating"]
    assert shape_of(x, (x**0.7)[:, None]).tolist() == ["saturating"]


@settings(max_examples=60)
@given(
    st.lists(st.integers(-50, 50), min_size=3, max_size=7),
    st.floats(0.01, 100),
    st.floats(-100, 100),
    st.floats(0.1, 100),
)
def test_a_family_follows_neither_units_nor_offset(curve, scale, offset, unit):
    y = np.array(curve, float)[:, None]
    x = np.arange(len(y), dtype=float)
    family = shape_of(x, y)[0]
    assert shape_of(unit * x, scale * y + offset)[0] == family
    turned = {"peaked": "v-shaped", "v-shaped": "peaked"}.get(family, family)
    twice = np.ptp(y) > 0 and min(y.max() - y[[0, -1]].max(), y[[0, -1]].min() - y.min()) > 0
    if not twice:  # else what is greater decides, and among equals the peak
        assert shape_of(x, -y)[0] == turned


def test_units_without_a_model_have_no_family_and_features_have_their_model():
    curve = np.full((5, 2), np.nan)
    curve[:, 1] = LEVELS
    assert families_of(LEVELS, np.array(["", "linear"]), curve).tolist() == ["", "linear"]
    # With opposite directions an axis is told from a norm-referenced unit, without it is not.
    x, best = np.vstack([np.eye(3), -np.eye(3)]), np.array(["axis", "exemplar", "", "flat"])
    none = np.zeros((6, 4))
    assert families_of(x, best, none).tolist() == best.tolist()
    assert families_of(x[:3], best, none[:3]).tolist() == [EITHER, *best[1:]]
    cross = np.array([0.4, -0.1, np.nan, 0.0])
    assert families_of(x, best, none, cross).tolist() == ["axis", "none", "", "flat"]
    assert family_names(True, ("flat", "axis")) == ("flat", "axis", "none")
    assert family_names(False, ("flat", "linear")) == FAMILIES


@pytest.mark.parametrize(
    ("curve", "family", "sign"),
    [
        ([0, 1, 2], "linear", 1),
        ([5, 3, 1], "linear", -1),
        ([5, 1, 1], "saturating", -1),
        ([1, 4, 2], "peaked", 1),
        ([2, 2, 2], "flat", 0),
        ([np.nan] * 3, "", 0),
    ],
)
def test_the_sign_of_a_curve_is_that_of_its_ends(curve, family, sign):
    x, found = LEVELS[[0, 2, 4]], np.array(curve, float)[:, None]
    gain = np.array([np.nan])
    assert signs_of(x, np.array(["x"]), np.array([family]), found, gain).tolist() == [sign]


def test_the_sign_of_models_of_features_is_that_of_their_gain():
    x = np.vstack([np.zeros(2), np.eye(2)])
    best = np.array(["norm-direction", "exemplar", "axis", "axis", "axis"])
    family = np.array(["norm-direction", "exemplar", "axis", EITHER, "none"])
    curve = np.array([[1, 1, 1, 1, 1], [0, 2, 3, 0, 0], [0, 2, -1, 0.5, 0]], float)
    gain = np.array([-2, 3, np.nan, np.nan, np.nan])
    assert signs_of(x, best, family, curve, gain).tolist() == [-1, 1, 0, -1, 0]


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ([[0, 0], [1, 0], [2, 0], [0, 1]], False),
        ([[0, 0], [1, 0], [-1, 0]], True),
        ([[1, 0], [0, 1], [0.5, 0.5]], True),
        ([[0, 0]], False),
    ],
)
def test_directions_that_tell_a_norm_from_an_axis(x, told):
    assert told_apart(np.array(x, float)) == told
