"""Tuning curves of a recording's units."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from neurofer.analyses.inputs import KEEP, Responses, joined, read_responses, sorted_expressions
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.statistics import can_resample
from neurofer.analyses.tuning.describe import (
    UNITS,
    Criterion,
    Job,
    Likelihood,
    NoneOrSeveral,
    Settings,
    population,
    settings_of,
)
from neurofer.analyses.tuning.families import EITHER, NONE, family_names, told_apart
from neurofer.analyses.tuning.fitting import OK
from neurofer.analyses.tuning.parts import described, some_after_others
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Seed

PREFERRED = "preferred"
INPUTS = ("strength", "expression")
COMMON, HEAD, IDENTITY = "common", "head", "identity"
UNTOLD = (
    "each direction is shown in one sense only, and without mixtures: at these stimuli every "
    "norm-and-direction is an axis too"
)


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
            recording says is the exposure; units whose counts are then not whole are "not counts".
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
        A Dataset. "activity" is the unit of the recording. `attrs["noise_called_tuned"]` is the
        part of `n_noise` units of noise that is called tuned.

        aicc, bic (model, neuroid) [1]: criteria; the least is best.
        weight (model, neuroid) [1]: Akaike's, of AICc.
        cv_r2 (model, neuroid) [1]: the part of the flat model's error that is explained at
            identities left out.
        r2 (model, neuroid) [1]: the part of the variance that is explained.
        log_likelihood (model, neuroid) [nat]: at its maximum.
        status (model, neuroid) [text]: "ok", or why a model was not fitted.
        value (model, neuroid, parameter) [of the parameter]: fitted parameters.
        best (neuroid) [text]: the model of the least criterion; "" where none was fitted.
        interval (bound, neuroid, parameter) [of the parameter]: 95 %, of the best model.
        at_bound (neuroid) [text]: parameters whose values are bounds of the search, not the data's.
        family (neuroid) [text]: shape of the curve at the strengths shown: "flat", "linear",
            "accelerating", "saturating", "v-shaped" or "peaked"; of features, the model, "none"
            where it does not predict identities left out, or "norm-direction or axis" where the
            stimuli do not tell them apart.
        sign (neuroid) [1]: 1 rises, -1 falls, 0 neither.
        n_missing (neuroid) [1]: presentations that a unit was not recorded at.
        mean, predicted (level, neuroid) [activity]: measured, and by the best model.
        spread (level, neuroid) [activity]: half the width of the 95 % interval of the mean over
            identities.
        n_identities (level, neuroid) [1]: behind the mean.
        n, n_rising, n_falling (model) [1]: units that the model describes best.
        fraction, _low, _high (model) [1]: their fraction, with Wilson's interval.
        family_n, family_n_rising, family_n_falling (families) [1]: units of the family.
        family_fraction, _low, _high (families) [1]: their fraction, with Wilson's interval.
        orthogonal (neuroid) [1], if the model "axis" is fitted: how much the response changes with
            the distance from the unit's axis, relative to along it; 0 as an axis code has it,
            negative as an exemplar (`axis.orthogonal_tuning`).
        orthogonal_interval (bound, neuroid) [1], if the model "axis" is fitted: 95 %.

    Raises:
        NeuroferError: the site, a model or an option is unknown, or only neutral faces are shown.

    >>> from neurofer.simulation import norm_referenced_units, simulated_faces
    >>> recording = norm_referenced_units(simulated_faces(heads=["human"]), noise=0.03)
    >>> result = run(recording, models=["flat", "linear"], n_bootstrap=50, n_noise=0)
    >>> result["best"].sel(neuroid="nre.0").item()
    'linear'
    """
    # Single trials stay single: counts are Poisson one by one, and means say of how many they are.
    responses = read_responses(recording, site, undefined=True, trials=KEEP)
    if inputs not in INPUTS:
        raise unknown_choice("inputs", inputs, INPUTS)
    rest = {"n_folds": n_folds, "n_bootstrap": n_bootstrap, "seed": seed}
    settings = settings_of(models, inputs == "expression", likelihood, criterion, **rest)
    strength = responses.column("strength").astype(float)
    shown = sorted_expressions(responses.column("expression")[strength > 0])
    if not shown:
        raise NeuroferError(
            "the recording shows neutral faces only: there is no strength to be tuned to"
        )
    if inputs == "strength" and expression not in (PREFERRED, *shown):
        raise unknown_choice("expression", expression, [PREFERRED, *shown])
    own = own_baseline(responses, baseline)
    result = _fitted(responses, strength, shown, expression, own, settings)
    result = completed(
        result.assign_coords(unit=("neuroid", responses.unit)),
        responses.identity,
        responses.column("head"),
        settings,
    )
    result.attrs |= {"baseline": _said(baseline, own), "n_noise": n_noise}
    if n_noise:
        noise = noise_like(responses, likelihood, n_noise, settings.seed)
        quiet = replace(settings, n_bootstrap=0)
        found = _fitted(noise, strength, shown, expression, own, quiet)["family"].to_numpy()
        result.attrs["noise_called_tuned"] = float(is_tuned(found).mean())
    options: dict[str, Any] = {"inputs": inputs, "expression": expression}
    options |= {"models": list(settings.models), "likelihood": likelihood, "criterion": criterion}
    options |= {"baseline": baseline, "n_noise": n_noise}
    return with_provenance(result, "tuning", recording, responses, options | rest, UNITS)


