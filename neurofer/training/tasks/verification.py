"""Do two images show one person? How well the features of a network tell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError


def verification_auc(features: np.ndarray, identities: np.ndarray) -> float:
    """Return the area under the ROC curve of the cosine between features, over all pairs.

    It is the probability that two images of one person are more alike than two of two people.

    Args:
        features: (n, d); centred here by their mean.
        identities: (n,) who is shown.

    Raises:
        NeuroferError: no two images show one person, or all do.
    """
    centred = features - features.mean(0)
    centred = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(features), 1)
    same = identities[first] == identities[second]
    return pair_auc((centred @ centred.T)[first, second], same)


def pair_auc(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (n,) for pairs that show one person or two.

    Raises:
        NeuroferError: all pairs are of one kind.
    """
    if same.all() or not same.any():
        raise NeuroferError(
            "verification needs pairs of one person and pairs of two; there are "
            f"{int(same.sum())} and {int((~same).sum())}"
        )
    positive = int(same.sum())
    # The statistic of Mann and Whitney, divided by the number of pairs of pairs.
    ranks = pd.Series(scores).rank().to_numpy()
    above = ranks[same].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(same) - positive)))
