from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli.pairs import read_pairs, write_pairs

FOLDS = "2\t1\nAnn_Lee\t1\t4\nAnn_Lee\t4\tBo\t12\nBo\t1\t2\nBo\t1\tCy\t3\n"


def test_pairs_are_read_fold_by_fold(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(FOLDS)
    rows = list(read_pairs(tmp_path / "pairs.txt").itertuples(index=False, name=None))
    assert rows == [
        ("Ann_Lee_0001", "Ann_Lee_0004", True, 0),
        ("Ann_Lee_0004", "Bo_0012", False, 0),
        ("Bo_0001", "Bo_0002", True, 1),
        ("Bo_0001", "Cy_0003", False, 1),
    ]


@pytest.mark.parametrize("text", [FOLDS, "1\nBo\t1\t2\nBo\t1\tCy\t3\n"])
def test_what_is_written_is_the_file_that_was_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    write_pairs(read_pairs(tmp_path / "a.txt"), tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a file of pairs"),
        ("ten\n", "not a file of pairs"),
        ("2\nBo\t1\t2\nBo\t1\tCy\t3\n", "2 pairs, and the first line states 4"),
        ("1\nBo\t1\nBo\t1\tCy\t3\n", "a line of 2 words: 'Bo 1'"),
        ("1\nBo\tx\t2\nBo\t1\tCy\t3\n", "invalid literal"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(NeuroferError, match=rf"pairs\.txt.*{message}"):
        read_pairs(tmp_path / "pairs.txt")
    with pytest.raises(NeuroferError, match="cannot be read"):
        read_pairs(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("A_0001", "A_0002", True, 0)], "as many pairs"),
        ([("A_0001", "A_0002", True, 0), ("A-1", "B_0001", False, 0)], "'A-1' is not of the form"),
    ],
)
def test_pairs_that_the_format_cannot_hold_are_refused(
    tmp_path: Path, rows: list[tuple[object, ...]], message: str
) -> None:
    pairs = pd.DataFrame(rows, columns=["first", "second", "same", "fold"])
    with pytest.raises(NeuroferError, match=message):
        write_pairs(pairs, tmp_path / "pairs.txt")
    assert list(tmp_path.iterdir()) == []
