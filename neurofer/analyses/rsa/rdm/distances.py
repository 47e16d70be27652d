"""Representational dissimilarities of patterns of activity, by Gram matrices of blocks of units.

The distances are those of rsatoolbox (Schuett et al. 2023, eLife 12:e82566), which the tests hold
them to. A block of units is converted to float64 at a time, so that a recording in float32 is
never copied as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from neurofer.analyses.gram import blocks
from neurofer.analyses.patterns import Means, Patterns, Residuals
from neurofer.analyses.rsa.rdm.compare import ROUNDING, tied
from neurofer.analyses.rsa.rdm.noise import Noise, gram, named
from neurofer.errors import NeuroferError, unknown_choice

DISTANCES = {
    "correlation": "1 - Pearson correlation over units",
    "centred-correlation": "1 - Pearson correlation over units, the mean pattern subtracted",
    "euclidean": "squared Euclidean distance over the number of units",
    "mahalanobis": "squared Mahalanobis distance over the number of units, noise shrunk",
    "crossnobis": "cross-validated squared Mahalanobis distance over the number of units",
    "poisson": "symmetrised Kullback-Leibler divergence of Poisson rates",
}
# Of one pattern per condition; the others need presentations.
OF_PATTERNS = ("correlation", "centred-correlation", "euclidean", "poisson")
OF_CORRELATION = ("correlation", "centred-correlation")
# rsatoolbox's gamma prior of the rates.
PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1
Pairs = list[tuple[np.ndarray, np.ndarray]]


def dissimilarities(
    patterns: Patterns,
    distance: str = "correlation",
    names: Sequence[str] | None = None,
    *,
    noise: Noise | None = None,
) -> np.ndarray:
    """Return the (n, n) dissimilarities of (n, units) patterns.

    Args:
        patterns: (n, units), one row per condition; an array or `Means`.
        distance: one of `DISTANCES` but "crossnobis", which `crossnobis` computes from trials.
        names: (n,) of the conditions, for messages.
        noise: of the units, for "mahalanobis", which needs it.

    Raises:
        NeuroferError: the distance is unknown, activity is not finite, a pattern is constant over
            units or there is one unit only (correlation), a rate is negative (Poisson), or noise
            is missing or not taken.
    """
    makers: dict[str, Callable[[], np.ndarray]] = {
        "correlation": lambda: _correlation(patterns, names, centre=False),
        "centred-correlation": lambda: _correlation(patterns, names, centre=True),
        "euclidean": lambda: _euclidean(patterns, names, None),
        "mahalanobis": lambda: _euclidean(patterns, names, noise),
        "poisson": lambda: _poisson(patterns, names),
    }
    if distance not in makers:
        raise unknown_choice("distance", distance, makers)
    if (distance == "mahalanobis") != (noise is not None):
        needs = "needs noise=shrunk_noise(residuals)" if noise is None else "takes no noise"
        raise NeuroferError(f"distance={distance!r} {needs}")
    if not isinstance(patterns, Means):
        patterns = np.asarray(patterns)
    _check_shape(patterns)
    rdm = makers[distance]()
    # Equal patterns differ by rounding, of either sign; as ranks, that would be a geometry.
    level = 1e-10 * np.abs(rdm).max(initial=0.0)
    if distance in OF_CORRELATION:
        # Correlations are rounded as 1 is, however small the distances, which is seen where
        # patterns are collinear or of two units: all correlations are then equal.
        level = max(level, ROUNDING)
        above = np.triu_indices(len(rdm), 1)
        rdm[above] = tied(rdm[above], ROUNDING)
        rdm.T[above] = rdm[above]
    rdm[np.abs(rdm) < level] = 0.0
    return np.maximum(rdm, 0.0)


def crossnobis(
    activity: np.ndarray,
    condition: np.ndarray,
    fold: np.ndarray,
    *,
    noise: Noise | None = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the (conditions, conditions) cross-validated distances; negative ones are kept.

    The differences of each fold are multiplied with those of all other folds, so that the distance
    of equal patterns is zero on average. Walther et al. 2016, NeuroImage 137:188.

    Args:
        activity: (n, units), one row per presentation.
        condition: (n,) index of the condition, from 0.
        fold: (n,) label of an independent part of the recording, such as a session or a repeat.
        noise: of the units; None: all alike and independent.
        names: (conditions,) for messages.

    Raises:
        NeuroferError: there is one fold only, a condition is missing in a fold, or activity is not
            finite.
    """
    activity, condition = np.asarray(activity), np.asarray(condition)
    _check_shape(activity)
    counts, cell = _cells(condition, np.asarray(fold), names)

    def parts() -> Iterator[tuple[slice, Pairs]]:
        for columns in blocks(activity):
            yield columns, _fold_pairs(activity[:, columns], cell, counts)

    products = gram(parts(), noise)
    _check_finite(activity, np.diag(products), None)
    n_products = 1 if len(counts) == 2 else len(counts)
    return of_products(products) / n_products / activity.shape[1]


