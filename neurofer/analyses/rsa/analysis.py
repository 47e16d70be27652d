"""Representational similarity: which stimuli a population tells apart, and by what.

One recording against columns of its stimuli. Several recordings (subjects, sessions) against
models that may be recordings themselves, whitened, partial, weighted and cross-validated, with
tests of and between models, are `rsa.recordings`; sites by time are its `similarity_map`.

Dissimilarities, comparisons and noise ceilings are those of rsatoolbox (Kriegeskorte, Mur &
Bandettini 2008, Front. Syst. Neurosci. 2:4; Nili et al. 2014, PLOS Comput. Biol. 10:e1003553);
intervals, over identities, are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.provenance import ACTIVITY, PURE, with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.rsa.exchange import to_rsatoolbox as to_rsatoolbox
from neurofer.analyses.rsa.identities import within_identities
from neurofer.analyses.rsa.inference.clusters import similarity_intervals
from neurofer.analyses.rsa.inference.evaluate import without_constant
from neurofer.analyses.rsa.rdm.compare import (
    PLAIN,
    constant,
    similarities,
    tied,
)
from neurofer.analyses.rsa.rdm.conditions import (
    FEWEST_CONDITIONS,
    column_model,
    column_values,
)
from neurofer.analyses.rsa.rdm.distances import DISTANCES
from neurofer.analyses.rsa.rdm.matrices import model_dissimilarities, upper
from neurofer.analyses.rsa.rdm.nuisance import residuals
from neurofer.analyses.rsa.rdm.recorded import Recorded, read_rdm
from neurofer.analyses.rsa.repeats import reliability_of_repeats
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import MOST_RESAMPLES, Seed, within

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MODELS = ("expression", "head", "identity")
# Of dissimilarities; those of other distances are pure numbers.
_UNITS = {"euclidean": f"{ACTIVITY}^2", "poisson": ACTIVITY}


def run(
    recording: xr.DataArray,
    site: str | None = None,
    *,
    distance: Literal[
        "correlation", "centred-correlation", "euclidean", "mahalanobis", "crossnobis", "poisson"
    ] = "correlation",
    models: Sequence[str] = MODELS,
    comparison: Literal["spearman", "kendall", "tau-a", "rho-a", "cosine", "corr"] = "spearman",
    average: Sequence[str] | None = None,
    folds: str | None = None,
    control: Sequence[str] = (),
    n_bootstrap: Annotated[int, within(2, MOST_RESAMPLES)] = 1000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Compare a population's dissimilarities with those of models, and identities with each other.

    Args:
        recording: presentation x neuroid; single trials are taken as `rdm.recorded.read_rdm`
            says.
        site: the site; None if the recording has one only.
        distance: one of `distances.DISTANCES`; "mahalanobis" and "crossnobis" take the noise from
            trials of the same stimulus or, where a stimulus was presented once, of the same
            condition, which 'average' then has to make.
        models: columns of the stimuli. A column of strings makes a categorical model (0 for the
            same, 1 for different; "identity" means head and identity), one of numbers, such as
            "strength", the absolute difference.
        comparison: "spearman", "kendall" (tau-b), "tau-a", "rho-a", "cosine" or "corr".
        average: columns whose every combination is one condition; None: every presentation is one.
        folds: column of what was recorded independently, such as the session, for "crossnobis";
            single trials need none.
        control: columns whose models are nuisance: what they explain linearly is taken from every
            model first (semipartial; the intervals do not know of it).
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        A Dataset. Intervals of similarities are 95 %, Student's t with the bootstrap's standard
        error over identities, or over expressions where identities are fewer than five
        (`attrs["interval"]`). The noise ceiling bounds `similarity_within` and not `similarity`,
        which is over all stimuli; where there is none, `attrs["noise_ceiling"]` says why.

        rdm (stimulus, other) [1]: dissimilarities; with distance="euclidean" in activity^2, with
            "poisson" in activity, which is the unit of the recording.
        similarity, _low, _high (model) [1]: of the RDM with each model.
        n () [1]: conditions.
        noise_ceiling_low, noise_ceiling_high () [1], if identities share four conditions: how well
            the mean RDM of the other identities (low) or of all (high) predicts that of one.
        similarity_within, _low, _high (model_within) [1], if models vary within an identity: mean
            similarity of one identity's RDM of expressions and strengths with these models.
        similarity_within_n () [1], if models vary within an identity: identities.
        unit_reliability_half, unit_reliability (neuroid) [1], if there are single trials:
            correlation over stimuli of two halves of the trials, and of all trials with as many.
        reliability_half, reliability () [1], if there are single trials: the same of RDMs, see
            `repeats.reliability_of_repeats`.
        repeats_ceiling_low, repeats_ceiling_high () [1], if there are single trials: the noise
            ceiling of one animal, which bounds `similarity`; none for taus.

    Raises:
        NeuroferError: a choice is unknown, a pattern is constant over units (correlation), there
            are fewer than four conditions, or every model or the RDM is constant. Models that are
            constant beside others are left out: `attrs["left_out"]` names them.

    >>> from neurofer.simulation import coding_units, simulated_faces
    >>> faces = simulated_faces(heads=("human",), strengths=(1.0,))
    >>> result = run(coding_units(faces, ("expression",), 30, noise=0.1), n_bootstrap=20)
    >>> result["similarity"].idxmax().item()
    'expression'
    """
    for name, value, choices in (
        ("distance", distance, DISTANCES),
        ("comparison", comparison, PLAIN),
    ):
        if value not in choices:
            raise unknown_choice(name, value, choices)
    recorded = read_rdm(recording, site, distance, average, folds)
    vectors, left_out = _model_vectors(recorded.conditions, models, recorded.rdm)
    vectors = _controlled(vectors, recorded.conditions, control)
    resampling = {"n_bootstrap": n_bootstrap, "seed": seed}
    result = _similarity(recorded, vectors, comparison, **resampling)
    within = within_identities(recorded, distance, models, control, comparison, **resampling)
    repeats = reliability_of_repeats(recorded, distance, comparison, average, seed=seed)
    result = result.merge(within).merge(repeats)
    result.attrs.update(
        recorded.said,
        noise_ceiling=within.attrs["noise_ceiling"],
        reliability=repeats.attrs["reliability"],
        distance=DISTANCES[distance],
        comparison=comparison,
        equal_models=_equal_models(vectors),
        left_out=left_out or "none",
        control=", ".join(control) or "none",
    )
    options = {
        "distance": distance,
        "models": list(models),
        "comparison": comparison,
        "average": None if average is None else list(average),
        "folds": folds,
        "control": list(control),
        "n_bootstrap": n_bootstrap,
        "seed": seed,
    }
    units = {"rdm": _UNITS.get(distance, PURE)}
    return with_provenance(result, "rsa", recording, recorded.responses, options, units)


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per model: model, similarity, low, high, n (conditions), scope, interval.

    `scope` is "all stimuli" or "within identities"; the noise ceiling is the last row's of its
    scope, as low and high.
    """
    rows = []
    for scope, dim, name in (
        ("all stimuli", "model", "similarity"),
        ("within identities", "model_within", "similarity_within"),
    ):
        if name not in result:
            continue
        for model in result[dim].to_numpy().tolist():
            cell = result.sel({dim: model})
            rows.append({"model": model, "scope": scope, **_numbers(cell, name)})
        if scope == "all stimuli" and "repeats_ceiling_low" in result:
            rows.append({**_ceiling(result, "repeats"), "scope": scope, "n": int(result["n"])})
    if "noise_ceiling_low" in result:
        n = int(result["similarity_within_n"])
        rows.append({**_ceiling(result, "noise"), "scope": "within identities", "n": n})
    return pd.DataFrame(rows)


def figure(results: Mapping[str, xr.Dataset], *, view: str = "similarity") -> Figure:
    """Return the RDM beside its similarity to the models ("similarity"), or an "mds" view."""
    from neurofer.analyses.rsa.figures import VIEWS

    if view not in VIEWS:
        raise unknown_choice("view", view, VIEWS)
    return VIEWS[view](results)


def _ceiling(result: xr.Dataset, kind: str) -> dict[str, Any]:
    name = "noise ceiling" if kind == "noise" else "noise ceiling of repeats"
    ends = {end: round(float(result[f"{kind}_ceiling_{end}"]), 3) for end in ("low", "high")}
    return {"model": name, "scope": "", "similarity": np.nan, **ends}


def _numbers(cell: xr.Dataset, name: str) -> dict[str, Any]:
    return {
        "similarity": round(float(cell[name]), 3),
        "low": round(float(cell[f"{name}_low"]), 3),
        "high": round(float(cell[f"{name}_high"]), 3),
        "n": int(cell["n" if name == "similarity" else f"{name}_n"]),
    }


def _model_vectors(
    conditions: pd.DataFrame, models: Sequence[str], rdm: np.ndarray
) -> tuple[dict[str, np.ndarray], str]:
    """Return the models that vary over the conditions, and which do not."""
    if len(conditions) < FEWEST_CONDITIONS:
        raise NeuroferError(
            f"{len(conditions)} conditions make too few dissimilarities to be compared: at least "
            f"{FEWEST_CONDITIONS} are needed"
        )
    if constant(upper(rdm))[0]:
        raise NeuroferError("all dissimilarities are equal: the site tells no stimuli apart")
    if not models:
        raise NeuroferError("models=() leaves nothing to compare with: name at least one column")
    vectors = {model: upper(column_model(conditions, model)) for model in models}
    return without_constant(vectors, f"the {len(conditions)} conditions")


def _controlled(
    vectors: Mapping[str, np.ndarray], conditions: pd.DataFrame, control: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the models' dissimilarities less what the columns of `control` explain."""
    if not control:
        return dict(vectors)
    for column in control:
        if column not in conditions or column in vectors:
            choices = [c for c in conditions.columns.drop("name") if c not in vectors]
            raise unknown_choice("control", column, choices, "the conditions beside the models")
    nuisance = [upper(model_dissimilarities(column_values(conditions, c))) for c in control]
    left = residuals(np.stack(list(vectors.values())), np.stack(nuisance), list(vectors))
    return dict(zip(vectors, left, strict=True))


