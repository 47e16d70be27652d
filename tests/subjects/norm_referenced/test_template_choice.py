"""The score by which FERG's templates are chosen, against counting by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import EXPRESSIONS, StimulusSet, protocol
from neurofer.stimuli.protocols import SHOWN
from neurofer.subjects.norm_referenced.template_choice import THRESHOLD, template_score

WIDTH = 56


def faces(landmarks: bool = True) -> StimulusSet:
    """Return two avatars that show each expression three times, more and more."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(6, 10, 2))
    rows, points = [], []
    for a, head in enumerate(("ada", "bo")):
        base = rng.uniform(10, 46, (13, 2))
        for take in range(3):
            for i, expression in enumerate(EXPRESSIONS[:7]):
                rows.append({"head": head, "identity": head, "expression": expression})
                moved = base.copy()
                if i:
                    shown = directions[i - 1]
                    if (head, take, i) == ("ada", 0, 1):  # a happy image that is the opposite
                        shown = -shown
                    moved[:10] += shown * (1.5 + 0.3 * take + a)
                points.append(moved)
    table = pd.DataFrame(rows).assign(split="train", source="simulated")
    images = [np.full((WIDTH, WIDTH, 3), i, np.uint8) for i in range(len(rows))]
    return StimulusSet.from_arrays("faces", table, images, np.array(points) if landmarks else None)


def count(stimuli: StimulusSet, row: np.ndarray, head: str) -> float:
    """Count the right answers of one candidate, image by image and landmark by landmark."""
    table, points = stimuli.table, stimuli.landmarks
    assert points is not None
    neutrals = {table["head"][i]: points[i, :10] for i in row[:-6]}
    right = []
    for i in table.index[(table["head"] == head) | (head == "any")]:
        d = points[i, :10] - neutrals[table["head"][i]]
        evidence = []
        for template in row[-6:]:
            t = points[template, :10] - neutrals[table["head"][template]]
            lengths = np.hypot(*t.T)
            evidence.append(
                sum(max(0.0, float(d[k] @ t[k]) / lengths[k]) for k in range(10) if lengths[k] > 0)
            )
        best = int(np.argmax(evidence))
        answer = SHOWN[best] if evidence[best] > THRESHOLD * WIDTH else "neutral"
        right.append(answer == table["expression"][i])
    return float(np.mean(right))


@pytest.mark.parametrize("head", ["ada", "bo", "any"])
def test_scores_are_the_accuracies_counted_by_hand(head: str) -> None:
    stimuli = faces()
    rng = np.random.default_rng(0)
    shown = stimuli.table["expression"].to_numpy()
    candidates = np.array(
        [[0, 21, *(rng.choice(np.flatnonzero(shown == one)) for one in SHOWN)] for _ in range(5)]
    )
    candidates[0, 2] = 1
    found = template_score(head)(stimuli, candidates)
    assert len(set(found.tolist())) > 1
    np.testing.assert_allclose(found, [count(stimuli, row, head) for row in candidates])


def test_the_optimized_templates_are_better_than_the_first() -> None:
    stimuli = faces()
    score = template_score("ada")
    chosen = protocol(stimuli, "twelve-optimized", head="ada", score=score)
    first = protocol(stimuli, "twelve-first", head="ada")
    place = {one: i for i, one in enumerate(stimuli.table["stimulus_id"])}
    rows = [[place[one] for one in some.table["stimulus_id"]] for some in (first, chosen)]
    before, after = score(stimuli, np.array(rows))
    assert before < after
    assert after == pytest.approx(20 / 21)  # all but the wrong image
    assert rows[0][2] != rows[1][2]  # another happy image
    assert rows[0][3:] == rows[1][3:]


def test_what_the_score_needs_is_named() -> None:
    candidate = np.array([[0, 21, 1, 2, 3, 4, 5, 6]])
    with pytest.raises(NeuroferError, match="no landmarks"):
        template_score("ada")(faces(landmarks=False), candidate)
    with pytest.raises(NeuroferError, match="no neutral template of the head 'bo'"):
        template_score("ada")(faces(), candidate[:, [0, 2, 3, 4, 5, 6, 7]])
