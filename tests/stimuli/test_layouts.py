"""Sets written as the files of their originals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neurofer.errors import NeuroferError
from neurofer.sealed import read_sealed_json
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.images import read_image
from neurofer.stimuli.layouts import write_layout
from neurofer.stimuli.pairs import read_pairs
from neurofer.stimuli.verification import verification_pairs

from .conftest import FakeRenderer, make_stimuli

SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "kdef": ("kdef-sim", {"identities": 2}),
    "lfw": ("identities-sim", {"identities": 20, "images": 3}),
    "ferg": ("ferg-sim", {"images": 3}),
}


@pytest.fixture(params=SETS)
def written(
    request: pytest.FixtureRequest, renderer: FakeRenderer, tmp_path: Path
) -> tuple[str, StimulusSet, Path]:
    card = request.param
    name, parameters = SETS[card]
    stimuli = load_stimuli(name, size=32, cache=tmp_path / "cache", **parameters)
    return card, stimuli, write_layout(stimuli, card, tmp_path / "written")


def files(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def test_files_have_the_names_of_the_original(written: tuple[str, StimulusSet, Path]) -> None:
    card, stimuli, folder = written
    table = stimuli.table
    rows = zip(
        table["stimulus_id"], table["identity"], table["session"], table["head"], strict=True
    )
    names = {
        "kdef": lambda row: f"KDEF/{row[2]}{row[1]}/{row[0]}.JPG",
        "lfw": lambda row: f"lfw/{row[1]}/{row[0]}.jpg",
        "ferg": lambda row: f"FERG_DB_256/{row[3]}/{row[0].rpartition('_')[0]}/{row[0]}.png",
    }[card]
    lists = ["pairs.txt", "pairsDevTest.txt", "pairsDevTrain.txt"] if card == "lfw" else []
    expected = [names(row) for row in rows]
    assert files(folder) == sorted([*expected, *lists, "neurofer-simulated.json"])
    assert read_sealed_json(folder / "neurofer-simulated.json") == {
        "set": stimuli.name,
        "source": "rendered",
        "card": card,
        "identifier": stimuli.identifier,
    }
    for i in (0, len(stimuli) - 1):
        with Image.open(folder / expected[i]) as file:
            assert file.format == ("PNG" if card == "ferg" else "JPEG")
        difference = read_image(folder / expected[i]).astype(int) - stimuli.image(i)
        # the fake renderer's noise is the worst that a JPEG can be asked to keep
        assert np.abs(difference).max() <= (0 if card == "ferg" else 40)


def test_pairs_are_those_of_the_function(renderer: FakeRenderer, tmp_path: Path) -> None:
    stimuli = load_stimuli("identities-sim", size=16, cache=tmp_path, identities=40, images=3)
    folder = write_layout(stimuli, "lfw", tmp_path / "written")
    for name, pairs in verification_pairs(stimuli).groupby("list"):
        found = read_pairs(folder / f"{name}.txt")
        keys = ["fold", "first", "second", "same"]
        assert sorted(map(tuple, found[keys].to_numpy().tolist())) == sorted(
            map(tuple, pairs[keys].to_numpy().tolist())
        )
    assert (folder / "pairs.txt").read_text().startswith("10\t")


def test_it_is_written_whole_or_not_at_all(
    renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stimuli = load_stimuli("kdef-sim", size=16, cache=tmp_path / "cache", identities=1)
    folder = write_layout(stimuli, "kdef", tmp_path / "written")
    before = files(folder)
    fewer = stimuli.take(range(20))

    def stop(i: int) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(fewer, "image", stop)
    with pytest.raises(KeyboardInterrupt):
        write_layout(fewer, "kdef", folder)
    assert files(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "written"]
    monkeypatch.undo()
    assert len(files(write_layout(fewer, "kdef", folder))) == 21


def test_what_cannot_be_written_is_refused(renderer: FakeRenderer, tmp_path: Path) -> None:
    faces = load_stimuli("kdef-sim", size=16, cache=tmp_path / "cache", identities=1)
    with pytest.raises(NeuroferError, match=r"layout='kdf'.*did you mean 'kdef'"):
        write_layout(faces, "kdf", tmp_path / "new")
    with pytest.raises(NeuroferError, match=r"'face-0' of 'tiny' has no name in the layout of 'kd"):
        write_layout(make_stimuli(), "kdef", tmp_path / "new")
    with pytest.raises(NeuroferError, match="source 'photograph' is not written"):
        write_layout(make_stimuli(source="photograph"), "kdef", tmp_path / "new")
    with pytest.raises(NeuroferError, match="no name in the layout of 'ferg'"):
        write_layout(faces, "ferg", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").touch()
    with pytest.raises(NeuroferError, match="mine holds other things"):
        write_layout(faces, "kdef", tmp_path / "mine")
    with pytest.raises(NeuroferError, match=r"diary\.txt holds other things"):
        write_layout(faces, "kdef", tmp_path / "mine" / "diary.txt")
    renamed = StimulusSet("kdef", faces.table, [faces.image(i) for i in range(len(faces))])
    with pytest.raises(NeuroferError, match="as its name says"):
        write_layout(renamed, "kdef", tmp_path / "new")


# What the names of a layout's files hold; strength, pose and seeds are lost, FERG's split is in
# no name, and LFW labels no expressions.
HELD = {
    "kdef": ["head", "identity", "expression", "view", "session", "split", "source", "sex"],
    "ferg": ["head", "identity", "expression", "view", "session", "source"],
    "lfw": ["head", "identity", "session", "split", "source"],
}


def test_the_reader_of_the_original_reads_the_same_table(
    written: tuple[str, StimulusSet, Path], tmp_path: Path
) -> None:
    card, stimuli, folder = written
    again = load_stimuli(card, path=folder, cache=tmp_path / "index")
    assert again.identifier.startswith(f"{stimuli.name}-rendered-")
    expected = stimuli.table.sort_values("stimulus_id").reset_index(drop=True)
    found = again.table.sort_values("stimulus_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        found[["stimulus_id", *HELD[card]]], expected[["stimulus_id", *HELD[card]]]
    )
    if card == "ferg":  # PNG keeps every pixel
        assert found["image_sha256"].equals(expected["image_sha256"])


def test_pixels_survive_a_jpeg_nearly(tmp_path: Path) -> None:
    size = 64
    y, x = np.mgrid[:size, :size]
    smooth = np.stack([2 * x, 2 * y, 128 + x - y], axis=2).astype(np.uint8)
    table = pd.DataFrame(
        {
            "stimulus_id": ["AF01HAS"],
            "identity": ["F01"],
            "expression": ["happy"],
            "session": ["A"],
            "source": ["rendered"],
        }
    )
    stimuli = StimulusSet.from_arrays("smooth-sim", table, [smooth])
    folder = write_layout(stimuli, "kdef", tmp_path / "written")
    kept = read_image(folder / "KDEF" / "AF01" / "AF01HAS.JPG").astype(int)
    assert np.abs(kept - smooth).max() <= 6
    assert np.abs(kept - smooth).mean() <= 1.5
