"""Simulated populations of a face space: norm-referenced, axis and exemplar cells, as counts.

The design is Leopold, Bondar & Giese's (2006, Nature 442:572): trajectories from the average of a
head through four identities to 160 %, and random faces; Poisson counts, averaged over trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

KINDS = ("rising", "falling", "axis", "exemplar", "silent")
LEVELS = np.arange(1, 9) * 0.2


@dataclass(frozen=True)
class Shown:
    """Faces of one or more heads.

    Attributes:
        position: (n, dimensions) in the space of faces.
        norm: (n, dimensions) the average face of the head.
        identity: (n,) names: a trajectory is one person, and so is every random face.
    """

    position: np.ndarray
    norm: np.ndarray
    identity: np.ndarray


def shown_faces(
    n_heads: int = 1, *, dimensions: int = 20, n_random: int = 100, seed: int = 0
) -> Shown:
    """Return the average, four trajectories and random faces of each head.

    Args:
        n_heads: number of heads; their averages lie apart.
        dimensions: of the space.
        n_random: random faces, of all heads together.
        seed: of directions.

    Raises:
        NeuroferError: there is no head, no dimension or no random face.
    """
    if min(n_heads, dimensions, n_random // max(n_heads, 1)) < 1:
        raise NeuroferError(
            f"n_heads={n_heads}, dimensions={dimensions} and n_random={n_random} must be at least "
            "1, with a random face for every head"
        )
    generator = np.random.default_rng(seed)
    trajectories = _directions(generator, 4, dimensions)
    each = n_random // n_heads
    positions, norms, names = [], [], []
    for head in range(n_heads):
        centre = 1.5 * _directions(generator, 1, dimensions)[0]
        random = _directions(generator, each, dimensions) * generator.uniform(0.4, 1.4, (each, 1))
        ramps = [LEVELS[:, None] * one for one in trajectories]
        faces = np.concatenate([np.zeros((1, dimensions)), *ramps, random])
        who = ["average", *np.repeat(np.arange(4), len(LEVELS)), *(f"r{k}" for k in range(each))]
        positions.append(faces + centre)
        norms.append(np.tile(centre, (len(faces), 1)))
        names += [f"{head}/{one}" for one in who]
    return Shown(np.concatenate(positions), np.concatenate(norms), np.array(names))


def cell_counts(
    shown: Shown, kind: str, n_units: int, *, n_trials: int = 10, seed: int = 0
) -> np.ndarray:
    """Return (n, units) mean counts of `n_trials` Poisson trials.

    Args:
        shown: of `shown_faces`.
        kind: "rising" (4 + 25 |d| max(0, cos)) and "falling" (16 - 12 |d| max(0, cos)) with the
            difference d from the norm, "axis" (15 + 8 times the projection), "exemplar" (3 + 20
            exp(-D^2 / 2 0.8^2) with the distance D from a face that is shown) or "silent" (10).
        n_units: number of units.
        n_trials: that are averaged.
        seed: of directions and counts.

    Raises:
        NeuroferError: there is no such kind.
    """
    generator = np.random.default_rng(seed)
    direction = _directions(generator, n_units, shown.position.shape[1])
    away = shown.position - shown.norm
    along = np.maximum(away @ direction.T, 0)
    if kind == "rising":
        mean = 4 + 25 * along
    elif kind == "falling":
        mean = 16 - 12 * along
    elif kind == "axis":
        mean = 15 + 8 * shown.position @ direction.T
    elif kind == "exemplar":
        stored = shown.position[generator.integers(len(shown.position), size=n_units)]
        square = ((shown.position[:, None] - stored[None]) ** 2).sum(axis=2)
        mean = 3 + 20 * np.exp(-square / (2 * 0.8**2))
    elif kind == "silent":
        mean = np.full((len(away), n_units), 10.0)
    else:
        raise unknown_choice("kind", kind, KINDS)
    return np.asarray(generator.poisson(np.maximum(mean, 0.1) * n_trials) / n_trials)


def _directions(generator: np.random.Generator, n: int, dimensions: int) -> np.ndarray:
    found = generator.normal(size=(n, dimensions))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))
