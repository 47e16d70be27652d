"""The measures of geometry at one site, with their intervals, chance and ceilings."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import xarray as xr

from neurofer.analyses.geometry_design import Design
from neurofer.analyses.geometry_measures import (
    Features,
    aligned,
    distinguishing,
    mean_congruence,
    participation_ratio,
    principal_cosines,
)
from neurofer.analyses.statistics import percentile_interval, standard_error_interval

NEUTRAL = "neutral"
BOUNDS = ("", "_low", "_high")
_SPLITS = 50
_ENDS = {"congruence": (0.0, 1.0), "overlap": (0.0, 1.0), "angle": (0.0, 90.0)}


def of_site(
    design: Design,
    gram: np.ndarray,
    smallest: float,
    *,
    differences: bool,
    draws: np.ndarray | None,
    n_permutations: int,
    seed: int,
) -> xr.Dataset:
    """Return all measures of a site but those that compare it with other sites.

    Args:
        design: what was shown.
        gram: (n, n) inner products of the presentations' patterns.
        smallest: squared length at or below which a difference of patterns is rounding.
        differences: features are pairwise differences.
        draws: (n_bootstrap, identities) how often each counts; None: no intervals.
        n_permutations: of chance.
        seed: of chance.
    """
    cells = design.of_cells(gram)
    drawn = None
    if draws is not None:
        drawn = participation_ratio(gram, cluster=design.cluster, counts=draws)
    ratio = float(participation_ratio(gram)[0])
    estimates = interval(ratio, drawn, design.head, (1, np.inf))
    data: dict[str, object] = {
        f"participation_ratio{suffix}": value
        for suffix, value in zip(BOUNDS, estimates, strict=True)
    }
    generator = np.random.default_rng([seed, 1])
    data |= _separation(design, cells, smallest, differences, draws, n_permutations, generator)
    result = xr.Dataset(data)
    if len(design.heads) < 2 or NEUTRAL not in design.expressions:
        return result
    return result.merge(_alignment(design, cells, smallest, draws, n_permutations, generator))


def interval(
    value: float, replicates: np.ndarray | None, strata: np.ndarray, ends: tuple[float, float]
) -> tuple[float, float, float]:
    """Return a value and its 95 % interval, value -+ t SE within the ends; NaN without replicates.

    Replicates in which the measure is undefined are left out.
    """
    if replicates is None or not np.isfinite(value):
        return value, np.nan, np.nan
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < 2:
        return value, np.nan, np.nan
    low, high = standard_error_interval(value, defined, strata)
    return value, max(low, min(value, ends[0])), min(high, max(value, ends[1]))


def _separation(
    design: Design,
    cells: np.ndarray,
    smallest: float,
    differences: bool,
    draws: np.ndarray | None,
    n_permutations: int,
    generator: np.random.Generator,
) -> dict[str, object]:
    """Return congruence, overlap and angle between identity and expression, and their chance."""

    def measure(shown: np.ndarray, weights: np.ndarray) -> list[float]:
        found = distinguishing(shown, design.head, weights, differences=differences)
        return [mean_congruence(found, smallest)[0], *_overlap(found, smallest)]

    everyone = np.ones(len(design.identities))
    found = distinguishing(cells, design.head, everyone, differences=differences)
    data: dict[str, object] = {"n_pairs": mean_congruence(found, smallest)[1]}
    values = measure(cells, everyone)
    replicates = None if draws is None else np.array([measure(cells, row) for row in draws])
    chance = np.array(
        [measure(_shuffled(cells, design.head, generator), everyone) for _ in range(n_permutations)]
    )
    for k, (name, ends) in enumerate(_ENDS.items()):
        drawn = None if replicates is None else replicates[:, k]
        bounds = interval(values[k], drawn, design.head, ends)
        by_chance = _chance(chance[:, k])
        for suffix, value, random in zip(BOUNDS, bounds, by_chance, strict=True):
            data[f"{name}{suffix}"] = value
            data[f"{name}_chance{suffix}"] = random
    return data


def _overlap(features: Features, smallest: float) -> tuple[float, float]:
    """Return the mean squared cosine of the principal angles and the smallest angle, degrees."""
    if not min(np.diag(one).max(initial=0.0) for one in features[:2]) > smallest:
        return np.nan, np.nan
    found = principal_cosines(*features[:3])
    return float((found**2).mean()), float(np.degrees(np.arccos(found.max())))


def _shuffled(cells: np.ndarray, head: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the inner products with the patterns of every head in random order."""
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
    draws: np.ndarray | None,
    n_permutations: int,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Return the alignment of tuning vectors between heads, its chance and its ceiling."""
    neutral = design.expressions.index(NEUTRAL)
    names = [name for name in design.expressions if name != NEUTRAL]
    step = cells - cells[:, [neutral]]
    moves = np.delete(np.delete(step - step[:, :, :, [neutral]], neutral, 1), neutral, 3)
    pairs = list(combinations(range(len(design.heads)), 2))
    members = design.head == np.arange(len(design.heads))[:, None]

    def measure(weights: np.ndarray) -> np.ndarray:
        found = aligned(moves, weights * members, smallest)
        return np.stack([found[a, :, b] for a, b in pairs])

    matrices = measure(np.ones(len(design.head)))
    cosine = np.diagonal(matrices, axis1=1, axis2=2)
    values = np.array([_mean(row) for row in cosine])
    replicates = None
    if draws is not None:
        replicates = np.array(
            [[_mean(np.diag(one)) for one in measure(row)] for row in draws]
        ).reshape(len(draws), len(pairs))
    bounds = np.array(
        [
            interval(value, None if replicates is None else replicates[:, k], design.head, (-1, 1))
            for k, value in enumerate(values)
        ]
    )
    overall = interval(
        _mean(values),
        None if replicates is None else np.array([_mean(row) for row in replicates]),
        design.head,
        (-1, 1),
    )
    orders = [generator.permutation(len(names)) for _ in range(n_permutations)]
    shuffled = np.array(
        [[_mean(one[np.arange(len(names)), order]) for one in matrices] for order in orders]
    ).reshape(n_permutations, len(pairs))
    chance = np.array([_chance(column) for column in shuffled.T])
    overall_chance = _chance(np.array([_mean(row) for row in shuffled]))
    reliability = np.array([_reliability(moves, one, smallest, generator) for one in members])
    ceiling = np.array([np.sqrt(reliability[a] * reliability[b]) for a, b in pairs])
    data: dict[str, object] = {
        "cosine": (("pair", "expression"), cosine),
        "reliability": ("head", reliability),
        "alignment_ceiling": ("pair", ceiling),
        "mean_alignment_ceiling": _mean(ceiling),
    }
    for k, suffix in enumerate(BOUNDS):
        data[f"alignment{suffix}"] = ("pair", bounds[:, k])
        data[f"alignment_chance{suffix}"] = ("pair", chance[:, k])
        data[f"mean_alignment{suffix}"] = overall[k]
        data[f"mean_alignment_chance{suffix}"] = overall_chance[k]
    labels = [f"{design.heads[a]} - {design.heads[b]}" for a, b in pairs]
    return xr.Dataset(data, {"pair": labels, "expression": names, "head": design.heads})


def _reliability(
    moves: np.ndarray, members: np.ndarray, smallest: float, generator: np.random.Generator
) -> float:
    """Return the cosine of tuning vectors that two independent sets of as many identities have.

    From the mean cosine c of split halves by 2 c / (1 + c) (Spearman-Brown), at least 0.
    """
    own = np.flatnonzero(members)
    if len(own) < 2:
        return float("nan")
    found = []
    for _ in range(_SPLITS):
        halves = np.zeros((2, len(members)))
        order = generator.permutation(own)
        halves[0, order[: len(own) // 2]] = 1
        halves[1, order[len(own) // 2 :]] = 1
        found.append(_mean(np.diag(aligned(moves, halves, smallest)[0, :, 1])))
    half = max(_mean(np.array(found)), 0.0)
    return 2 * half / (1 + half)


def _mean(values: np.ndarray) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")
