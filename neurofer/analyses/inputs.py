"""A recording as the analyses read it: one site, checked, in an order that depends on ids only.

A recording may hold several trials of a stimulus. They are averaged here, neuron by neuron over
the trials in which it was recorded, and `Responses.said_of_trials` counts them for the result; an
analysis that asks for single trials (`trials=KEEP`) gets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.faces import HEADS
from neurofer.stimuli.table import EXPRESSIONS

ALL = "all"
COLUMNS = ("stimulus_id", "head", "identity", "expression", "strength")
MEAN, KEEP = "mean", "keep"  # of the trials of a stimulus
# What a result says of a unit: one vocabulary for all analyses that measure unit by unit.
OK = "ok"
# Activity that is not a number at some presentation: the unit is set aside whole.
NOT_FINITE = "not finite"
IS_CONSTANT = "constant"
FEW_LEVELS = "too few levels"
# float32 activity that varies by less than this part of a unit's scale is constant up to rounding.
CONSTANT = 1e-6


@dataclass(frozen=True)
class Responses:
    """One site of a recording.

    Attributes:
        activity: (n, units).
        stimuli: n rows, the coordinates of the presentations, sorted by `stimulus_id`; where
            trials were averaged, without the columns that differ between trials of a stimulus.
        neuroid: (units,) names of the units.
        unit: (units,) labels of the units, "" where they have none.
        site: name of the site.
        counts: (n, units) trials in each value of `activity`, 0 where a unit was not recorded;
            None where the recording does not say and every stimulus is there once.
        mixed: columns that differ between trials of one stimulus and are therefore left out.
    """

    activity: np.ndarray
    stimuli: pd.DataFrame
    neuroid: np.ndarray
    unit: np.ndarray
    site: str
    counts: np.ndarray | None = None
    mixed: tuple[str, ...] = ()

    def column(self, name: str) -> np.ndarray:
        """Return a column of the stimuli as an array, strings as `<U`."""
        values = self.stimuli[name].to_numpy()
        return values.astype(str) if values.dtype.kind in "OUT" else values

    @property
    def identity(self) -> np.ndarray:
        """(n,) head and identity: "1" of the humans is not "1" of the monkeys."""
        return joined(self.column("head"), self.column("identity"))

    @property
    def series(self) -> np.ndarray:
        """(n,) head, identity and expression."""
        return joined(self.identity, self.column("expression"))

    def said_of_trials(self) -> dict[str, Any]:
        """Return what a result says of trials and of what was never recorded, for its `attrs`.

        `trials`, in words; `trials_least` and `trials_most`, the fewest and most trials that a
        value stands for; `n_missing`, values (stimulus by unit) without a trial; `missing`, the
        stimuli that some unit was not shown, the first ones by name. Empty where the recording
        holds each stimulus once, does not count trials and lacks nothing.
        """
        counts = self.counts
        if counts is None:
            return {}
        seen = counts[counts > 0]
        least, most = (int(seen.min()), int(seen.max())) if seen.size else (0, 0)
        if self.stimuli["stimulus_id"].duplicated().any():
            said = "single trials"
        elif least == most:
            said = f"means over {most} trials of a stimulus" if most > 1 else "one of each stimulus"
        else:
            said = f"means over {least} to {most} trials of a stimulus (unequal)"
        lacking = self.column("stimulus_id")[(counts == 0).any(axis=1)]
        named = listed(lacking) if len(lacking) else ""
        return {
            "trials": said,
            "trials_least": least,
            "trials_most": most,
            "n_missing": int((counts == 0).sum()),
            "missing": f"{len(lacking)} stimuli: {named}" if len(lacking) else "",
        }


def joined(*columns: np.ndarray) -> np.ndarray:
    """Join columns of strings row by row.

    >>> joined(np.array(["human"]), np.array(["1"])).tolist()
    ['human/1']
    """
    return np.array(["/".join(map(str, row)) for row in zip(*columns, strict=True)], dtype=str)


def read_responses(
    recording: xr.DataArray, site: str | None, *, undefined: bool = False, trials: str = MEAN
) -> Responses:
    """Read one site of a recording.

    Args:
        recording: presentation x neuroid, a stimulus in one or several trials.
        site: name of the site; None where the recording has one only.
        undefined: whether activity may be NaN.
        trials: "mean" averages the trials of a stimulus, over those in which a unit was recorded
            (not NaN); "keep" has a row for each trial.

    Raises:
        NeuroferError: the recording has time bins, no presentations, lacks a coordinate, has no
            such site, says different things of one stimulus, or holds activity that is not finite.
    """
    _check_dims(recording)
    recording = _of_site(recording, site)
    stimuli = _stimuli(recording)
    order = _order(stimuli)
    responses = Responses(
        activity=recording.transpose("presentation", "neuroid").to_numpy()[order],
        stimuli=stimuli.iloc[order].reset_index(drop=True),
        neuroid=_neuroid(recording, "neuroid_id"),
        unit=_neuroid(recording, "unit"),
        site=_site_name(recording, site),
    )
    if "n_averaged" in recording.coords:
        counts = recording["n_averaged"].transpose("presentation", "neuroid").to_numpy()[order]
        responses = replace(responses, counts=counts.astype(np.int64))
    repeated = responses.stimuli["stimulus_id"].duplicated().any()
    if repeated:
        _check_agreement(responses.stimuli)
    if repeated and trials == MEAN:
        responses = _averaged(responses)
    elif repeated or "n_trials" in responses.stimuli:
        responses = replace(responses, counts=_counts(responses))
    if not undefined:
        _check_finite(responses)
    return responses


def subset(
    responses: Responses, units: np.ndarray, presentations: np.ndarray | None = None
) -> Responses:
    """Return the responses of some units to all or some of the presentations.

    Args:
        responses: n presentations x units.
        units: truth values, or numbers of units.
        presentations: (n,) truth values; None takes all.
    """
    if presentations is None:
        presentations = np.ones(len(responses.stimuli), bool)
    chosen = np.ix_(presentations, units)
    return replace(
        responses,
        activity=responses.activity[chosen],
        stimuli=responses.stimuli[presentations].reset_index(drop=True),
        neuroid=responses.neuroid[units],
        unit=responses.unit[units],
        counts=None if responses.counts is None else responses.counts[chosen],
    )


def sorted_like(values: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the distinct values: those of `order` in its order, then the others by name.

    >>> sorted_like(["zebra", "monkey", "human", "monkey"], HEADS)
    ['human', 'monkey', 'zebra']
    """
    found = {str(value) for value in values}
    return [name for name in order if name in found] + sorted(found - set(order))


