"""Where the user's copies of licensed sets lie: name -> folder, as `neurofer stimuli add` wrote."""

from __future__ import annotations

import os
from pathlib import Path

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import expanded
from neurofer.sealed import read_sealed_json, write_sealed_json


def remembered() -> dict[str, str]:
    """Return the folders by the name of their set.

    Raises:
        NeuroferError: the file that holds them cannot be read.
    """
    path = _path()
    if not path.is_file():
        return {}
    try:
        return {name: str(folder) for name, folder in read_sealed_json(path).items()}
    except (NeuroferError, OSError, ValueError) as error:
        raise NeuroferError(
            f"{path} cannot be read ({error}); delete it, and add the folders again with "
            "`neurofer stimuli add NAME PATH`"
        ) from error


def remember(name: str, folder: str | os.PathLike[str]) -> Path:
    """Write down where a set lies; returns the file that says so."""
    path = _path()
    write_sealed_json(path, {**remembered(), name: str(Path(folder).expanduser().resolve())})
    return path


def forget(name: str) -> str:
    """Forget where a set lies; returns the folder, which is left as it is.

    Raises:
        NeuroferError: none is remembered; the message lists those that are.
    """
    folders = remembered()
    if not folders:
        raise NeuroferError(f"set={name!r}: no folder of any set is remembered")
    if name not in folders:
        raise unknown_choice("set with a folder", name, sorted(folders))
    folder = folders.pop(name)
    write_sealed_json(_path(), folders)
    return folder


def _path() -> Path:
    root = os.environ.get("NEUROFER_CACHE")
    if root:
        return expanded(root) / "folders.json"
    import platformdirs

    # Not in the cache, which may be deleted at any time: it cannot be made again.
    return Path(platformdirs.user_config_dir("neurofer")) / "folders.json"
