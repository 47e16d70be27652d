"""A disk that fails where it is told to: every write, flush, rename and removal is counted.

    with Disk(folder) as disk:          # counts
        work()
    with Disk(folder, at=7, fault="kill") as disk:
        with pytest.raises(Killed):
            work()

Faults: "kill", the process ends in the middle of the operation and nothing more reaches the disk;
"EIO", the operation fails once; "ENOSPC", it and every later write fails; "lost", as "kill", and
the disk forgets all that was not flushed: contents without an fsync of the file, names without one
of the folder.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from neurofer.subjects.weight_files import tensors

FAULTS = ("kill", "EIO", "ENOSPC", "lost")


class Killed(BaseException):
    """The process was killed."""


class Disk:
    """Counts the operations on files below a folder, and lets one fail."""

    def __init__(self, folder: Path, at: int = 0, fault: str = "") -> None:
        self.folder, self.at, self.fault = str(folder.resolve()), at, fault
        self.operations: list[str] = []
        self.dead = self.full = False
        self._real: dict[tuple[Any, str], Any] = {}
        self._dirty: dict[int, str] = {}  # inode -> last known path, content not flushed
        # Names not flushed: from where, to where, and what was there before.
        self._renames: list[tuple[str, str, bytes | None]] = []
        self._open_files: list[Any] = []
        self._counting = threading.Lock()  # pictures are written in threads

    # What is replaced

    def __enter__(self) -> Disk:
        for owner, name, new in (
            (os, "replace", self._rename),
            (os, "rename", self._rename),
            (os, "unlink", self._unlink),
            (os, "rmdir", self._rmdir),
            (os, "fsync", self._fsync),
            (os, "mkdir", self._mkdir),
            (builtins, "open", self._open),
            (io, "open", self._open),
            (os, "link", self._link),
            (shutil, "_USE_CP_SENDFILE", False),  # copies are writes that are counted
            # Libraries that write by themselves: a whole file is one operation.
            (xr.Dataset, "to_netcdf", self._writing(xr.Dataset.to_netcdf)),
            (tensors, "save_file", self._writing(tensors.save_file)),
        ):
            self._real[owner, name] = getattr(owner, name)
            setattr(owner, name, new)
        return self

    def __exit__(self, *_: object) -> None:
        for (owner, name), real in self._real.items():
            setattr(owner, name, real)
        if self.dead:
            for file in self._open_files:  # and with it the locks on it
                with contextlib.suppress(OSError):
                    file.close()
        if self.fault == "lost" and self.dead:
            self._forget()

    # The operations

    def _ours(self, path: Any) -> bool:
        return not isinstance(path, int) and str(path).startswith(self.folder)

    def _happens(self, operation: str) -> bool:
        """Count an operation; return whether it fails. Raise where there is no more disk."""
        with self._counting:
            if self.dead:
                raise Killed
            if self.full and not operation.startswith(("unlink", "rmdir", "rename")):
                raise OSError(errno.ENOSPC, "no space left on device")
            self.operations.append(operation)
            return len(self.operations) == self.at

    def _writing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of (content, path, ...) that writes a whole file at once."""

        def write(content: Any, path: Any, *args: Any, **options: Any) -> Any:
            if not self._ours(path):
                return real(content, path, *args, **options)
            return self._write(str(path), lambda: real(content, path, *args, **options))

        return write

    def _fail(self) -> None:
        if self.fault == "EIO":
            raise OSError(errno.EIO, "input/output error")
        if self.fault == "ENOSPC":
            self.full = True
            raise OSError(errno.ENOSPC, "no space left on device")
        self.dead = True
        raise Killed

    def _write(self, path: str, write: Callable[[], Any]) -> Any:
        """Write a whole file at once, or half of it."""
        fails = self._happens(f"write {Path(path).suffix}")
        done = write()
        if os.path.exists(path):
            self._dirty[os.stat(path).st_ino] = path
        if fails:
            os.truncate(path, os.path.getsize(path) // 2)
            self._fail()
        return done

    def _open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        real = self._real[builtins, "open"]
        if self.dead and self._ours(file):
            raise Killed
        opened = real(file, mode, *args, **options)
        if self._ours(file) and set(mode) & set("wax+"):
            self._dirty[os.fstat(opened.fileno()).st_ino] = str(file)
            self._open_files.append(opened)
            return _Writer(self, opened, str(file))
        return opened

    def _rename(self, source: Any, target: Any, **options: Any) -> None:
        real = self._real[os, "replace"]
        if not self._ours(target):
            real(source, target, **options)
            return
        fails = self._happens("rename")
        if fails and self.fault != "lost":
            self._fail()
        before = Path(target).read_bytes() if Path(target).is_file() else None
        real(source, target, **options)
        self._renames.append((str(source), str(target), before))
        for inode, path in self._dirty.items():
            if path == str(source):
                self._dirty[inode] = str(target)
        if fails:
            self._fail()

    def _unlink(self, path: Any, **options: Any) -> None:
        self._plainly("unlink", path, options)

    def _rmdir(self, path: Any, **options: Any) -> None:
        self._plainly("rmdir", path, options)

    def _link(self, source: Any, target: Any, **options: Any) -> None:
        if self._ours(target) and self._happens("link"):
            self._fail()
        self._real[os, "link"](source, target, **options)

    def _mkdir(self, path: Any, *args: Any, **options: Any) -> None:
        if self._ours(path) and self.dead:
            raise Killed
        self._real[os, "mkdir"](path, *args, **options)

    def _plainly(self, name: str, path: Any, options: dict[str, Any]) -> None:
        # Paths relative to an open folder (rmtree) are not known to be ours, and are counted.
        if (self._ours(path) or "dir_fd" in options) and self._happens(name):
            self._fail()
        self._real[os, name](path, **options)

    def _fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not self._ours(path):
            self._real[os, "fsync"](descriptor)
            return
        if self._happens("fsync"):
            self._fail()
        # Nothing is flushed in truth: the machine goes on.
        if os.path.isdir(path):
            self._renames = [
                one
                for one in self._renames
                if path not in (str(Path(one[0]).parent), str(Path(one[1]).parent))
            ]
        else:
            self._dirty.pop(os.fstat(descriptor).st_ino, None)

    def _forget(self) -> None:
        """Lose what was not flushed, as a power cut does."""
        for path in self._dirty.values():
            if os.path.isfile(path):
                os.truncate(path, 0)
        for source, target, before in reversed(self._renames):
            if os.path.lexists(target):
                os.replace(target, source)
            if before is not None and Path(target).parent.is_dir():
                Path(target).write_bytes(before)


class _Writer:
    """A file that is being written, each `write` counted."""

    def __init__(self, disk: Disk, file: Any, path: str) -> None:
        self._disk, self._file, self._path = disk, file, path

    def write(self, data: Any) -> Any:
        if self._disk._happens(f"write {Path(self._path).suffix}"):
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            self._disk._fail()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Writer:
        self._file.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._file.__exit__(*raised)

    def __iter__(self) -> Any:
        return iter(self._file)
