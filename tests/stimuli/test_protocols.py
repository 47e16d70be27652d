from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import EXPRESSIONS, StimulusSet, held_out, load_stimuli, protocol, protocols
from neurofer.stimuli.table import VIEWS

from .conftest import FakeRenderer

KINDS = ("bfs", "bfs-wide", "bfs-scales")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "seen", "left"), [("nine", 9, 96), ("nine-and-neutrals", 21, 84)])
def test_nothing_leaks(
    renderer: FakeRenderer, tmp_path: Path, kind: str, name: str, seen: int, left: int
) -> None:
    stimuli = load_stimuli(kind, size=16, cache=tmp_path)
    training = protocol(stimuli, name)
    test = held_out(stimuli, training)
    assert (len(training), len(test)) == (seen, left)
    assert not set(training.table["image_sha256"]) & set(test.table["image_sha256"])
    assert set(training.table["stimulus_id"]) | set(test.table["stimulus_id"]) == set(
        stimuli.table["stimulus_id"]
    )


def test_the_nine(renderer: FakeRenderer, tmp_path: Path) -> None:
    stimuli = load_stimuli("bfs", seeds=(7, 1, 2), size=16, cache=tmp_path)
    nine = protocol(stimuli, "nine").table
    neutrals = [(head, f"{head}-7", "neutral", 0.0) for head in ("human", "monkey", "cartoon")]
    shown = ("happy", "sad", "angry", "fear", "disgust", "surprise")
    expected = neutrals + [("human", "human-7", expression, 1.0) for expression in shown]
    found = nine[["head", "identity", "expression", "strength"]].itertuples(index=False, name=None)
    assert list(found) == expected
    assert set(nine["split"]) == {"train"}
    assert set(stimuli.table["stimulus_id"][stimuli.table["split"] == "train"]) == set(
        nine["stimulus_id"]
    )


def test_the_nine_of_a_strength_set_are_at_full_strength(
    renderer: FakeRenderer, tmp_path: Path
) -> None:
    strong = protocol(load_stimuli("bfs", size=16, cache=tmp_path), "nine")
    graded = protocol(load_stimuli("bfs-l", size=16, cache=tmp_path), "nine")
    assert graded.table["image_sha256"].tolist() == strong.table["image_sha256"].tolist()


def test_another_head_can_be_the_source(renderer: FakeRenderer, tmp_path: Path) -> None:
    stimuli = load_stimuli("bfs", size=16, seeds=(1, 2), cache=tmp_path)
    table = protocol(stimuli, "nine", head="monkey").table
    assert table["head"].tolist() == ["monkey", "human", "cartoon"] + ["monkey"] * 6


def test_what_is_lacking_is_named(renderer: FakeRenderer, tmp_path: Path) -> None:
    stimuli = load_stimuli("bfs", size=16, seeds=(1,), cache=tmp_path)
    with pytest.raises(NeuroferError, match="did you mean 'nine'"):
        protocol(stimuli, "nines")
    with pytest.raises(NeuroferError, match="did you mean 'human'"):
        protocol(stimuli, "nine", head="humans")
    with pytest.raises(NeuroferError, match=r"fear at full strength of identity 'human-1'"):
        protocol(stimuli.select(expression=["neutral", "happy", "sad", "angry"]), "nine")
    with pytest.raises(NeuroferError, match="empty"):
        held_out(stimuli, stimuli)


AVATARS = ("ada", "bo")


def avatars(each: int = 3, train: int = 2) -> StimulusSet:
    """Return a set in FERG's manner: the last of each avatar's images of an expression test."""
    rows = [
        {
            "stimulus_id": f"{head}_{expression}_{i}",
            "head": head,
            "identity": head,
            "expression": expression,
            "split": "train" if i < train else "test",
            "source": "simulated",
        }
        for head in AVATARS
        for i in reversed(range(each))
        for expression in EXPRESSIONS[:7]
    ]
    images = [np.full((1, 2, 3), i, np.uint8) for i in range(len(rows))]
    return StimulusSet.from_arrays("avatars", pd.DataFrame(rows), images)


def test_the_twelve_are_the_first_training_images() -> None:
    found = protocol(avatars(), "twelve-first", head="bo").table["stimulus_id"].tolist()
    assert found == ["ada_neutral_1", "bo_neutral_1"] + [
        f"bo_{expression}_1" for expression in EXPRESSIONS[1:7]
    ]
    anyone = protocol(avatars(), "twelve-first", head="any").table["stimulus_id"].tolist()
    assert anyone == found[:2] + [f"ada_{expression}_1" for expression in EXPRESSIONS[1:7]]
    assert protocol(avatars(), "twelve-first").table["head"].tolist()[2:] == ["ada"] * 6


