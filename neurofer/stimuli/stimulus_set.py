"""StimulusSet: a table, one row per stimulus, and its images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import checked_name, content_hash
from neurofer.stimuli.images import (
    ImageFile,
    Picture,
    Stamp,
    ahead,
    check_image,
    dim,
    image_sha256,
    read_image,
)
from neurofer.stimuli.table import EXPRESSIONS, VIEWS, column, make_table
from neurofer.stimuli.writer import save_stimuli


class Labels(Protocol):
    """A part mask that is decoded when it is asked for."""

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return (H, W) uint8; raise a NeuroferError naming the stimulus if it cannot."""


Mask = np.ndarray | Path | Labels  # in memory, or a file that is decoded when it is asked for
# A Path is hashed at each reading, a Picture only where its file changed.
Held = np.ndarray | Path | Picture


class StimulusSet:
    """Stimuli that belong together: an immutable table and the images of its rows.

    Build one with `load_stimuli`, `read_stimuli`, `StimulusSet.from_arrays` or
    `StimulusSet.from_files`.

    Attributes:
        name: "bfs".
        landmarks: (n, 13, 2) float64, x and y in pixel-centre coordinates, the ten expression
            and then the three position landmarks of `neurofer.faces`; None if unknown.
    """

    def __init__(
        self,
        name: str,
        table: pd.DataFrame,
        images: Sequence[Held],
        *,
        landmarks: np.ndarray | None = None,
        parts: Sequence[Mask | None] | None = None,
    ) -> None:
        """Take a canonical table (of `make_table`) and as many images; see `from_arrays`."""
        n = len(table)
        if len(images) != n:
            raise NeuroferError(f"{n} rows in the table of {name!r} but {len(images)} images")
        if parts is not None and len(parts) != n:
            raise NeuroferError(f"{n} rows in the table of {name!r} but {len(parts)} part masks")
        self.name = checked_name(name, "stimulus set")
        self._table = table
        # A list may be changed by its owner; other sequences may make their items when asked.
        self._images = tuple(images) if isinstance(images, list) else images
        self._parts = tuple(parts) if parts is not None else None
        self.landmarks = _check_landmarks(landmarks, n, name)

    @classmethod
    def from_arrays(
        cls,
        name: str,
        table: pd.DataFrame,
        images: Iterable[np.ndarray],
        landmarks: np.ndarray | None = None,
        parts: Sequence[np.ndarray | None] | None = None,
    ) -> StimulusSet:
        """Make a set of images in memory.

        Args:
            name: of the set.
            table: one row per image; columns that it lacks are filled (`table.make_table`).
            images: (H, W, 3) uint8 each; sizes may differ.
            landmarks: (n, 13, 2), see the class.
            parts: (H, W) uint8 each, labels of `neurofer.faces.PARTS`.

        Raises:
            NeuroferError: an image is not (H, W, 3) uint8, or the table is wrong.

        >>> import numpy as np, pandas as pd
        >>> table = pd.DataFrame({"expression": ["neutral", "happy"], "source": "simulated"})
        >>> noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
        >>> StimulusSet.from_arrays("noise", table, noise).identifier
        'noise-simulated-...'
        """
        pictures = [_frozen(check_image(image, f"{i}")) for i, image in enumerate(images)]
        made = make_table(table, [image_sha256(picture) for picture in pictures])
        return cls(name, made, pictures, landmarks=landmarks, parts=parts)

    @classmethod
    def from_files(
        cls,
        name: str,
        table: pd.DataFrame,
        paths: Sequence[str | os.PathLike[str]],
        landmarks: np.ndarray | None = None,
        parts: Sequence[Mask | None] | None = None,
    ) -> StimulusSet:
        """Make a set of image files, which are decoded once now for their hashes, then when asked.

        Args:
            name: of the set.
            table: one row per image.
            paths: one per image.
            landmarks: (n, 13, 2) pixels, NaN where unknown.
            parts: one mask or None per image.

        Raises:
            NeuroferError: a file is missing, unreadable or truncated, or the table is wrong.
        """
        files = [Path(path) for path in paths]
        ids = table["stimulus_id"].tolist() if "stimulus_id" in table else [""] * len(files)
        labelled = list(zip(files, ids, strict=True))
        held = list(ahead(lambda item: _hashed(item[0], str(item[1])), labelled))
        made = make_table(table, [sha256 for _, sha256, _ in held])
        _warn_of_dim(name, [(file, note) for file, _, note in held if note])
        return cls(name, made, [file for file, _, _ in held], landmarks=landmarks, parts=parts)

    @property
    def table(self) -> pd.DataFrame:
        """The table, one row per stimulus (a copy: a set does not change)."""
        return self._table.copy()

    @cached_property
    def content(self) -> str:
        """The full hash of the table (with the pixels' hashes) and the landmarks."""
        columns = {str(name): column(self._table, str(name)) for name in self._table.columns}
        return content_hash(columns, self.landmarks)

    @property
    def identifier(self) -> str:
        """The name, "rendered" or "simulated" where it is so, and a hash of the content."""
        sources = sorted(set(self._table["source"]) & {"rendered", "simulated"})
        return "-".join([self.name, *sources, self.content[:8]])

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        heads = ", ".join(dict.fromkeys(self._table["head"]))
        return f"<StimulusSet {self.identifier}: {len(self)} images of {heads or 'unknown heads'}>"

    def image(self, i: int) -> np.ndarray:
        """Return one image, (H, W, 3) uint8.

        Its pixels are compared with the table's hash, unless its file's size and time of change
        say that it is the one that was hashed.

        Raises:
            NeuroferError: the file is missing, unreadable, truncated or not the table's.
        """
        picture = self._images[self._position(i)]
        if isinstance(picture, np.ndarray):
            return picture
        stimulus = str(self._table["stimulus_id"].iloc[i])
        if isinstance(picture, Path):
            known, pixels = False, read_image(picture, stimulus)
        else:
            # Size and time are looked at first: hashing costs a quarter of decoding a JPEG.
            known, pixels = picture.unchanged(), picture.read(stimulus)
        if not known and image_sha256(pixels) != self._table["image_sha256"].iloc[i]:
            raise NeuroferError(
                f"the image of stimulus {stimulus!r} has changed since the set was made: "
                f"{picture}; restore it, or make the set again"
            )
        return pixels

    def images(self, positions: Iterable[int] | None = None) -> Iterator[np.ndarray]:
        """Yield the images in the order of `positions` (default: all), decoded in threads."""
        chosen = range(len(self)) if positions is None else [self._position(i) for i in positions]
        if all(isinstance(self._images[i], np.ndarray) for i in chosen):
            return iter([self._images[i] for i in chosen])  # type: ignore[misc]
        return ahead(self.image, chosen)

    def parts(self, i: int) -> np.ndarray | None:
        """Return the part labels of one image, (H, W) uint8 of `faces.PARTS`, None if unknown."""
        picture = None if self._parts is None else self._parts[self._position(i)]
        if picture is None or isinstance(picture, np.ndarray):
            return picture
        stimulus = str(self._table["stimulus_id"].iloc[i])
        if isinstance(picture, Path):
            return read_image(picture, stimulus, mode="L")
        return picture.read(stimulus)

    def select(self, **conditions: Any) -> StimulusSet:
        """Return the stimuli whose columns have these values (a value or a list a column).

        Raises:
            NeuroferError: a column or a value does not occur, or nothing is left.

        >>> stimuli.select(head="human", expression=["neutral", "happy"])  # doctest: +SKIP
        """
        keep = np.ones(len(self), dtype=bool)
        for name, wanted in conditions.items():
            if name not in self._table:
                raise unknown_choice(
                    "column", name, self._table.columns, f"stimulus set {self.name!r}"
                )
            values = self._table[name]
            several = isinstance(wanted, (list, tuple, set, frozenset, np.ndarray, pd.Series))
            options = list(wanted) if several else [wanted]
            for option in options:
                if not (values == option).any():
                    raise unknown_choice(
                        name, option, in_order(name, values), f"stimulus set {self.name!r}"
                    )
            keep &= values.isin(options).to_numpy()
        if not keep.any():
            said = ", ".join(f"{name}={value!r}" for name, value in conditions.items())
            raise NeuroferError(
                f"no stimulus of {self.name!r} has {said} together; "
                "each value occurs, but not in one row"
            )
        return self.take(np.flatnonzero(keep))

    def take(self, positions: Iterable[int]) -> StimulusSet:
        """Return the stimuli at these positions, in this order.

        Raises:
            NeuroferError: there are none, one is outside the set, or one occurs twice.
        """
        chosen = [self._position(i) for i in positions]
        if not chosen:
            raise NeuroferError(f"an empty selection of stimulus set {self.name!r}")
        if len(set(chosen)) != len(chosen):
            raise NeuroferError(f"a position of stimulus set {self.name!r} is taken twice")
        return StimulusSet(
            self.name,
            self._table.iloc[chosen].reset_index(drop=True),
            [self._images[i] for i in chosen],
            landmarks=None if self.landmarks is None else self.landmarks[chosen],
            parts=None if self._parts is None else [self._parts[i] for i in chosen],
        )

    def with_landmarks(self, landmarks: np.ndarray | None) -> StimulusSet:
        """Return the same stimuli with other landmarks, (n, 13, 2); None: with none."""
        return StimulusSet(
            self.name, self._table, self._images, landmarks=landmarks, parts=self._parts
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write table.csv, images/*.png, landmarks.csv and parts/*.png, whole or not at all.

        Returns the folder; `read_stimuli` reads it.
        """
        return save_stimuli(
            folder,
            name=self.name,
            identifier=self.identifier,
            table=self.table,
            image=self.image,
            parts=self.parts,
            landmarks=self.landmarks,
        )

    def _position(self, i: int) -> int:
        if not -len(self) <= i < len(self):
            raise NeuroferError(
                f"position {i} is outside stimulus set {self.name!r} of {len(self)}"
            )
        return int(i) % len(self)


def in_order(name: str, values: Any) -> list[Any]:
    """Return the values that occur: expressions and views in canonical order, numbers ascending.

    Expressions that are not canonical come after those that are, by name.
    """
    found = list(dict.fromkeys(values))
    if name == "expression":
        canonical = [value for value in ("", *EXPRESSIONS) if value in found]
        return canonical + sorted(set(found) - set(canonical))
    if name == "view" and set(found) <= {"", *VIEWS}:
        return [value for value in ("", *VIEWS) if value in found]
    return found if found and isinstance(found[0], str) else sorted(found)


def _hashed(path: Path, stimulus_id: str) -> tuple[ImageFile, str, str]:
    """Return a file, stamped before it is decoded, the hash of its pixels, and `images.dim`."""
    stamp = Stamp.of(path) if path.is_file() else Stamp(0, 0, False)
    pixels = read_image(path, stimulus_id)
    return ImageFile(str(path), stamp), image_sha256(pixels), dim(path, pixels)


def _warn_of_dim(name: str, found: Sequence[tuple[ImageFile, str]]) -> None:
    if found:
        file, note = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        warnings.warn(f"stimulus set {name!r}, {file}{more}: {note}", stacklevel=3)


def _frozen(image: np.ndarray) -> np.ndarray:
    copy = np.array(image)
    copy.flags.writeable = False
    return copy


def _check_landmarks(landmarks: np.ndarray | None, n: int, name: str) -> np.ndarray | None:
    if landmarks is None:
        return None
    made = np.array(landmarks, dtype=np.float64)
    if made.shape != (n, 13, 2):
        raise NeuroferError(
            f"the landmarks of stimulus set {name!r} have shape {made.shape}; "
            f"they must be ({n}, 13, 2): ten expression and three position landmarks, x and y"
        )
    made[np.isnan(made)] = np.nan  # one NaN: files do not keep its other bits
    made.flags.writeable = False
    return made
