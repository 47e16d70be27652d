"""Every licensed card reads a folder in its set's exact layout to the rows written down here."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.cards import read_card
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.images import read_image
from neurofer.stimuli.licensed.readers.columns import Column
from neurofer.stimuli.licensed.readers.rows import Rows
from neurofer.stimuli.licensed.remembered import remember
from neurofer.stimuli.licensed.sets import bad_files
from tests.stimuli.fake_layouts import LAYOUTS, draw, fake_layout, picture

NAN = math.nan

ROWS: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
    "kdef": (
        ("stimulus_id", "identity", "expression", "strength", "view", "session", "sex"),
        [
            ("AF01AFS", "F01", "fear", 1.0, "frontal", "A", "female"),
            ("AF01HAHL", "F01", "happy", 1.0, "half-left", "A", "female"),
            ("AF01NEFL", "F01", "neutral", 0.0, "full-left", "A", "female"),
            ("BM02ANFR", "M02", "angry", 1.0, "full-right", "B", "male"),
            ("BM02SUHR", "M02", "surprise", 1.0, "half-right", "B", "male"),
        ],
    ),
    "ferg": (
        ("stimulus_id", "head", "identity", "expression", "strength", "source"),
        [
            ("aia_anger_1", "aia", "aia", "angry", 1.0, "drawn"),
            ("aia_joy_12", "aia", "aia", "happy", 1.0, "drawn"),
            ("ray_neutral_3", "ray", "ray", "neutral", 0.0, "drawn"),
        ],
    ),
    "lfw": (
        ("stimulus_id", "identity", "expression", "source"),
        [
            ("Ann_Lee_0001", "Ann_Lee", "", "photograph"),
            ("Ann_Lee_0002", "Ann_Lee", "", "photograph"),
            ("Bo_Yi_0001", "Bo_Yi", "", "photograph"),
            ("Cy_0001", "Cy", "", "photograph"),
        ],
    ),
    "vggface2": (
        ("stimulus_id", "identity", "split", "sex"),
        [
            ("n000001/0001_01", "n000001", "test", "male"),
            ("n000002/0001_01", "n000002", "train", "female"),
            ("n000002/0317_02", "n000002", "train", "female"),
        ],
    ),
    "celeba": (
        ("stimulus_id", "identity", "split"),
        [
            ("000001.jpg", "28", "train"),
            ("000002.jpg", "5", "test"),
            ("000003.jpg", "28", "train"),
        ],
    ),
    "affectnet": (
        ("stimulus_id", "expression", "split", "valence", "arousal"),
        [
            ("train/aa", "happy", "train", 0.75, 0.25),
            ("val/bb", "contempt", "val", -0.5, 0.5),
        ],
    ),
    "affectnet-npy": (
        ("stimulus_id", "expression", "split", "valence", "arousal"),
        [
            ("train/7", "happy", "train", 0.75, 0.25),
            ("train/8", "angry", "train", NAN, NAN),
            ("val/7", "neutral", "val", -0.5, 0.5),
        ],
    ),
    "fer2013": (
        ("stimulus_id", "expression", "strength", "split"),
        [
            ("fer0000000", "angry", 1.0, "train"),
            ("fer0000001", "happy", 1.0, "train"),
            ("fer0000002", "neutral", 0.0, "val"),
            ("fer0000003", "fear", 1.0, "test"),
        ],
    ),
    "ferplus": (
        ("stimulus_id", "expression", "split", "votes_happy", "votes_fear", "votes_contempt"),
        [
            ("fer0000000", "happy", "train", 9, 0, 1),
            ("fer0000004", "fear", "val", 0, 8, 0),
        ],
    ),
    "ferplus-png": (
        ("stimulus_id", "expression", "split", "votes_happy", "votes_fear", "votes_contempt"),
        [
            ("fer0000000", "happy", "train", 9, 0, 1),
            ("fer0000004", "fear", "val", 0, 8, 0),
        ],
    ),
    "jaffe": (
        ("stimulus_id", "identity", "expression", "strength", "view", "sex"),
        [
            ("KA.AN1.39", "KA", "angry", 1.0, "frontal", "female"),
            ("KA.NE2.27", "KA", "neutral", 0.0, "frontal", "female"),
            ("YM.SU3.62", "YM", "surprise", 1.0, "frontal", "female"),
        ],
    ),
    "emoreact": (
        (
            "stimulus_id", "session", "split", "frame", "valence", "label_curiosity",
            "label_uncertainty", "label_excitement", "label_happiness", "label_surprise",
            "label_disgust", "label_fear", "label_frustration",
        ),
        [
            ("A1_1-0.000", "A1_1", "train", 0, 1.0, *map(bool, (1, 0, 0, 1, 0, 0, 0, 0))),
            ("A1_1-1.000", "A1_1", "train", 8, 1.0, *map(bool, (1, 0, 0, 1, 0, 0, 0, 0))),
            ("B2_1-0.000", "B2_1", "train", 0, -1.0, *map(bool, (0, 0, 0, 0, 0, 1, 0, 0))),
            ("B2_1-1.000", "B2_1", "train", 8, -1.0, *map(bool, (0, 0, 0, 0, 0, 1, 0, 0))),
            ("C3_1-0.000", "C3_1", "val", 0, 0.0, *map(bool, (0, 0, 1, 0, 0, 0, 0, 0))),
            ("C3_1-1.000", "C3_1", "val", 8, 0.0, *map(bool, (0, 0, 1, 0, 0, 0, 0, 0))),
            ("D4_1-0.000", "D4_1", "test", 0, -0.5, *map(bool, (0, 1, 0, 0, 0, 0, 1, 1))),
            ("D4_1-1.000", "D4_1", "test", 8, -0.5, *map(bool, (0, 1, 0, 0, 0, 0, 1, 1))),
        ],
    ),
}  # fmt: skip


def load(name: str, folder: Path, **parameters: Any) -> StimulusSet:
    path = folder / "copy"
    if not path.exists():
        fake_layout(name, path)
    card = name.partition("-")[0]
    return load_stimuli(card, path=path, cache=folder / "index", **parameters)


def rows(stimuli: StimulusSet, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return list(stimuli.table[list(columns)].itertuples(index=False, name=None))


def same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> bool:
    def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple("nan" if value != value else value for value in row)

    return [plain(row) for row in found] == [plain(row) for row in expected]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_to_the_rows_that_are_written_down(name: str, tmp_path: Path) -> None:
    columns, expected = ROWS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stimuli = load(name, tmp_path)
    found = rows(stimuli, columns)
    assert same(found, expected), found
    assert set(stimuli.table["source"]) == {stimuli_card(stimuli.name).source}
    if name != "ferg":
        assert set(stimuli.table["head"]) == {"human"}


@pytest.mark.parametrize("name", ["kdef", "ferg", "jaffe"])
def test_an_image_is_that_of_its_file(name: str, tmp_path: Path) -> None:
    stimuli = load(name, tmp_path)
    files = {path.stem: path for path in (tmp_path / "copy").rglob("*.*")}
    for i, stimulus_id in enumerate(stimuli.table["stimulus_id"]):
        np.testing.assert_array_equal(stimuli.image(i), read_image(files[stimulus_id]))


def test_pixels_of_a_row_are_grey_images(tmp_path: Path) -> None:
    stimuli = load("fer2013", tmp_path)
    expected = np.asarray(picture(3, (48, 48), "L"))
    assert stimuli.table["expression"].iloc[1] == "happy"
    np.testing.assert_array_equal(stimuli.image(1), np.stack([expected] * 3, axis=2))


def test_a_frame_is_the_one_of_its_number_in_any_order(tmp_path: Path) -> None:
    import cv2

    stimuli = load("emoreact", tmp_path)
    clip = cv2.VideoCapture(str(tmp_path / "copy" / "Data" / "Train" / "B2_1.mp4"))
    frames = [clip.read()[1][:, :, ::-1] for _ in range(12)]
    for i, frame in ((3, 8), (2, 0), (3, 8)):
        np.testing.assert_array_equal(stimuli.image(i), frames[frame])
    assert len(list(stimuli.images())) == len(stimuli)


def test_a_clip_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    stimuli = load("emoreact", tmp_path)
    stimuli.image(2)
    train = tmp_path / "copy" / "Data" / "Train"
    (train / "A1_1.mp4").replace(train / "B2_1.mp4")
    with pytest.raises(NeuroferError, match=r"'B2_1-1\.000' has changed.*B2_1\.mp4, frame 8"):
        stimuli.image(3)


def test_clips_are_read_at_the_rate_asked_for(tmp_path: Path) -> None:
    stimuli = load("emoreact", tmp_path, rate=4)
    train = stimuli.select(session="A1_1").table
    assert train["frame"].tolist() == [0, 2, 4, 6, 8, 10]
    assert train["stimulus_id"].iloc[1] == "A1_1-0.250"
    assert len(load("emoreact", tmp_path)) == 8


def test_clips_without_opencv_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_layout("emoreact", tmp_path / "copy")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(NeuroferError, match=r"pip install 'neurofer\[clips\]'"):
        load("emoreact", tmp_path)


def test_ferplus_shares_out_votes(tmp_path: Path) -> None:
    # Of "4,0,0,4,...,2 unknown", neutral and sad are level: no majority, but two halves.
    table = load("ferplus", tmp_path, rule="distribution").table
    assert table["stimulus_id"].tolist() == ["fer0000000", "fer0000002", "fer0000004"]
    targets = table[["target_neutral", "target_happy", "target_sad", "target_fear"]]
    assert targets.to_numpy().tolist() == [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]
    table = load("ferplus", tmp_path, rule="multi-target").table
    assert table["label_sad"].tolist() == [False, True, False]


def test_affectnet_gives_the_dimensional_and_all_images(tmp_path: Path) -> None:
    dimensional = load("affectnet", tmp_path, subset="dimensional").table
    assert dimensional["stimulus_id"].tolist() == ["train/aa", "train/ba", "val/bb"]
    assert dimensional["expression"].tolist() == ["happy", "", "contempt"]
    assert len(load("affectnet", tmp_path, subset="all")) == 4


@pytest.mark.parametrize(
    ("subset", "expected", "split"),
    [
        ("pairs-dev-train", ["Ann_Lee_0001", "Ann_Lee_0002", "Bo_Yi_0001"], "train"),
        ("pairs", ["Ann_Lee_0001", "Ann_Lee_0002", "Bo_Yi_0001", "Cy_0001"], "test"),
    ],
)
def test_lfw_gives_the_images_of_its_pairs(
    tmp_path: Path, subset: str, expected: list[str], split: str
) -> None:
    table = load("lfw", tmp_path, subset=subset).table
    assert table["stimulus_id"].tolist() == expected
    assert set(table["split"]) == {split}


def test_lfw_without_the_list_says_which(tmp_path: Path) -> None:
    with pytest.raises(NeuroferError, match=r"pairsDevTest\.txt is neither in"):
        load("lfw", tmp_path, subset="pairs-dev-test")


@pytest.mark.parametrize("name", ["kdef", "jaffe", "lfw", "ferg", "emoreact"])
def test_the_folder_of_the_images_will_do_as_well(name: str, tmp_path: Path) -> None:
    whole = load(name, tmp_path)
    inner = [path for path in (tmp_path / "copy").iterdir() if path.is_dir()]
    if name != "emoreact":
        again = load_stimuli(name, path=inner[0], cache=tmp_path / "index")
        assert again.identifier == whole.identifier
    else:
        (tmp_path / "up").mkdir()
        (tmp_path / "copy").rename(tmp_path / "up" / "EmoReact_V_1.0")
        again = load_stimuli(name, path=tmp_path / "up", cache=tmp_path / "index")
        assert again.identifier == whole.identifier


def test_names_in_small_letters_are_the_same_stimuli(tmp_path: Path) -> None:
    names = ["AF01AFS", "BM02ANFR"]
    draw(tmp_path / "copy", [f"kdef/{name.lower()}.jpg" for name in names], (562, 762))
    draw(tmp_path / "other", [f"KDEF/{n[:4]}/{n}.JPG" for n in names], (562, 762))
    small = load_stimuli("kdef", path=tmp_path / "copy" / "kdef", cache=tmp_path / "index")
    large = load_stimuli("kdef", path=tmp_path / "other", cache=tmp_path / "index")
    assert small.identifier == large.identifier


def test_bad_files_are_set_aside_with_a_warning_that_names_them(tmp_path: Path) -> None:
    fake_layout("kdef", tmp_path / "copy")
    folder = tmp_path / "copy" / "KDEF" / "AF01"
    (folder / "AF01SAS.JPG").write_bytes(b"")
    draw(folder, ["AF31V.JPG"], (562, 762), first=50)
    content = (folder / "AF01AFS.JPG").read_bytes()
    (folder / "AF01AFS.JPG").write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match=r"3 files are set aside \(AF01/AF01AFS\.JPG: truncated"):
        stimuli = load("kdef", tmp_path)
    expected = ["AF01HAHL", "AF01NEFL", "BM02ANFR", "BM02SUHR"]
    assert stimuli.table["stimulus_id"].tolist() == expected
    assert len(list(stimuli.images())) == 4
    bad = bad_files("kdef", tmp_path / "copy", cache=tmp_path / "index")
    assert dict(zip(bad["file"], bad["kind"], strict=True)) == {
        "AF01/AF01AFS.JPG": "truncated image",
        "AF01/AF01SAS.JPG": "empty file",
        "AF01/AF31V.JPG": "wrong name",
    }


def test_the_averaged_faces_of_akdef_are_refused(tmp_path: Path) -> None:
    fake_layout("kdef", tmp_path / "copy")
    draw(tmp_path / "copy" / "KDEF", ["FAFFL.JPG"], (562, 762), first=60)
    with pytest.warns(UserWarning, match=r"FAFFL\.JPG: wrong name"):
        assert len(load("kdef", tmp_path)) == 5


def test_a_simulated_folder_keeps_its_name_and_source(tmp_path: Path) -> None:
    fake_layout("ferg", tmp_path / "copy")
    draw(tmp_path / "copy", ["FERG_DB_256/tom/tom_joy/tom_joy_1.png"], (64, 64), first=9)
    note = {"set": "ferg-sim", "source": "rendered", "card": "ferg", "identifier": "ferg-sim-x"}
    (tmp_path / "copy" / "neurofer-simulated.json").write_text(json.dumps(note))
    stimuli = load("ferg", tmp_path)
    assert stimuli.identifier.startswith("ferg-sim-rendered-")
    assert len(stimuli) == 4  # one of another size than the original's
    (tmp_path / "copy" / "neurofer-simulated.json").write_text(json.dumps({**note, "card": "lfw"}))
    with pytest.raises(NeuroferError, match="holds ferg-sim in the layout of lfw, not of ferg"):
        load("ferg", tmp_path)
    (tmp_path / "copy" / "neurofer-simulated.json").write_text("{}")
    with pytest.raises(NeuroferError, match=r"neurofer-simulated\.json cannot be read"):
        load("ferg", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"set": "../ferg-sim"}, "the stimulus set '../ferg-sim' cannot name a file"),
        ({"set": "/tmp/x"}, "the stimulus set '/tmp/x' cannot name a file"),
        ({"set": 7}, "the stimulus set 7 cannot name a file"),
        ({"set": "ferg"}, "what stands in for ferg cannot have its name"),
        ({"source": "photograph"}, "source='photograph'"),
    ],
)
def test_a_note_that_lies_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    fake_layout("ferg", tmp_path / "copy")
    note = {"set": "ferg-sim", "source": "rendered", "card": "ferg", "identifier": "ferg-sim-x"}
    path = tmp_path / "copy" / "neurofer-simulated.json"
    path.write_text(json.dumps({**note, **changes}))
    with pytest.raises(NeuroferError, match=rf"^(?=.*neurofer-simulated\.json).*{message}"):
        load("ferg", tmp_path)


def test_without_a_path_the_error_says_where_to_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        NeuroferError,
        match=r"non-commercial.*https://kdef\.se.*neurofer stimuli add kdef PATH.*'kdef-sim'",
    ):
        load_stimuli("kdef")
    fake_layout("kdef", tmp_path / "copy")
    remember("kdef", tmp_path / "copy")
    assert len(load_stimuli("kdef")) == 5


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kdef", {"seeds": (1,)}, "parameter='seeds' is not in set 'kdef'; it has path"),
        ("lfw", {"subset": "pear"}, "subset='pear' is not in set 'lfw'.*did you mean"),
        ("ferplus", {"rule": "majorty"}, "did you mean 'majority'"),
        ("affectnet", {"layout": "cvs"}, "did you mean 'csv'"),
        ("emoreact", {"rate": 0}, "rate=0: give a number, above 0, at most 1000"),
        ("emoreact", {"rate": True}, "rate=True"),
    ],
)
def test_wrong_parameters_are_named(
    tmp_path: Path, name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        load(name, tmp_path, **parameters)


def test_another_folder_is_refused_with_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(NeuroferError, match=r"does not look like.*KDEF/AF01/AF01AFFL\.JPG"):
        load_stimuli("kdef", path=tmp_path)
    with pytest.raises(NeuroferError, match="is not a folder"):
        load_stimuli("kdef", path=tmp_path / "nowhere")


def test_lists_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = fake_layout("ferplus", tmp_path / "copy")
    text = (path / "fer2013new.csv").read_text()
    (path / "fer2013new.csv").write_text(text.replace("Training", "PublicTest", 1))
    with pytest.raises(NeuroferError, match=r"row 0 of .*fer2013\.csv has Usage 'Training'"):
        load("ferplus", tmp_path)
    (path / "fer2013new.csv").write_text("".join(text.splitlines(keepends=True)[:-1]))
    with pytest.raises(NeuroferError, match=r"has 6 rows and fer2013new\.csv beside it 5"):
        load("ferplus", tmp_path)


def test_an_annotation_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = fake_layout("affectnet-npy", tmp_path / "copy")
    np.save(path / "train_set/annotations/7_exp.npy", np.array({"a": 1}), allow_pickle=True)
    with pytest.warns(UserWarning, match=r"7_exp\.npy: corrupt annotation"):
        assert len(load("affectnet-npy", tmp_path)) == 2


def test_an_annotation_that_claims_a_terabyte_is_refused(tmp_path: Path) -> None:
    path = fake_layout("affectnet-npy", tmp_path / "copy")
    with (path / "train_set/annotations/7_exp.npy").open("wb") as file:
        header = {"descr": "<i8", "fortran_order": False, "shape": (1 << 37,)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.warns(UserWarning, match=r"7_exp\.npy: corrupt annotation"):
        assert len(load("affectnet-npy", tmp_path)) == 2


def test_an_unknown_label_is_set_aside(tmp_path: Path) -> None:
    path = fake_layout("fer2013", tmp_path / "copy")
    text = (path / "fer2013.csv").read_text()
    (path / "fer2013.csv").write_text(text.replace("\n6,", "\n9,"))
    with pytest.warns(UserWarning, match=r"fer2013\.csv \(fer0000002\): unknown label"):
        assert len(load("fer2013", tmp_path)) == 3


def test_every_bad_row_is_listed_though_all_are_bad_alike(tmp_path: Path) -> None:
    path = fake_layout("fer2013", tmp_path / "copy")
    dark = ",".join(["3", " ".join(["7"] * 2304), "Training\n"])
    with (path / "fer2013.csv").open("a") as file:
        file.write(dark + dark + dark.replace("3,", "9,", 1) + dark.replace("3,", "9,", 1))
    bad = bad_files("fer2013", path, cache=tmp_path / "index")
    assert bad["kind"].tolist().count("black image") == 2
    assert bad["kind"].tolist().count("unknown label") == 2


@pytest.mark.filterwarnings("ignore:string or file could not be read")
@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        ("12 13 14", "truncated image"),
        ("", "corrupt image"),
        (" ".join(["7"] * 2303 + ["x"]), "corrupt image"),
        (" ".join(["7"] * 2303 + ["256"]), "corrupt image"),
        (" ".join(["7"] * 2304), "black image"),
        (" ".join(["70"] * 49 * 49), "wrong size"),
    ],
)
def test_a_row_with_wrong_pixels_is_set_aside(tmp_path: Path, pixels: str, kind: str) -> None:
    path = fake_layout("fer2013", tmp_path / "copy")
    lines = (path / "fer2013.csv").read_text().splitlines()
    lines[2] = f"3,{pixels},Training"
    (path / "fer2013.csv").write_text("\n".join(lines))
    with pytest.warns(
        UserWarning, match=rf"1 file is set aside \(fer2013\.csv \(fer0000001\): {kind}"
    ):
        assert len(load("fer2013", tmp_path)) == 3


def test_a_copy_without_a_sound_image_says_how_to_find_out_why(tmp_path: Path) -> None:
    folder = tmp_path / "copy" / "FERG_DB_256" / "aia" / "aia_anger"
    folder.mkdir(parents=True)
    with pytest.raises(NeuroferError, match=r"holds no image of ferg.*stimuli check ferg"):
        load("ferg", tmp_path)
    (folder / "aia_anger_1.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="1 file is set aside"),
        pytest.raises(NeuroferError, match="holds no image of ferg"),
    ):
        load("ferg", tmp_path)


def test_the_same_name_in_two_folders_is_one_stimulus(tmp_path: Path) -> None:
    fake_layout("kdef", tmp_path / "copy")
    draw(tmp_path / "copy" / "KDEF" / "more", ["AF01AFS.JPG"], (562, 762), first=70)
    with pytest.warns(UserWarning, match=r"more/AF01AFS\.JPG: duplicate name"):
        assert len(load("kdef", tmp_path)) == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: licensed", "kind: licenced", "did you mean 'licensed'"),
        ("source: photograph", "source: rendered", "source"),
        ("reader: folder", "reader: foldr", "layouts"),
        ("pattern: '(?:", "pattern: '(?:(", "not a regular expression"),
        ('"{sex}{number}"', '"{sex.__class__}"', "is not the name of a field"),
        ("  stimulus_id:", "  id:", "stimulus_id is missing"),
        (
            "  images: 4900",
            "  image: 4900",
            "key='image' is not in expected; .*did you mean 'images'",
        ),
    ],
)
def test_a_wrong_card_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    card = (content_folder("stimuli") / "kdef.yaml").read_text()
    assert old in card
    (tmp_path / "card.yaml").write_text(card.replace(old, new))
    with pytest.raises(NeuroferError, match=rf"(?s)card\.yaml.*{message}"):
        read_card(tmp_path / "card.yaml")


def test_a_card_that_names_what_the_folder_does_not_state_says_so(tmp_path: Path) -> None:
    path = fake_layout("fer2013", tmp_path / "copy")
    text = (path / "fer2013.csv").read_text()
    (path / "fer2013.csv").write_text(text.replace("emotion", "label", 1))
    with pytest.raises(NeuroferError, match=r"'\{emotion\}' names 'emotion'.*they state .*label"):
        load("fer2013", tmp_path)


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ({"kind": "number", "unknown": "-2"}, "-2.0", NAN),
        ({"kind": "number"}, "", NAN),
        ({"kind": "number", "span": (1, 7)}, "4", 0.0),
        ({"kind": "number", "span": (1, 7)}, "8", None),
        ({"kind": "number"}, "much", None),
        ({"kind": "integer"}, "3.0", 3),
        ({"kind": "integer"}, "3.5", None),
        ({"kind": "integer"}, "", None),
        ({"kind": "boolean"}, "1", True),
        ({"kind": "boolean"}, "yes", None),
        ({"map": {"ha": "happy"}}, "HA", "happy"),
        ({"map": {"ha": "happy"}}, "hx", None),
    ],
)
def test_columns(column: dict[str, Any], text: str, expected: Any) -> None:
    rows = Rows()
    rows.add("a.png", -1, {"x": text})
    values, wrong = Column(of="{x}", **column).values(rows)
    assert wrong == ({} if expected is not None else {0: text})
    assert values[0] == expected or (expected is NAN and math.isnan(values[0]))


def test_without_the_list_of_people_their_sex_is_not_stated(tmp_path: Path) -> None:
    path = fake_layout("vggface2", tmp_path / "copy")
    (path / "identity_meta.csv").unlink()
    assert set(load("vggface2", tmp_path).table["sex"]) == {""}


def test_a_list_with_a_broken_line_is_named(tmp_path: Path) -> None:
    path = fake_layout("affectnet", tmp_path / "copy")
    lists = path / "Manually_Annotated_file_lists"
    with (lists / "validation.csv").open("a") as file:
        file.write("2/bc.jpg,10\n")
    with pytest.raises(NeuroferError, match=r"validation\.csv, line 3: 2 values for 9 columns"):
        load("affectnet", tmp_path)
    (lists / "validation.csv").unlink()
    with pytest.raises(NeuroferError, match=r"has no Manually.*validation\.csv and no validation"):
        load("affectnet", tmp_path)


def test_a_link_to_the_folder_of_the_set_is_followed(tmp_path: Path) -> None:
    whole = load("kdef", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "KDEF").symlink_to(tmp_path / "copy" / "KDEF")
    linked = load_stimuli("kdef", path=tmp_path / "data", cache=tmp_path / "index")
    assert linked.identifier == whole.identifier


@pytest.mark.filterwarnings("ignore:affectnet")
def test_one_layout_can_be_asked_for(tmp_path: Path) -> None:
    fake_layout("affectnet", tmp_path / "copy")
    fake_layout("affectnet-npy", tmp_path / "copy")
    assert len(load("affectnet", tmp_path)) == 2
    assert len(load("affectnet", tmp_path, layout="npy")) == 3
