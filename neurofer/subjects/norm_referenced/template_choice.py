"""How well six template images tell the expressions apart: the score of "twelve-optimized".

After the search of Stettler et al. 2023: the accuracy on the training images of the avatar whose
images are chosen, from landmarks alone. An avatar's reference is its neutral template, with no
shift or scale; a unit's activity is the projection of Eq. 3; neutral is answered below a threshold
of 5 in units of the feature map, which is 56 wide. The original's projections are rectified in a
running sum, here per landmark as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.stimuli import EXPRESSIONS, StimulusSet
from neurofer.stimuli.protocols import SHOWN
from neurofer.subjects.norm_referenced.readout import decide, difference_vectors, project

THRESHOLD = 5 / 56
"""Below this share of the image's width, summed over landmarks, the answer is neutral."""


def template_score(head: str) -> Callable[[StimulusSet, np.ndarray], np.ndarray]:
    """Return the score of `neurofer.stimuli.protocols.optimize_twelve`.

    Args:
        head: the avatar whose training images are answered; "any" for all.

    The score takes the training images, which must have landmarks, and (m, k + 6) positions: a
    neutral of each of k heads and six expressions. It returns (m,) accuracies. It raises a
    NeuroferError where there are no landmarks or a head has no neutral.
    """

    def score(training: StimulusSet, candidates: np.ndarray) -> np.ndarray:
        table, landmarks = training.table, training.landmarks
        if landmarks is None:
            raise NeuroferError(
                f"stimulus set {training.name!r} has no landmarks, by which templates are chosen"
            )
        everyone = np.full(len(table), head == "any")
        asked = np.flatnonzero(everyone | (table["head"] == head).to_numpy())
        truth = np.array([EXPRESSIONS.index(one) for one in table["expression"].iloc[asked]])
        differences = difference_vectors(
            landmarks[:, :10], _references(training, landmarks, candidates[0, : -len(SHOWN)])
        )
        threshold = THRESHOLD * training.image(0).shape[1]
        templates = candidates[:, -len(SHOWN) :]
        activity = project(differences[asked], differences[templates[0]])
        scores = np.empty(len(candidates))
        for i, row in enumerate(templates):
            changed = row != templates[0]
            mine = activity.copy()
            if changed.any():
                mine[:, changed] = project(differences[asked], differences[row[changed]])
            answers = decide(mine, threshold).argmax(axis=1)
            scores[i] = (answers == truth).mean()
        return scores

    return score


def _references(training: StimulusSet, landmarks: np.ndarray, neutrals: np.ndarray) -> np.ndarray:
    """Return the landmarks of each image's own head at rest, (n, 10, 2)."""
    heads = training.table["head"]
    own = {heads.iloc[i]: landmarks[i, :10] for i in neutrals}
    for head in dict.fromkeys(heads):
        if head not in own:
            raise NeuroferError(f"there is no neutral template of the head {head!r}")
    return np.stack([own[head] for head in heads])
