"""Distances of single trials: crossnobis over repeats, and the noise of units from them.

Repeats may be unequal, pictures missing and units recorded one at a time. The weights are those of
rsatoolbox's `calc_rdm_unbalanced`, which the tests hold this to: every pair of trials of different
folds counts equally. Where trials lack units, that is done unit by unit and units count equally;
rsatoolbox then weighs units by their numbers of trials, differently in each of a distance's three
terms, so that a unit's mean rate does not cancel out. For the same reason every unit's mean over
all trials is subtracted first, which matters where conditions are not as often in every fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neurofer.analyses.gram import blocks
from neurofer.analyses.rsa.rdm.distances import condition_residuals, of_products
from neurofer.analyses.rsa.rdm.noise import Noise, gram, named, shrunk_noise
from neurofer.errors import NeuroferError

SHRUNK = "covariance of residual trials, shrunk towards the units' variances"
DIAGONAL = "variances of units: not all were recorded in the same trials, which covariances need"


def crossnobis_of_trials(
    trials: np.ndarray,
    condition: np.ndarray,
    fold: np.ndarray | None = None,
    *,
    noise: Noise | None = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the (conditions, conditions) cross-validated distances; negative ones are kept.

    Args:
        trials: (n, units), NaN where a unit was not recorded.
        condition: (n,) index of the condition, from 0.
        fold: (n,) label of what was recorded together; trials of one fold are not multiplied with
            each other. None: every trial is a fold of its own.
        noise: of the units; without covariances where trials lack units. None: all alike.
        names: (conditions,) for messages.

    Raises:
        NeuroferError: a unit has a condition in one fold only, or two conditions in the same one
            and no other.
    """
    trials, condition = np.asarray(trials, np.float64), np.asarray(condition)
    place = None if fold is None else np.unique(fold, return_inverse=True)[1].ravel()
    if np.isfinite(trials).all():
        return _of_all_units(trials, condition, place, noise, names)
    if noise is not None and noise.core.any():
        raise NeuroferError(
            "noise with covariances needs trials of all units together, and some lack units: use "
            "trial_noise, which then takes the units' variances"
        )
    scale = np.ones(trials.shape[1]) if noise is None else noise.variance
    total = np.zeros((int(condition.max()) + 1,) * 2)
    for unit, variance in enumerate(scale):
        shown = np.flatnonzero(np.isfinite(trials[:, unit]))
        own = trials[shown, unit][:, None] / np.sqrt(variance)
        where = None if place is None else place[shown]
        total += _of_all_units(own, condition[shown], where, None, names, len(total))
    return total / trials.shape[1]


def trial_noise(
    trials: np.ndarray, stimulus: np.ndarray, names: Sequence[str] | None = None
) -> tuple[Noise, str]:
    """Return the noise of units from residuals of trials from their stimulus' mean, and its kind.

    Args:
        trials: (n, units), NaN where a unit was not recorded.
        stimulus: (n,) index of the stimulus, from 0.
        names: (units,) for messages.

    Raises:
        NeuroferError: a unit has no two trials of a stimulus, or does not vary between them.
    """
    if np.isfinite(trials).all():
        residuals, freedom = condition_residuals(trials, stimulus)
        return shrunk_noise(residuals, freedom=freedom, names=names), SHRUNK
    variance = trial_variance(trials, stimulus)
    bad = np.flatnonzero(~(variance > 0))
    if len(bad):
        raise NeuroferError(
            f"{len(bad)} units do not vary between trials of a stimulus, or have no stimulus twice "
            f"({named(bad, names)}): leave those units out"
        )
    nothing = np.zeros((1, len(variance)))
    return Noise(variance, nothing, nothing[0], np.zeros((1, 1)), 1.0), DIAGONAL


def trial_variance(trials: np.ndarray, stimulus: np.ndarray) -> np.ndarray:
    """Return (units,) variances of trials about their stimulus' mean, NaN without two of one.

    What varies by less than 1e-12 of a unit's greatest response has the variance 0.

    Args:
        trials: (n, units), NaN where a unit was not recorded.
        stimulus: (n,) index of the stimulus, from 0.
    """
    shown = np.isfinite(trials)
    counts, sums = (
        _sums(one, stimulus) for one in (shown.astype(float), np.where(shown, trials, 0))
    )
    means = sums / np.maximum(counts, 1)
    squares = (np.where(shown, trials - means[stimulus], 0.0) ** 2).sum(axis=0)
    freedom = np.maximum(counts - 1, 0).sum(axis=0)
    size = np.abs(np.where(shown, trials, 0.0)).max(axis=0)
    squares = np.where(squares <= shown.sum(axis=0) * (1e-12 * size) ** 2, 0.0, squares)
    return np.where(freedom > 0, squares / np.maximum(freedom, 1), np.nan)


