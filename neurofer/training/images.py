"""Training images: on the device as bytes where they fit, streamed from threads where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from neurofer.errors import NeuroferError
from neurofer.recording.layout import HASH_DIGITS
from neurofer.schema import Strict
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.images import DECODE_THREADS, ahead
from neurofer.stimuli.own import read_pictures
from neurofer.stimuli.protocols import held_out as not_among
from neurofer.subjects.preprocess import network_input
from neurofer.subjects.weight_files.shipped import weight_file
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.subjects.weight_files.trained_on import trained_on
from neurofer.training.dividing import held_out, people_of, validating
from neurofer.training.world import sent
from neurofer.workers import cores

RESIDENT_BYTES = 4 << 30
"""A set whose pixels take no more than this is kept in memory; on a GPU, a third of what is free.
"""

AHEAD_BYTES = 256 << 20
"""No more pixels than this wait in memory for the step that sees them."""

_AT_ONCE = 64  # images of a part, where all are asked for


class ImageData(Strict):
    """Which images a recipe trains on.

    Attributes:
        stimuli: the name of a set.
        parameters: of the set.
        folder: instead of a set, a folder of your own pictures (`read_pictures`); in a file, below
            that of the recipe.
        select: column -> value or values.
        people: how many identities, those with the most images; default: all.
        size: to which every image is resized, in pixels.
        held_out: whether whole identities are held out, images of all of them, or, by the set's
            own "split", all that are not its training images.
        share: the part that is held out; a split has its own.
        folds, fold: for identities, instead of a share: they are dealt to so many parts, and which
            of these is held out, from 0; training once for each fold tests every identity.
        validation: where a recipe takes scores while it trains (`evaluate_every`): the part of what
            would be trained on that they are taken from. With folds it is the next fold; a split
            with images of "val" beside others held out has its own. 0 takes the held-out images
            themselves, whose scores are then called those of validation.
    """

    stimuli: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    folder: str = ""
    select: dict[str, Any] = Field(default_factory=dict)
    people: int | None = Field(default=None, ge=2)
    size: int = Field(ge=16, le=512)
    held_out: Literal["identities", "images", "split"] = "identities"
    share: float = Field(default=0.15, gt=0, lt=1)
    folds: int = Field(default=0, ge=0)
    fold: int = Field(default=0, ge=0)
    validation: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _dealt(self) -> ImageData:
        if self.folds and self.held_out != "identities":
            raise ValueError(f"folds deal identities; held_out is {self.held_out!r}")
        if self.folds and not (self.folds >= 3 and self.fold < self.folds):
            raise ValueError(
                f"folds={self.folds}, fold={self.fold}: there are at least three folds (one is "
                "tested, one validates), and fold is below their number"
            )
        return self

    @model_validator(mode="after")
    def _of_one(self) -> ImageData:
        if bool(self.stimuli) == bool(self.folder):
            raise ValueError("give either 'stimuli', the name of a set, or 'folder', a path")
        if self.folder and self.parameters:
            raise ValueError("'parameters' are those of a set; a folder has none")
        return self

    @property
    def named(self) -> str:
        """What the images are called in messages: the set, or the folder."""
        return self.stimuli or self.folder

    def _check_people(self, stimuli: StimulusSet) -> None:
        if (self.held_out == "identities" or self.people) and not stimuli.table["identity"].all():
            raise NeuroferError(
                f"{self.folder} does not say who is shown, so that no identities can be held out: "
                "put the pictures of each person into a folder of their own within that of the "
                "expression, name them in the table, or choose held_out: images"
            )

    def load(self, *, quiet: bool = False) -> StimulusSet:
        """Return the stimuli."""
        progress = False if quiet else None
        if self.folder:
            stimuli = read_pictures(self.folder, progress=progress)
            self._check_people(stimuli)
        else:
            stimuli = load_stimuli(self.stimuli, progress=progress, **self.parameters)
        stimuli = stimuli.select(**self.select) if self.select else stimuli
        if self.people is None:
            return stimuli
        people = people_of(stimuli.table)
        counts = people.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        if len(counts) < self.people:
            raise NeuroferError(
                f"people={self.people}, but {self.named} has {len(counts)} identities"
            )
        return stimuli.take(np.flatnonzero(people.isin(counts.index[: self.people])))


@dataclass(frozen=True)
class Division:
    """The stimuli of a recipe: all of them, those that are trained on, those that are held out.

    `scored` says whether scores are taken while training, `validation` what they are taken from;
    it is None where those are the held-out images themselves.
    """

    stimuli: StimulusSet
    train: StimulusSet
    test: StimulusSet
    before: frozenset[str] = frozenset()
    """First digits of the hashes of the images that the starting weights were trained on."""
    validation: StimulusSet | None = None
    scored: bool = False

    def describe(self) -> dict[str, Any]:
        """Return what a weight file says of its data."""
        return {
            "source": ", ".join(sorted(set(self.stimuli.table["source"]))),
            "stimuli": self.stimuli.identifier,
            "training_images": len(self.train),
            "training_content": self.train.content,
            "held_out_images": len(self.test),
            **({"validation_images": len(self.validation)} if self.validation is not None else {}),
        }

    def split(self) -> dict[str, Any]:
        """Return what a card says of the division beside `describe`."""
        found = {
            "training_identities": people_of(self.train.table).nunique(),
            "held_out_identities": people_of(self.test.table).nunique(),
            "held_out_content": self.test.content,
        }
        if self.before:
            seen = self.test.table["image_sha256"].str[:HASH_DIGITS].isin(self.before)
            found["held_out_images_seen_by_start"] = int(seen.sum())
        return found

    @property
    def validated(self) -> StimulusSet:
        """What scores are taken from while training."""
        return self.test if self.validation is None else self.validation

    def named(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Name scores on the held-out images after what they are: validation, if chosen by them."""
        chosen = self.scored and self.validation is None
        return {f"validation_{key}" if chosen else key: value for key, value in scores.items()}

    def seen(self) -> frozenset[str]:
        """Return first digits of the hashes of all images that decided the weights."""
        shown = [self.train, *([self.validated] if self.scored else [])]
        hashes = (stimuli.table["image_sha256"].str[:HASH_DIGITS] for stimuli in shown)
        return self.before.union(*hashes)


