"""What a probe's answers amount to: accuracies by view, value and fold, confusions, chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.decoding.decoders import TIE, UNDEFINED, confusion_matrix
from neurofer.analyses.decoding.folds import Fold
from neurofer.analyses.inputs import (
    ALL,
    Responses,
    sorted_expressions,
    sorted_heads,
    sorted_like,
    strength_name,
)
from neurofer.analyses.statistics import (
    NO_INTERVAL,
    Interval,
    cluster_counts,
    clustered_wilson_interval,
    proportion_interval,
)
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.table import VIEWS

IDENTITY = "identity"
FEW_EXCHANGED = 0.25  # of labels that change; of two values alike in number it is a half
# Dimension of the result -> its accuracy; beside it `_n`, the number, and `_interval`, how made.
VARIABLES = {
    "view": "accuracy",
    "category": "accuracy_by_category",
    "fold": "accuracy_by_fold",
}


def target_values(responses: Responses, target: str, *, joined: bool = True) -> np.ndarray:
    """Return (n,) values to be read, as strings; identities with their heads if `joined`.

    Args:
        responses: the presentations.
        target: a column of the stimuli.
        joined: whether "identity" means head and identity.

    Raises:
        NeuroferError: there is no such column, or it has no value in some presentations.
    """
    if target in responses.mixed:
        raise NeuroferError(
            f"target={target!r} differs between trials of one stimulus, which are averaged here: "
            "use trials='keep', or another column"
        )
    if target not in responses.stimuli:
        raise unknown_choice("target", target, responses.stimuli.columns, "the recording")
    if target == IDENTITY and joined:
        return responses.identity
    values = responses.column(target)
    if values.dtype.kind == "f":
        return np.array([strength_name(value) for value in values])
    values = values.astype(str)
    if (values == "").any():
        raise NeuroferError(
            f"target={target!r}: {(values == '').sum()} of {len(values)} presentations have no "
            f"value there, such as {responses.column('stimulus_id')[values == ''][0]!r}; leave "
            "them out first"
        )
    return values


def numbered(values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values, and (n,) the number of each value among them.

    Raises:
        NeuroferError: there is only one.
    """
    names, labels = np.unique(values, return_inverse=True)
    if len(names) < 2:
        raise NeuroferError(
            f"{what}: only {names[0]!r} is shown, and one value is too few to be told apart"
        )
    return names, labels.ravel()


def probe_interval(
    correct: np.ndarray,
    strata: np.ndarray,
    identity: np.ndarray,
    series: np.ndarray,
    folds: list[Fold],
) -> Interval:
    """Return the interval of a cross-validated accuracy: Wilson's, clustered by the people tested.

    With Student's t of the number of people, as they are few. Who is trained on moves the accuracy
    too, which the people tested do not show and no estimator is free of bias for (Bengio &
    Grandvalet 2004, JMLR 5:1089): the variance between people is multiplied by 1 + tested /
    trained, the ratio that Nadeau & Bengio (2003, Machine Learning 52:239) add. The interval is
    never narrower than Wilson's of independent answers: near chance the answers to one person are
    less alike than those (who is right of one value is wrong of the next), and what they hide is
    the decoder, which is the same for all. See docs/recovery.md for what the intervals hold.

    Where each head shows one identity, series (identity and expression) are the clusters.

    Args:
        correct: (n,) truth values, or shares of draws that were correct.
        strata: (n,) head.
        identity: (n,) identity; one identity lies in one stratum.
        series: (n,) identity and expression.
        folds: of the probe.
    """
    if len(correct) == 0:
        return Interval(np.nan, np.nan, NO_INTERVAL)
    tested, trained = sum(len(f.tested) for f in folds), sum(len(f.training) for f in folds)
    kind, clusters = "identities", identity
    if len(np.unique(identity)) == len(np.unique(strata)):
        kind, clusters = "series", series
    low, high = clustered_wilson_interval(
        *cluster_counts(np.asarray(correct, float), clusters, strata),
        inflation=1 + tested / trained,
    )
    return Interval(low, high, f"Wilson, clustered by {kind}, and training")


def in_order(target: str, values: Any) -> list[str]:
    """Return the distinct values of a column in the order of tables and figures."""
    if target == "expression":
        return sorted_expressions(values)
    if target == "head":
        return sorted_heads(values)
    return sorted_like(values, VIEWS if target == "view" else ())


def summarise(
    responses: Responses,
    target: str,
    shown: np.ndarray,
    answers: np.ndarray,
    n_bootstrap: int,
    seed: int,
    folds: list[Fold],
) -> xr.Dataset:
    """Return the accuracies of one site by view and category, and every answer.

    Args:
        responses: of the site.
        target: the column that is read.
        shown: (n,) its values.
        answers: (n,) what was read.
        n_bootstrap: resamples of an interval where nothing was fitted.
        seed: of the resampling.
        folds: in which decoders were fitted; empty where nothing was.
    """
    view = responses.column("view") if "view" in responses.stimuli else np.full(len(shown), "")
    views = in_order("view", [name for name in np.unique(view) if name])
    categories = in_order(target, shown)
    everything = {ALL: np.ones(len(shown), bool)}
    of = {
        "view": {name: view == name for name in views} | everything,
        "category": {name: shown == name for name in categories} | everything,
    }
    coords = {
        "view": list(of["view"]),
        "category": list(of["category"]),
        "stimulus_id": ("presentation", responses.column("stimulus_id")),
        "identity": ("presentation", responses.identity),
        "head": ("presentation", responses.column("head")),
    }
    data = {
        "answered": ("presentation", answers),
        "correct": ("presentation", answers == shown),
    }
    result = xr.Dataset(data, coords, {"chance": 100 / len(categories), "n_tested": len(shown)})
    for dim, rows in of.items():
        result.update(accuracies(dim, rows, result, responses, n_bootstrap, seed, folds))
    return result


