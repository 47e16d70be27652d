"""Bootstrap replicates of model evaluations and noise ceilings over stimuli and subjects.

On the same draws they are rsatoolbox's: a stimulus that is drawn twice is not compared with its
copy, and the noise ceiling is of the resample. Cosine and Pearson similarities of a resample are
quadratic forms in how often each stimulus was drawn, so that one matrix product serves many
resamples; the other comparisons are computed on the drawn pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neurofer.analyses.rsa.rdm.compare import (
    GRAM,
    RANKED,
    WHITENED,
    compare_present,
    constant,
    linear_ceilings,
    pooled_ceilings,
    tied,
)

# As in rsatoolbox, a resample with fewer distinct stimuli is left out.
FEWEST_DISTINCT = 3
# Resamples whose quadratic forms are computed in one product.
BATCH = 256
# Variance of an RDM, relative to its size, that is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Replicates:
    """Bootstrap replicates of one kind of resampling.

    Attributes:
        evaluations: (valid resamples, models) mean similarity over the drawn subjects.
        ceilings: (valid resamples, 2) lower and upper noise ceiling.
    """

    evaluations: np.ndarray
    ceilings: np.ndarray

    def covariance(self) -> np.ndarray:
        """Return (models + 2, models + 2), the ceilings last."""
        return np.cov(np.hstack([self.evaluations, self.ceilings]).T)


def draws(
    n_stimuli: int, n_subjects: int, n_bootstrap: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_bootstrap, n_stimuli) and (n_bootstrap, n_subjects) indices with replacement.

    Args:
        n_stimuli: number of stimuli.
        n_subjects: number of subjects.
        n_bootstrap: number of resamples.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    return (
        generator.integers(0, n_stimuli, (n_bootstrap, n_stimuli)),
        generator.integers(0, n_subjects, (n_bootstrap, n_subjects)),
    )


def bootstrap(
    subjects: np.ndarray,
    models: np.ndarray,
    comparison: str,
    kinds: Sequence[str],
    stimulus_draws: np.ndarray,
    subject_draws: np.ndarray,
) -> dict[str, Replicates]:
    """Return the replicates of given draws, by kind of resampling.

    A draw is left out of all kinds where it has fewer than three distinct stimuli, or where an RDM
    or a model is constant on it.

    Args:
        subjects: (subjects, pairs).
        models: (models, pairs).
        comparison: one of `COMPARISONS`.
        kinds: of "both", "stimuli" and "subjects"; a dual bootstrap has all three.
        stimulus_draws: (resamples, n) indices of stimuli.
        subject_draws: (resamples, subjects) indices of subjects.
    """
    times = _numbers_of_draws(stimulus_draws, stimulus_draws.shape[1])
    weights = _numbers_of_draws(subject_draws, len(subjects)).astype(float)
    if set(kinds) == {"subjects"}:
        times = np.ones_like(times[:1])
    if comparison in RANKED:
        subjects, models = tied(subjects), tied(models)
    make = _gram_replicates if comparison in GRAM else _pair_replicates
    return make(subjects, models, comparison, kinds, times, weights)


def _numbers_of_draws(draws: np.ndarray, n: int) -> np.ndarray:
    """Return (resamples, n) how often each of n was drawn."""
    return np.stack([np.bincount(draw, minlength=n) for draw in draws])


def _pair_replicates(
    subjects: np.ndarray,
    models: np.ndarray,
    comparison: str,
    kinds: Sequence[str],
    times: np.ndarray,
    weights: np.ndarray,
) -> dict[str, Replicates]:
    n_subjects = len(subjects)
    once = np.ones(n_subjects)
    whole = next(_pair_cells(subjects, models, comparison, np.ones_like(times[:1])))
    cells: Iterator[_Cell | None] = itertools.repeat(whole, len(weights))
    if set(kinds) != {"subjects"}:
        cells = _pair_cells(subjects, models, comparison, times)
    found: dict[str, list[tuple[np.ndarray, tuple[float, float]]]] = {kind: [] for kind in kinds}
    for cell, weight in zip(cells, weights, strict=True):
        if cell is None or whole is None:
            continue
        for kind in kinds:
            of = whole if kind == "subjects" else cell
            own = once if kind == "stimuli" else weight
            found[kind].append((own @ of.similarities / n_subjects, of.ceiling(own)))
    return {
        kind: Replicates(
            np.reshape([one[0] for one in values], (len(values), len(models))),
            np.reshape([one[1] for one in values], (len(values), 2)),
        )
        for kind, values in found.items()
    }


def _gram_replicates(
    subjects: np.ndarray,
    models: np.ndarray,
    comparison: str,
    kinds: Sequence[str],
    times: np.ndarray,
    weights: np.ndarray,
) -> dict[str, Replicates]:
    n_subjects = len(subjects)
    vectors = np.vstack([subjects, models])
    if comparison == "corr":
        # Sums of centred numbers round less; a constant does not change a correlation.
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    whole, drawn = _gram_similarities(vectors, n_subjects, np.ones_like(times[:1]), comparison)
    kept = np.full(len(weights), bool(drawn[0]))
    similarities = whole
    if set(kinds) != {"subjects"}:
        parts = [
            _gram_similarities(vectors, n_subjects, times[start : start + BATCH], comparison)
            for start in range(0, len(times), BATCH)
        ]
        similarities = np.concatenate([part for part, _ in parts])
        kept &= np.concatenate([valid for _, valid in parts])
        similarities = similarities[kept]
    found = {}
    for kind in kinds:
        of = whole if kind == "subjects" else similarities
        own = np.ones((1, n_subjects)) if kind == "stimuli" else weights[kept]
        size = (int(kept.sum()), n_subjects, len(vectors))
        of, own = np.broadcast_to(of, size), np.broadcast_to(own, size[:2])
        evaluations = np.einsum("rs,rsm->rm", own, of[:, :, n_subjects:]) / n_subjects
        found[kind] = Replicates(evaluations, linear_ceilings(of[:, :, :n_subjects], own))
    return found


@dataclass(frozen=True)
class _Cell:
    """One draw of stimuli.

    Attributes:
        similarities: (subjects, models).
        vectors: (subjects, pairs) to be pooled.
        comparison: one of `COMPARISONS`, not of `GRAM`.
        present: (n, n) pairs that are not copies.
    """

    similarities: np.ndarray
    vectors: np.ndarray
    comparison: str
    present: np.ndarray | None

    def ceiling(self, weight: np.ndarray) -> tuple[float, float]:
        """Return the noise ceilings of (subjects,) numbers of draws; copies are left out with."""
        return pooled_ceilings(self.vectors, weight, self.comparison, self.present)


def _pair_cells(
    subjects: np.ndarray, models: np.ndarray, comparison: str, times: np.ndarray
) -> Iterator[_Cell | None]:
    """Yield the cells of (resamples, n) numbers of draws, from the pairs that were drawn."""
    n, n_subjects = times.shape[1], len(subjects)
    place = np.zeros((n, n), int)
    place[np.triu_indices(n, 1)] = np.arange(subjects.shape[1])
    place += place.T
    vectors = np.vstack([subjects, models])
    for row in times:
        if np.count_nonzero(row) < FEWEST_DISTINCT:
            yield None
            continue
        drawn = np.repeat(np.arange(n), row)
        present = drawn[:, None] != drawn
        own = vectors[:, place[np.ix_(drawn, drawn)][np.triu(present)]]
        if constant(own, comparison).any():
            yield None
            continue
        shown = present if comparison in WHITENED else None
        found = compare_present(own[:n_subjects], own[n_subjects:], comparison, shown)
        yield _Cell(found, own[:n_subjects], comparison, shown)


def _gram_similarities(
    vectors: np.ndarray, n_subjects: int, times: np.ndarray, comparison: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (resamples, subjects, vectors) similarities, and (resamples,) whether they exist."""
    counts = times.astype(np.float64)
    products, sums = _weighted_products(vectors, n_subjects, counts, comparison == "corr")
    raw = np.einsum("rvv->rv", products).copy()
    if comparison == "corr":
        pairs = (counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)) / 2
        means = sums / np.maximum(pairs, 1)[:, None]
        products -= sums[:, :, None] * means[:, None, :]
    own = np.einsum("rvv->rv", products)
    valid = (np.count_nonzero(counts, axis=1) >= FEWEST_DISTINCT) & (own > ROUNDING * raw).all(1)
    norms = np.sqrt(np.where(valid[:, None], own, 1))
    found = products[:, :n_subjects] / norms[:, :n_subjects, None] / norms[:, None, :]
    return found, valid


def _weighted_products(
    vectors: np.ndarray, n_subjects: int, counts: np.ndarray, with_sums: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (resamples, v, v) products over drawn pairs, and (resamples, v) sums.

    Two models are never compared, so that their products are left at zero.
    """
    n, number = counts.shape[1], len(vectors)
    pairs = np.triu_indices(n, 1)
    square = np.zeros((n, n))
    products = np.zeros((len(counts), number, number))
    sums = np.zeros((len(counts), number))

    def over_pairs(values: np.ndarray) -> np.ndarray:
        square[pairs] = values
        return np.einsum("ij,ij->i", counts @ square, counts)

    for i in range(number):
        if with_sums:
            sums[:, i] = over_pairs(vectors[i])
        for j in range(i, number):
            if i == j or i < n_subjects:
                products[:, i, j] = products[:, j, i] = over_pairs(vectors[i] * vectors[j])
    return products, sums
