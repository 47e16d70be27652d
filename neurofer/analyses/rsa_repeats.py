"""What repeats say of one recording's RDM: its reliability, and the noise ceiling of one animal.

The trials of every stimulus are halved at random, and the RDMs of the halves compared. Their
similarity is lengthened to all trials by Spearman and Brown's formula: another recording as long
would resemble this one so much (the lower ceiling). What is free of noise would resemble it by
the root of that (the upper ceiling; correction for attenuation, Spearman 1904, Am. J. Psychol.
15:72). Noise in distances falls faster than with the number of trials where it is greater than
the signal, so that both ceilings are then low: in simulations by up to .04 where two recordings
resembled each other by .68 or more, and by .05 to .10 where they did by .37.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from neurofer.analyses.conditions import condition_index
from neurofer.analyses.dissimilarity import upper
from neurofer.analyses.rdm import dissimilarities
from neurofer.analyses.rdm_compare import TAUS, compare
from neurofer.analyses.rdm_recorded import Recorded, condition_means
from neurofer.analyses.rdm_trials import crossnobis_of_trials
from neurofer.analyses.reliability import (
    half_means,
    mean_of_finite,
    random_halves,
    spearman_brown,
    split_half,
    trial_counts,
)
from neurofer.errors import NeuroferError

N_SPLITS = 20


def reliability_of_repeats(
    recorded: Recorded,
    distance: str,
    comparison: str,
    average: Sequence[str] | None,
    *,
    n_splits: int = N_SPLITS,
    seed: int = 0,
) -> xr.Dataset:
    """Return the reliability of an RDM and of its units, and the noise ceiling of its repeats.

    Args:
        recorded: of `read_rdm`; without single trials the answer is empty.
        distance: one of `rdm.DISTANCES`.
        comparison: one of `rdm_compare.COMPARISONS`.
        average: columns whose every combination is a condition, as `read_rdm` had them.
        n_splits: random halves.
        seed: of the halves.

    Returns:
        unit_reliability_half and unit_reliability (neuroid), correlations over stimuli;
        reliability_half, the mean similarity of the RDMs of two halves, and reliability, of all
        trials; repeats_ceiling_low and _high (not for taus). Where some stimulus has too few
        trials to be halved the latter are left out; `attrs["reliability"]` says so, and else
        what they are of.
    """
    trials = recorded.trials
    if trials is None:
        return xr.Dataset(attrs={"reliability": "not computed: one presentation of a stimulus"})
    stimulus = trials.column("stimulus_id")
    units = split_half(trials.activity, stimulus, n_splits=n_splits, seed=seed)
    result = xr.Dataset(
        {
            "unit_reliability_half": ("neuroid", units.half),
            "unit_reliability": ("neuroid", units.full),
        },
        coords={"neuroid": trials.neuroid.astype(str)},
    )
    counts = trial_counts(trials.activity, stimulus)
    least = 4 if distance == "crossnobis" else 2
    few = counts < least
    if few.any():
        where = np.argwhere(few)[0]
        return result.assign_attrs(
            reliability=f"not computed: halves need {least} trials of every stimulus, and "
            f"{int(few.any(axis=0).sum())} of {few.shape[1]} units have fewer, such as "
            f"{trials.neuroid[where[1]]} of {np.unique(stimulus)[where[0]]}"
        )
    try:
        found = np.array(
            [
                compare(upper(first), upper(second), comparison)[0, 0]
                for first, second in _halves(recorded, distance, average, n_splits, seed)
            ]
        )
    except NeuroferError as error:
        return result.assign_attrs(reliability=f"not computed: of half the trials {error}")
    half = mean_of_finite(found)
    full = float(spearman_brown(half))
    result = result.assign(reliability_half=float(half), reliability=full)
    said = f"halves of {int(counts.min())} to {int(counts.max())} trials, {n_splits} times"
    result = result.assign_attrs(reliability=said + _bias(counts, distance))
    if comparison in TAUS:
        return result
    return result.assign(
        repeats_ceiling_low=full, repeats_ceiling_high=float(np.sqrt(max(full, 0.0)))
    )


def _bias(counts: np.ndarray, distance: str) -> str:
    """Warn that what was shown rarely looks far from all, and reliably so."""
    if distance == "crossnobis" or counts.min() == counts.max():
        return ""
    return (
        "; repeats are unequal, and this distance is the greater the fewer trials a stimulus has, "
        "which counts as reliable: distance='crossnobis' has no such bias"
    )


def _halves(
    recorded: Recorded,
    distance: str,
    average: Sequence[str] | None,
    n_splits: int,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the RDMs of two halves of the trials."""
    trials = recorded.trials
    assert trials is not None
    stimulus, noise = trials.column("stimulus_id"), recorded.noise
    options = {"n_splits": n_splits, "seed": seed}
    if distance == "crossnobis":
        index = condition_index(trials, average, recorded.conditions)
        for half in random_halves(trials.activity, stimulus, **options):
            rdms = []
            for k in (0, 1):
                rows = (half == k).any(axis=1)
                own = np.where(half[rows] == k, trials.activity[rows], np.nan)
                rdms.append(crossnobis_of_trials(own, index[rows], noise=noise))
            yield rdms[0], rdms[1]
        return
    index = condition_index(recorded.responses, average, recorded.conditions)
    names = recorded.conditions["name"].tolist()
    for first, second in half_means(trials.activity, stimulus, **options):
        sides = [condition_means(one, index) for one in (first, second)]
        rdms = [dissimilarities(one, distance, names, noise=noise) for one in sides]
        yield rdms[0], rdms[1]
