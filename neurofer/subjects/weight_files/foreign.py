"""Plain numbers out of the files of other frameworks; nothing that lies in a file is ever run.

`read_arrays` knows four formats by their first bytes, whatever the file is called: torch's (a zip,
or the older one), safetensors, h5 as Keras writes it, and a pickle of numpy arrays.

A file may say that it holds far more than its bytes can: what it declares is compared with its size
before memory is taken for it.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.hdf5 import check_hdf5

Arrays = dict[str, np.ndarray]

_SIGNATURES = {
    b"\x89HDF\r\n\x1a\n": "h5",
    b"PK\x03\x04": "torch",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": "torch",  # torch before 1.6: a magic number
    b"\x80": "pickle",
    **dict.fromkeys((b"(", b"}", b"c"), "pickle"),  # as Python 2 wrote it if not told otherwise
}
_STATES = ("state_dict", "model_state_dict", "model_state", "model")
"""Where training scripts keep the weights beside other things."""

_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What torch's DataParallel, torch.compile and Lightning put before every name."""

_ROOM, _TIMES = 128 << 20, 8
"""No file may declare more bytes of arrays than the first, or than so many times its own size."""


def read_arrays(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Return the format of a checkpoint and its named arrays; floating-point ones are float32.

    The formats are "torch", "safetensors", "h5" and "pickle". A checkpoint that holds a
    `state_dict` (or `model_state_dict`, `model`) beside other things is read for that alone, and
    prefixes that wrappers put before every name (`module.`, `_orig_mod.`, `model.`) are taken off.
    Keras' arrays are called by layer and parameter, `conv1/7x7_s2/bn/gamma`.

    Raises:
        NeuroferError: there is no such file, it is a folder, empty or damaged, it asks for code to
            be run, declares more than it can hold, or holds something else than named arrays.
    """
    kind = file_format(path)
    try:
        arrays = _state(_READERS[kind](path))
    except NeuroferError:
        raise
    except Exception as error:  # what damaged bytes make a reader raise has no bounds
        raise NeuroferError(f"{path} is {_refusal(kind, error)}") from error
    if not isinstance(arrays, dict) or not arrays:
        raise NeuroferError(f"{path} holds no named arrays but a {type(arrays).__name__}")
    strange = [
        f"{name} is a {type(value).__name__.strip('_').lower()}"
        for name, value in arrays.items()
        if not isinstance(value, np.ndarray) or not isinstance(name, str)
    ]
    if strange:
        raise NeuroferError(f"{path} holds something else than named arrays: {'; '.join(strange)}")
    return kind, {
        name: np.ascontiguousarray(value, _type(value))
        for name, value in _without_wrappers(arrays).items()
    }


def _state(found: Any) -> Any:
    """Return the weights of a checkpoint that holds other things beside them."""
    if isinstance(found, dict):
        return next((found[key] for key in _STATES if isinstance(found.get(key), dict)), found)
    return found


def _without_wrappers(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take off what stands before every name, as often as it does."""
    names = list(arrays)
    while wrapper := next((w for w in _WRAPPERS if all(n.startswith(w) for n in names)), None):
        names = [name.removeprefix(wrapper) for name in names]
    return dict(zip(names, arrays.values(), strict=True))


def file_format(path: Path) -> str:
    """Return the format of a checkpoint by its first bytes; errors as in `read_arrays`."""
    if path.is_dir():
        raise NeuroferError(f"{path} is a folder; name the checkpoint file that lies in it")
    if not path.is_file():
        raise NeuroferError(f"there is no file {path}")
    with path.open("rb") as file:
        head = file.read(40)
    if not head:
        raise NeuroferError(f"{path} is empty; download it again")
    if head[8:9] == b"{":  # after the length of its header
        return "safetensors"
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    known = "neither a torch file, nor safetensors, nor h5, nor a pickle of arrays"
    if head.startswith(b"version https://git-lfs"):
        raise NeuroferError(
            f"{path} is a Git LFS pointer, a few lines that stand for the file itself: run "
            "`git lfs pull` where it comes from, or download the file by its own link"
        )
    page = head.lstrip().startswith(b"<")
    raise NeuroferError(
        f"{path} is {known}"
        + ("; it is a web page: the download asked for something first" if page else "")
    )


def _check_total(path: Path, declared: int) -> None:
    """Raise a NeuroferError where a file declares more bytes of arrays than it can hold.

    Args:
        path: of the file, whose size is looked up.
        declared: bytes of all the arrays that it says it holds.
    """
    size = path.stat().st_size
    if declared > max(_ROOM, _TIMES * size):
        raise NeuroferError(
            f"{path} is refused: it has {size:,} bytes and declares {declared:,} bytes of arrays, "
            "which it cannot hold; get it again from where it was published"
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
    return f"not a readable {kind} file, or is truncated ({reason})"


def _type(array: np.ndarray) -> type | np.dtype:
    return np.float32 if array.dtype.kind == "f" else array.dtype


def _torch(path: Path) -> Any:
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # torch stores without compression
            _check_total(path, sum(entry.file_size for entry in archive.infolist()))
    with torch.serialization.safe_globals(_numpy_scalars()):
        found = torch.load(path, map_location="cpu", weights_only=True)
    # Only the weights: an optimiser's state beside them may be as large again.
    return _plain(path, _state(found))


def _plain(path: Path, state: Any) -> Any:
    """Turn the tensors of a mapping into arrays; one value repeated by strides is no more bytes."""
    import torch

    if not isinstance(state, dict):
        return state
    tensors = [value for value in state.values() if isinstance(value, torch.Tensor)]
    _check_total(path, sum(4 * tensor.numel() for tensor in tensors))
    return {name: _array(value) for name, value in state.items()}


def _array(value: Any) -> Any:
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return (value.float() if value.is_floating_point() else value).detach().numpy()


def _safetensors(path: Path) -> Any:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return _plain(path, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def _h5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)
        if "layer_names" not in layers.attrs:
            raise NeuroferError(f"{path} lists no layers: it was not written by Keras 2")
        wanted = {}
        for layer in map(_text, layers.attrs["layer_names"]):
            for name in map(_text, layers[layer].attrs["weight_names"]):
                parameter = name.rpartition("/")[2].partition(":")[0]
                wanted[f"{layer}/{parameter}"] = layers[layer][name]
        return _read_datasets(path, wanted)


def read_h5(path: Path, wanted: str) -> dict[str, np.ndarray]:
    """Return arrays of an h5 file by their paths in it, float32.

    Args:
        path: of the file.
        wanted: a regular expression that is found in the paths of the arrays to read.

    Raises:
        NeuroferError: the file is damaged, declares more than it can hold, or refers to others.
    """
    import h5py

    found: dict[str, Any] = {}

    def visit(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and re.search(wanted, key):
            found[key] = item

    try:
        check_hdf5(path)
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            arrays = _read_datasets(path, found)
    except (OSError, RuntimeError, KeyError) as error:
        raise NeuroferError(f"{path} is not a readable h5 file: {error}") from error
    return {key: values.astype(np.float32, copy=False) for key, values in arrays.items()}


def _read_datasets(path: Path, datasets: Mapping[str, Any]) -> dict[str, np.ndarray]:
    _check_total(path, sum(item.size * max(4, item.dtype.itemsize) for item in datasets.values()))
    for key, item in datasets.items():
        if item.dtype.kind not in "fiu":
            raise NeuroferError(f"{path}: {key} holds {item.dtype}, not numbers")
    return {key: np.asarray(item[()]) for key, item in datasets.items()}


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
            self._admitted[f"{core}.{multiarray}", "scalar"] = _Number
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


class _Number:
    """What a pickle says of a single number, such as the best score so far."""

    def __init__(self, *_: Any) -> None:
        """Keep nothing: it is not a weight."""


def _numpy_scalars() -> list[Any]:
    """Return what stands in for numpy's own names where single numbers lie beside weights."""
    cores = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [(_Type, "numpy.dtype"), *((_Number, name) for name in cores)]


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


_READERS: dict[str, Callable[[Path], Any]] = {
    "torch": _torch,
    "safetensors": _safetensors,
    "h5": _h5,
    "pickle": _pickle,
}
