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
from dataclasses import replace

import numpy as np
import xarray as xr

from neurofer.analyses.inputs import subset
from neurofer.analyses.reliability import (
    half_means,
    mean_of_finite,
    random_halves,
    spearman_brown,
    split_half,
    trial_counts,
)
from neurofer.analyses.rsa.rdm.compare import TAUS, compare
from neurofer.analyses.rsa.rdm.conditions import condition_index
from neurofer.analyses.rsa.rdm.distances import dissimilarities
from neurofer.analyses.rsa.rdm.matrices import upper
from neurofer.analyses.rsa.rdm.recorded import Recorded, condition_means
from neurofer.analyses.rsa.rdm.trials import crossnobis_of_trials, trial_noise
from neurofer.errors import NeuroferError

N_SPLITS = 20
FEWEST_UNITS = 2
# Of fewer units than this share, the ceiling is not that of the RDM of all.
MOST_UNITS = 0.9


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
        distance: one of `distances.DISTANCES`.
        comparison: one of `compare.COMPARISONS`.
        average: columns whose every combination is a condition, as `read_rdm` had them.
        n_splits: random halves.
        seed: of the halves.

    Returns:
        unit_reliability_half and unit_reliability (neuroid), correlations over stimuli;
        reliability_half, the mean similarity of the RDMs of two halves, and reliability, of all
        trials; repeats_ceiling_low and _high (not for taus). Units with too few trials of some
        stimulus to be halved are left out of the latter, as `attrs["reliability"]` says; without
        a tenth of the units there is no ceiling.
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
    enough = (counts >= least).all(axis=0)
    of = f"{int(enough.sum())} of {len(enough)} units have {least} trials of every stimulus"
    if enough.sum() < FEWEST_UNITS:
        return result.assign_attrs(reliability=f"not computed: {of}, which halves need")
    counts = counts[:, enough]
    if not enough.all():
        recorded = _of_units(recorded, np.flatnonzero(enough))
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
    if not enough.all():
        said += f", of the units that have enough: {of}"
    result = result.assign_attrs(reliability=said + _bias(counts, distance))
    if comparison in TAUS or enough.mean() < MOST_UNITS:
        return result
    return result.assign(
        repeats_ceiling_low=full, repeats_ceiling_high=float(np.sqrt(max(full, 0.0)))
    )


def _of_units(recorded: Recorded, units: np.ndarray) -> Recorded:
    """Return what was recorded of some units; the RDM stays that of all."""
    assert recorded.trials is not None
    shown = np.isfinite(recorded.trials.activity[:, units]).any(axis=1)
    trials, means = subset(recorded.trials, units, shown), subset(recorded.responses, units)
    noise = recorded.noise
    if noise is not None:
        place = np.unique(trials.column("stimulus_id"), return_inverse=True)[1].ravel()
        noise, _ = trial_noise(trials.activity, place, trials.neuroid.tolist())
    return replace(recorded, trials=trials, responses=means, noise=noise)


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
