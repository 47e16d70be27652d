from __future__ import annotations

from dataclasses import replace

import pytest

from neurofer.reports.methods import _strengths
from neurofer.studies.descriptions import StimuliDescription, describe_stimuli
from tests.stimuli.conftest import make_stimuli


@pytest.fixture
def described() -> StimuliDescription:
    return describe_stimuli(make_stimuli())


@pytest.mark.parametrize(
    ("strengths", "graded", "words"),
    [
        ((0.0, 1.0), False, "strengths 0 and 1"),
        ((0.0, 0.5, 1.0), True, "strengths 0, 0.5 and 1"),
        (
            (0.0, *(0.41 + i / 100 for i in range(40))),
            False,
            "strengths from 0.41 to 0.8, neutral 0",
        ),
    ],
)
def test_few_strengths_are_listed_and_many_summed_up(
    described: StimuliDescription, strengths: tuple[float, ...], graded: bool, words: str
) -> None:
    columns = {**described.columns, "strength": strengths}
    shown = replace(described, columns=columns)
    assert shown.graded == graded
    assert shown.strengths == strengths[1:]
    assert _strengths(shown) == words
