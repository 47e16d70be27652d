"""Reliability against closed forms, loops, and recordings that are unequal as in life."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from neurofer.analyses.reliability import (
    half_means,
    random_halves,
    spearman_brown,
    split_half,
    trial_counts,
)
from neurofer.errors import NeuroferError

DATA = Path(os.environ.get("NEUROFER_DATA", "../shared/data"))
FACES_OF_AM = DATA / "am_face_views" / "trials.csv.gz"


def _trials(repeats: np.ndarray, units: int, noise: float, seed: int = 0):
    """(n, units) responses, signal of variance 1 over stimuli, and (n,) stimuli."""
    generator = np.random.default_rng(seed)
    stimulus = np.repeat(np.arange(len(repeats)), repeats)
    signal = generator.normal(size=(len(repeats), units))
    return signal[stimulus] + noise * generator.normal(size=(len(stimulus), units)), stimulus


@pytest.mark.parametrize("repeats", [2, 4, 10])
def test_reliability_of_equal_repeats_is_the_closed_form(repeats: int) -> None:
    activity, stimulus = _trials(np.full(2000, repeats), 20, noise=2.0)
    found = split_half(activity, stimulus, n_splits=3)
    for measured, trials in ((found.half, repeats / 2), (found.full, repeats)):
        assert measured.mean() == pytest.approx(1 / (1 + 4 / trials), abs=0.02)
    assert (found.n_stimuli == 2000).all()
    assert (found.n_trials == 2000 * repeats).all()


@pytest.mark.parametrize("missing", ["nothing", "trials", "pictures", "one unit at a time"])
def test_halves_are_each_units_own_trials(missing: str) -> None:
    generator = np.random.default_rng(1)
    activity, stimulus = _trials(generator.integers(1, 7, 12), 5, noise=1.0)
    order = generator.permutation(len(stimulus))
    activity, stimulus = activity[order], stimulus[order]
    if missing == "trials":
        activity[generator.random(activity.shape) < 0.3] = np.nan
    if missing == "pictures":
        activity[np.ix_(stimulus < 4, [0, 2])] = np.nan
    if missing == "one unit at a time":
        activity[(np.arange(len(activity)) % 5)[:, None] != np.arange(5)] = np.nan
    counts = trial_counts(activity, stimulus)
    assigned = random_halves(activity, stimulus, n_splits=4, seed=3)
    for first, second in half_means(activity, stimulus, n_splits=4, seed=3):
        half = next(assigned)
        for k in range(12):
            for unit in range(5):
                own = activity[stimulus == k, unit]
                own = own[np.isfinite(own)]
                assert counts[k, unit] == len(own)
                sides = half[stimulus == k, unit]
                assert ((sides == -1) | np.isfinite(activity[stimulus == k, unit])).all()
                if len(own) < 2:
                    assert (sides == -1).all()
                    assert np.isnan([first[k, unit], second[k, unit]]).all()
                    continue
                assert abs(int((sides == 0).sum()) - int((sides == 1).sum())) == len(own) % 2
                for side, mean in ((0, first), (1, second)):
                    shown = activity[stimulus == k, unit][sides == side]
                    assert mean[k, unit] == pytest.approx(shown.mean())


def test_units_of_the_same_trials_have_the_same_halves() -> None:
    activity, stimulus = _trials(np.array([2, 3, 5, 4]), 1, noise=1.0)
    activity = np.hstack([activity, 2 * activity, activity])
    activity[0, 2] = np.nan
    for first, second in half_means(activity, stimulus, n_splits=5):
        np.testing.assert_allclose(first[:, 1], 2 * first[:, 0])
        np.testing.assert_allclose(second[:, 1], 2 * second[:, 0])
    # The first of the odd numbers of trials is the greater half now and then only.
    firsts = [first[1, 0] for first, _ in half_means(activity, stimulus, n_splits=40)]
    own = activity[stimulus == 1, 0]
    single = [np.isclose(one, own).any() for one in firsts]
    assert 0 < sum(single) < 40


def test_unreliable_constant_and_scarce_units_are_told_apart() -> None:
    activity, stimulus = _trials(np.full(400, 4), 4, noise=0.5)
    generator = np.random.default_rng(2)
    activity[:, 1] = generator.normal(size=len(activity))
    activity[:, 2] = 0.1
    activity[stimulus > 1, 3] = np.nan
    found = split_half(activity, stimulus, n_splits=20)
    assert found.half[0] == pytest.approx(1 / (1 + 0.25 / 2), abs=0.03)
    assert abs(found.full[1]) < 0.15
    assert np.isnan(found.half[[2, 3]]).all()
    assert np.isnan(found.full[[2, 3]]).all()
    assert found.n_stimuli.tolist() == [400, 400, 400, 2]


def test_same_seed_same_halves() -> None:
    activity, stimulus = _trials(np.array([3, 4, 2, 6, 5]), 3, noise=1.0)
    one, two, other = (split_half(activity, stimulus, n_splits=5, seed=s) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.half, two.half)
    assert (one.half != other.half).any()


@pytest.mark.parametrize("half", [-1.0, -0.3, 0.0, 0.2, 1.0])
def test_spearman_brown_stays_a_correlation(half: float) -> None:
    found = float(spearman_brown(np.array(half), 3))
    assert -1 <= found <= 1
    assert np.sign(found) == np.sign(half)
    if half >= 0:
        assert found == pytest.approx(3 * half / (1 + 2 * half))


@pytest.mark.parametrize(
    ("shape", "n_splits", "message"),
    [((4,), 1, "a stimulus for each trial"), ((4, 0), 1, "units"), ((4, 2), 0, "n_splits=0")],
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...], n_splits: int, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        split_half(np.zeros(shape), np.zeros(4), n_splits=n_splits)


@pytest.mark.skipif(not FACES_OF_AM.is_file(), reason="the recordings of AM are not here")
def test_sites_of_am_are_as_reliable_as_is_known() -> None:
    """A site's 200 means correlate by about .45 between halves of its trials."""
    import pandas as pd

    trials = pd.read_csv(FACES_OF_AM)
    spikes = np.load(FACES_OF_AM.parent / "spikes.npz")
    ends = np.cumsum(spikes["n_spikes"])
    within = np.r_[0, np.cumsum((spikes["spike_ms"] >= 70) & (spikes["spike_ms"] < 400))]
    trials["count"] = within[ends] - within[ends - spikes["n_spikes"]]
    half = []
    for _, own in trials.groupby("site", sort=False):
        found = split_half(own[["count"]].to_numpy(), own["stimulus"].to_numpy(), n_splits=5)
        half.append(found.half[0])
    assert np.nanmedian(half) == pytest.approx(0.45, abs=0.05)