def divide(
    data: ImageData, seed: int, *, start: str = "", validate: bool = False, quiet: bool = False
) -> Division:
    """Load the stimuli of a recipe and divide them; the errors are those of `held_out`.

    An image with the pixels of one that is tested or validated on is not trained on, whoever it is
    said to show.

    Args:
        data: of the recipe.
        seed: of the recipe.
        start: the weight file that the training starts from, as a recipe names it.
        validate: whether scores are taken while training (`evaluate_every`).
        quiet: show no progress.
    """
    stimuli = data.load(quiet=quiet)
    out = held_out(stimuli, data, seed)
    chosen = validating(stimuli, out, data, seed) if validate else None
    if chosen is None:
        train, test = (stimuli.take(np.flatnonzero(rows)) for rows in (~out, out))
        validation = None
    else:
        train, test, validation = (
            stimuli.take(np.flatnonzero(rows)) for rows in (~out & ~chosen, out & ~chosen, chosen)
        )
        train, validation = not_among(train, validation), not_among(validation, test)
    before = trained_on(load_tensors(weight_file(start))[1]) if start else frozenset()
    return Division(stimuli, not_among(train, test), test, before, validation, validate)


class ImageSource:
    """The images of a set at one size, as batches on a device.

    Args:
        stimuli: whose images they are.
        size: height and width of the batches in pixels.
        gray: one channel instead of three.
        device: where batches are wanted.
        resident: whether all are kept there as bytes; by default where they fit.
    """

    def __init__(
        self,
        stimuli: StimulusSet,
        size: int,
        *,
        gray: bool = False,
        device: torch.device | None = None,
        resident: bool | None = None,
    ) -> None:
        self._stimuli, self._size, self._gray = stimuli, size, gray
        self._device = device or torch.device("cpu")
        shape = (1 if gray else 3, size, size)
        fits = len(stimuli) * math.prod(shape) <= _room(self._device)
        self._resident: torch.Tensor | None = None
        self._coming: dict[int, Future[np.ndarray]] = {}
        self._most = max(1, AHEAD_BYTES // math.prod(shape))
        if fits if resident is None else resident:
            self._resident = self._read_all(shape)
        else:
            # A GPU computes while all cores decode; on the CPU both want the same cores.
            count = cores() if self._device.type == "cuda" else min(DECODE_THREADS, cores())
            self._pool = ThreadPoolExecutor(count, thread_name_prefix="images")

    def __len__(self) -> int:
        return len(self._stimuli)

    def _read_all(self, shape: tuple[int, int, int]) -> torch.Tensor:
        """Return all images on the device; a part at a time, for each copy waits for a GPU."""
        count = len(self)
        pixels = torch.empty((count, *shape), dtype=torch.uint8, device=self._device)
        images = ahead(self._decode, range(count))
        for start in range(0, count, _AT_ONCE):
            part = np.stack(list(islice(images, _AT_ONCE)))
            pixels[start : start + len(part)] = sent(part, self._device)
        return pixels

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """Return images, (n, C, size, size) uint8 on the device.

        Raises:
            NeuroferError: an image cannot be read; its stimulus is named.
        """
        if self._resident is not None:
            return self._resident[sent(np.asarray(positions), self._device)]
        numbers = [int(position) for position in positions]
        futures = {number: self._coming.pop(number, None) for number in dict.fromkeys(numbers)}
        for number, future in futures.items():
            futures[number] = future or self._pool.submit(self._decode, number)
        pixels = {number: future.result() for number, future in futures.items() if future}
        return sent(np.stack([pixels[number] for number in numbers]), self._device)

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield all images in order, a part at a time, as `batch` does."""
        parts = [
            np.arange(start, min(start + _AT_ONCE, len(self)))
            for start in range(0, len(self), _AT_ONCE)
        ]
        for part, after in zip(parts, [*parts[1:], ()], strict=True):
            images = self.batch(part)
            self.prefetch(np.asarray(after, dtype=np.int64))
            yield images

    def prefetch(self, positions: np.ndarray) -> None:
        """Start to decode images that will be asked for; nothing to do where all are resident.

        What is not asked for in the end is dropped, the oldest first, when `AHEAD_BYTES` are full.
        """
        if self._resident is not None:
            return
        for number in (int(position) for position in positions):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._decode, number)
                if len(self._coming) > self._most:
                    self._coming.pop(next(iter(self._coming))).cancel()

    def _decode(self, position: int) -> np.ndarray:
        image = self._stimuli.image(position)
        return network_input(image, self._size, colourless=self._gray)


class Sources:
    """The sources of several sets for one network; each set is decoded once, where it fits.

    Args:
        device: where batches are wanted.
        gray: one channel instead of three.
    """

    def __init__(self, device: torch.device, *, gray: bool = False) -> None:
        self._device, self._gray = device, gray
        self._made: dict[tuple[str, str, int], ImageSource] = {}

    def of(self, stimuli: StimulusSet, size: int) -> ImageSource:
        """Return the images of a set at a size, the same source for the same images."""
        key = stimuli.identifier, stimuli.content, size
        if key not in self._made:
            self._made[key] = ImageSource(stimuli, size, gray=self._gray, device=self._device)
        return self._made[key]


def _room(device: torch.device) -> int:
    """Return how many bytes of images may stay on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] // 3)
    return RESIDENT_BYTES
