"""Arrays and strings in one file of numpy's: packed small, and read with every byte checked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as `np.savez` does, which leaves an open file behind where the disk is full."""
    with zipfile.ZipFile(path, "w") as held:
        for name, array in arrays.items():
            with held.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file of `np.savez`; every byte is checked by the zip's own sums.

    Raises:
        Exception: the file is damaged. What it claims to hold is compared with its size before
            anything is allocated: a small zip can claim to unpack to more than the memory holds.
    """
    with zipfile.ZipFile(path) as held:
        infos = held.infolist()
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
        if packed or sum(info.file_size for info in infos) > path.stat().st_size:
            raise ValueError("it claims to hold more than its size")
        return {info.filename.removesuffix(".npy"): _array(held.read(info)) for info in infos}


def _array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file: a view of its bytes, whatever length it claims."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    shape, fortran, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
        file
    )
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def packed(lines: Sequence[str]) -> np.ndarray:
    """Return strings as bytes: numpy's own strings take four bytes per character and pad."""
    if not lines:
        return np.zeros(0, dtype=np.uint8)
    joined = "\0".join(lines).encode("utf-8", "surrogateescape") + b"\0"
    return np.frombuffer(joined, dtype=np.uint8)


def texts(held: np.ndarray) -> list[str]:
    """Return the strings that `packed` packed."""
    return held.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]


def shared(lines: list[str]) -> list[str]:
    """Return equal strings as one object: a split or a name stands in millions of rows."""
    known: dict[str, str] = {}
    return [known.setdefault(text, text) for text in lines]