def own_baseline(responses: Responses, baseline: str | Sequence[str]) -> np.ndarray | None:
    """Return (n,) names of whose baseline a presentation has; None where all share one.

    Raises:
        NeuroferError: it is not a column of the stimuli.
    """
    names = [baseline] if isinstance(baseline, str) else list(baseline)
    if names == [COMMON]:
        return None
    columns = []
    for name in names:
        if name == IDENTITY:
            columns.append(responses.identity)
        elif name in responses.stimuli:
            columns.append(responses.column(name))
        else:
            raise unknown_choice("baseline", name, [COMMON, IDENTITY, *responses.stimuli.columns])
    found = joined(*columns)
    return found if len(np.unique(found)) > 1 else None


def _said(baseline: str | Sequence[str], own: np.ndarray | None) -> str:
    if own is None:
        return "one for all presentations"
    names = baseline if isinstance(baseline, str) else " and ".join(baseline)
    return f"one for each {names} ({len(np.unique(own))})"


def is_tuned(family: np.ndarray) -> np.ndarray:
    """Return (units,) whether a unit is said to be tuned."""
    return ~np.isin(family, ["", "flat", NONE])


def noise_like(responses: Responses, likelihood: str, n: int, seed: int) -> Responses:
    """Return n units without tuning in the same design: what of them is called tuned is chance.

    Gaussian noise or, for a likelihood of counts, Poisson counts of the units' median mean, over
    as many trials; labels are those of the units, in turn. What units miss, they have.

    Args:
        responses: whose design is taken.
        likelihood: one of `LIKELIHOODS`.
        n: number of units of noise.
        seed: of the noise.
    """
    generator = np.random.default_rng((seed, n))
    place = np.arange(n) % len(responses.unit)
    shape = (len(responses.stimuli), n)
    counts = None if responses.counts is None else np.maximum(responses.counts[:, place], 1)
    if likelihood == "poisson":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of units without any response
            rate = float(np.nanmedian(np.nanmean(responses.activity, axis=0)))
        trials = np.ones(shape) if counts is None else counts
        rate = rate if np.isfinite(rate) and rate > 0 else 1.0
        activity = generator.poisson(rate * trials) / trials
    else:
        activity = generator.normal(size=shape)
    names = np.array([f"noise.{k}" for k in range(n)])
    return replace(
        responses, activity=activity, neuroid=names, unit=responses.unit[place], counts=counts
    )


def _fitted(
    responses: Responses,
    strength: np.ndarray,
    shown: list[str],
    expression: str,
    baseline: np.ndarray | None,
    settings: Settings,
) -> xr.Dataset:
    """Fit units on vectors of expressions, or along the strength of their own, from the neutral."""
    name = responses.column("expression")
    if settings.features:
        x = np.stack([strength * (name == one) for one in shown], axis=1)
        own = np.full(responses.activity.shape[1], "")
        result = _described(responses, {"": np.ones(len(x), bool)}, x, own, baseline, settings)
        return result.assign_attrs(features=list(shown), **untold(x, settings))
    own = np.full(responses.activity.shape[1], expression)
    if expression == PREFERRED:
        own = preferred(responses, strength, shown)
    rows = {one: (name == one) | (strength == 0) for one in shown}
    result = _described(responses, rows, strength, own, baseline, settings)
    return result.assign_coords(expression=("neuroid", own.astype(str)))