def _similarity(
    recorded: Recorded,
    vectors: Mapping[str, np.ndarray],
    comparison: str,
    *,
    n_bootstrap: int,
    seed: int,
) -> xr.Dataset:
    """Return the RDM and its similarity with every model, with intervals."""
    rdm, conditions = recorded.rdm, recorded.conditions
    vector, stacked = upper(rdm), np.stack(list(vectors.values()))
    found = similarities(vector, stacked, comparison)
    intervals, method = similarity_intervals(
        found, vector, stacked, conditions, comparison, n_bootstrap=n_bootstrap, seed=seed
    )
    return xr.Dataset(
        {
            "rdm": (("stimulus", "other"), rdm),
            "similarity": ("model", found),
            "similarity_low": ("model", intervals[:, 0]),
            "similarity_high": ("model", intervals[:, 1]),
            "n": len(conditions),
        },
        coords=_condition_coordinates(conditions, list(vectors)),
        attrs={"interval": method},
    )


def _equal_models(vectors: Mapping[str, np.ndarray]) -> str:
    """Name models that are the same on these stimuli: heads and identities, if one per head."""
    names = list(vectors)
    return ", ".join(
        f"{a} = {b}"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if np.array_equal(tied(vectors[a]), tied(vectors[b]))
    )


def _condition_coordinates(conditions: pd.DataFrame, models: Sequence[str]) -> dict[str, Any]:
    names = conditions["name"].to_numpy().astype(str)
    kept = [c for c in ("head", "identity", "expression", "strength") if c in conditions]
    columns = {column: ("stimulus", column_values(conditions, column)) for column in kept}
    return {"stimulus": names, "other": names, "model": list(models), **columns}


ANALYSIS = Analysis(
    name="rsa",
    summary="dissimilarities against expression, head and identity models; noise ceiling",
    run=run,
    table=table,
    figure=figure,
)
