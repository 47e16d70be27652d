"""Tuning curves: which function of strength, or of features, a unit's response follows.

    from neurofer.analyses import tuning
    result = tuning.fit_table("rates.csv", response="rate", strength="strength", identity="monkey")
    print(tuning.units(result))

All units are fitted at once (`solve` says how), by least squares or as Poisson counts, and
compared by AICc, BIC or the error at identities left out. Models overlap, so that a unit also has
a `family`, the shape of its curve (`families`); `neurofer.simulation.recovery.tuning.confusion`
simulates how often model and family are found in a design of your own.

What a unit cannot show is said, not hidden: `status` names units that are not finite, constant,
negative counts, or were shown fewer distinct stimuli than a model has parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.registry import Analysis
from neurofer.options import MOST_RESAMPLES, Seed, checked, within

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from neurofer.analyses.tuning.fitting import Fit

Likelihood = Literal["gaussian", "poisson"]
Criterion = Literal["bic", "aicc", "aic", "cv"]
NoneOrSeveral = Literal[0] | Annotated[int, within(2, MOST_RESAMPLES)]


def fit(
    x: np.ndarray,
    responses: np.ndarray,
    model: str = "linear",
    *,
    likelihood: str = "gaussian",
) -> Fit:
    """Fit one tuning model to all units by maximum likelihood.

    Args:
        x: (n,) strengths, or (n, dimensions) features as differences from the norm.
        responses: (n,) or (n, units).
        model: of strength "flat", "linear", "rectified", "v-shape", "power", "sigmoid",
            "naka-rushton" or "gaussian"; of features "flat", "norm-direction", "axis" or
            "exemplar". `models.MODELS` has their equations and bounds.
        likelihood: "gaussian" with a common variance, or "poisson" with f as the mean count.

    Returns:
        names and values (units, parameters), aic, aicc (NaN where n - k - 1 <= 0), bic, r2, rss,
        log_likelihood and status, each (units,), and `predict`.

    Raises:
        NeuroferError: the model or likelihood is unknown, shapes do not match, or x is not finite,
            one value only, or negative where the model is a power.

    >>> one = fit(np.array([0, 0.5, 1.0]), np.array([1.0, 2.0, 3.0]), "linear")
    >>> dict(zip(one.names, one.values[0].round(6).tolist()))
    {'a': 1.0, 'b': 2.0}
    """
    from neurofer.analyses.tuning import fitting

    return fitting.fit(x, responses, model, likelihood=likelihood)


def run(
    recording: xr.DataArray,
    site: str | None = "nre",
    *,
    inputs: Literal["strength", "expression"] = "strength",
    expression: str = "preferred",
    models: Sequence[str] | None = None,
    likelihood: Likelihood = "gaussian",
    criterion: Criterion = "bic",
    n_folds: NoneOrSeveral = 5,
    n_bootstrap: NoneOrSeveral = 1000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return which tuning model describes each unit best, with its parameters and intervals.

    Args:
        recording: presentation x neuroid, with strengths; activity may be NaN, by unit.
        site: the site whose units are fitted; None if the recording has one only.
        inputs: "strength" fits functions of strength along one expression, from the neutral;
            "expression" functions of the vector that has the strength of each expression.
        expression: along which, for "strength"; "preferred" is the one that a unit is labelled
            with or, without a label, that of the greatest mean response at full strength (chosen
            on the same data, so that its tuning is described, not tested).
        models: names; by default all that take the inputs.
        likelihood: "gaussian" or "poisson".
        criterion: "bic", "aicc", "aic", or "cv" (error at identities left out).
        n_folds: of the cross-validation, by identity; 0 for none.
        n_bootstrap: resamples of identities for the intervals; 0 for none. Of 25,000 units at
            five strengths, 1000 take about two minutes of one core, all the rest 20 seconds.
        seed: of folds and resamples.

    Returns:
        By model and neuroid aicc, bic, log_likelihood, r2, cv_r2 (part of the flat model's error
        that is explained at identities left out), weight (Akaike's, of AICc), status, and value
        (parameter). By neuroid best, the least criterion, interval (bound, parameter), 95 %, of
        its parameters, and family, the shape of its curve at the strengths shown ("flat",
        "linear", "accelerating", "saturating", "v-shaped", "peaked"; of features, the model), and
        at_bound, the parameters whose values are bounds of the search, not the data's. By
        model n, fraction, fraction_low and fraction_high of the units that it describes best; by
        families the same with family_ before. By level and neuroid mean, spread (half-width of
        the 95 % interval of the mean over identities), n_identities, and predicted, by the best
        model. With the model "axis" also orthogonal and orthogonal_interval: how much the response
        changes with the distance from the unit's axis, relative to along it; 0 is flat, as an axis
        code has it, negative declines, as an exemplar does (`axis.orthogonal_tuning`).

    Raises:
        NeuroferError: the site, a model or an option is unknown, a `stimulus_id` is presented
            twice, or only neutral faces are shown.
    """
    from neurofer.analyses.tuning import recordings

    return recordings.run(
        recording,
        site,
        inputs,
        expression,
        models,
        likelihood,
        criterion,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


@checked
def fit_table(
    table: pd.DataFrame | str | Path,
    *,
    response: str | Sequence[str] = "response",
    strength: str = "strength",
    features: Sequence[str] | None = None,
    identity: str | None = None,
    unit: str | None = None,
    models: Sequence[str] | None = None,
    likelihood: Likelihood = "gaussian",
    criterion: Criterion = "bic",
    n_folds: NoneOrSeveral = 5,
    n_bootstrap: NoneOrSeveral = 1000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Fit tuning curves to a table of your own: a row a presentation.

    Args:
        table: or the path of a CSV file.
        response: column of the responses, or several, one a unit.
        strength: column of the strengths.
        features: columns of feature vectors instead of strengths.
        identity: column of what is resampled and left out: identities, monkeys, sessions. Without,
            every row is its own.
        unit: column of the units' names, where one column holds the responses of all.
        models: as `run`, and so the other options.
        likelihood: "gaussian" or "poisson".
        criterion: "bic", "aicc", "aic" or "cv".
        n_folds: of the cross-validation.
        n_bootstrap: of the intervals.
        seed: of both.

    Returns:
        As `run`. Rows without a finite strength or response, an identity or a unit are set aside;
        `attrs["n_rows_set_aside"]` counts and `attrs["set_aside"]` names them.

    Raises:
        NeuroferError: a column does not exist, no row can be used, or the file is no table.

    >>> own = pd.DataFrame({"strength": [0, 0.5, 1] * 2, "rate": [1, 2, 3, 1.1, 2, 2.9]})
    >>> str(fit_table(own, response="rate", models=["flat", "linear"])["best"].item())
    'linear'
    """
    from neurofer.analyses.tuning import tables

    return tables.fit_table(
        table,
        response,
        [strength] if features is None else list(features),
        identity,
        unit,
        models,
        likelihood,
        criterion,
        features is not None,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a family, of any model, then a row a model: the units that it describes.

    Columns: family, model, n, fraction with its interval, and the median over those units of the
    best model's r2, cv_r2 and weight.
    """
    from neurofer.analyses.tuning.drawing import population_table

    return population_table(result)


def units(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a unit: family, best model, status, criteria, parameters with intervals."""
    from neurofer.analyses.tuning.drawing import unit_table

    return unit_table(result)


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return for each subject how many units have each family of tuning, and the best units."""
    from neurofer.analyses.tuning.drawing import tuning_figure

    return tuning_figure(results)


ANALYSIS = Analysis(
    name="tuning",
    summary="the tuning model that describes every unit best, with its parameters",
    run=run,
    table=table,
    figure=figure,
    quick={"models": ("flat", "linear")},
)
