"""Plain numbers out of the files of other frameworks; nothing that lies in a file is ever run.

`read_arrays` knows three formats by their first bytes, whatever the file is called: torch's (a zip,
or the older one), h5 as Keras writes it, and a pickle of numpy arrays.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.hdf5 import check_hdf5

_SIGNATURES = {
    b"\x89HDF\r\n\x1a\n": "h5",
    b"PK\x03\x04": "torch",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": "torch",  # torch before 1.6: a magic number
    b"\x80": "pickle",
    **dict.fromkeys((b"(", b"}", b"c"), "pickle"),  # as Python 2 wrote it if not told otherwise
}


def read_arrays(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Return the format of a checkpoint ("torch", "h5" or "pickle") and its named arrays.

    A checkpoint that holds a `state_dict` beside other things is read for that alone, and the
    prefix `module.` of torch's DataParallel is taken off. Floating-point arrays become float32.
    Keras' arrays are called by layer and parameter, `conv1/7x7_s2/bn/gamma`.

    Raises:
        NeuroferError: there is no such file, it is a folder, empty or damaged, it asks for code to
            be run, or holds something else than named arrays.
    """
    kind = _kind(path)
    try:
        found = _READERS[kind](path)
    except NeuroferError:
        raise
    except Exception as error:  # what damaged bytes make a reader raise has no bounds
        raise NeuroferError(f"{path} is {_refusal(kind, error)}") from error
    arrays = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(arrays, dict) or not arrays:
        raise NeuroferError(f"{path} holds no named arrays but a {type(arrays).__name__}")
    strange = [
        f"{name} is a {type(value).__name__}"
        for name, value in arrays.items()
        if not isinstance(value, np.ndarray) or not isinstance(name, str)
    ]
    if strange:
        raise NeuroferError(f"{path} holds something else than named arrays: {'; '.join(strange)}")
    return kind, {
        name.removeprefix("module."): np.ascontiguousarray(value, _type(value))
        for name, value in arrays.items()
    }


def _kind(path: Path) -> str:
    if path.is_dir():
        raise NeuroferError(f"{path} is a folder; name the checkpoint file that lies in it")
    if not path.is_file():
        raise NeuroferError(f"there is no file {path}")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise NeuroferError(f"{path} is empty; download it again")
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    page = head.lstrip().startswith(b"<")
    raise NeuroferError(
        f"{path} is neither a torch file, nor h5, nor a pickle of arrays"
        + ("; it is a web page: the download asked for something first" if page else "")
    )


def _refusal(kind: str, error: Exception) -> str:
    """Say what is wrong with a file; torch's own words would advise to run what lies in it."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if asked:
        return (
            f"refused: it asks for {asked[1]} to be run, and weights need nothing run. If it is "
            "from someone you trust, let them save its arrays alone (the state_dict)"
        )
    reason = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return f"no readable {kind} file, or is truncated ({reason})"


def _type(array: np.ndarray) -> type | np.dtype:
    return np.float32 if array.dtype.kind == "f" else array.dtype


def _torch(path: Path) -> Any:
    import torch

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        return (value.float() if value.is_floating_point() else value).detach().numpy()

    found = torch.load(path, map_location="cpu", weights_only=True)
    # Only the weights: an optimiser's state beside them may be as large again.
    return plain(found.get("state_dict", found) if isinstance(found, dict) else found)


def _h5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    check_hdf5(path)
    arrays = {}
    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)
        if "layer_names" not in layers.attrs:
            raise NeuroferError(f"{path} lists no layers: it was not written by Keras 2")
        for layer in map(_text, layers.attrs["layer_names"]):
            for name in map(_text, layers[layer].attrs["weight_names"]):
                parameter = name.rpartition("/")[2].partition(":")[0]
                arrays[f"{layer}/{parameter}"] = np.asarray(layers[layer][name])
    return arrays


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return _built(_ArrayUnpickler(file).load())


class _ArrayUnpickler(pickle.Unpickler):
    """Read dictionaries, lists, text, numbers and numpy arrays; refuse every other name.

    Not even numpy's own functions are called: what a file says of its arrays is kept in objects
    without behaviour, and checked before arrays are made of it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote bytes as text
        multiarray, numeric = "multiarray", "numeric"
        self._admitted: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): self._encode,
            ("collections", "OrderedDict"): dict,
        }
        for core in ("numpy.core", "numpy._core"):
            self._admitted[f"{core}.{multiarray}", "_reconstruct"] = _Array
            self._admitted[f"{core}.{numeric}", "_frombuffer"] = self._buffer

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands in for a name, or refuse it."""
        if (module, name) not in self._admitted:
            raise pickle.UnpicklingError(f"unsupported GLOBAL {module}.{name}")
        return self._admitted[module, name]

    def _encode(self, text: str, encoding: str) -> bytes:
        return text.encode("latin1")  # how Python 3 writes bytes in the older protocols

    def _buffer(self, raw: bytes, dtype: _Type, shape: tuple[int, ...], order: str) -> _Array:
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", raw))
        return array


class _Type:
    """What a pickle says of a type of numbers."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def made(self) -> np.dtype:
        """Return the type, of plain numbers alone."""
        if not re.fullmatch(r"[<>=|]", self.order) or not re.fullmatch(r"[fiu][1248]", self.code):
            raise ValueError(f"an array of {self.order}{self.code}, not of numbers")
        return np.dtype(self.order + self.code)


class _Array:
    """What a pickle says of an array."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def made(self) -> np.ndarray:
        """Return the array, if there are as many bytes as its shape and type need."""
        _, shape, kind, by_columns, raw = self.state
        raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        dtype = kind.made()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} has {len(raw)} bytes")
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if by_columns else "C")


def _built(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _built(item) for name, item in value.items()}
    return value.made() if isinstance(value, _Array) else value


_READERS: dict[str, Callable[[Path], Any]] = {"torch": _torch, "h5": _h5, "pickle": _pickle}
