"""The RDM of a recording by any distance, with noise and folds from its presentations or trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import KEEP, Responses, listed, read_responses, subset
from neurofer.analyses.patterns import Means
from neurofer.analyses.reliability import trial_counts
from neurofer.analyses.rsa.rdm.conditions import condition_index, make_conditions
from neurofer.analyses.rsa.rdm.distances import condition_residuals, crossnobis, dissimilarities
from neurofer.analyses.rsa.rdm.noise import Noise, shrunk_noise
from neurofer.analyses.rsa.rdm.trials import (
    complete,
    crossnobis_of_trials,
    trial_noise,
    trial_variance,
)
from neurofer.errors import NeuroferError, unknown_choice

# Distances of presentations, that one pattern per condition does not have.
OF_TRIALS = ("mahalanobis", "crossnobis")
MOST_NAMED = 5


@dataclass(frozen=True)
class Recorded:
    """The RDM of one site of a recording, and what it was made of.

    Attributes:
        responses: a row per stimulus; of single trials, their means.
        conditions: table of the conditions.
        rdm: (conditions, conditions).
        noise: of the units, where the distance takes it.
        trials: single trials of the same stimuli and units; None where the recording has none.
        said: what was set aside and where the noise comes from, for `attrs`; empty without trials.
    """

    responses: Responses
    conditions: pd.DataFrame
    rdm: np.ndarray
    noise: Noise | None
    trials: Responses | None
    said: dict[str, Any]


def read_rdm(
    recording: xr.DataArray,
    site: str | None,
    distance: str,
    average: Sequence[str] | None,
    folds: str | None,
) -> Recorded:
    """Return the RDM of a recording, of single trials or one presentation per stimulus.

    Of single trials, plain distances are those of their means. "mahalanobis" and "crossnobis" take
    the noise from the trials of a stimulus, and "crossnobis" is over trials, those of one value of
    `folds` excepted. Units and stimuli that lack each other (or, for "crossnobis", a second trial)
    and units without noise are set aside and named.

    Args:
        recording: presentation x neuroid.
        site: the site; None if the recording has one only.
        distance: one of `distances.DISTANCES`.
        average: columns whose every combination is a condition; None: every stimulus is one.
        folds: column of what was recorded independently, for "crossnobis".

    Raises:
        NeuroferError: nothing is left, folds are missing, not taken or unknown, no condition was
            presented twice, or as `dissimilarities` and `crossnobis`.
    """
    responses, trials, said = usable_responses(recording, site, distance, average)
    if trials is not None:
        return _of_trials(responses, trials, said, distance, average, folds)
    if (distance == "crossnobis") != (folds is not None):
        raise NeuroferError(
            f"distance={distance!r} with folds={folds!r}: 'crossnobis', and no other distance, "
            "takes a column of folds, such as 'session'; single trials, read with trials='keep', "
            "need none"
        )
    patterns, conditions = make_conditions(responses, average)
    names = conditions["name"].tolist()
    noise = None
    if distance in OF_TRIALS:
        index = condition_index(responses, average, conditions)
        residuals, freedom = condition_residuals(responses.activity, index)
        noise = shrunk_noise(residuals, freedom=freedom, names=responses.neuroid.tolist())
    if folds is None:
        rdm = dissimilarities(patterns, distance, names, noise=noise)
    else:
        fold = _fold(responses, folds)
        rdm = crossnobis(responses.activity, index, fold, noise=noise, names=names)
    return Recorded(responses, conditions, rdm, noise, None, said)


def usable_responses(
    recording: xr.DataArray,
    site: str | None,
    distance: str = "correlation",
    average: Sequence[str] | None = None,
) -> tuple[Responses, Responses | None, dict[str, Any]]:
    """Return responses to stimuli, single trials of the same, and what of these was set aside.

    Without single trials nothing is set aside, and a unit that lacks a stimulus is refused.

    Args:
        recording: presentation x neuroid.
        site: the site; None if the recording has one only.
        distance: one of `distances.DISTANCES`, which says what a unit needs.
        average: columns whose every combination is a condition; None: every stimulus is one.

    Raises:
        NeuroferError: nothing is left, or activity is infinite or, without trials, missing.
    """
    if not _has_trials(recording):
        return read_responses(recording, site), None, {}
    means = read_responses(recording, site, undefined=True)
    trials = read_responses(recording, site, undefined=True, trials=KEEP)
    if np.isinf(trials.activity).any():
        units = trials.neuroid[np.isinf(trials.activity).any(axis=0)]
        raise NeuroferError(
            f"activity of {listed(units, MOST_NAMED)} is infinite: leave those units out"
        )
    return _usable(means, trials, distance, average)


def condition_means(means: np.ndarray, index: np.ndarray) -> Means:
    """Return the patterns of conditions from (stimuli, units) means and (stimuli,) conditions."""
    return Means.of(means, [np.flatnonzero(index == k) for k in range(int(index.max()) + 1)])


def _has_trials(recording: xr.DataArray) -> bool:
    if "stimulus_id" not in recording.coords:
        return False
    ids = recording["stimulus_id"].to_numpy().astype(str)
    return len(np.unique(ids)) < len(ids)


def _of_trials(
    means: Responses,
    trials: Responses,
    said: dict[str, Any],
    distance: str,
    average: Sequence[str] | None,
    folds: str | None,
) -> Recorded:
    if folds is not None and distance != "crossnobis":
        raise NeuroferError(
            f"distance={distance!r} with folds={folds!r}: no distance but 'crossnobis' takes folds"
        )
    patterns, conditions = make_conditions(means, average)
    names, noise = conditions["name"].tolist(), None
    if distance in OF_TRIALS:
        noise, said["noise"] = trial_noise(
            trials.activity, _stimulus(trials), trials.neuroid.tolist()
        )
    if distance == "crossnobis":
        index = condition_index(trials, average, conditions)
        fold = None if folds is None else _fold(trials, folds)
        rdm = crossnobis_of_trials(trials.activity, index, fold, noise=noise, names=names)
        said["folds"] = "every trial by itself" if folds is None else folds
    else:
        rdm = dissimilarities(patterns, distance, names, noise=noise)
    return Recorded(means, conditions, rdm, noise, trials, said)


def _usable(
    means: Responses, trials: Responses, distance: str, average: Sequence[str] | None
) -> tuple[Responses, Responses, dict[str, Any]]:
    """Return means and trials of stimuli and units that have all of each other, and what has not.

    `means.stimuli` are sorted by `stimulus_id`, as `np.unique` sorts.
    """
    counts = trial_counts(trials.activity, trials.column("stimulus_id"))
    units = np.ones(counts.shape[1], bool)
    still = np.array([], dtype=str)
    if distance in OF_TRIALS:
        variance = trial_variance(trials.activity, _stimulus(trials))
        units = variance > 0
        still = means.neuroid[~units]
    least = 2 if distance == "crossnobis" else 1
    rows, columns = complete(counts[:, units], least if average is None else 1)
    if average is not None and least == 2 and rows.any() and columns.any():
        kept = subset(means, np.flatnonzero(units)[columns], rows)
        index = condition_index(kept, average, make_conditions(kept, average)[1])
        of_conditions = np.zeros((int(index.max()) + 1, int(columns.sum())), int)
        np.add.at(of_conditions, index, counts[np.ix_(rows, units)][:, columns])
        enough, left = complete(of_conditions, least)
        rows[np.flatnonzero(rows)] = enough[index]
        columns[np.flatnonzero(columns)] = left
    lacking = means.neuroid[units][~columns]
    chosen = np.flatnonzero(units)[columns]
    if not rows.any() or len(chosen) == 0:
        raise NeuroferError(
            f"no units and stimuli are left that have {least} or more trials of each other: of "
            f"{counts.size} pairs of them {int((counts < least).sum())} have fewer; leave out "
            "units or stimuli that were recorded little"
        )
    what = "a second trial of every stimulus or condition" if least == 2 else "every stimulus"
    said = {
        "set_aside_units": "; ".join(
            f"{len(who)} of {len(means.neuroid)} without {why}: {listed(who, MOST_NAMED)}"
            for who, why in ((still, "noise between trials"), (lacking, what))
            if len(who)
        )
        or "none",
        "set_aside_stimuli": f"{int((~rows).sum())} of {len(rows)} that units lack: "
        f"{listed(means.column('stimulus_id')[~rows], MOST_NAMED)}"
        if not rows.all()
        else "none",
    }
    shown = np.isin(trials.column("stimulus_id"), means.column("stimulus_id")[rows])
    shown &= np.isfinite(trials.activity[:, chosen]).any(axis=1)
    return subset(means, chosen, rows), subset(trials, chosen, shown), said


def _stimulus(trials: Responses) -> np.ndarray:
    """Return (n,) which stimulus each trial shows, in the order of their ids."""
    return np.unique(trials.column("stimulus_id"), return_inverse=True)[1].ravel()


def _fold(responses: Responses, folds: str) -> np.ndarray:
    if folds not in responses.stimuli:
        raise unknown_choice("folds", folds, responses.stimuli.columns, "the recording")
    return responses.column(folds)
