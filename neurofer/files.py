"""Where things lie, how they are written (whole or not at all) and how they are named (by hash)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.leftovers import PARTIAL, REPLACED, clean, mark

PACKAGE = Path(__file__).resolve().parent
CONTENT_FOLDERS = ("stimuli", "analyses", "notebooks")
LONGEST_NAME = 200  # bytes; file systems take 255, and suffixes and parts are put beside a name
LEAST_SPACE = 10_000_000  # bytes; a place with less cannot hold a report

# Windows takes none of these in a name, and a colon there names a drive.
_FORBIDDEN = frozenset('/\\<>:"|?*')
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)
# Control characters, halves of characters, line ends, and marks that change the writing direction.
_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def cache_folder(*parts: str) -> Path:
    """Return a folder below the cache, made if needed.

    The cache is `$NEUROFER_CACHE` (`~` is the home) or the platform's user cache. All in it can be
    deleted: it is made again.

    Raises:
        NeuroferError: the folder can neither be found nor made.
    """
    root = os.environ.get("NEUROFER_CACHE")
    if root:
        folder = expanded(root)
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("neurofer"))
    folder = folder.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NeuroferError(
            f"the cache {folder} cannot be made ({_reason(error)}); "
            "set NEUROFER_CACHE to a folder that you may write"
        ) from error
    return folder


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path in which a leading `~` stands for the home, as in a shell."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise NeuroferError(f"{os.fspath(path)}: {error}; write the folder out") from error


def checked_name(name: str, what: str) -> str:
    """Return a name that becomes a file's or a folder's, if it stays where it is put.

    Args:
        name: as it was given by a user or found in a file.
        what: what the name is of, for the message ("figure", "stimulus set").

    Raises:
        NeuroferError: it is empty, leads elsewhere, is hidden or too long, or some system cannot
            hold it.

    >>> checked_name("figure-3b", "figure")
    'figure-3b'
    >>> checked_name("../notes", "figure")
    Traceback (most recent call last):
    neurofer.errors.NeuroferError: the figure '../notes' cannot name a file: it holds '/'; ...
    """
    wrong = _wrong_in_name(name)
    if wrong:
        shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:60]}...'"
        raise NeuroferError(
            f"the {what} {shown} cannot name a file: it {wrong}; use letters, digits and - _ + ="
        )
    return name


def steers(letter: str) -> bool:
    """Return whether a character steers a terminal or a line instead of being printed."""
    return letter in _DIRECTION or unicodedata.category(letter) in _UNPRINTABLE


def _wrong_in_name(name: object) -> str:
    """Return what keeps a name from becoming a file's name; nothing where it may."""
    if not isinstance(name, str):
        return f"is {type(name).__name__}, not text"
    if not name.strip():
        return "is empty"
    for letter in name:
        if letter in _FORBIDDEN:
            return f"holds {letter!r}"
        if steers(letter):
            return f"holds the unprintable {letter!r}"
    if name[0] == ".":
        return "begins with a dot"
    if name != name.strip() or name[-1] == ".":
        return "begins or ends with a blank, or ends with a dot"
    if name.split(".")[0].rstrip().lower() in _RESERVED:
        return "is reserved by Windows"
    if (length := len(name.encode("utf-8"))) > LONGEST_NAME:
        return f"has {length} bytes, {LONGEST_NAME} are allowed"
    return ""


def check_output(
    path: str | os.PathLike[str],
    *,
    option: str = "--out",
    folder: bool = False,
    space: int = LEAST_SPACE,
) -> Path:
    """Try, before any work, whether a file or folder can be written; return its path.

    Nothing is left behind. A leading `~` is the home.

    Args:
        path: of the file, or of the folder, to be written.
        option: by which the user gave the path, for the message.
        folder: whether it will be a folder.
        space: bytes that must be free there.

    Raises:
        NeuroferError: in one line, what stands in the way.
    """
    place = expanded(path)
    try:
        if place.exists() and place.is_dir() != folder:
            raise NeuroferError(
                f"{option} {place}: it is a {'file' if folder else 'folder'}; "
                f"give the path of a {'folder' if folder else 'file'}"
            )
        held = place if folder else place.parent
        while not held.exists() and held != held.parent:
            held = held.parent
        if not held.is_dir():
            raise NeuroferError(f"{option} {place}: {held} is a file; choose another place")
        with tempfile.NamedTemporaryFile(prefix=mark(PARTIAL), dir=held):
            pass
        free = shutil.disk_usage(held).free
    except OSError as error:
        raise NeuroferError(
            f"{option} {place} cannot be written ({_reason(error)}); choose another place"
        ) from error
    if free < space:
        raise NeuroferError(
            f"{option} {place}: {free / 1e6:.0f} MB are free there and {space / 1e6:.0f} MB are "
            "needed; make room or choose another place"
        )
    return place


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


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
    clean(path.parent)
    # The suffix is kept, because writers choose their format by it.
    handle, name = tempfile.mkstemp(prefix=mark(PARTIAL), suffix=path.suffix, dir=path.parent)
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
def write_folder_whole(
    path: str | os.PathLike[str], keep: Callable[[Path, Path], None] | None = None
) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`.

    An older folder at `path` is kept until the new one is complete.

    Args:
        path: of the folder; where it is a link, the folder that it leads to.
        keep: called with the old folder and the new one before they change places, to carry over
            what must not be lost.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    clean(path.parent, again=True)
    partial = Path(tempfile.mkdtemp(prefix=mark(PARTIAL), dir=path.parent))
    try:
        yield partial
        if keep is not None and path.is_dir():
            keep(path, partial)
        inside = [*partial.rglob("*")]
        for one in [*inside, partial]:
            if not one.is_symlink() and (one.is_file() or one.is_dir()):
                with suppress(PermissionError):  # what was carried over, and was whole before
                    _flush(one)
        partial.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=mark(REPLACED), dir=path.parent))
            try:
                os.replace(path, old / path.name)
                os.replace(partial, path)
            except BaseException:
                if not path.exists() and (old / path.name).exists():
                    os.replace(old / path.name, path)
                old.rmdir()
                raise
            # First, lest a power cut brings the old folder back without what is removed from it.
            _flush(path.parent)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(partial, path)
            _flush(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


_READ: ContextVar[set[Path] | None] = ContextVar("files that were read", default=None)


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """Yield a set that fills with the files that readers of this block name by `note_read`."""
    seen: set[Path] = set()
    token = _READ.set(seen)
    try:
        yield seen
    finally:
        _READ.reset(token)


def note_read(path: str | os.PathLike[str]) -> None:
    """Say that a file decides what is made now, such as weights; see `files_read`."""
    seen = _READ.get()
    if seen is not None:
        seen.add(Path(path).resolve())


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


def write_json(path: str | os.PathLike[str], value: Any, *, durable: bool = True) -> None:
    """Write a value as indented JSON, whole or not at all; see `write_whole`.

    Args:
        path: of the file.
        value: what `json` can write.
        durable: wait until the disk has it.
    """
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
