"""What is left of RDMs without the nuisance: for partial and semipartial similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurofer.analyses.rsa.rdm.compare import ranks, tied
from neurofer.errors import NeuroferError, unknown_choice

PARTIAL = ("corr", "spearman")


def less_nuisance(
    data: np.ndarray,
    models: np.ndarray,
    nuisance: np.ndarray,
    comparison: str,
    *,
    partial: bool = False,
    names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return data and models less what the nuisance explains linearly, and how to compare these.

    The data are left whole (with Kendall's tau, the semipartial tau of Schwartz et al. 2023, J.
    Neurosci. 43:4291), or regressed also (partial correlation, for "spearman" of the ranks of all
    three).

    Args:
        data: (a, pairs).
        models: (models, pairs).
        nuisance: (k, pairs), such as those of pixels, landmarks or views.
        comparison: one of `compare.COMPARISONS`; "corr" or "spearman" if partial.
        partial: whether the nuisance is taken from the data also.
        names: (models,) for messages.

    Raises:
        NeuroferError: a model is a linear function of the nuisance, or there is no such partial
            similarity.
    """
    if not partial:
        return np.atleast_2d(data), residuals(models, nuisance, names), comparison
    if comparison not in PARTIAL:
        raise unknown_choice("comparison", comparison, PARTIAL, "partial similarity")
    sides = [np.atleast_2d(one) for one in (data, models, nuisance)]
    if comparison == "spearman":
        sides = [ranks(tied(one)) for one in sides]
    return residuals(sides[0], sides[2]), residuals(sides[1], sides[2], names), "corr"


def residuals(
    vectors: np.ndarray, nuisance: np.ndarray, names: Sequence[str] | None = None
) -> np.ndarray:
    """Return what is left of (a, pairs) after linear regression on (k, pairs) and a constant.

    Args:
        vectors: (a, pairs) dissimilarities.
        nuisance: (k, pairs) dissimilarities.
        names: of the vectors, for the message.

    Raises:
        NeuroferError: nothing is left of a vector, which is named by `names`, or by its number:
            the nuisance explains it wholly.
    """
    vectors = np.atleast_2d(np.asarray(vectors, np.float64))
    nuisance = np.atleast_2d(np.asarray(nuisance, np.float64))
    design = np.vstack([np.ones(nuisance.shape[1]), nuisance]).T
    weights, *_ = np.linalg.lstsq(design, vectors.T, rcond=None)
    left = vectors - (design @ weights).T
    spread = vectors - vectors.mean(axis=1, keepdims=True)
    explained = np.einsum("ij,ij->i", left, left) <= 1e-20 * np.einsum("ij,ij->i", spread, spread)
    if explained.any():
        first = int(np.argmax(explained))
        who = f"number {first + 1} of {len(vectors)} RDMs" if names is None else repr(names[first])
        raise NeuroferError(
            f"{who} is a linear function of the nuisance, so that nothing of it is left to "
            "compare: leave it out, or the part of the nuisance that equals it"
        )
    return left
