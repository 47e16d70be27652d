"""The RDM of a recording by any distance, with noise and folds from its presentations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurofer.analyses.conditions import condition_index
from neurofer.analyses.inputs import Responses
from neurofer.analyses.noise import Noise, shrunk_noise
from neurofer.analyses.rdm import condition_residuals, crossnobis, dissimilarities
from neurofer.analyses.rdm_patterns import Means
from neurofer.errors import NeuroferError, unknown_choice

# Distances of presentations, that one pattern a condition does not have.
OF_TRIALS = ("mahalanobis", "crossnobis")


def recorded_rdm(
    responses: Responses,
    patterns: Means,
    conditions: pd.DataFrame,
    distance: str,
    average: Sequence[str] | None,
    folds: str | None,
) -> tuple[np.ndarray, Noise | None]:
    """Return the RDM of a recording, and the noise where the distance takes it.

    Args:
        responses: of the presentations.
        patterns: of `make_conditions`.
        conditions: their table.
        distance: one of `rdm.DISTANCES`.
        average: columns whose every combination is a condition; None: every presentation is one.
        folds: column of what was recorded independently, for "crossnobis".

    Raises:
        NeuroferError: folds are missing, not taken or unknown, no condition was presented twice,
            or as `dissimilarities` and `crossnobis`.
    """
    if (distance == "crossnobis") != (folds is not None):
        raise NeuroferError(
            f"distance={distance!r} with folds={folds!r}: 'crossnobis', and no other distance, "
            "takes a column of folds, such as 'session'"
        )
    names = conditions["name"].tolist()
    if distance not in OF_TRIALS:
        return dissimilarities(patterns, distance, names), None
    index = condition_index(responses, average, conditions)
    trials, freedom = condition_residuals(responses.activity, index)
    noise = shrunk_noise(trials, freedom=freedom, names=responses.neuroid.tolist())
    if folds is None:
        return dissimilarities(patterns, distance, names, noise=noise), noise
    if folds not in responses.stimuli:
        raise unknown_choice("folds", folds, responses.stimuli.columns, "the recording")
    fold = responses.column(folds)
    return crossnobis(responses.activity, index, fold, noise=noise, names=names), noise
