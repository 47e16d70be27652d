from __future__ import annotations

from pathlib import Path

import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import held_out, load_stimuli, protocol

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