def complete(counts: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows and which columns to keep so that every count left is `least` or more.

    A row that more than half of the columns lack is left out, and else the column that lacks most:
    stimuli are what is compared, also with other recordings, and units are a sample.

    Args:
        counts: (rows, columns), such as trials of each stimulus and unit.
        least: trials that are needed.

    >>> complete(np.array([[2, 0, 3], [2, 0, 3], [1, 0, 1]]), 1)[1].tolist()
    [True, False, True]
    """
    lacking = np.asarray(counts) < least
    rows, columns = np.ones(len(lacking), bool), np.ones(lacking.shape[1], bool)
    while lacking[np.ix_(rows, columns)].any():
        left = lacking & rows[:, None] & columns
        of_rows, of_columns = left.sum(axis=1) / columns.sum(), left.sum(axis=0) / rows.sum()
        if of_rows.max() <= max(0.5, of_columns.max()):
            columns[int(np.argmax(of_columns))] = False
        else:
            rows[int(np.argmax(of_rows))] = False
    return rows, columns


def _of_all_units(
    trials: np.ndarray,
    condition: np.ndarray,
    fold: np.ndarray | None,
    noise: Noise | None,
    names: Sequence[str] | None,
    n: int | None = None,
) -> np.ndarray:
    """Return the distances of trials of all units together.

    The product of two conditions is that of their sums, less that of their sums within each fold,
    over the number of pairs of trials that are left.
    """
    n = int(condition.max()) + 1 if n is None else n
    near = trials.mean(axis=0)

    def product(rows: np.ndarray, cells: np.ndarray, number: int) -> np.ndarray:
        def parts() -> Iterator[tuple[slice, list[tuple[np.ndarray, np.ndarray]]]]:
            for columns in blocks(trials):
                sums = _sums(trials[rows, columns] - near[columns], cells, number)
                yield columns, [(sums, sums)]

        return gram(parts(), noise)

    everything = np.arange(len(trials))
    counts = np.bincount(condition, minlength=n).astype(np.float64)
    total, pairs = product(everything, condition, n), np.outer(counts, counts)
    if fold is None:
        total[np.diag_indices(n)] -= np.bincount(condition, _squares(trials, near, noise), n)
        pairs[np.diag_indices(n)] -= counts
    else:
        for k in range(int(fold.max()) + 1):
            rows = np.flatnonzero(fold == k)
            if len(rows) == 0:
                continue
            shown, cells = np.unique(condition[rows], return_inverse=True)
            within = np.ix_(shown, shown)
            number = np.bincount(cells.ravel())
            total[within] -= product(rows, cells.ravel(), len(shown))
            pairs[within] -= np.outer(number, number)
    _check_pairs(pairs, names)
    return of_products(total / pairs) / trials.shape[1]


def _squares(trials: np.ndarray, near: np.ndarray, noise: Noise | None) -> np.ndarray:
    """Return (n,) the product of every trial with itself."""
    squares, sides = np.zeros(len(trials)), 0.0
    for columns in blocks(trials):
        block = trials[:, columns] - near[columns]
        if noise is None:
            squares += np.einsum("ij,ij->i", block, block)
            continue
        squares += np.einsum("ij,ij->i", block / noise.variance[columns], block)
        sides = sides + block @ noise.scaled_residuals(columns).T
    if noise is not None:
        squares -= np.einsum("ij,ij->i", sides @ noise.core, sides)
    return squares


def _sums(values: np.ndarray, place: np.ndarray, number: int | None = None) -> np.ndarray:
    """Return (places, units) sums of the rows of each place."""
    from scipy.sparse import csr_matrix

    n = len(place)
    number = int(place.max()) + 1 if number is None else number
    members = csr_matrix((np.ones(n), (place, np.arange(n))), shape=(number, n))
    return np.asarray(members @ values)


def _check_pairs(pairs: np.ndarray, names: Sequence[str] | None) -> None:
    if (pairs > 0).all():
        return
    first, second = (
        str(k if names is None else names[k]) for k in np.argwhere(~(pairs > 0))[0].tolist()
    )
    what = f"condition {first} has" if first == second else f"conditions {first} and {second} have"
    raise NeuroferError(
        f"{what} no two trials of different folds, which cross-validation needs "
        f"({int((~(pairs > 0)).sum())} such gaps): leave out what was shown once, or use "
        "distance='mahalanobis'"
    )
