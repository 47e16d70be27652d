"""Similarity with models of every site of a recording at every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.rsa.inference.evaluate import without_constant
from neurofer.analyses.rsa.rdm.compare import compare
from neurofer.analyses.rsa.rdm.conditions import column_model, make_conditions
from neurofer.analyses.rsa.rdm.distances import DISTANCES, OF_PATTERNS, dissimilarities
from neurofer.analyses.rsa.rdm.matrices import upper
from neurofer.analyses.rsa.rdm.recorded import usable_responses
from neurofer.errors import NeuroferError, unknown_choice


def similarity_map(
    recording: xr.DataArray,
    models: Mapping[str, np.ndarray] | Sequence[str],
    *,
    distance: str = "correlation",
    comparison: str = "spearman",
    average: Sequence[str] | None = None,
) -> xr.Dataset:
    """Return the similarity with models of every site at every time: a layer-by-time map.

    Args:
        recording: presentation x neuroid [x time_bin], of any number of sites; single trials are
            averaged, and what lacks a unit or stimulus is set aside (`attrs["set_aside"]`).
        models: columns of the stimuli, or name -> (n, n) in the order of `conditions`.
        distance: one of `OF_PATTERNS`.
        comparison: one of `compare.COMPARISONS`.
        average: columns whose every combination is one condition; None: every stimulus is one.

    Returns:
        similarity (model, site, time_bin), and n conditions. A site whose patterns have no RDM at
        a time (all equal, or constant over units) is NaN there and `reason` (site, time_bin) says
        why; elsewhere `reason` is "". Models that are constant over the conditions are left out,
        and `attrs["left_out"]` names them.
    """
    if distance not in OF_PATTERNS:
        raise unknown_choice("distance", distance, OF_PATTERNS, "a map")
    if "time_bin" not in recording.dims:
        recording = recording.expand_dims("time_bin", axis=-1)
    sites = [None]
    if "site" in recording.coords:
        sites = list(dict.fromkeys(recording["site"].to_numpy().astype(str).tolist()))
    bins = recording.sizes["time_bin"]
    reason = np.full((len(sites), bins), "", dtype=object)
    found: np.ndarray | None = None
    aside: set[str] = set()
    for i, site in enumerate(sites):
        for k in range(bins):
            responses, _, said = usable_responses(recording.isel(time_bin=k), site)
            aside |= {f"{site or 'all'}: {what}" for what in said.values() if what != "none"}
            patterns, conditions = make_conditions(responses, average)
            vectors, left_out = _map_models(models, conditions, comparison)
            if found is None:
                found = np.full((len(vectors), len(sites), bins), np.nan)
            try:
                rdm = dissimilarities(patterns, distance, conditions["name"].tolist())
                stacked = np.stack(list(vectors.values()))
                found[:, i, k] = compare(
                    upper(rdm), stacked, comparison, names=[f"site {site or 'all'}"]
                )[0]
            except NeuroferError as error:
                reason[i, k] = str(error)
    if found is None or (reason != "").all():
        raise NeuroferError(f"no site has an RDM at any time; the first: {reason[0, 0]}")
    coords: dict[str, Any] = {"model": list(vectors), "site": [one or "all" for one in sites]}
    for name in ("time_bin_start", "time_bin_end"):
        if name in recording.coords:
            coords[name] = ("time_bin", recording[name].to_numpy())
    result = xr.Dataset(
        {
            "similarity": (("model", "site", "time_bin"), found),
            "reason": (("site", "time_bin"), reason.astype(str)),
            "n": len(conditions),
        },
        coords=coords,
        attrs={
            "distance": DISTANCES[distance],
            "comparison": comparison,
            "left_out": left_out or "none",
            "set_aside": "; ".join(sorted(aside)) or "none",
        },
    )
    options = {"distance": distance, "comparison": comparison}
    return with_provenance(result, "rsa-map", recording, responses, options)


def _map_models(
    models: Mapping[str, np.ndarray] | Sequence[str], conditions: pd.DataFrame, comparison: str
) -> tuple[dict[str, np.ndarray], str]:
    """Return the models that vary over the conditions, and which do not."""
    if isinstance(models, Mapping):
        vectors = {name: upper(np.asarray(model)) for name, model in models.items()}
    else:
        vectors = {name: upper(column_model(conditions, name)) for name in models}
    return without_constant(vectors, f"the {len(conditions)} conditions", comparison)
