"""Arrays out of other frameworks' files: every way of writing them, and every way of damage."""

from __future__ import annotations

import builtins
import collections
import contextlib
import io
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.foreign import read_arrays
from tests.subjects.published_files import python2_pickle

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3) - 0.5,
    "b": np.array([-1e30, 0.0, np.pi], np.float32),
    "c": np.ones((1, 1, 1, 300), np.float32),
}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    return True


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_are_read(tmp_path: Path, protocol: int) -> None:
    content = python2_pickle(ARRAYS, protocol)
    assert same(pickle.loads(content, encoding="latin1"), ARRAYS)  # the bytes are well made
    (tmp_path / "x.pkl").write_bytes(content)
    kind, found = read_arrays(tmp_path / "x.pkl")
    assert kind == "pickle"
    assert same(found, ARRAYS)


def as_numpy(content: bytes, core: bytes) -> bytes:
    """A pickle as another version of numpy writes it, whose modules have other names."""
    frames = [place for code, _, place in pickletools.genops(content) if code.name == "FRAME"]
    for place in reversed(frames):  # a frame states its length; one can do without
        content = content[:place] + content[place + 9 :]
    for module in (b".multiarray", b".numeric"):
        for old in (b"numpy.core" + module, b"numpy._core" + module):
            new = core + module
            content = content.replace(b"c" + old + b"\n", b"c" + new + b"\n")
            content = content.replace(bytes([0x8C, len(old)]) + old, bytes([0x8C, len(new)]) + new)
    return content


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"], ids=["numpy1", "numpy2"])
def test_pickles_of_python_3_are_read(tmp_path: Path, protocol: int, core: bytes) -> None:
    arrays = {**ARRAYS, "d": np.asfortranarray(ARRAYS["a"]), "e": np.array(7), "f": ARRAYS["a"].T}
    content = pickle.dumps(collections.OrderedDict(state_dict=arrays), protocol)
    content = as_numpy(content, core)
    assert core + b"." in content
    (tmp_path / "x").write_bytes(content)
    assert same(read_arrays(tmp_path / "x")[1], arrays)


@pytest.mark.parametrize("new", [True, False])
def test_torch_files_are_read_in_any_precision(tmp_path: Path, new: bool) -> None:
    values = torch.tensor([1.0, -0.5])
    state = {
        f"module.{t}": values.to(getattr(torch, t)) for t in ("float64", "bfloat16", "float16")
    }
    state["module.count"] = torch.tensor(3)
    torch.save(
        {"state_dict": state, "epoch": 1}, tmp_path / "x", _use_new_zipfile_serialization=new
    )
    kind, found = read_arrays(tmp_path / "x")
    assert kind == "torch"
    assert found.pop("count") == 3
    assert same(found, dict.fromkeys(("float64", "bfloat16", "float16"), values.numpy()))


def test_h5_that_keras_saved_with_its_model_is_read(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = ["dense/1", "flat"]  # text as text, not as bytes
        weights.create_group("dense/1").attrs["weight_names"] = ["dense/1_2/kernel:0"]
        weights["dense/1"]["dense/1_2/kernel:0"] = ARRAYS["a"]
        weights.create_group("flat").attrs["weight_names"] = np.array([], float)
    assert same(read_arrays(tmp_path / "x.h5")[1], {"dense/1/kernel": ARRAYS["a"]})
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["a"] = ARRAYS["a"]
    with pytest.raises(NeuroferError, match="not written by Keras 2"):
        read_arrays(tmp_path / "y.h5")


class Calls:
    def __init__(self, function: object, *arguments: object) -> None:
        self.called = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.called


@pytest.mark.parametrize(
    "value",
    [
        Calls(os.system, "touch trap"),
        Calls(open, "trap", "w"),
        Calls(eval, "open('trap', 'w')"),
        Calls(getattr, np.ndarray, "tofile"),
        Calls(np.ndarray.tofile, ARRAYS["a"], "trap"),
        np.array([Calls(open, "trap", "w")], dtype=object),
        np.array(["text"]),
        np.zeros(2, [("x", "f4")]),
        np.float32(3),
        Path("trap"),
        builtins.print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_but_arrays_of_numbers_is_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        Path("x.pkl").write_bytes(pickle.dumps({"a": value}, protocol))
        with pytest.raises(NeuroferError, match=r"asks for \w|not of numbers"):
            read_arrays(Path("x.pkl"))
    assert os.listdir() == ["x.pkl"]


def test_an_array_has_as_many_bytes_as_its_shape(tmp_path: Path) -> None:
    content = python2_pickle({"a": ARRAYS["a"]}, 0)
    for shape in (b"(I9\nI3\nt", b"(I-2\nI-3\nt"):
        (tmp_path / "x").write_bytes(content.replace(b"(I2\nI3\nt", shape))
        with pytest.raises(NeuroferError, match=r"shape \(-?\d, -?3\) has 24 bytes"):
            read_arrays(tmp_path / "x")


def written() -> dict[str, bytes]:
    """One small file of every format."""
    import h5py

    found = {"pickle": python2_pickle(ARRAYS, 2), "text": python2_pickle(ARRAYS, 0)}
    found["pickle5"] = pickle.dumps(ARRAYS, 5)
    for name, new in (("torch", True), ("older", False)):
        buffer = io.BytesIO()
        tensors = {key: torch.from_numpy(array) for key, array in ARRAYS.items()}
        torch.save({"state_dict": tensors}, buffer, _use_new_zipfile_serialization=new)
        found[name] = buffer.getvalue()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = ["a"]
        file.create_group("a").attrs["weight_names"] = ["a/kernel:0"]
        file["a"]["a/kernel:0"] = ARRAYS["a"]
    return found | {"h5": buffer.getvalue()}


WRITTEN = written()


@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=60)
@given(data=st.data())
def test_damage_ends_in_an_error_of_ours_or_in_arrays(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    content = bytearray(WRITTEN[name])
    path = tmp_path_factory.getbasetemp() / "damaged"
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(NeuroferError):
        assert all(array.dtype.kind in "fiu" for array in read_arrays(path)[1].values())


@pytest.mark.parametrize("name", ["pickle", "text", "pickle5", "torch", "older"])
def test_a_file_that_ends_early_is_never_read(tmp_path: Path, name: str) -> None:
    for end in range(0, len(WRITTEN[name]) - 1, max(1, len(WRITTEN[name]) // 40)):
        (tmp_path / "x").write_bytes(WRITTEN[name][:end])
        with pytest.raises(NeuroferError):
            read_arrays(tmp_path / "x")
