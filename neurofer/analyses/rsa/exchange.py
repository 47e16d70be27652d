"""RDMs to rsatoolbox and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def to_rsatoolbox(result: xr.Dataset) -> RDMs:
    """Return a result's RDMs as rsatoolbox takes them, with the conditions as pattern descriptors.

    Args:
        result: of `rsa.run` or of `compare_recordings`.
    """
    coords = result.coords.items()
    columns = {str(name): one.to_numpy() for name, one in coords if one.dims == ("stimulus",)}
    subjects = [str(name) for name in np.atleast_1d(result.get("subject", result.attrs["subject"]))]
    n = result.sizes["stimulus"]
    rdms = rdms_to_rsatoolbox(
        result["rdm"].to_numpy().reshape(-1, n, n),
        pd.DataFrame(columns),
        subjects,
        result.attrs["distance"],
    )
    rdms.descriptors |= {name: result.attrs[name] for name in ("subject", "stimuli")}
    return rdms


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
