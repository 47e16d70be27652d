"""Where a training writes: files that are there, one training per file, disks that fail."""

from __future__ import annotations

import errno
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from neurofer.errors import NeuroferError
from neurofer.training.checkpoint import previous

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)
_LEFT_AFTER = 600  # seconds: no file of ours takes as long to be written


def checkpoint_of(out: Path) -> Path:
    """Return where the checkpoint of a weight file lies, while there is one."""
    return out.with_suffix(".checkpoint.safetensors")


def kept(out: Path) -> list[Path]:
    """Return the checkpoints of a weight file that are there, the last one first."""
    last = checkpoint_of(out)
    return [file for file in (last, previous(last)) if file.exists()]


def check_place(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a weight file that would be lost, and say where there is nothing to go on from.

    Args:
        out: the weight file to write.
        resume: whether the run goes on from a checkpoint.
        overwrite: whether a finished file may be replaced.

    Raises:
        NeuroferError: `out` has another ending, or a checkpoint or a finished file is there and it
            is not said what becomes of it.
    """
    if out.suffix != ".safetensors":
        raise NeuroferError(f"the weight file must end in .safetensors, got {out}")
    if kept(out):
        if not resume:
            raise NeuroferError(f"{checkpoint_of(out)} is there: go on with --resume, or delete it")
        return
    if out.exists() and not overwrite:
        raise NeuroferError(
            f"{out} is there, finished: choose another --out, or --overwrite to train it anew"
        )
    if resume:
        warnings.warn(f"there is no checkpoint of {out}: starting at the first step", stacklevel=3)


@contextmanager
def reserved(out: Path) -> Iterator[None]:
    """Keep other trainings from writing the same weight file; make its folder if needed.

    Raises:
        NeuroferError: the folder cannot be written to, or another training writes the file.
    """
    _try_folder(out.parent)
    with _locked(out):
        _clear_leftovers(out.parent)
        yield


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn what a disk says (full, read-only, not allowed) into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise NeuroferError(
            f"{error.filename or out.parent} cannot be written: {error.strerror}; a checkpoint "
            "that was written before is kept: make room or choose another --out, then --resume"
        ) from error


def _try_folder(folder: Path) -> None:
    """Make a folder and write into it, so that a run does not find out at its end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NeuroferError(
            f"the folder {folder} cannot be written to: {error.strerror}; choose another --out"
        ) from error


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold a lock that the system releases whatever becomes of this process."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    path = out.with_name(f".{out.stem}.lock")
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                warnings.warn(f"{path}: two trainings cannot be told apart: {error}", stacklevel=4)
                yield
                return
            raise NeuroferError(
                f"another training writes {out}: wait for it, or choose another --out"
            ) from error
        if _is_at(file, path):
            break
        file.close()  # whoever held the lock before removed the file: this one has no name now
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _is_at(file: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _clear_leftovers(folder: Path) -> None:
    """Remove what a process that was killed had half written, if it is older than any writing."""
    for partial in folder.glob(".partial-*"):
        with suppress(OSError):
            if partial.is_file() and time.time() - partial.stat().st_mtime > _LEFT_AFTER:
                partial.unlink()
