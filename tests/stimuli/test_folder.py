from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, read_stimuli
from neurofer.stimuli.folder import image_names

from .conftest import make_stimuli


def same(a: StimulusSet, b: StimulusSet) -> None:
    assert a.identifier == b.identifier
    pd.testing.assert_frame_equal(a.table, b.table)
    for i in range(len(a)):
        np.testing.assert_array_equal(a.image(i), b.image(i))
        np.testing.assert_array_equal(a.parts(i), b.parts(i))
    np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_round_trip(stimuli: StimulusSet, tmp_path: Path) -> None:
    same(read_stimuli(stimuli.save(tmp_path / "set")), stimuli)
    names = {file.name for file in (tmp_path / "set").iterdir()}
    assert names == {"table.csv", "images", "landmarks.csv", "parts", "set.json"}


def test_round_trip_over_an_older_set(stimuli: StimulusSet, tmp_path: Path) -> None:
    stimuli.save(tmp_path / "set")
    fewer = stimuli.select(head="human")
    same(read_stimuli(fewer.save(tmp_path / "set")), fewer)


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(words, min_size=4, max_size=4, unique=True),
    notes=st.lists(words, min_size=4, max_size=4),
    numbers=st.lists(st.floats(allow_infinity=False), min_size=4, max_size=4),
    counts=st.lists(st.integers(-(2**62), 2**62), min_size=4, max_size=4),
    truths=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_round_trip_of_any_table(
    tmp_path: Path,
    ids: list[str],
    notes: list[str],
    numbers: list[float],
    counts: list[int],
    truths: list[bool],
) -> None:
    table = pd.DataFrame(
        {"stimulus_id": ids, "note": notes, "number": numbers, "count": counts, "truth": truths}
    )
    images = np.zeros((4, 2, 2, 3), np.uint8)
    made = StimulusSet.from_arrays("any", table, images)
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    same(read_stimuli(made.save(tmp_path / "set")), made)


def test_names_of_files() -> None:
    assert image_names(["a", "b c", "../x", ""]) == ["a.png", "00001.png", "00002.png", "00003.png"]
    assert image_names(["A", "a"]) == ["00000.png", "00001.png"]


def test_a_folder_made_by_hand(stimuli: StimulusSet, tmp_path: Path) -> None:
    stimuli.save(tmp_path / "mine")
    for name in ("set.json", "landmarks.csv"):
        (tmp_path / "mine" / name).unlink()
    shutil.rmtree(tmp_path / "mine" / "parts")
    table = pd.read_csv(tmp_path / "mine" / "table.csv")[["stimulus_id", "expression"]]
    table.to_csv(tmp_path / "mine" / "table.csv", index=False)
    found = read_stimuli(tmp_path / "mine")
    assert found.name == "mine"
    assert found.landmarks is None
    assert found.parts(0) is None
    assert found.table["image_sha256"].tolist() == stimuli.table["image_sha256"].tolist()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "table.csv").unlink(), "no table.csv"),
        (lambda f: (f / "images" / "face-3.png").unlink(), r"missing: .*face-3\.png"),
        (lambda f: edit(f / "table.csv", "monkey", "cat"), "was changed after it was saved"),
        (lambda f: edit(f / "landmarks.csv", "face-0", "face-x"), "does not fit table.csv"),
        (lambda f: edit(f / "set.json", '"format": 1', '"format": 9'), "reads format 1"),
        (lambda f: (f / "set.json").write_text("{"), "set.json cannot be read"),
        (lambda f: (f / "table.csv").write_text("head\nhuman\n"), "table.csv"),
    ],
)
def test_a_damaged_folder_is_refused(stimuli, tmp_path, damage, message) -> None:  # type: ignore[no-untyped-def]
    folder = stimuli.save(tmp_path / "set")
    damage(folder)
    with pytest.raises(NeuroferError, match=message):
        read_stimuli(folder)


def test_a_damaged_image_is_named(stimuli: StimulusSet, tmp_path: Path) -> None:
    folder = stimuli.save(tmp_path / "set")
    path = folder / "images" / "face-3.png"
    path.write_bytes(path.read_bytes()[:100])
    found = read_stimuli(folder)
    with pytest.raises(NeuroferError, match=r"'face-3'.*face-3\.png"):
        list(found.images())


def test_nothing_is_left_of_a_save_that_fails(tmp_path: Path) -> None:
    stimuli = make_stimuli()
    first = read_stimuli(stimuli.save(tmp_path / "a"))
    (tmp_path / "a" / "images" / "face-7.png").unlink()
    with pytest.raises(NeuroferError, match="face-7"):
        first.save(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_other_folders_are_not_overwritten(stimuli: StimulusSet, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(NeuroferError, match="something other than a stimulus set"):
        stimuli.save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
