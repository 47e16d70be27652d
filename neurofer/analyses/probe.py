"""Probe: how much of the expression a linear decoder reads from a population, by unseen people.

Whoever is tested is in no training part, and the decoder's penalty is chosen inside the training
part, again between people. Raw pixels and a network with random weights belong beside every probe:
they say how hard the stimuli are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.decoders import TIE, UNDEFINED, largest_unit
from neurofer.analyses.inputs import ALL, Responses, read_responses, sorted_expressions, sorted_like
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import proportion_interval
from neurofer.analyses.transfer import confusion_matrix
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.table import VIEWS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RIDGE, ARGMAX = "ridge", "argmax"
# Relative to the mean variance that a training presentation contributes; half-decades.
PENALTIES = 10.0 ** np.arange(-5, 1.01, 0.5)
INNER_FOLDS = 3
# Dimension of the result -> its accuracy, the number behind it, how its interval was made.
_VARIABLES = {
    "view": ("accuracy", "n", "interval"),
    "expression": (
        "accuracy_by_expression",
        "accuracy_by_expression_n",
        "accuracy_by_expression_interval",
    ),
}
_BLOCK = 4096  # units that are turned to float64 at once


def run(
    recording: xr.DataArray,
    site: str | None = None,
    *,
    decoder: str = RIDGE,
    folds: int = 5,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Return how many expressions are read correctly, over all images, by view and by expression.

    Args:
        recording: presentation x neuroid.
        site: the site; None if the recording has one only.
        decoder: "ridge", fitted to other people (least squares on the expressions, the largest
            answers; the penalty that is best for three parts of the training people, the largest
            of equals); or "argmax" over the labelled units of the site: nothing is fitted.
        folds: into how many parts people are dealt, each tested once; not more than people.
        n_bootstrap: resamples of an interval.
        seed: of the dealing and the resampling.

    Returns:
        accuracy (view) and accuracy_by_expression (expression), both with the entry "all", in
        percent, with `_low`, `_high` (95 % over identities) and `n` or `_n`; confusion
        (expression, answer); shown, answered (presentation); penalty (fold), NaN for "argmax".
        `attrs["chance"]` is that of the expressions shown.

    Raises:
        NeuroferError: an unknown decoder, fewer than three people or two expressions to fit to,
            or a site without labels for "argmax".
    """
    if decoder not in (RIDGE, ARGMAX):
        raise unknown_choice("decoder", decoder, (RIDGE, ARGMAX))
    responses = read_responses(recording, site, undefined=decoder == ARGMAX)
    shown = responses.column("expression")
    if decoder == RIDGE:
        answers, penalties = held_out_answers(
            responses.activity, shown, responses.identity, folds=folds, seed=seed
        )
    else:
        answers, penalties = _largest(responses), np.full(1, np.nan)
    result = _summarise(responses, shown, answers, n_bootstrap, seed)
    result["penalty"] = ("fold", penalties)
    result.attrs.update(chance=100 / len(np.unique(shown)), n_tested=len(shown))
    options = {"decoder": decoder, "folds": folds, "n_bootstrap": n_bootstrap, "seed": seed}
    return with_provenance(result, "probe", recording, responses, options)


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
        NeuroferError: fewer than three people or two classes.
    """
    names, index = np.unique(classes, return_inverse=True)
    n_people = len(np.unique(people))
    if n_people < 3 or len(names) < 2 or folds < 2:
        raise NeuroferError(
            f"a probe is fitted to some people, tuned on others and tested on a third part: "
            f"{n_people} identities, {len(names)} expressions and folds={folds} are too few "
            "(at least 3, 2 and 2)"
        )
    targets = np.eye(len(names))[index.ravel()]
    gram = gram_matrix(activity)
    dealt = deal(people, min(folds, n_people), seed)
    answers = np.empty(len(classes), dtype=names.dtype)
    penalties = np.empty(dealt.max() + 1)
    for fold in range(len(penalties)):
        training, tested = np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)
        best = _best_penalty(gram, targets, people, training, seed)
        scores = kernel_ridge_scores(gram, targets, training, tested, PENALTIES[[best]])[0]
        answers[tested] = names[scores.argmax(axis=1)]
        penalties[fold] = PENALTIES[best]
    return answers, penalties


def deal(people: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return (n,) the fold of each presentation; a person's presentations are in one fold.

    >>> folds = deal(np.array(["a", "b", "a", "c"]), 3, seed=0)
    >>> bool(folds[0] == folds[2])
    True
    """
    names, index = np.unique(people, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % folds)[index.ravel()]


def gram_matrix(activity: np.ndarray) -> np.ndarray:
    """Return (n, n) float64 inner products of presentations, each unit centred over all."""
    n, units = activity.shape
    gram = np.zeros((n, n))
    for start in range(0, units, _BLOCK):
        block = activity[:, start : start + _BLOCK].astype(np.float64)
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram


