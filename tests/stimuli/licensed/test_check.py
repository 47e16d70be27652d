"""`check_stimuli` finds every kind of fault, one test each; the fault is the only finding."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from neurofer.cli import app as cli
from neurofer.errors import NeuroferError
from neurofer.stimuli import load_stimuli
from neurofer.stimuli.licensed import copies
from neurofer.stimuli.licensed.card import Expected, LicensedCard
from neurofer.stimuli.licensed.check import Check, check_stimuli
from neurofer.stimuli.licensed.remembered import remembered
from tests.stimuli.fake_layouts import LONG_AGO, draw, fake_layout, picture

NAMES = ["AF01AFS", "AF01NES", "BM02AFS", "BM02NES"]
COMPLETE = {"identity": ("F01", "M02"), "expression": ("fear", "neutral")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a copy of KDEF that is whole, by a card that expects no more than it has."""
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "copy" / "KDEF", [f"{n[:4]}/{n}.JPG" for n in NAMES], (562, 762))
    original = copies.licensed_card

    def small(name: str) -> LicensedCard:
        card = original(name)
        if name != "kdef":
            return card.model_copy(update={"expected": Expected(size=card.expected.size)})
        few = {"images": 4, "distinct": {"identity": 2}, "complete": COMPLETE}
        counts = {"sex": {"female": 2, "male": 2}}
        update = {**few, "counts": counts}
        return card.model_copy(update={"expected": card.expected.model_copy(update=update)})

    for module in ("neurofer.stimuli.licensed.copies", "neurofer.stimuli.licensed.check"):
        monkeypatch.setattr(f"{module}.licensed_card", small)
    return tmp_path / "copy"


def look(folder: Path, name: str = "kdef") -> list[tuple[str, str]]:
    return [(one.kind, one.file) for one in check_stimuli(name, folder).findings]


def at(folder: Path, name: str) -> Path:
    return folder / "KDEF" / name[:4] / f"{name}.JPG"


def test_a_whole_copy_has_no_findings(folder: Path) -> None:
    told = check_stimuli("kdef", folder)
    assert (told.images, told.findings) == (4, [])
    assert [(one.what, one.expected, one.found) for one in told.counts] == [
        ("images", 4, 4),
        ("different identity", 2, 2),
        ("sex female", 2, 2),
        ("sex male", 2, 2),
    ]


def test_a_missing_file_is_found(folder: Path) -> None:
    at(folder, "BM02AFS").unlink()
    told = check_stimuli("kdef", folder)
    missing = [one.detail for one in told.findings if one.kind == "missing file"]
    assert missing == ["no image of identity M02, expression fear"]


def test_a_wrong_count_is_found(folder: Path) -> None:
    draw(folder / "KDEF", ["AF01/AF01HAS.JPG"], (562, 762), first=9)
    told = check_stimuli("kdef", folder)
    assert [(one.kind, one.detail) for one in told.findings] == [
        ("wrong count", "images: 5, expected 4"),
        ("wrong count", "sex female: 3, expected 2"),
    ]


def test_a_truncated_jpeg_is_found(folder: Path) -> None:
    path = at(folder, "AF01AFS")
    path.write_bytes(path.read_bytes()[:-200])
    assert look(folder) == [("truncated image", "AF01/AF01AFS.JPG")]


def test_a_file_of_no_bytes_is_found(folder: Path) -> None:
    at(folder, "AF01AFS").write_bytes(b"")
    assert look(folder) == [("empty file", "AF01/AF01AFS.JPG")]


def test_a_file_that_is_no_image_is_found(folder: Path) -> None:
    at(folder, "AF01AFS").write_bytes(b"<html>404</html>")
    assert look(folder) == [("no image", "AF01/AF01AFS.JPG")]


@pytest.mark.parametrize("kind", ["EPS", "PCX"])
def test_a_picture_of_another_format_is_found(folder: Path, kind: str) -> None:
    picture(3, (562, 762)).save(folder / "other", format=kind)
    (folder / "other").replace(at(folder, "AF01AFS"))
    assert look(folder) == [("no image", "AF01/AF01AFS.JPG")]


def test_a_named_pipe_is_found_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "KDEF" / "AF01" / "AF01HAS.JPG")
    (folder / "KDEF" / "AF01" / "AF01SAS.JPG").symlink_to("AF01HAS.JPG")
    assert look(folder) == [
        ("irregular file", "AF01/AF01HAS.JPG"),
        ("irregular file", "AF01/AF01SAS.JPG"),
    ]


def test_twelve_bits_in_sixteen_are_found_each_time(folder: Path) -> None:
    values = np.linspace(0, 4095, 562 * 762).astype(np.uint16).reshape(762, 562)
    Image.fromarray(values).save(folder / "dim.png")
    (folder / "dim.png").replace(at(folder, "AF01AFS"))
    os.utime(at(folder, "AF01AFS"), (LONG_AGO, LONG_AGO))
    for _ in range(2):
        assert look(folder) == [("dim image", "AF01/AF01AFS.JPG")]
        with pytest.warns(UserWarning, match=r"AF01AFS\.JPG: dim image"):
            assert len(load_stimuli("kdef", path=folder)) == 3


