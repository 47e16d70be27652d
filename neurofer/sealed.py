"""Files that say whether they are whole: a seal at the end, checked when they are read.

The seal is a line of ASCII after the content: its length, its CRC-32 and, in a cache, a mark of the
name that it was written under. A changed byte, a cut, an emptied file or a file under another's
name is found. CRC-32 finds every change of up to four adjacent bytes and misses one in four
thousand million others; it is read at more than 1 GB/s, which SHA-256 is not on many machines.
netCDF and HDF5 files stay readable by every other program: what follows their content is ignored.
"""

from __future__ import annotations

import json
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from neurofer.errors import NeuroferError
from neurofer.files import content_hash, write_whole

Value = TypeVar("Value")

_BLOCK = 1 << 20
_SEAL = re.compile(rb"\nneurofer-seal 1 ([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{8})\n\Z")
LENGTH = len(b"\nneurofer-seal 1 0123456789abcdef 01234567 01234567\n")
_NO_NAME = "0" * 8
SEALED = "sealed"  # said inside a file that must end in a seal, so that a lost seal is noticed
SEALED_BY = "the last line of this file"


class DamagedError(NeuroferError):
    """A file is not what was written: bytes were changed, cut or mixed up."""


@contextmanager
def write_sealed(
    path: str | os.PathLike[str], *, named: bool = True, durable: bool = True
) -> Iterator[Path]:
    """Yield a temporary path; on success its content takes the place of `path`, with a seal.

    Args:
        path: where the file is to be.
        named: the file is valid under this name only, as in a cache; False for files that a user
            may rename.
        durable: as in `files.write_whole`.
    """
    path = Path(path)
    with write_whole(path, durable=durable) as partial:
        yield partial
        seal = _seal(*_sum(partial), _mark(path.name) if named else _NO_NAME)
        with open(partial, "ab") as file:
            file.write(seal)


def check_seal(path: str | os.PathLike[str], *, named: bool = True) -> int:
    """Return the length in bytes of the content of a sealed file, after every byte was checked.

    Raises:
        DamagedError: the file has no seal, or is not what was sealed; says which.
        OSError: the file is missing or cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if size < LENGTH:
        raise DamagedError(f"{path} is damaged: it has {size} bytes, fewer than its seal")
    with open(path, "rb") as file:
        file.seek(size - LENGTH)
        found = _SEAL.match(file.read(LENGTH))
    if found is None:
        raise DamagedError(f"{path} is damaged: it does not end in a seal (cut, or not sealed)")
    mark = found[3].decode()
    if found[0] != _seal(*_sum(path, size - LENGTH), mark):
        raise DamagedError(f"{path} is damaged: its content is not what was written")
    if named and mark != _mark(path.name):
        raise DamagedError(f"{path} is damaged: it was written under another name")
    return size - LENGTH


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Return whether a file ends in a seal; whether the seal fits is not asked."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LENGTH))
        return _SEAL.match(file.read(LENGTH)) is not None


def read_sealed(path: str | os.PathLike[str], *, named: bool = True) -> bytes:
    """Return the content of a small sealed file, checked.

    Raises:
        DamagedError: as `check_seal`.
        OSError: the file is missing or cannot be read.
    """
    length = check_seal(path, named=named)
    with open(path, "rb") as file:
        return file.read(length)


def write_sealed_json(path: str | os.PathLike[str], value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON with a seal, whole or not at all; the file may be renamed.

    It says that it is sealed: `SEALED` is a key of the file's own.
    """
    text = json.dumps({SEALED: SEALED_BY, **value}, indent=2, ensure_ascii=False, allow_nan=False)
    with write_sealed(path, named=False) as partial:
        partial.write_text(text, encoding="utf-8")


def read_sealed_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `write_sealed_json` wrote, or a mapping in JSON that was written by hand.

    Raises:
        DamagedError: the file is not what was sealed, or has lost its seal.
        ValueError: it is not JSON, or not a mapping.
        OSError: the file is missing or cannot be read.
    """
    sealed = is_sealed(path)
    content = read_sealed(path, named=False) if sealed else Path(path).read_bytes()
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not a mapping")
    if found.pop(SEALED, None) is not None and not sealed:
        raise DamagedError(f"{path} is damaged: its end, with its seal, is missing")
    return found


def cached(path: Path, read: Callable[[Path], Value]) -> Value | None:
    """Read a file of a cache; None where there is none, or one that is damaged.

    A damaged one is named in a warning and set aside, so that it is made again.

    Args:
        path: of the file.
        read: reads it; raises a NeuroferError or OSError where it cannot be used.
    """
    if not path.is_file():
        return None
    try:
        return read(path)
    except FileNotFoundError:  # another process has set it aside
        return None
    except (NeuroferError, OSError) as error:
        set_aside(path, str(error))
        return None


def is_kept(path: Path) -> bool:
    """Return whether a cache holds a file that is whole; a damaged one is named and set aside."""
    return cached(path, check_seal) is not None


def set_aside(path: Path, why: str) -> Path:
    """Move a damaged file of a cache out of the way, say so in a warning, return where it lies."""
    aside = path.parent / ".damaged" / path.name
    aside.parent.mkdir(exist_ok=True)
    try:
        os.replace(path, aside)
    except FileNotFoundError:  # another process was first
        return aside
    warnings.warn(f"{why}; it was set aside in {aside.parent} and is made again", stacklevel=3)
    return aside


def _sum(path: Path, length: int | None = None) -> tuple[int, int]:
    """Return the length and the CRC-32 of a file, or of its first bytes."""
    left = path.stat().st_size if length is None else length
    done = sum_ = 0
    with open(path, "rb") as file:
        while block := file.read(min(_BLOCK, left - done)):
            sum_ = zlib.crc32(block, sum_)
            done += len(block)
    return done, sum_


def _seal(length: int, sum_: int, mark: str) -> bytes:
    return (
        f"\nneurofer-seal 1 {length:016x} {zlib.crc32(mark.encode(), sum_):08x} {mark}\n".encode()
    )


def _mark(name: str) -> str:
    return content_hash(name)[:8]
