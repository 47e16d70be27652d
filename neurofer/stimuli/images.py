"""Images: decode one file, decode many in threads and in order, hash pixels, write PNG."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, NamedTuple, Protocol, TypeVar

import numpy as np
from PIL import Image, ImageOps

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.workers import cores

T = TypeVar("T")
R = TypeVar("R")

# Decoding releases the GIL; more threads than this compete with the subject for the cores.
DECODE_THREADS = 4
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Formats that are opened. Pillow tells a format by its content, whatever the name says, and hands
some (PostScript) to other programs."""
MAX_PIXELS = 64_000_000  # a small file can unpack to more than the memory holds
ALPHA_BACKGROUND = (128, 128, 128)  # what shows through a transparent pixel: mid-grey
# A file changed twice within a tick of its file system's clock keeps its time (FAT: two seconds).
CLOCK_TICK = 2.0
DIM = 32  # the brightest 8-bit value of 16 bits of which an eighth is used
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 0x0102


class Picture(Protocol):
    """An image that is decoded when it is asked for, from a file that is watched for changes."""

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return (H, W, 3) uint8; raise a NeuroferError naming the stimulus if it cannot."""

    def unchanged(self) -> bool:
        """Return whether the file surely is the one whose pixels were hashed."""


class Stamp(NamedTuple):
    """A file's size in bytes and time of change in ns; `settled` if the time can be relied on."""

    size: int
    time: int
    settled: bool

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Stamp:
        """Return the stamp that a file has now."""
        status = os.stat(path)
        settled = time.time_ns() - status.st_mtime_ns > CLOCK_TICK * 1e9
        return cls(status.st_size, status.st_mtime_ns, settled)

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Return whether the file surely is as it was when it was stamped."""
        try:
            status = os.stat(path)
        except OSError:
            return False
        return self.settled and (status.st_size, status.st_mtime_ns) == (self.size, self.time)


class ImageFile(NamedTuple):
    """A `Picture` that is one image file."""

    path: str
    stamp: Stamp

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Decode the file, see `read_image`."""
        return read_image(self.path, stimulus_id)

    def unchanged(self) -> bool:
        """Compare size and time of change."""
        return self.stamp.holds(self.path)

    def __str__(self) -> str:
        return self.path


