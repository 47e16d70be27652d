"""The FR pathway's first pass: which head is it, and where.

A star model: each known face has three templates (left eye, right eye, nose) at known distances
from their centroid. The image is searched at half resolution for the face, the place and the two
scales at which the three templates together fit best. Nothing but the image is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from neurofer.subjects.norm_referenced.localisation import localise
from neurofer.subjects.norm_referenced.templates import TemplateBank, unit_features
from neurofer.subjects.trunk import Trunk, layer_stride, to_map, to_pixels

SHRINK = 2  # the first pass sees every second pixel
TEMPLATE = 5
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)
# A template that fits worse than this counts as not there, so that a covered eye does not decide.
WORST = 1.0


@dataclass(frozen=True)
class FirstLook:
    """What the first pass found in one image.

    Attributes:
        face: index of the known face that fits best.
        position: (3, 2) left eye, right eye, nose, pixels; NaN where nothing fits.
        distance: (3,) of their templates.
        cost: (faces,) mean distance of each known face's three templates at their best place.
    """

    face: int
    position: np.ndarray
    distance: np.ndarray
    cost: np.ndarray


class FaceFinder:
    """The star model of the known faces.

    Args:
        trunk, layer, channels: where features come from; channels None for all.
        images: (faces, 3, H, W) float32, the training image of each known face.
        position: (faces, 3, 2) its position landmarks, pixels.
    """

    def __init__(
        self,
        trunk: Trunk,
        layer: str,
        channels: np.ndarray | None,
        images: torch.Tensor,
        position: np.ndarray,
        *,
        scales: Sequence[float] = SCALES,
    ) -> None:
        self.trunk, self.layer, self.channels = trunk, layer, channels
        self.stride = layer_stride(layer)
        self.scales = tuple((x, y) for x in scales for y in sorted({1.0, x}))
        places = self._to_cells(position)
        features = torch.cat([self._features(image[None]) for image in images])
        self.bank = TemplateBank.cut(features, places, TEMPLATE, range(len(images)))
        self.star = places - places.mean(axis=1, keepdims=True)

    def look(self, image: torch.Tensor) -> FirstLook:
        """Find the face in one image (1, 3, H, W)."""
        distance = self.bank.distances(self._features(image))[0].numpy()
        near = -functional.max_pool2d(-torch.from_numpy(distance)[None], 3, 1, 1)[0].numpy()
        near = np.minimum(near, WORST)
        cost = np.full(len(self.star), np.inf)
        best: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for face, star in enumerate(self.star):
            rows = self._rows(face)
            for scale in self.scales:
                arms = np.rint(star * scale).astype(int)
                total = sum_at_arms(near[rows], arms)
                place = np.unravel_index(total.argmin(), total.shape)
                value = float(total[place]) / len(arms)
                if value < cost[face] - 1e-9:
                    cost[face] = value
                    best[face] = (np.array(place[::-1]), arms)
        face = int(cost.argmin())
        centre, arms = best[face]
        found = localise(distance, self.bank, centre + arms, 2, sources=[face])
        return FirstLook(face, self._to_pixels(found.place), found.distance, cost)

    def _rows(self, face: int) -> np.ndarray:
        """Return the rows of a face's templates in the order of the landmarks."""
        rows = np.flatnonzero(self.bank.source == face)
        return rows[np.argsort(self.bank.landmark[rows])]

    def _features(self, image: torch.Tensor) -> torch.Tensor:
        small = functional.avg_pool2d(image, SHRINK)
        return unit_features(self.trunk(small, (self.layer,))[self.layer], self.channels)

    def _to_cells(self, pixels: np.ndarray) -> np.ndarray:
        return to_map(to_map(pixels, SHRINK), self.stride)

    def _to_pixels(self, cells: np.ndarray) -> np.ndarray:
        return to_pixels(to_pixels(cells, self.stride), SHRINK)


def sum_at_arms(maps: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """Return at every place the sum of maps, each read at its own arm's end.

    Args:
        maps: (k, h, w).
        arms: (k, 2) x and y in cells; an end beyond the border counts `WORST`.
    """
    total = np.zeros(maps.shape[1:])
    height, width = maps.shape[1:]
    for values, (x, y) in zip(maps, arms, strict=True):
        moved = np.full((height, width), WORST)
        to_y, to_x = (
            slice(max(0, -y), min(height, height - y)),
            slice(max(0, -x), min(width, width - x)),
        )
        from_y, from_x = (
            slice(max(0, y), min(height, height + y)),
            slice(max(0, x), min(width, width + x)),
        )
        moved[to_y, to_x] = values[from_y, from_x]
        total += moved
    return total
