"""Coarse truths of what `linearity` finds in simulated units, at small numbers."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.simulation.recovery import linearity
from neurofer.simulation.recovery.linearity import LEVELS, SATURATING, SNR, line, simulated


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linearity, "SLOW", 50)  # four models that take a search or a bootstrap
        return {row.name: row for row in linearity.recover(200, seed=1)}


def test_every_goal_is_within_reach_of_a_small_simulation(found):
    assert all(row.status in ("", "in", "unclear") for row in found.values())
    assert sum(row.goal is not None for row in found.values()) >= 8


def test_errors_are_rare_and_corrected_ones_rarer(found):
    assert 0.01 < found["linearity.linear.not_linear"].measured < 0.1
    assert found["linearity.corrected.familywise"].measured < 0.1
    assert found["linearity.corrected.false_discovery"].measured < 0.05


def test_people_who_differ_and_a_choice_of_expressions_are_no_tuning(found):
    people = "linearity.people_differ"
    for test in ("slope", "curvature", "lack_of_fit"):
        assert found[f"{people}.identities.{test}"].measured < 0.12
    assert found[f"{people}.presentations.slope"].measured > 0.12
    assert found["linearity.choice.flat.slope"].measured < 0.12
    assert found["linearity.choice.rising"].measured > 0.8
    assert found["linearity.choice.falling"].measured > 0.8


def test_saturation_is_found_and_a_symmetric_sigmoid_by_lack_of_fit_only(found):
    for name in ("naka-rushton", "root", "early-sigmoid"):
        assert found[f"linearity.power.{name}"].measured > 0.9
    assert found["linearity.power.sigmoid"].measured < 0.1
    assert found["linearity.power.sigmoid.lack_of_fit"].measured > 0.9


def test_intervals_hold_the_slope_unless_gains_are_left_out_of_the_model(found):
    assert found["linearity.slope.coverage"].measured > 0.9
    fixed = found["linearity.mixed.intercepts.coverage"].measured
    assert fixed <= found["linearity.mixed.slopes.coverage"].measured
    assert abs(found["linearity.slope.bias"].measured) < 0.03
    assert found["linearity.r2.bias"].measured > 0


@pytest.mark.parametrize("function", [line, *SATURATING.values()])
def test_the_noise_is_a_third_of_the_tuning(function):
    activity = simulated(function, 400, np.random.default_rng(0))
    residual = activity.reshape(15, 5, -1) - function(LEVELS)[:, None]
    # Gain and offset move all five presentations of an identity along the tuning and its mean.
    design = np.stack([np.ones(5), function(LEVELS)], axis=1)
    rest = residual - np.einsum("ij,kjl->kil", design @ np.linalg.pinv(design), residual)
    noise = np.sqrt((rest**2).sum(axis=1).mean() / 3)
    assert function(LEVELS).std() / noise == pytest.approx(SNR, rel=0.05)
