from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli.stimulus_set import in_order
from neurofer.stimuli.table import COLUMNS, column, make_table, need_canonical


def make(**columns: object) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    return make_table(table, ["00"] * len(table))


def test_missing_columns_are_filled_and_come_first() -> None:
    table = make(weather=["sun", "rain"], expression=["neutral", "happy"])
    assert list(table.columns) == [*COLUMNS, "weather"]
    assert table["strength"].tolist() == [0.0, 1.0]
    assert table["stimulus_id"].tolist() == ["0000", "0001"]
    assert table["split"].tolist() == ["test", "test"]
    assert table["head"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None, float("nan")], "U", ["a", "", ""]),
        ([1, 2, 3], "i", [1, 2, 3]),
        (np.array([1, 2, 3], dtype=np.uint8), "i", [1, 2, 3]),
        (np.array([0.5, 1, 2], dtype=np.float32), "f", [0.5, 1, 2]),
        ([True, False, True], "b", [True, False, True]),
        (np.array([True, False, True], dtype=object), "b", [True, False, True]),
        (pd.Categorical(["b", "a", "b"]), "U", ["b", "a", "b"]),
        (["1", 2, True], "U", ["1", "2", "True"]),
    ],
)
def test_columns_have_one_of_four_kinds(values: object, kind: str, expected: list[object]) -> None:
    found = column(make(x=values), "x")
    assert found.dtype.kind == kind
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"expression": []}, "at least one stimulus"),
        ({"expression": ["Angry"]}, "did you mean 'angry'"),
        ({"expression": ["NEUTRAL"]}, "did you mean 'neutral'"),
        ({"expression": ["thr\x1beat"]}, "cannot be printed"),
        ({"expression": ["+"]}, "not a word"),
        ({"Expression": ["happy"]}, "write 'expression'"),
        ({"Stimulus_ID ": ["a"]}, "write 'stimulus_id'"),
        ({"source": ["renderd"]}, "did you mean 'rendered'"),
        ({"split": ["trane"]}, "did you mean 'train'"),
        ({"stimulus_id": ["a", "a"]}, "'a' occurs 2 times"),
        ({"expression": ["happy"], "strength": [1.5]}, "strength=1.5"),
        ({"expression": ["happy"], "strength": [float("nan")]}, "strength=nan"),
        ({"expression": ["neutral"], "strength": [0.5]}, "0 for neutral"),
        ({"boxes": [[1, 2]]}, "holds lists"),
    ],
)
def test_wrong_tables_are_refused(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        make(**columns)


def test_a_column_named_twice_is_refused() -> None:
    table = pd.DataFrame([["a", "b"]], columns=["head", "head"])
    with pytest.raises(NeuroferError, match="two columns named 'head'"):
        make_table(table, ["00"])


@pytest.mark.parametrize("like", ["hapy", "surprised", "afraid", "happiness", "Sadness"])
def test_an_expression_that_is_like_a_canonical_one_is_named(like: str) -> None:
    with pytest.warns(UserWarning, match=f"{like!r} .did you mean"):
        assert make(expression=[like])["strength"].tolist() == [1.0]


def test_any_other_expression_is_taken_and_stands_after_the_canonical_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = make(expression=["threat", "fear", "lipsmack", "neutral"])
    assert table["strength"].tolist() == [1.0, 1.0, 1.0, 0.0]
    order = ["neutral", "fear", "lipsmack", "threat"]
    assert in_order("expression", table["expression"]) == order


def test_what_is_for_the_canonical_expressions_says_so() -> None:
    need_canonical(["", "happy"], "the protocol")
    with pytest.raises(NeuroferError, match=r"the protocol is for .* leave out 'threat'"):
        need_canonical(["threat", "happy"], "the protocol")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, None, 3.0], ["1", "", "3"]),  # what pandas makes of whole numbers with a gap
        ([np.nan, np.nan, np.nan], ["", "", ""]),
        ([1.5, 2.0, 3.0], ["1.5", "2", "3"]),
        ([pd.NaT, pd.NA, None], ["", "", ""]),
        ([np.float32("nan"), " a ", "NA"], ["", "a", "NA"]),
    ],
)
@pytest.mark.parametrize("name", ["identity", "session", "view"])
def test_what_is_missing_is_not_a_word(
    name: str, values: list[object], expected: list[str]
) -> None:
    assert make(**{name: values})[name].tolist() == expected
