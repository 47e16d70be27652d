"""Bootstrap replicates of model evaluations and noise ceilings over stimuli and subjects.

On the same draws they are rsatoolbox's: a stimulus that is drawn twice is not compared with its
copy, and the noise ceiling is of the resample. Cosine and Pearson similarities of a resample are
quadratic forms in how often each stimulus was drawn, so that one matrix product serves many
resamples; the other comparisons are computed on the drawn pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neurofer.analyses.rdm_compare import RANKED, TAUS, WHITENED, compare_present

GRAM = ("cosine", "corr")
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
    """Return (n_bootstrap, n_stimuli) and (n_bootstrap, n_subjects) indices with replacement."""
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
    n, n_subjects = stimulus_draws.shape[1], len(subjects)
    make = _gram_cells if comparison in GRAM else _pair_cells
    once = np.ones(n_subjects)
    whole = next(make(subjects, models, comparison, np.ones((1, n), int)))
    cells: Iterator[_Cell | None] = iter([whole] * len(stimulus_draws))
    if set(kinds) != {"subjects"}:
        times = np.stack([np.bincount(draw, minlength=n) for draw in stimulus_draws])
        cells = make(subjects, models, comparison, times)
    found: dict[str, list[tuple[np.ndarray, tuple[float, float]]]] = {kind: [] for kind in kinds}
    for cell, draw in zip(cells, subject_draws, strict=True):
        if cell is None or whole is None:
            continue
        weight = np.bincount(draw, minlength=n_subjects).astype(float)
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


@dataclass(frozen=True)
class _Cell:
    """One draw of stimuli.

    Attributes:
        similarities: (subjects, models).
        agreement: (subjects, subjects) similarities of linear comparisons; None for others.
        vectors: (subjects, pairs) to be pooled for those others.
        comparison: one of `COMPARISONS`.
        present: (n, n) pairs that are no copies.
    """

    similarities: np.ndarray
    agreement: np.ndarray | None = None
    vectors: np.ndarray | None = None
    comparison: str = ""
    present: np.ndarray | None = None

    def ceiling(self, weight: np.ndarray) -> tuple[float, float]:
        """Return the noise ceilings of (subjects,) numbers of draws; copies are left out with."""
        shown = np.flatnonzero(weight)
        pools = np.tile(weight, (len(shown) + 1, 1))
        if len(shown) > 1:
            pools[np.arange(len(shown)) + 1, shown] = 0
        with_all, with_others = self._with_pools(pools, shown)
        return float(with_others.mean()), float(with_all.mean())

    def _with_pools(self, pools: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the similarity of each subject with the pool of all, and of the others."""
        places = np.arange(len(shown))
        if self.agreement is not None:
            products = pools @ self.agreement
            products /= np.sqrt(np.einsum("ij,ij->i", products, pools))[:, None]
            return products[0, shown], products[places + 1, shown]
        assert self.vectors is not None
        pooled = pools @ _poolable(self.vectors, self.comparison)
        own = self.vectors[shown]
        if self.comparison not in TAUS:
            found = compare_present(pooled, own, self.comparison, self.present)
            return found[0], found[places + 1, places]
        with_all = compare_present(pooled[:1], own, self.comparison, None)[0]
        others = [
            compare_present(pool[None], one[None], self.comparison, None)[0, 0]
            for pool, one in zip(pooled[1:], own, strict=True)
        ]
        return with_all, np.array(others)


def _poolable(vectors: np.ndarray, comparison: str) -> np.ndarray:
    """Return what rsatoolbox averages: ranks, or RDMs of equal size."""
    if comparison in RANKED:
        from scipy.stats import rankdata

        return np.asarray(rankdata(vectors, axis=1))
    if comparison == "corr_cov":
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return vectors / np.sqrt((vectors**2).mean(axis=1, keepdims=True))


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
        drawn = np.repeat(np.arange(n), row)
        present = drawn[:, None] != drawn
        own = vectors[:, place[np.ix_(drawn, drawn)][np.triu(present)]]
        flat = ~own.any(axis=1) if comparison == "cosine_cov" else np.ptp(own, axis=1) == 0
        if np.count_nonzero(row) < FEWEST_DISTINCT or flat.any():
            yield None
            continue
        shown = present if comparison in WHITENED else None
        found = compare_present(own[:n_subjects], own[n_subjects:], comparison, shown)
        yield _Cell(found, None, own[:n_subjects], comparison, shown)


def _gram_cells(
    subjects: np.ndarray, models: np.ndarray, comparison: str, times: np.ndarray
) -> Iterator[_Cell | None]:
    """Yield the cells of (resamples, n) numbers of draws, from weighted inner products."""
    vectors = np.vstack([subjects, models])
    if comparison == "corr":
        # Sums of centred numbers round less; a constant does not change a correlation.
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    for start in range(0, len(times), BATCH):
        counts = times[start : start + BATCH].astype(np.float64)
        products, sums = _weighted_products(vectors, len(subjects), counts, comparison == "corr")
        for row, product, total in zip(counts, products, sums, strict=True):
            yield _gram_cell(product, total, row, len(subjects), comparison)


def _gram_cell(
    products: np.ndarray, sums: np.ndarray, counts: np.ndarray, n_subjects: int, comparison: str
) -> _Cell | None:
    raw = np.diag(products).copy()
    if comparison == "corr":
        pairs = (counts.sum() ** 2 - (counts**2).sum()) / 2
        products = products - np.outer(sums, sums) / pairs
    own = np.diag(products)
    if np.count_nonzero(counts) < FEWEST_DISTINCT or (own <= ROUNDING * raw).any():
        return None
    norms = np.sqrt(own)
    found = products / norms[:, None] / norms
    return _Cell(found[:n_subjects, n_subjects:], found[:n_subjects, :n_subjects])


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
