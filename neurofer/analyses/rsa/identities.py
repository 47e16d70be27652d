"""One identity's RDM of expressions and strengths: what others' RDMs and models predict of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.rsa.rdm.compare import constant, noise_ceiling, similarities
from neurofer.analyses.rsa.rdm.conditions import FEWEST_CONDITIONS, column_model, identity_patterns
from neurofer.analyses.rsa.rdm.distances import dissimilarities
from neurofer.analyses.rsa.rdm.matrices import upper
from neurofer.analyses.rsa.rdm.recorded import Recorded
from neurofer.analyses.statistics import cluster_interval


def within_identities(
    recorded: Recorded,
    distance: str,
    models: Sequence[str],
    control: Sequence[str],
    comparison: str,
    **bootstrap: int,
) -> xr.Dataset:
    """Return the noise ceiling over identities, and the models that vary within an identity.

    Args:
        recorded: of `read_rdm`.
        distance: one of `distances.DISTANCES`; of distances across folds nothing is computed.
        models: columns of the stimuli.
        control: columns of nuisance models; with any, nothing is computed.
        comparison: one of `compare.COMPARISONS`.
        bootstrap: `n_bootstrap` and `seed`.

    Returns:
        As `rsa.run`; without the ceiling, `attrs["noise_ceiling"]` says why.
    """
    if distance == "crossnobis" or control:
        what = "distances across folds" if distance == "crossnobis" else "controlled models"
        return xr.Dataset(attrs={"noise_ceiling": f"not computed within identities for {what}"})
    patterns, identities, conditions = identity_patterns(recorded.responses)
    if len(identities) < 2 or len(conditions) < FEWEST_CONDITIONS:
        return xr.Dataset(
            attrs={
                "noise_ceiling": f"not computed: {len(identities)} identities with "
                f"{len(conditions)} expressions and strengths in common"
            }
        )
    names = identities["identity"].tolist()
    raters = np.stack(
        [upper(dissimilarities(own, distance, noise=recorded.noise)) for own in patterns]
    )
    if constant(raters).any():
        flat = names[int(np.argmax(constant(raters)))]
        reason = f"not computed: all dissimilarities within identity {flat} are equal"
        return xr.Dataset(attrs={"noise_ceiling": reason})
    low, high = noise_ceiling(raters, comparison)
    found: dict[str, Any] = {
        "noise_ceiling_low": low,
        "noise_ceiling_high": high,
        "similarity_within_n": len(raters),
    }
    vectors = {
        model: upper(column_model(conditions, model)) for model in models if model in conditions
    }
    vectors = {model: vector for model, vector in vectors.items() if not constant(vector)[0]}
    if vectors:
        stacked = np.stack(list(vectors.values()))
        each = np.stack([similarities(rater, stacked, comparison) for rater in raters])
        head, identity = (identities[name].to_numpy().astype(str) for name in identities)
        intervals = [
            cluster_interval(np.nanmean, values, head, identity, identity, **bootstrap)
            for values in each.T
        ]
        found["similarity_within"] = ("model_within", each.mean(axis=0))
        found["similarity_within_low"] = ("model_within", [one.low for one in intervals])
        found["similarity_within_high"] = ("model_within", [one.high for one in intervals])
        found["model_within"] = list(vectors)
    note = f"over {len(raters)} identities, {len(conditions)} conditions each"
    return xr.Dataset(found, attrs={"noise_ceiling": note})
