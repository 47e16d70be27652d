"""The index of a user's folder: its table, its images' hashes and what is wrong with which file.

A folder of 50,000 images is decoded once. Afterwards its files are listed, and where their names,
sizes and times are those of the index, the index is taken at its word; where some differ, only
these are decoded again.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import PIL
from PIL import Image, UnidentifiedImageError

from neurofer.closure import file_hash
from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.progress import progress_of
from neurofer.sealed import check_seal, set_aside, write_sealed
from neurofer.stimuli import images
from neurofer.stimuli.images import (
    CLOCK_TICK,
    FORMATS,
    ImageFile,
    Picture,
    Stamp,
    ahead,
    dim,
    image_sha256,
)
from neurofer.stimuli.licensed.readers import Problem, Walk, clips, picture_of, pixels
from neurofer.stimuli.licensed.readers.rows import called
from neurofer.stimuli.packed import packed, read_arrays, shared, texts, write_arrays
from neurofer.stimuli.table import column, kind_of

Job = tuple[str, int, list[int]]  # a file, the part of it that is an image, the file's stamp
BLACK = 16  # an image without a brighter value shows nothing


class Decoded(NamedTuple):
    """What decoding an image told: its hash, width, height and brightest value, or its fault."""

    sha256: str
    width: int
    height: int
    brightest: int
    kind: str = ""
    detail: str = ""


NOTHING = Decoded("", 0, 0, 0, "unreadable file", "it was not decoded yet")


@dataclass(frozen=True)
class Parsed:
    """What a folder states before an image is decoded, one entry per image.

    Attributes:
        files: the folder's files.
        reader: name of the card's reader.
        table: columns of the stimulus table, without hashes.
        names: name of each image's file.
        items: part of the file that the image is.
        sound: whether its row is.
        problems: what was set aside so far.
        size: width and height that every image must have; None where any will do.
    """

    files: Walk
    reader: str
    table: pd.DataFrame
    names: list[str]
    items: np.ndarray
    sound: np.ndarray
    problems: list[Problem]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Index:
    """A folder's images, those that were set aside among them.

    Attributes:
        root: the folder.
        reader: name of the card's reader.
        table: a canonical stimulus table of all images; `image_sha256` is "" where one is bad.
        names, items, stamps: the file of each image, the part of it, (n, 3) size, time, settled.
        decoded: (n, 3) width, height and brightest value.
        good: whether an image belongs to the set (bool).
        problems: files that were set aside.
        key: what it was made of.
    """

    root: Path
    reader: str
    table: pd.DataFrame
    names: list[str]
    items: np.ndarray
    stamps: np.ndarray
    decoded: np.ndarray
    good: np.ndarray
    problems: list[Problem]
    key: str

    def pictures(self, rows: np.ndarray) -> Pictures:
        """Return the images of some rows, to be decoded when they are asked for."""
        return Pictures(self, rows)

    def bad_files(self) -> pd.DataFrame:
        """Return the files that were set aside: file, kind, detail."""
        return pd.DataFrame(self.problems, columns=["file", "kind", "detail"])


@dataclass(frozen=True)
class Pictures(Sequence[Picture]):
    """Images of an index, each made when it is asked for: there may be millions."""

    held: Index
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return Pictures(self.held, self.rows[i])
        index, row = self.held, int(self.rows[i])
        size, changed, settled = index.stamps[row].tolist()
        path = os.path.join(index.root, index.names[row])
        return picture_of(
            index.reader, path, Stamp(size, changed, bool(settled)), int(index.items[row])
        )


@cache
def decoder(reader: str) -> str:
    """Return a hash of what decodes a reader's images: hashes of other decoders are worthless."""
    sources = [images.__file__, *(part.__file__ for part in (pixels, clips))]
    versions = [PIL.__version__]
    if reader == "clips":
        versions.append(clips.video().__version__)
    return content_hash([file_hash(str(source)) for source in sources], versions)[:16]


def key_of(files: Walk, reader: str, *what: Any) -> str:
    """Return the key of an index: decoder, files, and what else it is made of.

    Args:
        files: that are there.
        reader: name of the reader.
        what: else the index is made of.
    """
    return f"{decoder(reader)} {content_hash(files.fingerprint, *what)}"