def confusions(shown: np.ndarray, answered: np.ndarray, target: str) -> xr.Dataset:
    """Return confusion (site, shown_category, answer), counts, of (n,) values, (sites, n) answers.

    "tie" and "undefined" are columns where they were answered.

    Args:
        shown: (n,) values of the column that is read.
        answered: (sites, n) answers.
        target: the column, whose values have an order.
    """
    rows = in_order(target, shown)
    special = [name for name in (TIE, UNDEFINED) if (answered == name).any()]
    columns = [*in_order(target, {*shown, *answered.ravel()} - {TIE, UNDEFINED}), *special]
    counts = np.stack([confusion_matrix(shown, one, rows, columns) for one in answered])
    coords = {"shown_category": rows, "answer": columns}
    return xr.Dataset({"confusion": (("site", *coords), counts)}, coords)


def accuracies(
    dim: str,
    groups: Mapping[str, np.ndarray],
    result: xr.Dataset,
    responses: Responses,
    n_bootstrap: int,
    seed: int,
    folds: list[Fold],
) -> dict[str, Any]:
    """Return the variables of accuracy along a dimension, of groups of presentations.

    Args:
        dim: "view", "category" or "fold".
        groups: entry along `dim` -> (n,) truth values, the presentations that it counts.
        result: holds `correct` (presentation).
        responses: the presentations, with head, identity and series.
        n_bootstrap: resamples of an interval where nothing was fitted.
        seed: of the resampling.
        folds: in which decoders were fitted; empty where nothing was.
    """
    correct, cells = result["correct"].to_numpy(), []
    head, identity, series = responses.column("head"), responses.identity, responses.series
    for rows in groups.values():
        some = correct[rows], head[rows], identity[rows], series[rows]
        if folds:
            interval = probe_interval(*some, folds=folds)
        else:
            interval = proportion_interval(*some, n_bootstrap=n_bootstrap, seed=seed)
        value = float(correct[rows].mean())
        cells.append((value, interval.low, interval.high, int(rows.sum()), interval.method))
    name = VARIABLES[dim]
    return cells_in_percent(name, (dim,), cells, beside="" if dim == "view" else f"{name}_")


def cells_in_percent(
    name: str, dims: tuple[str, ...], cells: Any, *, beside: str = ""
) -> dict[str, Any]:
    """Return the variables of a table of proportions: in percent, with intervals and numbers.

    Args:
        name: of the proportion.
        dims: of the table.
        cells: of the shape of `dims`, each (proportion, low, high, n, how the interval was made).
        beside: what stands before the names of the last two, "n" and "interval".
    """
    table = np.array(cells, dtype=object)
    percent = 100 * table[..., :3].astype(float)
    found: dict[str, Any] = {
        name + end: (dims, percent[..., k], {"units": "%"})
        for k, end in enumerate(("", "_low", "_high"))
    }
    found[f"{beside}n"] = (dims, table[..., 3].astype(np.int64))
    return {**found, f"{beside}interval": (dims, table[..., 4].astype(str))}


def percent_row(cell: xr.Dataset, name: str = "accuracy") -> dict[str, float]:
    """Return accuracy, low and high of a cell, to one decimal, as tables have them."""
    ends = {"accuracy": "", "low": "_low", "high": "_high"}
    return {column: round(float(cell[name + end]), 1) for column, end in ends.items()}


def permuted_chance(accuracy: np.ndarray, exchanged: float) -> dict[str, Any]:
    """Return what permutations say, of (1 + n) accuracies of which the first is observed.

    NaN where they exchanged nothing, that is where the share of labels that changed is 0.
    """
    shuffled = accuracy[1:] if exchanged > 0 else np.full(len(accuracy) - 1, np.nan)
    low, high = np.quantile(shuffled, [0.025, 0.975])
    values = {"chance": shuffled.mean(), "chance_low": low, "chance_high": high}
    made: dict[str, Any] = {name: ((), 100 * v, {"units": "%"}) for name, v in values.items()}
    # The labels as they were are one of the permutations (Phipson & Smyth 2010).
    p = (1 + (shuffled >= accuracy[0] - 1e-12).sum()) / (1 + len(shuffled))
    return {**made, "p": ((), p if exchanged > 0 else np.nan)}


def exchange_note(exchanged: float, target: str, how: str) -> str:
    """Return what to know of a permutation test in which hardly a label changed; "" of others.

    Args:
        exchanged: the part of labels that a permutation changes, 0 to 1.
        target: the column that is read.
        how: in words, what was permuted within.
    """
    if exchanged > FEW_EXCHANGED:
        return ""
    if exchanged == 0:
        return (
            f"permutations {how} leave every value of {target!r} in its place, so that there is no "
            "chance and no p: another column of the split (by) may tell more"
        )
    return (
        f"permutations {how} change only {exchanged:.0%} of the values of {target!r}: chance "
        "contains most of what was read, and p finds little"
    )