def sorted_heads(values: Iterable[str]) -> list[str]:
    """Return the distinct heads in the order of tables and figures."""
    return sorted_like(values, HEADS)


def sorted_expressions(values: Iterable[str]) -> list[str]:
    """Return the distinct expressions in the order of tables and figures."""
    return sorted_like(values, EXPRESSIONS)


def strength_name(strength: float) -> str:
    """Return a strength as it stands in coordinates, beside "all".

    >>> [strength_name(s) for s in (0.0, 0.25, 1.0)]
    ['0', '0.25', '1']
    """
    return f"{strength:g}"


def matching_rows(responses: Responses, conditions: Mapping[str, Any], where: str) -> np.ndarray:
    """Return (n,) truth values: the presentations whose columns have the given value or values.

    Args:
        responses: the presentations.
        conditions: column -> value or values.
        where: in words, what asks for them; it begins the message.

    Raises:
        NeuroferError: a column or a value does not exist.
    """
    rows = np.ones(len(responses.stimuli), bool)
    for name, wanted in conditions.items():
        if name not in responses.stimuli:
            raise unknown_choice("column", name, responses.stimuli.columns, where)
        values = responses.column(name)
        choices = list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
        for choice in choices:
            if not (values == choice).any():
                raise unknown_choice(name, choice, np.unique(values).tolist(), where)
        rows &= np.isin(values, np.asarray(choices))
    return rows


def _check_dims(recording: xr.DataArray) -> None:
    if "time_bin" in recording.dims:
        raise NeuroferError(
            f"the recording has {recording.sizes['time_bin']} time bins and this analysis takes "
            "one: choose it with recording.isel(time_bin=0) or average with "
            "recording.mean('time_bin', keep_attrs=True)"
        )
    if set(recording.dims) != {"presentation", "neuroid"}:
        raise NeuroferError(
            f"a recording has the dimensions presentation and neuroid; this one has "
            f"{', '.join(map(str, recording.dims)) or 'none'}"
        )
    for dim in ("presentation", "neuroid"):
        if recording.sizes[dim] == 0:
            raise NeuroferError(f"the recording has no {dim}s: there is nothing to analyse")


def _of_site(recording: xr.DataArray, site: str | None) -> xr.DataArray:
    if "site" not in recording.coords:
        if site is not None:
            raise NeuroferError(
                f"site={site!r}, but the neuroids of this recording have no coordinate 'site': "
                "leave the option out (site=None) to take all of them"
            )
        return recording
    sites = recording["site"].to_numpy().astype(str)
    choices = list(dict.fromkeys(sites.tolist()))
    if site is None and len(choices) == 1:
        return recording
    if site is None:
        raise NeuroferError(f"the recording has the sites {', '.join(choices)}: choose one")
    if site not in choices:
        raise unknown_choice("site", site, choices, "the recording")
    units = np.flatnonzero(sites == site)
    first, last = int(units[0]), int(units[-1])
    # Units side by side are looked at where they are: a recording may fill half of the memory.
    beside = last - first == len(units) - 1
    return recording.isel(neuroid=slice(first, last + 1) if beside else units)


