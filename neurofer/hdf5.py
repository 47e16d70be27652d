"""What is looked at before an HDF5 file (.h5, .nc, .nwb) is read: a file may not reach outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError

SMALL = 2**26
"""Bytes that any file may declare: never written, they cost a file nothing."""
MOST_PACKED = 1100
"""How much smaller than its content a file can be: deflate packs to 1/1032 at best."""


def check_hdf5(path: str | os.PathLike[str]) -> None:
    """Refuse an HDF5 file that would read other files, or declares more than it can hold.

    Other files: external links, external storage, virtual datasets over other files. A file that is
    not HDF5 passes: whoever reads it will say what it is not.

    Raises:
        NeuroferError: names the first object at fault.
        OSError: it is HDF5 and cannot be read; the caller says what to do about it.
    """
    import h5py

    path = Path(path)
    if not path.is_file() or not h5py.is_hdf5(path):
        return
    size = path.stat().st_size
    try:
        with h5py.File(path, "r") as file:
            for name, dataset in _datasets(file, path):
                check_declared(path, name, _declared(dataset, path, name), size)
    except NeuroferError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, ValueError, ...
        raise OSError(f"not a readable HDF5 file: {error}") from error


def check_declared(path: Path, name: str, declared: int, size: int) -> None:
    """Refuse an array that declares more bytes than a file of this size can hold.

    Args:
        path: of the file.
        name: of the array.
        declared: bytes that it claims to hold.
        size: of the file, in bytes.
    """
    if declared > max(SMALL, MOST_PACKED * size):
        raise NeuroferError(
            f"{path}: {name} declares {declared / 2**30:.1f} GiB, which a file of "
            f"{size / 2**20:.3f} MiB cannot hold; it is damaged or made to fill the memory"
        )


def _datasets(file: Any, path: Path) -> Any:
    """Yield (name, dataset) of all groups; links to the same object are followed once."""
    import h5py

    waiting, seen = [("", file)], set()
    while waiting:
        place, group = waiting.pop()
        for key in group:
            name = f"{place}/{key}"
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink):
                continue  # to an object of this file, which is met where it stands
            if not isinstance(link, h5py.HardLink):
                raise NeuroferError(
                    f"{path}: {name} is a link to another file, which is not followed; copy what "
                    "it points to into the file"
                )
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((name, item))
            elif isinstance(item, h5py.Dataset):
                yield name, item


def _declared(dataset: Any, path: Path, name: str) -> int:
    """Return the bytes that a dataset says it has, once its data are known to be in the file."""
    made = dataset.id.get_create_plist()
    sources = [
        dataset.file.filename if one.file_name == "." else one.file_name
        for one in (dataset.virtual_sources() if dataset.is_virtual else ())
    ]
    if made.get_external_count() or any(one != dataset.file.filename for one in sources):
        raise NeuroferError(
            f"{path}: the data of {name} lie in another file, which is not read; save them in one"
        )
    return int(dataset.size or 0) * int(dataset.dtype.itemsize)
