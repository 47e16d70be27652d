"""Where a landmark lies: from maps of template distances to a position below the cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from neurofer.errors import unknown_choice
from neurofer.subjects.norm_referenced.templates import TemplateBank, radial_activity

LOCALISERS: Final = ("quadratic", "rbf")

# The original sets activities below a tenth of the possible maximum to zero.
LEAST_ACTIVITY = 0.1


@dataclass(frozen=True)
class Found:
    """Landmarks that were looked for in one image.

    Attributes:
        place: (l, 2) x and y in cells; NaN where nothing was found.
        distance: (l,) relative squared distance of the nearest template; infinite where none.
    """

    place: np.ndarray
    distance: np.ndarray


def localise(
    distance: np.ndarray,
    bank: TemplateBank,
    centre: np.ndarray,
    radius: float,
    *,
    localiser: str = "quadratic",
    sources: Sequence[int] | None = None,
) -> Found:
    """Find every landmark of a bank in the receptive fields of its templates.

    Args:
        distance: (t, h, w) of the bank's templates.
        bank: t templates of l landmarks, numbered from 0.
        centre: (l, 2) the landmarks' places in the reference, x and y in cells; NaN for one that
            is not to be looked for.
        radius: of the receptive fields, in cells.
        localiser: "quadratic": the place of the nearest template, below the cell by a parabola;
            "rbf": the mean place weighted by activity, as the original.
        sources: use only templates of these sources; None for all.

    Raises:
        NeuroferError: unknown localiser.
    """
    if localiser not in LOCALISERS:
        raise unknown_choice("localiser", localiser, LOCALISERS)
    place = np.full((len(centre), 2), np.nan)
    nearest = np.full(len(centre), np.inf)
    height, width = distance.shape[1:]
    fields = bank.receptive_fields(np.nan_to_num(centre), radius, (height, width))
    within = np.where(fields, distance, np.inf)
    chosen = np.full(len(bank.landmark), True)
    if sources is not None:
        chosen = np.isin(bank.source, list(sources))
    for landmark in np.flatnonzero(~np.isnan(centre).any(axis=-1)):
        rows = np.flatnonzero(chosen & (bank.landmark == landmark))
        if not len(rows):
            continue
        template, y, x = np.unravel_index(within[rows].argmin(), within[rows].shape)
        best, cell = rows[template], np.array([x, y])
        nearest[landmark] = within[best, y, x]
        if localiser == "quadratic":
            # The parabola may look beyond the field; only its minimum has to lie within.
            below = quadratic_offset(distance[best], cell)
            place[landmark] = cell + below + bank.offset[best]
        else:
            place[landmark] = mean_place(within[rows], bank.offset[rows])
    return Found(place, nearest)


def refine(
    features: torch.Tensor,
    bank: TemplateBank,
    places: np.ndarray,
    radius: int,
    *,
    sources: Sequence[int] | None = None,
) -> np.ndarray:
    """Return places again, from the nearest template within some cells of each, (l, 2) in cells.

    Args:
        features: (1, channels, h, w) of a finer layer.
        bank: templates of l landmarks on that layer.
        places: (l, 2) x and y in its cells; NaN stays NaN.
        radius: in cells.
        sources: see `localise`.
    """
    if sources is not None:
        bank = bank.take(np.flatnonzero(np.isin(bank.source, list(sources))))
    refined = np.full(places.shape, np.nan)
    for landmark in np.flatnonzero(~np.isnan(places).any(axis=-1)):
        rows = np.flatnonzero(bank.landmark == landmark)
        # One cell more on each side, for the parabola at the edge.
        near, corner = bank.distances_near(
            features, int(landmark), np.rint(places[landmark]), radius + 1
        )
        distance = near.numpy()
        inner = distance[:, 1:-1, 1:-1]
        template, y, x = np.unravel_index(inner.argmin(), inner.shape)
        cell = np.array([x + 1, y + 1])
        below = quadratic_offset(distance[template], cell)
        refined[landmark] = corner + cell + below + bank.offset[rows[template]]
    return refined


def quadratic_offset(values: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return where the parabola through a minimum and its neighbours is least, (2,) in cells.

    x and y are fitted apart. At the border the neighbour within is taken for the middle; the
    answer is at most one cell from the middle.

    Args:
        values: (h, w), at least 3 x 3.
        cell: x and y of the minimum.
    """
    height, width = values.shape
    x, y = int(np.clip(cell[0], 1, width - 2)), int(np.clip(cell[1], 1, height - 2))
    here = float(values[y, x])
    offset = np.zeros(2)
    neighbours = ((values[y, x - 1], values[y, x + 1]), (values[y - 1, x], values[y + 1, x]))
    for axis, (low, high) in enumerate(neighbours):
        bend = float(low) - 2.0 * here + float(high)
        if bend > 1e-9:
            offset[axis] = np.clip((float(low) - float(high)) / (2.0 * bend), -1.0, 1.0)
    return offset + np.array([x, y]) - cell


def mean_place(distance: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the mean place weighted by activity, (2,) in cells; NaN where all are silent.

    Each place has the activity of its most active template.

    Args:
        distance: (t, h, w), infinite outside the receptive fields.
        offsets: (t, 2) of the templates.
    """
    activity = radial_activity(distance)
    activity = np.where(activity < LEAST_ACTIVITY, 0.0, activity)
    best, template = activity.max(axis=0), activity.argmax(axis=0)
    total = best.sum()
    if total == 0:
        return np.full(2, np.nan)
    lines, columns = np.indices(best.shape)
    places = np.stack([columns, lines], axis=-1) + offsets[template]
    return np.asarray((best[..., None] * places).sum(axis=(0, 1)) / total)
