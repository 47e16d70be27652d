"""The index: decoded once, taken at its word, and only what changed is decoded again."""

from __future__ import annotations

import io
import os
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurofer import closure
from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.images import Stamp, image_sha256, write_image
from neurofer.stimuli.licensed import copies, index
from neurofer.stimuli.licensed.readers.walk import walk
from tests.stimuli.fake_layouts import draw, fake_layout


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down the files that are decoded for an index."""
    names: list[str] = []
    original = index._decode

    def watched(reader, start, known, job):  # type: ignore[no-untyped-def]
        if index._entry(*job) not in known:
            names.append(job[0])
        return original(reader, start, known, job)

    monkeypatch.setattr(index, "_decode", watched)
    return names


def load(folder: Path) -> StimulusSet:
    return load_stimuli("lfw", path=folder / "copy", cache=folder / "index")


def indexes(folder: Path) -> list[Path]:
    return list((folder / "index").glob("*.npz"))


def test_files_are_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    fake_layout("lfw", tmp_path / "copy")
    first = load(tmp_path)
    assert len(decoded) == 4
    second = load(tmp_path)
    assert len(decoded) == 4
    assert first.identifier == second.identifier
    pd.testing.assert_frame_equal(first.table, second.table)
    hashes = [image_sha256(image) for image in second.images()]
    assert hashes == second.table["image_sha256"].tolist()


def test_only_what_changed_or_came_is_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    fake_layout("lfw", tmp_path / "copy")
    before = load(tmp_path)
    del decoded[:]
    draw(tmp_path / "copy" / "lfw", ["Cy/Cy_0001.jpg", "Di/Di_0001.jpg"], (250, 250), first=70)
    os.utime(tmp_path / "copy/lfw/Cy/Cy_0001.jpg", (1.7e9, 1.7e9))
    after = load(tmp_path)
    assert sorted(decoded) == ["Cy/Cy_0001.jpg", "Di/Di_0001.jpg"]
    assert len(after) == 5
    assert after.identifier != before.identifier
    (tmp_path / "copy/lfw/Di/Di_0001.jpg").unlink()
    assert len(load(tmp_path)) == 4
    assert len(decoded) == 2
    assert len(indexes(tmp_path)) == 1


def test_a_file_written_just_now_is_not_trusted_to_keep_its_time(
    tmp_path: Path, decoded: list[str]
) -> None:
    fake_layout("lfw", tmp_path / "copy")
    path = tmp_path / "copy/lfw/Cy/Cy_0001.jpg"
    os.utime(path)
    load(tmp_path)
    del decoded[:]
    load(tmp_path)
    assert decoded == ["Cy/Cy_0001.jpg"]


def test_what_was_decoded_before_it_was_stopped_is_kept(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_layout("lfw", tmp_path / "copy")
    watched = index._decode

    def stop(reader, start, known, job):  # type: ignore[no-untyped-def]
        if job[0].startswith("Cy"):
            raise KeyboardInterrupt
        return watched(reader, start, known, job)

    monkeypatch.setattr(index, "_decode", stop)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path)
    assert len(decoded) == 3
    monkeypatch.setattr(index, "_decode", watched)
    assert len(load(tmp_path)) == 4
    assert decoded[3:] == ["Cy/Cy_0001.jpg"]


def test_another_decoder_decodes_again(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_layout("lfw", tmp_path / "copy")
    load(tmp_path)
    monkeypatch.setattr(index, "decoder", lambda reader: "another")
    load(tmp_path)
    assert len(decoded) == 8


@pytest.mark.parametrize(
    ("source", "made", "again"),
    [
        ("stimuli/licensed/readers/columns.py", 1, 0),
        ("stimuli/licensed/copies.py", 1, 0),
        ("stimuli/splits.py", 1, 0),
        ("stimuli/images.py", 1, 4),
        ("stimuli/rendered/jitter.py", 0, 0),
        ("stimuli/sheet.py", 0, 0),
    ],
)
def test_changed_code_makes_again_what_it_made(
    tmp_path: Path,
    decoded: list[str],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    made: int,
    again: int,
) -> None:
    fake_layout("lfw", tmp_path / "copy")
    load(tmp_path)
    del decoded[:]
    calls: list[str] = []
    original = copies.make_index
    monkeypatch.setattr(
        copies, "make_index", lambda *given: calls.append("made") or original(*given)
    )
    monkeypatch.setitem(closure._HASHES, str(closure.PACKAGE / source), "changed")
    index.decoder.cache_clear()
    load(tmp_path)
    index.decoder.cache_clear()
    assert (len(calls), len(decoded)) == (made, again)


def test_a_file_that_changes_after_loading_is_noticed(tmp_path: Path) -> None:
    fake_layout("lfw", tmp_path / "copy")
    stimuli = load(tmp_path)
    path = tmp_path / "copy/lfw/Cy/Cy_0001.jpg"
    os.utime(path)
    assert stimuli.image(3).shape == (250, 250, 3)  # another time, the same pixels
    draw(path.parent, [path.name], (250, 250), first=70)
    with pytest.raises(NeuroferError, match=r"'Cy_0001' has changed.*Cy_0001\.jpg"):
        stimuli.image(3)


def test_a_stamp_is_relied_on_only_after_a_tick_of_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((4, 4), np.uint8))
    assert not Stamp.of(path).holds(path)
    os.utime(path, (1.6e9, 1.6e9))
    stamp = Stamp.of(path)
    assert stamp.holds(path)
    os.utime(path, ns=(0, stamp.time + 1))
    assert not stamp.holds(path)
    path.unlink()
    assert not stamp.holds(path)


def test_a_walk_sees_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/two.txt", "one.txt", ".hidden"):
        (tmp_path / name).write_text(name)
    files = walk(tmp_path)
    assert files.names == ["b/two.txt", "one.txt"]
    assert files.sizes.tolist() == [9, 7]
    before = files.fingerprint
    assert walk(tmp_path).fingerprint == before
    os.utime(tmp_path / "one.txt", (1.6e9, 1.6e9))
    assert walk(tmp_path).fingerprint != before


def test_a_link_that_leads_in_circles_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    files = walk(tmp_path / "a")
    assert files.names == []
    assert [problem.kind for problem in files.problems] == ["link out of the folder"]
    whole = walk(tmp_path)
    assert [(p.file, p.kind) for p in whole.problems] == [("nowhere", "unreadable file")]


def test_a_thousand_images_load_at_once_from_their_index(
    tmp_path: Path, decoded: list[str]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(1000):
        path = tmp_path / "copy" / "lfw" / f"P{i // 50}" / f"P{i // 50}_{i % 50 + 1:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = rng.integers(64, 256, (8, 8, 3), dtype=np.uint8)
        write_image(path, content)  # PNG in a file that is called JPEG: Pillow looks inside
        os.utime(path, (1.6e9, 1.6e9))
    (tmp_path / "copy" / "neurofer-simulated.json").write_text(
        '{"set": "identities-sim", "source": "rendered", "card": "lfw", "identifier": "x"}'
    )
    load(tmp_path)
    assert len(decoded) == 1000
    start = time.process_time()
    assert len(load(tmp_path)) == 1000
    assert time.process_time() - start < 0.5  # 0.02 s; 50,000 take 0.3 s
    assert len(decoded) == 1000


def bomb(path: Path) -> None:
    """A few kilobytes that unpack to a gigabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("key.npy", b"\0" * (1 << 24))


def giant(path: Path) -> None:
    """An array that claims a terabyte."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("key.npy", content.getvalue())


@pytest.mark.parametrize(
    "damage",
    [
        bomb,
        giant,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:900]),
        lambda path: path.write_bytes(b"no zip"),
        lambda path: np.savez(path, key=np.zeros(0, np.uint8)),
    ],
    ids=["bomb", "giant", "empty", "cut", "text", "lacking"],
)
def test_a_damaged_index_is_named_and_made_again(
    tmp_path: Path, decoded: list[str], damage: Callable[[Path], object]
) -> None:
    fake_layout("lfw", tmp_path / "copy")
    before = load(tmp_path)
    (path,) = indexes(tmp_path)
    damage(path)
    tracemalloc.start()
    with pytest.warns(UserWarning, match=rf"{path.name} is damaged .*made again"):
        again = load(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()
    assert again.identifier == before.identifier
    assert len(decoded) == 8
    load(tmp_path)
    assert len(decoded) == 8


def test_one_wrong_byte_of_an_index_changes_nothing(tmp_path: Path) -> None:
    fake_layout("lfw", tmp_path / "copy")
    before = load(tmp_path)
    (path,) = indexes(tmp_path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 40).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert load(tmp_path).identifier == before.identifier
