"""Data efficiency: how many images a probe must be trained with to read what it reads.

The probe of `decoding.probe`, trained with 1, 2, 4 ... images of every value, drawn from
the training part of a fold, up to all of it. Larger draws contain the smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.decoding.folds import (
    IDENTITY,
    IMAGE,
    Fold,
    check_classes,
    groups_of,
    inner_parts,
    make_folds,
)
from neurofer.analyses.decoding.nested import RIDGE, grid, nested_answers
from neurofer.analyses.decoding.summary import (
    cells_in_percent,
    numbered,
    percent_row,
    probe_interval,
    target_values,
)
from neurofer.analyses.gram import gram_matrix
from neurofer.analyses.inputs import ALL, Responses, read_responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.errors import NeuroferError
from neurofer.options import Seed, at_least, within

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def run(
    recording: xr.DataArray,
    site: str | None = None,
    *,
    images: Sequence[Annotated[int, at_least(1)]] = (),
    draws: Annotated[int, within(1, 1000)] = 5,
    target: str = "expression",
    by: str = IDENTITY,
    decoder: Literal["ridge", "logistic", "lda"] = "ridge",
    folds: Annotated[int, at_least(2)] = 5,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return how much is read correctly by the number of training images of each value.

    Args:
        recording: presentation x neuroid.
        site: the site; None if the recording has one only.
        images: numbers of training images of a value; by default 1, 2, 4 ... Besides them always
            all images of the training part.
        draws: of training images, over which accuracy is averaged.
        target: the column that is read.
        by: what training and test never share; see `neurofer.analyses.decoding.probe.run`.
        decoder: "ridge", "logistic" or "lda". Its penalty is chosen among the drawn images; where
            those cannot tell (one image of a value) it is the largest.
        folds: of "identity" and "image".
        seed: of the dealing and the draws.

    Returns:
        A Dataset; `images` ends with "all". Intervals are 95 %, as those of the probe
        (`summary.probe_interval`).

        accuracy, _low, _high (site, images) [%]: read correctly, mean over draws.
        interval (site, images) [text]: how the interval was made.
        n (site, images) [1]: images tested.
        spread (site, images) [%]: SD of accuracy over draws.
        trained_with (site, images) [1]: mean number of training images of a value.

    Raises:
        NeuroferError: as the probe; or more images than a value has in a training part.

    >>> from neurofer.simulation import coding_units, simulated_faces
    >>> recording = coding_units(simulated_faces(strengths=(1.0,)), ("expression",), 30, noise=0.1)
    >>> result = run(recording, images=[1], draws=2)
    >>> result["accuracy"].sel(images="all").item()
    100.0
    """
    responses = read_responses(recording, site)
    values = target_values(responses, target)
    names, labels = numbered(values, f"target={target!r}")
    groups = groups_of(responses, by)
    made = make_folds(groups, by, folds=folds, seed=seed, images=groups[IMAGE])
    check_classes(made, values, target, by)
    levels = _levels(labels, made, images)
    gram = gram_matrix(responses.activity)
    correct = [
        correct_by_draw(gram, labels, made, groups, level, draws, decoder=decoder, seed=seed)
        for level in levels
    ]
    per_value = np.mean([np.bincount(labels[fold.training]).mean() for fold in made])
    result = _summarise(responses, correct, levels, float(per_value), made)
    result.attrs.update(
        chance=100 / len(names), n_tested=len(labels), draws=draws, target=target, by=by
    )
    options = {
        "images": list(images), "draws": draws, "target": target, "by": by, "decoder": decoder,
        "folds": folds, "seed": seed,
    }  # fmt: skip
    return with_provenance(result, "efficiency", recording, responses, options)


