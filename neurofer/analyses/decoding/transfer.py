"""Transfer: read the expression from a population, trained on one head and tested on others.

Tables 2 and 3 of Stettler, Lappe, Taubert & Giese, "Multi-domain norm-referenced encoding enables
data efficient transfer learning of facial expression recognition". A subject that decides by
itself is read by its largest decision unit ("argmax"); any other population by a fitted decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.decoding.decoders import (
    DECODERS,
    TIE,
    UNDEFINED,
    confusion_matrix,
    fit_and_answer,
    largest_unit,
)
from neurofer.analyses.decoding.summary import cells_in_percent, percent_row
from neurofer.analyses.figures import draw_view
from neurofer.analyses.inputs import (
    ALL,
    Responses,
    matching_rows,
    read_responses,
    sorted_expressions,
    sorted_heads,
    strength_name,
)
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import proportion_interval
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Resamples, Seed, above

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ARGMAX = "argmax"
UNTESTED = ""


def run(
    recording: xr.DataArray,
    site: str | None = "decision",
    *,
    decoder: Literal["argmax", "ridge", "logistic", "lda", "svm", "nearest-mean"] = "argmax",
    train: Mapping[str, Any] | None = None,
    held_out: bool = True,
    penalty: Annotated[float, above(0)] = 1.0,
    n_bootstrap: Resamples = 2000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return the accuracy of a population's answers by head, strength and expression.

    Args:
        recording: presentation x neuroid.
        site: the site that is read out; None if the recording has one only.
        decoder: "argmax" over the labelled units of the site, or one that is fitted here: "ridge",
            "logistic", "lda", "svm", "nearest-mean".
        train: for fitted decoders, the presentations that they are fitted to, as columns and
            values; {"head": "human"} by default. Whoever is tested is never trained on: an
            identity of the training part is answered by a decoder fitted to its other identities.
        held_out: test without the images that the subject was trained on. False is the protocol
            of the paper, which counts them.
        penalty: of the fitted decoders.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        A Dataset; heads, strengths and expressions end with "all". A cell in which nothing was
        tested has n = 0 and no accuracy (NaN). Intervals are 95 %.

        accuracy, _low, _high (head, strength) [%]: answered correctly.
        n (head, strength) [1]: presentations tested.
        interval (head, strength) [text]: how the interval was made.
        accuracy_by_expression, _low, _high (head, expression) [%]: the same by expression.
        accuracy_by_expression_n (head, expression) [1]: presentations tested.
        accuracy_by_expression_interval (head, expression) [text]: how the interval was made.
        confusion (expression, answer) [1]: counts of answers over all heads; "tie" and "undefined"
            (activity that is not a number) are wrong.
        shown (presentation) [text]: the expression shown.
        answered (presentation) [text]: the answer; "" where untested.

    Raises:
        NeuroferError: the site, decoder or training part does not exist, the site of "argmax" has
            no labels, the training part shows one class or one identity that is all there is to
            test, or nothing is left to test.

    >>> from neurofer.simulation import norm_referenced_units, simulated_faces
    >>> recording = norm_referenced_units(simulated_faces(strengths=(1.0,)), decide=True)
    >>> result = run(recording, n_bootstrap=50)
    >>> result["accuracy"].sel(head="all", strength="all").item()
    100.0
    """
    responses = read_responses(recording, site, undefined=decoder == ARGMAX)
    part = _training_part(decoder, train)
    answers = _answers(responses, decoder, part, penalty)
    if held_out:
        answers = np.where(_in_training(responses), UNTESTED, answers)
    if (answers == UNTESTED).all():
        raise NeuroferError(
            f"none of {len(answers)} presentations is left to test: "
            f"{_in_training(responses).sum()} trained the subject (held_out={held_out}) and the "
            f"others are the only identity of train={part}; use held_out=False, another training "
            "part, or more stimuli"
        )
    result = summarise(responses, answers, n_bootstrap=n_bootstrap, seed=seed)
    result.attrs.update(_notes(responses, answers, _possible(responses, part)))
    options = {
        "decoder": decoder,
        "train": part,
        "held_out": held_out,
        "penalty": penalty,
        "n_bootstrap": n_bootstrap,
        "seed": seed,
    }
    return with_provenance(result, "transfer", recording, responses, options)


