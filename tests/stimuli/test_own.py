"""One's own pictures, by a card of `kind: folder`; and landmarks of any set from a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, load_stimuli, protocol
from neurofer.stimuli.folder_table import add_landmarks, landmark_columns
from neurofer.stimuli.licensed.card import ShuffledSplit
from neurofer.stimuli.licensed.check import check_stimuli
from neurofer.stimuli.licensed.copies import add_copy
from neurofer.stimuli.own import read_pictures
from neurofer.stimuli.rendered.plans import AVATAR_WORDS
from neurofer.studies.checks import check_names
from neurofer.studies.study import Study

from .conftest import make_stimuli
from .fake_layouts import draw

CARD = r"""
name: faces
title: Monkeys of our laboratory
kind: folder
description: Photographs of two monkeys.
licence: CC0
citation: none yet
folder: pictures
source: photograph
layouts:
  images:
    reader: folder
    pattern: '(?P<stem>(?P<who>[a-z]+)-(?P<what>[a-z]+))\.png'
columns:
  stimulus_id: "{stem}"
  head: monkey
  identity: "{who}"
  expression: "{what}"
"""
NAMES = ["ann-neutral.png", "ann-threat.png", "bo-lipsmack.png"]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "lab").mkdir()
    draw(tmp_path / "lab" / "pictures", NAMES, (20, 30))
    (tmp_path / "lab" / "faces.yaml").write_text(CARD)
    return tmp_path / "lab" / "faces.yaml"


def test_a_folder_of_pictures_is_read_by_the_users_card(card: Path) -> None:
    stimuli = load_stimuli(str(card))
    assert stimuli.name == "faces"
    columns = ["stimulus_id", "head", "identity", "expression", "strength", "source"]
    assert stimuli.table[columns].to_numpy().tolist() == [
        ["ann-neutral", "monkey", "ann", "neutral", 0.0, "photograph"],
        ["ann-threat", "monkey", "ann", "threat", 1.0, "photograph"],
        ["bo-lipsmack", "monkey", "bo", "lipsmack", 1.0, "photograph"],
    ]
    told = check_stimuli(str(card))
    assert (told.images, told.findings) == (3, [])


def test_a_warning_names_a_command_that_finds_the_card(card: Path) -> None:
    (card.parent / "pictures" / "ann-happy.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=rf"`neurofer stimuli check {card} "):
        assert len(load_stimuli(str(card))) == 3
    assert [one.kind for one in check_stimuli(str(card)).findings] == ["empty file"]


def test_another_place_may_be_given_or_remembered(card: Path, tmp_path: Path) -> None:
    (card.parent / "pictures").rename(tmp_path / "moved")
    assert len(load_stimuli(str(card), path=tmp_path / "moved")) == 3
    add_copy(str(card), tmp_path / "moved")
    assert len(load_stimuli(str(card))) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folder: pictures\n", "", r"does not say where its pictures lie: write `folder: PATH`"),
        ("folder: pictures", "folder: nowhere", r"nowhere' of faces is not a folder"),
        (
            "name: faces",
            "name: ../faces",
            r"faces\.yaml: the stimulus set '\.\./faces' cannot name",
        ),
        ("source: photograph", "source: film", r"faces\.yaml.*source"),
        ("kind: folder", "kind: licensed", r"faces\.yaml.*apply"),
        ("{what}", "Neutral", r"did you mean 'neutral'"),
    ],
)
def test_wrong_cards_are_refused(card: Path, old: str, new: str, message: str) -> None:
    assert old in CARD
    card.write_text(CARD.replace(old, new))
    with pytest.raises(NeuroferError, match=rf"(?s){message}"):
        load_stimuli(str(card))


def test_a_folder_in_place_of_a_name_is_answered_with_what_reads_it(card: Path) -> None:
    with pytest.raises(NeuroferError, match=r"is a folder.*read_stimuli\("):
        load_stimuli(str(card.parent / "pictures"))
    with pytest.raises(NeuroferError, match=r"cannot be read"):
        load_stimuli("nowhere.yaml")
    with pytest.raises(NeuroferError, match=r"choose from .*read_stimuli\(FOLDER\)"):
        load_stimuli("faces")


def test_a_study_may_name_the_users_card(card: Path) -> None:
    content: dict[str, Any] = {
        "name": "own",
        "title": "Own pictures",
        "stimuli": {"mine": {"set": str(card)}},
        "subjects": {"pixels": {"subject": "pixels"}},
        "analyses": [{"name": "a", "analysis": "rsa", "stimuli": "mine", "subjects": "pixels"}],
    }
    check_names(Study.model_validate(content))
    content["stimuli"]["mine"]["set"] = str(card.with_name("no.yaml"))
    with pytest.raises(NeuroferError, match=r"no\.yaml cannot be read"):
        check_names(Study.model_validate(content))


def landmark_file(path: Path, ids: list[str]) -> np.ndarray:
    points = np.random.default_rng(0).uniform(0, 16, (len(ids), 13, 2))
    points[0, 3] = np.nan
    frame = pd.DataFrame(points.reshape(len(ids), 26), columns=landmark_columns())
    frame.insert(0, "stimulus_id", ids)
    frame.to_csv(path, index=False)
    return points


def test_landmarks_come_from_a_file_whatever_its_order(
    tmp_path: Path, stimuli: StimulusSet
) -> None:
    ids = stimuli.table["stimulus_id"].tolist()
    points = landmark_file(tmp_path / "points.csv", [*reversed(ids), "another"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = add_landmarks(stimuli, tmp_path / "points.csv")
    np.testing.assert_array_equal(found.landmarks, points[-2::-1])
    assert found.table.equals(stimuli.table)
    np.testing.assert_array_equal(found.image(3), stimuli.image(3))
    assert found.identifier != stimuli.identifier


def test_landmarks_that_a_file_lacks_are_counted(tmp_path: Path) -> None:
    stimuli = make_stimuli()
    landmark_file(tmp_path / "points.csv", ["face-1", "face-0"])
    with pytest.warns(UserWarning, match=r"10 of 12 stimuli of 'tiny' have no landmarks.*'face-2'"):
        found = add_landmarks(stimuli, tmp_path / "points.csv")
    assert found.landmarks is not None
    assert np.isnan(found.landmarks[2:]).all()
    assert np.isfinite(found.landmarks[0]).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("face-", "photo-"), r"no stimulus_id is in both"),
        (lambda text: text.replace("nose.x", "noze.x"), r"points\.csv.*did you mean 'noze\.x'"),
        (lambda text: text.replace("face-1,", "face-0,"), r"'face-0' more than once"),
        (lambda text: text.replace("face-1,", "face-1,left"), r"points\.csv holds what is not a"),
        (lambda text: text[:40], r"points\.csv cannot be read as a table"),
    ],
)
def test_wrong_files_of_landmarks_are_refused(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    landmark_file(tmp_path / "points.csv", ["face-0", "face-1"])
    text = (tmp_path / "points.csv").read_text()
    (tmp_path / "points.csv").write_text(damage(text))
    with pytest.raises(NeuroferError, match=message):
        add_landmarks(make_stimuli(), tmp_path / "points.csv")


def test_landmarks_of_a_card_and_of_a_call(card: Path) -> None:
    points = landmark_file(card.parent / "pictures" / "p.csv", [name[:-4] for name in NAMES])
    assert load_stimuli(str(card)).landmarks is None
    given = load_stimuli(str(card), landmarks=card.parent / "pictures" / "p.csv")
    card.write_text(CARD + "landmarks: p.csv\n")
    np.testing.assert_array_equal(load_stimuli(str(card)).landmarks, points)
    assert load_stimuli(str(card)).identifier == given.identifier


def test_a_shuffled_split_goes_by_names_and_not_by_their_order() -> None:
    names = [f"{n:03d}" for n in range(60)]
    split = ShuffledSplit(held_out=6000, of=55767)
    assert split.splits(names[::-1]) == split.splits(names)[::-1]


def test_ferg_has_training_images_for_its_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    avatars = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
    stems = [f"{a}_{w}_{n}" for a in avatars for w in AVATAR_WORDS.values() for n in (1, 2, 3, 10)]
    folder = tmp_path / "FERG_DB_256"
    draw(folder, [f"{s.split('_')[0]}/{s.rpartition('_')[0]}/{s}.png" for s in stems], (256, 256))
    table = load_stimuli("ferg", path=tmp_path).table
    order = table.sort_values("stimulus_id")["split"].tolist()
    assert order == ShuffledSplit(held_out=6000, of=55767).splits(sorted(stems))
    assert (order.count("test"), order.count("val")) == (18, 18)
    twelve = protocol(load_stimuli("ferg", path=tmp_path), "twelve-first").table
    assert set(twelve["split"]) == {"train"}
    assert twelve["expression"].tolist()[:6] == ["neutral"] * 6
    kinds = {one.kind for one in check_stimuli("ferg", tmp_path).findings}
    assert kinds == {"wrong count"}  # people in several splits are the split's own


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in folders of expressions, those of "threat" in folders of persons."""
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "my faces", ["Happy/1.png", "Happy/2.JPG"], (20, 30))
    draw(tmp_path / "my faces", ["threat/ann/1.png", "threat/bo/1.png"], (20, 30), first=2)
    return tmp_path / "my faces"


