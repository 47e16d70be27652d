"""How flat a unit's tuning is orthogonally to its axis (Chang & Tsao 2017, Cell 169:1013).

A unit that codes an axis responds alike to all faces with the same place on it; one that is tuned
to an exemplar declines with their distance from it, too. Orthogonally to the axis of least squares
the slope is 0 by construction, and where several directions vary alike, as expressions do, none of
them is the principal one. What is measured is therefore what the squared distance from the axis
explains, after the axis and the curvature along it.
"""

from __future__ import annotations

import numpy as np
import torch

from neurofer.analyses.inputs import OK
from neurofer.analyses.tuning.batched import weighted_mean
from neurofer.analyses.tuning.presentations import by_level, status_of, weight_of
from neurofer.analyses.tuning.resampling import intervals, resampled

# A distance of which the other columns leave less than this part cannot be told from them.
TOLD_APART = 1e-6


def orthogonal_tuning(
    x: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    strata: np.ndarray,
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much units change with the distance from their axis, relative to along it.

    r = a + w . x + c p^2 + d q^2, with p = (x - mean) . w / |w| and q the distance of x - mean
    from the axis. The measure is the SD of what d q^2 adds over that of w . x, with the sign of d:
    0 for a unit that is flat orthogonally to its axis, negative for one that declines.

    Args:
        x: (n, dimensions) features.
        responses: (n, units).
        identity: (n,).
        strata: (n,) head.
        n_bootstrap: resamples of identities for the intervals; 0 for none.
        seed: of the resamples.

    Returns:
        (units,) measures and (2, units) 95 % intervals; NaN for units that cannot be fitted, that
        have no axis, and where q^2 follows from the rest (one dimension, or too few places).
    """
    found = np.full(responses.shape[1], np.nan)
    ends = np.full((2, responses.shape[1]), np.nan)
    live = np.flatnonzero(status_of(responses, "gaussian") == OK)
    levels = by_level(np.asarray(x, float))
    if not len(live) or x.shape[1] < 2:
        return found, ends
    at = torch.from_numpy(levels.x)
    weight = weight_of(responses[:, live])
    means = torch.from_numpy(levels.mean(responses[:, live], weight))
    weights = torch.from_numpy(levels.total(weight))
    found[live] = _relative_change(at, means, weights)
    if n_bootstrap > 1:
        parts = [
            _relative_change(at, y, w).reshape(n_bootstrap, -1)
            for y, w in resampled(
                levels,
                responses[:, live],
                weight,
                identity,
                strata,
                n_bootstrap=n_bootstrap,
                seed=seed,
            )
        ]
        replicates = np.concatenate(parts, axis=1)
        ends[:, live] = intervals(replicates[:, :, None], identity, strata)[:, :, 0]
    return found, ends


def _relative_change(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> np.ndarray:
    """Return (batch,) measures of (levels, batch) means with (levels, 1) or so many weights."""
    root = w.sqrt()
    centred = x[:, :, None] - weighted_mean(x[:, :, None], w[:, None])
    columns = (root[:, None] * centred).movedim(-1, 0)  # (batch or 1, levels, dimensions)
    target = (root * (y - weighted_mean(y, w))).T
    inverse = torch.linalg.pinv(columns)
    axis = (inverse @ target[..., None])[..., 0]
    direction = axis / axis.norm(dim=1, keepdim=True)
    p = torch.einsum("ldb,bd->lb", centred.expand(-1, -1, len(axis)), direction)
    q2 = (centred**2).sum(1) - p**2

    def rest(values: torch.Tensor) -> torch.Tensor:
        """Return (batch, levels) what a constant and x do not explain."""
        own = (root * (values - weighted_mean(values, w))).T
        return own - (columns @ (inverse @ own[..., None]))[..., 0]

    along, across, response = rest(p**2), rest(q2), rest(y)
    norm = (along**2).sum(1, keepdim=True)
    share = (along * across).sum(1, keepdim=True) / torch.where(norm > 0, norm, 1.0)
    own = across - share * along
    size = (own**2).sum(1)
    raw = (root * (q2 - weighted_mean(q2, w))).pow(2).sum(0)
    told = size > TOLD_APART * raw
    along_axis = (columns @ axis[..., None])[..., 0].norm(dim=1)
    value = (own * response).sum(1) / size.sqrt() / along_axis
    return np.asarray(torch.where(told & (along_axis > 0), value, torch.nan))
