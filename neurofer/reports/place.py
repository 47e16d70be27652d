"""The folder of a report: what a run wrote into it, and what is the user's own and stays."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from neurofer.errors import NeuroferError
from neurofer.files import check_output, expanded, sha256_file
from neurofer.leftovers import clean
from neurofer.sealed import read_sealed_json, write_sealed_json

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
INCOMPLETE = "-incomplete"
SPACE = 50_000_000  # bytes of a report with many figures


def check_folder(folder: Path) -> Path:
    """Return the path of a report's folder, after it was tried whether one can be written there.

    What a killed run had moved aside is put back first.

    Raises:
        NeuroferError: nothing can be written there, or it is a file, or a folder without a report.
    """
    folder = expanded(folder)
    clean(folder.absolute().parent, again=True)
    check_output(folder, folder=True, space=SPACE)
    # The folder is made beside the old one, and takes its place.
    check_output(folder.absolute().parent, folder=True, space=SPACE)
    for place in (folder, folder.with_name(folder.name + INCOMPLETE)):
        if place.is_dir() and any(place.iterdir()) and not (place / PROVENANCE).is_file():
            raise NeuroferError(
                f"{place} exists and is not a report of a study; nothing is written into it: "
                "choose a new folder with --out"
            )
    return folder


def write_manifest(folder: Path) -> None:
    """Write which files a run wrote, with their SHA-256: what else lies there is the user's."""
    files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in _files(folder)}
    write_sealed_json(folder / MANIFEST, {"files": dict(sorted(files.items()))})


def carry_over(old: Path, new: Path) -> list[Path]:
    """Put what is the user's own in an old report into the new one that takes its place.

    A file that a run wrote and the user has changed is kept beside the new one as `name.yours`.
    In a report without a manifest, only what is written anew counts as a run's own.

    Returns:
        The files that were kept under another name.
    """
    wrote = _manifest(old)
    renamed = []
    for path in _files(old):
        place = path.relative_to(old)
        if place.as_posix() == MANIFEST or _is_written(path, place.as_posix(), wrote, new):
            continue
        target = new / place
        while os.path.lexists(target):
            target = target.with_name(f"{target.stem}.yours{target.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(path, target)
        if target.name != place.name:
            renamed.append(target.relative_to(new))
    for path in old.rglob("*"):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            (new / path.relative_to(old)).mkdir(parents=True, exist_ok=True)
    return renamed


def remove_report(folder: Path) -> None:
    """Take away what a run wrote into a folder, and the folder where nothing else is in it."""
    wrote = _manifest(folder) or {}
    for name in wrote:
        path = folder / name
        if path.is_file() and not path.is_symlink() and sha256_file(path) == wrote[name]:
            path.unlink()
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        folder.rmdir()


def target_folder(folder: Path, failures: Sequence[object]) -> Path:
    """Return where to write: a complete report is never replaced by one with failures."""
    incomplete = folder.with_name(folder.name + INCOMPLETE)
    if not failures:
        return folder
    path = folder / PROVENANCE
    if not path.is_file():
        return folder
    wrote = _manifest(folder)
    try:
        if wrote is not None and wrote.get(PROVENANCE) != sha256_file(path):
            raise NeuroferError("it is not what the run wrote")
        before = json.loads(path.read_text(encoding="utf-8"))
        return folder if before.get("failures") else incomplete
    except (NeuroferError, OSError, ValueError, AttributeError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}): its report is taken for a complete one and stays",
            stacklevel=2,
        )
        return incomplete


def remove_incomplete(folder: Path) -> None:
    """Take away the incomplete report beside a complete one."""
    incomplete = folder.with_name(folder.name + INCOMPLETE)
    if (incomplete / PROVENANCE).is_file():
        remove_report(incomplete)


def _files(folder: Path) -> Iterator[Path]:
    """Yield what is not a folder below a folder, links as they are."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield path


def _manifest(folder: Path) -> Mapping[str, str] | None:
    """Return the files that a run wrote; None without a manifest, {} with one that is damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        files = read_sealed_json(path)["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (NeuroferError, OSError, ValueError, KeyError, AttributeError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}): all that lies beside it is kept, as if it were the "
            "user's own",
            stacklevel=2,
        )
        return {}


def _is_written(path: Path, name: str, wrote: Mapping[str, str] | None, new: Path) -> bool:
    """Return whether a run wrote a file, and nobody has changed it since."""
    if path.is_symlink():
        return False
    if wrote is None:
        return (new / name).is_file()
    try:
        return name in wrote and path.is_file() and sha256_file(path) == wrote[name]
    except OSError:
        return False


def _link(path: Path, target: Path) -> None:
    """Give a file a second name, so that it is never missing; without links, a copy."""
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, target, follow_symlinks=False)
