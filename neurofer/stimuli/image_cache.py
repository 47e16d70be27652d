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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import content_hash, write_whole
from neurofer.progress import progress_of
from neurofer.sealed import DamagedError, cached, read_sealed, set_aside, write_sealed
from neurofer.stimuli.images import read_image, write_image

Item = TypeVar("Item")
Found = TypeVar("Found")

IMAGE, PARTS, NOTE = ".png", ".parts.png", ".note"
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


@dataclass(frozen=True)
class CachedImage:
    """An image of the cache and what belongs to it.

    Attributes:
        image: its pixels.
        parts: the labels of its parts, where it was written with them.
        landmarks: 13 pairs of x and y, None where one is not known.
    """

    image: CachedPicture
    parts: CachedPicture | None
    landmarks: list[list[float | None]]


def ensure(
    items: Sequence[Item],
    read: Callable[[Item], Found | None],
    make: Callable[[list[Item], Callable[[], None]], None],
    *,
    text: str,
    progress: bool | None = None,
) -> list[Found]:
    """Return what a cache holds of every item; what it lacks is made first.

    Args:
        items: what is asked for.
        read: returns what the cache holds of an item, None where it lacks it.
        make: makes the items that are lacking, and calls its second argument after each.
        text: said by the progress bar.
        progress: see `progress_of`.

    Raises:
        NeuroferError: what was made is not in the cache.
    """
    found = [read(item) for item in items]
    lacking = [i for i, one in enumerate(found) if one is None]
    if lacking:
        with progress_of(text, len(lacking), progress) as advance:
            make([items[i] for i in lacking], advance)
        for i in lacking:
            found[i] = read(items[i])
    done = [one for one in found if one is not None]
    if len(done) < len(found):
        raise NeuroferError(
            f"{text}: {len(found) - len(done)} of {len(lacking)} were made but are not in the "
            "cache; is the disk full?"
        )
    return done


def read_entry(stem: Path, made_of: Any, remake: Callable[[], object]) -> CachedImage | None:
    """Return an image of the cache, None where it is not there or is damaged.

    A damaged note is named and set aside.

    Args:
        stem: the path of its files without their suffixes.
        made_of: all that decides it, as JSON types.
        remake: makes it and what belongs to it again.
    """
    note = cached(Path(f"{stem}{NOTE}"), partial(_read, stem, made_of))
    if note is None:
        return None
    files = note["files"]
    image = CachedPicture(Path(f"{stem}{IMAGE}"), files[IMAGE][1], "RGB", remake)
    parts = None
    if PARTS in files:
        parts = CachedPicture(Path(f"{stem}{PARTS}"), files[PARTS][1], "L", remake)
    return CachedImage(image, parts, note["facts"]["landmarks"])


def write_entry(
    stem: Path,
    made_of: Any,
    *,
    image: np.ndarray,
    landmarks: np.ndarray,
    parts: np.ndarray | None = None,
    **facts: Any,
) -> None:
    """Write an image of the cache and what belongs to it, the note last.

    Args:
        stem: the path of its files without their suffixes.
        made_of: all that decides it, as JSON types.
        image: (H, W, 3) uint8.
        landmarks: (13, 2), NaN where one is not known.
        parts: (H, W) uint8.
        facts: what else is known, as JSON types.

    Raises:
        NeuroferError: the cache cannot be written: no space, no permission.
    """
    points = [[None if np.isnan(x) else float(x) for x in point] for point in landmarks]
    note = {"made_of": made_of, "facts": {"landmarks": points, **facts}}
    pictures = {IMAGE: image} if parts is None else {IMAGE: image, PARTS: parts}
    try:
        _write(stem, note, pictures)
    except OSError as error:
        raise NeuroferError(
            f"the cache of images {stem.parent} cannot be written ({error.strerror or error}); "
            "make room there, or set NEUROFER_CACHE to another folder"
        ) from error


def _write(stem: Path, note: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> None:
    files = {}
    for suffix, pixels in pictures.items():
        path = Path(f"{stem}{suffix}")
        # Flushing three files an image to the disk can take longer than making it.
        with write_whole(path, durable=False) as unfinished:
            write_image(unfinished, pixels)
        files[suffix] = [path.stat().st_size, content_hash(pixels)]
    text = json.dumps({**note, "files": files}, ensure_ascii=False, allow_nan=False)
    with write_sealed(f"{stem}{NOTE}", durable=False) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _read(stem: Path, made_of: Any, path: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(read_sealed(path))
    if note["made_of"] != made_of:
        raise DamagedError(f"{path} is damaged: it is the note of another image")
    for suffix, (size, _) in note["files"].items():
        if Path(f"{stem}{suffix}").stat().st_size != size:
            raise DamagedError(f"{stem}{suffix} is damaged: it does not have the size written down")
    return note
