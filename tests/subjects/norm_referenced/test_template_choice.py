"""The score by which FERG's templates are chosen, against the subject that learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurofer import record
from neurofer.errors import NeuroferError
from neurofer.stimuli import EXPRESSIONS, StimulusSet, protocol
from neurofer.stimuli.protocols import SHOWN
from neurofer.subjects import load_subject
from neurofer.subjects.norm_referenced.subject import MdNre

WIDTH = 56


def faces(landmarks: bool = True) -> StimulusSet:
    """Return two avatars that show each expression three times, more and more, in other places."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(6, 10, 2))
    rows, points = [], []
    for a, head in enumerate(("ada", "bo")):
        base = rng.uniform(15, 41, (13, 2))
        base[10:] = [(20, 20), (36, 20), (28, 30 + a)]  # eyes and nose
        for take in range(3):
            for i, expression in enumerate(EXPRESSIONS[:7]):
                rows.append({"head": head, "identity": head, "expression": expression})
                moved = base.copy()
                if i:
                    shown = directions[i - 1] + 0.7 * rng.normal(size=(10, 2))
                    if (head, take, i) == ("ada", 0, 1):  # a happy image that is the opposite
                        shown = -shown
                    moved[:10] += shown * (1.5 + 0.3 * take + a)
                points.append((moved - 28) * rng.uniform(0.9, 1.1) + 28 + rng.normal(size=2))
    table = pd.DataFrame(rows).assign(split="train", source="simulated")
    images = [np.full((WIDTH, WIDTH, 3), i, np.uint8) for i in range(len(rows))]
    return StimulusSet.from_arrays("faces", table, images, np.array(points) if landmarks else None)


def learned(stimuli: StimulusSet, row: np.ndarray, head: str, options: dict[str, Any]) -> float:
    """Return the accuracy of `md-nre` that has learned from a candidate."""
    subject = load_subject(
        "md-nre", training=stimuli.take(row), landmarks="ground-truth", **options
    )
    asked = stimuli if head == "any" else stimuli.select(head=head)
    recording = record(subject, asked, sites=["decision"])
    names = recording["unit"].values.astype(str)
    answers = names[recording.values.argmax(axis=1)]
    return float((answers == recording["expression"].values).mean())


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("ada", {}),
        ("bo", {"align": "none", "normalisation": "categorical"}),
        ("any", {"neutral_threshold": 0.5, "rectification": "after-sum"}),
    ],
)
def test_the_score_is_the_accuracy_of_the_subject(head: str, options: dict[str, Any]) -> None:
    """The templates of a candidate may be those of several avatars."""
    stimuli = faces()
    rng = np.random.default_rng(0)
    shown = stimuli.table["expression"].to_numpy()
    candidates = np.array(
        [[0, 21, *(rng.choice(np.flatnonzero(shown == one)) for one in SHOWN)] for _ in range(5)]
    )
    candidates[0, 2] = 1
    found = MdNre.training_score(head, **options)(stimuli, candidates)
    assert len(set(found.tolist())) > 1
    expected = [learned(stimuli, row, head, options) for row in candidates]
    np.testing.assert_allclose(found, expected)


def test_the_optimized_templates_are_better_than_the_first() -> None:
    stimuli = faces()
    score = MdNre.training_score("ada")
    chosen = protocol(stimuli, "twelve-optimized", head="ada", score=score)
    first = protocol(stimuli, "twelve-first", head="ada")
    place = {one: i for i, one in enumerate(stimuli.table["stimulus_id"])}
    rows = [[place[one] for one in some.table["stimulus_id"]] for some in (first, chosen)]
    before, after = score(stimuli, np.array(rows))
    assert before < after
    assert rows[0][2] != rows[1][2]  # another happy image


def test_what_the_score_needs_is_named() -> None:
    candidate = np.array([[0, 21, 1, 2, 3, 4, 5, 6]])
    with pytest.raises(NeuroferError, match="no landmarks"):
        MdNre.training_score("ada")(faces(landmarks=False), candidate)
    with pytest.raises(NeuroferError, match="no neutral template of the head 'bo'"):
        MdNre.training_score("ada")(faces(), candidate[:, [0, 2, 3, 4, 5, 6, 7]])
