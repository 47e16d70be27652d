"""The table of a stimulus set: its columns, their kinds and what may stand in them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import steers

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt")
"""The canonical expressions, in their order. A set may show others ("threat"), which come after."""
SOURCES = ("photograph", "drawn", "rendered", "simulated")
"""Where images come from; "drawn" by the set's own authors (FERG), "rendered" by neurofer."""
SPLITS = ("train", "val", "test")
VIEWS = ("full-left", "half-left", "frontal", "half-right", "full-right")
_SYNONYMS = {
    "afraid": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
}
COLUMNS = (
    "stimulus_id",
    "head",
    "identity",
    "expression",
    "strength",
    "view",
    "session",
    "split",
    "source",
    "image_sha256",
)


def make_table(table: pd.DataFrame, hashes: Iterable[str]) -> pd.DataFrame:
    """Return a stimulus table in canonical form: COLUMNS first, one kind per column, checked.

    What `table` lacks is filled: `stimulus_id` by the row number, `strength` by 0 for neutral and
    1 for every other expression, `split` by "test", other strings by "" (not stated).
    `image_sha256` always comes from `hashes`, one per row. Blanks around text are taken off.

    Raises:
        NeuroferError: the table is empty, a stimulus_id occurs twice, a source or split is
            unknown, an expression is a canonical one with capitals ("Neutral"), a column is one of
            `COLUMNS` with capitals, a strength is outside 0..1 or not 0 for neutral, or a column
            holds something other than strings, numbers or truth values.
    """
    if len(table) == 0:
        raise NeuroferError("a stimulus set needs at least one stimulus; this table has no rows")
    _check_names(table.columns)
    given = {str(name).strip(): _plain(table[name], str(name)) for name in table.columns}
    given["image_sha256"] = _strings(list(hashes))
    n = len(table)
    if len(given["image_sha256"]) != n:
        raise NeuroferError(f"{n} rows in the table but {len(given['image_sha256'])} images")
    for name in COLUMNS:
        if name not in given:
            given[name] = _default(name, n, given)
        elif name != "strength":
            given[name] = _texts(given[name])
    given["strength"] = np.asarray(given["strength"], dtype=np.float64)
    _check(given)
    order = [*COLUMNS, *(name for name in given if name not in COLUMNS)]
    return pd.DataFrame({name: _column(given[name]) for name in order})


def need_canonical(expressions: Iterable[str], what: str) -> None:
    """Raise a NeuroferError where something that is for the canonical expressions gets others."""
    others = sorted(set(expressions) - {"", *EXPRESSIONS})
    if others:
        raise NeuroferError(
            f"{what} is for the expressions {', '.join(EXPRESSIONS)}; leave out "
            f"{', '.join(map(repr, others))}"
        )


