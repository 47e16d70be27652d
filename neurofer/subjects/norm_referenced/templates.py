"""Radial-basis templates: patches of the trunk's features round a landmark.

A unit tuned to a template T responds to the patch F of features round each place with
exp(-|F - T|^2 / (2 sigma^2)), as in the original. Two things differ: the features are brought to
unit length at each place first, and the squared distance is relative to |T|^2, so that one sigma
serves every template. Distances are kept rather than activities: places are read from them.

A unit has a receptive field: the line along which its landmark had moved in the image that the
template was cut from, from its place in the reference on, and some pixels on either side. (The
original draws such fields by hand.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from neurofer.errors import NeuroferError

# Activity at a relative squared distance d is exp(-d / (2 WIDTH^2)). The best patch of another
# identity lies at about 0.2, a patch that shows something else above 0.6.
WIDTH = 0.4


def unit_features(activity: torch.Tensor, channels: np.ndarray | None = None) -> torch.Tensor:
    """Return features of unit length at each place.

    Args:
        activity: (n, channels, h, w), not negative.
        channels: which channels to use; None for all.
    """
    if channels is not None:
        activity = activity[:, torch.as_tensor(channels)]
    length = torch.linalg.vector_norm(activity, dim=1, keepdim=True)
    # A thousandth of the mean keeps places without activity (a plain background) near zero.
    floor = 1e-3 * length.mean(dim=(1, 2, 3), keepdim=True) + 1e-12
    return activity / (length + floor)


@dataclass(frozen=True)
class TemplateBank:
    """Templates of several landmarks, cut from several images.

    Attributes:
        patches: (t, channels, k, k).
        landmark: (t,) which landmark each template belongs to.
        offset: (t, 2) the landmark's place less the patch's central cell, x and y in cells.
        travel: (t, 2) how far the landmark had moved from the reference, x and y in cells.
        source: (t,) which known face it was cut from, -1 for a tuning image.
    """

    patches: torch.Tensor
    landmark: np.ndarray
    offset: np.ndarray
    travel: np.ndarray
    source: np.ndarray

    @classmethod
    def cut(
        cls,
        features: torch.Tensor,
        places: np.ndarray,
        size: int,
        sources: Sequence[int],
        travel: np.ndarray | None = None,
    ) -> TemplateBank:
        """Cut one template an image and landmark.

        Args:
            features: (n, channels, h, w).
            places: (n, l, 2) of the landmarks, x and y in cells; NaN where one is hidden, which
                gives no template.
            size: k, odd.
            sources: (n,) see `source`.
            travel: (n, l, 2) in cells; None for nothing.

        Raises:
            NeuroferError: an even size, or not one landmark is visible.
        """
        if size % 2 == 0 or size < 1:
            raise NeuroferError(f"template size={size}; it must be odd")
        half = size // 2
        padded = functional.pad(features, (half,) * 4, mode="replicate")
        shown = np.argwhere(~np.isnan(places).any(axis=-1))
        if not len(shown):
            raise NeuroferError("no landmark is visible in the training images, so no templates")
        limits = (features.shape[3] - 1, features.shape[2] - 1)
        cells = np.rint(np.nan_to_num(places)).clip(0, limits).astype(int)
        patches = [
            padded[image, :, y : y + size, x : x + size]
            for (image, _), (x, y) in zip(shown, cells[tuple(shown.T)], strict=True)
        ]
        moved = np.zeros_like(places) if travel is None else travel
        return cls(
            patches=torch.stack(patches),
            landmark=shown[:, 1],
            offset=(places - cells)[tuple(shown.T)],
            travel=moved[tuple(shown.T)],
            source=np.asarray(sources)[shown[:, 0]],
        )

    @classmethod
    def join(cls, banks: Sequence[TemplateBank]) -> TemplateBank:
        """Return one bank of the templates of several."""
        return cls(
            torch.cat([bank.patches for bank in banks]),
            np.concatenate([bank.landmark for bank in banks]),
            np.concatenate([bank.offset for bank in banks]),
            np.concatenate([bank.travel for bank in banks]),
            np.concatenate([bank.source for bank in banks]),
        )

    def distances(self, features: torch.Tensor) -> torch.Tensor:
        """Return |F - T|^2 / |T|^2 at every place, (n, t, h, w).

        Args:
            features: (n, channels, h, w); beyond the border the border's features go on.
        """
        half = self.patches.shape[-1] // 2
        return self._valid_distances(functional.pad(features, (half,) * 4, mode="replicate"))

    def distances_near(
        self, features: torch.Tensor, landmark: int, cell: np.ndarray, radius: int
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Return the distances of one landmark's templates near a cell.

        Args:
            features: (1, channels, h, w).
            landmark: which.
            cell: x and y of the middle, moved into the map.
            radius: in cells.

        Returns:
            (t of this landmark, 2 radius + 1, 2 radius + 1), and x and y of its first cell.
        """
        rows = np.flatnonzero(self.landmark == landmark)
        reach = radius + self.patches.shape[-1] // 2
        height, width = features.shape[2:]
        x, y = np.clip(cell, 0, (width - 1, height - 1)).astype(int)
        columns = torch.arange(x - reach, x + reach + 1).clamp(0, width - 1)
        lines = torch.arange(y - reach, y + reach + 1).clamp(0, height - 1)
        around = features[:, :, lines][:, :, :, columns]
        near = self.take(rows)._valid_distances(around)[0]
        return near, np.array([x - radius, y - radius])

    def take(self, rows: np.ndarray) -> TemplateBank:
        """Return a bank of some templates."""
        return TemplateBank(
            self.patches[torch.as_tensor(rows)],
            self.landmark[rows],
            self.offset[rows],
            self.travel[rows],
            self.source[rows],
        )

    def _valid_distances(self, features: torch.Tensor) -> torch.Tensor:
        """Return the distances at every place whose whole patch lies in the features."""
        size = self.patches.shape[-1]
        common = functional.conv2d(features, self.patches)
        energy = functional.avg_pool2d((features**2).sum(dim=1, keepdim=True), size, 1) * size**2
        own = (self.patches**2).sum(dim=(1, 2, 3)).view(1, -1, 1, 1).clamp(min=1e-12)
        return ((energy - 2.0 * common) / own + 1.0).clamp(min=0.0)

    def receptive_fields(
        self, centre: np.ndarray, radius: float, shape: tuple[int, int]
    ) -> np.ndarray:
        """Return where each template may match, (t, h, w) bool.

        That is within the radius of the line from the landmark's place in the reference to there
        plus the template's travel.

        Args:
            centre: (l, 2) the landmarks' places in the reference, x and y in cells.
            radius: in cells; the nearest cell always belongs to the field.
            shape: (h, w).
        """
        lines, columns = np.indices(shape)
        x = columns[None] - centre[self.landmark, 0, None, None]
        y = lines[None] - centre[self.landmark, 1, None, None]
        travel_x, travel_y = (self.travel[:, axis, None, None] for axis in (0, 1))
        length = travel_x**2 + travel_y**2
        along = (x * travel_x + y * travel_y) / np.where(length > 0, length, 1.0)
        along = np.clip(along, 0.0, 1.0)
        away = (x - along * travel_x) ** 2 + (y - along * travel_y) ** 2
        nearest = away.min(axis=(1, 2), keepdims=True)
        return away <= np.maximum(radius**2, nearest)


def radial_activity(distance: np.ndarray, width: float = WIDTH) -> np.ndarray:
    """Return exp(-d / (2 width^2)) of relative squared distances d."""
    return np.exp(-np.asarray(distance) / (2.0 * width**2))
