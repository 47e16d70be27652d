from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.stimuli.table import make_table
from neurofer.stimuli.verification import MOST, verification_pairs


def people(counts: list[int]) -> StimulusSet:
    rows = [(f"P{p}", f"P{p}_{i + 1:04d}") for p, count in enumerate(counts) for i in range(count)]
    table = pd.DataFrame(rows, columns=["identity", "stimulus_id"])
    made = make_table(table.assign(head="human", source="rendered"), map(str, range(len(rows))))
    return StimulusSet("people", made, [None] * len(rows))  # type: ignore[list-item]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 6), min_size=20, max_size=60), st.integers(0, 3))
def test_lists_are_of_the_right_form_and_share_no_identity(counts: list[int], seed: int) -> None:
    counts = [*counts, *[2] * 20]
    stimuli = people(counts)
    pairs = verification_pairs(stimuli, seed)
    pd.testing.assert_frame_equal(pairs, verification_pairs(stimuli, seed))
    who = dict(zip(stimuli.table["stimulus_id"], stimuli.table["identity"], strict=True))
    shown: dict[tuple[str, int], set[str]] = {}
    for (name, fold), part in pairs.groupby(["list", "fold"]):
        first, second = part["first"].map(who), part["second"].map(who)
        assert ((first == second) == part["same"]).all()
        assert (part["first"] != part["second"]).all()
        assert part["same"].sum() == (~part["same"]).sum() <= MOST[name]
        unordered = [frozenset(pair) for pair in zip(part["first"], part["second"], strict=True)]
        assert len(set(unordered)) == len(unordered)
        shown[name, fold] = set(first) | set(second)
    assert len(shown) == 12
    assert not shown["pairsDevTrain", 0] & shown["pairsDevTest", 0]
    folds = [shown["pairs", fold] for fold in range(10)]
    assert sum(map(len, folds)) == len(set.union(*folds))


def test_a_set_that_is_large_enough_has_as_many_pairs_as_lfw() -> None:
    pairs = verification_pairs(people([10] * 300))
    assert pairs.groupby("list").size().to_dict() == {
        "pairs": 6000,
        "pairsDevTrain": 2200,
        "pairsDevTest": 1000,
    }
    assert not pairs.equals(verification_pairs(people([10] * 300), seed=1))


def test_too_few_identities_are_refused() -> None:
    with pytest.raises(NeuroferError, match=r"19 identities of two images or more.*at least 20"):
        verification_pairs(people([3] * 19 + [1] * 50))
