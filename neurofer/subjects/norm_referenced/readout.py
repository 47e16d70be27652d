"""The readout: difference vectors, tuning vectors, and the projection of Eq. 3.

Stettler et al. 2023, Eq. 3: the unit of expression m responds with

    v_m = sum_l [ d_l . n_{l,m} ]_+ ,

where d_l = s_l - r_l is how far landmark l lies from its place in the reference, and n_{l,m} is
the unit vector along its displacement t_{l,m} in the one training image of expression m. The
original code computes several variants of it; they are options here, the paper's is the default.

Landmarks that were not found are NaN and contribute nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

NORMALISATIONS: Final = ("individual", "categorical", "frobenius", "maximum")
RECTIFICATIONS: Final = ("per-landmark", "after-sum", "running-sum", "none")

# Shorter displacements (pixels) than this are rounding, not a direction.
STILL = 1e-6


def difference_vectors(landmarks: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return d = s - r; landmarks that are missing in either stay NaN.

    Args:
        landmarks: (n, l, 2) in the frame of the head, pixels.
        reference: (l, 2), or (n, l, 2) where every image has a reference of its own.
    """
    return np.asarray(landmarks, dtype=np.float64) - np.asarray(reference, dtype=np.float64)


def normalise_tuning(tuning: np.ndarray, normalisation: str = "individual") -> np.ndarray:
    """Return the tuning vectors that differences are projected on.

    Args:
        tuning: displacements t (m, l, 2) of every landmark in the training image of each
            expression, pixels.
        normalisation: what each t_{l,m} is divided by:
            "individual": its own length (n of Eq. 3: a landmark that hardly moved in training
            counts as much as one that moved far);
            "categorical": the length of t_m over all landmarks, so that landmarks weigh by how
            far they moved; "frobenius": the same number under the name of the matrix norm, as the
            original offers both;
            "maximum": t_m at unit length first, then each landmark by its longest displacement
            over expressions (the `ft_2norm` of the original's BFS model).

    Returns:
        (m, l, 2); a landmark that did not move at all has the zero vector.

    Raises:
        NeuroferError: unknown normalisation, or an array of another shape.
    """
    tuning = np.nan_to_num(_as_vectors(tuning, "tuning"))
    length = np.linalg.norm(tuning, axis=-1, keepdims=True)
    whole = np.sqrt((length**2).sum(axis=1, keepdims=True))
    if normalisation == "individual":
        return _divide(tuning, length)
    if normalisation in ("categorical", "frobenius"):
        return _divide(tuning, whole)
    if normalisation == "maximum":
        unit = _divide(tuning, whole)
        return _divide(unit, np.linalg.norm(unit, axis=-1, keepdims=True).max(axis=0))
    raise unknown_choice("normalisation", normalisation, NORMALISATIONS)


def project(
    differences: np.ndarray,
    tuning: np.ndarray,
    *,
    normalisation: str = "individual",
    rectification: str = "per-landmark",
) -> np.ndarray:
    """Return the activity v of the norm-referenced units, (n, m), pixels (Eq. 3).

    Args:
        differences: d (n, l, 2), pixels; NaN where a landmark is missing.
        tuning: displacements t (m, l, 2) in the training images.
        normalisation: see `normalise_tuning`.
        rectification: "per-landmark", [.]_+ of each landmark's projection (Eq. 3); "after-sum",
            of their sum; "running-sum", of the sum after each landmark in turn, which depends on
            their order (the original's library); "none".

    Raises:
        NeuroferError: an unknown choice, or shapes that do not fit.
    """
    differences = np.nan_to_num(_as_vectors(differences, "differences"))
    directions = normalise_tuning(tuning, normalisation)
    if differences.shape[1] != directions.shape[1]:
        raise NeuroferError(
            f"differences have {differences.shape[1]} landmarks and tuning vectors have "
            f"{directions.shape[1]}"
        )
    projections = np.einsum("nld,mld->nml", differences, directions)
    if rectification == "per-landmark":
        return np.maximum(projections, 0.0).sum(axis=-1)
    if rectification == "after-sum":
        return np.maximum(projections.sum(axis=-1), 0.0)
    if rectification == "running-sum":
        activity = np.zeros(projections.shape[:2])
        for landmark in range(projections.shape[-1]):
            activity = np.maximum(activity + projections[..., landmark], 0.0)
        return activity
    if rectification == "none":
        return projections.sum(axis=-1)
    raise unknown_choice("rectification", rectification, RECTIFICATIONS)


def training_activity(
    tuning: np.ndarray, *, normalisation: str = "individual", rectification: str = "per-landmark"
) -> np.ndarray:
    """Return each unit's activity for its own training image, (m,), pixels.

    Args:
        tuning: (m, landmarks, 2) tuning vectors, pixels.
        normalisation: as for the readout.
        rectification: as for the readout.
    """
    activity = project(tuning, tuning, normalisation=normalisation, rectification=rectification)
    return np.diagonal(activity).copy()


def decide(activity: np.ndarray, thresholds: np.ndarray | float) -> np.ndarray:
    """Return the evidence for neutral and for each expression, (n, 1 + m); argmax is the answer.

    An expression's evidence is its unit's activity where that lies above the unit's threshold,
    and 0 elsewhere. Neutral has the evidence 1 where no unit lies above its threshold, else 0.

    Args:
        activity: v (n, m).
        thresholds: (m,) or one number, in the unit of the activity.
    """
    activity = np.asarray(activity, dtype=np.float64)
    evidence = np.where(activity > thresholds, activity, 0.0)
    # Without rectification an activity, and with it a threshold, can lie below zero.
    evidence = np.maximum(evidence, 0.0)
    neutral = (evidence == 0).all(axis=1, keepdims=True).astype(np.float64)
    # Neutral's 1 only ever competes with zeros.
    return np.concatenate([neutral, evidence], axis=1)


def _as_vectors(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 3 or array.shape[-1] != 2:
        raise NeuroferError(f"{name} must be (n, landmarks, 2), got {array.shape}")
    return array


def _divide(vectors: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Divide, with zero where the length is nothing."""
    return np.where(length > STILL, vectors / np.maximum(length, STILL), 0.0)