def _site_name(recording: xr.DataArray, site: str | None) -> str:
    if site is not None:
        return site
    return str(recording["site"].to_numpy()[0]) if "site" in recording.coords else ""


def _stimuli(recording: xr.DataArray) -> pd.DataFrame:
    columns = {
        str(name): coord.to_numpy()
        for name, coord in recording.coords.items()
        if coord.dims == ("presentation",)
    }
    for name in COLUMNS:
        if name not in columns:
            raise unknown_choice("presentation coordinate", name, columns, "the recording")
    stimuli = pd.DataFrame(columns)
    strength = columns["strength"].astype(float)
    if not np.isfinite(strength).all():
        i = int(np.argmin(np.isfinite(strength)))
        raise NeuroferError(
            f"stimulus {columns['stimulus_id'][i]!r} has strength={strength[i]}; every "
            "presentation needs a strength (0 for neutral)"
        )
    return stimuli


def _order(stimuli: pd.DataFrame) -> np.ndarray:
    """Return the order of presentations: by stimulus, and its trials by their number."""
    keys = [stimuli["stimulus_id"].to_numpy().astype(str)]
    for name in ("repeat", "trial"):
        if name in stimuli:
            values = stimuli[name].to_numpy()
            keys.append(values if values.dtype.kind in "iuf" else values.astype(str))
    return np.lexsort(keys[::-1])


def _check_agreement(stimuli: pd.DataFrame) -> None:
    """Refuse trials of one stimulus that say different things of who shows what."""
    ids = stimuli["stimulus_id"].astype(str)
    for name in COLUMNS[1:]:
        different = stimuli[name].groupby(ids).nunique(dropna=False)
        if (different > 1).any():
            one = str(different.index[different > 1][0])
            values = stimuli[name][ids == one].unique().tolist()
            raise NeuroferError(
                f"stimulus_id={one!r} is shown with {name}={values[0]!r} and with "
                f"{name}={values[1]!r}: trials of one stimulus must agree; give different stimuli "
                "different ids"
            )


def _averaged(responses: Responses) -> Responses:
    """Return one row per stimulus: the mean over its trials, NaN where a unit has none."""
    ids = responses.column("stimulus_id").astype(str)
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    activity, weights = responses.activity, _counts(responses)
    mean = np.empty((len(starts), activity.shape[1]), activity.dtype)
    counts = np.empty(mean.shape, np.int64)
    for row, (start, end) in enumerate(zip(starts, [*starts[1:], len(ids)], strict=True)):
        weight = weights[start:end]
        total = np.where(weight > 0, activity[start:end].astype(np.float64) * weight, 0).sum(axis=0)
        counts[row] = weight.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean[row] = total / np.where(counts[row] > 0, counts[row], np.nan)
    same = responses.stimuli.groupby(ids, sort=False).nunique(dropna=False).max() <= 1
    mixed = tuple(str(name) for name in same.index[~same] if name != "n_trials")
    kept = [name for name in responses.stimuli if name in ("stimulus_id", *same.index[same])]
    stimuli = responses.stimuli.iloc[starts][kept].reset_index(drop=True)
    return replace(responses, activity=mean, stimuli=stimuli, counts=counts, mixed=mixed)


def _counts(responses: Responses) -> np.ndarray:
    """Return (n, units) how many trials each value stands for, 0 where it is NaN.

    The recording says it for each value (`n_averaged`) or for a presentation (`n_trials`), or a
    presentation is one trial.
    """
    if responses.counts is not None:
        return np.where(np.isnan(responses.activity), 0, responses.counts)
    said = responses.stimuli.get("n_trials")
    rows = np.ones(len(responses.stimuli)) if said is None else said.to_numpy()
    return np.where(np.isnan(responses.activity), 0, rows.astype(np.int64)[:, None])


def _neuroid(recording: xr.DataArray, name: str) -> np.ndarray:
    if name in recording.coords:
        return recording[name].to_numpy().astype(str)
    n = recording.sizes["neuroid"]
    return np.array([f"{i}" for i in range(n)] if name == "neuroid_id" else [""] * n, dtype=str)


def _check_finite(responses: Responses) -> None:
    if all(np.isfinite(row).all() for row in responses.activity):
        return
    finite = np.isfinite(responses.activity)
    units = responses.neuroid[~finite.all(axis=0)]
    shown = responses.column("stimulus_id")[~finite.all(axis=1)]
    raise NeuroferError(
        f"{len(units)} of {finite.shape[1]} units of site {responses.site!r} hold activity that is "
        f"not finite ({listed(units)}), at {len(shown)} of {finite.shape[0]} presentations "
        f"({listed(shown)}): drop those units or presentations, or fill them, before the analysis"
    )


def listed(names: Sequence[Any] | np.ndarray, most: int = 3) -> str:
    """Return the first names in words.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")
