"""What a recording needs of a subject: sites, batches and `respond`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Site:
    """A place in a subject that can be recorded from.

    Attributes:
        name: "conv3_3", "nre".
        region: the Brain-Score region that it stands for ("IT"), or None.
        labels: names of the units of the flattened site, None where they have none.
    """

    name: str
    region: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Batch:
    """What a subject is shown at once.

    Attributes:
        images: (H, W, 3) uint8 each; sizes may differ.
        table: the rows of the stimulus table, one per image.
        landmarks: (n, 13, 2) ground truth in pixel-centre coordinates; None for photographs.
        parts: (H, W) labels of `neurofer.faces.PARTS` each, None where they are unknown.
    """

    images: list[np.ndarray]
    table: pd.DataFrame
    landmarks: np.ndarray | None = None
    parts: Sequence[np.ndarray | None] = ()

    def __len__(self) -> int:
        return len(self.images)


@runtime_checkable
class Recordable(Protocol):
    """A subject, as far as a recording is concerned.

    It may have `further_sites` as well, which are recorded where they are named only.
    """

    @property
    def identifier(self) -> str:
        """Name and hash of what decides the responses."""

    @property
    def sites(self) -> Mapping[str, Site]:
        """All sites by name."""

    @property
    def default_sites(self) -> tuple[str, ...]:
        """The sites that are recorded when none is named."""

    @property
    def training_images(self) -> frozenset[str]:
        """`image_sha256`, or its first digits, of every image that it was trained on."""

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of every site, (n, ...) float32, from one forward pass."""


def all_sites(subject: Recordable) -> dict[str, Site]:
    """Return the sites of a subject by name, with those that are recorded only where named."""
    return {**subject.sites, **getattr(subject, "further_sites", {})}
