"""Tuning curves of a user's own table: columns by name, bad rows named and set aside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import Responses
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.tuning.describe import describe, settings_of
from neurofer.analyses.tuning.recordings import completed, joined
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
    parts, names, places = [], [], 0
    for label, rows in _units(data, numbers, unit):
        shown = numbers.iloc[rows]
        own = np.array([label] if unit is not None else columns, dtype=str)
        at = shown[list(x)].to_numpy(float) if features else shown[x[0]].to_numpy(float)
        strata = np.full(len(rows), "")
        y = shown[columns].to_numpy(float)
        parts.append(describe(at, y, who[rows], strata, own, settings))
        names.append(own)
        places += len(own)
    result = completed(joined(parts, np.arange(places)), who, np.full(len(who), ""), settings)
    result.attrs["set_aside"] = aside[:MOST_NAMED]
    result.attrs["n_rows_set_aside"] = len(data) - len(numbers)
    result.attrs["identities"] = identity or "not stated: every row is its own"
    responses = Responses(
        np.empty((len(numbers), places)),
        pd.DataFrame({"head": "", "identity": who}),
        np.concatenate(names),
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


def _units(
    data: pd.DataFrame, numbers: pd.DataFrame, unit: str | None
) -> list[tuple[str, np.ndarray]]:
    """Return the name of each unit and the places of its rows; one entry for all columns."""
    if unit is None:
        return [("", np.arange(len(numbers)))]
    names = data.loc[numbers.index, unit].to_numpy().astype(str)
    return [(name, np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]