@pytest.mark.parametrize(("head", "owners"), [("bo", {"bo"}), ("any", set(AVATARS))])
def test_the_optimized_twelve_are_chosen_by_the_score_among_training_images(
    head: str, owners: set[str]
) -> None:
    tried: list[tuple[str, set[str]]] = []

    def score(training: StimulusSet, candidates: np.ndarray) -> np.ndarray:
        table = training.table
        assert set(table["split"]) == {"train"}
        changing = np.flatnonzero((candidates != candidates[0]).any(axis=0))
        assert len(changing) == 1
        shown = table.iloc[candidates[:, changing[0]]]
        tried.append((shown["expression"].iloc[0], set(shown["head"])))
        assert len(set(shown["expression"])) == 1
        return shown["stimulus_id"].str.endswith("_0").to_numpy() * 1.0

    found = protocol(avatars(), "twelve-optimized", head=head, score=score)
    # the expressions in the order of the published search, each once, of the avatar or of all
    order = ["happy", "angry", "sad", "surprise", "fear", "disgust"]
    assert tried == [(expression, owners) for expression in order]
    ids = found.table["stimulus_id"].tolist()
    assert ids[:2] == ["ada_neutral_1", "bo_neutral_1"]
    assert ids[2:] == [f"{min(owners)}_{shown}_0" for shown in EXPRESSIONS[1:7]]


def test_of_equal_scores_the_first_image_is_kept() -> None:
    flat = protocol(avatars(), "twelve-optimized", score=lambda _, c: np.ones(len(c)))
    assert flat.content == protocol(avatars(), "twelve-first").content


def persons(left_out: str = "") -> StimulusSet:
    """Return a set in KDEF's manner: 21 women and 21 men, two sessions, five views."""
    rows = [
        {
            "stimulus_id": f"{session}{sex}{number:02d}-{expression}-{view}",
            "identity": f"{sex}{number:02d}",
            "expression": expression,
            "session": session,
            "view": view,
            "source": "simulated",
        }
        for session in "AB"
        for sex in "FM"
        for number in range(1, 22)
        for expression in ("neutral", "happy", "sad", "angry", "fear", "disgust")
        for view in VIEWS
    ]
    table = pd.DataFrame([row for row in rows if row["stimulus_id"] != left_out])
    images = [np.array([[[i % 256, i // 256, 0]]], np.uint8) for i in range(len(table))]
    return StimulusSet.from_arrays("persons", table, images)


def test_the_sets_of_views() -> None:
    stimuli = persons(left_out="AF03-happy-full-left")
    frontal = protocol(stimuli, "frontal").table
    assert set(frontal["view"]) == {"frontal"}
    assert len(frontal) == 2 * 42 * 6
    assert len(protocol(stimuli, "five-views")) == len(stimuli) - 4
    a = protocol(stimuli, "kdef-a").table
    assert len(a) == 40 * 5 * 5 - 1
    assert set(a["session"]) == {"A"}
    assert set(a["expression"]) == {"neutral", "happy", "sad", "angry", "fear"}
    assert "F21" not in set(a["identity"])
    assert a.groupby(a["identity"].str[0])["identity"].nunique().tolist() == [20, 20]
    few = protocol(stimuli, "kdef-b", persons=["F01", "M02"]).table
    assert (len(few), set(few["identity"])) == (50, {"F01", "M02"})


@pytest.mark.parametrize(
    ("make", "name", "parameters", "message"),
    [
        (avatars, "twelve", {}, "did you mean 'twelve-first'"),
        (avatars, "twelve-first", {"heads": "bo"}, "did you mean 'head'"),
        (avatars, "frontal", {"head": "bo"}, "it has nothing"),
        (avatars, "twelve-first", {"head": 1}, "head=1: give a text"),
        (persons, "kdef-b", {"persons": "F01"}, "persons='F01': give a list of texts"),
        (avatars, "twelve-first", {"head": "bob"}, "did you mean 'bo'"),
        (lambda: avatars(train=0), "twelve-first", {}, "split=train.* of neutral of ada"),
        (avatars, "twelve-optimized", {}, "needs score"),
        (avatars, "twelve-optimized", {"score": lambda _, c: c}, r"shape \(2, 8\) for 2"),
        (avatars, "frontal", {}, "view='frontal' is not in"),
        (avatars, "kdef-a", {}, "has 0 of the forty"),
        (persons, "kdef-b", {}, "identity='M25' is not in"),
    ],
)
def test_what_a_protocol_lacks_is_named(
    make: Callable[[], StimulusSet], name: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        protocol(make(), name, **parameters)


def test_every_protocol_is_described() -> None:
    assert set(protocols.PROTOCOLS) == set(protocols._CHOOSE)