def kernel_ridge_scores(
    gram: np.ndarray,
    targets: np.ndarray,
    training: np.ndarray,
    tested: np.ndarray,
    penalties: np.ndarray,
) -> np.ndarray:
    """Return (penalties, tested, classes) scores of ridge regression in its dual form.

    With an unpenalised intercept; a penalty of 1 is the training part's mean squared distance from
    its centre, so that units may be on any scale. One eigendecomposition serves all penalties.

    Args:
        gram: (n, n) inner products.
        targets: (n, classes).
        training: indices of the presentations that are fitted to.
        tested: indices of those that are answered.
        penalties: of the squared norm of the weights, relative, an image.
    """
    within, across = gram[np.ix_(training, training)], gram[np.ix_(tested, training)]
    mean = within.mean(axis=0)
    across = across - across.mean(axis=1, keepdims=True) - mean + mean.mean()
    within = within - mean - mean[:, None] + mean.mean()
    offset = targets[training].mean(axis=0)
    values, vectors = np.linalg.eigh(within)
    rotated = vectors.T @ (targets[training] - offset)
    seen = across @ vectors
    added = penalties * np.trace(within)
    values = np.maximum(values, 0)
    return np.stack([seen @ (rotated / (values + one)[:, None]) for one in added]) + offset


def _best_penalty(
    gram: np.ndarray, targets: np.ndarray, people: np.ndarray, training: np.ndarray, seed: int
) -> int:
    """Return the index of the penalty that answers most people of the training part correctly."""
    among = people[training]
    dealt = deal(among, min(INNER_FOLDS, len(np.unique(among))), seed + 1)
    correct = np.zeros(len(PENALTIES))
    for fold in range(dealt.max() + 1):
        fitted, asked = training[dealt != fold], training[dealt == fold]
        scores = kernel_ridge_scores(gram, targets, fitted, asked, PENALTIES)
        correct += (scores.argmax(axis=2) == targets[asked].argmax(axis=1)).sum(axis=1)
    return int(np.flatnonzero(correct == correct.max())[-1])


def _largest(responses: Responses) -> np.ndarray:
    labelled = responses.unit != ""
    if not labelled.any():
        raise NeuroferError(
            f"the units of site {responses.site!r} have no labels, so that the largest names no "
            f"expression: use decoder={RIDGE!r} or another site"
        )
    return largest_unit(responses.activity[:, labelled], responses.unit[labelled])


def _summarise(
    responses: Responses, shown: np.ndarray, answers: np.ndarray, n_bootstrap: int, seed: int
) -> xr.Dataset:
    view = responses.column("view") if "view" in responses.stimuli else np.full(len(shown), "")
    views = sorted_like([name for name in np.unique(view) if name], VIEWS)
    expressions = sorted_expressions(shown)
    columns = [*sorted_expressions({*shown, *answers} - {TIE, UNDEFINED}), TIE, UNDEFINED]
    data: dict[str, Any] = {
        "confusion": (
            ("shown_expression", "answer"),
            confusion_matrix(shown, answers, expressions, columns),
        ),
        "shown": ("presentation", shown),
        "answered": ("presentation", answers),
    }
    for of, values, entries in (("view", view, views), ("expression", shown, expressions)):
        rows = [*(values == entry for entry in entries), np.ones(len(shown), bool)]
        cells = [_cell(responses, answers == shown, part, n_bootstrap, seed) for part in rows]
        name, count, method = _VARIABLES[of]
        percent = 100 * np.array([cell[:3] for cell in cells])
        for k, suffix in enumerate(("", "_low", "_high")):
            data[name + suffix] = (of, percent[:, k], {"units": "%"})
        data[count] = (of, np.array([cell[3] for cell in cells]))
        data[method] = (of, np.array([cell[4] for cell in cells]))
    coords = {
        "view": [*views, ALL],
        "expression": [*expressions, ALL],
        "shown_expression": expressions,
        "answer": columns,
        "stimulus_id": ("presentation", responses.column("stimulus_id")),
    }
    return xr.Dataset(data, coords)


def _cell(
    responses: Responses, correct: np.ndarray, rows: np.ndarray, n_bootstrap: int, seed: int
) -> tuple[float, float, float, int, str]:
    """Return accuracy, low, high (as proportions), n and how the interval was made."""
    interval = proportion_interval(
        correct[rows],
        responses.column("head")[rows],
        responses.identity[rows],
        responses.series[rows],
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return (
        float(correct[rows].mean()),
        interval.low,
        interval.high,
        int(rows.sum()),
        interval.method,
    )


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return accuracy by view and by expression: of, n, accuracy, low, high, interval, chance."""
    rows = []
    for dim, (name, count, method) in _VARIABLES.items():
        for entry in result[dim].to_numpy().tolist():
            if dim == "expression" and entry == ALL:
                continue
            cell = result.sel({dim: entry})
            rows.append(
                {
                    "of": entry,
                    "n": int(cell[count]),
                    "accuracy": round(float(cell[name]), 1),
                    "low": round(float(cell[f"{name}_low"]), 1),
                    "high": round(float(cell[f"{name}_high"]), 1),
                    "interval": str(cell[method].item()),
                    "chance": round(float(result.attrs["chance"]), 1),
                }
            )
    return pd.DataFrame(rows)


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return bars of accuracy over all images, by subject."""
    from neurofer.analyses.probe_figures import accuracy_figure

    return accuracy_figure(results)


ANALYSIS = Analysis(
    name="probe",
    summary="expressions that a linear decoder reads in unseen people, by view and expression",
    run=run,
    table=table,
    figure=figure,
)
