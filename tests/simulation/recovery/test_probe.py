"""What the validation of probes simulates, and that it would notice."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses import analyse
from neurofer.simulation.recovery.probe import (
    COVERAGE,
    copied_kappa,
    observers,
    one_expression_each,
    population,
    recover,
    shuffled_within,
)


@pytest.fixture(scope="module")
def rows():
    return {row.name: row for row in recover(4)}


def test_nothing_is_read_where_there_is_nothing(rows):
    for name in ("probe.shuffled", "probe.chance", "probe.leak"):
        assert abs(rows[name].measured) < 6, name
    assert rows["probe.false_positives"].measured < 0.5
    # And identity did predict the expression of those whom the probe knew.
    assert rows["probe.leak.known"].measured > 95


def test_what_is_there_is_found(rows):
    assert abs(rows["probe.accuracy.clear"].measured) < 6
    for name in COVERAGE:  # few people and weak codes are simulated too
        assert rows[f"probe.interval.{name}"].measured >= 0.5, name
        assert rows[f"probe.interval.{name}"].goal == (0.93, 0.97)
    assert abs(rows["errors.kappa"].measured) < 0.06
    assert rows["errors.interval"].measured > 0.6


def test_a_code_is_read_until_its_labels_are_shuffled():
    rng = np.random.default_rng(0)
    recording = population(rng, images=2, code=2.0)
    shuffled = shuffled_within(recording, rng)
    read, lost = (
        float(analyse("probe", one, n_bootstrap=20)["accuracy"].sel(view="all"))
        for one in (recording, shuffled)
    )
    assert read > 60 > 30 > lost
    both = [one.to_dataframe("activity") for one in (recording.isel(neuroid=0), shuffled[:, 0])]
    counts = [one.groupby(["identity", "expression"]).size() for one in both]
    assert counts[0].equals(counts[1])


def test_known_people_show_one_expression_and_unseen_people_all():
    table = one_expression_each(np.random.default_rng(0))[:, 0].to_dataframe("activity")
    shown = table.groupby("role")["expression"].value_counts()
    assert shown.groupby("role").nunique().eq(1).all()
    each = table.groupby(["role", "identity"])["expression"].nunique().groupby("role").unique()
    assert {role: number.tolist() for role, number in each.items()} == {"known": [1], "unseen": [7]}


@pytest.mark.parametrize(("copied", "a", "b"), [(0.0, 4.0, 2.0), (0.7, 1.0, 1.0), (1.0, 3.0, 1.0)])
def test_the_closed_form_of_kappa_is_that_of_very_many_images(copied, a, b):
    from sklearn.metrics import cohen_kappa_score

    pair = observers(np.random.default_rng(0), copied, a, b, people=3000, images=20)
    one, other = (result["correct"].values[0] for result in pair)
    assert cohen_kappa_score(one, other) == pytest.approx(copied_kappa(copied, a, b), abs=0.02)