def test_an_index_that_cannot_be_kept_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neurofer.stimuli.licensed.index.write_arrays", full)
    with pytest.warns(UserWarning, match=r"index .* not kept .*[Nn]o space left"):
        assert check_stimuli("kdef", folder).images == 4


def test_a_wrong_name_is_found_and_known_of_kdef(folder: Path) -> None:
    draw(folder / "KDEF", ["AF31/AF31V.JPG", "AF31/AF3.JPG"], (562, 762), first=9)
    told = check_stimuli("kdef", folder)
    assert [(one.kind, one.file, one.known) for one in told.findings] == [
        ("wrong name", "AF31/AF3.JPG", False),
        ("wrong name", "AF31/AF31V.JPG", True),
    ]


def test_a_black_image_is_found(folder: Path) -> None:
    Image.new("RGB", (562, 762), (3, 2, 4)).save(at(folder, "AF01NES"))
    assert look(folder) == [("black image", "AF01/AF01NES.JPG")]


def test_an_image_of_another_size_is_found(folder: Path) -> None:
    picture(5, (970, 633)).save(at(folder, "AF01NES"))
    assert look(folder) == [("wrong size", "AF01/AF01NES.JPG")]


def test_a_duplicate_is_found(folder: Path) -> None:
    at(folder, "BM02NES").write_bytes(at(folder, "AF01NES").read_bytes())
    assert look(folder) == [("duplicate", "BM02/BM02NES.JPG")]


def test_an_identity_in_two_splits_is_found(folder: Path, tmp_path: Path) -> None:
    path = fake_layout("vggface2", tmp_path / "faces")
    assert look(path, "vggface2") == []
    draw(path, ["test/n000002/0005_01.jpg"], (30, 40), first=9)
    told = check_stimuli("vggface2", path)
    assert [(one.kind, one.detail) for one in told.findings] == [
        ("identity in two splits", "n000002: 1 in test, 2 in train")
    ]


def test_an_image_in_two_splits_is_found(folder: Path, tmp_path: Path) -> None:
    path = fake_layout("vggface2", tmp_path / "faces")
    content = (path / "train/n000002/0317_02.jpg").read_bytes()
    (path / "test/n000001/0009_01.jpg").write_bytes(content)
    kinds = [kind for kind, _ in look(path, "vggface2")]
    assert kinds == ["duplicate", "image in two splits"]


def test_a_link_out_of_the_folder_is_found(folder: Path, tmp_path: Path) -> None:
    at(folder, "AF01NES").rename(tmp_path / "elsewhere.jpg")
    at(folder, "AF01NES").symlink_to(tmp_path / "elsewhere.jpg")
    assert ("link out of the folder", "AF01/AF01NES.JPG") in look(folder)
    with pytest.warns(UserWarning, match="link out of the folder"):
        assert len(load_stimuli("kdef", path=folder)) == 3


def test_a_link_within_the_folder_is_a_file(folder: Path) -> None:
    target = folder / "KDEF" / "BM02" / "kept.bin"
    at(folder, "BM02NES").rename(target)
    at(folder, "BM02NES").symlink_to(target)
    assert look(folder) == []


def test_an_unreadable_file_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who runs the tests may be allowed to read everything, so that the refusal is played.
    original = Image.open

    def refuse(path: object, **options: object) -> object:
        if str(path).endswith("AF01NES.JPG"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "open", refuse)
    assert look(folder) == [("unreadable file", "AF01/AF01NES.JPG")]


def test_a_clip_that_breaks_off_is_found(folder: Path, tmp_path: Path) -> None:
    path = fake_layout("emoreact", tmp_path / "clips")
    clip = path / "Data" / "Train" / "B2_1.mp4"
    clip.write_bytes(clip.read_bytes()[:100])
    assert look(path, "emoreact") == [("no image", "Data/Train/B2_1.mp4")]


def test_a_clip_that_is_missing_is_found(folder: Path, tmp_path: Path) -> None:
    path = fake_layout("emoreact", tmp_path / "clips")
    (path / "Data" / "Test" / "D4_1.mp4").unlink()
    assert look(path, "emoreact") == [("missing file", "Data/Test/D4_1.mp4")]


def test_an_image_that_a_list_names_is_found_missing(folder: Path, tmp_path: Path) -> None:
    path = fake_layout("affectnet", tmp_path / "faces")
    (path / "Manually_Annotated_Images/2/bb.jpg").unlink()
    assert look(path, "affectnet") == [("missing file", "Manually_Annotated_Images/2/bb.jpg")]


def test_changed_pairs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    path = fake_layout("lfw", tmp_path / "faces")
    changed = [one.file for one in check_stimuli("lfw", path).findings if one.kind[:3] == "cha"]
    assert changed == ["pairs.txt", "pairsDevTrain.txt"]