def correct_by_draw(
    gram: np.ndarray,
    labels: np.ndarray,
    folds: list[Fold],
    groups: Mapping[str, np.ndarray],
    images: int | None,
    draws: int,
    *,
    decoder: str = RIDGE,
    seed: int = 0,
) -> np.ndarray:
    """Return (draws, n) whether each presentation is answered correctly.

    Args:
        gram: (n, n) inner products of presentations.
        labels: (n,) whole numbers from 0.
        folds: see `make_folds`.
        groups: the names that keep tuning apart, as of `make_folds`.
        images: of every value, drawn from the training part; None for all of it, in one draw.
        draws: how often.
        decoder: see `nested_answers`.
        seed: of the draws.
    """
    grid(decoder)
    found = []
    for draw in range(draws if images is not None else 1):
        drawn = folds
        if images is not None:
            drawn = [
                _drawn(fold, labels, groups, images, [seed, draw, f])
                for f, fold in enumerate(folds)
            ]
        answers, _ = nested_answers(gram, labels[None], drawn, decoder)
        found.append(answers[0] == labels)
    return np.array(found)


def _drawn(
    fold: Fold, labels: np.ndarray, groups: Mapping[str, np.ndarray], images: int, seed: list[int]
) -> Fold:
    """Return the fold with that many training images per value, the first of a random order."""
    order = np.random.default_rng(seed).permutation(fold.training)
    place = np.empty(len(order), dtype=np.int64)
    for value in np.unique(labels[order]):
        rows = labels[order] == value
        place[rows] = np.arange(rows.sum())
    training = np.sort(order[place < images])
    parts = inner_parts(groups[fold.tuned_by][training], seed[0] + 1)
    return replace(fold, training=training, parts=parts)


def _levels(labels: np.ndarray, folds: list[Fold], images: Sequence[int]) -> list[int | None]:
    """Return the numbers of training images, and None for all."""
    fewest = min(
        int(counts[counts > 0].min())
        for counts in (np.bincount(labels[fold.training]) for fold in folds)
    )
    if not images:
        return [*(2**k for k in range(fewest.bit_length()) if 2**k < max(fewest, 2)), None]
    wrong = [number for number in images if not 1 <= number <= fewest]
    if wrong:
        raise NeuroferError(
            f"images={wrong[0]}: give numbers from 1 to {fewest}, the images that the rarest value "
            "has in the smallest training part"
        )
    return [*sorted(set(images)), None]


def _summarise(
    responses: Responses,
    correct: list[np.ndarray],
    levels: list[int | None],
    per_value: float,
    folds: list[Fold],
) -> xr.Dataset:
    cells = []
    for one in correct:
        mean = one.mean(axis=0)
        interval = probe_interval(
            mean, responses.column("head"), responses.identity, responses.series, folds
        )
        cells.append((mean.mean(), interval.low, interval.high, len(mean), interval.method))
    dims = ("site", "images")
    data = cells_in_percent("accuracy", dims, [cells])
    spread = [one.mean(axis=1).std(ddof=1) if len(one) > 1 else 0.0 for one in correct]
    data["spread"] = (dims, 100 * np.array(spread)[None], {"units": "%"})
    trained = [float(level or per_value) for level in levels]
    data["trained_with"] = (dims, np.array(trained)[None])
    names = [ALL if level is None else str(level) for level in levels]
    return xr.Dataset(data, {"site": [responses.site or ALL], "images": names})


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return accuracy by training images: images, trained_with, n, accuracy, low, high, spread."""
    rows = []
    for images in result["images"].to_numpy().tolist():
        cell = result.sel(images=images).isel(site=0)
        rows.append(
            {
                "images": images,
                "trained_with": round(float(cell["trained_with"]), 1),
                "n": int(cell["n"]),
                **percent_row(cell),
                "spread": round(float(cell["spread"]), 1),
                "interval": str(cell["interval"].item()),
            }
        )
    return pd.DataFrame(rows)


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return accuracy over the number of training images of a value, one line per subject."""
    from neurofer.analyses.decoding.probe_figures import efficiency_figure

    return efficiency_figure(results)


ANALYSIS = Analysis(
    name="efficiency",
    summary="what a linear decoder reads by the number of images that it is trained with",
    run=run,
    table=table,
    figure=figure,
)
