"""That what the card of kdef-sim says of its difficulty keeps the bounds that the set is for."""

from __future__ import annotations

import pytest

from neurofer.stimuli.catalogue import stimuli_card
from neurofer.studies.reading import read_study


@pytest.fixture(scope="module")
def difficulty():
    return stimuli_card("kdef-sim").difficulty


@pytest.mark.parametrize(
    ("words", "low", "high"),
    [
        ("pixels of the frame", 0, 25),
        ("pixels of the face", 0, 50),
        ("untrained", 0, 45),
        ("identity", 50, 85),
    ],
)
def test_the_measured_difficulty_is_the_right_one(difficulty, words, low, high):
    measured = [
        percent["kdef-sim"] for name, percent in difficulty.percent_correct.items() if words in name
    ]
    assert measured
    assert all(low <= percent <= high for percent in measured)


def test_variation_makes_the_set_harder_for_everyone(difficulty):
    for percent in difficulty.percent_correct.values():
        assert percent["kdef-sim"] <= percent.get("kdef-sim-clean", 100)


def test_the_command_runs_a_study_of_the_card_s_sets(difficulty):
    study = read_study(difficulty.command.removeprefix("neurofer run "))
    assert {spec.set for spec in study.stimuli.values()} == set(stimuli_card("kdef-sim").sets())
