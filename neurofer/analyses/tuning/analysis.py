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
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    baseline: np.ndarray | None = None,
    trials: np.ndarray | None = None,
) -> Fit:
    """Fit one tuning model to all units by maximum likelihood.

    Args:
        x: (n,) strengths, or (n, dimensions) features as differences from the norm.
        responses: (n,) or (n, units); NaN where a unit was not recorded.
        model: of strength "flat", "linear", "rectified", "v-shape", "power", "sigmoid",
            "naka-rushton" or "gaussian"; of features "flat", "norm-direction", "axis" or
            "exemplar". `models.MODELS` has their equations and bounds.
        likelihood: "gaussian" with a common variance, or "poisson" with f as the mean count.
        baseline: (n,) names of heads, identities or sessions, each of which has an "a" of its own.
        trials: (n,) or (n, units) how many trials a response is the mean of: counts are then
            Poisson with that exposure, as if every trial stood by itself. Gaussian fits weigh
            every response alike.

    Returns:
        names and values (units, parameters), aic, aicc (NaN where n - k - 1 <= 0), bic, r2, rss,
        log_likelihood and status, each (units,), and `predict`. `fitting.Fit` has them all.

    Raises:
        NeuroferError: the model or likelihood is unknown, shapes do not match, or x is not finite,
            one value only, or negative where the model is a power.

    >>> one = fit(np.array([0, 0.5, 1.0]), np.array([1.0, 2.0, 3.0]), "linear")
    >>> dict(zip(one.names, one.values[0].round(6).tolist()))
    {'a': 1.0, 'b': 2.0}
    """
    from neurofer.analyses.tuning import fitting

    return fitting.fit(x, responses, model, likelihood=likelihood, baseline=baseline, trials=trials)


