"""Tables as people write them: by hand, from Excel, from R, from pandas."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from neurofer import delimited
from neurofer.errors import NeuroferError
from neurofer.tables import (
    comma_numbers,
    line,
    nameless,
    not_numbers,
    numbers,
    read_table,
    same_number,
    strict_numbers,
    typed,
)

PLAIN = "neuron,identity,rate\nc1,NA,5.13\nc2,None,-1e2\nc3,,7\n"
ROWS = [["c1", "NA", "5.13"], ["c2", "None", "-1e2"], ["c3", None, "7"]]


def _file(path, text, encoding="utf-8"):
    raw = text if isinstance(text, bytes) else text.encode(encoding)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", PLAIN, "utf-8"),
        ("A.CSV", PLAIN, "utf-8-sig"),
        ("a.csv", PLAIN, "utf-16"),
        ("a.csv", PLAIN, "utf-16-le"),
        ("a.csv", PLAIN, "utf-16-be"),
        ("a.tsv", PLAIN.replace(",", "\t"), "utf-8"),
        ("a.csv", PLAIN.replace(",", ";"), "utf-8"),
        ("a.txt", PLAIN.replace(",", "|"), "utf-8"),
        ("a.csv", PLAIN.replace("\n", "\r\n"), "utf-8"),
        ("a.csv", PLAIN.replace("\n", "\r"), "utf-8"),
        ("a.csv", PLAIN.replace(",", " , "), "utf-8"),
        ("a.csv", "sep=;\n" + PLAIN.replace(",", ";"), "utf-8-sig"),
        ("a.csv", PLAIN.replace("\n", ",,\n"), "utf-8"),
        ("A.CSV.GZ", gzip.compress(PLAIN.encode(), mtime=0), ""),
        ("a.csv", '"neuron","identity","rate"\n' + PLAIN.partition("\n")[2], "utf-8"),
    ],
)
def test_the_same_table_however_it_is_written(tmp_path, name, text, encoding):
    found = read_table(_file(tmp_path / name, text, encoding))
    assert [str(one) for one in found.columns] == ["neuron", "identity", "rate"]
    assert found.to_numpy(dtype=object).tolist() == ROWS
    np.testing.assert_array_equal(numbers(found["rate"], found), [5.13, -100, 7])


def test_utf_16_of_other_letters(tmp_path):
    found = read_table(_file(tmp_path / "a.csv", "神經,發放\n甲,5\n", "utf-16"))
    assert found.to_numpy(dtype=object).tolist() == [["甲", "5"]]


@pytest.mark.parametrize("word", ["NA", "None", "nan", "null", "N/A", "NULL", "#N/A", "-", "True"])
def test_no_word_is_taken_for_missing(tmp_path, word):
    found = read_table(_file(tmp_path / "a.csv", f"identity,rate\n{word},1\n,2\n"))
    assert found["identity"].tolist() == [word, None]


def test_text_keeps_its_zeros_and_points(tmp_path):
    found = read_table(_file(tmp_path / "a.csv", "id,session\n001,01\n1.0,1\n"))
    assert found["id"].tolist() == ["001", "1.0"]
    assert found["session"].tolist() == ["01", "1"]


@pytest.mark.parametrize(
    ("separator", "cells", "values", "wrong"),
    [
        (";", ["5,13e+00", "-2,5", "7"], [5.13, -2.5, 7], 0),
        (";", ["1,234", "2,500"], [1.234, 2.5], 0),
        ("\t", ["5,1", ",5"], [5.1, 0.5], 0),
        ("\t", ["1,234", "2,500"], [np.nan, np.nan], 2),  # a thousand, or one and a bit?
        (";", ["1.234,5", "2,5"], [np.nan, 2.5], 1),
        (";", ["1.5", "2,5"], [1.5, np.nan], 1),
        (",", ['"5,13"', "7"], [np.nan, 7], 1),
        (",", ["\N{MINUS SIGN}2.5", "1_000", "inf"], [-2.5, np.nan, np.nan], 2),
        (",", ["NaN", "NA", "3"], [np.nan, np.nan, 3], 0),
        (",", ["true", "0x10", "3 Hz"], [np.nan] * 3, 3),
    ],
)
def test_numbers_are_read_or_known_to_be_none(tmp_path, separator, cells, values, wrong):
    text = "\n".join([f"id{separator}rate", *(f"a{separator}{cell}" for cell in cells)])
    found = read_table(_file(tmp_path / "a.csv", text))
    got = numbers(found["rate"], found)
    np.testing.assert_array_equal(got, values)
    assert not_numbers(found["rate"], got).sum() == wrong


def test_commas_that_were_not_read_are_known(tmp_path):
    found = read_table(_file(tmp_path / "a.csv", 'id,rate,word\na,"5,13",a\nb,"1.234,5",b\n'))
    assert comma_numbers(found["rate"], numbers(found["rate"], found)).all()
    assert not comma_numbers(found["word"], numbers(found["word"], found)).any()


def test_a_column_of_numbers_that_must_be_some_names_the_cells(tmp_path):
    found = read_table(_file(tmp_path / "a.csv", "id,rate\n\na,fast\nb,2\nc,\nd,x\n"))
    with pytest.raises(NeuroferError, match=r"'rate' of a\.csv .*'fast' in line 3, 'x' in line 6"):
        strict_numbers(found, "rate", "a.csv")
    with pytest.raises(NeuroferError, match="did you mean 'rate'"):
        strict_numbers(found, "rat", "a.csv")
    np.testing.assert_array_equal(strict_numbers(found.iloc[[1, 2]], "rate", ""), [2, np.nan])
    assert [line(found, i) for i in range(4)] == [3, 4, 5, 6]


def test_numbers_of_a_frame_in_memory():
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, np.inf], "c": [True, False], "d": ["1", pd.NA]})
    frame["e"] = pd.array([1, None], dtype="Int64")
    expected = {"a": [1, 2], "b": [1.5, np.nan], "c": [np.nan] * 2, "d": [1, np.nan]}
    for name, values in {**expected, "e": [1, np.nan]}.items():
        np.testing.assert_array_equal(numbers(frame[name]), values)


def test_only_columns_of_numbers_become_numbers(tmp_path):
    found = typed(read_table(_file(tmp_path / "a.csv", "a,b,c,d\n1,NA,x,\n2.5,3,4,\n")))
    assert [found[name].dtype.kind for name in found] == ["f", "f", "O", "O"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b,a\n1,2,3\n", r"column more than once: 'a' \(columns 1 and 3\)"),
        (b"a,b\n1,2\n1,2,3\n1\n", "header has 2 columns, line 3 has 3, line 4 has 1"),
        (b"a,b\n1,2,3\n1,2,3\n", "give the first column"),
        (b'a,b\n"1,2\n3,4\n', "line 3: unexpected end of data"),
        (b"a,b\nJos\xe9,2\n", "line 2 is not utf-8"),
        (b"a,b\n\x00,2\n", "is not text"),
        (b"PK\x03\x04", "a spreadsheet"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, text, message):
    with pytest.raises(NeuroferError, match=message):
        read_table(_file(tmp_path / "a.csv", text))


def test_a_packed_table_is_not_unpacked_beyond_all_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MOST_BYTES", 1000)
    with pytest.raises(NeuroferError, match="split it"):
        read_table(_file(tmp_path / "a.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)))


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(NeuroferError, match="there is no table at"):
        read_table(tmp_path / "none.csv")
    path = _file(tmp_path / "a.csv", PLAIN)
    with pytest.raises(NeuroferError, match="did you mean 'neuron'"):
        read_table(path, needed=["nueron"])


def test_columns_without_a_name_are_known(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y"]})
    frame.to_csv(tmp_path / "a.csv")
    found = read_table(tmp_path / "a.csv")
    assert [nameless(name) for name in found] == [True, False]
    assert [nameless(name) for name in ("Unnamed: 0", " ", "unit 0")] == [True, True, False]


def test_the_same_number_written_otherwise_is_found():
    assert same_number(["1.0", "002", "face", "9"], ["1", "2", "x"]) == {"1.0": "1", "002": "2"}
