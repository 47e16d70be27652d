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

Of feature vectors the models are the families, but for two answers that no likelihood gives:
"none" where the best model predicts identities that were left out no better than their mean, and
"norm-direction or axis" where the stimuli show no more directions than they span dimensions, as
expressions one by one do: then every norm-direction unit is an axis unit too.
"""

from __future__ import annotations

import numpy as np

FAMILIES = ("flat", "linear", "accelerating", "saturating", "v-shaped", "peaked")
# A turn back of less than this part of the curve's range is none: fits of one direction often
# have a small one, for example Gaussians of curves that saturate.
LEAST_TURN = 0.1
# What differs by less than this part is equal: rounding must not choose a family.
ROUNDING = 1e-9
NONE, EITHER = "none", "norm-direction or axis"
FALLS, RISES = -1, 1


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


def told_apart(x: np.ndarray) -> bool:
    """Return whether (levels, dimensions) features tell a norm-referenced unit from an axis.

    They do where they show more directions from the norm than they span dimensions: opposite ones,
    or mixtures.

    >>> told_apart(np.eye(3)), told_apart(np.array([[1.0, 0], [0, 1], [1, 1]]))
    (False, True)
    """
    length = np.linalg.norm(x, axis=1)
    unit = x[length > 0] / length[length > 0, None]
    if not len(unit):
        return False
    return len(np.unique(unit.round(9), axis=0)) > int(np.linalg.matrix_rank(unit))


def families_of(
    x: np.ndarray, best: np.ndarray, predicted: np.ndarray, cross: np.ndarray | None = None
) -> np.ndarray:
    """Return (units,) the family of each unit, "" where it has no best model.

    Args:
        x: (levels,) strengths or (levels, dimensions) features, distinct, as `by_level` has them.
        best: (units,) name of the best model.
        predicted: (levels, units) its curve.
        cross: (units,) part of the flat model's error that it explains of identities left out, or
            NaN; of features 0 or less is "none".
    """
    if x.ndim == 2:
        either = np.isin(best, ["norm-direction", "axis"]) & (not told_apart(x))
        found = np.where(either, EITHER, best)
        if cross is None:
            return found
        with np.errstate(invalid="ignore"):
            return np.where((cross <= 0) & ~np.isin(best, ["", "flat"]), NONE, found)
    as_named = np.isin(best, ["", "flat", "linear"])
    return np.where(as_named, best, shape_of(x, np.where(as_named, 0.0, predicted)))


def signs_of(
    x: np.ndarray, best: np.ndarray, family: np.ndarray, predicted: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Return (units,) 1 for units that rise, -1 for those that fall, 0 for those that do neither.

    Of strengths it is the response at the greatest against that at the least; of features, the
    gain of norm-and-direction, 1 of exemplars, and 0 of an axis, which has a direction and no sign.
    Where it could be norm-and-direction as well, it is the mean over stimuli against the norm.

    Args:
        x: (levels,) or (levels, dimensions).
        best: (units,) name of the best model.
        family: (units,).
        predicted: (levels, units) its curve.
        gain: (units,) "b" of the best model, NaN where it has none.
    """
    silent = np.isin(family, ["", "flat", NONE])
    with np.errstate(invalid="ignore"):
        if x.ndim == 1:
            sign = np.sign(predicted[x.argmax()] - predicted[x.argmin()])
        else:
            norm = predicted[np.linalg.norm(x, axis=1).argmin()]
            away = np.where(family == EITHER, np.sign(predicted.mean(axis=0) - norm), 0.0)
            sign = np.where(best == "axis", away, np.sign(gain))
    return np.where(silent, 0, np.nan_to_num(sign)).astype(np.int64)


def family_names(features: bool, models: tuple[str, ...]) -> tuple[str, ...]:
    """Return the families that tables list: of feature vectors the models, and what none is."""
    if not features:
        return FAMILIES
    pair = [EITHER] if "axis" in models and "norm-direction" in models else []
    return (*models, *pair, NONE)
