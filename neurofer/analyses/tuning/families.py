"""Families of tuning: the shape of a unit's curve over the strengths that were shown.

Models overlap: at five strengths a sigmoid and a Naka-Rushton curve are the same, and a power is
convex or concave by its exponent. What a neurophysiologist means, and what the data can show, is
the shape. It is read off the curve of the best model at the strengths that were shown, so that a
Gaussian whose peak lies at the end of the range is not peaked, and a sigmoid of which the range
shows the foot only does not saturate.

    flat            no change
    linear          the same slope everywhere: the best model is a line
    accelerating    one direction, steepest between the last two strengths (threshold, power)
    saturating      one direction, flatter at the end than before (sigmoid, Naka-Rushton)
    v-shaped        least between the ends
    peaked          greatest between the ends

Of feature vectors the models are the families: they are what is asked.
"""

from __future__ import annotations

import numpy as np

FAMILIES = ("flat", "linear", "accelerating", "saturating", "v-shaped", "peaked")
# A turn back of less than this part of the curve's range is none: fits of one direction often
# have a small one, for example Gaussians of curves that saturate.
LEAST_TURN = 0.1
# What differs by less than this part is equal: rounding must not choose a family.
ROUNDING = 1e-9


def shape_of(x: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return (units,) the shape of curves, "linear" among "accelerating".

    Args:
        x: (levels,) strengths, distinct and increasing.
        curve: (levels, units) responses at them.
    """
    low, high = curve.min(axis=0), curve.max(axis=0)
    extent = high - low
    ends = curve[[0, -1]]
    over, under = high - ends.max(axis=0), ends.min(axis=0) - low
    slope = np.abs(np.diff(curve, axis=0)) / np.diff(x)[:, None]
    last = slope[-1] >= (1 - ROUNDING) * slope.max(axis=0)
    turns = np.maximum(over, under) > (LEAST_TURN + ROUNDING) * extent
    peaked = over >= under - ROUNDING * extent
    return np.select(
        [extent <= ROUNDING * np.abs(curve).max(axis=0), turns & peaked, turns, last],
        ["flat", "peaked", "v-shaped", "accelerating"],
        "saturating",
    )


def families_of(x: np.ndarray, best: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return (units,) the family of each unit, "" where it has no best model.

    Args:
        x: (levels,) strengths or (levels, dimensions) features, distinct, as `by_level` has them.
        best: (units,) name of the best model.
        predicted: (levels, units) its curve.
    """
    if x.ndim == 2:
        return best
    as_named = np.isin(best, ["", "flat", "linear"])
    return np.where(as_named, best, shape_of(x, np.where(as_named, 0.0, predicted)))


def family_names(features: bool, models: tuple[str, ...]) -> tuple[str, ...]:
    """Return the families that tables list: of feature vectors, the models."""
    return models if features else FAMILIES