def read_index(path: Path, files: Walk, reader: str) -> Index | None:
    """Return the index in a file; None where there is none of this version of the decoder.

    One that is damaged is named; it is made again, and then takes the place of the damaged one.

    Args:
        path: of the index.
        files: that are there.
        reader: name of the reader.
    """
    if not path.is_file():
        return None
    try:
        check_seal(path)
        arrays = read_arrays(path)
        key = texts(arrays["key"])[0]
        return _unpacked(arrays, key, files, reader) if key.startswith(decoder(reader)) else None
    except Exception as error:  # zipfile and numpy raise many kinds for a damaged file
        set_aside(path, f"the index {path} is damaged ({error})")
        return None


def _unpacked(arrays: dict[str, np.ndarray], key: str, files: Walk, reader: str) -> Index:
    columns: dict[str, Any] = {}
    for name in texts(arrays["columns"]):
        values = arrays[f"column.{name}"]
        text = values.dtype == np.uint8
        columns[name] = pd.Series(shared(texts(values)), dtype=object) if text else values
    problems = [texts(arrays[f"problem.{part}"]) for part in Problem._fields]
    return Index(
        files.root,
        reader,
        pd.DataFrame(columns),
        texts(arrays["names"]),
        arrays["items"],
        arrays["stamps"],
        arrays["decoded"],
        arrays["good"],
        [Problem(*problem) for problem in zip(*problems, strict=True)],
        key,
    )


def write_index(path: Path, index: Index) -> None:
    """Write an index, sealed, whole or not at all."""
    table = index.table
    columns = {f"column.{name}": column(table, str(name)) for name in table.columns}
    arrays = {
        name: packed(values.tolist()) if kind_of(values) == "string" else values
        for name, values in columns.items()
    }
    for k, part in enumerate(Problem._fields):
        arrays[f"problem.{part}"] = packed([problem[k] for problem in index.problems])
    arrays |= {
        "columns": packed([str(name) for name in table.columns]),
        "names": packed(index.names),
        "items": index.items,
        "stamps": index.stamps,
        "decoded": index.decoded,
        "good": index.good,
        "key": packed([index.key]),
    }
    with write_sealed(path) as partial_file:
        write_arrays(partial_file, arrays)


def make_index(
    parsed: Parsed, path: Path, key: str, old: Index | None, text: str, progress: bool | None
) -> Index:
    """Decode the images that an older index does not vouch for; write the index and return it.

    Where it is stopped, what was decoded so far is written, and the next call goes on from there.

    Args:
        parsed: names and table of the images.
        path: of the index.
        key: of the index, from `key_of`.
        old: index whose entries hold for files that have not changed.
        text: in front of the progress bar.
        progress: see `progress.progress_of`.
    """
    known = _known(old) if old is not None else {}
    stamps = _stamps(parsed)
    decoded: list[Decoded] = []
    jobs = list(zip(parsed.names, parsed.items.tolist(), stamps.tolist(), strict=True))
    read = partial(_decode_group, parsed.reader, os.path.join(parsed.files.root, ""), known)
    try:
        with progress_of(text, len(jobs), progress) as advance:
            for group in ahead(read, _groups(jobs)):
                decoded += group
                advance(len(group))
    except BaseException:
        rest = [known.get(_entry(*job), NOTHING) for job in jobs[len(decoded) :]]
        unfinished = f"{decoder(parsed.reader)} unfinished"
        _keep(path, _index(parsed, stamps, decoded + rest, unfinished))
        raise
    index = _index(parsed, stamps, decoded, key)
    _keep(path, index)
    return index


def _keep(path: Path, index: Index) -> None:
    """Write an index; where that fails, say so and go on, as it can be made again."""
    try:
        write_index(path, index)
    except OSError as error:
        warnings.warn(
            f"the index of {index.root} was not kept in {path} ({error.strerror or error}): it "
            "is made anew each time; make room there, or set NEUROFER_CACHE to another folder",
            stacklevel=2,
        )


def _index(parsed: Parsed, stamps: np.ndarray, decoded: list[Decoded], key: str) -> Index:
    problems = list(parsed.problems)
    good = parsed.sound.copy()
    ids = parsed.table["stimulus_id"].tolist() if decoded else []
    images = zip(parsed.names, parsed.items.tolist(), ids, strict=True)
    for i, (image, one) in enumerate(zip(images, decoded, strict=True)):
        problem = _fault(called(*image), one, parsed.size)
        if good[i] and problem is not None:  # a row that is set aside already is listed already
            good[i] = False
            problems.append(problem)
    hashes = pd.Series([one.sha256 for one in decoded], dtype=object)
    return Index(
        parsed.files.root,
        parsed.reader,
        parsed.table.assign(image_sha256=hashes),
        parsed.names,
        parsed.items,
        stamps,
        np.asarray([one[1:4] for one in decoded], dtype=np.int64).reshape(-1, 3),
        good,
        sorted(set(problems)),
        key,
    )


