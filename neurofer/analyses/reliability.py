"""Reliability of single-trial recordings: halves of the repeats of each stimulus, compared.

Each unit's own trials are halved, stimulus by stimulus, so that repeats may be unequal, pictures
missing and units recorded one at a time. Units that were recorded in the same trials have the same
halves, so that noise they share stays shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neurofer.errors import NeuroferError

# Two stimuli always correlate by 1 or -1.
FEWEST_STIMULI = 3


@dataclass(frozen=True)
class SplitHalf:
    """Split-half reliability of each unit.

    Attributes:
        half: (units,) correlation over stimuli of the means of two halves of the trials, averaged
            over random halves; NaN where fewer than three stimuli have two trials, or a half does
            not vary.
        full: (units,) the same for all trials, by Spearman and Brown's formula.
        n_stimuli: (units,) stimuli with two trials or more, which are those that count.
        n_trials: (units,) trials of these stimuli.
    """

    half: np.ndarray
    full: np.ndarray
    n_stimuli: np.ndarray
    n_trials: np.ndarray


def split_half(
    activity: np.ndarray, stimulus: np.ndarray, *, n_splits: int = 100, seed: int = 0
) -> SplitHalf:
    """Return the split-half reliability of the stimulus means of each unit.

    Of an odd number of trials the greater half is the first or the second at random. Stimuli count
    equally, however many trials they have; those with one trial do not count.

    Args:
        activity: (n, units), one row per trial, NaN where a unit was not recorded.
        stimulus: (n,) label of what was shown in each trial.
        n_splits: random halves to average over.
        seed: of the halves.

    Raises:
        NeuroferError: shapes do not fit, or `n_splits` is below 1.
    """
    counts = trial_counts(activity, stimulus)
    counted = counts >= 2
    found = np.array(
        [
            _correlations(first, second)
            for first, second in half_means(activity, stimulus, n_splits=n_splits, seed=seed)
        ]
    )
    half = mean_of_finite(found)
    return SplitHalf(
        half, spearman_brown(half), counted.sum(axis=0), np.where(counted, counts, 0).sum(axis=0)
    )


def half_means(
    activity: np.ndarray, stimulus: np.ndarray, *, n_splits: int = 100, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the mean of either half of the trials, (stimuli, units) each, of random halves.

    Stimuli are in the order of `np.unique`; a unit's mean is NaN at a stimulus of which it has
    fewer than two trials.

    Args:
        activity: (n, units), one row per trial, NaN where a unit was not recorded.
        stimulus: (n,) label of what was shown in each trial.
        n_splits: random halves to yield.
        seed: of the halves.

    Raises:
        NeuroferError: shapes do not fit, or `n_splits` is below 1.
    """
    activity, names, _ = _checked(activity, stimulus)
    for parts in _split(activity, stimulus, n_splits, seed):
        means = np.full((2, len(names), activity.shape[1]), np.nan)
        for units, order, shown, edges in parts:
            sums = np.add.reduceat(activity[np.ix_(order, units)], edges, axis=0)
            numbers = np.diff(np.r_[edges, len(order)])[:, None]
            halves = (sums / numbers).reshape(-1, 2, len(units))
            for side in (0, 1):
                means[side][np.ix_(shown, units)] = halves[:, side]
        yield means[0], means[1]


