"""Tensors in a file: what is written is read, and every change of it is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from neurofer.errors import NeuroferError
from neurofer.subjects.weight_files.tensors import KEY, load_tensors, read_about, save_tensors

TENSORS = {
    "net.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 7,
    "net.half": torch.tensor([0.5, -1.25], dtype=torch.bfloat16),
    "net.count": torch.tensor(3),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_tensors(tmp_path / "x.safetensors", TENSORS, {"seed": 3})
    return tmp_path / "x.safetensors"


def header(path: Path) -> dict[str, str]:
    with safe_open(str(path), framework="pt") as file:
        return dict(file.metadata())


def test_what_was_written_is_read(path: Path) -> None:
    tensors, about = load_tensors(path)
    assert about == read_about(path) == {"seed": 3}
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("place", [-1, -8, -20, -30])
def test_a_byte_of_the_weights_that_changed_is_found(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(NeuroferError, match=r"wrong content: expected sha256 \w{64}, found \w{64}"):
        load_tensors(path)


@pytest.mark.parametrize("change", ["value", "name", "shape", "type", "description", "missing"])
def test_whatever_else_changed_is_found(path: Path, change: str) -> None:
    tensors, metadata = dict(TENSORS), header(path)
    weight = tensors.pop("net.weight")
    if change == "description":
        stated = json.loads(metadata[KEY])
        metadata[KEY] = json.dumps({**stated, "about": json.dumps({"seed": 4})})
    changed = {
        "value": {"net.weight": weight + 1},
        "name": {"net.other": weight},
        "shape": {"net.weight": weight.reshape(3, 2)},
        "type": {"net.weight": weight.view(torch.int32)},
        "description": {"net.weight": weight},
        "missing": {},
    }[change]
    save_file({**tensors, **changed}, path, metadata=metadata)
    with pytest.raises(NeuroferError, match="wrong content"):
        load_tensors(path)


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("[1, 2]", "is a list; weight files of ours hold a mapping"),
        ('"text"', "is a str; weight files"),
        ("null", "is a NoneType; weight files"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "its header has no hash"),
        (json.dumps({"about": {}, "sha256": DIGEST}), "its header has no hash"),
        (json.dumps({"about": "{}", "sha256": 3}), "its header has no hash"),
        (json.dumps({"about": "[]", "sha256": DIGEST}), "is a list|wrong content"),
    ],
)
def test_metadata_of_any_kind_end_in_a_clear_error(path: Path, stated: str, said: str) -> None:
    save_file(TENSORS, path, metadata={KEY: stated})
    for read in (load_tensors, read_about):
        with pytest.raises(NeuroferError, match=said):
            read(path)


@pytest.mark.parametrize("read", [load_tensors, read_about])
def test_what_is_no_file_of_ours_is_named(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(NeuroferError, match=r"x\.safetensors is not a safetensors file"):
        read(tmp_path / "x.safetensors")
    with pytest.raises(NeuroferError, match=r"no weight file .*absent"):
        read(tmp_path / "absent.safetensors")
