"""Where things lie, how they are written (whole or not at all) and how they are named (by hash)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError, unknown_choice

PACKAGE = Path(__file__).resolve().parent
CONTENT_FOLDERS = ("stimuli", "analyses", "notebooks")


def cache_folder(*parts: str) -> Path:
    """Return a folder below the cache, made if needed.

    The cache is `$NEUROFER_CACHE` or the platform's user cache. All in it can be deleted: it is
    made again.
    """
    root = os.environ.get("NEUROFER_CACHE")
    if root:
        folder = Path(root)
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("neurofer"))
    folder = folder.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def content_folder(name: str) -> Path:
    """Return the folder of cards or studies, in a checkout or in an installed package.

    Raises:
        NeuroferError: the name is none of `CONTENT_FOLDERS`, or the installation lacks it.
    """
    if name not in CONTENT_FOLDERS:
        raise unknown_choice("content folder", name, CONTENT_FOLDERS)
    checkout = PACKAGE.parent / name
    installed = PACKAGE / "content" / name
    for folder in (installed, checkout):
        if folder.is_dir():
            return folder
    raise NeuroferError(
        f"the folder {name!r} is neither at {installed} nor at {checkout}: "
        "the installation is incomplete; install neurofer again"
    )


@contextmanager
def write_whole(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    The file is flushed to disk before it is moved, so that a crash leaves the old file or the new
    one. Not so if it is not `durable`: that is for caches of many small files, which check what
    they read. On an exception nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept, because writers choose their format by it.
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        if durable:
            _flush(partial)
        os.replace(partial, path)
        if durable:
            _flush(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def write_folder_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`.

    An older folder at `path` is kept until the new one is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _flush(file)
        partial.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=path.parent))
            os.replace(path, old / path.name)
            os.replace(partial, path)
            shutil.rmtree(old)
        else:
            os.replace(partial, path)
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path: str | os.PathLike[str], expected: str) -> None:
    """Raise a NeuroferError unless the file has the expected SHA-256."""
    found = sha256_file(path)
    if found != expected:
        raise NeuroferError(
            f"{path} has the wrong content: expected sha256 {expected}, found {found}; "
            "delete it and fetch it again"
        )


def content_hash(*values: Any) -> str:
    """Return a hexadecimal SHA-256 of values: JSON types, bytes, paths, dataclasses, numpy arrays.

    Equal content gives equal hashes whatever the order of a mapping's keys.

    >>> content_hash({"a": 1, "b": (2, 3)}) == content_hash({"b": [2, 3], "a": 1})
    True
    """
    digest = hashlib.sha256()
    for value in values:
        _update(digest, value)
    return digest.hexdigest()


@cache
def code_hash(*packages: str) -> str:
    """Return a hash of source, so that a cache never outlives the code that filled it.

    Args:
        packages: the subpackages that decide what is cached; all source when none is named.
    """
    digest = hashlib.sha256()
    folders = [PACKAGE / package for package in packages] or [PACKAGE]
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def write_json(path: str | os.PathLike[str], value: Any, *, durable: bool = True) -> None:
    """Write a value as indented JSON, whole or not at all; see `write_whole`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with write_whole(path, durable=durable) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _update(digest: Any, value: Any) -> None:
    """Feed one value to the digest, each kind with a mark of its own so that none can collide."""
    if hasattr(value, "__array_interface__") and not isinstance(value, (bool, int, float)):
        import numpy as np

        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise TypeError("an array of objects has no content hash; convert it to strings")
        digest.update(f"array {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    elif isinstance(value, bytes):
        digest.update(b"bytes " + str(len(value)).encode() + b" " + value)
    elif isinstance(value, dict):
        digest.update(f"mapping {len(value)} ".encode())
        for key in sorted(value, key=str):
            _update(digest, str(key))
            _update(digest, value[key])
    elif isinstance(value, (list, tuple)):
        digest.update(f"sequence {len(value)} ".encode())
        for item in value:
            _update(digest, item)
    elif isinstance(value, (set, frozenset)):
        _update(digest, sorted(value, key=str))
    elif is_dataclass(value) and not isinstance(value, type):
        _update(digest, asdict(value))
    elif isinstance(value, Path):
        _update(digest, value.as_posix())
    elif value is None or isinstance(value, (str, bool, int, float)):
        text = json.dumps(value, ensure_ascii=False)
        digest.update(f"{type(value).__name__} {len(text)} ".encode() + text.encode())
    else:
        raise TypeError(f"{type(value).__name__} has no content hash: {value!r}")