def test_everything_is_decoded_even_if_an_index_vouches_for_it(folder: Path) -> None:
    load_stimuli("kdef", path=folder)
    path = at(folder, "AF01AFS")
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes(len(content) - 300))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(load_stimuli("kdef", path=folder)) == 4  # the index is taken at its word
    assert look(folder) == [("corrupt image", "AF01/AF01AFS.JPG")]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["stimuli", *arguments])


def test_the_status_says_whether_there_are_findings(folder: Path, tmp_path: Path) -> None:
    done = invoke("check", "kdef", str(folder))
    assert (done.exit_code, "0 findings" in done.stdout) == (0, True), done.output
    draw(folder / "KDEF", ["AF31/AF31V.JPG"], (562, 762), first=9)
    done = invoke("check", "kdef", str(folder), "--csv", str(tmp_path / "all.csv"))
    assert done.exit_code == 2
    assert "AF31/AF31V.JPG" in done.stdout
    assert "1 finding, 1 of them known of the original" in done.stdout
    assert "wrong name,AF31/AF31V.JPG" in (tmp_path / "all.csv").read_text()
    assert invoke("check", "kdef", str(folder), "--known-ok").exit_code == 0


def test_a_folder_is_remembered_and_forgotten(folder: Path) -> None:
    (folder / "neurofer-simulated.json").write_text(
        '{"set": "kdef-sim", "source": "rendered", "card": "kdef", "identifier": "x"}'
    )
    done = invoke("add", "kdef", str(folder))
    assert "rendered images of kdef-sim, not the original" in done.stdout
    (line,) = [line for line in invoke("list").stdout.splitlines() if line.startswith("kdef ")]
    assert line.endswith(f"{folder} (rendered: kdef-sim in place of kdef)")
    with pytest.warns(UserWarning, match=r"rendered images of kdef-sim.*`neurofer stimuli forget"):
        assert load_stimuli("kdef").name == "kdef-sim"
    (folder / "neurofer-simulated.json").write_text("{}")
    assert "neurofer-simulated.json cannot be read" in invoke("list").stdout
    assert str(folder) in invoke("forget", "kdef").stdout
    assert remembered() == {}
    with pytest.raises(NeuroferError, match="apply at"):
        load_stimuli("kdef")
    failed = invoke("forget", "kdef").exception
    assert isinstance(failed, NeuroferError)
    assert str(failed) == "set='kdef': no folder of any set is remembered"
    assert at(folder, "AF01AFS").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["render", "bfs", "out", "--set", "identities=["], "identities"),
        (["render", "bfs", "mine.txt"], "mine.txt: it is a file"),
        (["sheet", "bfs", "--out", "mine.txt/a.png"], "mine.txt is a file"),
        (["check", "kdef", "--csv", "mine.txt/a.csv"], "mine.txt is a file"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "mine.txt").write_text("a thesis")
    done = invoke(*words)
    assert isinstance(done.exception, NeuroferError)
    assert message in str(done.exception)
    assert sorted(path.name for path in folder.iterdir()) == ["KDEF", "mine.txt"]


def test_a_warning_is_a_line_without_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(folder, "AF01NES").write_bytes(b"")
    assert invoke("add", "kdef", str(folder)).exit_code == 0
    words = ["stimuli", "sheet", "kdef", "--out", str(folder / "kdef.png")]
    monkeypatch.setattr(sys, "argv", ["neurofer", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("neurofer: kdef: 1 file is set aside (AF01/AF01NES.JPG: empty file)")


def test_a_simulated_folder_is_not_counted(folder: Path) -> None:
    (folder / "neurofer-simulated.json").write_text(
        '{"set": "kdef-sim", "source": "rendered", "card": "kdef", "identifier": "x"}'
    )
    at(folder, "AF01AFS").unlink()
    done = invoke("check", "kdef", str(folder))
    assert done.exit_code == 0
    assert "the original's counts do not apply" in done.stdout


def test_a_folder_that_looks_like_the_set_is_remembered(folder: Path, tmp_path: Path) -> None:
    assert invoke("add", "kdef", str(folder)).stdout.startswith("kdef: 4 images in ")
    assert remembered() == {"kdef": str(folder)}
    assert f"your copy: {folder}" in invoke("list").stdout
    assert invoke("check", "kdef").exit_code == 0
    done = invoke("add", "ferg", str(folder))
    assert isinstance(done.exception, NeuroferError)
    assert remembered() == {"kdef": str(folder)}


def test_a_folder_with_more_strange_files_than_images_is_refused(folder: Path) -> None:
    draw(folder / "KDEF", [f"FAFFL{i}.JPG" for i in range(5)], (8, 8))
    done = invoke("add", "kdef", str(folder))
    with pytest.raises(NeuroferError, match=r"4 images fit and 5 files do not, such as FAFFL0"):
        raise done.exception or AssertionError
    assert remembered() == {}


def test_the_check_says_what_it_is_of(folder: Path) -> None:
    told: Check = check_stimuli("kdef", folder)
    assert (told.copy.name, told.copy.folder, told.copy.layout) == (
        "kdef",
        folder / "KDEF",
        "images",
    )
