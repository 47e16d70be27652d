"""Weighted models: non-negative mixtures of RDMs, fitted on some conditions, tried on others."""

from __future__ import annotations

import numpy as np

from neurofer.analyses.rsa.rdm.compare import compare
from neurofer.analyses.rsa.rdm.matrices import n_conditions
from neurofer.errors import NeuroferError, unknown_choice

FITTED_FOR = ("cosine", "corr")
# A test fold of three conditions has three dissimilarities, fewer have none that vary.
FEWEST_IN_FOLD = 3


def fit_weights(
    subjects: np.ndarray, components: np.ndarray, comparison: str = "corr"
) -> np.ndarray:
    """Return (components,) weights of the mixture most similar to the RDMs, none below zero.

    They are those of rsatoolbox's `fit_regress_nn`: non-negative least squares on the pooled RDM,
    of length 1.

    Args:
        subjects: (subjects, pairs).
        components: (components, pairs).
        comparison: "cosine", or "corr", which regresses on a constant also.

    Raises:
        NeuroferError: the comparison has no such fit, or no component resembles the RDMs.
    """
    from scipy.optimize import nnls

    if comparison not in FITTED_FOR:
        raise unknown_choice("comparison", comparison, FITTED_FOR, "weighted models")
    subjects, components = np.atleast_2d(subjects), np.atleast_2d(components)
    if comparison == "corr":
        subjects = subjects - subjects.mean(axis=1, keepdims=True)
        components = components - components.mean(axis=1, keepdims=True)
    pooled = (subjects / np.sqrt((subjects**2).mean(axis=1, keepdims=True))).mean(axis=0)
    weights, _ = nnls(components.T, pooled)
    length = np.sqrt((weights**2).sum())
    if length == 0:
        raise NeuroferError(
            "no component resembles the RDMs, so that their best mixture is nothing: add a "
            "component, or evaluate them one by one"
        )
    return weights / length


def crossvalidated_weighted(
    subjects: np.ndarray,
    components: np.ndarray,
    comparison: str = "corr",
    *,
    n_folds: int = 5,
    seed: int = 0,
    fit: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a weighted model is worth on conditions that it was not fitted to.

    The conditions are split at random; weights are fitted on the pairs within the others, and the
    mixture compared with each subject on the pairs within the fold.

    Args:
        subjects: (subjects, pairs).
        components: (components, pairs).
        comparison: "cosine" or "corr".
        n_folds: parts of the conditions, each of three at least.
        seed: of the split.
        fit: fit the weights; False: all are 1.

    Returns:
        (subjects,) mean similarity over folds and (n_folds, components) weights.

    Raises:
        NeuroferError: there are too few conditions for the folds, or an RDM is constant in one.
    """
    subjects, components = np.atleast_2d(subjects), np.atleast_2d(components)
    n = n_conditions(subjects.shape[1])
    if n_folds < 2 or n < FEWEST_IN_FOLD * n_folds:
        raise NeuroferError(
            f"{n} conditions cannot be split into n_folds={n_folds}: it must be 2 to "
            f"{n // FEWEST_IN_FOLD}, so that each fold has {FEWEST_IN_FOLD} conditions"
        )
    fold = np.random.default_rng(seed).permutation(np.arange(n) % n_folds)
    row, column = np.triu_indices(n, 1)
    found, weights = [], []
    for k in range(n_folds):
        train = (fold[row] != k) & (fold[column] != k)
        test = (fold[row] == k) & (fold[column] == k)
        weights.append(
            fit_weights(subjects[:, train], components[:, train], comparison)
            if fit
            else np.ones(len(components))
        )
        mixture = weights[-1] @ components[:, test]
        found.append(compare(subjects[:, test], mixture, comparison)[:, 0])
    return np.mean(found, axis=0), np.array(weights)
