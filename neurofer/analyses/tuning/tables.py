"""Tuning curves of a user's own table: columns by name, bad rows named and set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import Responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.tuning.describe import settings_of
from neurofer.analyses.tuning.recordings import Job, completed, described, some_after_others
from neurofer.errors import NeuroferError, unknown_choice

MOST_NAMED = 20


def fit_table(
    table: pd.DataFrame | str | Path,
    response: str | Sequence[str],
    x: Sequence[str],
    identity: str | None,
    unit: str | None,
    models: Sequence[str] | None,
    likelihood: str,
    criterion: str,
    features: bool,
    **rest: int,
) -> xr.Dataset:
    """Return what `tuning.fit_table` says."""
    data, name = _read(table)
    columns = [response] if isinstance(response, str) else list(response)
    if unit is not None and len(columns) > 1:
        raise NeuroferError(
            f"unit={unit!r} names the units of one column of responses; these are {len(columns)}"
        )
    extra = [one for one in (identity, unit) if one is not None]
    for column in (*columns, *x, *extra):
        if column not in data:
            raise unknown_choice("column", column, data.columns, f"table {name!r}")
    settings = settings_of(models, features, likelihood, criterion, **rest)
    numbers, aside = _numbers(data, columns, list(x), extra)
    if numbers.empty:
        raise NeuroferError(f"no row of table {name!r} can be used: {'; '.join(aside[:3])}")
    who = numbers.index.to_numpy().astype(str)
    who = who if identity is None else data.loc[numbers.index, identity].to_numpy().astype(str)
    jobs = list(_jobs(data, numbers, columns, x if features else x[0], who, unit))
    total = sum(len(units) for _, units in jobs)
    result = described(jobs, total, settings)
    result = completed(result, who, np.full(len(who), ""), settings)
    result.attrs["set_aside"] = aside[:MOST_NAMED]
    result.attrs["n_rows_set_aside"] = len(data) - len(numbers)
    result.attrs["identities"] = identity or "not stated: every row is its own"
    responses = Responses(
        np.empty((len(numbers), total)),
        pd.DataFrame({"head": "", "identity": who}),
        result["neuroid"].to_numpy(),
        np.array([]),
        "",
    )
    options: dict[str, Any] = {"response": columns, "x": list(x), "identity": identity}
    options |= {"unit": unit, "models": list(settings.models), "criterion": criterion}
    made_of = xr.DataArray(attrs={"subject": name, "stimuli": name})
    options |= {"likelihood": likelihood} | rest
    return with_provenance(result, "tuning", made_of, responses, options)


def _read(table: pd.DataFrame | str | Path) -> tuple[pd.DataFrame, str]:
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True), "table"
    path = Path(table)
    try:
        return pd.read_csv(path), path.stem
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise NeuroferError(f"{path} cannot be read as a CSV table: {error}") from error


def _numbers(
    data: pd.DataFrame, responses: list[str], x: list[str], extra: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the numbers of the rows that can be used, and what is wrong with the others.

    A row is set aside without a finite x, an identity or unit, or any finite response.
    """
    numbers = data[[*dict.fromkeys([*responses, *x])]].apply(pd.to_numeric, errors="coerce")
    finite = np.isfinite(numbers.astype(float))
    bad = pd.DataFrame({name: ~finite[name] for name in x}, index=data.index)
    if len(responses) == 1:
        bad[responses[0]] = ~finite[responses[0]]
    else:
        bad["responses"] = ~finite[responses].any(axis=1)
    for name in extra:
        bad[name] = data[name].isna()
    aside = [
        f"row {row}: no {' and no '.join(bad.columns[bad.loc[row]])}"
        for row in bad.index[bad.any(axis=1)]
    ]
    return numbers[~bad.any(axis=1)], aside


def _jobs(
    data: pd.DataFrame,
    numbers: pd.DataFrame,
    columns: list[str],
    x: str | Sequence[str],
    who: np.ndarray,
    unit: str | None,
) -> Iterator[tuple[Job, np.ndarray]]:
    """Yield what is described together: a unit's rows or, where units are columns, some columns."""
    at = numbers[x if isinstance(x, str) else list(x)].to_numpy(float)
    strata = np.full(len(numbers), "")
    if unit is None:
        for places in some_after_others(np.arange(len(columns))):
            names = np.array(columns)[places]
            yield (at, numbers[names].to_numpy(float), who, strata, names), places
        return
    labels = data.loc[numbers.index, unit].to_numpy().astype(str)
    y = numbers[columns].to_numpy(float)
    for place, label in enumerate(dict.fromkeys(labels.tolist())):
        rows = labels == label
        job = (at[rows], y[rows], who[rows], strata[rows], np.array([label]))
        yield job, np.array([place])
