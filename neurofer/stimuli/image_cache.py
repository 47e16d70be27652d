"""The cache of made images: an image is made once, checked when it is read, and made again.

An image is a few files named by the hash of all that decides it: its PNG, those of labels beside
it, and a sealed note with the hashes of their pixels and what else is known, such as landmarks. The
note is written last: an image whose note exists is complete, so that making many can be stopped
anywhere and goes on where it was. A note and the sizes of its files are checked when a set is
loaded, the pixels when they are decoded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import content_hash, write_whole
from neurofer.sealed import DamagedError, cached, read_sealed, set_aside, write_sealed
from neurofer.stimuli.images import read_image, write_image

NOTE = ".note"
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class CachedPicture:
    """A `Picture` or the labels of one, in the cache: damaged, it is named and made again.

    Attributes:
        path: of the file.
        sha256: of its pixels.
        mode: "RGB" for an image, "L" for labels.
        remake: makes it and what belongs to it again.
    """

    path: Path
    sha256: str
    mode: str
    remake: Callable[[], object] = field(compare=False, repr=False)

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return (H, W, 3) or (H, W) uint8, of which every value is what was written.

        Raises:
            NeuroferError: it is damaged and cannot be made again.
        """
        try:
            return self._checked(stimulus_id)
        except NeuroferError as error:
            with _one_at_a_time:
                return self._made_again(stimulus_id, error)

    def unchanged(self) -> bool:
        """Return True: whatever was read was compared with its hash."""
        return True

    def _checked(self, stimulus_id: str) -> np.ndarray:
        pixels = read_image(self.path, stimulus_id, mode=self.mode)
        if content_hash(pixels) != self.sha256:
            raise DamagedError(f"{self.path} is damaged: its pixels are not what was written")
        return pixels

    def _made_again(self, stimulus_id: str, error: NeuroferError) -> np.ndarray:
        try:
            return self._checked(stimulus_id)  # another thread has made it again
        except NeuroferError:
            pass
        try:
            set_aside(self.path, str(error))
            self.remake()
        except OSError as failure:
            raise NeuroferError(f"{error}; it could not be made again: {failure}") from failure
        return self._checked(stimulus_id)

    def __str__(self) -> str:
        return str(self.path)


def read_entry(stem: Path, made_of: Any) -> dict[str, Any] | None:
    """Return what is known of an image of the cache, None where it is not there or is damaged.

    A damaged note is named and set aside.

    Args:
        stem: the path of its files without their suffixes.
        made_of: all that decides it, as JSON types.
    """
    return cached(Path(f"{stem}{NOTE}"), partial(_read, stem, made_of))


def write_entry(
    stem: Path, made_of: Any, pictures: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> None:
    """Write an image of the cache and what belongs to it, the note last.

    Args:
        stem: the path of its files without their suffixes.
        made_of: all that decides it, as JSON types.
        pictures: suffix -> (H, W, 3) or (H, W) uint8.
        facts: what else is known, as JSON types.

    Raises:
        NeuroferError: the cache cannot be written: no space, no permission.
    """
    try:
        _write(stem, made_of, pictures, facts)
    except OSError as error:
        raise NeuroferError(
            f"the cache of images {stem.parent} cannot be written ({error.strerror or error}); "
            "make room there, or set NEUROFER_CACHE to another folder"
        ) from error


def _write(
    stem: Path, made_of: Any, pictures: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> None:
    files = {}
    for suffix, pixels in pictures.items():
        path = Path(f"{stem}{suffix}")
        # Flushing three files an image to the disk can take longer than making it.
        with write_whole(path, durable=False) as unfinished:
            write_image(unfinished, pixels)
        files[suffix] = [path.stat().st_size, content_hash(pixels)]
    note = {"made_of": made_of, "files": files, "facts": dict(facts)}
    text = json.dumps(note, ensure_ascii=False, allow_nan=False)
    with write_sealed(f"{stem}{NOTE}", durable=False) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def picture(
    stem: Path, suffix: str, known: Mapping[str, Any], mode: str, remake: Callable[[], object]
) -> CachedPicture:
    """Return one of the pictures of an entry that `read_entry` has read.

    Args:
        stem: path of the entry without a suffix.
        suffix: of the picture.
        known: what `read_entry` returned.
        mode: of Pillow: "RGB", "L".
        remake: makes the entry again where its file is gone.
    """
    return CachedPicture(Path(f"{stem}{suffix}"), known["files"][suffix][1], mode, remake)


def _read(stem: Path, made_of: Any, path: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(read_sealed(path))
    if note["made_of"] != made_of:
        raise DamagedError(f"{path} is damaged: it is the note of another image")
    for suffix, (size, _) in note["files"].items():
        if Path(f"{stem}{suffix}").stat().st_size != size:
            raise DamagedError(f"{stem}{suffix} is damaged: it does not have the size written down")
    return note