class MaskFile(NamedTuple):
    """The labels of an image's parts in a file, and their hash where it is known."""

    path: str
    sha256: str = ""

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return (H, W) uint8; raise a NeuroferError if it is unreadable or was changed."""
        labels = read_image(self.path, stimulus_id, mode="L")
        if self.sha256 and content_hash(labels) != self.sha256:
            raise NeuroferError(
                f"the part mask of stimulus {stimulus_id!r} has changed since it was saved: "
                f"{self.path}; restore it, or save the set again"
            )
        return labels


def image_sha256(image: np.ndarray) -> str:
    """Return the hash of decoded pixels, (H, W, 3) uint8, as in the column `image_sha256`."""
    return content_hash(image)


def check_image(image: np.ndarray, name: str) -> np.ndarray:
    """Return `image` if it is (H, W, 3) uint8; else raise a NeuroferError naming the stimulus."""
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or 0 in image.shape
    ):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise NeuroferError(
            f"the image of stimulus {name!r} is {found}; an image is an array (H, W, 3) of uint8"
        )
    return image


def read_image(
    path: str | os.PathLike[str], stimulus_id: str = "", *, mode: str = "RGB"
) -> np.ndarray:
    """Decode an image file; see `decode` for what is done to its kind of pixels.

    Args:
        path: of a file in one of `FORMATS`.
        stimulus_id: named in errors.
        mode: "RGB" gives (H, W, 3) uint8, "L" gives (H, W) uint8 (labels of parts).

    Raises:
        NeuroferError: the file is missing, is not an image, is truncated or too large.
    """
    of = f" of stimulus {stimulus_id!r}" if stimulus_id else ""
    try:
        if mode == "L":
            with open_picture(path) as file:
                return np.array(file.convert("L"))
        return decode(path)
    except FileNotFoundError as error:
        raise NeuroferError(
            f"the image{of} is missing: {path}; put it back or drop the stimulus"
        ) from error
    except PermissionError as error:
        raise NeuroferError(
            f"the image{of} cannot be read: {path} ({error.strerror}); "
            "allow reading it or drop the stimulus"
        ) from error
    except (NeuroferError, Image.DecompressionBombError) as error:
        raise NeuroferError(f"the image{of} is refused: {path}: {error}") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, ... for bad files
        raise NeuroferError(
            f"the image{of} cannot be read: {path} ({error}); it is truncated or not an image: "
            "copy it again from its source or drop the stimulus"
        ) from error


@contextmanager
def open_picture(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[Image.Image]:
    """Open a picture of one of `FORMATS` whose size is within `MAX_PIXELS`; nothing is decoded yet.

    Raises:
        NeuroferError: more than `MAX_PIXELS` pixels, or the path is not a regular file.
        Exception: whatever Pillow raises for a file that it cannot read.
    """
    if isinstance(source, (str, os.PathLike)) and (kind := irregular(os.stat(source).st_mode)):
        raise NeuroferError(f"it is {kind}, not a regular file")
    with Image.open(source, formats=FORMATS) as file:
        width, height = file.size
        if width * height > MAX_PIXELS:
            raise NeuroferError(
                f"it unpacks to {width} x {height} pixels, and more than {MAX_PIXELS:,} are "
                "refused; shrink it"
            )
        yield file


def irregular(mode: int) -> str:
    """Return what a path of a mode (of `os.stat`) is, "" where it is a regular file.

    Opening a named pipe waits for somebody to write into it.
    """
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def decode(path: str | os.PathLike[str]) -> np.ndarray:
    """Return an image file's pixels, upright, as (H, W, 3) uint8.

    EXIF orientation is applied; grey, palette and CMYK become RGB; what is transparent is laid
    over `ALPHA_BACKGROUND`; 16 bits are scaled to 8.

    Raises:
        NeuroferError: more than `MAX_PIXELS` pixels, or values that have no known range.
        Exception: whatever Pillow raises for a file that it cannot read.
    """
    with open_picture(path) as file:
        image: Image.Image = file
        if _orientation(file) != 1:
            image = ImageOps.exif_transpose(file)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return _eight_bits(image)
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            pixels = image.convert("RGBA")
            under = Image.new("RGBA", pixels.size, (*ALPHA_BACKGROUND, 255))
            image = Image.alpha_composite(under, pixels).convert("RGB")
        elif image.mode != "RGB":
            image = image.convert("RGB")
        return np.array(image)


def dim(path: str | os.PathLike[str], image: np.ndarray) -> str:
    """Return a note on a file of 16 bits that uses less than an eighth of them; else "".

    Cameras of 10 or 12 bits are often saved so; scaled by 65535 they are nearly black.

    Args:
        path: of the image's file.
        image: (H, W, 3) uint8, what was decoded of it.
    """
    if image.max() > DIM:
        return ""
    with open_picture(path) as file:
        if _bits(file) < 16:
            return ""
    return (
        "its values have 16 bits and use less than an eighth of their range, so that it is nearly "
        "black; if they come from a camera of 10 or 12 bits, scale them to 0 to 65535 or save "
        "8 bits"
    )


def _bits(file: Image.Image) -> int:
    """Return the bits of a channel, as the file states them: Pillow reads colours as 8."""
    content: IO[bytes] | None = getattr(file, "fp", None)
    if file.format == "PNG" and content is not None:
        content.seek(24)  # after the signature, the header's length, name, width and height
        return content.read(1)[0]
    if file.format == "TIFF":
        bits = file.tag_v2.get(_BITS_PER_SAMPLE, 8)  # type: ignore[attr-defined]
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return 8


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W) uint8 as PNG."""
    # Level 3 is three times as fast as the default 6 and 5 % larger on rendered heads.
    Image.fromarray(image).save(path, format="PNG", compress_level=3)


def ahead(function: Callable[[T], R], items: Iterable[T], *, window: int = 32) -> Iterator[R]:
    """Yield `function(item)` in order, computed in threads at most `window` items ahead.

    Args:
        function: is called in threads.
        items: one call each.
        window: the most results that wait.
    """
    pool = ThreadPoolExecutor(min(DECODE_THREADS, cores()))
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata of a sound image: Pillow raises as many kinds as for pixels
        return 1


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint8 of a grey image with 16 bits: 65535 becomes 255."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F" or low < 0 or high > 65535:
        raise NeuroferError(
            f"its values reach from {low} to {high}, and whose range is unknown is not scaled; "
            "save it with 8 or 16 bits"
        )
    scaled = (values.astype(np.uint32) * 255 + 32767) // 65535
    return np.repeat(scaled.astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
