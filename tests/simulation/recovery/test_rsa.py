from __future__ import annotations

import pytest

from neurofer.simulation.recovery import recover


@pytest.fixture(scope="module")
def found():
    return {row.name: row for row in recover("rsa", 25)}


def test_rows_are_those_of_every_resampling(found):
    for test in ("zero", "difference"):
        for kind in ("both", "stimuli", "subjects"):
            assert f"rsa.false_positives.{test}.{kind}" in found


def test_false_positives_are_rare_but_occur(found):
    rows = [row for row in found.values() if "false_positives" in row.name and row.goal]
    assert all(row.measured <= 0.2 for row in rows)
    # 150 tests at 5 %: the plain bootstrap's would reject once or twice over stimuli.
    assert 3 <= sum(row.measured * row.n for row in rows) <= 18


def test_the_noise_ceiling_contains_the_truth(found):
    assert found["rsa.ceiling.lower"].measured > 0
    assert found["rsa.ceiling.upper"].measured > 0


def test_crossnobis_of_equal_patterns_is_nothing(found):
    row = found["rsa.crossnobis.equal"]
    assert row.low < 0 < row.high or abs(row.measured) < 0.01


def test_intervals_hold_the_truth_and_rsatoolboxs_variance_is_no_smaller(found):
    assert found["rsa.interval.both"].measured >= 0.8
    for test in ("zero", "difference"):
        name = f"rsa.false_positives.{test}.both"
        assert found[f"{name}.bootstrap"].measured <= found[name].measured + 0.05
