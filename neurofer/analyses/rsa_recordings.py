"""Models against neural data: recordings of the same stimuli compared by their dissimilarities.

A model is another recording (a layer of a network, pixels, landmarks) or a column of the stimuli.
Rendered and photographed stimuli keep their names: what they are stands in `attrs["data"]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.conditions import column_values, make_conditions
from neurofer.analyses.dissimilarity import model_dissimilarities, square, upper
from neurofer.analyses.inputs import Responses, read_responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.rdm import DISTANCES, dissimilarities
from neurofer.analyses.rdm_compare import compare, residuals
from neurofer.analyses.rsa_inference import evaluate_models
from neurofer.errors import NeuroferError, unknown_choice

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

Model = xr.DataArray | str
# Distances of one pattern a condition; the others need trials (`rsa`, `rdm.crossnobis`).
OF_PATTERNS = ("correlation", "centred-correlation", "euclidean", "poisson")


def compare_recordings(
    recordings: Mapping[str, xr.DataArray],
    models: Mapping[str, Model],
    *,
    nuisance: Mapping[str, Model] | None = None,
    distance: str = "correlation",
    comparison: str = "corr",
    average: Sequence[str] | None = None,
    resample: str = "both",
    n_bootstrap: int = 1000,
    correction: str = "holm",
    seed: int = 0,
) -> xr.Dataset:
    """Evaluate models on recordings of several subjects or sessions, by `evaluate_models`.

    Args:
        recordings: name -> presentation x neuroid of one site, all of the same stimuli.
        models: name -> a recording of the same stimuli, or a column of the stimuli's table.
        nuisance: name -> the same; what it explains linearly is taken from the models
            (semipartial: the data are left whole).
        distance: one of `OF_PATTERNS`, for data and models.
        comparison: one of `rdm_compare.COMPARISONS`; "kendall" with nuisance is the semipartial
            tau of Schwartz et al. 2023.
        average: columns whose every combination is one condition; None: every stimulus is one.
        resample: "both", "stimuli" or "subjects".
        n_bootstrap: resamples.
        correction: of p-values, one of `rsa_inference.CORRECTIONS`.
        seed: of the resampling.

    Returns:
        As `evaluate_models`, with rdm (subject, stimulus, other) and model_rdm (model, stimulus,
        other), models less their nuisance.

    Raises:
        NeuroferError: recordings are of different stimuli (they are named), or as
            `evaluate_models`.
    """
    if not recordings:
        raise NeuroferError("recordings={} leaves nothing to explain: give at least one")
    if distance not in OF_PATTERNS:
        raise unknown_choice("distance", distance, OF_PATTERNS, "recordings of patterns")
    found = {name: _rdm(one, average, distance) for name, one in recordings.items()}
    first = next(iter(found))
    _, conditions, responses = found[first]
    names = conditions["name"].to_numpy().astype(str)

    def aligned(name: str, model: Model) -> np.ndarray:
        if isinstance(model, str):
            if model not in conditions or model == "name":
                raise unknown_choice("model", model, conditions.columns.drop("name"), "the stimuli")
            return model_dissimilarities(column_values(conditions, model))
        rdm, table, _ = _rdm(model, average, distance)
        _check_same(names, table, name, first)
        return rdm

    for name, (_, table, _) in found.items():
        _check_same(names, table, name, first)
    matrices = {name: aligned(name, model) for name, model in models.items()}
    matrices = _without(matrices, {n: aligned(n, m) for n, m in (nuisance or {}).items()})
    rdms = np.stack([rdm for rdm, _, _ in found.values()])
    result = evaluate_models(
        rdms,
        matrices,
        comparison,
        resample=resample,
        n_bootstrap=n_bootstrap,
        correction=correction,
        seed=seed,
    )
    result = result.assign_coords(subject=list(recordings), stimulus=names)
    dims = ("stimulus", "other_stimulus")
    result["rdm"] = (("subject", *dims), rdms)
    result["model_rdm"] = (("model", *dims), np.stack(list(matrices.values())))
    result.attrs.update(distance=DISTANCES[distance], nuisance=", ".join(nuisance or {}) or "none")
    options = {"comparison": comparison, "n_bootstrap": n_bootstrap, "seed": seed}
    options |= {"distance": distance, "resample": resample, "correction": correction}
    made = with_provenance(result, "rsa-recordings", recordings[first], responses, options)
    return made.assign_attrs(subject=", ".join(recordings))


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row a model of an evaluation: similarity, low, high, p, corrected p, n."""
    rows: list[dict[str, Any]] = []
    for name in result["model"].to_numpy().tolist():
        cell = result.sel(model=name)
        row = {"model": name, "similarity": float(cell["similarity"])}
        row |= {end: float(cell[f"similarity_{end}"]) for end in ("low", "high")}
        if "p_zero" in cell:
            row |= {"p": float(cell["p_zero"]), "p_corrected": float(cell["p_zero_corrected"])}
        row |= {"n_subjects": int(cell["n_subjects"]), "n_stimuli": int(cell["n_stimuli"])}
        rows.append(row)
    return pd.DataFrame(rows)


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
        recording: presentation x neuroid [x time_bin], of any number of sites.
        models: columns of the stimuli, or name -> (n, n) in the order of `conditions`.
        distance: one of `OF_PATTERNS`.
        comparison: one of `rdm_compare.COMPARISONS`.
        average: columns whose every combination is one condition; None: every stimulus is one.

    Returns:
        similarity (model, site, time_bin), and n conditions. A site whose patterns have no RDM at
        a time (all equal, or constant over units) is NaN there and `reason` (site, time_bin) says
        why; elsewhere `reason` is "".
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
    for i, site in enumerate(sites):
        for k in range(bins):
            responses = read_responses(recording.isel(time_bin=k), site)
            patterns, conditions = make_conditions(responses, average)
            vectors = _map_models(models, conditions)
            if found is None:
                found = np.full((len(vectors), len(sites), bins), np.nan)
            try:
                rdm = dissimilarities(patterns, distance, conditions["name"].tolist())
                found[:, i, k] = compare(upper(rdm), np.stack(list(vectors.values())), comparison)[
                    0
                ]
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
        attrs={"distance": DISTANCES[distance], "comparison": comparison},
    )
    options = {"distance": distance, "comparison": comparison}
    return with_provenance(result, "rsa-map", recording, responses, options)