def untold(x: np.ndarray, settings: Settings) -> dict[str, Any]:
    """Return what to know of stimuli that do not tell a norm and a direction from an axis."""
    if not settings.features or EITHER not in family_names(True, settings.models):
        return {}
    return {} if told_apart(x) else {"not_told_apart": UNTOLD}


def preferred(responses: Responses, strength: np.ndarray, shown: list[str]) -> np.ndarray:
    """Return (units,) the expression that a unit is labelled with or, without, changes most with.

    The change is from the neutral to an expression's greatest strength, within each head, up or
    down: the expression of a unit that is suppressed is the one that suppresses it.

    Args:
        responses: the presentations.
        strength: (n,) strengths.
        shown: the expressions that were shown.
    """
    name, head = responses.column("expression"), responses.column("head")
    change = np.zeros((len(shown), responses.activity.shape[1]))
    for k, one in enumerate(shown):
        full = (name == one) & (strength == strength[name == one].max())
        differences = [
            _mean(responses.activity[full & (head == own)])
            - _mean(responses.activity[(strength == 0) & (head == own)])
            for own in np.unique(head[full])
        ]
        change[k] = np.abs(_mean(np.stack(differences)))
    best = np.array(shown)[np.nan_to_num(change, nan=-np.inf).argmax(axis=0)]
    return np.where(np.isin(responses.unit, shown), responses.unit, best)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the means over rows of what is there, NaN where nothing is."""
    shown = np.isfinite(values)
    total = np.where(shown, values, 0.0).sum(axis=0, dtype=np.float64)
    count = shown.sum(axis=0)
    return np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)


def completed(
    result: xr.Dataset,
    identity: np.ndarray,
    strata: np.ndarray,
    settings: Settings,
    who: str = "identities",
) -> xr.Dataset:
    """Add what the population shows, and how intervals and cross-validation were made.

    Args:
        result: one entry per unit.
        identity: (n,) what was resampled and left out.
        strata: (n,) within which it was resampled.
        settings: of the comparison of models.
        who: in words, what was resampled.
    """
    best, family = result["best"].to_numpy(), result["family"].to_numpy()
    sign = result["sign"].to_numpy()
    names = family_names(settings.features, settings.models)
    result = result.assign(population(best, sign, settings.models, "model", ""))
    result = result.assign(population(family, sign, names, "families", "family_"))
    result = result.assign_coords(families=list(names))
    enough = can_resample(identity, strata) and settings.n_bootstrap > 1
    status = result["status"].to_numpy()
    result.attrs |= {
        "interval": f"bootstrap over {who}" if enough else "none",
        "cross_validation": f"{who} left out"
        if settings.n_folds > 1 and len(np.unique(identity)) > 1
        else "none",
        "criterion": settings.criterion,
        "likelihood": settings.likelihood,
        "n_set_aside": int((result["best"] == "").sum()),
        "n_not_fitted": int((status != OK).all(axis=0).sum()),
        "n_rising": int((sign > 0).sum()),
        "n_falling": int((sign < 0).sum()),
        "n_units_missing": int((result["n_missing"].to_numpy() > 0).sum()),
    }
    return result


def _described(
    responses: Responses,
    rows: dict[str, np.ndarray],
    x: np.ndarray,
    own: np.ndarray,
    baseline: np.ndarray | None,
    settings: Settings,
) -> xr.Dataset:
    """Describe units by the rows of the name that is their own."""
    identity, head = responses.identity, responses.column("head")
    counts = responses.counts

    def jobs() -> Iterator[tuple[Job, np.ndarray]]:
        for name, shown in rows.items():
            for units in some_after_others(np.flatnonzero(own == name)):
                yield (
                    Job(
                        x[shown],
                        responses.activity[np.ix_(shown, units)].astype(np.float64),
                        identity[shown],
                        head[shown],
                        responses.neuroid[units],
                        None if baseline is None else baseline[shown],
                        None if counts is None else counts[np.ix_(shown, units)],
                    ),
                    units,
                )

    return described(jobs(), len(own), settings)
