"""Arrays out of other frameworks' files: every way of writing them, and every way of damage."""

from __future__ import annotations

import builtins
import collections
import contextlib
import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.weight_files.foreign import read_arrays
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


PREFIXES = ("", "module.", "model.", "_orig_mod.", "module.module.", "model._orig_mod.module.")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("place", ["", "state_dict", "model_state_dict", "model"])
def test_wrappers_about_the_weights_are_taken_off(tmp_path: Path, prefix: str, place: str) -> None:
    state = {f"{prefix}{name}": torch.from_numpy(array) for name, array in ARRAYS.items()}
    beside = {"epoch": 3, "best": np.float64(0.9), "loss": np.float32(1), "optimizer": {"lr": 0.1}}
    torch.save({place: state, **beside} if place else state, tmp_path / "x.pth")
    assert same(read_arrays(tmp_path / "x.pth")[1], ARRAYS)


def test_a_prefix_that_only_some_names_have_is_a_name(tmp_path: Path) -> None:
    arrays = {"model.a": ARRAYS["a"], "b": ARRAYS["b"]}
    (tmp_path / "x").write_bytes(safetensors.numpy.save(arrays))
    assert same(dict(sorted(read_arrays(tmp_path / "x")[1].items(), reverse=True)), arrays)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_of_numpy_beside_pickled_weights_are_left_out(
    tmp_path: Path, protocol: int
) -> None:
    content = {"state_dict": ARRAYS, "best": np.float64(0.9)}
    (tmp_path / "x").write_bytes(pickle.dumps(content, protocol))
    assert same(read_arrays(tmp_path / "x")[1], ARRAYS)
    (tmp_path / "x").write_bytes(pickle.dumps({**ARRAYS, "best": np.float64(0.9)}, protocol))
    with pytest.raises(NeuroferError, match="something else than named arrays: best is a number"):
        read_arrays(tmp_path / "x")


def test_a_pointer_of_git_lfs_is_called_so(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    (tmp_path / "x.pth").write_text(pointer)
    with pytest.raises(NeuroferError, match=r"is a Git LFS pointer.*git lfs pull"):
        read_arrays(tmp_path / "x.pth")


def bomb(path: Path, kind: str) -> None:
    """Write a small file that declares a gigabyte of numbers or more."""
    import h5py

    if kind == "deflated zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(200 << 20))
    elif kind == "strides of zero":
        torch.save({"a": torch.zeros(1).expand(1 << 28)}, path)
    elif kind == "one storage, many names":
        values = torch.zeros(1 << 16)
        torch.save({f"a{number}": values.view(-1) for number in range(600)}, path)
    elif kind == "unwritten h5":
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = ["a"]
            file.create_group("a").attrs["weight_names"] = ["a/kernel:0"]
            file["a"].create_dataset("a/kernel:0", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    "kind", ["deflated zip", "strides of zero", "one storage, many names", "unwritten h5"]
)
def test_what_a_file_cannot_hold_is_refused_before_memory_is_taken(
    tmp_path: Path, kind: str
) -> None:
    bomb(tmp_path / "x", kind)
    with pytest.raises(NeuroferError, match=r"declares [\d,.]+ (bytes|GiB).* cannot"):
        read_arrays(tmp_path / "x")


@pytest.mark.parametrize("way", ["external link", "soft link", "external storage", "virtual"])
def test_h5_never_reads_another_file(tmp_path: Path, way: str) -> None:
    import h5py

    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = ARRAYS["a"]
    (tmp_path / "secret.bin").write_bytes(ARRAYS["a"].tobytes())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = ["a"]
        group = file.create_group("a")
        group.attrs["weight_names"] = ["kernel:0"]
        if way == "external link":
            group["kernel:0"] = h5py.ExternalLink("secret.h5", "/kernel")
        elif way == "soft link":
            group["kernel:0"] = h5py.SoftLink("/nowhere")
        elif way == "external storage":
            storage = [(str(tmp_path / "secret.bin"), 0, 24)]
            group.create_dataset("kernel:0", (2, 3), "f4", external=storage)
        else:
            layout = h5py.VirtualLayout((2, 3), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "kernel", (2, 3))
            group.create_virtual_dataset("kernel:0", layout)
    with pytest.raises(NeuroferError, match=r"another file|not a readable h5 file"):
        read_arrays(tmp_path / "x.h5")


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
    return found | {"h5": buffer.getvalue(), "safetensors": safetensors.numpy.save(ARRAYS)}


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


@pytest.mark.parametrize("name", ["pickle", "text", "pickle5", "torch", "older", "safetensors"])
def test_a_file_that_ends_early_is_never_read(tmp_path: Path, name: str) -> None:
    for end in range(0, len(WRITTEN[name]) - 1, max(1, len(WRITTEN[name]) // 40)):
        (tmp_path / "x").write_bytes(WRITTEN[name][:end])
        with pytest.raises(NeuroferError):
            read_arrays(tmp_path / "x")