def test_folders_of_expressions_are_read_without_a_card(folder: Path) -> None:
    stimuli = read_pictures(folder)
    assert stimuli.name == "my-faces"
    columns = ["stimulus_id", "identity", "expression", "strength", "source"]
    assert stimuli.table[columns].to_numpy().tolist() == [
        ["Happy/1", "", "happy", 1.0, "photograph"],
        ["Happy/2", "", "happy", 1.0, "photograph"],
        ["threat/ann/1", "ann", "threat", 1.0, "photograph"],
        ["threat/bo/1", "bo", "threat", 1.0, "photograph"],
    ]


def test_what_cannot_be_used_of_such_a_folder_is_set_aside(folder: Path) -> None:
    (folder / "threat" / "broken.png").write_bytes(b"none")
    draw(folder, ["beside.png"], (20, 30), first=8)
    with pytest.warns(
        UserWarning, match=r"2 files are set aside \(.*beside\.png: wrong name"
    ) as said:
        assert len(read_pictures(folder)) == 4
    assert "stimuli check" not in str(said[0].message)  # which takes the file of a card


def test_a_table_goes_before_folders(folder: Path) -> None:
    draw(folder / "images", ["a.png"], (20, 30), first=9)
    (folder / "table.csv").write_text("stimulus_id,expression\na,sad\n")
    assert read_pictures(folder).table["expression"].tolist() == ["sad"]


def test_a_folder_without_any_label_says_what_is_needed(tmp_path: Path) -> None:
    draw(tmp_path / "flat", ["a.png"], (20, 30))
    with pytest.raises(NeuroferError, match=r"neither a table\.csv nor folders"):
        read_pictures(tmp_path / "flat")
    with pytest.raises(NeuroferError, match="there is no such folder"):
        read_pictures(tmp_path / "nowhere")