def cross_identity_answers(
    activity: np.ndarray,
    classes: np.ndarray,
    identity: np.ndarray,
    training: np.ndarray,
    decoder: str,
    penalty: float = 1.0,
) -> np.ndarray:
    """Return (n,) answers of a decoder that has never seen the identity that it answers.

    Identities without training presentations share one decoder, fitted to the whole training
    part; each other identity has a decoder fitted to the rest, and "" where that is empty.

    Args:
        activity: (n, units).
        classes: (n,) labels.
        identity: (n,) names.
        training: (n,) truth values: the training part.
        decoder: one of `DECODERS`.
        penalty: of the decoder.
    """
    answers = np.full(len(classes), UNTESTED, dtype=object)
    trained = np.unique(identity[training])
    strangers = ~np.isin(identity, trained)
    folds = [(training, strangers)] + [
        (training & (identity != name), identity == name) for name in trained
    ]
    for fitted, asked in folds:
        if fitted.any() and asked.any():
            answers[asked] = fit_and_answer(
                activity[fitted], classes[fitted], activity[asked], decoder, penalty
            )
    return answers.astype(str)


def summarise(
    responses: Responses, answers: np.ndarray, *, n_bootstrap: int = 2000, seed: int = 0
) -> xr.Dataset:
    """Return accuracies, their intervals and the confusion matrix of (n,) answers.

    The variables are those of `run`.

    Args:
        responses: the presentations.
        answers: (n,) names, "" where a presentation was not tested.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.
    """
    shown, strength = responses.column("expression"), responses.column("strength").astype(float)
    levels = np.unique(strength)
    by_strength = {strength_name(level): strength == level for level in levels}
    by_strength[ALL] = np.ones(len(shown), bool)
    expressions = sorted_expressions(shown)
    by_expression = {name: shown == name for name in expressions}
    columns = _answer_names(responses, answers)
    heads = [*sorted_heads(responses.column("head")), ALL]
    data: dict[str, Any] = {}
    for name, beside, dim, groups in (
        ("accuracy", "", "strength", by_strength),
        ("accuracy_by_expression", "accuracy_by_expression_", "expression", by_expression),
    ):
        cells = [
            [_cell(responses, answers, head, rows, n_bootstrap, seed) for rows in groups.values()]
            for head in heads
        ]
        data |= cells_in_percent(name, ("head", dim), cells, beside=beside)
    tested = answers != UNTESTED
    counts = confusion_matrix(shown[tested], answers[tested], expressions, columns)
    data["confusion"] = (("expression", "answer"), counts)
    data["shown"] = ("presentation", shown)
    data["answered"] = ("presentation", answers)
    coords = {
        "head": heads,
        "strength": list(by_strength),
        "expression": expressions,
        "answer": columns,
        "stimulus_id": ("presentation", responses.column("stimulus_id")),
    }
    return xr.Dataset(data, coords)


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return accuracy by head and strength: head, strength, n, accuracy, low, high, interval.

    Accuracies are in percent, to one decimal.
    """
    rows = [
        {"head": head, "strength": strength, **_row(result.sel(head=head, strength=strength))}
        for head in result["head"].to_numpy().tolist()
        for strength in result["strength"].to_numpy().tolist()
    ]
    return pd.DataFrame(rows)


def figure(results: Mapping[str, xr.Dataset], *, view: str = "accuracy") -> Figure:
    """Return bars of accuracy by head ("accuracy") or confusion matrices ("confusion")."""
    from neurofer.analyses.decoding.transfer_figures import VIEWS

    return draw_view(results, view, VIEWS)


def _training_part(decoder: str, train: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if decoder not in (ARGMAX, *DECODERS):
        raise unknown_choice("decoder", decoder, [ARGMAX, *DECODERS])
    if decoder != ARGMAX:
        return dict({"head": "human"} if train is None else train)
    if train is not None:
        raise NeuroferError(
            f"decoder={ARGMAX!r} is not fitted, so that train={dict(train)} means nothing: leave "
            f"it out, or choose a decoder from {', '.join(DECODERS)}"
        )
    return None


def _answers(
    responses: Responses, decoder: str, part: dict[str, Any] | None, penalty: float
) -> np.ndarray:
    if part is None:
        return _labelled(responses)
    return cross_identity_answers(
        responses.activity,
        responses.column("expression"),
        responses.identity,
        matching_rows(responses, part, "the recording, option 'train'"),
        decoder,
        penalty,
    )


def _labelled(responses: Responses) -> np.ndarray:
    labelled = responses.unit != ""
    if not labelled.any():
        raise NeuroferError(
            f"the units of site {responses.site!r} have no labels, so that the largest names no "
            f"expression: choose a fitted decoder ({', '.join(DECODERS)}) or another site"
        )
    return largest_unit(responses.activity[:, labelled], responses.unit[labelled])


def _in_training(responses: Responses) -> np.ndarray:
    """Return (n,) truth values; a recording that does not say holds no training images."""
    if "in_training" not in responses.stimuli:
        return np.zeros(len(responses.stimuli), bool)
    return responses.column("in_training").astype(bool)


def _answer_names(responses: Responses, answers: np.ndarray) -> list[str]:
    """Return the columns of the confusion matrix: expressions, then "tie" and "undefined"."""
    special = [TIE, UNDEFINED]
    given = set(answers.tolist()) | set(responses.unit.tolist())
    named = given - {UNTESTED, *special} | set(responses.column("expression").tolist())
    return [*sorted_expressions(named), *special]


def _cell(
    responses: Responses,
    answers: np.ndarray,
    head: str,
    rows: np.ndarray,
    n_bootstrap: int,
    seed: int,
) -> tuple[float, float, float, int, str]:
    """Return accuracy, low, high (as proportions), n and how the interval was made."""
    heads = responses.column("head")
    rows = rows & (answers != UNTESTED) & ((heads == head) | (head == ALL))
    correct = answers[rows] == responses.column("expression")[rows]
    interval = proportion_interval(
        correct,
        heads[rows],
        responses.identity[rows],
        responses.series[rows],
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    accuracy = float(correct.mean()) if rows.any() else np.nan
    return accuracy, interval.low, interval.high, int(rows.sum()), interval.method


def _possible(responses: Responses, part: dict[str, Any] | None) -> np.ndarray:
    """Return the distinct answers that can be given."""
    if part is None:
        return np.unique(responses.unit[responses.unit != ""])
    training = matching_rows(responses, part, "the recording, option 'train'")
    return np.unique(responses.column("expression")[training])


def _notes(responses: Responses, answers: np.ndarray, possible: np.ndarray) -> dict[str, Any]:
    """Return what a reader of the accuracies must know besides."""
    tested = answers != UNTESTED
    shown, heads = responses.column("expression"), responses.column("head")
    never = sorted_expressions(set(shown[tested].tolist()) - set(possible.tolist()))
    untested = [head for head in sorted_heads(heads) if not tested[heads == head].any()]
    return {
        "chance": 100 / len(possible),
        "n_tested": int(tested.sum()),
        "n_training_images": int(_in_training(responses).sum()),
        "n_ties": int((answers == TIE).sum()),
        "n_undefined": int((answers == UNDEFINED).sum()),
        "never_answered": ", ".join(never),
        "untested_heads": ", ".join(untested),
    }


def _row(cell: xr.Dataset) -> dict[str, Any]:
    return {
        "n": int(cell["n"]),
        **percent_row(cell),
        "interval": str(cell["interval"].item()),
    }


ANALYSIS = Analysis(
    name="transfer",
    summary="accuracy on heads that were not trained, by head and strength",
    run=run,
    table=table,
    figure=figure,
    unlabelled={"decoder": "ridge"},
)
