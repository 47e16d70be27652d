from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses.geometry.measures import cka, participation_ratio
from neurofer.analyses.gram import pattern_gram
from neurofer.simulation.recovery import geometry, recover


@pytest.fixture(scope="module")
def rows():  # type: ignore[no-untyped-def]
    return {row.name: row for row in recover("geometry", 12)}


def test_the_closed_forms_are_those_of_many_identities() -> None:
    generator = np.random.default_rng(0)
    made = geometry.population(generator)
    patterns = np.concatenate([made.draw(generator) for _ in range(60)]).reshape(-1, 60)
    values = np.linalg.eigvalsh(np.cov(patterns.T))
    truth = made.covariance()
    expected = np.trace(truth) ** 2 / np.linalg.norm(truth) ** 2
    assert values.sum() ** 2 / (values**2).sum() == pytest.approx(expected, rel=0.05)
    few = patterns[:600]
    weights = generator.normal(size=(60, 10))
    second = weights.T @ truth @ weights
    similar = np.linalg.norm(truth @ weights) ** 2 / np.linalg.norm(truth) / np.linalg.norm(second)
    grams = [pattern_gram(one)[0] for one in (few, few @ weights)]
    assert cka(*grams)[0] == pytest.approx(similar, abs=0.02)
    assert participation_ratio(grams[0])[0] == pytest.approx(expected, rel=0.1)


def test_alignment_is_that_of_its_directions() -> None:
    generator = np.random.default_rng(1)
    assert geometry.population(generator, own=0.0).alignment() == pytest.approx(1)
    assert abs(geometry.population(generator, shared=0.0).alignment()) < 0.1


def test_unbiased_estimates_are_and_the_others_are_not(rows) -> None:  # type: ignore[no-untyped-def]
    for name in ("congruence", "alignment", "cka"):
        assert abs(rows[f"geometry.{name}.bias"].measured) < 0.01
        assert rows[f"geometry.{name}.coverage"].measured > 0.8
    uncorrected = rows["geometry.dimension.uncorrected.bias"]
    assert abs(rows["geometry.dimension.bias"].measured) < abs(uncorrected.measured) / 2
    assert uncorrected.high < 0
    assert rows["geometry.alignment.uncorrected.bias"].high < 0
    assert rows["geometry.cka.unrelated"].low > 0.7
    assert abs(rows["geometry.cka.unrelated.debiased"].measured) < 0.1


def test_equal_directions_reach_the_ceiling_and_others_are_at_chance(rows) -> None:  # type: ignore[no-untyped-def]
    assert rows["geometry.alignment.equal.corrected"].measured == pytest.approx(1, abs=0.01)
    assert rows["geometry.alignment.equal.below_ceiling"].measured == pytest.approx(0, abs=0.01)
    for name in ("alignment", "congruence"):
        assert rows[f"geometry.{name}.chance"].measured > 0.8