def kind_of(values: np.ndarray) -> str:
    """Return "string", "boolean", "integer" or "number": the kinds that a column may have."""
    return {"U": "string", "O": "string", "b": "boolean", "i": "integer", "u": "integer"}.get(
        values.dtype.kind, "number"
    )


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of a canonical table as a plain numpy array (strings as `<U`)."""
    return _plain(table[name], name)


def _default(name: str, n: int, given: dict[str, np.ndarray]) -> np.ndarray:
    if name == "stimulus_id":
        width = max(4, len(str(n - 1)))
        return _strings([f"{i:0{width}d}" for i in range(n)])
    if name == "strength":
        return np.where(given["expression"] == "neutral", 0.0, 1.0)
    return _strings(["test" if name == "split" else ""] * n)


def _plain(series: Any, name: str) -> np.ndarray:
    """Return a column as `<U`, bool, int64 or float64; a missing string becomes ""."""
    if isinstance(series, pd.DataFrame):
        raise NeuroferError(f"the table has two columns named {name!r}; a name must occur once")
    values = series.to_numpy()
    if values.dtype.kind in "biuf":
        made = values.astype({"b": np.bool_, "f": np.float64}.get(values.dtype.kind, np.int64))
        if values.dtype.kind == "f":
            made[np.isnan(made)] = np.nan  # one NaN: files do not keep its other bits
        return made
    items = series.tolist()
    present = [item for item in items if not _missing(item)]
    if all(isinstance(item, (bool, np.bool_)) for item in present) and len(present) == len(items):
        return np.asarray(items, dtype=np.bool_)
    if any(isinstance(item, (list, tuple, dict, set, np.ndarray)) for item in present):
        raise NeuroferError(
            f"column {name!r} holds {type(present[0]).__name__}s; a column of a stimulus table "
            "holds strings, numbers or truth values"
        )
    return _strings(["" if _missing(item) else item for item in items])


def _missing(item: Any) -> bool:
    return (
        item is None
        or item is pd.NA
        or item is pd.NaT
        or (isinstance(item, (float, np.floating)) and bool(item != item))
    )


def _strings(items: list[Any]) -> np.ndarray:
    return np.asarray([str(item).strip() for item in items], dtype=np.str_)


def _texts(values: np.ndarray) -> np.ndarray:
    """Return a column as text; where one of whole numbers has gaps, pandas made it one of floats.

    >>> _texts(np.array([1.0, np.nan])).tolist()
    ['1', '']
    """
    if values.dtype.kind != "f":
        return _strings(values.tolist())
    numbers = values.tolist()
    return _strings(["" if x != x else int(x) if x.is_integer() else x for x in numbers])


def _check_names(names: Iterable[Any]) -> None:
    """Refuse names of columns that are those of `COLUMNS` written otherwise, or occur twice."""
    seen: set[str] = set()
    for name in (str(name).strip() for name in names):
        if name in seen:
            raise NeuroferError(f"the table has two columns named {name!r}; a name must occur once")
        seen.add(name)
        if name not in COLUMNS and name.casefold() in COLUMNS:
            raise NeuroferError(f"the table has a column {name!r}; write {name.casefold()!r}")


def check_expressions(names: Iterable[str]) -> None:
    """Refuse names that are canonical expressions written otherwise; warn of those that are like.

    Any other name may be that of an expression: "lipsmack", "threat".

    Raises:
        NeuroferError: an expression is a canonical one but for capitals ("Neutral", which would
            not be taken for the neutral face), or holds what cannot be printed.
    """
    doubtful = []
    for name in dict.fromkeys(names):
        plain = name.strip().casefold()
        if name in EXPRESSIONS or not name:
            continue
        if plain in EXPRESSIONS:
            raise NeuroferError(
                f"expression={name!r} would be another than {plain!r}; did you mean {plain!r}? "
                "Write it so"
            )
        if any(steers(letter) for letter in name):
            raise NeuroferError(f"expression={name!r} holds what cannot be printed; take it out")
        if not any(letter.isalpha() for letter in name):
            raise NeuroferError(f"expression={name!r} is not a word; name what the face shows")
        like = _SYNONYMS.get(plain) or next(iter(get_close_matches(plain, EXPRESSIONS, 1, 0.7)), "")
        if like:
            doubtful.append(f"{name!r} (did you mean {like!r}?)")
    if doubtful:
        warnings.warn(
            f"taken as expressions of their own: {', '.join(doubtful)}; the canonical ones are "
            f"{', '.join(EXPRESSIONS)}",
            stacklevel=4,
        )


def _column(values: np.ndarray) -> Any:
    # Strings are kept as objects: pandas 2 and 3 disagree on the default string dtype, and
    # comparisons, groupby and merge work with objects in both.
    return pd.Series(values.astype(object), dtype=object) if values.dtype.kind == "U" else values


def _check(given: dict[str, np.ndarray]) -> None:
    ids, counts = np.unique(given["stimulus_id"], return_counts=True)
    if (counts > 1).any():
        raise NeuroferError(
            f"stimulus_id={str(ids[counts > 1][0])!r} occurs {counts.max()} times; "
            "every stimulus needs an id of its own"
        )
    check_expressions(str(name) for name in np.unique(given["expression"]))
    allowed = {"source": SOURCES, "split": SPLITS}
    for name, choices in allowed.items():
        for value in np.unique(given[name]):
            if value and value not in choices:
                raise unknown_choice(name, str(value), choices)
    strength = given["strength"]
    wrong = ~((strength >= 0) & (strength <= 1))
    wrong |= (given["expression"] == "neutral") & (strength != 0)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise NeuroferError(
            f"stimulus {str(given['stimulus_id'][i])!r} ({given['expression'][i]}) has "
            f"strength={strength[i]}; a strength lies in 0..1 and is 0 for neutral"
        )
