"""Tuning curves of a user's own table: columns by name, bad rows named and set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import Responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.tuning.describe import Job, Settings, describe, settings_of
from neurofer.analyses.tuning.families import EITHER, family_names, told_apart
from neurofer.analyses.tuning.recordings import (
    UNTOLD,
    completed,
    described,
    is_tuned,
    noise_like,
    some_after_others,
)
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.tables import numbers as numbers_of
from neurofer.tables import read_table

MOST_NAMED = 20


def fit_table(
    table: pd.DataFrame | str | Path,
    response: str | Sequence[str],
    x: Sequence[str],
    identity: str | None,
    unit: str | None,
    trials: str | None,
    baseline: str | None,
    models: Sequence[str] | None,
    likelihood: str,
    criterion: str,
    features: bool,
    n_noise: int,
    **rest: int,
) -> xr.Dataset:
    """Return what `tuning.fit_table` says.

    Args:
        table: see `tuning.fit_table`, here and below.
        response: column or columns of responses.
        x: column of strengths, or columns of features.
        identity: column of what is resampled.
        unit: column of the units.
        trials: column of how many trials a response is the mean of.
        baseline: column of what has a baseline of its own.
        models: names, or None for all.
        likelihood: one of `LIKELIHOODS`.
        criterion: one of `CRITERIA`.
        features: whether x are features.
        n_noise: units of noise that are described as well.
        rest: n_folds, n_bootstrap and seed.
    """
    data, name = _read(table)
    columns = _names(response)
    if unit is not None and len(columns) > 1:
        raise NeuroferError(
            f"unit={unit!r} names the units of one column of responses; these are {len(columns)}"
        )
    extra = [one for one in (identity, unit, baseline) if one is not None]
    of_rows = [*x, *([] if trials is None else [trials])]
    for column in (*columns, *of_rows, *extra):
        if column not in data:
            raise unknown_choice("column", column, data.columns, f"table {name!r}")
    settings = settings_of(models, features, likelihood, criterion, **rest)
    numbers, aside = _numbers(data, columns, of_rows, extra)
    if numbers.empty:
        raise NeuroferError(f"no row of table {name!r} can be used: {'; '.join(aside[:3])}")
    who = numbers.index.to_numpy().astype(str)
    who = who if identity is None else data.loc[numbers.index, identity].to_numpy().astype(str)
    own = None if baseline is None else data.loc[numbers.index, baseline].to_numpy().astype(str)
    rows = _Rows(
        numbers[x[0]].to_numpy(float) if not features else numbers[list(x)].to_numpy(float),
        who,
        own,
        None if trials is None else numbers[trials].to_numpy(float)[:, None],
    )
    labels = None if unit is None else data.loc[numbers.index, unit].to_numpy().astype(str)
    jobs = list(_jobs(numbers, columns, rows, labels))
    total = sum(len(units) for _, units in jobs)
    result = described(jobs, total, settings)
    over = "presentations" if identity is None else "identities"
    result = completed(result, who, np.full(len(who), ""), settings, over)
    result.attrs |= _noise(jobs, settings, n_noise)
    result.attrs["set_aside"] = aside[:MOST_NAMED]
    result.attrs["n_rows_set_aside"] = len(data) - len(numbers)
    result.attrs["identities"] = identity or "not stated: every row is its own"
    result.attrs["baseline"] = f"one for each {baseline}" if baseline else "one for all rows"
    if features and EITHER in family_names(True, settings.models) and not told_apart(rows.x):
        result.attrs["not_told_apart"] = UNTOLD
    responses = Responses(
        np.empty((len(numbers), total)),
        pd.DataFrame({"head": "", "identity": who}),
        result["neuroid"].to_numpy(),
        np.array([]),
        "",
    )
    options: dict[str, Any] = {"response": columns, "x": list(x), "identity": identity}
    options |= {"unit": unit, "trials": trials, "baseline": baseline, "n_noise": n_noise}
    options |= {"models": list(settings.models), "criterion": criterion}
    made_of = xr.DataArray(attrs={"subject": name, "stimuli": name})
    options |= {"likelihood": likelihood} | rest
    return with_provenance(result, "tuning", made_of, responses, options)


@dataclass(frozen=True)
class _Rows:
    """What is known of every row that is used: x, identity, baseline and trials of a mean."""

    x: np.ndarray
    identity: np.ndarray
    baseline: np.ndarray | None
    trials: np.ndarray | None

    def job(self, rows: np.ndarray, responses: np.ndarray, names: np.ndarray) -> Job:
        """Return the job of some rows."""
        own, trials = self.baseline, self.trials
        return Job(
            self.x[rows],
            responses,
            self.identity[rows],
            np.full(int(rows.sum()), ""),
            names,
            None if own is None else own[rows],
            None if trials is None else trials[rows],
        )


def _names(response: object) -> list[Any]:
    """Return the columns of responses; a name may be any label of a DataFrame."""
    if isinstance(response, (list, tuple, np.ndarray, pd.Index)):
        if not len(response):
            raise NeuroferError("response=[] names no column; give one, or one for each unit")
        return list(response)
    return [response]


def _noise(jobs: list[tuple[Job, np.ndarray]], settings: Settings, n: int) -> dict[str, Any]:
    """Return which part of n units without tuning would be called tuned, in the greatest job."""
    if not n:
        return {"n_noise": 0}
    job = max((one for one, _ in jobs), key=lambda one: len(one.x))
    names = np.array([f"noise.{k}" for k in range(n)])
    counts = None if job.trials is None else np.broadcast_to(job.trials, (len(job.x), 1))
    like = Responses(job.responses, pd.DataFrame(index=range(len(job.x))), names[:1],
                     names[:1], "", counts)  # fmt: skip
    made = noise_like(like, settings.likelihood, n, settings.seed)
    quiet = replace(settings, n_bootstrap=0)
    found = describe(replace(job, responses=made.activity, neuroid=names), quiet)["family"]
    return {"n_noise": n, "noise_called_tuned": float(is_tuned(found.to_numpy()).mean())}


def _read(table: pd.DataFrame | str | Path) -> tuple[pd.DataFrame, str]:
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True), "table"
    data = read_table(table)
    return data, Path(table).name.split(".")[0]


def _numbers(
    data: pd.DataFrame, responses: list[str], x: list[str], extra: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the numbers of the rows that can be used, and what is wrong with the others.

    A row is set aside without a finite x, an identity or unit, or any finite response.
    """
    numbers = pd.DataFrame(
        {one: numbers_of(data[one], data) for one in dict.fromkeys([*responses, *x])},
        index=data.index,
    )
    finite = np.isfinite(numbers.astype(float))
    bad = pd.DataFrame({name: ~finite[name] for name in x}, index=data.index)
    if len(responses) == 1:
        bad[responses[0]] = ~finite[responses[0]]
    else:
        bad["responses"] = ~finite[responses].any(axis=1)
    for name in extra:
        bad[name] = data[name].isna() | np.array(
            [str(value).strip() == "" for value in data[name]], bool
        )
    aside = [
        f"row {row}: no {' and no '.join(map(str, bad.columns[bad.loc[row]]))}"
        for row in bad.index[bad.any(axis=1)]
    ]
    return numbers[~bad.any(axis=1)], aside


def _jobs(
    numbers: pd.DataFrame, columns: list[Any], rows: _Rows, labels: np.ndarray | None
) -> Iterator[tuple[Job, np.ndarray]]:
    """Yield what is described together: a unit's rows or, where units are columns, some columns."""
    if labels is None:
        every = np.ones(len(numbers), bool)
        for places in some_after_others(np.arange(len(columns))):
            chosen = [columns[k] for k in places]
            names = np.array([str(one) for one in chosen])
            yield rows.job(every, numbers[chosen].to_numpy(float), names), places
        return
    y = numbers[columns].to_numpy(float)
    for place, label in enumerate(dict.fromkeys(labels.tolist())):
        own = labels == label
        yield rows.job(own, y[own], np.array([label])), np.array([place])