def rdms_to_rsatoolbox(
    rdms: np.ndarray, conditions: pd.DataFrame, subjects: Sequence[str], distance: str
) -> RDMs:
    """Return (subjects, n, n) dissimilarities as rsatoolbox's RDMs, with the table's columns."""
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


def _rdm(
    recording: xr.DataArray, average: Sequence[str] | None, distance: str
) -> tuple[np.ndarray, pd.DataFrame, Responses]:
    responses = read_responses(recording, None)
    patterns, conditions = make_conditions(responses, average)
    return (
        dissimilarities(patterns, distance, conditions["name"].tolist()),
        conditions,
        responses,
    )


def _check_same(names: np.ndarray, table: pd.DataFrame, name: str, first: str) -> None:
    own = table["name"].to_numpy().astype(str)
    if np.array_equal(own, names):
        return
    only = sorted(set(own) ^ set(names.tolist()))
    what = f"{len(only)} are in one of them only ({', '.join(only[:3])})" if only else "reordered"
    raise NeuroferError(
        f"recording {name!r} has {len(own)} stimuli and {first!r} has {len(names)}, and they are "
        f"not the same: {what}; record both with the same stimuli, or take those in common"
    )


def _without(
    models: Mapping[str, np.ndarray], nuisance: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the models less what the nuisance explains, as matrices."""
    if not nuisance or not models:
        return dict(models)
    of_nuisance = np.stack([upper(one) for one in nuisance.values()])
    left = residuals(np.stack([upper(one) for one in models.values()]), of_nuisance)
    return {name: square(one) for name, one in zip(models, left, strict=True)}


def _map_models(
    models: Mapping[str, np.ndarray] | Sequence[str], conditions: pd.DataFrame
) -> dict[str, np.ndarray]:
    if isinstance(models, Mapping):
        return {name: upper(np.asarray(model)) for name, model in models.items()}
    found = {}
    for name in models:
        if name not in conditions or name == "name":
            raise unknown_choice("model", name, conditions.columns.drop("name"), "the conditions")
        found[name] = upper(model_dissimilarities(column_values(conditions, name)))
    return found
