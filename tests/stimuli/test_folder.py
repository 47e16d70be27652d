from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from neurofer.errors import NeuroferError
from neurofer.sealed import read_sealed_json
from neurofer.stimuli import StimulusSet, read_stimuli
from neurofer.stimuli.writer import image_names

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


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8).map(
    str.strip
)


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


def by_hand(folder: Path, table: str, images: list[str]) -> Path:
    """Make a folder of a table and of pictures of noise; returns it."""
    (folder / "images").mkdir(parents=True)
    (folder / "table.csv").write_text(table, encoding="utf-8")
    for i, name in enumerate(images):
        noise = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "new.bmp")
        (folder / "new.bmp").rename(folder / "images" / name)
    return folder


TABLE = """stimulus_id;identity;view;session;trial;left;rate;code
1;NA;;01;1;true;0,5;01
2;None;frontal;;2;false;1;002
003;01;;2;3;True;;1
"""


def test_text_of_a_table_made_by_hand_is_taken_as_it_is_written(tmp_path: Path) -> None:
    found = read_stimuli(by_hand(tmp_path / "mine", TABLE, ["1.png", "2.png", "003.png"])).table
    assert {
        name: found[name].tolist() for name in found if name not in ("image_sha256", "rate")
    } == {
        "stimulus_id": ["1", "2", "003"],
        "head": ["", "", ""],
        "identity": ["NA", "None", "01"],
        "expression": ["", "", ""],
        "strength": [1.0, 1.0, 1.0],
        "view": ["", "frontal", ""],
        "session": ["01", "", "2"],
        "split": ["test", "test", "test"],
        "source": ["", "", ""],
        "trial": [1, 2, 3],
        "left": [True, False, True],
        "code": ["01", "002", "1"],
    }
    np.testing.assert_array_equal(found["rate"], [0.5, 1, np.nan])


@pytest.mark.parametrize(
    ("stimulus_id", "file"),
    [
        ("s0", "s0.JPG"),
        ("s0", "s0.webp"),
        ("my face 1", "my face 1.png"),
        ("a/b", "00000.png"),
        ("KA.AN1.39", "KA.AN1.39.tiff"),
        ("s0.png", "s0.png"),
        ("J\u00f6rg", "Jo\u0308rg.png"),
        ("Jo\u0308rg", "J\u00f6rg.PNG"),
    ],
)
def test_images_of_a_folder_made_by_hand_are_found(
    tmp_path: Path, stimulus_id: str, file: str
) -> None:
    folder = by_hand(tmp_path / "mine", f"stimulus_id,head\n{stimulus_id},human\n", [file])
    assert read_stimuli(folder).image(0).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("stimulus_id\n1.0\n", r"'1\.0' is missing.*did you mean '1'"),
        ("stimulus_id\nface_2\n", r"'face_2' is missing.*did you mean 'face-2'"),
        ("stimulus_id\n../table\n", r"'\.\./table' is missing"),
        ("stimulus_id,head\n1,human\n\n1,monkey\n", r"'1' stands in the lines 2 and 4"),
        ("stimulus_id,head\n1,human\n,monkey\n", r"line 3: the stimulus_id is empty"),
        ("stimulus_id,strength\n1,strong\n", r"'strength'.*'strong' in line 2"),
        (
            "Stimulus_ID\n1\n",
            r"column='stimulus_id' is not in .*mine/table\.csv; .*did you mean 'Stimulus_ID'",
        ),
        ("stimulus_id,expression\n1,Neutral\n", r"did you mean 'neutral'"),
    ],
)
def test_wrong_folders_made_by_hand_are_refused(tmp_path: Path, table: str, message: str) -> None:
    folder = by_hand(tmp_path / "mine", table, ["1.png", "face-2.png"])
    with pytest.raises(NeuroferError, match=message):
        read_stimuli(folder)


@pytest.mark.parametrize("name", ["../out", "a/b", "/etc/x", "", ".hidden", "a\nb", 7])
def test_names_that_lead_elsewhere_are_refused(
    stimuli: StimulusSet, tmp_path: Path, name: object
) -> None:
    folder = stimuli.save(tmp_path / "set")
    note = read_sealed_json(folder / "set.json")
    (folder / "set.json").write_text(json.dumps({**note, "name": name}))
    with pytest.raises(NeuroferError, match=r"the stimulus set .* cannot name a file"):
        read_stimuli(folder)
    with pytest.raises(NeuroferError, match=r"the stimulus set .* cannot name a file"):
        StimulusSet.from_arrays(name, stimuli.table, list(stimuli.images()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "file", ["table.csv", "landmarks.csv", "set.json", "images/face-3.png", "parts/face-3.png"]
)
def test_no_wrong_byte_of_a_saved_set_goes_unseen(tmp_path: Path, file: str) -> None:
    """It is named, or what is read is what was saved."""
    original = make_stimuli()
    folder = original.save(tmp_path / "set")
    content = (folder / file).read_bytes()
    for place in np.random.default_rng(1).integers(0, len(content), 40).tolist():
        wrong = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        (folder / file).write_bytes(wrong)
        try:
            found = read_stimuli(folder)
            same(found, original)
        except NeuroferError as error:
            assert folder.name in str(error)  # noqa: PT017  (what is right may be read)


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
        (lambda f: edit(f / "set.json", '"format": 1', '"format": 9'), "not what was written"),
        (lambda f: (f / "set.json").write_text('{"format": 9}'), "reads format 1"),
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


@pytest.mark.parametrize("how", ["another", "size", "lost"])
def test_a_part_mask_that_was_changed_is_named(
    stimuli: StimulusSet, tmp_path: Path, how: str
) -> None:
    path = stimuli.save(tmp_path / "set") / "parts" / "face-3.png"
    if how == "lost":
        path.unlink()
        with pytest.raises(NeuroferError, match=r"part mask is missing: .*face-3\.png"):
            read_stimuli(tmp_path / "set")
        return
    shape = (16, 16) if how == "another" else (8, 8)
    Image.fromarray(np.ones(shape, np.uint8)).save(path)
    with pytest.raises(NeuroferError, match=r"part mask .*'face-3' has changed.*face-3\.png"):
        read_stimuli(tmp_path / "set").parts(3)


def test_a_set_that_was_saved_without_hashes_of_its_masks_is_read(
    stimuli: StimulusSet, tmp_path: Path
) -> None:
    folder = stimuli.save(tmp_path / "set")
    note = read_sealed_json(folder / "set.json")
    del note["parts"]
    (folder / "set.json").write_text(json.dumps(note))
    same(read_stimuli(folder), stimuli)


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
