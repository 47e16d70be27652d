"""Models against neural data: recordings of the same stimuli compared by their dissimilarities.

A model is another recording (a layer of a network, pixels, landmarks) or a column of the stimuli.
`compare_recordings` takes every distance and comparison, and nuisance models for partial and
semipartial similarity; `compare_weighted` mixes models, cross-validated; `similarity_map` is of
every site at every time. All have `table` and `figure`.
Rendered and photographed stimuli keep their names: what they are stands in `attrs["data"]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.rsa.exchange import rdms_from_rsatoolbox, rdms_to_rsatoolbox
from neurofer.analyses.rsa.inference.evaluate import evaluate_models, evaluated, without_constant
from neurofer.analyses.rsa.inference.mixtures import crossvalidated_weighted
from neurofer.analyses.rsa.inference.variance import subjects_spread
from neurofer.analyses.rsa.map import similarity_map
from neurofer.analyses.rsa.rdm.conditions import column_model
from neurofer.analyses.rsa.rdm.distances import DISTANCES, OF_PATTERNS
from neurofer.analyses.rsa.rdm.matrices import square, upper
from neurofer.analyses.rsa.rdm.nuisance import less_nuisance
from neurofer.analyses.rsa.rdm.recorded import OF_TRIALS, Recorded, read_rdm
from neurofer.analyses.rsa.repeats import reliability_of_repeats
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import MOST_RESAMPLES, Seed, at_least, checked, within

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "compare_recordings",
    "compare_weighted",
    "figure",
    "rdms_from_rsatoolbox",
    "rdms_to_rsatoolbox",
    "similarity_map",
    "table",
]
Model = xr.DataArray | str
WEIGHTED = "weighted"


@checked
def compare_recordings(
    recordings: Mapping[str, xr.DataArray],
    models: Mapping[str, Model],
    *,
    nuisance: Mapping[str, Model] | None = None,
    partial: bool = False,
    distance: str = "correlation",
    model_distance: str | None = None,
    comparison: str = "corr",
    average: Sequence[str] | None = None,
    folds: str | None = None,
    resample: str = "both",
    n_bootstrap: Annotated[int, within(2, MOST_RESAMPLES)] = 1000,
    correction: str = "holm",
    variance: str = "corrected",
    seed: Seed = 0,
) -> xr.Dataset:
    """Evaluate models on recordings of several subjects or sessions, by `evaluate_models`.

    Args:
        recordings: name -> presentation x neuroid of one site, all of the same stimuli; single
            trials are taken as `rdm.recorded.read_rdm` says.
        models: name -> a recording of the same stimuli, or a column of the stimuli's table.
        nuisance: name -> the same; what it explains linearly is taken from the models
            (semipartial: the data are left whole), and the intervals do not know of it.
        partial: take it from the data also (partial: "corr", or "spearman" of ranks).
        distance: one of `DISTANCES`, for the data; "mahalanobis" and "crossnobis" take the
            noise from trials of a stimulus or, without, from presentations of the same condition
            and need 'average'.
        model_distance: for the models, one of `OF_PATTERNS`; None: that of the data, and
            "euclidean" for "mahalanobis" and "crossnobis", as a model has no noise.
        comparison: one of `compare.COMPARISONS`, such as "corr_cov", which is whitened;
            "kendall" with nuisance is the semipartial tau of Schwartz et al. 2023.
        average: columns whose every combination is one condition; None: every stimulus is one.
        folds: column of what was recorded independently, such as the session, for "crossnobis".
        resample: "both", "stimuli" or "subjects".
        n_bootstrap: resamples.
        correction: of p-values, one of `evaluate.CORRECTIONS`.
        variance: one of `evaluate.VARIANCES`.
        seed: of the resampling.

    Returns:
        As `evaluate_models`, with rdm (subject, stimulus, other) and model_rdm (model, stimulus,
        other), models (and data, if partial) less the nuisance. Of single trials also reliability
        (subject), of an RDM (`repeats`); one subject has its noise ceiling from its repeats.

    Raises:
        NeuroferError: recordings are of different stimuli (they are named), or as
            `evaluate_models`.
    """
    read = _read(recordings, models, nuisance, distance, model_distance, average, folds)
    rdms, matrices, made_of = _less_nuisance(read, comparison, partial=partial)
    result = evaluate_models(
        rdms,
        matrices,
        made_of,
        resample=resample,
        n_bootstrap=n_bootstrap,
        correction=correction,
        variance=variance,
        seed=seed,
        subjects=read.names,
    )
    result["rdm"] = (("subject", "stimulus", "other_stimulus"), rdms)
    result["model_rdm"] = (
        ("model", "stimulus", "other_stimulus"),
        np.stack([matrices[name] for name in result["model"].to_numpy().tolist()]),
    )
    options = {"comparison": comparison, "n_bootstrap": n_bootstrap, "seed": seed}
    options |= {"distance": distance, "resample": resample, "correction": correction}
    options |= {"partial": partial, "folds": folds, "variance": variance}
    if not partial:
        result = _with_reliability(result, read, distance, comparison, average, seed)
    kind = ("partial " if partial else "semipartial ") if nuisance else ""
    result.attrs["comparison"] = kind + comparison
    return _finished(result, read, distance, nuisance, "rsa-recordings", options)


@checked
def compare_weighted(
    recordings: Mapping[str, xr.DataArray],
    models: Mapping[str, Model],
    *,
    distance: str = "correlation",
    model_distance: str | None = None,
    comparison: str = "corr",
    average: Sequence[str] | None = None,
    folds: str | None = None,
    n_folds: Annotated[int, at_least(2)] = 5,
    correction: str = "holm",
    seed: Seed = 0,
) -> xr.Dataset:
    """Evaluate the best mixture of models, cross-validated over stimuli, beside each alone.

    Weights, none negative, are fitted to all recordings on some of the stimuli and tried on the
    others (`mixtures.crossvalidated_weighted`); intervals and tests are for other subjects.

    Args:
        recordings: name -> presentation x neuroid of one site, two at least, as
            `compare_recordings`, which also explains the other options.
        models: name -> what is mixed.
        distance: of the data.
        model_distance: of the models.
        comparison: "corr" or "cosine".
        average: columns whose every combination is one condition; None: every stimulus is one.
        folds: column of what was recorded independently, for "crossnobis".
        n_folds: parts of the stimuli.
        correction: of p-values.
        seed: of the split.

    Returns:
        As `evaluate_models` over subjects, with a model "weighted" before the others, all on the
        stimuli that were left out, without a noise ceiling; weight (fold, component).
    """
    read = _read(recordings, models, None, distance, model_distance, average, folds)
    if len(recordings) < 2:
        raise NeuroferError(
            "weighted models are tested over recordings and there is 1: give two at least, or "
            "use inference.mixtures.crossvalidated_weighted"
        )
    if WEIGHTED in models:
        raise NeuroferError(f"{WEIGHTED!r} is the name of the mixture: rename that model")
    data = np.stack([upper(one) for one in read.rdms])
    vectors, left_out = without_constant(
        {name: upper(one) for name, one in read.models.items()},
        f"the {len(read.conditions)} conditions",
        comparison,
    )
    components = np.stack(list(vectors.values()))
    each, weights = crossvalidated_weighted(
        data, components, comparison, n_folds=n_folds, seed=seed
    )
    alone = [
        crossvalidated_weighted(data, one[None], comparison, n_folds=n_folds, seed=seed, fit=False)
        for one in components
    ]
    each = np.stack([each, *(found for found, _ in alone)], axis=1)
    result = evaluated([WEIGHTED, *vectors], each, subjects_spread(each), comparison, correction)
    result["weight"] = (("fold", "component"), weights)
    result = result.assign(n_subjects=len(data), n_stimuli=len(read.conditions))
    result = result.assign_coords(component=list(vectors))
    result.attrs.update(
        comparison=f"cross-validated {comparison}",
        resampled="subjects",
        correction=correction,
        left_out=left_out,
        noise_ceiling="not computed: the stimuli are in folds",
    )
    options = {"comparison": comparison, "n_folds": n_folds, "seed": seed, "folds": folds}
    options |= {"distance": distance, "correction": correction}
    return _finished(result, read, distance, None, "rsa-weighted", options)


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per model of an evaluation: similarity, low, high, p, corrected p, n."""
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


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the figure of evaluations (a panel each), or of maps, by name."""
    from neurofer.analyses.rsa.recordings_figures import evaluation_figure, map_figure

    maps = ["time_bin" in one.dims for one in results.values()]
    if any(maps) and not all(maps):
        raise NeuroferError("maps and evaluations have different figures: draw them apart")
    return map_figure(results) if any(maps) else evaluation_figure(results)


@dataclass(frozen=True)
class _Read:
    """What was read: (subjects, n, n) data, (n, n) models and nuisance, and of what stimuli."""

    rdms: np.ndarray
    models: dict[str, np.ndarray]
    nuisance: dict[str, np.ndarray]
    conditions: pd.DataFrame
    recorded: dict[str, Recorded]
    first: xr.DataArray

    @property
    def names(self) -> list[str]:
        """Names of the subjects."""
        return list(self.recorded)


def _read(
    recordings: Mapping[str, xr.DataArray],
    models: Mapping[str, Model],
    nuisance: Mapping[str, Model] | None,
    distance: str,
    model_distance: str | None,
    average: Sequence[str] | None,
    folds: str | None,
) -> _Read:
    if not recordings:
        raise NeuroferError("recordings={} leaves nothing to explain: give at least one")
    if distance not in DISTANCES:
        raise unknown_choice("distance", distance, DISTANCES)
    of_models = model_distance or ("euclidean" if distance in OF_TRIALS else distance)
    if of_models not in OF_PATTERNS:
        raise unknown_choice("model_distance", of_models, OF_PATTERNS, "models")
    first, *others = recordings
    found = {
        name: read_rdm(one, None, distance, average, folds) for name, one in recordings.items()
    }
    conditions = found[first].conditions
    for name in others:
        _check_same(conditions, found[name].conditions, name, first)

    def aligned(name: str, model: Model) -> np.ndarray:
        if isinstance(model, str):
            return column_model(conditions, model, "the stimuli")
        made = read_rdm(model, None, of_models, average, None)
        _check_same(conditions, made.conditions, name, first)
        return made.rdm

    return _Read(
        np.stack([one.rdm for one in found.values()]),
        {name: aligned(name, model) for name, model in models.items()},
        {name: aligned(name, model) for name, model in (nuisance or {}).items()},
        conditions,
        found,
        recordings[first],
    )


def _less_nuisance(
    read: _Read, comparison: str, *, partial: bool
) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """Return data and models less what the nuisance explains, and how to compare what is left."""
    if not read.nuisance:
        if partial:
            raise NeuroferError("partial=True needs nuisance={name: model} to be taken out")
        return read.rdms, read.models, comparison
    if not read.models:
        return read.rdms, {}, comparison
    data, models, nuisance = (
        np.stack([upper(one) for one in many])
        for many in (read.rdms, read.models.values(), read.nuisance.values())
    )
    names = list(read.models)
    data, models, comparison = less_nuisance(
        data, models, nuisance, comparison, partial=partial, names=names
    )
    left = {name: square(one) for name, one in zip(names, models, strict=True)}
    return np.stack([square(one) for one in data]), left, comparison


def _with_reliability(
    result: xr.Dataset,
    read: _Read,
    distance: str,
    comparison: str,
    average: Sequence[str] | None,
    seed: int,
) -> xr.Dataset:
    """Add the reliability of subjects with single trials; of one subject, its noise ceiling."""
    if all(one.trials is None for one in read.recorded.values()):
        return result
    found = {
        name: reliability_of_repeats(one, distance, comparison, average, seed=seed)
        for name, one in read.recorded.items()
    }
    values = [float(one.get("reliability", np.nan)) for one in found.values()]
    said = {name: one.attrs["reliability"] for name, one in found.items()}
    result = result.assign(reliability=("subject", values))
    result.attrs["reliability"] = "; ".join(f"{name}: {what}" for name, what in said.items())
    if len(found) > 1:
        return result
    (name, own), ends = next(iter(found.items())), ("low", "high")
    if "repeats_ceiling_low" not in own:
        return result.assign_attrs(noise_ceiling=said[name])
    result = result.assign({f"noise_ceiling_{end}": own[f"repeats_ceiling_{end}"] for end in ends})
    return result.assign_attrs(noise_ceiling=f"of repeats: {said[name]}")


def _finished(
    result: xr.Dataset,
    read: _Read,
    distance: str,
    nuisance: Mapping[str, Model] | None,
    analysis: str,
    options: dict[str, Any],
) -> xr.Dataset:
    names = read.conditions["name"].to_numpy().astype(str)
    result = result.assign_coords(subject=read.names, stimulus=names)
    result.attrs.update(distance=DISTANCES[distance], nuisance=", ".join(nuisance or {}) or "none")
    for key in dict.fromkeys(key for one in read.recorded.values() for key in one.said):
        said = {name: str(one.said.get(key, "none")) for name, one in read.recorded.items()}
        told = [f"{name}: {what}" for name, what in said.items() if what != "none"]
        result.attrs[key] = " | ".join(told) or "none"
    responses = next(iter(read.recorded.values())).responses
    made = with_provenance(result, analysis, read.first, responses, options)
    return made.assign_attrs(subject=", ".join(read.names))


def _check_same(conditions: pd.DataFrame, table: pd.DataFrame, name: str, first: str) -> None:
    names, own = (one["name"].to_numpy().astype(str) for one in (conditions, table))
    if np.array_equal(own, names):
        return
    only = sorted(set(own) ^ set(names.tolist()))
    what = f"{len(only)} are in one of them only ({', '.join(only[:3])})" if only else "reordered"
    raise NeuroferError(
        f"recording {name!r} has {len(own)} stimuli and {first!r} has {len(names)}, and they are "
        f"not the same: {what}; record both with the same stimuli, or take those in common"
    )
