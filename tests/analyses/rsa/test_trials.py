"""RSA of single trials: unequal, with pictures missing, and of units recorded one at a time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses.rsa import analysis as rsa
from neurofer.analyses.rsa.rdm.compare import compare
from neurofer.analyses.rsa.rdm.matrices import upper
from neurofer.analyses.rsa.rdm.recorded import read_rdm
from neurofer.analyses.rsa.recordings import compare_recordings, similarity_map
from neurofer.analyses.rsa.repeats import reliability_of_repeats
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, simulated_faces

FACES = simulated_faces(heads=("human",), strengths=(1.0,), n_identities=6)
TRUTH = coding_units(FACES, "expression", 30, noise=0.0)
TRUTH = TRUTH + 0.7 * coding_units(FACES, "identity", 30, noise=0.0, seed=1).to_numpy()
DATA = Path(os.environ.get("NEUROFER_DATA", "../shared/data")) / "am_face_views"
FAST = {"models": ["expression", "identity"], "n_bootstrap": 20}


def make_trials(kind="together", *, noise=1.0, least=4, most=8, seed=0):
    """Trials of TRUTH: presentation x neuroid with `repeat`, NaN where a unit was not recorded."""
    generator = np.random.default_rng(seed)
    n, units = TRUTH.shape
    if kind != "one at a time":
        rows = np.repeat(np.arange(n), generator.integers(least, most + 1, n))
        recorded = np.ones((len(rows), units), bool)
    else:
        times = generator.integers(least, most + 1, (n, units))
        rows = np.repeat(np.arange(n), times.sum(axis=1))
        unit = np.concatenate([np.repeat(np.arange(units), own) for own in times])
        recorded = unit[:, None] == np.arange(units)
    repeat = pd.Series(rows).groupby(rows).cumcount().to_numpy()
    made = TRUTH.isel(presentation=rows)
    values = made.to_numpy() + noise * generator.normal(size=made.shape)
    found = made.copy(data=np.where(recorded, values, np.nan))
    return found.assign_coords(repeat=("presentation", repeat))


def _means(trials):
    ids = trials["stimulus_id"].to_numpy()
    first = np.unique(ids, return_index=True)[1]
    values = [np.nanmean(trials.to_numpy()[ids == name], axis=0) for name in ids[first]]
    return trials.isel(presentation=first).copy(data=np.array(values)).drop_vars("repeat")


@pytest.mark.parametrize("kind", ["together", "one at a time"])
@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_plain_distances_are_those_of_the_means(kind, distance):
    trials = make_trials(kind)
    found = rsa.run(trials, distance=distance, **FAST)
    expected = rsa.run(_means(trials), distance=distance, **FAST)
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    assert "unequal" in found.attrs["trials"]
    assert found.attrs["set_aside_units"] == found.attrs["set_aside_stimuli"] == "none"
    assert "no such bias" in found.attrs["reliability"]


@pytest.mark.parametrize("kind", ["together", "one at a time"])
@pytest.mark.parametrize("distance", ["mahalanobis", "crossnobis"])
def test_distances_of_trials_need_neither_folds_nor_averages(kind, distance):
    found = rsa.run(make_trials(kind), distance=distance, **FAST)
    assert float(found["similarity"].sel(model="expression")) > 0.2
    words = {"together": "shrunk towards", "one at a time": "not all were recorded in the same"}
    assert words[kind] in found.attrs["noise"]
    rdm = upper(found["rdm"].to_numpy())
    truth = upper(read_rdm(TRUTH, None, "euclidean", None, None).rdm)
    if distance == "crossnobis":
        # Without bias: of noise variance 1, the squared distance over units itself.
        assert rdm.mean() == pytest.approx(truth.mean(), rel=0.12)
        assert found.attrs["folds"] == "every trial by itself"
    else:
        assert rdm.mean() > 1.05 * truth.mean()
    assert compare(rdm, truth, "corr") > 0.8


def test_what_lacks_trials_is_set_aside_and_named():
    trials = make_trials("one at a time")
    ids = trials["stimulus_id"].to_numpy()
    names = np.unique(ids)
    values = trials.to_numpy().copy()
    values[np.isin(ids, names[:20]), 3] = np.nan  # a unit that was not shown many pictures
    values[ids == names[25]] = np.where(np.arange(30) > 2, np.nan, values[ids == names[25]])
    once = np.flatnonzero((ids == names[30]) & np.isfinite(values[:, 5]))
    values[once[1:], 5] = np.nan
    values[:, 7] = np.where(np.isfinite(values[:, 7]), 2.0, np.nan)  # a unit without noise
    trials = trials.copy(data=values)
    plain = rsa.run(trials, **FAST)
    assert plain.attrs["n_units"] == 29
    units = trials["neuroid_id"].to_numpy()
    assert f"1 of 30 without every stimulus: {units[3]}" in plain.attrs["set_aside_units"]
    assert plain.attrs["set_aside_stimuli"] == f"1 of 42 that units lack: {names[25]}"
    assert names[25] not in plain["stimulus"].to_numpy()
    crossed = rsa.run(trials, distance="crossnobis", **FAST)
    assert crossed.attrs["n_units"] == 27
    said = crossed.attrs["set_aside_units"]
    assert f"1 of 30 without noise between trials: {units[7]}" in said
    assert f"2 of 30 without a second trial of every stimulus or condition: {units[3]}" in said
    assert np.isfinite(crossed["rdm"]).all()


def test_nothing_left_is_named():
    trials = make_trials(least=1, most=1)
    twice = xr.concat([trials, trials.isel(presentation=[0])], "presentation")
    with pytest.raises(NeuroferError, match="no units and stimuli are left"):
        rsa.run(twice, distance="crossnobis", **FAST)


def test_conditions_of_trials_can_be_averaged():
    trials = make_trials(least=1, most=2)
    valence = np.where(trials["expression"].to_numpy() == "happy", "good", "bad")
    trials = trials.assign_coords(valence=("presentation", valence))
    options = {"average": ["expression", "valence"], "models": ["valence"]}
    found = rsa.run(trials, distance="crossnobis", **options)
    assert found.sizes["stimulus"] == 7
    assert found.attrs["set_aside_units"] == "none"
    plain, expected = (rsa.run(one, **options) for one in (trials, _means(trials)))
    np.testing.assert_allclose(plain["rdm"], expected["rdm"], atol=1e-6)


def test_folds_of_trials_are_a_column():
    trials = make_trials(least=6, most=9)
    session = np.array(["a", "b"])[trials["repeat"].to_numpy() % 2]
    trials = trials.assign_coords(session=("presentation", session))
    found = rsa.run(trials, distance="crossnobis", folds="session", **FAST)
    assert found.attrs["folds"] == "session"
    other = rsa.run(trials, distance="crossnobis", **FAST)
    assert compare(upper(found["rdm"].to_numpy()), upper(other["rdm"].to_numpy()), "corr") > 0.9
    with pytest.raises(NeuroferError, match="did you mean 'session'"):
        rsa.run(trials, distance="crossnobis", folds="sesion", **FAST)
    with pytest.raises(NeuroferError, match="no distance but 'crossnobis' takes folds"):
        rsa.run(trials, folds="session", **FAST)


@pytest.mark.parametrize("kind", ["together", "one at a time"])
@pytest.mark.parametrize("distance", ["euclidean", "crossnobis"])
def test_the_ceilings_of_repeats_are_a_replicate_and_the_truth(kind, distance):
    """Lower: the similarity with another recording as long; upper: with what has no noise."""
    truth = upper(read_rdm(TRUTH, None, "euclidean", None, None).rdm)
    rdms, low, high = [], [], []
    for seed in range(8):
        made = read_rdm(
            make_trials(kind, noise=1.0, least=6, most=6, seed=seed), None, distance, None, None
        )
        rdms.append(upper(made.rdm))
        found = reliability_of_repeats(made, distance, "corr", None, n_splits=4, seed=seed)
        low.append(float(found["repeats_ceiling_low"]))
        high.append(float(found["repeats_ceiling_high"]))
        assert float(found["reliability_half"]) < low[-1] < high[-1]
    each = compare(np.array(rdms), np.array(rdms), "corr")
    replicate = each[np.triu_indices(8, 1)].mean()
    with_truth = compare(np.array(rdms), truth, "corr").mean()
    assert np.mean(low) == pytest.approx(replicate, abs=0.04)
    assert np.mean(high) == pytest.approx(with_truth, abs=0.03)


def test_reliability_of_units_and_rdm_is_in_the_result():
    found = rsa.run(make_trials(), distance="crossnobis", **FAST)
    assert found["unit_reliability"].shape == (30,)
    assert (found["unit_reliability"] > found["unit_reliability_half"]).all()
    table = rsa.table(found)
    row = table[table["model"] == "noise ceiling of repeats"].iloc[0]
    assert row["scope"] == "all stimuli"
    assert 0 < row["low"] < row["high"] <= 1
    assert "noise ceiling of repeats" in rsa.figure({"a": found}).layout.title.text
    again = rsa.run(make_trials(), distance="crossnobis", **FAST)
    xr.testing.assert_identical(found, again)
    few = rsa.run(make_trials(least=2, most=4), distance="crossnobis", **FAST)
    assert "repeats_ceiling_low" not in few
    said = "not computed: 0 of 30 units have 4 trials of every stimulus, which halves need"
    assert few.attrs["reliability"] == said
    taus = rsa.run(make_trials(), comparison="tau-a", **FAST)
    assert "repeats_ceiling_low" not in taus
    assert float(taus["reliability"]) > 0


@pytest.mark.parametrize(("without", "ceiling"), [(2, True), (10, False)])
@pytest.mark.parametrize("distance", ["correlation", "crossnobis"])
def test_units_with_enough_trials_speak_for_the_others(without, ceiling, distance):
    trials = make_trials("one at a time")
    ids, values = trials["stimulus_id"].to_numpy(), trials.to_numpy().copy()
    for unit in range(without):
        own = np.flatnonzero((ids == ids[0]) & np.isfinite(values[:, unit]))
        values[own[1 if distance == "correlation" else 3 :], unit] = np.nan
    found = rsa.run(trials.copy(data=values), distance=distance, **FAST)
    assert found.attrs["n_units"] == 30
    assert f"that have enough: {30 - without} of 30 units" in found.attrs["reliability"]
    assert 0 < float(found["reliability_half"]) < float(found["reliability"]) < 1
    assert ("repeats_ceiling_low" in found) == ceiling


def test_one_animal_has_its_ceiling_from_repeats():
    one = compare_recordings(
        {"bert": make_trials()}, {"e": "expression"}, distance="crossnobis", n_bootstrap=20
    )
    assert 0 < float(one["noise_ceiling_low"]) < float(one["noise_ceiling_high"])
    assert one.attrs["noise_ceiling"].startswith("of repeats: halves of")
    assert one.attrs["set_aside_units"] == "none"
    trials = make_trials("one at a time", seed=1)
    trials[:, 4] = np.nan
    two = compare_recordings({"bert": make_trials(), "lupo": trials}, {"e": TRUTH}, n_bootstrap=20)
    assert two["reliability"].shape == (2,)
    assert two.attrs["set_aside_units"].startswith("lupo: 1 of 30 without every stimulus")
    assert two.attrs["noise_ceiling"] == "over 2 subjects"


def test_a_map_of_trials_is_that_of_their_means():
    trials = make_trials()
    np.testing.assert_allclose(
        similarity_map(trials, ["expression"])["similarity"],
        similarity_map(_means(trials), ["expression"])["similarity"],
        atol=1e-6,
    )
    trials[:, 2] = np.nan
    found = similarity_map(trials, ["expression"])
    assert "1 of 30 without every stimulus" in found.attrs["set_aside"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the recordings of AM are not here")
def test_sites_of_am_recorded_one_at_a_time_tell_people_and_views():
    trials = pd.read_csv(DATA / "trials.csv.gz")
    spikes = np.load(DATA / "spikes.npz")
    ends = np.cumsum(spikes["n_spikes"])
    within = np.r_[0, np.cumsum((spikes["spike_ms"] >= 70) & (spikes["spike_ms"] < 400))]
    trials["rate"] = (within[ends] - within[ends - spikes["n_spikes"]]) / 0.33
    trials["repeat"] = trials.groupby(["site", "stimulus"]).cumcount()
    cube = trials.pivot_table(index=["stimulus", "repeat"], columns="site", values="rate")
    shown = cube.index.to_frame(index=False).merge(
        trials[["stimulus", "person", "orientation"]].drop_duplicates("stimulus"), on="stimulus"
    )
    n = len(shown)
    coords = {
        "stimulus_id": [f"picture {k:03d}" for k in shown["stimulus"]],
        "identity": shown["person"].astype(str).tolist(),
        "view": shown["orientation"].tolist(),
        "head": ["human"] * n,
        "expression": ["neutral"] * n,
        "strength": np.zeros(n),
        "repeat": shown["repeat"].tolist(),
    }
    recording = xr.DataArray(
        cube.to_numpy(),
        dims=("presentation", "neuroid"),
        coords={k: ("presentation", v) for k, v in coords.items()}
        | {"neuroid_id": ("neuroid", cube.columns.to_numpy().astype(str))},
    )
    found = rsa.run(recording, distance="crossnobis", models=["identity", "view"], n_bootstrap=100)
    assert found.sizes["stimulus"] == 200
    assert 160 <= found.attrs["n_units"] <= 165
    assert (found["similarity_low"] > 0).all()
    assert 0.4 < float(found["unit_reliability_half"].median()) < 0.6