def random_halves(
    activity: np.ndarray, stimulus: np.ndarray, *, n_splits: int = 100, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield (n, units) the half, 0 or 1, of each trial of each unit: those of `half_means`.

    -1 stands where a unit was not recorded or has fewer than two trials of the stimulus.

    Args:
        activity: (n, units), one row per trial, NaN where a unit was not recorded.
        stimulus: (n,) label of what was shown in each trial.
        n_splits: random halves to yield.
        seed: of the halves.

    Raises:
        NeuroferError: shapes do not fit, or `n_splits` is below 1.
    """
    activity, _, _ = _checked(activity, stimulus)
    for parts in _split(activity, stimulus, n_splits, seed):
        halves = np.full(activity.shape, -1, np.int8)
        for units, order, _, edges in parts:
            numbers = np.diff(np.r_[edges, len(order)])
            side = np.repeat(np.arange(len(edges)) % 2, numbers)
            halves[np.ix_(order, units)] = side[:, None]
        yield halves


def _split(
    activity: np.ndarray, stimulus: np.ndarray, n_splits: int, seed: int
) -> Iterator[list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]]:
    """Yield random halves: for units of the same trials, those of stimuli with two or more.

    Each part is the units, their trials in order, the stimuli, and where in the trials each
    stimulus' first and second half begin.
    """
    activity, names, place = _checked(activity, stimulus)
    if n_splits < 1:
        raise NeuroferError(f"n_splits={n_splits} leaves nothing to compare: give 1 or more")
    together = _recorded_together(activity)
    generator = np.random.default_rng(seed)
    for _ in range(n_splits):
        key, coin = generator.random(len(activity)), generator.integers(0, 2, len(names))
        parts = []
        for units, rows in together:
            order = rows[np.lexsort((key[rows], place[rows]))]
            shown, size = np.unique(place[order], return_counts=True)
            twice = size >= 2
            order, shown, size = order[np.repeat(twice, size)], shown[twice], size[twice]
            if len(shown):
                cut = size // 2 + size % 2 * coin[shown]
                start = np.cumsum(size) - size
                edges = np.stack([start, start + cut], axis=1).ravel()
                parts.append((units, order, shown, edges))
        yield parts


def trial_counts(activity: np.ndarray, stimulus: np.ndarray) -> np.ndarray:
    """Return (stimuli, units) how many trials each unit has of each stimulus, by `np.unique`.

    >>> trial_counts(np.array([[1.0, np.nan], [2.0, 3.0]]), np.array(["a", "a"])).tolist()
    [[2, 1]]
    """
    activity, names, place = _checked(activity, stimulus)
    counts = np.zeros((len(names), activity.shape[1]), int)
    np.add.at(counts, place, np.isfinite(activity))
    return counts


def spearman_brown(half: np.ndarray, times: float = 2.0) -> np.ndarray:
    """Return the reliability of `times` as many trials: k r / (1 + (k - 1) r).

    Spearman 1910, Br. J. Psychol. 3:271; Brown 1910, 3:296. Below zero, where there is no
    reliability to be lengthened and the formula leaves -1 to 1, that of the absolute value is
    given, negative again.

    >>> spearman_brown(np.array([0.5, 0.0, -0.5])).round(2).tolist()
    [0.67, 0.0, -0.67]
    """
    half = np.asarray(half, np.float64)
    return times * half / (1 + (times - 1) * np.abs(half))


def mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    sums, number = np.where(finite, values, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan)


def _checked(
    activity: np.ndarray, stimulus: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return float64 activity, the names of the stimuli and (n,) which of them each trial shows."""
    activity, stimulus = np.asarray(activity, np.float64), np.asarray(stimulus)
    if activity.ndim != 2 or 0 in activity.shape or stimulus.shape != activity.shape[:1]:
        raise NeuroferError(
            f"activity is (trials, units) with a stimulus for each trial; these are "
            f"{activity.shape} and {stimulus.shape}"
        )
    names, place = np.unique(stimulus, return_inverse=True)
    return activity, names, place.ravel()


def _recorded_together(activity: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the units that have the same trials, and these trials, set by set."""
    recorded = np.isfinite(activity)
    sets: dict[bytes, list[int]] = {}
    for unit, trials in enumerate(np.packbits(recorded, axis=0).T):
        sets.setdefault(trials.tobytes(), []).append(unit)
    return [(np.array(units), np.flatnonzero(recorded[:, units[0]])) for units in sets.values()]


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (units,) Pearson correlations over the stimuli at which both are finite."""
    both = np.isfinite(first) & np.isfinite(second)
    number = both.sum(axis=0)
    sides = []
    for one in (first, second):
        one = np.where(both, one, 0.0)
        centred = np.where(both, one - one.sum(axis=0) / np.maximum(number, 1), 0.0)
        # What varies by less than rounding does not vary.
        flat = (centred**2).sum(axis=0) <= 1e-24 * (one**2).sum(axis=0)
        sides.append(np.where(flat, 0.0, centred))
    product = (sides[0] * sides[1]).sum(axis=0)
    norm = np.sqrt((sides[0] ** 2).sum(axis=0) * (sides[1] ** 2).sum(axis=0))
    enough = (number >= FEWEST_STIMULI) & (norm > 0)
    return np.where(enough, product / np.where(norm > 0, norm, 1.0), np.nan)
