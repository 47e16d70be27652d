"""How well six template images tell the expressions apart: the score of "twelve-optimized".

After the search of Stettler et al. 2023: the accuracy on the training images of the avatar whose
images are chosen, by the readout of the model that is to learn from them. Landmarks are the
stimuli's own. The original's search has a threshold of its own (5 cells of the feature map, summed
over landmarks) and no alignment; here both are those of `md-nre`, so that what is optimised is
what is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.stimuli import EXPRESSIONS, StimulusSet
from neurofer.stimuli.protocols import SHOWN
from neurofer.stimuli.table import need_canonical
from neurofer.subjects.norm_referenced.readout import (
    decide,
    difference_vectors,
    project,
    training_activity,
)
from neurofer.subjects.norm_referenced.reference import face_frame

OPTIONS = ("align", "vertical_prior", "normalisation", "rectification", "neutral_threshold")
"""The options of `md-nre` that the score heeds."""


def template_score(head: str, **options: Any) -> Callable[[StimulusSet, np.ndarray], np.ndarray]:
    """Return the score of `neurofer.stimuli.protocols.optimize_twelve`.

    The score takes the training images, which must have landmarks, and (m, k + 6) positions: a
    neutral of each of k heads and six expressions. It returns (m,) accuracies. It raises a
    NeuroferError where there are no landmarks or a head has no neutral.

    Args:
        head: the avatar whose training images are answered; "any" for all.
        options: all of `OPTIONS`, as `md-nre` has them. Others are ignored.
    """
    chosen = {name: options[name] for name in OPTIONS}
    readout = {name: chosen[name] for name in ("normalisation", "rectification")}

    def score(training: StimulusSet, candidates: np.ndarray) -> np.ndarray:
        table = training.table
        everyone = np.full(len(table), head == "any")
        asked = np.flatnonzero(everyone | (table["head"] == head).to_numpy())
        need_canonical(table["expression"].iloc[asked], "the protocol twelve-optimized")
        truth = np.array([EXPRESSIONS.index(one) for one in table["expression"].iloc[asked]])
        neutrals, templates = candidates[0, : -len(SHOWN)], candidates[:, -len(SHOWN) :]
        differences = _differences(training, neutrals, chosen["align"], chosen["vertical_prior"])

        def activity_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            tuning = differences[rows]
            whole = training_activity(tuning, **readout)
            return project(differences[asked], tuning, **readout), whole

        activity, whole = activity_of(templates[0])
        scores = np.empty(len(candidates))
        for i, row in enumerate(templates):
            mine, thresholds, changed = activity.copy(), whole.copy(), row != templates[0]
            if changed.any():
                mine[:, changed], thresholds[changed] = activity_of(row[changed])
            answers = decide(mine, chosen["neutral_threshold"] * thresholds).argmax(axis=1)
            scores[i] = (answers == truth).mean()
        return scores

    return score


def _differences(
    training: StimulusSet, neutrals: np.ndarray, align: str, vertical_prior: float
) -> np.ndarray:
    """Return d of every image from its own head at rest, in the head's frame, (n, 10, 2)."""
    landmarks, heads = training.landmarks, training.table["head"]
    if landmarks is None:
        raise NeuroferError(
            f"stimulus set {training.name!r} has no landmarks, by which templates are chosen"
        )
    own = {heads.iloc[i]: landmarks[i] for i in neutrals}
    for head in dict.fromkeys(heads):
        if head not in own:
            raise NeuroferError(f"there is no neutral template of the head {head!r}")
    rest = np.stack([own[head] for head in heads])
    frame = face_frame(landmarks[:, 10:], rest[:, 10:], align=align, vertical_prior=vertical_prior)
    return difference_vectors(frame.to_frame(landmarks), rest)[:, :10]