def diagnose(path: str, error: NeuroferError) -> tuple[str, str]:
    """Return what is wrong with a file that could not be decoded: a kind and a detail."""
    cause = error.__cause__ or error
    detail = " ".join(str(cause).split())
    if os.path.exists(path) and os.path.getsize(path) == 0:
        return "empty file", "it has no content"
    if isinstance(cause, FileNotFoundError):
        return "missing file", "it was there when the folder was listed"
    if isinstance(cause, PermissionError) or (isinstance(cause, OSError) and cause.errno):
        return "unreadable file", detail
    if isinstance(cause, UnidentifiedImageError):
        return "no image", f"it is not one of {', '.join(FORMATS)}"
    if "truncated" in detail.lower():
        return "truncated image", detail
    refused = isinstance(error.__cause__, (NeuroferError, Image.DecompressionBombError))
    return ("refused image" if refused else "corrupt image"), detail


def _groups(jobs: list[Job]) -> Iterator[list[Job]]:
    """Yield the images of a file together: a clip is decoded by one thread, from its start on."""
    for _, of_file in groupby(jobs, itemgetter(0)):
        while group := list(islice(of_file, 64)):
            yield group


def _decode_group(
    reader: str, start: str, known: dict[tuple[Any, ...], Decoded], group: list[Job]
) -> list[Decoded]:
    return [_decode(reader, start, known, job) for job in group]


def _decode(reader: str, start: str, known: dict[tuple[Any, ...], Decoded], job: Job) -> Decoded:
    name, item, (size, changed, settled) = job
    entry = _entry(*job)
    if entry in known:
        return known[entry]
    path = start + name
    picture = picture_of(reader, path, Stamp(size, changed, bool(settled)), item)
    try:
        image = picture.read(name)
    except NeuroferError as error:
        return Decoded("", 0, 0, 0, *diagnose(path, error))
    if isinstance(picture, ImageFile) and (note := dim(path, image)):
        return Decoded("", 0, 0, 0, "dim image", note)
    height, width = image.shape[:2]
    return Decoded(image_sha256(image), width, height, int(image.max()))


def _fault(name: str, one: Decoded, size: tuple[int, int] | None) -> Problem | None:
    if one.kind:
        return Problem(name, one.kind, one.detail)
    if one.brightest <= BLACK:
        return Problem(name, "black image", f"no value above {one.brightest} of 255")
    if size is not None and (one.width, one.height) != size:
        found, expected = f"{one.width} x {one.height}", f"{size[0]} x {size[1]}"
        return Problem(name, "wrong size", f"{found} pixels; the set's images have {expected}")
    return None


def _stamps(parsed: Parsed) -> np.ndarray:
    """Return size, time and settled of each image's file, (n, 3) int64."""
    files = parsed.files
    at = np.asarray([files.position[name] for name in parsed.names], dtype=np.int64)
    times = files.times[at]
    settled = time.time_ns() - times > int(CLOCK_TICK * 1e9)
    return np.stack([files.sizes[at], times, settled.astype(np.int64)], axis=1).reshape(-1, 3)


def _known(old: Index) -> dict[tuple[Any, ...], Decoded]:
    """Return what an older index knows of each image: (name, item, size, time) -> decoded.

    An image that could not be decoded is tried again: why it failed may have been the machine's.
    """
    hashes = old.table["image_sha256"].tolist() if len(old.table) else []
    rows = zip(old.names, old.items.tolist(), old.stamps.tolist(), strict=True)
    found = zip(rows, hashes, old.decoded.tolist(), strict=True)
    return {_entry(*row): Decoded(sha256, *measured) for row, sha256, measured in found if sha256}


def _entry(name: str, item: int, stamp: list[int]) -> tuple[Any, ...]:
    """Return what an image is known by; one whose file's time is not settled is never known."""
    size, changed, settled = stamp
    return (name, item, size, changed) if settled else (name, item, size, changed, object())
