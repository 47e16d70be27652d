"""Splits: over random tables no identity and no image crosses, whatever the rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.stimuli import Split, StimulusSet, split
from neurofer.stimuli.splits import RULES

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "head": st.sampled_from(["human", "monkey"]),
            "identity": st.sampled_from(["1", "2", "3"]),  # "1" of two heads are two
            "expression": st.sampled_from(["neutral", "happy"]),
            "session": st.sampled_from(["A", "B"]),
            "view": st.sampled_from(["frontal", "full-left"]),
            "split": st.sampled_from(["train", "val", "test"]),
            "pixel": st.integers(0, 40),  # few values: many rows are the same image
        }
    ),
    min_size=2,
    max_size=40,
)


def make(rows: list[dict[str, object]]) -> StimulusSet:
    table = pd.DataFrame(rows).assign(source="simulated")
    pixels = table.pop("pixel") if "pixel" in table else pd.Series(range(len(table)))
    images = [np.full((1, 1, 3), pixel, np.uint8) for pixel in pixels]
    return StimulusSet.from_arrays("random", table, images)


def grid(**values: list[str]) -> StimulusSet:
    """Return one image for every combination of values."""
    frame = pd.MultiIndex.from_product(values.values(), names=list(values)).to_frame(index=False)
    return make(frame.to_dict("records"))


def full() -> StimulusSet:
    return grid(
        head=["human", "monkey"],
        identity=["1", "2", "3"],
        expression=["neutral", "happy"],
        session=["A", "B"],
        view=["frontal", "full-left"],
        split=["train", "test"],
    )


def rule_of(one: Split) -> str:
    return next(name for name in RULES if one.name == name or one.name.startswith(f"{name}-"))


def check(stimuli: StimulusSet, one: Split) -> None:
    table = stimuli.table
    parts = {"train": one.train, "validation": one.validation, "test": one.test}
    every = np.concatenate(list(parts.values()))
    assert len(set(every.tolist())) == len(every)
    assert set(table["stimulus_id"].iloc[every]) | set(one.set_aside) == set(table["stimulus_id"])
    assert not set(table["stimulus_id"].iloc[every]) & set(one.set_aside)
    images = {name: set(table["image_sha256"].iloc[at]) for name, at in parts.items()}
    assert not images["train"] & (images["validation"] | images["test"])
    assert not images["validation"] & images["test"]
    left_out = table["stimulus_id"].isin(one.set_aside)
    assert set(table["image_sha256"][left_out]) <= images["validation"] | images["test"]
    people = list(zip(table["head"], table["identity"], strict=True))
    who = {name: {people[i] for i in at} for name, at in parts.items()}
    both = (who["train"] | who["validation"]) & who["test"]
    crosses = any(identity for _, identity in both)
    assert crosses == ("identity" in one.shares)
    if any(not identity for _, identity in both):
        assert "identity not stated" in one.shares
    if RULES[rule_of(one)].keeps_identities:
        assert not crosses
        assert not who["train"] & who["validation"]


@pytest.mark.parametrize("by", RULES)
@settings(max_examples=40)
@given(rows=ROWS, folds=st.integers(2, 4), seed=st.integers(0, 3))
def test_nothing_crosses(by: str, rows: list[dict[str, object]], folds: int, seed: int) -> None:
    stimuli = make(rows)
    try:
        made = split(stimuli, by, folds=folds, seed=seed, classes=None)
    except NeuroferError as error:
        assert any(words in str(error) for words in ("has no image to", "folds="))  # noqa: PT017
        return
    for one in made:
        check(stimuli, one)


@pytest.mark.parametrize("by", RULES)
def test_every_rule_splits_a_full_table(by: str) -> None:
    stimuli = full()
    made = split(stimuli, by, folds=3)
    assert len({one.name for one in made}) == len(made)
    for one in made:
        assert rule_of(one) == by
        check(stimuli, one)
        assert not one.test.flags.writeable
    if by != "official":
        tested = np.concatenate([one.test for one in made])
        assert sorted(tested.tolist()) == list(range(len(stimuli)))


@pytest.mark.parametrize(
    ("by", "names", "shares"),
    [
        ("by-identity", ["by-identity-1", "by-identity-2", "by-identity-3"], ()),
        ("by-head", ["by-head-human", "by-head-monkey"], ()),
        ("by-session", ["by-session-A", "by-session-B"], ("identity",)),
        ("by-view", ["by-view-full-left", "by-view-frontal"], ("identity",)),
        (
            "leave-one-expression-out",
            ["leave-one-expression-out-neutral", "leave-one-expression-out-happy"],
            ("identity",),
        ),
        ("official", ["official"], ("identity",)),
    ],
)
def test_what_a_rule_cannot_keep_apart_is_said(
    by: str, names: list[str], shares: tuple[str, ...]
) -> None:
    made = split(full(), by, folds=3)
    assert [one.name for one in made] == names
    assert {one.shares for one in made} == {shares}


def test_folds_hold_as_many_identities_of_every_head() -> None:
    stimuli = grid(head=["a", "b"], identity=list("123456"), expression=["neutral", "happy"])
    table = stimuli.table
    for one in split(stimuli, "by-identity", folds=3):
        for part, each in ((one.train, 2), (one.validation, 2), (one.test, 2)):
            found = table.iloc[part].groupby("head")["identity"].nunique()
            assert found.to_dict() == {"a": each, "b": each}
    assert len(split(stimuli, "by-identity", folds=2)[0].validation) == 0


def test_groups_depend_on_the_seed_and_not_on_the_order() -> None:
    stimuli = grid(head=["a"], identity=list("12345678"), expression=["neutral", "happy"])
    backwards = stimuli.take(range(len(stimuli))[::-1])

    def tested(shown: StimulusSet, seed: int) -> list[set[str]]:
        made = split(shown, "by-identity", folds=4, seed=seed)
        return [set(shown.table["identity"].iloc[one.test]) for one in made]

    assert tested(stimuli, 0) == tested(backwards, 0)
    assert tested(stimuli, 0) != tested(stimuli, 1)


def test_an_image_of_two_identities_stays_where_it_tests() -> None:
    rows = [
        {"identity": who, "expression": shown, "pixel": 10 * i + j}
        for i, who in enumerate("abc")
        for j, shown in enumerate(["neutral", "happy", "happy"])
    ]
    rows[8]["pixel"] = rows[1]["pixel"]  # c's last is a's second
    stimuli = make(rows)
    by_name = {one.name: one for one in split(stimuli, "leave-one-subject-out")}
    assert by_name["leave-one-subject-out-a"].set_aside == ("0008",)
    assert by_name["leave-one-subject-out-b"].set_aside == ()
    assert by_name["leave-one-subject-out-c"].set_aside == ("0001",)
    assert by_name["leave-one-subject-out-c"].test.tolist() == [6, 7, 8]


def test_unknown_people_are_said() -> None:
    shown = {"expression": ["neutral", "happy"], "split": ["train", "test"]}
    nobody = grid(identity=[""], **shown)
    assert split(nobody, "official")[0].shares == ("identity not stated",)
    half = grid(identity=["", "a"], **shown)
    assert split(half, "official")[0].shares == ("identity", "identity not stated")


def lacking(row: int = 3, **columns: str) -> StimulusSet:
    table = full().table.drop(columns="image_sha256")
    for name, value in columns.items():
        table.loc[row, name] = value
    return make(table.to_dict("records"))


@pytest.mark.parametrize(
    ("stimuli", "by", "options", "message"),
    [
        (full, "by-identities", {}, "did you mean 'by-identity'"),
        (full, "by-identity", {"folds": 1}, r"folds=1; .* 2 to 6"),
        (full, "by-identity", {"folds": 7}, r"folds=7; .* 2 to 6"),
        (full, "by-identity", {"folds": 2.5}, r"folds=2\.5: give a whole number"),
        (full, "by-identity", {"seed": -1}, "seed=-1: give a whole number"),
        (full, "by-head", {"classes": "emotion"}, "classes='emotion' is not in"),
        (lambda: lacking(identity=""), "by-identity", {}, "1 stimuli .* lack, such as '0003'"),
        (lambda: lacking(session=""), "by-session", {}, "'session'"),
        (lambda: lacking(expression=""), "leave-one-expression-out", {}, "'expression'"),
        (lambda: lacking(expression="fear"), "by-head", {}, "has no expression fear to train"),
        (lambda: lacking(95, expression="fear"), "by-head", {}, "no expression fear to test"),
        (lambda: grid(view=["frontal"]), "by-view", {}, "has no image to train"),
        (lambda: grid(split=["train"]), "official", {}, "has no image to test"),
    ],
)
def test_what_cannot_be_split_is_refused(
    stimuli: Callable[[], StimulusSet], by: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        split(stimuli(), by, **options)  # type: ignore[arg-type]


def test_leaving_many_people_out_holds_each_image_a_few_times() -> None:
    """Not once per fold: 5,000 people of ten images each would be 2 GB."""
    stimuli = grid(identity=[f"{k:03d}" for k in range(120)], expression=["neutral", "happy"])
    folds = split(stimuli, "leave-one-subject-out")
    held = [value for one in folds for value in vars(one).values() if isinstance(value, np.ndarray)]
    assert sum(value.nbytes for value in held) <= 3 * 8 * len(stimuli.table)
    assert all(len(one.train) == 238 and len(one.test) == 2 for one in folds)
