"""Probe: how much of a column of the stimuli a linear decoder reads from a population.

By default the expression, of people that the decoder has never seen; or the identity, the head or
any other column, on views, sessions or heads that it has never seen. The decoder's penalty is
chosen inside the training part, again between people (views, heads). Raw pixels and a network with
random weights belong beside every probe: they say how hard the stimuli are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.decoding.decoders import largest_unit
from neurofer.analyses.decoding.folds import (
    DEALT,
    IDENTITY,
    IMAGE,
    check_classes,
    groups_of,
    make_folds,
)
from neurofer.analyses.decoding.nested import PATHS, RIDGE, nested_answers, permuted
from neurofer.analyses.decoding.summary import (
    VARIABLES,
    accuracies,
    confusions,
    exchange_note,
    numbered,
    percent_row,
    permuted_chance,
    summarise,
    target_values,
)
from neurofer.analyses.gram import gram_matrix
from neurofer.analyses.inputs import ALL, KEEP, MEAN, Responses, read_responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import MOST_RESAMPLES, Resamples, Seed, at_least, within

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ARGMAX = "argmax"


def run(
    recording: xr.DataArray,
    site: str | Sequence[str] | None = None,
    *,
    target: str = "expression",
    by: str = IDENTITY,
    decoder: Literal["ridge", "logistic", "lda", "argmax"] = "ridge",
    trials: Literal["mean", "keep"] = "mean",
    folds: Annotated[int, at_least(2)] = 5,
    n_permutations: Annotated[int, within(0, MOST_RESAMPLES)] = 0,
    n_bootstrap: Resamples = 2000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return how much of a column is read correctly: over all images, by view, value and fold.

    Args:
        recording: presentation x neuroid.
        site: one site or several; None for all of the recording.
        target: the column that is read: "expression", "identity" (with its head), "head", another.
        by: what training, tuning and test never share: "identity", dealt into `folds`; "image",
            likewise; or another column ("view", "head", "session", "expression"), of which one
            value after the other is left out.
        decoder: "ridge" (least squares on the values, the largest answers), "logistic", "lda"
            (shrunk covariance), each with the penalty that is best for three parts of its training
            part, the largest of equals; or "argmax" over the labelled units: nothing is fitted.
        trials: of a stimulus that is there several times: "mean" reads their mean, "keep" each one
            by itself. Trials of one stimulus are never both tested and trained or tuned with, so
            that `by` may not be a column of which every value shows all stimuli.
        folds: of "identity" and "image", each tested once; not more than there are.
        n_permutations: of the labels, each probed as the labels were; 0 for none. What they keep,
            see `nested.permuted`: `p` is of people for by="identity", and for
            another column ("head") of the values shown, not of heads at large.
        n_bootstrap: resamples of an interval of "argmax"; where a decoder is fitted, intervals are
            in closed form.
        seed: of the dealing, the permutations and the resampling.

    Returns:
        A Dataset; views and categories end with "all". Intervals are 95 %, with the identities
        tested as clusters, and a part for those trained on (`summary.probe_interval`).
        `attrs["chance"]` is 100 / the number of values shown; `permuted` says what was shuffled,
        `exchanged` how many labels that changed, in percent, `note` where they were none or few;
        `shares` what training and test have in common.

        accuracy, _low, _high (site, view) [%]: read correctly.
        n (site, view) [1]: presentations tested.
        interval (site, view) [text]: how the interval was made.
        accuracy_by_category, _low, _high (site, category) [%]: the same by the value shown.
        accuracy_by_category_n (site, category) [1]: presentations tested.
        accuracy_by_category_interval (site, category) [text]: how the interval was made.
        accuracy_by_fold, _low, _high (site, fold) [%]: the same by fold.
        accuracy_by_fold_n (site, fold) [1]: presentations tested.
        accuracy_by_fold_interval (site, fold) [text]: how the interval was made.
        penalty (site, fold) [1]: that was chosen; NaN for "argmax".
        confusion (site, shown_category, answer) [1]: counts of answers.
        shown (presentation) [text]: the value shown.
        answered (site, presentation) [text]: the value read.
        correct (site, presentation) [truth]: whether they are the same.
        n_units (site) [1]: units of the site.
        chance, _low, _high (site) [%], if n_permutations is above 0: mean and central 95 % of
            permutations; NaN where they leave every label in its place.
        p (site) [1], if n_permutations is above 0: p-value of the accuracy.

    Raises:
        NeuroferError: an unknown column, site or decoder; fewer than two groups or values; a value
            that a fold tests and cannot train; no unit that varies; or a site without labels for
            "argmax".

    >>> from neurofer.simulation import coding_units, simulated_faces
    >>> recording = coding_units(simulated_faces(strengths=(1.0,)), ("expression",), 30, noise=0.1)
    >>> run(recording)["accuracy"].sel(view="all").item()
    100.0
    """
    if decoder not in (*PATHS, ARGMAX):
        raise unknown_choice("decoder", decoder, (*PATHS, ARGMAX))
    if trials not in (MEAN, KEEP):
        raise unknown_choice("trials", trials, (MEAN, KEEP))
    asked = _Asked(target, by, decoder, trials, folds, n_permutations, n_bootstrap, seed)
    sites, found = _sites(recording, site), []
    for name in sites:
        one, responses = _of_site(recording, name, asked)
        found.append(one)
    shown = target_values(responses, target, joined=decoder != ARGMAX)
    result = _stacked(found, [name or ALL for name in sites])
    result.update(confusions(shown, result["answered"].to_numpy(), target))
    result["shown"] = ("presentation", shown)
    result.attrs.update(target=target, n_units=int(result["n_units"].sum()))
    responses = replace(responses, site=", ".join(name or "" for name in sites))
    return with_provenance(result, "probe", recording, responses, asdict(asked))


