from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.studies.results import MOST_CSV_ROWS, Number, read_number, tidy


def result() -> xr.Dataset:
    dims = ("head", "strength")
    values = np.array([[50.0, 75.0], [60.0, 80.0], [55.0, 77.5]])
    return xr.Dataset(
        {
            "accuracy": (dims, values, {"units": "%"}),
            "accuracy_low": (dims, values - 5),
            "accuracy_high": (dims, np.where(values > 79, np.nan, values + 5)),
            "interval": (dims, np.full((3, 2), "bootstrap")),
            "n": ("head", [4, 5, 9]),
            "ceiling_low": ((), 0.5),
            "answered": ("presentation", np.array(["happy", "sad"])),
            "big": (("i", "j"), np.zeros((200, 200))),
        },
        {"head": ["human", "monkey", "all"], "strength": ["0.5", "all"]},
        {"interval": "of the whole"},
    )


@pytest.mark.parametrize(
    ("value", "select", "expected"),
    [
        ("accuracy", {}, Number(77.5, 72.5, 82.5, 9, "%", "bootstrap")),
        ("accuracy", {"head": "human"}, Number(75, 70, 80, 4, "%", "bootstrap")),
        ("accuracy", {"head": "monkey"}, Number(80, 75, None, 5, "%", "bootstrap")),
        ("accuracy", {"head": "human", "strength": 0.5}, Number(50, 45, 55, 4, "%", "bootstrap")),
        (
            "accuracy",
            {"head": "human", "strength": "0.50"},
            Number(50, 45, 55, 4, "%", "bootstrap"),
        ),
        ("ceiling_low", {}, Number(0.5, interval="of the whole")),
        ("big", {"i": 3, "j": 7}, Number(0, interval="of the whole")),
    ],
)
def test_read_number(value: str, select: dict[str, object], expected: Number) -> None:
    assert read_number(result(), value, select) == expected


@pytest.mark.parametrize(
    ("value", "select", "words"),
    [
        ("acuracy", {}, ["value='acuracy'", "did you mean 'accuracy'?"]),
        ("accuracy", {"heads": "human"}, ["coordinate='heads'", "head, strength"]),
        ("accuracy", {"head": "monky"}, ["head='monky'", "human, monkey, all", "'monkey'"]),
        ("big", {"i": 3}, ["j='all'"]),
    ],
)
def test_what_is_not_there_is_named(
    value: str, select: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(NeuroferError) as caught:
        read_number(result(), value, select)
    for word in words:
        assert word in str(caught.value)


def test_tidy_holds_every_number_once() -> None:
    table = tidy(result())
    assert list(table) == ["variable", "head", "strength", "value", "low", "high", "n"]
    accuracy = table[table["variable"] == "accuracy"]
    assert len(accuracy) == 6
    row = accuracy[(accuracy["head"] == "monkey") & (accuracy["strength"] == "all")].iloc[0]
    assert (row["value"], row["low"], row["n"]) == (80, 75, 5)
    assert np.isnan(row["high"])
    assert set(table["variable"]) == {"accuracy", "ceiling_low"}
    assert MOST_CSV_ROWS < 200 * 200


def test_tidy_of_nothing() -> None:
    assert list(tidy(xr.Dataset())) == ["variable", "value", "low", "high", "n"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_a_table_gives_back_what_a_number_is(values: list[float]) -> None:
    names = [f"s{i}" for i in range(len(values))]
    dataset = xr.Dataset({"x": ("subject", values)}, {"subject": names})
    table = tidy(dataset)
    for name in names:
        found = table.loc[table["subject"] == name, "value"].item()
        assert found == read_number(dataset, "x", {"subject": name}).value


def test_csv_keeps_every_digit(tmp_path: object) -> None:
    dataset = xr.Dataset({"x": ("subject", [0.1 + 0.2, 1 / 3])}, {"subject": ["a", "b"]})
    text = tidy(dataset).to_csv(index=False)
    from io import StringIO

    read = pd.read_csv(StringIO(text), float_precision="round_trip")
    assert read["value"].tolist() == [0.1 + 0.2, 1 / 3]


def test_a_result_has_the_same_bytes_in_every_run(tmp_path: Path) -> None:
    code = (
        "import sys, xarray as xr\n"
        "from pathlib import Path\n"
        "from neurofer.studies.results import write_result\n"
        "names = ('head', 'identity', 'expression', 'strength', 'view', 'session')\n"
        "coords = {name: ('k', ['a', 'b']) for name in names}\n"
        "write_result(xr.Dataset({'value': ('k', [1.0, 2.0])}, coords), Path(sys.argv[1]))\n"
    )
    files = [tmp_path / f"{seed}.nc" for seed in "01"]
    for seed, file in zip("01", files, strict=True):
        around = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(file)], env=around, check=True)
    assert files[0].read_bytes() == files[1].read_bytes()