def condition_residuals(activity: np.ndarray, condition: np.ndarray) -> tuple[Residuals, int]:
    """Return the residuals of presentations from the mean of their condition, and their freedom.

    Conditions that were presented once have no residual and are left out; the others follow each
    other.

    Args:
        activity: (n, units).
        condition: (n,) index of the condition, from 0.

    Raises:
        NeuroferError: no condition is presented twice.
    """
    counts = np.bincount(condition)
    groups = [np.flatnonzero(condition == k) for k in np.flatnonzero(counts > 1)]
    if not groups:
        raise NeuroferError(
            "no condition was presented twice, so that noise cannot be told from signal: name the "
            "columns of a condition in 'average', or use another distance"
        )
    residuals = Residuals.of(activity, groups)
    return residuals, len(residuals) - len(groups)


def _correlation(patterns: Patterns, names: Sequence[str] | None, *, centre: bool) -> np.ndarray:
    n, units = patterns.shape
    # One pass: the means of the first units are near those of all, so that little is left of them
    # to be taken from the products afterwards, and little rounded.
    near = patterns[:, next(blocks(patterns))].mean(axis=1, dtype=np.float64)
    sums = np.zeros(n)

    def parts() -> Iterator[tuple[slice, Pairs]]:
        for columns in blocks(patterns):
            block = patterns[:, columns] - near[:, None]
            if centre:
                block -= block.mean(axis=0)
            np.add(sums, block.sum(axis=1), out=sums)
            yield columns, [(block, block)]

    products = gram(parts(), None)
    products -= np.outer(sums, sums) / units
    squares = np.diag(products)
    _check_finite(patterns, squares, names)
    if not centre:
        suspicious = squares <= 1e-11 * (squares + units * (near + sums / units) ** 2)
        _check_patterns(patterns, np.flatnonzero(suspicious), names)
    elif (squares <= 0).any():
        raise NeuroferError("all patterns are equal: their mean leaves nothing to correlate")
    norms = np.sqrt(squares)
    # Symmetric to the last digit: what is rounded differently would be ranked differently.
    rdm = 1 - products / np.outer(norms, norms)
    np.fill_diagonal(rdm, 0)
    return rdm


def _euclidean(patterns: Patterns, names: Sequence[str] | None, noise: Noise | None) -> np.ndarray:
    def parts() -> Iterator[tuple[slice, Pairs]]:
        for columns in blocks(patterns):
            block = patterns[:, columns].astype(np.float64)
            # Distances do not change, and round less, where the mean pattern is taken from all.
            block -= block.mean(axis=0)
            yield columns, [(block, block)]

    products = gram(parts(), noise)
    _check_finite(patterns, np.diag(products), names)
    return of_products(products) / patterns.shape[1]


def _poisson(patterns: Patterns, names: Sequence[str] | None) -> np.ndarray:
    negative = np.flatnonzero(_extremes(patterns, np.arange(len(patterns)))[0] < 0)
    if len(negative):
        raise NeuroferError(
            f"distance='poisson' takes rates, and {len(negative)} patterns hold negative ones "
            f"({named(negative, names)}): use another distance"
        )

    def parts() -> Iterator[tuple[slice, Pairs]]:
        for columns in blocks(patterns):
            block = patterns[:, columns] + np.float64(PRIOR_RATE * PRIOR_WEIGHT)
            block /= 1 + PRIOR_WEIGHT
            yield columns, [(block, np.log(block))]

    products = gram(parts(), None)
    _check_finite(patterns, np.diag(products), names)
    return of_products(products) / patterns.shape[1]