def run(
    recording: xr.DataArray,
    site: str | None = "nre",
    *,
    inputs: Literal["strength", "expression"] = "strength",
    expression: str = "preferred",
    models: Sequence[str] | None = None,
    likelihood: Likelihood = "gaussian",
    criterion: Criterion = "bic",
    baseline: str | Sequence[str] = "head",
    n_folds: NoneOrSeveral = 5,
    n_bootstrap: NoneOrSeveral = 1000,
    n_noise: NoneOrSeveral = 200,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return which tuning model describes each unit best, with its parameters and intervals.

    Args:
        recording: presentation x neuroid, with strengths, in single trials or as means. What a
            unit was not shown is NaN: it is fitted to the rest, and `n_missing` counts.
        site: the site whose units are fitted; None if the recording has one only.
        inputs: "strength" fits functions of strength along one expression, from the neutral;
            "expression" functions of the vector that has the strength of each expression.
        expression: along which, for "strength"; "preferred" is the one that a unit is labelled
            with or, without a label, that with which it changes most, up or down (chosen on the
            same data, so that its tuning is described, not tested; `noise_called_tuned` says what
            chance finds so).
        models: names; by default all that take the inputs.
        likelihood: "gaussian", or "poisson" for counts. Of means, the number of trials that the
            recording says is the exposure; what then is no whole count is "not counts".
        criterion: "bic" to say which units are tuned; "aicc", "aic" or "cv" (error at identities
            left out) to predict. Of pure noise at five strengths of fifteen identities and one
            expression they call 4, 23, 26 and 42 % tuned (docs/recovery.md).
        baseline: "head" gives each head a baseline of its own, "identity" each identity, the name
            of a column such as "session" each of its values, several names each combination;
            "common": one for all. Where baselines differ and are not fitted, curves are flattened.
        n_folds: of the cross-validation, by identity; 0 for none.
        n_bootstrap: resamples of identities for the intervals; 0 for none. Of 25,000 units at
            five strengths, 1000 take about two minutes of one core, all the rest 20 seconds. Of
            features they may take hours; the time is estimated and said first.
        n_noise: units without tuning that are described in the same design, beside; 0 for none.
        seed: of folds and resamples.

    Returns:
        By model and neuroid aicc, bic, log_likelihood, r2, cv_r2 (part of the flat model's error
        that is explained at identities left out), weight (Akaike's, of AICc), status, and value
        (parameter). By neuroid best, the least criterion, interval (bound, parameter), 95 %, of
        its parameters, family, the shape of its curve at the strengths shown ("flat", "linear",
        "accelerating", "saturating", "v-shaped", "peaked"; of features, the model, "none" where it
        does not predict identities left out, or "norm-direction or axis" where the stimuli do not
        tell them apart), sign (1 rises, -1 falls), n_missing, and at_bound, the parameters whose
        values are bounds of the search, not the data's. By
        model n, fraction, fraction_low and fraction_high of the units that it describes best; by
        families the same with family_ before. By level and neuroid mean, spread (half-width of
        the 95 % interval of the mean over identities), n_identities, and predicted, by the best
        model. With the model "axis" also orthogonal and orthogonal_interval: how much the response
        changes with the distance from the unit's axis, relative to along it; 0 is flat, as an axis
        code has it, negative declines, as an exemplar does (`axis.orthogonal_tuning`). attrs:
        noise_called_tuned, the part of `n_noise` units of noise that is called tuned; baseline.

    Raises:
        NeuroferError: the site, a model or an option is unknown, or only neutral faces are shown.
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
        baseline,
        n_noise,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


@checked
def fit_table(
    table: pd.DataFrame | str | Path,
    *,
    response: Any = "response",  # any label of a column, or several
    strength: str = "strength",
    features: Sequence[str] | None = None,
    identity: str | None = None,
    unit: str | None = None,
    trials: str | None = None,
    baseline: str | None = None,
    models: Sequence[str] | None = None,
    likelihood: Likelihood = "gaussian",
    criterion: Criterion = "bic",
    n_folds: NoneOrSeveral = 5,
    n_bootstrap: NoneOrSeveral = 1000,
    n_noise: NoneOrSeveral = 200,
    seed: Seed = 0,
) -> xr.Dataset:
    """Fit tuning curves to a table of your own: one row per presentation.

    Args:
        table: or the path of a table of text (comma, tab, semicolon; decimals as 5.1 or 5,1).
        response: column of the responses, or a list of several, one for each unit; any label.
        strength: column of the strengths.
        features: columns of feature vectors instead of strengths.
        identity: column of what is resampled and left out: identities, monkeys, sessions. Without,
            every row is its own, and intervals are over presentations: too narrow where rows share
            an identity.
        unit: column of the units' names, where one column holds the responses of all.
        trials: column of the number of trials that a response is the mean of.
        baseline: column of what has a baseline of its own: heads, sessions, identities.
        models: as `run`, and so the other options.
        likelihood: "gaussian" or "poisson".
        criterion: "bic", "aicc", "aic" or "cv".
        n_folds: of the cross-validation.
        n_bootstrap: of the intervals.
        n_noise: as `run`.
        seed: of all.

    Returns:
        As `run`. Rows without a finite strength or response, an identity or a unit are set aside;
        `attrs["n_rows_set_aside"]` counts and `attrs["set_aside"]` names them. Of several columns a
        unit is fitted to the rows that it has; `n_missing` counts the others.

    Raises:
        NeuroferError: a column does not exist, no row can be used, or the file is not a table.

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
        trials,
        baseline,
        models,
        likelihood,
        criterion,
        features is not None,
        n_noise,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per family, of any model, then one per model: the units that it describes.

    Columns: family, model, n, n_rising, n_falling, fraction with its interval, and the median over
    those units of the best model's r2, cv_r2 and weight.
    """
    from neurofer.analyses.tuning.drawing import population_table

    return population_table(result)


def units(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit: family, sign, best model, status, criteria, parameters."""
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
    quick={"models": ("flat", "linear"), "n_noise": 5},
)
