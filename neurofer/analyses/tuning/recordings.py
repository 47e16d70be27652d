"""Tuning curves of a recording's units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.inputs import Responses, read_responses, sorted_expressions
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.statistics import can_resample
from neurofer.analyses.tuning.describe import Settings, describe, population, settings_of
from neurofer.analyses.tuning.families import family_names
from neurofer.analyses.tuning.fitting import OK
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.progress import progress_of

# What `describe` takes: x, responses, identity, strata and names of units shown the same stimuli.
Job = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
PREFERRED = "preferred"
INPUTS = ("strength", "expression")
# Units that are described together: bounds the memory; with fewer the fits are slower (1000: half).
AT_ONCE = 5000


def run(
    recording: xr.DataArray,
    site: str | None,
    inputs: str,
    expression: str,
    models: Sequence[str] | None,
    likelihood: str,
    criterion: str,
    **rest: int,
) -> xr.Dataset:
    """Return what `tuning.run` says."""
    responses = read_responses(recording, site, undefined=True)
    if inputs not in INPUTS:
        raise unknown_choice("inputs", inputs, INPUTS)
    settings = settings_of(models, inputs == "expression", likelihood, criterion, **rest)
    strength = responses.column("strength").astype(float)
    shown = sorted_expressions(responses.column("expression")[strength > 0])
    if not shown:
        raise NeuroferError(
            "the recording shows neutral faces only: there is no strength to be tuned to"
        )
    if inputs == "strength":
        result = _by_strength(responses, strength, shown, expression, settings)
    else:
        name = responses.column("expression")
        x = np.stack([strength * (name == one) for one in shown], axis=1)
        own = np.full(responses.activity.shape[1], "")
        rows = {"": np.ones(len(x), bool)}
        result = _described(responses, rows, x, own, settings)
        result.attrs["features"] = list(shown)
    result = completed(
        result.assign_coords(unit=("neuroid", responses.unit)),
        responses.identity,
        responses.column("head"),
        settings,
    )
    options: dict[str, Any] = {"inputs": inputs, "expression": expression}
    options |= {"models": list(settings.models), "likelihood": likelihood, "criterion": criterion}
    return with_provenance(result, "tuning", recording, responses, options | rest)


def _by_strength(
    responses: Responses,
    strength: np.ndarray,
    shown: list[str],
    expression: str,
    settings: Settings,
) -> xr.Dataset:
    """Fit each unit along the strength of its own expression, from the neutral."""
    if expression not in (PREFERRED, *shown):
        raise unknown_choice("expression", expression, [PREFERRED, *shown])
    name = responses.column("expression")
    own = np.full(responses.activity.shape[1], expression)
    if expression == PREFERRED:
        own = preferred(responses, strength, shown)
    rows = {one: (name == one) | (strength == 0) for one in shown}
    result = _described(responses, rows, strength, own, settings)
    return result.assign_coords(expression=("neuroid", own.astype(str)))


def preferred(responses: Responses, strength: np.ndarray, shown: list[str]) -> np.ndarray:
    """Return (units,) the expression that a unit is labelled with or, without, responds to most.

    The latter is the greatest mean response at an expression's greatest strength.
    """
    name = responses.column("expression")
    peaks = []
    for one in shown:
        rows = (name == one) & (strength == strength[name == one].max())
        peaks.append(responses.activity[rows].mean(axis=0, dtype=np.float64))
    best = np.array(shown)[np.nan_to_num(np.stack(peaks), nan=-np.inf).argmax(axis=0)]
    return np.where(np.isin(responses.unit, shown), responses.unit, best)


def completed(
    result: xr.Dataset, identity: np.ndarray, strata: np.ndarray, settings: Settings
) -> xr.Dataset:
    """Add what the population shows, and how intervals and cross-validation were made."""
    best, family = result["best"].to_numpy(), result["family"].to_numpy()
    names = family_names(settings.features, settings.models)
    result = result.assign(population(best, settings.models, "model", ""))
    result = result.assign(population(family, names, "families", "family_"))
    result = result.assign_coords(families=list(names))
    enough = can_resample(identity, strata) and settings.n_bootstrap > 1
    status = result["status"].to_numpy()
    result.attrs |= {
        "interval": "bootstrap over identities" if enough else "none",
        "cross_validation": "identities left out"
        if settings.n_folds > 1 and len(np.unique(identity)) > 1
        else "none",
        "criterion": settings.criterion,
        "likelihood": settings.likelihood,
        "n_set_aside": int((result["best"] == "").sum()),
        "n_not_fitted": int((status != OK).all(axis=0).sum()),
    }
    return result


def _described(
    responses: Responses,
    rows: dict[str, np.ndarray],
    x: np.ndarray,
    own: np.ndarray,
    settings: Settings,
) -> xr.Dataset:
    """Describe units by the rows of the name that is their own."""
    identity, head = responses.identity, responses.column("head")

    def jobs() -> Iterator[tuple[Job, np.ndarray]]:
        for name, shown in rows.items():
            for units in some_after_others(np.flatnonzero(own == name)):
                y = responses.activity[np.ix_(shown, units)].astype(np.float64)
                labels = responses.neuroid[units]
                yield (x[shown], y, identity[shown], head[shown], labels), units

    return described(jobs(), len(own), settings)


def some_after_others(units: np.ndarray) -> list[np.ndarray]:
    """Return the units in parts of at most `AT_ONCE`."""
    return [units[i : i + AT_ONCE] for i in range(0, len(units), AT_ONCE)]


def described(jobs: Iterable[tuple[Job, np.ndarray]], total: int, settings: Settings) -> xr.Dataset:
    """Describe the units of each job, and return all in the order of the places beside it."""
    parts, places = [], []
    with progress_of("tuning curves", total) as advance:
        for job, units in jobs:
            parts.append(describe(*job, settings))
            places.append(units)
            advance(len(units))
    at = np.argsort(np.concatenate(places), kind="stable")
    whole = xr.concat(parts, dim="neuroid", join="outer") if len(parts) > 1 else parts[0]
    return whole.isel(neuroid=at)