def of_products(products: np.ndarray) -> np.ndarray:
    """Return a_ii + a_jj - a_ij - a_ji, with an exact diagonal, symmetric to the last digit."""
    own = np.diag(products)
    rdm = (own[:, None] + own) - (products + products.T)
    np.fill_diagonal(rdm, 0)
    return rdm


def _cells(
    condition: np.ndarray, fold: np.ndarray, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (folds, conditions) numbers of presentations, and (n,) the cell of each."""
    labels, place = np.unique(fold, return_inverse=True)
    n_conditions = int(condition.max()) + 1
    if len(labels) < 2:
        raise NeuroferError(
            f"all presentations are of fold {labels[0]!r}: cross-validation needs two at least"
        )
    cell = place.ravel() * n_conditions + condition
    counts = np.bincount(cell, minlength=len(labels) * n_conditions).reshape(len(labels), -1)
    if (counts == 0).any():
        where, missing = np.argwhere(counts == 0)[0]
        raise NeuroferError(
            f"condition {named([int(missing)], names)} is missing in fold "
            f"{str(labels[where])!r} ({(counts == 0).sum()} such gaps): leave out the conditions "
            "or the folds that are not complete"
        )
    return counts, cell


def _fold_pairs(block: np.ndarray, cell: np.ndarray, counts: np.ndarray) -> Pairs:
    """Return (mean of the other folds, mean of the fold), each (conditions, units), by fold."""
    from scipy.sparse import csr_matrix

    n = len(cell)
    members = csr_matrix((np.ones(n), (cell, np.arange(n))), shape=(counts.size, n))
    sums = (members @ block.astype(np.float64)).reshape(*counts.shape, -1)
    # Distances do not change, and round less, where the mean pattern is taken from all.
    sums -= counts[..., None] * (sums.sum(axis=(0, 1)) / n)
    total, number = sums.sum(axis=0), counts.sum(axis=0)
    if len(counts) == 2:
        # The second fold's product is the transpose of the first's, and distances add both.
        first, second = sums / counts[..., None]
        return [(first, second)]
    return [
        ((total - one) / (number - own)[:, None], one / own[:, None])
        for one, own in zip(sums, counts, strict=True)
    ]


def _check_shape(patterns: Patterns) -> None:
    if patterns.ndim != 2 or 0 in patterns.shape:
        raise NeuroferError(f"patterns are (conditions, units), and these are {patterns.shape}")


def _check_finite(patterns: Patterns, squares: np.ndarray, names: Sequence[str] | None) -> None:
    """Name the patterns that are not finite where a sum over them is not."""
    if np.isfinite(squares).all():
        return
    rows, units = np.zeros(len(patterns), bool), 0
    for columns in blocks(patterns):
        missing = ~np.isfinite(patterns[:, columns])
        rows |= missing.any(axis=1)
        units += int(missing.any(axis=0).sum())
    bad = np.flatnonzero(rows)
    raise NeuroferError(
        f"{len(bad)} patterns hold activity that is not finite, in {units} units "
        f"({named(bad, names)}): drop those units or patterns, or fill them"
    )


def _extremes(patterns: Patterns, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest activity of some of the patterns."""
    low, high = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    if len(rows):
        for columns in blocks(patterns):
            block = patterns[:, columns][rows]
            low, high = np.minimum(low, block.min(axis=1)), np.maximum(high, block.max(axis=1))
    return low, high


def _check_patterns(
    patterns: Patterns, suspicious: np.ndarray, names: Sequence[str] | None
) -> None:
    if patterns.shape[1] < 2:
        raise NeuroferError(
            f"a correlation needs at least two units and the site has {patterns.shape[1]}: use "
            "distance='euclidean' or another site"
        )
    # float32 activity that varies by less than this part of its size is constant up to rounding.
    low, high = _extremes(patterns, suspicious)
    constant = suspicious[high - low <= 1e-6 * np.maximum(np.abs(low), np.abs(high))]
    if len(constant):
        raise NeuroferError(
            f"{len(constant)} of {len(patterns)} patterns are constant over units and have no "
            f"correlation ({named(constant, names)}): use distance='euclidean', or leave those "
            "stimuli out"
        )
