"""What is trained on, validated on and tested are three: nothing is chosen on what is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.training import images, make_recipe, read_recipe
from neurofer.training.dividing import people_of
from neurofer.training.images import Division, ImageData, divide
from neurofer.training.recipe import with_fold
from neurofer.training.tasks.supervised import Task
from neurofer.training.world import World
from tests.training.tasks.test_supervised import RECIPE

from .test_images import made


def relabelled(**columns: Any) -> StimulusSet:
    stimuli = made(identities=20)
    table = stimuli.table.drop(columns="image_sha256").assign(**columns)
    return StimulusSet.from_arrays("made", table, list(stimuli.images()))


def divided(stimuli: StimulusSet, seed: int = 0, *, validate: bool = True, **data: Any) -> Division:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "load_stimuli", lambda name, progress, **kw: stimuli)
        stated = ImageData(stimuli="made", size=24, **data)
        return divide(stated, seed, validate=validate, quiet=True)


def parts(division: Division) -> list[set[str]]:
    assert division.validation is not None
    shown = (division.train, division.validation, division.test)
    return [set(part.table["image_sha256"]) for part in shown]


THREE_WAYS = ["train", "train", "val", "test"]
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "identities": ({}, {"held_out": "identities", "share": 0.2, "validation": 0.2}),
    "folds": ({}, {"folds": 5, "fold": 4}),
    "images": ({}, {"held_out": "images", "share": 0.25, "validation": 0.34}),
    "split of three": ({"split": THREE_WAYS * 20}, {"held_out": "split"}),
    "split of two": ({"split": ["train"] * 60 + ["val"] * 20}, {"held_out": "split"}),
    "split of nobody": (
        {"split": ["train"] * 60 + ["val"] * 20, "identity": ""},
        {"held_out": "split"},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_three_parts_are_apart_and_together_everything(case: str, seed: int) -> None:
    columns, data = CASES[case]
    stimuli = relabelled(**columns)
    division = divided(stimuli, seed, **data)
    train, validation, test = parts(division)
    assert min(map(len, (train, validation, test))) > 0
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)
    assert train | validation | test == set(stimuli.table["image_sha256"])
    assert division.seen() == {value[:16] for value in train | validation}
    usual = divided(stimuli, seed, validate=False, **data)
    assert usual.validation is None
    assert set(usual.test.table["image_sha256"]) >= test
    assert usual.seen() == {value[:16] for value in set(usual.train.table["image_sha256"])}


@pytest.mark.parametrize("case", ["identities", "folds", "split of two"])
def test_whoever_is_validated_on_is_nobody_who_is_trained_on_or_reported(case: str) -> None:
    columns, data = CASES[case]
    division = divided(relabelled(**columns), **data)
    assert division.validation is not None
    train, validation, test = (
        set(people_of(part.table)) for part in (division.train, division.validation, division.test)
    )
    assert validation.isdisjoint(train | test)
    assert case == "split of two" or not train & test


def test_the_val_images_of_a_split_are_those_that_are_validated_on() -> None:
    division = divided(relabelled(split=THREE_WAYS * 20), held_out="split")
    assert division.validation is not None
    assert set(division.validation.table["split"]) == {"val"}
    assert set(division.test.table["split"]) == {"test"}


def test_the_frames_of_a_clip_stay_together() -> None:
    clips = [f"clip {number // 4}" for number in range(80)]
    split = ["train"] * 60 + ["val"] * 20
    division = divided(relabelled(split=split, identity="", session=clips), held_out="split")
    assert division.validation is not None
    shown = (division.train, division.validation)
    train, validation = (set(part.table["session"]) for part in shown)
    assert validation
    assert not train & validation


def test_every_identity_is_tested_in_one_fold_and_validated_on_in_another() -> None:
    stimuli = relabelled()
    tested: list[str] = []
    validated: list[str] = []
    for fold in range(5):
        division = divided(stimuli, folds=5, fold=fold)
        assert division.validation is not None
        tested += sorted(set(people_of(division.test.table)))
        validated += sorted(set(people_of(division.validation.table)))
        assert set(division.test.table["head"]) == {"human", "monkey"}
    everybody = sorted(set(people_of(stimuli.table)))
    assert sorted(tested) == sorted(validated) == everybody


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"folds": 2}, "at least three folds"),
        ({"folds": 5, "fold": 5}, "fold is below their number"),
        ({"folds": 5, "held_out": "images"}, "folds deal identities"),
    ],
)
def test_folds_that_cannot_be(data: dict[str, Any], said: str) -> None:
    with pytest.raises(NeuroferError, match=said):
        make_recipe({**RECIPE, "data": {"stimuli": "made", "size": 24, **data}})


def test_too_few_people_are_named() -> None:
    with pytest.raises(NeuroferError, match="folds=30, but made has 20 identities"):
        divided(made(identities=20), folds=30)
    with pytest.raises(NeuroferError, match=r"a part of 0\.04 rounds to none of any head"):
        divided(made(identities=20), validate=False, share=0.04)


def test_the_fold_of_a_recipe_is_chosen_by_number() -> None:
    jaffe: Any = with_fold(read_recipe("ciao-jaffe"), 7)
    assert (jaffe.data.fold, jaffe.data.folds) == (7, 10)
    with pytest.raises(NeuroferError, match="fold=10, but recipe ciao-jaffe has the folds 0 to 9"):
        with_fold(jaffe, 10)
    with pytest.raises(NeuroferError, match=r"recipe heatmap deals no folds"):
        with_fold(read_recipe("heatmap"), 0)


def test_scores_that_chose_the_weights_are_called_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: relabelled())
    names = {}
    for validation, every in ((0, 2), (0.2, 2), (0, 0)):
        data = {"stimuli": "made", "size": 24, "validation": validation}
        recipe: Any = make_recipe({**RECIPE, "data": data, "evaluate_every": every})
        task = Task(recipe, World())
        names[validation, every] = set(task.evaluate(task.net().eval()))
        if not validation:
            assert task.division.validated is task.division.test
    plain = {"accuracy", "accuracy_human", "accuracy_monkey"}
    assert names[0.2, 2] == names[0, 0] == plain
    assert names[0, 2] == {f"validation_{name}" for name in plain}


def test_what_is_validated_is_what_is_scored_while_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: relabelled())
    recipe: Any = make_recipe({**RECIPE, "evaluate_every": 2})
    task = Task(recipe, World())
    scored: list[StimulusSet] = []

    def scores(self: Task, net: object, stimuli: StimulusSet, data: object) -> dict[str, float]:
        scored.append(stimuli)
        return {"accuracy": 1.0}

    monkeypatch.setattr(Task, "_scores", scores)
    assert task.validate(task.net()) == 1.0
    assert scored[0] is task.division.validation
    np.testing.assert_array_equal(task.images._stimuli.table, task.division.train.table)
