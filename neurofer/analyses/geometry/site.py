"""The measures of geometry at one site, with their intervals, chance and ceilings."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import xarray as xr

from neurofer.analyses.geometry.alignment import (
    alignment,
    chance_alignment,
    cross_cosines,
    defined_mean,
    tuning_products,
)
from neurofer.analyses.geometry.design import Design
from neurofer.analyses.geometry.jackknife import jackknifed, leave_one_out
from neurofer.analyses.geometry.measures import participation_ratio
from neurofer.analyses.geometry.separation import separation
from neurofer.analyses.statistics import percentile_interval

NEUTRAL = "neutral"
BOUNDS = ("", "_low", "_high")
_ENDS = {"congruence": (0.0, 1.0), "overlap": (0.0, 1.0), "angle": (0.0, 90.0)}
_COSINE = (-1.0, 1.0)
# A cosine over less is mostly the noise of the ceiling.
LEAST_CEILING = 0.5


def of_site(
    design: Design,
    gram: np.ndarray,
    smallest: float,
    *,
    differences: bool,
    n_permutations: int,
    seed: int,
) -> xr.Dataset:
    """Return all measures of a site but those that compare it with other sites.

    Args:
        design: what was shown.
        gram: (n, n) inner products of the presentations' patterns.
        smallest: squared length at or below which a difference of patterns is rounding.
        differences: features are pairwise differences.
        n_permutations: of chance.
        seed: of chance.
    """
    cells = design.of_cells(gram)
    data: dict[str, object] = dict(_dimension(design, gram))
    generator = np.random.default_rng([seed, 1])
    data |= _separation(design, cells, smallest, differences, n_permutations, generator)
    result = xr.Dataset(data)
    if len(design.heads) < 2 or NEUTRAL not in design.expressions:
        return result
    return result.merge(_alignment(design, cells, smallest, n_permutations, generator))


def _dimension(design: Design, gram: np.ndarray) -> dict[str, float]:
    """Return the participation ratio, and it without its bias of few identities."""
    value, replicates = float(participation_ratio(gram)[0]), None
    weights = leave_one_out(design.head, balanced=True)
    if weights is not None:
        replicates = participation_ratio(gram, cluster=design.cluster, counts=weights)
    data: dict[str, float] = {}
    for name, corrected in (("", False), ("_corrected", True)):
        found = jackknifed(value, replicates, design.head, (1.0, np.inf), corrected=corrected)
        data |= {f"participation_ratio{name}{b}": v for b, v in zip(BOUNDS, found, strict=True)}
    return data


def _separation(
    design: Design,
    cells: np.ndarray,
    smallest: float,
    differences: bool,
    n_permutations: int,
    generator: np.random.Generator,
) -> dict[str, object]:
    """Return congruence, overlap and angle between identity and expression, and their chance."""
    measure = partial(separation, head=design.head, differences=differences, smallest=smallest)
    everyone = np.ones((1, len(design.identities)))
    found = measure(cells, weights=everyone)
    weights = leave_one_out(design.head)
    without = None if weights is None else measure(cells, weights=weights)
    chance = [
        measure(shuffled(cells, design.head, generator), weights=everyone)
        for _ in range(n_permutations)
    ]
    data: dict[str, object] = {"n_pairs": int(found.n_pairs[0])}
    for name, ends in _ENDS.items():
        replicates = None if without is None else getattr(without, name)
        bounds = jackknifed(float(getattr(found, name)[0]), replicates, design.head, ends)
        by_chance = _chance(np.array([getattr(one, name)[0] for one in chance]))
        for suffix, value, random in zip(BOUNDS, bounds, by_chance, strict=True):
            data[f"{name}{suffix}"] = value
            data[f"{name}_chance{suffix}"] = random
    return data


def shuffled(cells: np.ndarray, head: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the inner products with the patterns of every head in random order.

    Args:
        cells: (identities, expressions, identities, expressions) inner products.
        head: (identities,) the head of each.
        generator: draws the order.
    """
    n = cells.shape[0] * cells.shape[1]
    of_head = np.repeat(head, cells.shape[1])
    order = np.empty(n, np.intp)
    for one in np.unique(head):
        members = np.flatnonzero(of_head == one)
        order[members] = generator.permutation(members)
    return cells.reshape(n, n)[np.ix_(order, order)].reshape(cells.shape)


def _chance(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of values by chance and their central 95 %; NaN where none is defined."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return np.nan, np.nan, np.nan
    mean, (low, high) = float(defined.mean()), percentile_interval(defined)
    # Of skewed values, few of them, the mean may lie outside.
    return mean, min(low, mean), max(high, mean)


def _alignment(
    design: Design,
    cells: np.ndarray,
    smallest: float,
    n_permutations: int,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Return the alignment of tuning vectors between heads, its chance and its ceiling."""
    neutral = design.expressions.index(NEUTRAL)
    moves = tuning_products(cells, neutral)
    members = (design.head == np.arange(len(design.heads))[:, None]).astype(float)
    found = alignment(moves, members[None], smallest)
    weights = leave_one_out(design.head)
    without = None if weights is None else alignment(moves, weights[:, None] * members, smallest)
    shuffled = chance_alignment(cross_cosines(moves, members, smallest), n_permutations, generator)
    data: dict[str, object] = {
        "cosine": (("pair", "expression"), found.cosine[0]),
        "reliability": ("head", found.reliability[0]),
        "alignment_ceiling": ("pair", found.ceiling[0]),
        "mean_alignment_ceiling": float(found.ceiling[0].mean()),
    }
    corrected = np.where(found.ceiling > LEAST_CEILING, found.corrected, np.nan)
    left = (None, None) if without is None else (without.aligned, without.corrected)
    data |= _by_pair("alignment", found.aligned[0], left[0], design.head)
    data |= _by_pair("alignment_corrected", corrected[0], left[1], design.head)
    by_pair = np.array([_chance(column) for column in shuffled.T])
    overall = _chance(defined_mean(shuffled, axis=1))
    for k, suffix in enumerate(BOUNDS):
        data[f"alignment_chance{suffix}"] = ("pair", by_pair[:, k])
        data[f"mean_alignment_chance{suffix}"] = overall[k]
    names = [name for name in design.expressions if name != NEUTRAL]
    labels = [f"{one} - {other}" for one, other in combinations(design.heads, 2)]
    return xr.Dataset(data, {"pair": labels, "expression": names, "head": design.heads})


def _by_pair(
    name: str, values: np.ndarray, replicates: np.ndarray | None, strata: np.ndarray
) -> dict[str, object]:
    """Return a measure of every pair of heads, and its mean, NaN where one is, with intervals."""
    bounds = np.array(
        [
            jackknifed(float(v), None if replicates is None else replicates[:, k], strata, _COSINE)
            for k, v in enumerate(values)
        ]
    )
    overall = jackknifed(
        float(values.mean()),
        None if replicates is None else replicates.mean(axis=1),
        strata,
        _COSINE,
    )
    data: dict[str, object] = {}
    for k, suffix in enumerate(BOUNDS):
        data[f"{name}{suffix}"] = ("pair", bounds[:, k])
        data[f"mean_{name}{suffix}"] = overall[k]
    return data
