from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer import files
from neurofer.errors import NeuroferError


def test_write_whole_replaces_and_keeps_suffix(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    for text in ("one", "two"):
        with files.write_whole(target) as partial:
            assert partial.suffix == ".txt"
            partial.write_text(text)
    assert target.read_text() == "two"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_write_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), files.write_whole(target) as partial:
        partial.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_failed_folder_leaves_the_old_folder(tmp_path):
    target = tmp_path / "set"
    with files.write_folder_whole(target) as partial:
        (partial / "a").write_text("old")
    with pytest.raises(ValueError, match="stop"), files.write_folder_whole(target) as partial:
        (partial / "a").write_text("new")
        raise ValueError("stop")
    assert (target / "a").read_text() == "old"
    with files.write_folder_whole(target) as partial:
        (partial / "b").write_text("new")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_only_what_is_durable_is_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "_flush", flushed.append)
    files.write_json(tmp_path / "note.json", [1], durable=False)
    assert flushed == []
    files.write_json(tmp_path / "note.json", [2])
    assert len(flushed) == 2
    assert json.loads((tmp_path / "note.json").read_text()) == [2]


def test_check_sha256_names_file_expected_and_found(tmp_path):
    file = tmp_path / "w.bin"
    file.write_bytes(b"abc")
    found = files.sha256_file(file)
    assert found == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    files.check_sha256(file, found)
    with pytest.raises(NeuroferError, match=r"w\.bin.*expected sha256 00ff, found ba7816bf"):
        files.check_sha256(file, "00ff")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(json_values, json_values)
def test_content_hash_is_equal_exactly_for_equal_content(a, b):
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (files.content_hash(a) == files.content_hash(b)) == same


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.arange(4), np.arange(4).astype(np.float64)),
        (np.arange(4), np.arange(4).reshape(2, 2)),
        ("1", 1),
        (True, 1),
        (["ab", "c"], ["a", "bc"]),
        (b"ab", "ab"),
        ([[1], 2], [1, [2]]),
    ],
)
def test_content_hash_tells_kinds_and_shapes_apart(a, b):
    assert files.content_hash(a) != files.content_hash(b)


def test_content_hash_refuses_what_has_no_content():
    with pytest.raises(TypeError, match="no content hash"):
        files.content_hash(object())
    with pytest.raises(TypeError, match="array of objects"):
        files.content_hash(np.array(["a", None], dtype=object))


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "c"))
    assert files.cache_folder("renders", "x") == tmp_path / "c" / "renders" / "x"
    assert (tmp_path / "c" / "renders" / "x").is_dir()


def test_content_folder_names_the_choices():
    assert files.content_folder("analyses") == Path(files.PACKAGE.parent / "analyses")
    with pytest.raises(NeuroferError, match="'analysis' is unknown; choose from stimuli, analyses"):
        files.content_folder("analysis")


def test_write_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["figure-3b", "a", "KDEF+1=x", "gesichter ä 顔", "v1.2", "x" * 200, "confused", "lpt"]
)
def test_checked_name_takes_what_stays_where_it_is_put(name):
    assert files.checked_name(name, "figure") is name


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a/b", "holds '/'"),
        ("a\\b", r"holds '\\\\'"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        ("../up", "holds '/'"),
        ("/etc/x", "holds '/'"),
        ("C:x", "holds ':'"),
        ("what?", r"holds '\?'"),
        ("a\nb", r"unprintable '\\n'"),
        ("a\x1b[31m", r"unprintable '\\x1b'"),
        ("a\0", r"unprintable '\\x00'"),
        ("a\u202egpj", r"unprintable '\\u202e'"),
        ("a\ud800", r"unprintable '\\ud800'"),
        ("end.", "ends with a dot"),
        ("end ", "ends with a blank"),
        ("CON", "reserved by Windows"),
        ("nul.txt", "reserved by Windows"),
        ("Com1.png", "reserved by Windows"),
        ("x" * 201, "has 201 bytes, 200 are allowed"),
        ("顔" * 70, "has 210 bytes"),
        (3, "is int, not text"),
        (None, "is NoneType, not text"),
    ],
)
def test_checked_name_says_what_is_wrong_and_of_what(name, wrong):
    with pytest.raises(NeuroferError, match=rf"the stimulus set .* cannot name a file: .*{wrong}"):
        files.checked_name(name, "stimulus set")


def test_check_output_leaves_nothing_behind_and_knows_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.check_output("~/a/b.csv") == tmp_path / "a" / "b.csv"
    assert files.check_output(tmp_path / "r", folder=True) == tmp_path / "r"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "folder", "words"),
    [
        ("file/x.csv", False, r"file is a file; choose another place"),
        ("file/deep/x", True, r"file is a file; choose another place"),
        ("file", True, "it is a file; give the path of a folder"),
        ("held", False, "it is a folder; give the path of a file"),
        ("x" * 300, False, "cannot be written \\(file name too long\\)"),
    ],
)
def test_check_output_refuses_in_one_line(tmp_path, path, folder, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "held").mkdir()
    with pytest.raises(NeuroferError, match=words) as refused:
        files.check_output(tmp_path / path, option="--csv", folder=folder)
    assert str(refused.value).startswith("--csv ")
    assert "\n" not in str(refused.value)


def test_check_output_says_that_a_place_is_read_only_or_full(tmp_path, monkeypatch):
    with pytest.raises(NeuroferError, match="MB are free there and"):
        files.check_output(tmp_path / "a", space=1 << 80)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(NeuroferError, match=r"cannot be written \(permission denied\)"):
        files.check_output(tmp_path / "a")


def test_cache_below_a_file_is_one_line_and_the_home_is_expanded(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "file"))
    with pytest.raises(NeuroferError, match=r"the cache .*file/x cannot be made .*NEUROFER_CACHE"):
        files.cache_folder("x")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NEUROFER_CACHE", "~/cache")
    assert files.cache_folder("x") == tmp_path / "home" / "cache" / "x"


def test_a_file_is_moved_into_place_and_its_folder_is_flushed(tmp_path, monkeypatch):
    """A copy in place could be cut by a crash; a folder that is not flushed can lose the name."""
    done = []
    monkeypatch.setattr(files, "_flush", lambda path: done.append(("flush", path)))
    replace = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: (done.append((a, b)), replace(a, b)))
    target = tmp_path / "a.txt"
    target.write_text("old")
    inode = target.stat().st_ino
    with files.write_whole(target) as partial:
        partial.write_text("new")
    assert done == [("flush", partial), (partial, target), ("flush", tmp_path)]
    assert target.stat().st_ino != inode


def test_folders_are_flushed_inside_and_above_before_and_after_they_move(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(files, "_flush", lambda path: done.append(path.name))
    with files.write_folder_whole(tmp_path / "set") as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "a").write_text("1")
    assert done == ["deep", "a", partial.name, tmp_path.name]


def test_a_folder_is_replaced_where_a_link_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with files.write_folder_whole(tmp_path / "link") as partial:
        (partial / "a").write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "1"


def test_a_folder_comes_back_when_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    target = tmp_path / "set"
    target.mkdir()
    (target / "a").write_text("old")
    replace, calls = files.os.replace, []

    def fails_second(a, b):
        calls.append(b)
        if len(calls) == 2:
            raise OSError("no")
        return replace(a, b)

    monkeypatch.setattr(files.os, "replace", fails_second)
    with pytest.raises(OSError, match="no"), files.write_folder_whole(target) as partial:
        (partial / "a").write_text("new")
    assert (target / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