@dataclass(frozen=True)
class _Asked:
    """The options of `run` but the site."""

    target: str
    by: str
    decoder: str
    trials: str
    folds: int
    n_permutations: int
    n_bootstrap: int
    seed: int


def held_out_answers(
    activity: np.ndarray, classes: np.ndarray, people: np.ndarray, *, folds: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) answers to each person from other people, and the penalty of each fold.

    Args:
        activity: (n, units).
        classes: (n,) labels.
        people: (n,) names.
        folds: see `run`.
        seed: of the dealing.

    Raises:
        NeuroferError: fewer than two people or classes, or a class that one person alone shows.
    """
    names, labels = numbered(classes, "classes")
    groups = {IDENTITY: people, IMAGE: np.arange(len(people))}
    made = make_folds(groups, IDENTITY, folds=folds, seed=seed)
    check_classes(made, classes, "class", IDENTITY)
    answers, penalties = nested_answers(gram_matrix(activity), labels[None], made)
    return names[answers[0]], penalties[0]


def _sites(recording: xr.DataArray, site: str | Sequence[str] | None) -> list[str | None]:
    if site is not None:
        names = [site] if isinstance(site, str) else list(site)
        if not names:
            raise NeuroferError("site=() names no site: give at least one, or None for all")
        return list(dict.fromkeys(names))
    if "site" not in recording.coords:
        return [None]
    return list(dict.fromkeys(recording["site"].to_numpy().astype(str).tolist()))


def _of_site(
    recording: xr.DataArray, site: str | None, asked: _Asked
) -> tuple[xr.Dataset, Responses]:
    """Return the result of one site, and what it was read from without its activity."""
    fitted = asked.decoder != ARGMAX
    responses = read_responses(recording, site, undefined=not fitted, trials=asked.trials)
    result = _probed(responses, asked) if fitted else _argmax(responses, asked)
    result["n_units"] = ((), responses.activity.shape[1])
    return result, replace(responses, activity=responses.activity[:, :0].copy())


def _stacked(found: list[xr.Dataset], sites: list[str]) -> xr.Dataset:
    """Return the results of several sites as one, `site` the first dimension of each variable."""
    first = found[0]
    data = {
        name: (("site", *variable.dims), np.stack([one[name] for one in found]), variable.attrs)
        for name, variable in first.data_vars.items()
    }
    return xr.Dataset(data, first.coords, first.attrs).assign_coords(site=sites)


def _probed(responses: Responses, asked: _Asked) -> xr.Dataset:
    target, by, seed = asked.target, asked.by, asked.seed
    values = target_values(responses, target)
    names, labels = numbered(values, f"target={target!r}")
    groups = groups_of(responses, by)
    made = make_folds(groups, by, folds=asked.folds, seed=seed, images=groups[IMAGE])
    check_classes(made, values, target, by)
    shuffled, how = permuted(
        labels, responses.identity, groups[by], asked.n_permutations, seed, groups[IMAGE]
    )
    gram = gram_matrix(responses.activity)
    labellings = np.vstack([labels[None], shuffled])
    answers, penalties = nested_answers(gram, labellings, made, asked.decoder)
    fold_of = np.empty(len(labels), dtype=np.int64)
    for k, fold in enumerate(made):
        fold_of[fold.tested] = k
    result = summarise(responses, target, values, names[answers[0]], asked.n_bootstrap, seed, made)
    held_out = {fold.name: fold_of == k for k, fold in enumerate(made)}
    result = result.assign_coords(fold=list(held_out))
    result.update(accuracies("fold", held_out, result, responses, asked.n_bootstrap, seed, made))
    result["penalty"] = ("fold", penalties[0])
    result.attrs["note"] = ""
    if asked.n_permutations:
        exchanged = float((shuffled != labels).mean())
        right = (answers == labellings).mean(axis=1)
        result.update(permuted_chance(right, exchanged))
        result.attrs.update(exchanged=100 * exchanged, note=exchange_note(exchanged, target, how))
    people = responses.identity
    shared = any(np.isin(people[f.tested], people[f.training]).any() for f in made)
    tuned_by = ", ".join(dict.fromkeys(fold.tuned_by for fold in made))
    return result.assign_attrs(
        by=by,
        tuned_by=tuned_by,
        permuted=how if asked.n_permutations else "",
        shares=IDENTITY if shared else "",
    )


def _argmax(responses: Responses, asked: _Asked) -> xr.Dataset:
    target, n_bootstrap, seed = asked.target, asked.n_bootstrap, asked.seed
    labelled = responses.unit != ""
    if not labelled.any():
        raise NeuroferError(
            f"the units of site {responses.site!r} have no labels, so that the largest names no "
            f"{target}: use decoder={RIDGE!r} or another site"
        )
    values = target_values(responses, target, joined=False)
    answers = largest_unit(responses.activity[:, labelled], responses.unit[labelled])
    result = summarise(responses, target, values, answers, n_bootstrap, seed, [])
    result = result.assign_coords(fold=[ALL])
    everything = {ALL: np.ones(len(values), bool)}
    result.update(accuracies("fold", everything, result, responses, n_bootstrap, seed, []))
    result["penalty"] = ("fold", np.full(1, np.nan))
    return result.assign_attrs(by="", tuned_by="", permuted="", shares="", note="")


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return accuracy by site, view, value and held-out part: n, accuracy, low, high, chance.

    Accuracies are in percent, to one decimal; `chance` is that of the permutations where there
    are any, and `p` theirs.
    """
    rows = []
    for site in result["site"].to_numpy().tolist():
        for dim, name in VARIABLES.items():
            if dim == "fold" and result.attrs["by"] in ("", *DEALT):
                continue
            for entry in result[dim].to_numpy().tolist():
                if dim == "view" or entry != ALL:
                    rows.append(_row(result.sel({"site": site, dim: entry}), dim, name))
    return pd.DataFrame(rows)


def _row(cell: xr.Dataset, dim: str, name: str) -> dict[str, Any]:
    count, method = ("n", "interval") if dim == "view" else (f"{name}_n", f"{name}_interval")
    overall = dim == "view" and cell["view"].item() == ALL
    chance = cell.attrs["chance"]
    if overall and "chance" in cell and np.isfinite(cell["chance"]):
        chance = float(cell["chance"])
    row = {
        "site": str(cell["site"].item()),
        "of": str(cell[dim].item()),
        "n": int(cell[count]),
        **percent_row(cell, name),
        "interval": str(cell[method].item()),
        "chance": round(float(chance), 1),
    }
    return {**row, "p": float(cell["p"]) if overall else np.nan} if "p" in cell else row


def figure(results: Mapping[str, xr.Dataset], *, view: str = "") -> Figure:
    """Return accuracy as "bars" or by layer ("layers"), or a "confusion" matrix a subject.

    By default lines where a result has several sites, else bars.
    """
    from neurofer.analyses.decoding.probe_figures import draw

    return draw(results, view)


ANALYSIS = Analysis(
    name="probe",
    summary="what a linear decoder reads, by site: expression, identity or head, unseen people",
    run=run,
    table=table,
    figure=figure,
)
