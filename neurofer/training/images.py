"""Training images: on the device as bytes where they fit, streamed from threads where not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.images import ahead
from neurofer.stimuli.protocols import held_out as not_among
from neurofer.subjects.preprocess import network_input
from neurofer.training.strict import Strict

RESIDENT_BYTES = 4 << 30
"""A set whose pixels take no more than this is kept on the device."""

_THREADS = 4
_AT_ONCE = 64  # images of a part, where all are asked for


class ImageData(Strict):
    """Which images a recipe trains on.

    Attributes:
        stimuli: the name of a set.
        parameters: of the set.
        select: column -> value or values.
        size: to which every image is resized, in pixels.
        held_out: whether whole identities are held out, images of all of them, or, by the set's
            own "split", all that are not its training images.
        share: the part that is held out; a split has its own.
    """

    stimuli: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    select: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(ge=16, le=512)
    held_out: Literal["identities", "images", "split"] = "identities"
    share: float = Field(default=0.15, gt=0, lt=1)

    def load(self, *, quiet: bool = False) -> StimulusSet:
        """Return the stimuli."""
        stimuli = load_stimuli(self.stimuli, progress=False if quiet else None, **self.parameters)
        return stimuli.select(**self.select) if self.select else stimuli


def held_out(stimuli: StimulusSet, data: ImageData, seed: int) -> np.ndarray:
    """Return which stimuli are held out, (n,) bool; an identity belongs to a head.

    Raises:
        NeuroferError: the set is too small to be divided so.
    """
    table = stimuli.table
    if data.held_out == "split":
        others = (table["split"] != "train").to_numpy()
        if others.all() or not others.any():
            raise NeuroferError(
                f"{data.stimuli} is all {', '.join(sorted(set(table['split'])))}: its own split "
                "holds nothing out; choose held_out out of identities, images"
            )
        return others
    random = np.random.default_rng((seed, 2))
    people = (table["head"] + "/" + table["identity"]).to_numpy()
    names = np.unique(people)
    if data.held_out == "identities":
        count = max(1, round(data.share * len(names)))
        if count >= len(names):
            raise NeuroferError(
                f"{data.stimuli} has {len(names)} identities, too few to hold some out"
            )
        # A part of every head: heads are not to be absent from either side by chance.
        heads = np.array([name.split("/")[0] for name in names])
        chosen: list[str] = []
        for head in np.unique(heads):
            some = random.permutation(names[heads == head])
            chosen += some[: round(data.share * len(some))].tolist()
        return np.isin(people, chosen)
    out = np.zeros(len(table), bool)
    for name in names:
        rows = random.permutation(np.flatnonzero(people == name))
        out[rows[: round(data.share * len(rows))]] = True
    if not out.any() or not np.isin(people, people[~out]).all():
        raise NeuroferError(f"{data.stimuli} has too few images an identity to hold some out")
    return out


@dataclass(frozen=True)
class Division:
    """The stimuli of a recipe: all of them, those that are trained on, those that are held out."""

    stimuli: StimulusSet
    train: StimulusSet
    test: StimulusSet

    def describe(self) -> dict[str, Any]:
        """Return what a weight file says of its data."""
        return {
            "source": ", ".join(sorted(set(self.stimuli.table["source"]))),
            "stimuli": self.stimuli.identifier,
            "training_images": len(self.train),
            "training_content": self.train.content,
            "held_out_images": len(self.test),
        }


def divide(data: ImageData, seed: int, *, quiet: bool = False) -> Division:
    """Load the stimuli of a recipe and divide them; the errors are those of `held_out`.

    An image with the pixels of one that is held out is not trained on, whoever it is said to show.
    """
    stimuli = data.load(quiet=quiet)
    out = held_out(stimuli, data, seed)
    train, test = (stimuli.take(np.flatnonzero(rows)) for rows in (~out, out))
    return Division(stimuli, not_among(train, test), test)


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
        channels = 1 if gray else 3
        fits = len(stimuli) * channels * size * size <= RESIDENT_BYTES
        self._resident: torch.Tensor | None = None
        self._coming: dict[int, Future[np.ndarray]] = {}
        if fits if resident is None else resident:
            pixels = np.stack(list(ahead(self._decode, range(len(stimuli)))))
            self._resident = torch.from_numpy(pixels).to(self._device)
        else:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="images")

    def __len__(self) -> int:
        return len(self._stimuli)

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """Return images, (n, C, size, size) uint8 on the device."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(np.asarray(positions)).to(self._device)]
        self.prefetch(positions)
        pixels = np.stack([self._coming.pop(int(position)).result() for position in positions])
        return torch.from_numpy(pixels).to(self._device)

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield all images in order, a part at a time, as `batch` does."""
        for start in range(0, len(self), _AT_ONCE):
            yield self.batch(np.arange(start, min(start + _AT_ONCE, len(self))))

    def prefetch(self, positions: np.ndarray) -> None:
        """Start to decode images that will be asked for; nothing to do where all are resident."""
        if self._resident is None:
            for position in positions:
                if int(position) not in self._coming:
                    self._coming[int(position)] = self._pool.submit(self._decode, int(position))

    def _decode(self, position: int) -> np.ndarray:
        image = self._stimuli.image(position)
        return network_input(image, self._size, colourless=self._gray)
