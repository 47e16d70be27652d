"""Families: the shape of a curve, whatever model drew it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses.tuning.families import FAMILIES, families_of, family_names, shape_of
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
    x, best = np.eye(3), np.array(["axis", "exemplar", ""])
    assert families_of(x, best, np.zeros((3, 3))).tolist() == best.tolist()
    assert family_names(True, ("flat", "axis")) == ("flat", "axis")
    assert family_names(False, ("flat", "linear")) == FAMILIES
