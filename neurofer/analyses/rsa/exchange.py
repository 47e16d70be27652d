"""RDMs to rsatoolbox and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def rdms_to_rsatoolbox(
    rdms: np.ndarray, conditions: pd.DataFrame, subjects: Sequence[str], distance: str
) -> RDMs:
    """Return (subjects, n, n) dissimilarities as rsatoolbox's RDMs, with the table's columns.

    Args:
        rdms: (subjects, n, n) dissimilarities.
        conditions: n rows.
        subjects: their names.
        distance: the name of the measure.
    """
    from rsatoolbox.rdm import RDMs

    return RDMs(
        np.asarray(rdms, np.float64),
        dissimilarity_measure=distance,
        rdm_descriptors={"subject": list(subjects)},
        pattern_descriptors={str(c): conditions[c].tolist() for c in conditions},
    )


def rdms_from_rsatoolbox(rdms: RDMs) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Return (rdms, n, n) dissimilarities, the table of the conditions and that of the RDMs.

    Raises:
        NeuroferError: dissimilarities are missing (NaN).
    """
    matrices = np.asarray(rdms.get_matrices(), np.float64)
    if not np.isfinite(matrices).all():
        raise NeuroferError(
            f"{int((~np.isfinite(matrices)).any(axis=0).sum() // 2)} pairs of the RDMs are "
            "missing (NaN): leave out their conditions with subset_pattern"
        )
    return matrices, pd.DataFrame(rdms.pattern_descriptors), pd.DataFrame(rdms.rdm_descriptors)
