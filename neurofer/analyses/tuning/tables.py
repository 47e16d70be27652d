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
from neurofer.analyses.tuning.describe import (
    UNITS,
    Criterion,
    Job,
    Likelihood,
    NoneOrSeveral,
    Settings,
    describe,
    settings_of,
)
from neurofer.analyses.tuning.parts import described, some_after_others
from neurofer.analyses.tuning.recordings import (
    completed,
    is_tuned,
    noise_like,
    untold,
)
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Seed, checked
from neurofer.tables import numbers as numbers_of
from neurofer.tables import read_table

MOST_NAMED = 20


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
    x = [strength] if features is None else list(features)
    columns = _Columns(_names(response), x, features is not None, identity, unit, trials, baseline)
    data, name = _read(table)
    columns.check(data, name)
    rest = {"n_folds": n_folds, "n_bootstrap": n_bootstrap, "seed": seed}
    settings = settings_of(models, columns.features, likelihood, criterion, **rest)
    numbers, aside = _numbers(data, columns)
    if numbers.empty:
        raise NeuroferError(f"no row of table {name!r} can be used: {'; '.join(aside[:3])}")
    rows = columns.rows(numbers, data.loc[numbers.index])
    jobs = list(_jobs(numbers, columns.responses, rows))
    total = sum(len(units) for _, units in jobs)
    result = described(jobs, total, settings)
    over = "presentations" if identity is None else "identities"
    result = completed(result, rows.identity, np.full(len(numbers), ""), settings, over)
    result.attrs |= _noise(jobs, settings, n_noise)
    result.attrs["set_aside"] = aside[:MOST_NAMED]
    result.attrs["n_rows_set_aside"] = len(data) - len(numbers)
    result.attrs["identities"] = identity or "not stated: every row is its own"
    result.attrs["baseline"] = f"one for each {baseline}" if baseline else "one for all rows"
    result = result.assign_attrs(untold(rows.x, settings))
    responses = Responses(
        np.empty((len(numbers), total)),
        pd.DataFrame({"head": "", "identity": rows.identity}),
        result["neuroid"].to_numpy(),
        np.array([]),
        "",
    )
    options: dict[str, Any] = {
        "response": columns.responses,
        "x": x,
        "identity": identity,
        "unit": unit,
    }
    options |= {"unit": unit, "trials": trials, "baseline": baseline, "n_noise": n_noise}
    options |= {"models": list(settings.models), "criterion": criterion, "likelihood": likelihood}
    made_of = xr.DataArray(attrs={"subject": name, "stimuli": name})
    return with_provenance(result, "tuning", made_of, responses, options | rest, UNITS)


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are read, by what they hold; see `fit_table`."""

    responses: list[Any]
    x: list[str]
    features: bool
    identity: str | None
    unit: str | None
    trials: str | None
    baseline: str | None

    @property
    def of_rows(self) -> list[str]:
        """The columns of numbers besides the responses."""
        return [*self.x, *([] if self.trials is None else [self.trials])]

    @property
    def of_names(self) -> list[str]:
        """The columns of names."""
        return [one for one in (self.identity, self.unit, self.baseline) if one is not None]

    def check(self, data: pd.DataFrame, name: str) -> None:
        """Refuse a table that lacks a column, and units both in a column and as columns."""
        if self.unit is not None and len(self.responses) > 1:
            raise NeuroferError(
                f"unit={self.unit!r} names the units of one column of responses; these are "
                f"{len(self.responses)}"
            )
        for column in (*self.responses, *self.of_rows, *self.of_names):
            if column not in data:
                raise unknown_choice("column", column, data.columns, f"table {name!r}")

    def rows(self, numbers: pd.DataFrame, data: pd.DataFrame) -> _Rows:
        """Return what is known of the rows that are used, from their numbers and their names."""

        def names(column: str | None) -> np.ndarray | None:
            return None if column is None else data[column].to_numpy().astype(str)

        x = numbers[self.x].to_numpy(float)
        own = names(self.identity)
        return _Rows(
            x if self.features else x[:, 0],
            numbers.index.to_numpy().astype(str) if own is None else own,
            names(self.baseline),
            None if self.trials is None else numbers[self.trials].to_numpy(float)[:, None],
            names(self.unit),
        )


@dataclass(frozen=True)
class _Rows:
    """What is known of every row that is used: x, identity, baseline, trials of a mean, unit."""

    x: np.ndarray
    identity: np.ndarray
    baseline: np.ndarray | None
    trials: np.ndarray | None
    unit: np.ndarray | None

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


def _numbers(data: pd.DataFrame, columns: _Columns) -> tuple[pd.DataFrame, list[str]]:
    """Return the numbers of the rows that can be used, and what is wrong with the others.

    A row is set aside without a finite x, an identity or unit, or any finite response.
    """
    responses, x = columns.responses, columns.of_rows
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
    for name in columns.of_names:
        bad[name] = data[name].isna() | np.array(
            [str(value).strip() == "" for value in data[name]], bool
        )
    aside = [
        f"row {row}: no {' and no '.join(map(str, bad.columns[bad.loc[row]]))}"
        for row in bad.index[bad.any(axis=1)]
    ]
    return numbers[~bad.any(axis=1)], aside


def _jobs(
    numbers: pd.DataFrame, columns: list[Any], rows: _Rows
) -> Iterator[tuple[Job, np.ndarray]]:
    """Yield what is described together: a unit's rows or, where units are columns, some columns."""
    labels = rows.unit
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
